# SPDX-License-Identifier: BSD-2-Clause
"""A Linux guest whose devices are served behind the gate: what the gate's tests on real guests share.

What it is: QEMU with windows (each a ring part and a data part with a file of its own, one
reserved-memory node in the device tree) or with all memory shared; a gate in front of a back end,
or the back end alone, so that the tests themselves can be tried; the guest's console, on which the
host types commands; what the gate says about itself.
What it is not: a test.

$BULKHEAD_BUILD names the build to test (build/gcc).
"""
import contextlib
import dataclasses
import json
import os
import pathlib
import queue
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "tools" / "guest"), str(ROOT / "tests" / "tools")]
sys.dont_write_bytecode = True

import cache  # noqa: E402  (found through the lines above)
import make_gate  # noqa: E402
import make_kernel  # noqa: E402
import make_qemu  # noqa: E402

BUILD = pathlib.Path(os.environ.get("BULKHEAD_BUILD", ROOT / "build" / "gcc")).absolute()
GATE = BUILD / "gate" / "bulkhead-gate"
BLK = BUILD / "daemons" / "bulkhead-blk"
# A test that is killed itself leaves no process running.  (A back end's sandbox drops the tie.)
TIED = ["setpriv", "--pdeathsig", "KILL"]

KIB, MIB = 1 << 10, 1 << 20
RAM_BASE = 0x40000000
PRIVATE = 256 * MIB
RING_PART = 64 * KIB
SLOTS = 32  # of virtio-mmio
PATIENCE = 120  # seconds for anything that takes a few


class Failure(Exception):
    """The run cannot go on; the text says why."""


@dataclasses.dataclass
class Device:
    """One device of the guest: `front` is QEMU's -device without chardev and bus."""
    name: str
    front: str
    type: str = "blk"
    window: int = 8 * MIB  # of data; only where the guest has windows
    mode: str = "shadow"  # none: there is no gate
    command: list = dataclasses.field(default_factory=list)
    options: list = dataclasses.field(default_factory=list)  # more for the gate
    address: int = 0  # of its window, when the guest is made

    def ranges(self):
        """(address, size) of what the back end may map, or nothing."""
        if self.mode == "shadow":
            return [(self.address + RING_PART, self.window)]
        if self.mode == "direct":
            return [(self.address, RING_PART + self.window)]
        return []


def blk(image, queues=1, *options):
    """The command of Bulkhead's own disk."""
    return [str(BLK), "--fd", "{fd}", "--blk-file", str(image), "--num-queues", str(queues), *options]


def qsd(image, queues=1, more=""):
    """The command of QEMU's storage daemon."""
    return ["qemu-storage-daemon",
            "--blockdev", f"driver=file,node-name=file,filename={image},discard=unmap{more}",
            "--export", "type=vhost-user-blk,id=disk,node-name=file,writable=on,"
                        f"num-queues={queues},addr.type=unix,addr.path={{socket}}"]


def wait_until(condition, what, patience=PATIENCE):
    end = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > end:
            raise Failure(f"{what}: not after {patience} s")
        time.sleep(0.01)
    return found


def listening(path):
    """Whether someone listens on that path (connecting would be taken for a front end)."""
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and fields[7] == str(path) and int(fields[3], 16) & 0x10000:
            return True
    return False


def children():
    """{parent: [(pid, state, command line)]} of all processes."""
    found = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            line = (stat.parent / "cmdline").read_bytes().decode(errors="replace").split("\0")
            found.setdefault(int(fields[1]), []).append((int(stat.parent.name), fields[0], line))
    return found


def below(pid):
    """All processes below that one: [(pid, state, command line)]."""
    tree, found, ahead = children(), [], [pid]
    while ahead:
        next_ones = tree.get(ahead.pop(), [])
        found += next_ones
        ahead += [child for child, _, _ in next_ones]
    return found


