# SPDX-License-Identifier: BSD-2-Clause
"""What the tests of `bulkhead run` share: a definition, a run of it, and the look at what is left.

What it is: each test has a folder of its own with copies of the example's disks, and a runtime
folder of its own, so that runs do not meet.  Whatever a run leaves behind is found in the end: the
test process adopts every orphan, so no process can hide.
What it is not: a test.

$BULKHEAD_BUILD names the build to test (build/gcc).
"""
import contextlib
import ctypes
import fcntl
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools" / "guest"), str(ROOT / "tests" / "tools")]
sys.dont_write_bytecode = True

import cache  # noqa: E402  (found through the lines above)
import image  # noqa: E402
import make_example  # noqa: E402
import make_kernel  # noqa: E402
import make_qemu  # noqa: E402
import terminal  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", ROOT / "build" / "gcc")).absolute()
BULKHEAD = BUILD / "cli" / "bulkhead"
PR_SET_CHILD_SUBREAPER = 36
PATIENCE = 60  # seconds for anything that should take a few

# The exit statuses of `bulkhead run` (include/bulkhead/engine_supervisor.h).
OK, REFUSED, USAGE, GUEST, BACKEND, ENGINE = range(6)

LINUX = "console=hvc0 root=/dev/vda rw quiet"


class Failure(AssertionError):
    """The run did not do what it should; the text says what, and ends with its last lines."""


def newer_path():
    """A search path on which the newer QEMU comes first."""
    return f"{make_qemu.make() / 'bin'}:{os.environ['PATH']}"


def linux(devices, **more):
    """A guest of the definition that boots the example's kernel."""
    boot = {"kernel": str(make_kernel.folder() / "Image"), "command-line": LINUX}
    guest = {"arch": "arm64", "memory": "128M", "boot": boot, "devices": devices}
    guest.update(more)
    return guest


def usual(disk):
    """The devices of a guest of the example."""
    return {"root": {"type": "blk", "resource": disk, "window": "8M"},
            "entropy": {"type": "rng", "resource": "random", "window": "1M"},
            "terminal": {"type": "console", "window": "5M"}}


def usual_policy(guests, resources):
    """Every guest may do everything with what it uses."""
    lines = []
    for name, guest in guests.items():
        for used in sorted({device["resource"] for device in guest["devices"].values()
                            if "resource" in device}):
            disk = resources[used]["type"] == "disk"
            writable = disk and not resources[used]["read-only"]
            lines.append({"guest": name, "resource": used,
                          "allow": ["read", *(["write", "flush", "discard"] if writable else [])]})
    return lines


def yaml(value):
    """A value as YAML in one line; a size or a time is no text, so it has no quotes."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key}: {yaml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(yaml(item) for item in value) + "]"
    if isinstance(value, str) and not re.fullmatch(r"[0-9]+[KMGs]", value):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)


def descendants(pid):
    """The processes below that one: [(pid, name)]."""
    below = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            name, _, rest = stat.read_text().partition("(")[2].rpartition(")")
            below.setdefault(int(rest.split()[1]), []).append((int(stat.parent.name), name))
    found, ahead = [], [pid]
    while ahead:
        children = below.get(ahead.pop(), [])
        found += children
        ahead += [child for child, _ in children]
    return found


class Control:
    """The other end of a supervisor's control socket (include/bulkhead/engine_control.h)."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise

    def call(self, **request):
        """The answer, and the descriptor that came with it or None."""
        self.socket.send(json.dumps(request).encode())
        data, fds, _, _ = socket.recv_fds(self.socket, 65536, 1)
        return json.loads(data), fds[0] if fds else None

    def close(self):
        self.socket.close()


