#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How a run ends: in order or not, by whom, with which exit status; and that nothing is left of it (rig.py looks)."""
import os
import signal

import rig

import tap  # noqa: E402  (found through rig)


class InOrder(rig.Rig):
    def test_interrupt(self):
        run = self.run_one()
        self.assertEqual(run.stop(), rig.OK, run.tail())
        self.assertTrue(run.said("cluster: stopping"), run.tail())

    def test_terminate(self):
        run = self.run_one()
        run.signal(signal.SIGTERM)
        self.assertEqual(run.end(), rig.OK, run.tail())

    def test_stop_command(self):
        run = self.run_one()
        self.assertIn("test has ended", run.bulkhead("stop", "test"))
        self.assertEqual(run.end(), rig.OK, run.tail())

    def test_interrupt_while_it_boots(self):
        definition = self.define({"cluster": rig.linux(rig.usual("cluster"))}, [self.disk()])
        run = self.run_platform(definition)
        run.wait_for("cluster")  # any word about the guest
        run.signal(signal.SIGINT)
        # A guest that does not listen yet is ended after its time; one that does ends in order.
        self.assertIn(run.end(), (rig.OK, rig.GUEST), run.tail())

    def test_other_guest_goes_on_when_one_powers_off(self):
        disks = [self.disk("cluster"), self.disk("ivi")]
        guests = {name: rig.linux(rig.usual(name)) for name in ("cluster", "ivi")}
        run = self.run_platform(self.define(guests, disks))
        run.wait_for_guests("cluster", "ivi")
        run.shell("ivi").type("poweroff")
        self.assertEqual(run.wait_for_state("ivi", "stopped"), "stopped")
        self.assertEqual(run.shell("cluster").command("echo alive")[0], "alive")
        self.assertEqual(run.stop(), rig.OK, run.tail())


class ByAGuest(rig.Rig):
    def test_panic(self):
        run = self.run_one()
        run.shell("cluster").type("echo c >/proc/sysrq-trigger")
        run.wait_for("Kernel panic")
        self.assertEqual(run.end(), rig.GUEST, run.tail())

    def test_reset(self):
        run = self.run_one()
        run.shell("cluster").type("reboot")
        self.assertEqual(run.end(), rig.GUEST, run.tail())

    def test_reset_that_is_allowed(self):
        run = self.run_one(**{"on-reset": "restart"})
        shell = run.shell("cluster")
        shell.type("reboot")
        run.wait_for("cluster: ready, boot 2 ")
        shell.expect("boot 2 ")
        shell.prompt("cluster")
        self.assertEqual(shell.command("echo alive")[0], "alive")
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def deaf(self):
        """A guest that does not know its power key."""
        guest = rig.linux(rig.usual("cluster"), **{"stop-within": "2s"})
        guest["boot"]["command-line"] = rig.LINUX + " init=/bin/sh"
        run = self.run_platform(self.define({"cluster": guest}, [self.disk()]))
        run.wait_for("cluster: runs")
        run.attach("cluster").expect("# ")
        return run

    def test_guest_that_does_not_shut_down(self):
        run = self.deaf()
        self.assertEqual(run.stop(), rig.GUEST, run.tail())

    def test_second_interrupt_does_not_wait(self):
        run = self.deaf()
        run.signal(signal.SIGINT)
        run.wait_for_state("cluster", "stopping")
        run.signal(signal.SIGINT)
        self.assertNotEqual(run.end(), rig.OK, run.tail())


class ByViolence(rig.Rig):
    def test_engine_killed(self):
        run = self.run_one()
        os.kill(run.guest("cluster")["pid"], signal.SIGKILL)
        self.assertEqual(run.end(), rig.ENGINE, run.tail())

    def test_other_guest_goes_on_when_a_back_end_cannot_be_replaced(self):
        disks = [self.disk("cluster"), self.disk("ivi")]
        guests = {name: rig.linux(rig.usual(name)) for name in ("cluster", "ivi")}
        guests["ivi"]["devices"]["root"]["limits"] = {"restarts": 1}
        run = self.run_platform(self.define(guests, disks))
        run.wait_for_guests("cluster", "ivi")
        first = run.device("ivi", "root")["pid"]
        os.kill(first, signal.SIGKILL)
        run.wait_for("ivi: another back end of root took over")
        os.kill(run.device("ivi", "root")["pid"], signal.SIGKILL)
        self.assertEqual(run.wait_for_state("ivi", "failed"), "failed")
        output, status = run.shell("cluster").command(
            "echo still >/root/here; sync; cat /root/here")
        self.assertEqual((output, status), ("still", 0))
        self.assertEqual(run.stop(), rig.BACKEND, run.tail())

    def test_supervisor_killed(self):
        run = self.run_one()
        run.signal(signal.SIGKILL)
        run.end()
        # Its children have gone too, and the images are free: the next run takes over the folder.
        self.assertEqual([rest for rest in self.settled(files=False)], [])
        again = self.run_platform(self.folder / "test.yaml")
        again.wait_for_guests("cluster")
        self.assertEqual(again.stop(), rig.OK, again.tail())


if __name__ == "__main__":
    tap.main()
