#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How a run ends, by whom, with which exit status and words; engine.Case looks for what is left each time."""

import os
import signal
import socket
import time

import engine


class InOrder(engine.Case):
    guests = ('a', 'b')

    def test_interrupt(self):
        run = self.start_running()
        self.assertEqual(run.stop(), engine.OK, run.text())
        self.assertIn('a: shut down', run.lines('bulkhead'))
        self.assertIn('b: shut down', run.lines('bulkhead'))
        self.assertIn('shutting down', run.lines('a/uart'))

    def test_interrupt_of_the_whole_group(self):
        """Ctrl-C on a terminal goes to every process there: engines and back ends must not take it for theirs."""
        run = self.start_running()
        os.killpg(run.process.pid, signal.SIGINT)
        self.assertEqual(run.end(), engine.OK, run.text())
        self.assertIn('a: shut down', run.lines('bulkhead'))

    def test_terminate_and_hang_up(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            run = self.start_running()
            run.signal(number)
            self.assertEqual(run.end(), engine.OK, run.text())

    def test_stop_request(self):
        run = self.start_running()
        self.assertEqual(run.call(request='stop', guest='a')[0], {'ok': True})
        run.wait_for('a: shut down')
        self.assertEqual(run.guest('a')['state'], 'stopped')
        self.assertEqual(run.guest('b')['state'], 'running')
        self.assertFalse(run.call(request='stop', guest='c')[0]['ok'])
        self.assertEqual(run.call(request='stop')[0], {'ok': True})
        self.assertEqual(run.end(), engine.OK, run.text())

    def test_power_off(self):
        """A guest that turns itself off takes its back ends along, and no other guest."""
        self.script('off')
        run = self.start()
        run.wait_for('a: shut itself down')
        self.assertEqual(run.guest('a')['state'], 'stopped')
        self.assertEqual([device['state'] for device in run.guest('a')['devices']], ['ended'] * 3)
        self.assertEqual([device['state'] for device in run.guest('b')['devices']], ['running'] * 3)
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_all_power_off(self):
        self.script('off')
        self.script('off', guest='b')
        run = self.start()
        self.assertEqual(run.end(), engine.OK, run.text())

    def test_stop_while_starting(self):
        run = self.start()
        run.wait_for('sandbox')
        self.assertIn(run.stop(), (engine.OK, engine.GUEST), run.text())

    def test_service_manager(self):
        path = os.path.join(self.folder, 'notify')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(path)
            manager.settimeout(engine.PATIENCE)
            self.environment['NOTIFY_SOCKET'] = path
            run = self.start()
            self.assertEqual(manager.recv(100), b'READY=1')
            self.assertEqual([run.guest(name)['state'] for name in ('a', 'b')], ['running'] * 2)
            run.signal(signal.SIGTERM)
            self.assertEqual(manager.recv(100), b'STOPPING=1')
            self.assertEqual(run.end(), engine.OK, run.text())


class Guests(engine.Case):
    guests = ('a', 'b')

    def test_reset(self):
        """The guest's last words tell why, though they come by another way than its reset."""
        self.script(r'print [1.0] Kernel panic - not syncing: no root\n', r'print ---[ end ]---\n', 'reset')
        run = self.start()
        run.wait_for('error: a: it reset itself')
        self.assertEqual(run.guest('a')['state'], 'failed')
        self.assertEqual(run.guest('b')['state'], 'running')
        self.assertEqual(run.stop(), engine.GUEST, run.text())
        self.assertIn('  its last words: [1.0] Kernel panic - not syncing: no root', run.lines('bulkhead'))
        self.assertIn('b: shut down', run.lines('bulkhead'))

    def test_panic(self):
        self.script('panic')
        run = self.start()
        run.wait_for('error: a: it crashed')
        self.assertEqual(run.stop(), engine.GUEST, run.text())

    def test_deaf(self):
        self.script('deaf', r'print busy\n')
        run = self.start_running()
        self.assertEqual(run.stop(), engine.GUEST, run.text())
        self.assertIn('error: a: it did not shut down within 3 s, and was ended', run.lines('bulkhead'))
        self.assertIn('b: shut down', run.lines('bulkhead'))

    def test_interrupt_while_stopping(self):
        """Whatever began the stop. SIGTERM only ever begins it: service managers repeat themselves."""
        self.define(stop_within='600s')
        self.script('deaf', 'linger')
        for first in (signal.SIGINT, signal.SIGTERM):
            run = self.start_running()
            run.signal(first)
            run.wait_for('b: shut down')
            run.signal(signal.SIGTERM)
            self.assertEqual(run.guest('a')['state'], 'stopping')
            run.signal(signal.SIGINT)
            self.assertEqual(run.end(), engine.GUEST, run.text())
            self.assertIn('error: a: it was ended at once, as asked', run.lines('bulkhead'))

    def test_engine_that_does_not_go(self):
        """Its guest is off, and the engine stays: it is killed, and the guest has shut down."""
        self.script('linger', 'off')
        run = self.start()
        run.wait_for('a: shut itself down')
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_engine_that_repeats_itself(self):
        """What it says does not give it more time."""
        self.script('boast')
        run = self.start()
        run.wait_for('a: shut itself down')
        self.assertEqual(run.stop(), engine.OK, run.text())


class Engines(engine.Case):
    guests = ('a', 'b')

    def test_killed(self):
        run = self.start_running()
        os.kill(run.guest('a')['pid'], signal.SIGKILL)
        run.wait_for('error: a: its engine')
        self.assertEqual(run.stop(), engine.ENGINE, run.text())
        self.assertIn('signal 9', run.text())
        self.assertNotIn('error: a: the back end', run.text())

    def test_exits(self):
        self.script('exit 7')
        run = self.start()
        run.wait_for('exit code 7')
        self.assertEqual(run.stop(), engine.ENGINE, run.text())

    def test_its_sockets_close_before_it_ends(self):
        """Its back ends end first then, and are not to blame."""
        self.script('drop', 'exit 7')
        run = self.start()
        run.wait_for('error: a: its engine failed')
        self.assertEqual(run.guest('b')['state'], 'running')
        self.assertEqual(run.stop(), engine.ENGINE, run.text())

    def test_refuses(self):
        self.script('refuse')
        run = self.start()
        run.wait_for('error: a: its engine failed: ')
        self.assertIn('it will not', run.text())
        self.assertEqual(run.stop(), engine.ENGINE, run.text())


class BackEnds(engine.Case):
    """What becomes of one that ends while its guest runs: test_replace.py."""

    guests = ('a', 'b')

    def test_hangs(self):
        """A back end that does not end when its guest has is killed, and that is no failure."""
        run = self.start_running()
        os.kill(run.device('entropy')['pid'], signal.SIGSTOP)
        self.assertEqual(run.stop(), engine.OK, run.text())


class Supervisors(engine.Case):
    guests = ('a', 'b')

    def test_killed(self):
        """Its children end with it, and the next run takes its folder over."""
        run = self.start_running()
        children = list(engine.descendants(run.process.pid).values())
        self.assertEqual([children.count(name) for name in ('bulkhead-gate', 'fake_qemu', 'bulkhead-rng')], [2, 2, 2])
        run.process.kill()
        self.assertEqual(run.end(), -signal.SIGKILL)
        self.wait_until(self.gone, 'the children have ended')
        again = self.start_running()
        self.assertEqual(again.stop(), engine.OK, again.text())

    def test_killed_with_a_back_end_that_hangs(self):
        """It does not notice that its front end is gone, and must end all the same."""
        run = self.start_running()
        for name in ('root', 'entropy', 'terminal'):
            os.kill(run.device(name)['pid'], signal.SIGSTOP)
        run.process.kill()
        self.assertEqual(run.end(), -signal.SIGKILL)
        self.wait_until(self.gone, 'the children have ended')
        again = self.start_running()
        self.assertEqual(again.stop(), engine.OK, again.text())

    def test_again_at_once(self):
        """What ends still has the images locked: it is waited for."""
        for _ in range(5):
            run = self.start_running()
            run.process.kill()
            run.process.wait()
            again = self.start_running()
            self.assertEqual(again.stop(), engine.OK, again.text())

    def test_second_of_the_same_name(self):
        run = self.start_running()
        second = engine.subprocess.run([engine.BULKHEAD, 'run', self.definition], env=self.environment, text=True,
                                       capture_output=True, check=False, timeout=engine.PATIENCE)
        self.assertEqual(second.returncode, engine.REFUSED)
        self.assertIn('bulkhead stop test', second.stderr)
        self.assertEqual(run.stop(), engine.OK, run.text())


class Status(engine.Case):
    def test_status(self):
        run = self.start_running()
        limit = time.monotonic() + engine.PATIENCE
        while True:  # the guest runs before its gate has greeted every back end
            answer = run.call(request='status')[0]['status']
            states = {device['state'] for device in answer['guests'][0]['devices']}
            if states == {'running'} or time.monotonic() > limit:
                break
            time.sleep(0.02)
        self.assertEqual((answer['platform'], answer['pid'], answer['state'], answer['definition']),
                         ('test', run.process.pid, 'running', self.definition))
        guest = answer['guests'][0]
        self.assertEqual((guest['engine'], guest['accelerator'] in ('TCG', 'KVM'), guest['criticality']),
                         ('QEMU 11.1', True, 'QM'))
        self.assertEqual(guest['memory'], {'private': 128 << 20,
                                           'shared': sum(device['window'] for device in guest['devices'])})
        for device in guest['devices']:
            # The engine only pretends: nobody was given a window.
            self.assertEqual((device['state'], device['mapped'], device['mapped_windows']), ('running', 0, []))
            self.assertGreater(device['window'], 0)
            self.assertEqual(len(os.listdir('/proc/%d/task' % device['pid'])), 1)
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_path_that_is_no_utf8(self):
        folder = os.path.join(os.fsencode(self.folder), b'caf\xe9')
        os.mkdir(folder)
        for name in ('a.img', 'Image', 'fake_qemu', 'platform.yaml'):
            os.link(os.path.join(self.folder, name), os.path.join(folder, name.encode()))
        self.definition = os.path.join(folder, b'platform.yaml')
        run = self.start_running()
        self.assertEqual(run.call(request='status')[0]['status']['definition'],
                         self.folder + '/caf?/platform.yaml')
        self.assertEqual(run.stop(), engine.OK, run.text())


if __name__ == '__main__':
    engine.main()
