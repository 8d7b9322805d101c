#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's command line, its sockets, and what it says to a service manager."""

import grp
import json
import os
import pathlib
import signal
import socket
import stat
import subprocess
import time

import daemon


class Options(daemon.Case):
    def test_options_capabilities(self):
        result = self.run_blk('--print-capabilities')
        self.assertEqual(result.returncode, 0)
        self.assertEqual(result.stderr, '')
        self.assertEqual(json.loads(result.stdout), {'type': 'block', 'features': ['read-only', 'blk-file']})

    def test_options_capabilities_ignore_everything_else(self):
        for others in (['--blk-file', '/none'], ['--no-such-option'], ['--fd', '99'], ['rest']):
            result = self.run_blk(*others, '--print-capabilities')
            self.assertEqual(result.returncode, 0, others)
            self.assertEqual(json.loads(result.stdout)['type'], 'block')

    def test_options_help_and_version(self):
        result = self.run_blk('--help')
        self.assertEqual(result.returncode, 0)
        for option in ('--socket-path PATH', '--fd N', '--blk-file PATH', '--read-only', '--sandbox MODE'):
            self.assertIn(option, result.stdout)
        self.assertTrue(all(len(line) <= 100 for line in result.stdout.splitlines()))
        result = self.run_blk('--version')
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r'^bulkhead-blk \d+\.\d+\.\d+\n$')

    def test_options_output_that_cannot_be_written_is_a_failure(self):
        with open('/dev/full', 'w', encoding='utf-8') as full:
            result = subprocess.run([daemon.BLK, '--print-capabilities'], stdout=full, check=False, timeout=20)
        self.assertEqual(result.returncode, 1)

    def test_options_mistakes_end_it_at_once(self):
        image = self.make_image()
        disk = ['--blk-file', image, '--socket-path', os.path.join(self.folder, 'socket')]
        for mistake in (['--no-such-option'], disk + ['--num-queues', '0'], disk + ['--num-queues', '17'],
                        disk + ['--num-queues', '1x'], disk + ['--num-queues'], disk + ['surplus'],
                        disk + ['--serial', 'x' * 21], disk + ['--null', '1M'], disk + ['--sandbox', 'perhaps'],
                        disk + ['--read-only=yes'], disk + ['--fd', '2'], disk + ['--fd', '77'],
                        ['--socket-path', 'x'], ['--socket-path', '', '--null', '1M'],
                        ['--null', '511', '--socket-path', 'x'], ['--null', '1Z', '--socket-path', 'x'],
                        ['--null', '99999999999999999999', '--socket-path', 'x'],
                        ['--null', '99999999T', '--socket-path', 'x'],
                        ['--null', '1M', '--fd', '0', '--socket-group', 'root']):
            result = self.run_blk(*mistake)
            self.assertEqual(result.returncode, 2, mistake)
            self.assertNotEqual(result.stderr, '', mistake)
            self.assertEqual(result.stdout, '')

    def test_options_no_socket_is_a_failure(self):
        self.assertEqual(self.run_blk('--null', '1M').returncode, 1)


