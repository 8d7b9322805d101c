#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a policy does to a running Linux guest: what it may not do fails, what it never may is not offered, and a change
of the vehicle mode counts at once, without a restart.
"""
import os
import pathlib

import rig

import tap  # noqa: E402  (found through rig)

WRITE = ("head -c 4096 /dev/zero | tr '\\0' %s >/tmp/new; "
         "dd if=/tmp/new of=/dev/vdb bs=4096 count=1 oflag=direct 2>&1")
READ = "dd if=/dev/vdb of=/dev/null bs=4096 count=1 iflag=direct 2>&1"


def access(pid, path):
    """How that process has the file open: os.O_RDONLY or os.O_RDWR."""
    for entry in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        if os.readlink(entry) == str(path):
            info = pathlib.Path(f"/proc/{pid}/fdinfo/{entry.name}").read_text()
            flags = next(line.split()[1] for line in info.splitlines() if line.startswith("flags:"))
            return int(flags, 8) & os.O_ACCMODE
    raise rig.Failure(f"process {pid} does not have {path} open")


class Policy(rig.Rig):
    def run_with(self, *lines, **more):
        """A guest with a second disk, for which these lines hold."""
        self.data = self.folder / "data.raw"
        self.data.write_bytes(b"x" * (1 << 20))
        devices = dict(rig.usual("cluster"), data={"type": "blk", "resource": "data"})
        policy = [{"guest": "cluster", "resource": "cluster", "allow": ["read", "write", "flush"]},
                  {"guest": "cluster", "resource": "random", "allow": ["read"]}]
        policy += [{"guest": "cluster", "resource": "data", **line} for line in lines]
        definition = self.define({"cluster": rig.linux(devices)}, [self.disk(), self.data],
                                 policy=policy, **more)
        run = self.run_platform(definition)
        run.wait_for_guests("cluster")
        return run

    def test_mode_lets_a_running_guest_write(self):
        run = self.run_with({"allow": ["read", "flush"]},
                            {"allow": ["write"], "modes": ["workshop"]},
                            modes=["drive", "workshop"])
        shell = run.shell("cluster")
        pid = run.device("cluster", "data")["pid"]
        for mode, letter, allowed in (("drive", "a", False), ("workshop", "b", True),
                                      ("drive", "c", False)):
            run.bulkhead("mode", "test", mode)  # the first one changes nothing
            self.assertIn(f"* {mode}\n", run.bulkhead("mode"))
            before = self.data.read_bytes()
            output, status = shell.command(WRITE % letter)
            self.assertEqual(status == 0, allowed, f"{mode}: {output}")
            if allowed:
                self.assertEqual(self.data.read_bytes()[:2], letter.encode() * 2)
            else:
                self.assertIn("I/O error", output)
                self.assertEqual(self.data.read_bytes(), before)
            self.assertEqual(shell.command(READ)[1], 0)
            self.assertEqual(shell.command("cat /sys/block/vdb/ro")[0], "0")
        self.assertEqual(run.device("cluster", "data")["pid"], pid)  # nothing was started again
        self.assertEqual([(entry["from"], entry["mode"]) for entry in run.audit("mode-changed")],
                         [("drive", "drive"), ("drive", "workshop"), ("workshop", "drive")])
        refused = run.audit("refused")
        self.assertGreater(len(refused), 0)
        self.assertEqual({(entry["guest"], entry["device"]) for entry in refused},
                         {("cluster", "data")})
        self.assertIn("write", refused[0]["text"])
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_disk_that_is_never_written_is_read_only(self):
        run = self.run_with({"allow": ["read"]})
        shell = run.shell("cluster")
        self.assertEqual(shell.command("cat /sys/block/vda/ro /sys/block/vdb/ro")[0].split(),
                         ["0", "1"])
        self.assertNotEqual(shell.command(WRITE % "a")[1], 0)
        self.assertEqual(shell.command(READ)[1], 0)
        if os.geteuid() == 0:  # to its own user a back end is a stranger
            self.assertEqual(access(run.device("cluster", "data")["pid"], self.data), os.O_RDONLY)
            self.assertEqual(access(run.device("cluster", "root")["pid"],
                                    self.folder / "cluster.ext4"), os.O_RDWR)
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_discard_is_offered_if_it_is_ever_allowed(self):
        for allow, offered in ((["read", "write"], False), (["read", "write", "discard"], True)):
            run = self.run_with({"allow": allow})
            most = run.shell("cluster").command("cat /sys/block/vdb/queue/discard_max_bytes")[0]
            self.assertEqual(int(most) > 0, offered, most)
            self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_entropy_waits_for_its_mode(self):
        """A request that was held back is served when the mode allows it."""
        lines = [{"guest": "cluster", "resource": "cluster", "allow": ["read", "write", "flush"]},
                 {"guest": "cluster", "resource": "random", "allow": ["read"],
                  "modes": ["workshop"]}]
        definition = self.define({"cluster": rig.linux(rig.usual("cluster"))}, [self.disk()],
                                 policy=lines, modes=["drive", "workshop"])
        run = self.run_platform(definition)
        run.wait_for_guests("cluster")
        shell = run.shell("cluster")
        shell.command("dd if=/dev/hwrng of=/tmp/random bs=16 count=1 2>/dev/null & sleep 1")
        self.assertEqual(shell.command("wc -c </tmp/random")[0].strip(), "0")
        run.bulkhead("mode", "workshop")
        output, _ = shell.command("wait; wc -c </tmp/random")
        self.assertEqual(output.split()[-1], "16")
        self.assertEqual(run.stop(), rig.OK, run.tail())


if __name__ == "__main__":
    tap.main()
