#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests that are no Linux on its own device tree: firmware that reads the disk, an x86 guest, and the oldest QEMU that
is supported.
"""
import pathlib
import subprocess

import rig

import make_guest  # noqa: E402  (found through rig)
import tap  # noqa: E402

U_BOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
EDK2 = "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd"
HOST_PATH = "/usr/bin:/bin"
STARTUP = "echo hello from the disk\r\nreset -s\r\n"


class Firmware(rig.Rig):
    def firmware(self, path, disk):
        guest = {"arch": "arm64", "memory": "256M", "boot": {"firmware": path}, "stop-within": "2s",
                 "devices": {"disk": {"type": "blk", "resource": disk.stem}}}
        return self.run_platform(self.define({"cluster": guest}, [disk]))

    def test_u_boot_lists_an_ext4_disk(self):
        run = self.firmware(U_BOOT, self.disk())
        uart = run.attach("cluster")
        uart.expect("stop autoboot")
        uart.type("")
        uart.expect("=> ")
        uart.type("virtio scan; virtio info")
        self.assertIn("256.0 MB", uart.expect("=> "))
        uart.type("ext4ls virtio 0 /etc")
        self.assertIn("hostname", uart.expect("=> "))
        uart.type("ext4load virtio 0 $loadaddr /etc/hostname; md.b $loadaddr 8")
        self.assertIn("cluster", uart.expect("=> "))
        uart.type("poweroff")
        self.assertEqual(run.end(), rig.OK, run.tail())

    def test_edk2_runs_a_script_from_a_fat_disk(self):
        disk = self.folder / "fat.raw"
        with open(disk, "wb") as handle:
            handle.truncate(16 << 20)
        script = self.folder / "startup.nsh"
        script.write_bytes(STARTUP.encode())
        subprocess.run(["mformat", "-i", str(disk), "::"], check=True)
        subprocess.run(["mcopy", "-i", str(disk), str(script), "::startup.nsh"], check=True)
        run = self.firmware(EDK2, disk)
        run.wait_for("hello from the disk", timeout=120)
        self.assertEqual(run.end(), rig.OK, run.tail())


class Others(rig.Rig):
    def test_linux_on_x86(self):
        parts = make_guest.make("amd64")
        disk = self.folder / "root.ext4"
        rig.image.copy_disk(parts / "root.img", disk)
        guest = {"arch": "x86_64", "memory": "512M",
                 "boot": {"kernel": str(parts / "kernel"), "initrd": str(parts / "initrd"),
                          "command-line": "console=ttyS0 quiet panic=-1 bulkhead.mode=none "
                                          "bulkhead.serial=test"},
                 "devices": {"root": {"type": "blk", "resource": "root", "serial": "test"},
                             "entropy": {"type": "rng", "resource": "random"}}}
        run = self.run_platform(self.define({"cluster": guest}, [disk]))
        run.wait_for("BULKHEAD ok root-on-disk", timeout=120)
        run.wait_for("BULKHEAD ok serial")
        run.wait_for("BULKHEAD ok kernel-log-clean")
        self.assertEqual(run.end(), rig.OK, run.tail())

    def test_oldest_engine(self):
        version = subprocess.check_output(["qemu-system-aarch64", "--version"], text=True,
                                          env={"PATH": HOST_PATH})
        self.assertIn("version 7.2", version)
        devices = rig.usual("cluster")
        del devices["terminal"]
        guest = rig.linux(devices)
        guest["boot"]["command-line"] = rig.LINUX.replace("hvc0", "ttyAMA0")
        run = self.run_platform(self.define({"cluster": guest}, [self.disk()]), path=HOST_PATH)
        run.wait_for_guests("cluster")
        shell = run.shell("cluster")
        output, status = shell.command(
            "fio --name=v --directory=/root --size=8M --bs=16k --rw=randwrite --verify=crc32c "
            "--do_verify=1 --verify_fatal=1 --direct=1 --ioengine=libaio --iodepth=8")
        self.assertEqual(status, 0, output)
        self.assertIn("virtio", shell.command("cat /sys/class/misc/hw_random/rng_current")[0])
        self.assertEqual(run.stop(), rig.OK, run.tail())


if __name__ == "__main__":
    tap.main()
