#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests of layout v1 beside the usual: a program without an operating system, from its header to its end, and a Linux
whose devices lie in other slots than they would by themselves.
"""
import shutil
import subprocess

import rig

import tap  # noqa: E402  (found through rig)

HELLO = rig.ROOT / "guest" / "hello"


class Bare(rig.Rig):
    # [BH-LAY-14, BH-LAY-16]
    def test_program_is_built_and_run(self):
        folder = self.folder / "hello"
        shutil.copytree(HELLO, folder)
        subprocess.run(["make", "-s", "-C", str(folder), f"BULKHEAD={rig.BULKHEAD}"], check=True, capture_output=True)
        run = self.run_platform(folder / "platform.yaml")
        run.wait_for("hello ", "all is where the header says")
        self.assertEqual(run.end(), rig.OK, run.tail())

    def test_program_that_is_not_there(self):
        folder = self.folder / "hello"
        shutil.copytree(HELLO, folder)
        self.refused(folder / "platform.yaml", "[boot-image]", "hello.elf")

    # [BH-LAY-6]
    def test_linux_in_other_slots(self):
        """Each device works by the interrupt of its slot: the root, and the terminal of the shell."""
        devices = rig.usual("cluster")
        for name, slot in ("root", 31), ("entropy", 17), ("terminal", 0):
            devices[name]["slot"] = slot
        run = self.run_platform(self.define({"cluster": rig.linux(devices)}, [self.disk()]))
        run.wait_for_guests("cluster")
        output, status = run.shell("cluster").command("ls /sys/bus/platform/devices; grep virtio /proc/interrupts")
        for address, interrupt in ("a003e00", 79), ("a002200", 65), ("a000000", 48):
            self.assertIn(f"{address}.virtio", output)
            self.assertRegex(output, fr"GICv3 +{interrupt} +Edge")
        self.assertEqual(status, 0, output)
        self.assertEqual(run.stop(), rig.OK, run.tail())


if __name__ == "__main__":
    tap.main()