class Sockets(daemon.Case):
    def test_sockets_path_is_private(self):
        blk = self.serve()
        self.assertEqual(stat.S_IMODE(os.stat(blk.socket).st_mode), 0o600)

    def test_sockets_path_for_a_group(self):
        group = grp.getgrgid(os.getgid()).gr_name
        blk = self.serve('--socket-group', group)
        status = os.stat(blk.socket)
        self.assertEqual(stat.S_IMODE(status.st_mode), 0o660)
        self.assertEqual(status.st_gid, os.getgid())

    def test_sockets_unknown_group(self):
        result = self.run_blk('--null', '1M', '--socket-path', self.folder + '/s', '--socket-group', 'no such group')
        self.assertEqual(result.returncode, 1)

    def test_sockets_stale_path_is_taken_over(self):
        self.serve().kill()
        self.assertTrue(os.path.exists(os.path.join(self.folder, 'socket')))
        blk = self.serve()
        self.assertEqual(blk.read(0, 512), b'\1' * 512)

    def test_sockets_path_in_use_is_left_alone(self):
        first = self.serve('--null', '1M')
        result = self.run_blk('--null', '1M', '--socket-path', first.socket)
        self.assertEqual(result.returncode, 1)
        self.assertIn('in use', result.stderr)
        self.assertEqual(first.info()['capacity'], str(1 << 20))

    def test_sockets_path_that_tells_nothing_is_left_alone(self):
        path = os.path.join(self.folder, 'datagrams')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.bind(path)
            result = self.run_blk('--null', '1M', '--socket-path', path)
            self.assertEqual(result.returncode, 1)
            self.assertTrue(os.path.exists(path))

    def test_sockets_file_at_the_path_is_left_alone(self):
        path = os.path.join(self.folder, 'precious')
        pathlib.Path(path).write_text('data', encoding='utf-8')
        result = self.run_blk('--null', '1M', '--socket-path', path)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(pathlib.Path(path).read_text(encoding='utf-8'), 'data')

    def test_sockets_path_too_long_or_nowhere(self):
        for path in ('x' * 200, '/no/such/folder/socket'):
            self.assertEqual(self.run_blk('--null', '1M', '--socket-path', path).returncode, 1)

    def test_sockets_fd_that_listens(self):
        listener = self.listen()
        blk = self.start('--fd', str(listener.fileno()), '--null', '1M', listens=False, pass_fds=[listener.fileno()])
        blk.wait_ready()
        self.assertEqual(blk.info()['capacity'], str(1 << 20))
        self.assertEqual(blk.info()['capacity'], str(1 << 20))  # and once more

    def test_sockets_fd_that_is_connected(self):
        ours, theirs = socket.socketpair()
        blk = self.start('--fd', str(theirs.fileno()), '--null', '1M', listens=False, pass_fds=[theirs.fileno()])
        theirs.close()
        blk.wait_ready()
        ours.close()
        self.assertEqual(blk.wait_end(), 0)

    def test_sockets_connected_fd_with_a_liar(self):
        ours, theirs = socket.socketpair()
        blk = self.start('--fd', str(theirs.fileno()), '--null', '1M', listens=False, pass_fds=[theirs.fileno()])
        theirs.close()
        blk.wait_ready()
        ours.sendall(b'\xff' * 12)
        self.assertEqual(blk.wait_end(), 1)
        self.assertIn('refused', blk.log())
        ours.close()

    def test_sockets_fd_that_is_no_socket(self):
        with open('/dev/null', 'rb') as null:
            result = self.run_blk('--fd', str(null.fileno()), '--null', '1M', pass_fds=[null.fileno()])
        self.assertEqual(result.returncode, 1)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams:
            result = self.run_blk('--fd', str(datagrams.fileno()), '--null', '1M', pass_fds=[datagrams.fileno()])
        self.assertEqual(result.returncode, 1)


class Manager(daemon.Case):
    """The service manager's side."""

    def activated(self, listener, pid='self', count='1'):
        """Starts the daemon with `listener` as descriptor 3, as a service manager does."""
        script = ('export LISTEN_FDS=%s; [ %s = self ] && export LISTEN_PID=$$ || export LISTEN_PID=%s; exec "$@" 3<&%d'
                  % (count, pid, pid, listener.fileno()))
        log = open(os.path.join(self.folder, 'log'), 'ab')
        self.addCleanup(log.close)
        process = subprocess.Popen(['bash', '-c', script, 'bash', daemon.BLK, '--null', '1M'],
                                   stdin=subprocess.DEVNULL, stderr=log, pass_fds=[listener.fileno()])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def test_manager_hands_over_a_socket(self):
        listener = self.listen()
        process = self.activated(listener)
        result = subprocess.run([daemon.VU_BLK, '--socket', self.folder + '/socket', 'info'], capture_output=True,
                                check=False, timeout=daemon.PATIENCE)
        self.assertEqual(result.returncode, 0, result.stderr)
        process.terminate()
        self.assertEqual(process.wait(daemon.PATIENCE), 0)

    def test_manager_means_another_process(self):
        self.assertEqual(self.activated(self.listen(), pid='1').wait(daemon.PATIENCE), 1)

    def test_manager_hands_over_too_much(self):
        self.assertEqual(self.activated(self.listen(), count='2').wait(daemon.PATIENCE), 1)
        self.assertEqual(self.activated(self.listen('other'), count='x').wait(daemon.PATIENCE), 1)

    def manager(self, name):
        receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(receiver.close)
        receiver.bind(name)
        receiver.settimeout(daemon.PATIENCE)
        return receiver

    def test_manager_is_told_ready_and_stopping(self):
        path = os.path.join(self.folder, 'notify')
        receiver = self.manager(path)
        blk = self.start('--null', '1M', env={**os.environ, 'NOTIFY_SOCKET': path})
        self.assertEqual(receiver.recv(100), b'READY=1')
        self.assertTrue(blk.serves())  # ready is not said before the sandbox is closed
        self.assertEqual(blk.info()['capacity'], str(1 << 20))
        self.assertEqual(blk.terminate()[0], 0)
        self.assertEqual(receiver.recv(100), b'STOPPING=1')

    def test_manager_with_an_abstract_name(self):
        name = 'bulkhead-test-%d' % os.getpid()
        receiver = self.manager('\0' + name)
        self.start('--null', '1M', env={**os.environ, 'NOTIFY_SOCKET': '@' + name})
        self.assertEqual(receiver.recv(100), b'READY=1')

    def test_manager_watches(self):
        path = os.path.join(self.folder, 'notify')
        receiver = self.manager(path)
        self.start('--null', '1M', env={**os.environ, 'NOTIFY_SOCKET': path, 'WATCHDOG_USEC': '200000'})
        self.assertEqual(receiver.recv(100), b'READY=1')
        begin = time.monotonic()
        for _ in range(3):
            self.assertEqual(receiver.recv(100), b'WATCHDOG=1')
        self.assertLess(time.monotonic() - begin, 3)

    def test_manager_that_is_gone_stops_nothing(self):
        blk = self.serve('--null', '1M', env={**os.environ, 'NOTIFY_SOCKET': self.folder + '/gone'})
        self.assertEqual(blk.info()['capacity'], str(1 << 20))


