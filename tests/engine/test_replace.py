#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Back ends and gates that are over while their guest runs: another one takes over, or what the definition says
follows."""

import os
import signal
import socket
import subprocess

import engine


class BackEnds(engine.Case):
    guests = ('a', 'b')

    def kill(self, run, name='root', number=signal.SIGKILL, guest='a'):
        """Ends it, and waits for another one."""
        pid = run.device(name, guest)['pid']
        os.kill(pid, number)
        self.wait_until(lambda: run.device(name, guest)['pid'] not in (0, pid) and
                        run.device(name, guest)['state'] == 'running', 'another one', run)

    def test_killed(self):
        run = self.start_running()
        for name in ('root', 'entropy', 'terminal'):
            self.kill(run, name)
            self.assertEqual(run.device(name)['gate']['restarts'], 1)
        self.assertEqual(run.guest('b')['devices'][0]['gate']['restarts'], 0)
        self.assertEqual([entry['device'] for entry in run.audit('device') if entry['reason'] == 'back-end-died'],
                         ['root', 'entropy', 'terminal'])
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_ends_in_order(self):
        run = self.start_running()
        self.kill(run, number=signal.SIGTERM)
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_one_is_started_ahead(self):
        """It waits for its predecessor, and is the one that follows it."""
        run = self.start_running()
        for _ in range(3):
            self.wait_until(lambda: len(run.audit_spares()) == 1, 'one that stands by', run)
            spare = run.audit_spares()[0]
            self.kill(run)
            self.assertEqual(run.device('root')['pid'], spare)
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_spare_that_is_killed(self):
        run = self.start_running()
        self.wait_until(lambda: len(run.audit_spares()) == 1, 'one that stands by', run)
        os.kill(run.audit_spares()[0], signal.SIGKILL)
        self.wait_until(lambda: not run.audit_spares(), 'its end', run)
        self.kill(run)
        self.assertEqual(run.device('root')['gate']['restarts'], 1)
        self.assertEqual(run.stop(), engine.OK, run.text())

    def too_often(self, keys):
        """The disk of b is killed once more than it may be."""
        self.define(root=', limits: { restarts: 2 }, ' + keys)
        run = self.start_running()
        for _ in range(2):
            self.kill(run, guest='b')
        os.kill(run.device('root', 'b')['pid'], signal.SIGKILL)
        run.wait_for('the back end of its device root cannot be replaced: it was replaced too often')
        return run

    def test_too_often(self):
        """By default that ends the guest, and no other."""
        run = self.too_often('on-failure: stop-guest')
        self.wait_until(lambda: run.guest('b')['state'] == 'failed', 'its end', run)
        self.assertEqual(run.guest('a')['state'], 'running')
        self.assertEqual(run.stop(), engine.BACKEND, run.text())

    def test_first_failure_counts(self):
        self.script('deaf')
        run = self.too_often('on-failure: stop-guest')
        self.assertEqual(run.stop(), engine.BACKEND, run.text())
        self.assertIn('error: a: it did not shut down', run.text())

    def test_too_often_detach(self):
        run = self.too_often('on-failure: detach')
        self.wait_until(lambda: run.device('root', 'b')['state'] == 'failed', 'no other one', run)
        self.assertEqual((run.guest('b')['state'], run.device('entropy', 'b')['state']), ('running', 'running'))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_too_often_stop(self):
        run = self.too_often('on-failure: stop')
        self.assertEqual(run.end(), engine.BACKEND, run.text())
        self.assertIn('a: shut down', run.text())

    def test_too_often_reset(self):
        """The guest begins anew, with another back end; what its own resets mean is as it was."""
        run = self.too_often('on-failure: reset-guest')
        self.wait_until(lambda: run.device('root', 'b')['state'] == 'running', 'another one', run)
        self.wait_until(lambda: run.lines('b/uart') == ['may be reset', 'was reset', 'may not be reset'],
                        'a reset', run)
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_cannot_start(self):
        """One that ends with an error before it has served: the next one would fare no better."""
        self.define(keys={'a': ['ready-when: { message: go }'], 'b': ['after: [a]']})
        self.script('pause', 'pause', 'print go\\n')
        run = self.start()
        run.wait_for('| a: runs')
        os.truncate(os.path.join(self.folder, 'b.img'), 0)
        run.wait_for('error: b: the back end of its device root (bulkhead-blk) ended by itself: exit code 1')
        self.assertEqual(run.guest('a')['state'], 'running')
        self.assertEqual(run.stop(), engine.BACKEND, run.text())


class Gates(engine.Case):
    guests = ('a', 'b')

    def kill(self, run):
        pid = run.guest()['gate']['pid']
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: run.guest()['gate']['pid'] not in (0, pid) and run.guest()['gate']['ready'],
                        'another gate', run)

    def test_killed(self):
        run = self.start_running()
        before = [device['pid'] for device in run.guest()['devices']]
        others = [device['pid'] for device in run.guest('b')['devices']]
        self.kill(run)
        self.wait_until(lambda: all(device['state'] == 'running' and device['pid'] not in (0, *before)
                                    for device in run.guest()['devices']), 'other back ends', run)
        self.assertEqual(run.guest()['gate']['restarts'], 1)
        self.assertEqual([device['gate']['restarts'] for device in run.guest()['devices']], [0, 0, 0])
        self.assertEqual([device['pid'] for device in run.guest('b')['devices']], others)
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_hangs(self):
        """It does not answer: it is ended."""
        run = self.start_running()
        pid = run.guest()['gate']['pid']
        os.kill(pid, signal.SIGSTOP)
        self.wait_until(lambda: run.guest()['gate']['pid'] not in (0, pid) and run.guest()['gate']['ready'],
                        'another gate', run)
        self.assertIn('its gate is ended: it does not answer', run.text())
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_killed_with_a_back_end_that_hangs(self):
        """It may not write for a gate that is gone."""
        run = self.start_running()
        pid = run.device('root')['pid']
        os.kill(pid, signal.SIGSTOP)
        self.kill(run)
        self.wait_until(lambda: run.device('root')['pid'] not in (0, pid) and run.device('root')['state'] == 'running',
                        'another one', run)
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_killed_too_often(self):
        run = self.start_running()
        for _ in range(20):
            self.kill(run)
        os.kill(run.guest()['gate']['pid'], signal.SIGKILL)
        run.wait_for('error: a: its gate ended by itself too often: signal 9')
        self.assertEqual(run.guest('b')['state'], 'running')
        self.assertEqual(run.stop(), engine.BACKEND, run.text())

    def test_killed_while_it_stops(self):
        self.script('deaf')
        run = self.start_running()
        run.signal(signal.SIGTERM)
        self.wait_until(lambda: run.guest()['state'] == 'stopping', 'the stop', run)
        self.kill(run)
        self.assertEqual(run.end(), engine.GUEST, run.text())


class Numbers(engine.Case):
    def ask(self, request):
        with socket.socket(socket.AF_UNIX) as visitor:
            visitor.connect(os.path.join(self.runtime, 'bulkhead', self.platform, 'metrics'))  # waits for its turn
            visitor.settimeout(engine.PATIENCE)
            if request is not None:
                visitor.sendall(request)
            answer = b''
            while part := visitor.recv(65536):
                answer += part
        head, _, text = answer.decode().partition('\r\n\r\n')
        return head.split('\r\n'), text

    def test_metrics(self):
        run = self.start_running()
        for request in (None, b'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n', b'nonsense' * 1000):
            head, text = self.ask(request)
            self.assertEqual(head[0], 'HTTP/1.1 200 OK')
            self.assertTrue(any('application/openmetrics-text' in line for line in head), head)
            self.assertTrue(text.endswith('# EOF\n'), text[-100:])
            self.assertIn('guest="a",device="root"', text.replace(' ', ''))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_visitors_that_stay(self):
        """They do not keep others from their answer, nor the platform from its end."""
        run = self.start_running()
        visitors = []
        for _ in range(40):
            visitors.append(socket.socket(socket.AF_UNIX))
            self.addCleanup(visitors[-1].close)
            visitors[-1].connect(os.path.join(self.runtime, 'bulkhead', self.platform, 'metrics'))
        self.assertTrue(self.ask(None)[1].endswith('# EOF\n'))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_events(self):
        run = self.start_running()
        pid = run.device('root')['pid']
        os.kill(pid, signal.SIGKILL)
        self.wait_until(lambda: any(entry['reason'] == 'back-end-died' for entry in run.audit('device')),
                        'its end', run)
        for more in ([], ['--state', self.state]):
            done = subprocess.run([engine.BULKHEAD, 'events', *more], env=self.environment, capture_output=True,
                                  text=True, timeout=engine.PATIENCE, check=True)
            self.assertRegex(done.stdout, r'(?m)^\S+Z +a/root +back-end-died +connection closed value=1$')
            self.assertRegex(done.stdout, r'(?m)^\S+Z +a +gate started +')
        self.assertEqual(run.stop(), engine.OK, run.text())


if __name__ == '__main__':
    engine.main()
