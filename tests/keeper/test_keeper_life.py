#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bulkhead-gate alone: modes, replacement of back ends and of the inner gate, the end."""

import os
import shutil
import signal
import socket
import subprocess
import time
import unittest

import keeper

COUNT = 4000


class Modes(keeper.Case):
    def serve(self, *arguments, verify=()):
        gate = self.gate(*arguments).wait_served()
        self.assertIsNone(gate.verify(COUNT, *verify), gate.log())
        self.assertIsNone(gate.verify(200, *verify), gate.log())  # the next front end
        self.check_ends(gate)
        return gate

    def test_keeper_bounce(self):
        gate = self.serve('--mode', 'bounce')
        self.assertIn('the back end maps no guest memory', gate.log())

    def test_keeper_bounce_packed(self):
        self.serve('--mode', 'bounce', '--packed', verify=['--packed'])

    def test_keeper_shadow(self):
        gate = self.serve('--mode', 'shadow', '--share', '%#x:1G' % keeper.DATA)
        self.assertNotIn('rings-shared', gate.log())

    def test_keeper_shadow_without_share(self):
        gate = self.serve('--mode', 'shadow')
        self.assertIn('shadow without --share', gate.log())

    def test_keeper_shadow_rings_shared(self):
        gate = self.serve('--mode', 'shadow', '--share', keeper.BOTH)
        self.assertIn('rings-shared', gate.log())

    def test_keeper_direct(self):
        self.serve('--mode', 'direct', '--share', keeper.BOTH)

    def test_keeper_open(self):
        gate = self.serve('--mode', 'open')
        self.assertIn('maps all memory', gate.log())

    def test_keeper_guard(self):
        """Memory that the device may not use is none of its: a request there fails, and nobody else's."""
        gate = self.gate('--mode', 'bounce', '--guard', '%#x:1G' % keeper.RINGS).wait_served()
        self.assertIsNotNone(gate.verify(10))
        self.check_ends(gate)