class Gate:
    """A gate with its back end, or the back end alone; in the folder of its guest."""

    def __init__(self, guest, device):
        self.device = device
        self.guest = guest
        base = guest.folder / device.name
        self.socket = base.with_suffix(".sock")
        self.metrics_socket = base.with_suffix(".metrics")
        self.audit_file = base.with_suffix(".audit")
        command = self.command() if device.mode != "none" else self.alone()
        guest.note(f"{device.name}: {' '.join(command)}")
        self.process = subprocess.Popen([*TIED, *command], stdin=subprocess.DEVNULL,
                                        stdout=guest.log, stderr=guest.log)
        wait_until(lambda: self.alive() and listening(self.socket), f"{device.name} listens")

    def alive(self):
        if self.process.poll() is not None:
            raise Failure(f"{self.device.name}: ended with {self.process.returncode}")
        return True

    def alone(self):
        """The back end without a gate."""
        command = [str(self.socket) if word == "{fd}" else word.replace("{socket}", str(self.socket))
                   for word in self.device.command]
        return ["--socket-path" if word == "--fd" else word for word in command]

    def command(self):
        device = self.device
        shares = [word for address, size in device.ranges()
                  for word in ("--share", f"{address:#x}:{size:#x}")]
        return [str(GATE), "--listen", str(self.socket), "--type", device.type,
                "--mode", device.mode, *shares, "--restarts", "0",
                "--audit", str(self.audit_file), "--metrics", str(self.metrics_socket),
                *device.options, "--", *device.command]

    def processes(self):
        """The gate's own below the keeper, and the back ends: ([pids], [pids])."""
        program = pathlib.Path(self.device.command[0]).name
        gates, backs = [], []
        for pid, state, line in below(self.process.pid):
            if state not in "ZX" and line[0]:
                names = {pathlib.Path(word).name for word in line[:3]}
                (backs if program in names else gates).append(pid)
        return sorted(gates), sorted(backs)

    def events(self):
        """The lines of the audit log."""
        with contextlib.suppress(FileNotFoundError):
            return [json.loads(line) for line in self.audit_file.read_text().splitlines()]
        return []

    def metrics(self):
        """{name: value} of the OpenMetrics text, without labels (the histogram's buckets are left out)."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(5)
            line.connect(str(self.metrics_socket))
            line.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b""
            while data := line.recv(65536):
                text += data
        found = re.findall(r"^(bulkhead_\w+)(?:\{[^}]*\})? ([0-9.e+-]+)$", text.decode(), re.M)
        return {name: float(value) for name, value in found if not name.endswith("_bucket")}

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.guest.note(f"{self.device.name}: does not end on SIGTERM")
        for pid, _, _ in below(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


class Guest:
    """QEMU, and what its devices need.  Use with `with`."""

    def __init__(self, name, devices, windows=True, smp=1, qemu="", tools=False):
        self.name = name
        self.devices = devices
        self.windows = windows
        self.smp = smp
        self.program = qemu or str(make_qemu.make() / "bin" / "qemu-system-aarch64")
        self.tools = tools
        self.files = make_gate.folder()
        self.gates = {}
        self.lines = queue.Queue()
        self.count = 0
        self.qemu = None
        self.begin = time.monotonic()
        self.listeners = []

    def __enter__(self):
        logs = cache.root() / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self.log = tempfile.NamedTemporaryFile("w", dir=logs, prefix="gate-", delete=False,
                                               suffix=f"-{self.name.replace(' ', '-')}.log")
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-gate.", dir="/tmp"))
        self.place()
        return self

    def __exit__(self, *_):
        if self.qemu and self.qemu.poll() is None:
            self.qemu.kill()
            self.qemu.wait()
        for gate in self.gates.values():
            gate.end()
        shutil.rmtree(self.folder, ignore_errors=True)
        self.log.close()

    def note(self, text):
        self.log.write(f"[{time.monotonic() - self.begin:7.2f}] {text}\n")
        self.log.flush()

    def place(self):
        at = RAM_BASE + PRIVATE
        for device in self.devices:
            device.address = at
            at += RING_PART + device.window

    def memory(self):
        if not self.windows:
            return ["-machine", "virt,gic-version=3,memory-backend=ram", "-m", f"{PRIVATE // MIB}M",
                    "-object", f"memory-backend-memfd,id=ram,size={PRIVATE},share=on"]
        parts = [("private", PRIVATE, "memory-backend-ram", "")]
        for device in self.devices:
            parts += [(f"{device.name}-rings", RING_PART, "memory-backend-memfd", ",share=on"),
                      (f"{device.name}-data", device.window, "memory-backend-memfd", ",share=on")]
            if device.mode in ("direct", "none"):
                parts[-2:] = [(f"{device.name}-window", RING_PART + device.window,
                               "memory-backend-memfd", ",share=on")]
        command = ["-machine", "virt,gic-version=3", "-m", f"{sum(p[1] for p in parts) // KIB}K"]
        for node, (name, size, kind, more) in enumerate(parts):
            processors = f",cpus=0-{self.smp - 1}" if node == 0 else ""
            command += ["-object", f"{kind},id={name},size={size}{more}",
                        "-numa", f"node,nodeid={node},memdev={name}{processors}"]
        return command

    def hardware(self):
        command = [self.program, *self.memory(), "-accel", "tcg", "-cpu", "cortex-a57",
                   "-smp", str(self.smp), "-nodefaults", "-no-user-config", "-display", "none",
                   "-global", "virtio-mmio.force-legacy=false"]
        for number, device in enumerate(self.devices):
            platform = ",iommu_platform=on" if self.windows else ""
            command += ["-chardev", f"socket,id={device.name},path={self.folder / device.name}.sock",
                        "-device", f"{device.front}{platform},chardev={device.name},"
                                   f"bus=virtio-mmio-bus.{SLOTS - 1 - number}"]
        if self.tools:
            command += ["-blockdev", "driver=file,node-name=tools,read-only=on,"
                                     f"filename={self.files / 'tools.ext4'}",
                        "-device", "virtio-blk-device,drive=tools,serial=tools,bus=virtio-mmio-bus.0"]
        return command

    def tree(self):
        """QEMU's own device tree with a reservation for each window."""
        path = self.folder / "tree.dtb"
        # Only the machine counts for it: with the devices QEMU would wait for their back ends.
        machine = self.memory()
        machine[1] += f",dumpdtb={path}"
        subprocess.run([self.program, *machine, "-cpu", "cortex-a57", "-smp", str(self.smp),
                        "-display", "none", "-nodefaults", "-no-user-config"], check=True,
                       stdout=self.log, stderr=self.log)

        def put(node, name, *values, kind="x"):
            subprocess.run(["fdtput", "-t", kind, str(path), node, name, *values], check=True)

        subprocess.run(["fdtput", "-c", str(path), "/reserved-memory"], check=True)
        put("/reserved-memory", "#address-cells", "2")
        put("/reserved-memory", "#size-cells", "2")
        put("/reserved-memory", "ranges")
        for number, device in enumerate(self.devices):
            node = f"/reserved-memory/window@{device.address:x}"
            slot = f"/virtio_mmio@{0x0a000000 + (SLOTS - 1 - number) * 0x200:x}"
            subprocess.run(["fdtput", "-c", str(path), node], check=True)
            put(node, "compatible", "restricted-dma-pool", kind="s")
            put(node, "reg", "0", f"{device.address:x}", "0", f"{RING_PART + device.window:x}")
            put(node, "phandle", f"{0x7000 + number:x}")
            put(slot, "memory-region", f"{0x7000 + number:x}")
        return ["-dtb", str(path)]

    def start(self):
        """Gates and back ends, then the guest; returns when it takes commands."""
        for device in self.devices:
            self.gates[device.name] = Gate(self, device)
        command = [*self.hardware(), "-serial", "stdio", "-qmp",
                   f"unix:{self.folder / 'qmp'},server=on,wait=off",
                   "-kernel", str(make_kernel.folder() / "Image"),
                   "-initrd", str(self.files / "initrd"),
                   "-append", "console=ttyAMA0 quiet loglevel=3 panic=-1",
                   *(self.tree() if self.windows else [])]
        self.note(" ".join(command))
        self.qemu = subprocess.Popen([*TIED, *command], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=self.log)
        threading.Thread(target=self.read, daemon=True).start()
        self.wait_for("BULKHEAD boot")
        return self

    def read(self):
        for raw in self.qemu.stdout:
            line = raw.decode(errors="replace").strip("\r\n")
            self.note(line)
            for listener in self.listeners:
                listener(line)
            self.lines.put(line)
        self.lines.put(None)

    def wait_for(self, text, patience=PATIENCE):
        """Takes lines until one begins with that text; gives all of them."""
        end, seen = time.monotonic() + patience, []
        while True:
            try:
                line = self.lines.get(timeout=max(0, end - time.monotonic()))
            except queue.Empty:
                raise Failure(f"the guest never said '{text}' within {patience} s, "
                              f"but: {seen[-5:]}") from None
            if line is None:
                raise Failure(f"the guest ended instead of saying '{text}': {seen[-5:]}")
            seen.append(line)
            # A background program may have begun the line.
            if text in line:
                return seen

    def begin_command(self, command):
        """Types a command; gives its tag."""
        self.count += 1
        tag = f"t{self.count}"
        self.note(f"> {tag} {command}")
        self.qemu.stdin.write(f"{tag} {command}\n".encode())
        self.qemu.stdin.flush()
        return tag

    def command(self, command, patience=PATIENCE):
        """Runs a command in the guest: (its lines, its status)."""
        tag = self.begin_command(command)
        lines = self.wait_for(f"BULKHEAD done {tag} ", patience)
        return lines[:-1], int(lines[-1].rpartition(" ")[2])

    def must(self, command, patience=PATIENCE):
        lines, status = self.command(command, patience)
        if status != 0:
            raise Failure(f"'{command}' ended with {status} in the guest: {lines[-10:]}")
        return lines

    def monitor(self, **request):
        """One command on QMP."""
        with socket.socket(socket.AF_UNIX) as line:
            line.settimeout(PATIENCE)
            line.connect(str(self.folder / "qmp"))
            stream = line.makefile("rw")
            stream.readline()
            for message in ({"execute": "qmp_capabilities"}, request):
                stream.write(json.dumps(message) + "\n")
                stream.flush()
                while "event" in (answer := json.loads(stream.readline())):
                    pass
            return answer

    def reset(self):
        """Pulls the reset line; returns when the guest takes commands again."""
        self.note("reset")
        self.monitor(execute="system_reset")
        self.wait_for("BULKHEAD boot")
