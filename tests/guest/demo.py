#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows a Linux guest that lives on bulkhead-blk, for demo.sh.

    demo.py --daemon PATH

Two boots of an arm64 guest in the host's QEMU, its ext4 root on the disk.  In the first, fio writes
and verifies while the back end is killed and started again; between, what the back end may still
do is read from /proc; in the second, the guest finds its file.  Ends with 0 if all of that held.
"""
import argparse
import os
import pathlib
import sys
import time

import vm

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
STATUS = {
    "NoNewPrivs": "no new privileges (1: on)",
    "Seccomp": "system call filter (2: on)",
    "CapEff": "capabilities",
    "CapBnd": "capabilities it could ever get",
}


def say(text):
    print(f"{BOLD}== {text}{PLAIN}", flush=True)


def show_sandbox(pid):
    """What the kernel, not the program, says about the back end."""
    say(f"What the back end (pid {pid}) may do, as /proc says")
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in STATUS:
            print(f"   {STATUS[name] + ':':34}{value.strip()}")
    try:
        own = {name: os.readlink(f"/proc/self/ns/{name}") for name in ("user", "mnt", "net", "ipc")}
        apart = [name for name, link in own.items()
                 if os.readlink(f"/proc/{pid}/ns/{name}") != link]
        files = {os.readlink(entry) for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir()}
    except PermissionError:
        # It made itself not dumpable: to its own user it is a stranger.
        print(f"   {'namespaces, open files:':34}only root may look", flush=True)
        return
    print(f"   {'namespaces of its own:':34}{' '.join(apart) or 'none'}")
    names = ", ".join(name.rsplit("/", 1)[-1] for name in sorted(files))
    print(f"   {'open:':34}{names}", flush=True)


class Show:
    """One boot: prints what the guest reports, and disturbs it on the way."""

    def __init__(self, guest, disturb):
        self.guest = guest
        self.disturb = disturb
        self.ok = set()
        self.bad = []

    def kill(self):
        time.sleep(1)
        say("SIGKILL to the back end while fio runs, and a new one on the same socket")
        self.guest.kill_daemon()
        self.guest.start_daemon()

    def take(self, line):
        _, found, rest = line.partition("BULKHEAD ")
        kind, _, rest = rest.partition(" ")
        if not found or kind == "end":
            return
        name, _, text = rest.partition(" ")
        # The guest reports what it wanted and what it found; here the second is enough.
        print(f"   guest: {name:18}{text.rpartition('found ')[2]}", flush=True)
        if kind == "ok":
            self.ok.add(name)
        elif kind == "not-ok":
            self.bad.append(rest)
        elif rest == "fio begins" and self.disturb:
            show_sandbox(self.guest.daemon.pid)
            self.kill()

    def boot(self):
        begin = time.monotonic()
        self.guest.start_daemon()
        self.guest.start_qemu()
        for line in self.guest.console():
            self.take(line)
        code = self.guest.stop_daemon()
        if code != 0:
            self.bad.append(f"the back end ended with {code}")
        print(f"   {time.monotonic() - begin:.0f} s, boot to power off", flush=True)


def run(options):
    with vm.log_file(options) as log, vm.Vm(options, log) as guest:
        first, second = Show(guest, True), Show(guest, False)
        try:
            say("First boot: arm64 Linux, packed ring, 2 queues, in stock QEMU")
            first.boot()
            say("Second boot of the same disk")
            second.boot()
        except vm.Failure as failure:
            first.bad.append(str(failure))
        missing = ({"fio-verify", "kernel-log-clean"} - first.ok) | ({"found"} - second.ok)
        for problem in first.bad + second.bad + [f"no word of {name}" for name in sorted(missing)]:
            print(f"PROBLEM {problem}")
        good = not (first.bad or second.bad or missing)
        say("All of it held." if good else f"That did not work; the whole log: {log.name}")
    return 0 if good else 1


def main():
    parser = argparse.ArgumentParser(description="Shows a Linux guest that lives on bulkhead-blk.")
    parser.add_argument("--daemon", required=True, help="the bulkhead-blk to show")
    daemon = parser.parse_args().daemon
    return run(vm.Options("arm64", "mmio", "packed", 2, daemon, mode="demo", timeout=300))


if __name__ == "__main__":
    sys.exit(main())
