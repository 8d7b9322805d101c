#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Back ends of other projects, as they are, behind the gate; a Linux guest does verified I/O on them. TAP.

What it is: QEMU's storage daemon, virtiofsd (the one in C and the one in Rust) and vhost-device-vsock, of Debian 12
and of a newer Debian, each in shadow and in bounce.
What it is not: a test of replacement. See torture.py.
"""
import hashlib
import os
import pathlib
import shutil
import socket
import threading
import unittest

import rig
import stamps

import make_back_ends
import tap

OLD_VIRTIOFSD = "/usr/lib/qemu/virtiofsd"
FIO = ("chroot /tools /usr/bin/fio --output-format=normal --direct=1 --ioengine=libaio --iodepth=8 --verify=crc32c "
       "--verify_fatal=1 --verify_state_save=0 --do_verify=1 --randrepeat=0 --rw=randwrite --bsrange=4k-64k "
       "--name=fio --offset=16M --size=2M --filename=$DISK")
PORT = 4321
PIECE = 16384  # of what goes through vsock


def newer(program):
    return str(make_back_ends.make() / "bin" / program)


class Cases(unittest.TestCase):
    """Every back end in one mode."""
    mode = ""

    def guest(self, front, **more):
        """A started guest with one device behind the gate."""
        device = rig.Device("device", front, mode=self.mode, **more)
        guest = rig.Guest(f"{self.id().partition('.')[2]}", [device], windows=self.mode == "shadow", tools=True)
        self.enterContext(guest)
        self.addCleanup(self.look, guest)
        return guest.start()

    def look(self, guest):
        """The back end never had to be replaced, and the guest saw nothing wrong."""
        guest.must("complaints")
        if self.mode != "none":
            reasons = {event["reason"] for event in guest.gates["device"].events()}
            self.assertFalse(reasons - {"none", "front-end-gone"}, reasons)
            self.assertTrue(guest.gates["device"].metrics()["bulkhead_gate_requests_total"] > 0)
        pathlib.Path(guest.log.name).unlink()

    def folder(self):
        path = pathlib.Path("/tmp") / f"bulkhead-third.{os.getpid()}"
        path.mkdir()
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def disk(self, program):
        image = self.folder() / "disk.img"
        with open(image, "wb") as handle:
            handle.truncate(48 * rig.MIB)
        guest = self.guest("vhost-user-blk,num-queues=1,queue-size=128", command=[program, *rig.qsd(image)[1:]])
        area = stamps.Range(0, 16 * rig.MIB, 1, 16)
        guest.must("tools")
        guest.must(f"rm -f /tmp/stop; (sleep 3; touch /tmp/stop) & stamp run $DISK {area.arguments()} 32 16 /tmp/stop")
        guest.must(FIO)
        guest.must(f"stamp check $DISK {area.arguments()} 16")
        self.assertEqual(area.problems(image, (10, 10)), [])

    def test_storage_daemon_of_debian_12(self):
        self.disk("qemu-storage-daemon")

    def test_storage_daemon_newer(self):
        self.disk(newer("qemu-storage-daemon"))

    def files(self, command):
        """Files go both ways through a shared folder, and its names, rights and links are what they should be."""
        folder = self.folder()
        ours = os.urandom(3 * rig.MIB + 123)
        (folder / "ours").write_bytes(ours)
        for number in range(50):
            (folder / f"small-{number}").write_text(f"number {number}\n")
        guest = self.guest("vhost-user-fs-device,tag=shared", type="26",
                           command=[word.replace("{folder}", str(folder)) for word in command])
        guest.must("mount -t virtiofs shared /mnt")
        lines = guest.must("sha256sum /mnt/ours")
        self.assertIn(hashlib.sha256(ours).hexdigest(), " ".join(lines))
        lines = guest.must("cat /mnt/small-* | wc -l; ls /mnt | wc -l")
        self.assertEqual([line.strip() for line in lines], ["50", "51"])
        lines = guest.must("dd if=/dev/urandom of=/tmp/theirs bs=100k count=25 2>/dev/null; sha256sum </tmp/theirs; "
                           "cp /tmp/theirs /mnt/theirs && sync && mv /mnt/theirs /mnt/moved && rm /mnt/small-7 && "
                           "chmod 640 /mnt/moved && mkdir /mnt/sub && ln -s ../moved /mnt/sub/link && "
                           "echo 3 >/proc/sys/vm/drop_caches && cmp /tmp/theirs /mnt/sub/link")
        sums = " ".join(lines)
        self.assertIn(hashlib.sha256((folder / "moved").read_bytes()).hexdigest(), sums)
        self.assertEqual((folder / "moved").stat().st_mode & 0o777, 0o640)
        self.assertFalse((folder / "small-7").exists())
        guest.must("umount /mnt")

    @unittest.skipUnless(os.path.exists(OLD_VIRTIOFSD), "there is no virtiofsd of QEMU 7.2 (qemu-system-common)")
    def test_virtiofsd_in_c(self):
        self.files([OLD_VIRTIOFSD, "--socket-path={socket}", "-o", "source={folder}", "-o", "cache=auto"])

    def test_virtiofsd_newer(self):
        self.files([newer("virtiofsd"), "--socket-path={socket}", "--shared-dir={folder}", "--sandbox=none"])

    def test_vsock_newer(self):
        """A program on the host sends a megabyte to one in the guest, and gets it back, piece by piece: with more
        under way in both directions this back end stalls without a gate, too."""
        folder = self.folder()
        guest = self.guest("vhost-user-vsock-device", type="19",
                           command=[newer("vhost-device-vsock"), "--vm",
                                    f"guest-cid=3,socket={{socket}},uds-path={folder}/vsock"])
        sent, back = os.urandom(rig.MIB), bytearray()

        def talk(listener):
            line = listener.accept()[0]
            line.settimeout(rig.PATIENCE)
            for at in range(0, len(sent), PIECE):
                line.sendall(sent[at:at + PIECE])
                while len(back) < at + PIECE:
                    back.extend(line.recv(PIECE))
            line.close()

        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(f"{folder}/vsock_{PORT}")
            listener.listen()
            talker = threading.Thread(target=talk, args=(listener,), daemon=True)
            talker.start()
            guest.must(f"vsock_echo {PORT} {len(sent)}")
            talker.join(rig.PATIENCE)
        self.assertEqual(hashlib.sha256(sent).digest(), hashlib.sha256(back).digest())


class Shadow(Cases):
    mode = "shadow"


class Bounce(Cases):
    mode = "bounce"


class Alone(Cases):
    """Without a gate: a control for the tests themselves."""
    mode = "none"


if os.environ.get("BULKHEAD_ALONE"):
    del Shadow, Bounce
else:
    del Alone
del Cases

if __name__ == "__main__":
    tap.main()
