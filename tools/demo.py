#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows examples/hello at work, for demo.sh: two guests, six devices, each a process of its own.

    demo.py BULKHEAD          the program to show

What it is: two boots of the platform, through the commands that a user has: run, status, attach,
stop.  In the first boot each guest writes a file, in the second it finds it; between, it is shown
what each device's process has mapped of its guest's memory.  Then a hostile back end tries its luck
(demo_hostile.py).  Ends with 0 if all of that held.
What it is not: a test of everything.  See tests/run/.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools" / "guest"))
sys.dont_write_bytecode = True

sys.path.insert(0, str(ROOT / "tools"))

import make_example  # noqa: E402  (found through the lines above)
import make_qemu  # noqa: E402
import terminal  # noqa: E402

PLATFORM = "hello"
DEFINITION = "examples/hello/platform.yaml"
GUESTS = ("cluster", "ivi")
PATIENCE = 60  # seconds
MIB = 1 << 20
BOLD, GREEN, RED, PLAIN = (("\033[1m", "\033[32m", "\033[31m", "\033[0m") if sys.stdout.isatty()
                           else ("", "", "", ""))


class Failure(Exception):
    """It did not hold; the text says what."""


def say(text):
    print(f"\n{BOLD}== {text}{PLAIN}", flush=True)


def show(text):
    for line in text.rstrip("\n").splitlines():
        print(f"   {line}", flush=True)


def held(text):
    print(f"   {GREEN}ok{PLAIN}  {text}", flush=True)


class Platform:
    """One `bulkhead run`: its lines are kept, those that tell something are shown."""

    def __init__(self, program, state):
        self.program = program
        self.lines = []
        self.changed = threading.Condition()
        self.begin = time.monotonic()
        self.process = subprocess.Popen([program, "run", "--state", state, DEFINITION],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT, text=True, errors="replace")
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line.rstrip())
                self.changed.notify()
        with self.changed:
            self.lines.append(None)
            self.changed.notify()

    def wait_for(self, text):
        """The line of the run that holds that text."""
        def found():
            return [line for line in self.lines if line is None or text in line]
        with self.changed:
            if not self.changed.wait_for(found, PATIENCE) or found()[0] is None:
                raise Failure(f"the run never said '{text}', but:\n" + "\n".join(
                    line for line in self.lines[-30:] if line is not None))
            return found()[0]

    def ask(self, *command):
        """What another bulkhead command prints about this run."""
        done = subprocess.run([self.program, *command], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=PATIENCE)
        if done.returncode != 0:
            raise Failure(f"bulkhead {' '.join(command)} ended with {done.returncode}:\n"
                          f"{done.stdout}")
        return done.stdout

    def guest_says(self, guest, *commands):
        """Types commands on the guest's terminal, as `bulkhead attach` gives it; the outputs."""
        with subprocess.Popen([self.program, "attach", f"{PLATFORM}/{guest}"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE) as attached:
            try:
                shell = terminal.Terminal(attached.stdout.fileno(), attached.stdin.fileno())
                shell.prompt(guest)
                return [shell.command(command)[0] for command in commands]
            finally:
                attached.terminate()

    def stop(self):
        """Shuts both guests down; fails if they did not do it by themselves."""
        begin = time.monotonic()
        show(self.ask("stop", PLATFORM))
        status = self.process.wait(PATIENCE)
        if status != 0:
            raise Failure(f"bulkhead run ended with {status}:\n" + "\n".join(
                line for line in self.lines[-30:] if line is not None))
        held(f"both guests shut down in order, {time.monotonic() - begin:.1f} s")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()


def boot(platform):
    for guest in GUESTS:
        _, _, text = platform.wait_for(f"{guest}: ready").rpartition(f"{guest}: ")
        show(f"{guest:8} {text}")
    held(f"both guests are up, {time.monotonic() - platform.begin:.1f} s")


def show_memory(platform):
    say("bulkhead status: what each device's process has mapped of its guest, as /proc says")
    show(platform.ask("status", PLATFORM))
    print()
    for guest in json.loads(platform.ask("status", "--json", PLATFORM))["guests"]:
        windows, private = guest["memory"]["shared"], guest["memory"]["private"]
        for device in guest["devices"]:
            others = [name for name in device["mapped_windows"]
                      if name.split("/")[0] != guest["name"]]
            if not device["mapped"] or device["mapped"] > windows or others:
                raise Failure(f"{guest['name']}/{device['name']} has mapped {device['mapped']} "
                              f"bytes ({', '.join(device['mapped_windows'])})")
        held(f"{guest['name']:8} {private // MIB}M of its {(windows + private) // MIB}M are its "
             "own: no process but its engine has them")


def first_boot(platform, letter):
    boot(platform)
    show_memory(platform)
    say("A file on the disk, random bytes from the entropy device: typed on each guest's terminal")
    for guest in GUESTS:
        _, source, random = platform.guest_says(
            guest, f"echo '{letter} to {guest}' >/root/letter; sync",
            "cat /sys/class/misc/hw_random/rng_current",
            "dd if=/dev/hwrng bs=16 count=1 2>/dev/null | hexdump -ve '1/1 \"%02x\"'")
        if "virtio" not in source or len(random) != 32:
            raise Failure(f"{guest}: no entropy: {source!r} {random!r}")
        held(f"{guest:8} {random} from {source}")


def second_boot(platform, letter):
    boot(platform)
    for guest in GUESTS:
        found, = platform.guest_says(guest, "cat /root/letter")
        if found != f"{letter} to {guest}":
            raise Failure(f"{guest} finds '{found}' instead of the file of its first boot")
        held(f"{guest:8} finds its file: {found}")


def attack(program):
    os.environ["BULKHEAD_BUILD"] = str(pathlib.Path(program).resolve().parent.parent)
    import demo_hostile  # pylint: disable=import-outside-toplevel  (it looks at the variable above)
    try:
        demo_hostile.show(held)
    except demo_hostile.rig.Failure as failure:
        raise Failure(str(failure)) from failure


def run(program):
    letter = f"a letter of {time.strftime('%H:%M:%S')}"
    os.chdir(ROOT)
    os.environ["PATH"] = f"{make_qemu.make() / 'bin'}:{os.environ['PATH']}"
    make_example.make()
    # The audit log of a demonstration is nobody's evidence.
    with tempfile.TemporaryDirectory(prefix="bulkhead-demo.") as state:
        for title, visit in (("First boot", first_boot), ("Second boot", second_boot)):
            say(f"{title}: bulkhead run {DEFINITION}")
            with Platform(program, state) as platform:
                visit(platform, letter)
                say("bulkhead stop: each guest is asked to shut down")
                platform.stop()
    say("A hostile back end: a Linux guest with a secret in its memory, and fio on a disk that lies")
    attack(program)
    say("All of it held.")


def main():
    parser = argparse.ArgumentParser(description="Shows examples/hello at work.")
    parser.add_argument("bulkhead", help="the program to show")
    try:
        run(os.path.abspath(parser.parse_args().bulkhead))
    except (Failure, terminal.Closed, subprocess.TimeoutExpired) as failure:
        print(f"\n{RED}PROBLEM{PLAIN} {failure}\n\nTo begin with fresh disks: "
              "tools/guest/make_example.py --fresh", flush=True)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
