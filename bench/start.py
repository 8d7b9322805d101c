#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How long a guest takes to start: `bulkhead run` beside the bare QEMU command, in turns.

    bench/start.py [--rounds N] [--build FOLDER]

What it is: the time from the start of the command to the first word of the guest's init, for the
example's kernel and root with disk, entropy and console: as Bulkhead's processes, and as QEMU's
own devices.  Both run on the same QEMU, one after the other, so that the machine's load meets both.
What it is not: a statement about hardware.  Where the processor is emulated, most of the time is
the emulator's; the difference is what Bulkhead adds.
"""
import argparse
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools" / "guest"))
sys.dont_write_bytecode = True

import image  # noqa: E402  (found through the line above)
import make_example  # noqa: E402
import make_kernel  # noqa: E402
import make_qemu  # noqa: E402

COMMAND_LINE = "console=hvc0 root=/dev/vda rw quiet"
READY = b"cluster: ready"


DEFINITION = """bulkhead: 1
name: start
engine: {{ accelerator: tcg }}
resources:
  root: {{ type: disk, image: bulkhead.ext4 }}
  random: {{ type: entropy }}
guests:
  cluster:
    arch: arm64
    memory: 128M
    boot: {{ kernel: {kernel}, command-line: {command_line} }}
    devices:
      root: {{ type: blk, resource: root, window: 8M }}
      entropy: {{ type: rng, resource: random, window: 1M }}
      terminal: {{ type: console, window: 5M }}
policy:
  - {{ guest: cluster, resource: root, allow: [read, write, flush] }}
  - {{ guest: cluster, resource: random, allow: [read] }}
"""


def definition(folder, kernel):
    path = folder / "platform.yaml"
    path.write_text(DEFINITION.format(kernel=kernel, command_line=COMMAND_LINE))
    return path


def bare_command(qemu, kernel, disk):
    return [str(qemu), "-machine", "virt,gic-version=3", "-accel", "tcg", "-cpu", "cortex-a57",
            "-m", "142M", "-smp", "1", "-nodefaults", "-display", "none", "-no-reboot", "-global",
            "virtio-mmio.force-legacy=false", "-blockdev",
            f"driver=file,node-name=root,filename={disk}",
            "-device", "virtio-blk-device,drive=root", "-device", "virtio-rng-device",
            "-chardev", "stdio,id=terminal,signal=off", "-device", "virtio-serial-device",
            "-device", "virtconsole,chardev=terminal",
            "-kernel", str(kernel), "-append", COMMAND_LINE]


def measure(command, environment):
    """Milliseconds until the guest is ready.  The process is ended afterwards."""
    begin = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, env=environment) as process:
        said = []
        for line in process.stdout:
            said.append(line)
            if READY in line:
                took = (time.monotonic() - begin) * 1000
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=60)
                return took
        process.wait()
    raise SystemExit(f"{command[0]} ended before the guest was ready:\n"
                     + b"".join(said[-20:]).decode(errors="replace"))


def main():
    parser = argparse.ArgumentParser(description="How long a guest takes to start.")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "gcc")
    options = parser.parse_args()
    kernel = make_kernel.folder() / "Image"
    qemu = make_qemu.make() / "bin"
    folder = pathlib.Path(tempfile.mkdtemp(prefix="bulkhead-start.", dir="/tmp"))
    environment = {"PATH": f"{qemu}:/usr/bin:/bin", "XDG_RUNTIME_DIR": str(folder),
                   "LC_ALL": "C.UTF-8"}
    try:
        for name in ("bulkhead", "bare"):
            image.copy_disk(make_example.folder() / "cluster.ext4", folder / f"{name}.ext4")
        commands = {
            "bare QEMU": bare_command(qemu / "qemu-system-aarch64", kernel, folder / "bare.ext4"),
            "bulkhead run": [str(options.build / "cli" / "bulkhead"), "run", "--state",
                             str(folder / "state"), str(definition(folder, kernel))],
        }
        times = {name: [] for name in commands}
        # The first round fills the host's page cache, and does not count.
        for number in range(options.rounds + 1):
            for name, command in commands.items():
                took = measure(command, environment)
                if number > 0:
                    times[name].append(took)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bare, ours = times.values()
    print(f"until the guest's init, {options.rounds} rounds: median, fastest")
    for name, values in times.items():
        print(f"{name:13} {statistics.median(values):6.0f} ms {min(values):6.0f} ms")
    print(f"{'difference':13} {statistics.median(ours) - statistics.median(bare):+6.0f} ms "
          f"{min(ours) - min(bare):+6.0f} ms")


if __name__ == "__main__":
    main()
