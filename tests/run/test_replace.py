#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Back ends and gates that are killed under a Linux guest that writes, syncs, reads back and compares all the while:
it notices nothing but time."""
import os
import re
import signal
import threading
import time

import rig

import tap  # noqa: E402  (found through rig)

# Each round writes a file, forces it to the disk, drops it from memory, and compares what is read with what was
# written. Only the end of the loop says something: a line of its own.
VERIFY = ("now() {{ cut -d. -f1 /proc/uptime; }}; end=$(($(now)+{seconds})); bad=0; i=0;"
          " while [ $i -lt {rounds} ] || [ $(now) -lt $end ]; do dd if=/dev/urandom of=/root/data bs=64k count=4 2>/dev/null;"
          " before=$(md5sum </root/data); sync; echo 3 >/proc/sys/vm/drop_caches; after=$(md5sum </root/data);"
          " [ \"$before\" = \"$after\" ] || bad=$((bad+1)); i=$((i+1)); done;"
          " dmesg | grep -ciE 'i/o error|ext4-fs error|needs reset'; echo $bad of $i")


class Replaced(rig.Rig):
    def run_guest(self, isolation=None):
        devices = rig.usual("cluster")
        for device in devices.values():
            if isolation is not None:
                device["isolation"] = isolation
            if isolation in ("bounce", "open"):
                del device["window"]
        run = self.run_platform(self.define({"cluster": rig.linux(devices)}, [self.disk()]))
        run.wait_for_guests("cluster")
        return run

    def verify(self, run, disturb, rounds=20, seconds=0, shell=None):
        """The guest's verdict after so many rounds and seconds; `disturb` is called again and again meanwhile."""
        done = threading.Event()

        def torment():
            while not done.wait(0.3):
                disturb()

        tormentor = threading.Thread(target=torment)
        shell = shell or run.shell("cluster")
        tormentor.start()
        try:
            output, status = shell.command(VERIFY.format(rounds=rounds, seconds=seconds))
        finally:
            done.set()
            tormentor.join()
        self.assertEqual(status, 0, run.tail())
        self.assertRegex(output, r"\A0\n0 of \d+\Z", run.tail())

    def killer(self, run, name, number=signal.SIGKILL):
        """Ends the back end of that device, or the gate, once it serves."""
        control = run.control()

        def kill():
            guest = next(guest for guest in control.call(request="status")[0]["status"]["guests"])
            if name == "gate":
                ready, pid = guest["gate"]["ready"], guest["gate"]["pid"]
            else:
                device = next(device for device in guest["devices"] if device["name"] == name)
                ready, pid = device["gate"]["state"] == "serving", device["pid"]
            if ready and pid:
                os.kill(pid, number)
        return kill

    def restarts(self, run):
        return run.device("cluster", "root")["gate"]["restarts"]

    def torture(self, isolation):
        run = self.run_guest(isolation)
        self.verify(run, self.killer(run, "root"), seconds=10)
        self.assertGreaterEqual(self.restarts(run), 5, run.tail())
        stalls = sorted(entry["value"] for entry in run.audit("device") if entry["reason"] == "replaced")
        print(f"# {isolation}: {len(stalls)} back ends replaced, {stalls[len(stalls) // 2]} us in the middle, "
              f"{stalls[-1]} us at most")
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_disk_killed_shadow(self):
        self.torture("shadow")

    def test_disk_killed_bounce(self):
        self.torture("bounce")

    def test_disk_killed_direct(self):
        self.torture("direct")

    def test_disk_killed_open(self):
        self.torture("open")

    def test_entropy_killed(self):
        run = self.run_guest()
        shell = run.shell("cluster")
        self.verify(run, self.killer(run, "entropy"), seconds=3, shell=shell)
        output, status = shell.command("dd if=/dev/hwrng bs=64 count=4 2>/dev/null | wc -c")
        self.assertEqual((output, status), ("256", 0))
        self.assertGreaterEqual(run.device("cluster", "entropy")["gate"]["restarts"], 1)
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_console_killed(self):
        """What somebody types goes on, and nothing is printed twice."""
        run = self.run_guest()
        shell = run.shell("cluster")
        for number in range(5):
            pid = run.device("cluster", "terminal")["pid"]
            os.kill(pid, signal.SIGKILL)
            run.wait_for("another back end of terminal took over")
            self.assertEqual(shell.command(f"echo number {number}"), (f"number {number}", 0))
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_disk_stopped(self):
        """It hangs, and is replaced after its deadline."""
        devices = rig.usual("cluster")
        devices["root"]["limits"] = {"deadline": "1s"}
        run = self.run_platform(self.define({"cluster": rig.linux(devices)}, [self.disk()]))
        run.wait_for_guests("cluster")
        os.kill(run.device("cluster", "root")["pid"], signal.SIGSTOP)
        self.verify(run, lambda: None, rounds=3)
        self.assertEqual(self.restarts(run), 1)
        self.assertEqual([entry["reason"] for entry in run.audit("device") if entry["reason"].startswith("back-end")],
                         ["back-end-hung"])
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_gate_killed(self):
        run = self.run_guest()
        self.verify(run, self.killer(run, "gate"), seconds=5)
        self.assertGreaterEqual(run.guest("cluster")["gate"]["restarts"], 2)
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_gate_stopped(self):
        """It does not answer, and is ended."""
        run = self.run_guest()
        os.kill(run.guest("cluster")["gate"]["pid"], signal.SIGSTOP)
        self.verify(run, lambda: None, rounds=5)
        self.assertEqual(run.guest("cluster")["gate"]["restarts"], 1)
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_other_guest_notices_nothing(self):
        disks = [self.disk("cluster"), self.disk("ivi")]
        guests = {name: rig.linux(rig.usual(name)) for name in ("cluster", "ivi")}
        run = self.run_platform(self.define(guests, disks))
        run.wait_for_guests("cluster", "ivi")
        before = [device["pid"] for device in run.guest("ivi")["devices"]] + [run.guest("ivi")["gate"]["pid"]]
        os.kill(run.device("cluster", "root")["pid"], signal.SIGKILL)
        run.wait_for("cluster: another back end of root took over")
        after = [device["pid"] for device in run.guest("ivi")["devices"]] + [run.guest("ivi")["gate"]["pid"]]
        self.assertEqual(before, after)
        self.assertEqual(run.stop(), rig.OK, run.tail())


class Told(rig.Rig):
    """What is said of it."""

    def test_status_and_events(self):
        run = self.run_one()
        shell = run.shell("cluster")
        shell.command("dd if=/dev/zero of=/root/data bs=1M count=4 2>/dev/null; sync")
        time.sleep(0.5)  # so that one stands by
        os.kill(run.device("cluster", "root")["pid"], signal.SIGKILL)
        shell.command("sync; ls -l /root >/dev/null; echo 3 >/proc/sys/vm/drop_caches; ls -lR /bin >/dev/null")
        table = run.bulkhead("status")
        self.assertRegex(table, r"(?m)^  root +blk +running +\d+ +shadow +8M +\d+[KM] +[1-9]\d+ +[1-9]\d* +\d+ +1 +"
                                r"\d+\.\dms$")
        self.assertRegex(table, r"; gate \(pid \d+\)")
        events = run.bulkhead("events")
        self.assertRegex(events, r"(?m)^\S+Z +cluster/root +back-end-died +")
        self.assertTrue(re.search(r"(?m)^\S+Z +cluster/root +replaced +.*value=\d+$", events), events)
        self.assertEqual(run.stop(), rig.OK, run.tail())


if __name__ == "__main__":
    tap.main()
