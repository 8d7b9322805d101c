# SPDX-License-Identifier: BSD-2-Clause
"""A guest whose disk is served by a vhost-user-blk back end: the two processes and their console.

What it is: command lines for QEMU and the back end, starting and stopping both, the guest's
console line by line.  Guests run under TCG: /dev/kvm often exists where it cannot run a kernel,
and what these tests show is functional.
What it is not: a test.  See run_guest.py and reconnect.py.
"""
import dataclasses
import pathlib
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

TOOLS = pathlib.Path(__file__).resolve().parent.parent.parent / "tools" / "guest"
sys.path.insert(0, str(TOOLS))
sys.dont_write_bytecode = True

import cache  # noqa: E402  (found through the lines above)
import make_guest  # noqa: E402

MEMORY = "256M"
SERIAL = "bulkhead-disk-0042"
# The name that QEMU's own storage daemon gives every disk that it exports.
QEMU_SERIAL = "vhost_user_blk"
DEBIAN_NAMES = {"arm64": "arm64", "x86": "amd64"}
QEMU_NAMES = {"arm64": "qemu-system-aarch64", "x86": "qemu-system-x86_64"}


# A test that is killed itself leaves no guest running.  (A back end's sandbox drops the tie.)
TIED = ["setpriv", "--pdeathsig", "KILL"]


class Failure(Exception):
    """The run could not go on; the text says why."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What one run is made of."""
    arch: str
    transport: str
    ring: str
    queues: int
    daemon: str
    qemu: str = ""
    mode: str = "checks"
    timeout: int = 240

    def name(self):
        plural = "" if self.queues == 1 else "s"
        mode = "" if self.mode == "checks" else f" {self.mode}"
        return f"{self.arch} {self.transport} {self.ring} {self.queues} queue{plural}{mode}"

    def reference(self):
        """Whether the back end is QEMU's storage daemon: a control for the tests themselves."""
        return pathlib.Path(self.daemon).name == "qemu-storage-daemon"

    def serial(self):
        return QEMU_SERIAL if self.reference() else SERIAL


def qemu_program(options):
    return options.qemu or QEMU_NAMES[options.arch]


def qemu_version(program):
    """(major, minor) of a QEMU."""
    text = subprocess.check_output([program, "--version"], text=True)
    return tuple(int(part) for part in text.split("version ")[1].split(".")[:2])