class Progress(daemon.Case):
    def test_told(self):
        """A letter once it serves, and one for each driver that comes up."""
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        blk = self.serve('--up', str(theirs), pass_fds=(theirs,))
        os.close(theirs)
        self.assertEqual(os.read(ours, 100), b's')
        for _ in range(2):
            self.assertIsNotNone(blk.read(0, 512))
            self.assertEqual(os.read(ours, 100), b'u')
        self.assertEqual(blk.terminate()[0], 0)
        self.assertEqual(os.read(ours, 100), b'')

    def test_nobody_reads(self):
        """It serves though there is no room for what it would say."""
        ours, theirs = os.pipe()
        self.addCleanup(os.close, ours)
        os.set_blocking(theirs, False)
        with self.assertRaises(BlockingIOError):
            while True:
                os.write(theirs, bytes(4096))
        blk = self.serve('--up', str(theirs), pass_fds=(theirs,))
        os.close(theirs)
        self.assertIsNotNone(blk.read(0, 512))

    def test_no_descriptor(self):
        for value in ('x', '77'):
            self.assertEqual(self.run_blk('--null', '1M', '--socket-path', 'x', '--up', value).returncode, 2)


class End(daemon.Case):
    def test_end_by_sigterm_and_sigint(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            blk = self.serve('--null', '1M')
            begin = time.monotonic()
            blk.process.send_signal(number)
            self.assertEqual(blk.wait_end(), 0)
            self.assertLess(time.monotonic() - begin, daemon.PROMPT)

    def test_end_while_a_front_end_is_busy(self):
        blk = self.serve()
        busy = subprocess.Popen([daemon.VU_BLK, '--socket', blk.socket, '--count', '100000000', '--depth', '32',
                                 '--block', '4096', 'bench'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(busy.wait)
        self.addCleanup(busy.kill)
        time.sleep(0.5)
        self.assertIsNone(busy.poll())
        status, seconds = blk.terminate()
        self.assertEqual(status, 0)
        self.assertLess(seconds, daemon.PROMPT)
        self.assertNotIn('still under way', blk.log())

    def test_end_does_not_fork(self):
        blk = self.serve()
        self.assertIsNone(blk.process.poll())
        children = pathlib.Path('/proc/%d/task/%d/children' % (blk.pid, blk.pid)).read_text(encoding='utf-8')
        self.assertEqual(children, '')

    def test_end_leaves_no_wake_ups_when_idle(self):
        blk = self.serve()
        blk.info()
        time.sleep(0.3)
        before = blk.status()['voluntary_ctxt_switches']
        time.sleep(1)
        self.assertEqual(blk.status()['voluntary_ctxt_switches'], before)


if __name__ == '__main__':
    daemon.main()