class Replacement(keeper.Case):
    def kill_backs(self, gate, number, times, which=0):
        background = gate.begin_verify(60000)
        gate.wait_busy()
        for i in range(times):
            time.sleep(0.05)
            keeper.wait_until(lambda: len(gate.backs()) > which, 'a back end')
            os.kill(gate.backs()[which], number)
            gate.wait_for('replaced', i + 1)
        self.assertIsNone(background.join(), gate.log())
        self.assertEqual(len(gate.audit('replaced')), times)
        self.assertEqual(gate.metric('restarts_total'), times)

    def test_keeper_killed(self):
        gate = self.gate('--mode', 'bounce').wait_served()
        self.kill_backs(gate, signal.SIGKILL, 5)
        lines = gate.audit('back-end-died')
        self.assertEqual([line['number'] for line in lines], [1, 2, 3, 4, 5])
        self.assertEqual({line['guest'] for line in lines}, {'front'})
        self.assertEqual({line['device'] for line in lines}, {'blk'})
        self.check_ends(gate)

    def test_keeper_hung(self):
        gate = self.gate('--mode', 'bounce', '--deadline', '300').wait_served()
        self.kill_backs(gate, signal.SIGSTOP, 2)
        self.assertEqual(len(gate.audit('back-end-hung')), 2)
        self.check_ends(gate)

    def test_keeper_spares(self):
        gate = self.gate('--mode', 'bounce', '--spares', '1').wait_served()
        keeper.wait_until(lambda: len(gate.backs()) == 2, 'a spare')
        self.kill_backs(gate, signal.SIGKILL, 3)
        keeper.wait_until(lambda: len(gate.backs()) == 2, 'a spare')
        self.check_ends(gate)

    def test_keeper_spare_dies(self):
        """Nobody notices; the next one that serves gets a spare again."""
        gate = self.gate('--mode', 'bounce', '--spares', '1').wait_served()
        keeper.wait_until(lambda: len(gate.backs()) == 2, 'a spare')
        os.kill(gate.backs()[1], signal.SIGKILL)
        gate.wait_for('the spare back end has ended')
        self.kill_backs(gate, signal.SIGKILL, 1)
        keeper.wait_until(lambda: len(gate.backs()) == 2, 'a spare')
        self.check_ends(gate)

    def test_keeper_too_often(self):
        """After the last restart the guest gets errors, and the gate goes on."""
        gate = self.gate('--mode', 'bounce', '--restarts', '2').wait_served()
        for generation in (1, 2, 3):
            gate.wait_for('back end %d serves' % generation)
            os.kill(gate.backs()[0], signal.SIGKILL)
        gate.wait_for('2 of them were replaced within a minute (--restarts)')
        gate.wait_for('gave-up')
        self.assertEqual(gate.backs(), [])
        self.assertIsNotNone(gate.verify(10))
        self.check_ends(gate)

    def test_keeper_group(self):
        """A helper that the back end forked ends before its successor starts."""
        pids = os.path.join(self.folder, 'pids')
        script = 'sleep 1000 & echo $! >> %s; exec "$@"' % pids
        gate = self.gate('--mode', 'bounce', command=['/bin/sh', '-c', script, 'sh', *self.blk]).wait_served()
        self.kill_backs(gate, signal.SIGKILL, 1)
        with open(pids, encoding='utf-8') as file:
            first, second = [int(line) for line in file]
        self.assertFalse(os.path.exists('/proc/%d' % first))
        self.assertTrue(os.path.exists('/proc/%d' % second))
        self.check_ends(gate)
        self.assertFalse(os.path.exists('/proc/%d/exe' % second))

    def test_keeper_inner_killed(self):
        gate = self.gate('--mode', 'bounce').wait_served()
        background = gate.begin_verify(60000)
        gate.wait_busy()
        for i in range(3):
            os.kill(gate.inner()[0], signal.SIGKILL)
            gate.wait_for('adopted', i + 1)
            time.sleep(0.1)
        self.assertIsNone(background.join(), gate.log())
        self.assertEqual(len(gate.audit('adopted')), 3)
        self.check_ends(gate)

    def test_keeper_inner_too_often(self):
        gate = self.gate('--mode', 'bounce', '--restarts', '2').wait_served()
        for i in range(3):
            gate.wait_for('the inner gate is up', i + 1)
            os.kill(gate.inner()[0], signal.SIGKILL)
        self.assertEqual(gate.process.wait(keeper.PATIENCE), 4, gate.log())
        self.assertIn('the inner gate ended too often (--restarts)', gate.log())

    def test_keeper_inner_stopped(self):
        """One that does not answer is ended, and its successor goes on."""
        gate = self.gate('--mode', 'bounce').wait_served()
        background = gate.begin_verify(60000)
        gate.wait_busy()
        os.kill(gate.inner()[0], signal.SIGSTOP)
        gate.wait_for('the inner gate is ended: it does not answer')
        gate.wait_for('adopted')
        self.assertIsNone(background.join(), gate.log())
        self.check_ends(gate)


