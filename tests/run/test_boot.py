#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Linux guests on `bulkhead run`: their disks keep what they write, each device works, and no device's process has more
of a guest's memory than the windows.
"""
import concurrent.futures
import os
import pathlib
import re

import rig

import tap  # noqa: E402  (found through rig)

FIO = ("fio --name=verify --directory=/root --size=16M --bsrange=4k-64k --rw=randwrite "
       "--verify=crc32c --do_verify=1 --verify_fatal=1 --direct=1 --ioengine=libaio --iodepth=16 "
       "--fallocate=none")


def shared_bytes(pid):
    """What of guests' memory that process has mapped: read here, beside what `status` says."""
    total = 0
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        found = re.match(r"([0-9a-f]+)-([0-9a-f]+) .*/memfd:bulkhead:", line)
        if found:
            total += int(found.group(2), 16) - int(found.group(1), 16)
    return total


class Boot(rig.Rig):
    def run_two(self):
        disks = [self.disk("cluster"), self.disk("ivi")]
        guests = {"cluster": rig.linux(rig.usual("cluster")),
                  "ivi": rig.linux(rig.usual("ivi"), cpus=2, memory="256M")}
        run = self.run_platform(self.define(guests, disks))
        run.wait_for_guests("cluster", "ivi")
        return run

    def test_both_guests_write_and_verify_at_once(self):
        run = self.run_two()
        shells = [run.shell(guest) for guest in ("cluster", "ivi")]
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for output, status in pool.map(lambda shell: shell.command(FIO), shells):
                self.assertEqual(status, 0, output)
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_second_boot_finds_what_the_first_wrote(self):
        definition = self.define({"cluster": rig.linux(rig.usual("cluster"))}, [self.disk()])
        for boot, command in ((1, "echo durable >/root/file"), (2, "cat /root/file")):
            run = self.run_platform(definition)
            run.wait_for(f"cluster: ready, boot {boot} ")
            shell = run.shell("cluster")
            output, status = shell.command(command)
            self.assertEqual(status, 0, output)
            # From inside, without a word from the host.
            shell.type("poweroff")
            self.assertEqual(run.end(), rig.OK, run.tail())
        self.assertEqual(output, "durable")

    def test_initrd(self):
        guest = rig.linux(rig.usual("cluster"))
        guest["boot"]["initrd"] = str(rig.make_example.folder() / "initrd")
        guest["boot"]["command-line"] = "console=hvc0 quiet"
        run = self.run_platform(self.define({"cluster": guest}, [self.disk()]))
        run.wait_for_guests("cluster")
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_read_only_disk(self):
        disk = self.disk()
        before = disk.read_bytes()
        guest = rig.linux(rig.usual("cluster"))
        guest["boot"]["command-line"] = rig.LINUX.replace(" rw ", " ro ")
        definition = self.define({"cluster": guest}, [disk], read_only=True)
        run = self.run_platform(definition)
        run.wait_for_guests("cluster")
        self.assertEqual(run.shell("cluster").command("cat /sys/block/vda/ro")[0], "1")
        self.assertEqual(run.stop(), rig.OK, run.tail())
        self.assertEqual(disk.read_bytes(), before)

    def test_random_bytes(self):
        run = self.run_one()
        shell = run.shell("cluster")
        self.assertIn("virtio", shell.command("cat /sys/class/misc/hw_random/rng_current")[0])
        read = "dd if=/dev/hwrng bs=512 count=8 2>/dev/null | sha256sum"
        first, second = shell.command(read)[0], shell.command(read)[0]
        self.assertNotEqual(first, second)
        self.assertNotEqual(first, shell.command("sha256sum </dev/null")[0])
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_back_ends_have_the_windows_and_nothing_else(self):
        run = self.run_two()
        for name, private in (("cluster", 128 << 20), ("ivi", 256 << 20)):
            guest = run.guest(name)
            windows = sum(device["window"] for device in guest["devices"])
            self.assertEqual(guest["memory"], {"private": private, "shared": windows})
            for device in guest["devices"]:
                # Its own window, and of that not the rings.
                self.assertEqual(device["mapped_windows"], [f"{name}/{device['name']}"])
                self.assertLess(device["mapped"], device["window"], device)
                self.assertGreater(device["mapped"], device["window"] // 2, device)
                if os.geteuid() == 0:  # to its own user a back end is a stranger
                    self.assertEqual(shared_bytes(device["pid"]), device["mapped"], device)
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_terminal_has_one_user_at_a_time(self):
        run = self.run_one()
        run.shell("cluster")
        with self.assertRaisesRegex(rig.Failure, "detach"):
            run.attach("cluster")
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_twelve_windows_that_are_larger_than_the_memory(self):
        disks = [self.disk()]
        devices = rig.usual("cluster")
        for number in range(9):
            disk = self.folder / f"extra-{number}.raw"
            disk.write_bytes(f"disk {number}\n".encode().ljust(1 << 20, b"\0"))
            disks.append(disk)
            devices[disk.stem] = {"type": "blk", "resource": disk.stem}
        for device in devices.values():
            device["window"] = "16M"
        run = self.run_platform(self.define({"cluster": rig.linux(devices)}, disks))
        run.wait_for_guests("cluster")
        shell = run.shell("cluster")
        output, status = shell.command("for disk in /dev/vd[b-j]; do head -n 1 $disk; done")
        self.assertEqual(sorted(output.splitlines()), [f"disk {number}" for number in range(9)])
        output, status = shell.command(FIO)
        self.assertEqual(status, 0, output)
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_disks_are_named_in_the_order_of_the_definition(self):
        disk = self.folder / "second.raw"
        disk.write_bytes(b"second".ljust(1 << 20, b"\0"))
        devices = dict(rig.usual("cluster"), second={"type": "blk", "resource": "second"})
        run = self.run_platform(self.define({"cluster": rig.linux(devices)}, [self.disk(), disk]))
        run.wait_for_guests("cluster")
        self.assertEqual(run.shell("cluster").command("head -c 6 /dev/vdb")[0], "second")
        self.assertEqual(run.stop(), rig.OK, run.tail())


if __name__ == "__main__":
    tap.main()