def processor_khz():
    """About how fast the host's time stamp counter runs, which an x86 guest sees under TCG."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("cpu MHz"):
            return int(float(line.split(":")[1]) * 1000)
    return 2000000


def qemu_command(options, guest, socket):
    machine = {
        ("arm64", "mmio"): "virt,gic-version=3",
        ("arm64", "pci"): "virt,gic-version=3",
        ("x86", "mmio"): "microvm,acpi=on",
        ("x86", "pci"): "q35",
    }[options.arch, options.transport]
    program = qemu_program(options)
    chardev = f"socket,id=disk,path={socket}"
    if options.mode in ("restarts", "restarts-through"):
        chardev += ",reconnect-ms=300" if qemu_version(program) >= (9, 2) else ",reconnect=1"
    device = "vhost-user-blk-pci" if options.transport == "pci" else "vhost-user-blk"
    console = "ttyAMA0" if options.arch == "arm64" else "ttyS0"
    settings = {"mode": options.mode, "transport": options.transport, "ring": options.ring,
                "queues": options.queues, "serial": options.serial(),
                # Nobody has told QEMU's storage daemon to cache, so it starts without.
                "cache": "through" if options.reference() else "back"}
    append = f"console={console} quiet loglevel=3 panic=-1 mitigations=off "
    firmware = []
    if machine.startswith("microvm"):
        # SeaBIOS may lay the ACPI tables where QEMU lays the initrd; qboot keeps them below 1 MiB.
        firmware = ["-bios", "qboot.rom"]
        # There is no clock to measure the processor with but the PIT, which a busy host delays.
        append += f"tsc_early_khz={processor_khz()} "
    append += " ".join(f"bulkhead.{name}={value}" for name, value in settings.items())
    return [
        program, "-machine", f"{machine},memory-backend=ram", "-accel", "tcg", *firmware,
        "-cpu", "cortex-a57" if options.arch == "arm64" else "max",
        "-m", MEMORY, "-object", f"memory-backend-memfd,id=ram,size={MEMORY},share=on",
        # Linux uses no more queues than it has processors.
        "-smp", str(max(2, options.queues)),
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
        "-global", "virtio-mmio.force-legacy=false",
        "-chardev", chardev,
        "-device", f"{device},chardev=disk,num-queues={options.queues},"
                   f"packed={'on' if options.ring == 'packed' else 'off'}",
        "-kernel", str(guest / "kernel"), "-initrd", str(guest / "initrd"), "-append", append,
    ]


def daemon_command(options, socket, image):
    read_only = options.mode == "read-only"
    if options.reference():
        return [options.daemon,
                "--blockdev", f"driver=file,node-name=file,filename={image},discard=unmap,"
                              f"read-only={'on' if read_only else 'off'}",
                "--export", "type=vhost-user-blk,id=disk,node-name=file,"
                            f"writable={'off' if read_only else 'on'},"
                            f"num-queues={options.queues},addr.type=unix,addr.path={socket}"]
    command = [options.daemon, "--socket-path", str(socket), "--blk-file", str(image),
               "--num-queues", str(options.queues), "--serial", SERIAL]
    if read_only:
        command.append("--read-only")
    if options.mode in ("write-through", "restarts-through"):
        command.append("--write-through")
    return command


def listening(socket):
    """Whether someone listens on that path (connecting would be taken for a front end)."""
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if len(fields) == 8 and fields[7] == str(socket) and int(fields[3], 16) & 0x10000:
            return True
    return False


class Vm:
    """One guest with its disk in a folder of its own.  Use with `with`."""

    def __init__(self, options, log):
        self.options = options
        self.log = log
        self.lines = queue.Queue()
        self.daemon = None
        self.qemu = None
        self.start = time.monotonic()

    def __enter__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-guest."))
        self.image = self.folder / "disk.img"
        self.socket = self.folder / "disk.sock"
        self.guest = make_guest.make(DEBIAN_NAMES[self.options.arch])
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", "--no-preserve=mode",
                        str(self.guest / "root.img"), str(self.image)], check=True)
        self.image.chmod(0o600)
        return self

    def __exit__(self, *_):
        for process in (self.qemu, self.daemon):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def note(self, text):
        self.log.write(f"[{time.monotonic() - self.start:7.2f}] {text}\n")
        self.log.flush()

    def start_daemon(self):
        command = daemon_command(self.options, self.socket, self.image)
        self.note("back end: " + " ".join(command))
        self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.log,
                                       stderr=self.log)
        # A successor waits for the last I/O of the one before it.
        deadline = time.monotonic() + 60
        while not listening(self.socket):
            if self.daemon.poll() is not None:
                raise Failure(f"the back end did not start: exit code {self.daemon.returncode}")
            if time.monotonic() > deadline:
                raise Failure("the back end does not listen")
            time.sleep(0.01)

    def kill_daemon(self):
        self.daemon.kill()
        self.daemon.wait()

    def stop_daemon(self):
        """Asks the back end to end; gives its exit code."""
        self.daemon.send_signal(signal.SIGTERM)
        try:
            return self.daemon.wait(10)
        except subprocess.TimeoutExpired:
            raise Failure("the back end does not end on SIGTERM") from None

    def start_qemu(self):
        command = qemu_command(self.options, self.guest, self.socket)
        self.note("front end: " + " ".join(command))
        self.qemu = subprocess.Popen(TIED + command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                     stderr=self.log)
        threading.Thread(target=self._read_console, daemon=True).start()

    def say(self, text):
        """Types a line on the guest's console."""
        self.qemu.stdin.write(text.encode() + b"\n")
        self.qemu.stdin.flush()

    def _read_console(self):
        for raw in self.qemu.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            self.note(line)
            self.lines.put(line)
        self.lines.put(None)

    def line(self, timeout):
        """The next line of the console; None at its end."""
        try:
            return self.lines.get(timeout=timeout)
        except queue.Empty:
            return ""

    def console(self):
        """All lines of the console until the guest ends."""
        deadline = time.monotonic() + self.options.timeout
        while (line := self.line(1)) is not None:
            if self.daemon.poll() is not None:
                raise Failure(f"the back end ended by itself with {self.daemon.returncode}")
            if time.monotonic() > deadline:
                raise Failure(f"the guest is not done after {self.options.timeout} s")
            if "reboot: " in line:
                # The kernel's last word; a machine that cannot turn itself off must not hang here.
                deadline = min(deadline, time.monotonic() + 10)
            if line:
                yield line
        self.qemu.wait()
        if self.qemu.returncode != 0:
            raise Failure(f"QEMU ended with {self.qemu.returncode}")


def log_file(options):
    """A fresh log in the cache; it stays after the run, so that a failure can be looked into."""
    folder = cache.root() / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    name = f"-{options.name().replace(' ', '-')}.log"
    return tempfile.NamedTemporaryFile("w", dir=folder, prefix="", suffix=name, delete=False)