class Others(keeper.Case):
    """Back ends that are not started with a connected socket."""

    def start_blk(self, path):
        process = subprocess.Popen([keeper.BLK, '--socket-path', path, '--blk-file', self.image],
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_keeper_socket(self):
        """{socket}: the back end listens, the keeper connects."""
        gate = self.gate('--mode', 'bounce', command=[keeper.BLK, '--socket-path={socket}', '--blk-file', self.image])
        gate.wait_served()
        background = gate.begin_verify(60000)
        gate.wait_busy()
        os.kill(gate.backs()[0], signal.SIGKILL)
        gate.wait_for('replaced')
        self.assertIsNone(background.join(), gate.log())
        self.check_ends(gate)

    @unittest.skipUnless(shutil.which('qemu-storage-daemon'), 'no qemu-storage-daemon')
    def test_keeper_storage_daemon(self):
        gate = self.gate('--mode', 'bounce', command=[
            'qemu-storage-daemon', '--blockdev', 'driver=file,node-name=disk,filename=' + self.image, '--export',
            'type=vhost-user-blk,id=export,node-name=disk,writable=on,addr.type=unix,addr.path={socket}'])
        gate.wait_served()
        background = gate.begin_verify(20000, '--no-zeroes')
        gate.wait_busy()
        os.kill(gate.backs()[0], signal.SIGKILL)
        gate.wait_for('replaced')
        self.assertIsNone(background.join(), gate.log())
        self.check_ends(gate)

    def test_keeper_backend(self):
        """A back end of somebody else's: its successor is connected to when the old process is gone."""
        path = os.path.join(self.folder, 'back.sock')
        gate = self.gate('--mode', 'bounce', backend=path)
        gate.wait_for('nobody listens there yet')
        old = self.start_blk(path)
        gate.wait_served()
        self.assertIsNone(gate.verify(200), gate.log())
        old.kill()
        old.wait()
        gate.wait_for('back-end-died')
        self.start_blk(path)
        gate.wait_for('serves', 2)
        self.assertIsNone(gate.verify(200), gate.log())
        self.check_ends(gate)

    def test_keeper_backend_stopped(self):
        """One that hangs is waited for, not killed."""
        path = os.path.join(self.folder, 'back.sock')
        old = self.start_blk(path)
        gate = self.gate('--mode', 'bounce', '--deadline', '300', backend=path).wait_served()
        background = gate.begin_verify(20000)
        gate.wait_busy()
        old.send_signal(signal.SIGSTOP)
        gate.wait_for('waiting until the old back end (process %d) is gone' % old.pid)
        self.assertIsNone(old.poll())
        old.kill()
        old.wait()
        self.start_blk(path)
        gate.wait_for('replaced')
        self.assertIsNone(background.join(), gate.log())
        self.check_ends(gate)


class End(keeper.Case):
    def test_keeper_connected_socket(self):
        """--fd: when the front end goes, the gate ends."""
        ours, theirs = socket.socketpair()
        gate = self.gate('--mode', 'bounce', '--fd', str(theirs.fileno()), listens=False, pass_fds=[theirs.fileno()])
        gate.wait_served()
        theirs.close()
        ours.close()
        self.assertEqual(gate.process.wait(keeper.PATIENCE), 0)

    def test_keeper_front_end_refused(self):
        ours, theirs = socket.socketpair()
        gate = self.gate('--mode', 'bounce', '--fd', str(theirs.fileno()), listens=False, pass_fds=[theirs.fileno()])
        gate.wait_served()
        theirs.close()
        ours.sendall(b'\xff' * 64)
        self.assertEqual(gate.process.wait(keeper.PATIENCE), 1, gate.log())
        self.assertTrue(keeper.is_closed(ours))
        self.assertEqual(len(gate.audit('front-end-refused')), 1)
        ours.close()

    def test_keeper_next_front_end_after_a_refused_one(self):
        gate = self.gate('--mode', 'bounce').wait_served()
        with socket.socket(socket.AF_UNIX) as bad:
            bad.connect(gate.socket)
            bad.sendall(b'\xff' * 64)
            self.assertTrue(keeper.is_closed(bad))
        self.assertIsNone(gate.verify(200), gate.log())
        self.check_ends(gate)

    def test_keeper_ends_under_load(self):
        gate = self.gate('--mode', 'bounce').wait_served()
        background = gate.begin_verify(200000)
        gate.wait_busy()
        self.check_ends(gate)
        self.assertIsNotNone(background.join())

    def test_keeper_killed_itself(self):
        """Nothing of it is left."""
        gate = self.gate('--mode', 'bounce').wait_served()
        started = list(keeper.children(gate.pid))
        self.assertEqual(len(started), 2)
        gate.kill()
        for pid in started:
            keeper.wait_until(lambda: not os.path.exists('/proc/%d/exe' % pid), 'process %d is gone' % pid)

    def test_keeper_useless_command(self):
        gate = self.gate('--mode', 'bounce', command=['/bin/false', '{fd}'])
        self.assertEqual(gate.process.wait(keeper.PATIENCE), 1)
        self.assertIn('/bin/false has never served and ended 3 times', gate.log())

    def test_keeper_no_such_command(self):
        gate = self.gate('--mode', 'bounce', command=['no-such-program', '{fd}'])
        self.assertEqual(gate.process.wait(keeper.PATIENCE), 1)
        self.assertIn('no-such-program: there is no such program in PATH', gate.log())


if __name__ == '__main__':
    keeper.main()