class Run:
    """One `bulkhead run`, its lines and its processes."""

    def __init__(self, rig, definition, path=None, environment=None, before=(), options=()):
        self.rig = rig
        self.state = rig.folder / "state" / pathlib.Path(definition).stem
        self.lines = []
        self.ahead = queue.Queue()
        variables = dict(os.environ, XDG_RUNTIME_DIR=str(rig.runtime), PATH=path or newer_path(),
                         LC_ALL="C.UTF-8")
        variables.update(environment or {})
        command = [*before, str(BULKHEAD), "run", "--state", str(self.state), *options,
                   str(definition)]
        self.process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        start_new_session=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            self.lines.append(line)
            self.ahead.put(line)
        self.ahead.put(None)

    def tail(self):
        return "\n    ".join(["", *self.lines[-40:]])

    def wait_for(self, *texts, timeout=PATIENCE):
        """The next line that holds all the texts."""
        deadline = time.monotonic() + timeout
        while True:
            try:
                line = self.ahead.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                raise Failure(f"no line with {texts} within {timeout} s:{self.tail()}") from None
            if line is None:
                raise Failure(f"the run ended before a line with {texts}:{self.tail()}")
            if all(text in line for text in texts):
                return line

    def wait_for_guests(self, *guests):
        """All of them are ready, in whatever order."""
        missing = set(guests)
        while missing:
            line = self.wait_for(": ready, boot ")
            missing = {guest for guest in missing if f"{guest}: ready" not in line}

    def control(self, name="test"):
        """A connection to the supervisor, which may have only just been started."""
        path = self.rig.runtime / "bulkhead" / name / "control"
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                control = Control(path)
                self.rig.addCleanup(control.close)
                return control
            except (FileNotFoundError, ConnectionRefusedError) as error:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise Failure(f"no control socket: {error}:{self.tail()}") from None
                time.sleep(0.02)

    def attach(self, guest, **more):
        answer, fd = self.control().call(request="attach", guest=guest, **more)
        if not answer["ok"]:
            raise Failure(f"attach {guest}: {answer}")
        self.rig.addCleanup(os.close, fd)
        return terminal.Terminal(fd, fd)

    def shell(self, guest):
        """The guest's terminal, at its shell's prompt."""
        shell = self.attach(guest)
        shell.prompt(guest)
        return shell

    def guest(self, name):
        """What `status` knows of that guest."""
        answer, _ = self.control().call(request="status")
        return next(guest for guest in answer["status"]["guests"] if guest["name"] == name)

    def bulkhead(self, *words):
        """Another bulkhead command that asks this run: what it prints."""
        done = subprocess.run([str(BULKHEAD), *words], text=True, timeout=PATIENCE,
                              env=dict(os.environ, XDG_RUNTIME_DIR=str(self.rig.runtime)),
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise Failure(f"bulkhead {' '.join(words)}: {done.stdout}{self.tail()}")
        return done.stdout

    def audit(self, event=None):
        """The entries of the audit log so far."""
        with open(self.state / "audit.jsonl") as log:
            entries = [json.loads(line) for line in log]
        return [entry for entry in entries if event is None or entry["event"] == event]

    def device(self, guest, name):
        return next(device for device in self.guest(guest)["devices"] if device["name"] == name)

    def wait_for_state(self, guest, state):
        """Waits until the guest has that state; gives the state that it has."""
        deadline = time.monotonic() + PATIENCE
        while (found := self.guest(guest)["state"]) != state and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def signal(self, number):
        self.process.send_signal(number)

    def end(self, timeout=PATIENCE):
        """Waits for the end; gives the exit status."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Failure(f"the run does not end within {timeout} s:{self.tail()}") from None
        self.reader.join(PATIENCE)
        return status

    def stop(self):
        """Asks for an orderly end, as Ctrl-C does; gives the exit status."""
        self.signal(signal.SIGINT)
        return self.end()

    def said(self, *texts):
        """Whether some line so far held all the texts."""
        return any(all(text in line for text in texts) for line in self.lines)


class Rig(unittest.TestCase):
    """A test with a folder of its own, after which nothing may be left."""

    def setUp(self):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        # A socket's path is short: not below a folder that the user may have put far down.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-run.", dir="/tmp"))
        self.runtime = self.folder / "runtime"
        self.runtime.mkdir(mode=0o700)
        self.runs = []
        self.left_alone = False
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(self.look_for_rests)

    def disk(self, guest="cluster", name=None):
        """A copy of the example's disk for that guest."""
        path = self.folder / (name or f"{guest}.ext4")
        image.copy_disk(make_example.folder() / f"{guest}.ext4", path)
        return path

    def define(self, guests, disks=(), name="test", read_only=False, **more):
        """Writes a definition; a disk resource has the name of its file. Without a policy, every
        guest may do everything with what it uses.
        """
        resources = {"random": {"type": "entropy"}}
        resources.update({disk.stem: {"type": "disk", "image": str(disk), "read-only": read_only}
                          for disk in disks})
        used = {device.get("resource") for guest in guests.values()
                for device in guest["devices"].values()}
        resources = {key: item for key, item in resources.items() if key in used}
        definition = {"bulkhead": 1, "name": name, "resources": resources, "guests": guests,
                      "policy": usual_policy(guests, resources)}
        definition.update(more)
        path = self.folder / f"{name}.yaml"
        path.write_text("".join(f"{key}: {yaml(item)}\n" for key, item in definition.items()))
        return path

    def run_platform(self, definition, **more):
        run = Run(self, definition, **more)
        self.runs.append(run)
        return run

    def run_one(self, **more):
        """The guest `cluster` with its usual devices, up and ready."""
        definition = self.define({"cluster": linux(usual("cluster"), **more)}, [self.disk()])
        run = self.run_platform(definition)
        run.wait_for_guests("cluster")
        return run

    def refused(self, definition, *texts, **more):
        """The run does not begin, and says why."""
        run = self.run_platform(definition, **more)
        status = run.end()
        self.assertEqual(status, REFUSED, run.tail())
        for text in texts:
            self.assertTrue(run.said(text), f"{text!r} is not in:{run.tail()}")
        return run

    def rests(self):
        """What is there and should not be."""
        found = [f"process {pid} ({name})" for pid, name in descendants(os.getpid())]
        runtime = self.runtime / "bulkhead"
        if runtime.is_dir():
            found += [f"file {path}" for path in runtime.rglob("*")]
        sockets = pathlib.Path("/proc/net/unix").read_text()
        if str(self.folder) in sockets:
            found.append("a socket in the runtime folder")
        for disk in self.folder.glob("*.ext4"):
            with open(disk, "r+b") as handle:
                lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
                try:
                    fcntl.fcntl(handle, fcntl.F_OFD_SETLK, lock)
                except OSError:
                    found.append(f"lock on {disk.name}")
        return found

    def look_for_rests(self):
        """Fails for what is left; ends it first."""
        for run in self.runs:
            if run.process.poll() is None:
                run.process.kill()
                run.process.wait()
                self.left_alone = True  # the test has failed already, somewhere else
        found = self.settled()
        for pid, _ in descendants(os.getpid()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.reap()
        if not self.left_alone:
            self.assertEqual(found, [], f"left behind by:{self.runs[-1].tail()}"
                             if self.runs else None)

    def reap(self):
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def settled(self, files=True):
        """What is left once the kernel is done: a process that was killed takes its moment."""
        deadline = time.monotonic() + 10
        while True:
            self.reap()
            found = [rest for rest in self.rests() if files or not rest.startswith("file ")]
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(0.05)
