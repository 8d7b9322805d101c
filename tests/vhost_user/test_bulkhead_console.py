#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bulkhead-console driven by vu-console: bytes both ways, back-pressure, sizes, ports, restarts, hostile drivers.

The other ends of the ports are here: the master of a pty for the console, a socket for each further port. The
programs are found through BULKHEAD_CONSOLE and BULKHEAD_VU_CONSOLE, which the build sets.
"""

import fcntl
import os
import pathlib
import pty
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tools'))
sys.dont_write_bytecode = True

import tap  # noqa: E402  (found through the lines above)

CONSOLE = os.environ.get('BULKHEAD_CONSOLE', 'bulkhead-console')
VU_CONSOLE = os.environ.get('BULKHEAD_VU_CONSOLE', 'vu-console')
PATIENCE = 20
SIZE, MULTIPORT, EMERGENCY = 1, 2, 4
MUCH = 10 << 20


def resize(fd, cols, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', rows, cols, 0, 0))


def noise(count, seed=1):
    return random.Random(seed).randbytes(count)


def event(port, kind, value, more=b''):
    """A control message in hexadecimal."""
    return (struct.pack('<IHH', port, kind, value) + more).hex()


class Failed(AssertionError):
    """A command of vu-console did not work."""


class Case(unittest.TestCase):
    """A daemon with a pty and sockets, and a driver on it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix='bulkhead-console-')
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.socket = os.path.join(self.folder, 'socket')
        self.log_path = os.path.join(self.folder, 'log')
        self.master, self.slave = pty.openpty()
        self.addCleanup(self.close_pty)
        resize(self.master, 80, 25)
        self.peers = []
        self.arguments = ['--port', '/dev/fd/%d' % self.slave]
        self.passed = [self.slave]
        self.process = None
        self.vu = None
        self.messages = []

    def close_pty(self):
        for fd in (self.master, self.slave):
            if fd is not None:
                os.close(fd)

    def add_port(self, name):
        """A port over a socket; our end of it."""
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        self.passed.append(theirs.fileno())
        self.arguments += ['--port', '%s=/dev/fd/%d' % (name, theirs.fileno())]
        self.peers.append(theirs)
        return ours

    def log(self):
        return pathlib.Path(self.log_path).read_text(encoding='utf-8')

    def start(self, *more):
        if os.path.exists(self.socket):
            os.unlink(self.socket)
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen([CONSOLE, '--socket-path', self.socket, *self.arguments, *more],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=self.passed)
        self.addCleanup(self.stop)
        deadline = time.monotonic() + PATIENCE
        while 'sandbox' not in self.log() or not os.path.exists(self.socket):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError('the daemon does not serve: %s' % self.log())
            time.sleep(0.01)

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def drive(self, *options):
        self.vu = subprocess.Popen([VU_CONSOLE, '--socket', self.socket, *options], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end_driver)
        self.answer('connecting')

    def end_driver(self):
        self.vu.stdin.close()
        self.vu.stdout.close()
        self.vu.wait(PATIENCE)

    def answer(self, what):
        """The words behind ok; what came before it is in `messages`."""
        for line in self.vu.stdout:
            words = line.split()
            if words[0] == 'ok':
                return words[1:]
            if words[0] == 'error':
                raise Failed('%s: %s (%s)' % (what, line, self.log()))
            self.messages.append(line.strip())
        raise Failed('%s: vu-console ended' % what)

    def do(self, *words):
        line = ' '.join(str(word) for word in words)
        self.vu.stdin.write(line + '\n')
        self.vu.stdin.flush()
        return self.answer(line)

    def expect(self, *messages):
        """Control messages (and `changed`) must be these, all of them and in this order, now."""
        deadline = time.monotonic() + PATIENCE
        wanted = [message if message == 'changed' else 'message ' + message for message in messages]
        while len(self.messages) < len(wanted) and time.monotonic() < deadline:
            self.do('poll', 20)
        self.do('poll', 40)
        self.assertEqual(self.messages, wanted)
        self.messages = []

    def single(self, features=SIZE, *options):
        self.drive(*options)
        self.do('begin', '%x' % features)
        self.do('fill', 0, 8, 4096)

    def hello(self, names, *options):
        """A driver with multiport, up to open ports."""
        self.drive(*options)
        self.do('begin', '%x' % (SIZE | MULTIPORT))
        self.do('fill', 2, 8, 128)
        self.do('control', event(0xffffffff, 0, 1))
        self.expect(*[event(port, 1, 1) for port in range(len(names) + 1)])
        self.do('control', event(0, 3, 1))
        self.expect(event(0, 4, 1), event(0, 5, 0, struct.pack('<HH', 80, 25)), event(0, 6, 1))
        self.do('control', event(0, 6, 1))
        for port, name in enumerate(names, 1):
            self.do('control', event(port, 3, 1))
            self.expect(event(port, 7, 1, name.encode()), event(port, 6, 1))
            self.do('control', event(port, 6, 1))
            self.do('fill', 2 * port + 2, 8, 4096)
        self.do('fill', 0, 8, 4096)

    def file(self, data):
        path = os.path.join(self.folder, 'out')
        pathlib.Path(path).write_bytes(data)
        return path

    def taken(self, port, count, patience=2000):
        """So many bytes of input, as the driver got them."""
        path = os.path.join(self.folder, 'in')
        pathlib.Path(path).write_bytes(b'')
        self.do('take', port, count, path, patience)
        return pathlib.Path(path).read_bytes()

    def gather(self, read, count):
        """Reads in a thread; join() gives the bytes."""
        found = bytearray()

        def run():
            while len(found) < count:
                found.extend(read(65536))
        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def join():
            thread.join(PATIENCE)
            return bytes(found)
        return join


class Bytes(Case):
    def both_ways(self, *options):
        self.start()
        self.single(SIZE, *options)
        data = noise(MUCH)
        joined = self.gather(lambda most: os.read(self.master, most), MUCH)
        self.assertEqual(self.do('send', 0, self.file(data), 5000), [str(MUCH), str(MUCH)])
        self.assertTrue(joined() == data)
        data = noise(MUCH, 2)

        def feed():
            left = memoryview(data)
            while left:
                left = left[os.write(self.master, left[:4096]):]
        writer = threading.Thread(target=feed, daemon=True)
        writer.start()
        self.assertTrue(self.taken(0, MUCH, 5000) == data)

    # [BH-CON-1, BH-CON-2]
    def test_console_bytes_split(self):
        self.both_ways()

    # [BH-CON-1, BH-CON-2]
    def test_console_bytes_packed(self):
        self.both_ways('--packed', '--inflight')

    # [BH-CON-1, BH-CON-2]
    def test_console_bytes_socket(self):
        peer = self.add_port('data')
        self.start()
        self.hello(['data'])
        data = noise(MUCH, 3)
        joined = self.gather(peer.recv, MUCH)
        self.assertEqual(self.do('send', 1, self.file(data), 5000), [str(MUCH), str(MUCH)])
        self.assertTrue(joined() == data)
        threading.Thread(target=peer.sendall, args=(data,), daemon=True).start()
        self.assertTrue(self.taken(1, MUCH, 5000) == data)

    # [BH-CON-3, BH-CON-4] Nobody reads one port; the others go on, and nothing is lost.
    def test_console_nobody_reads(self):
        stuck, lively = self.add_port('stuck'), self.add_port('lively')
        self.start()
        self.hello(['stuck', 'lively'])
        data = noise(1 << 20)
        used, offered = (int(word) for word in self.do('send', 1, self.file(data), 300))
        self.assertLess(used, offered)
        self.assertLess(offered, len(data))
        joined = self.gather(lively.recv, len(data))
        self.assertEqual(self.do('send', 2, self.file(data), 3000), [str(len(data))] * 2)
        self.assertTrue(joined() == data)
        joined = self.gather(stuck.recv, offered)
        self.do('poll', 300)
        self.assertTrue(joined() == data[:offered])
        self.assertEqual(self.do('send', 1, self.file(b'x'), 2000), ['1', '1'])

    # [BH-CON-3] The other way: the driver has no buffers.
    def test_console_driver_has_no_buffers(self):
        peer = self.add_port('data')
        self.start()
        self.drive()
        self.do('begin', '%x' % MULTIPORT)
        self.do('fill', 2, 8, 128)
        self.do('control', event(0, 0, 1))
        self.do('poll', 50)
        self.do('control', event(1, 3, 1))
        self.do('control', event(1, 6, 1))
        peer.sendall(b'patience' * 100)
        self.do('poll', 50)
        before = self.cpu()
        self.do('poll', 500)
        self.assertLess(self.cpu() - before, 10)
        self.do('fill', 4, 4, 64)
        self.assertEqual(self.taken(1, 800), b'patience' * 100)

    def cpu(self):
        """The daemon's ticks so far."""
        fields = pathlib.Path('/proc/%d/stat' % self.process.pid).read_text(encoding='utf-8').rsplit(')', 1)[1].split()
        return int(fields[11]) + int(fields[12])

    # [BH-CON-6] A reset with output waiting does not wait; what was said comes out in the end.
    def test_console_reset_while_blocked(self):
        peer = self.add_port('stuck')
        self.start()
        self.hello(['stuck'])
        self.do('send', 1, self.file(noise(1 << 20)), 200)
        begin = time.monotonic()
        self.do('reset')
        self.assertLess(time.monotonic() - begin, 2)
        peer.recv(1 << 20)
        self.hello_again()

    def hello_again(self):
        self.messages = []
        self.do('begin', '%x' % MULTIPORT)
        self.do('fill', 2, 8, 128)
        self.do('control', event(0, 0, 1))
        self.expect(event(0, 1, 1), event(1, 1, 1))

    # [BH-CON-5, BH-CON-16] Whoever hangs up is shown as gone, and output goes nowhere.
    def test_console_hang_up(self):
        peer = self.add_port('data')
        self.start()
        self.hello(['data'])
        peer.close()
        self.peers[0].close()
        self.expect(event(1, 6, 0))
        self.assertEqual(self.do('send', 1, self.file(noise(1 << 20)), 2000), [str(1 << 20)] * 2)
        self.assertEqual(self.do('send', 0, self.file(b'alive'), 2000), ['5', '5'])
        self.assertEqual(os.read(self.master, 10), b'alive')
        before = self.cpu()
        self.do('poll', 500)
        self.assertLess(self.cpu() - before, 10)

    # [BH-CON-5] The same for a pty, while output waits for it.
    def test_console_hang_up_pty(self):
        name = os.ttyname(self.slave)
        os.close(self.slave)
        self.slave = None
        self.arguments = ['--port', name]
        self.passed = []
        self.start()
        self.single()
        used, offered = (int(word) for word in self.do('send', 0, self.file(noise(1 << 20)), 300))
        self.assertLess(used, offered)
        os.close(self.master)
        self.master = None
        self.assertEqual(self.do('send', 0, self.file(noise(1 << 18)), 2000)[1], str(1 << 18))
        before = self.cpu()
        self.do('poll', 500)
        self.assertLess(self.cpu() - before, 10)
        self.assertEqual(self.stop(), 0)


class Ports(Case):
    # [BH-CON-12, BH-CON-13] hello() checks each message, byte for byte.
    def test_console_names(self):
        self.add_port('telemetry')
        self.add_port('größe')
        self.start()
        self.hello(['telemetry', 'größe'])
        self.assertEqual(self.do('config')[:3], ['80', '25', '3'])

    # [BH-CON-8]
    def test_console_resize(self):
        self.start()
        self.single()
        resize(self.master, 132, 50)
        self.process.send_signal(signal.SIGWINCH)
        self.expect('changed')
        self.assertEqual(self.do('config')[:3], ['132', '50', '0'])

    # [BH-CON-9]
    def test_console_resize_multiport(self):
        self.add_port('data')
        self.start()
        self.hello(['data'])
        resize(self.master, 300, 70)
        self.process.send_signal(signal.SIGWINCH)
        self.do('poll', 200)
        self.assertEqual(sorted(self.messages),
                         ['changed', 'message ' + event(0, 5, 0, struct.pack('<HH', 300, 70))])

    # [BH-CON-10]
    def test_console_off(self):
        self.start('--no-size', '--no-emergency-write')
        self.drive()
        cols, rows, ports, offered = self.do('config')
        self.assertEqual((cols, rows, ports), ('0', '0', '0'))
        self.assertEqual(int(offered, 16) & (SIZE | MULTIPORT | EMERGENCY), 0)
        with self.assertRaises(Failed):
            self.do('write', 8, '58000000')
        self.do('begin', '%x' % (SIZE | MULTIPORT | EMERGENCY))  # the driver takes what is offered
        resize(self.master, 132, 50)
        self.process.send_signal(signal.SIGWINCH)
        self.expect()
        self.assertEqual(self.do('config')[:2], ['0', '0'])

    # [BH-CON-10] A feature that was not offered is refused, whatever a driver says.
    def test_console_off_is_refused(self):
        for option, bit in (('--no-size', SIZE), ('--no-emergency-write', EMERGENCY), ('--no-size', MULTIPORT)):
            with self.subTest(option=option, bit=bit):
                self.start(option)
                with socket.socket(socket.AF_UNIX) as front:
                    front.connect(self.socket)
                    front.settimeout(PATIENCE)
                    front.sendall(struct.pack('<IIIQ', 2, 1, 8, 1 << 32 | bit))
                    self.assertEqual(front.recv(100), b'')
                self.assertIn('refused', self.log())
                self.stop()

    # [BH-CON-11] Before anything is negotiated, and afterwards; in one field and in the whole space.
    def test_console_emergency(self):
        self.start()
        self.drive()
        self.do('write', 8, '52000000')
        self.do('begin', '%x' % SIZE)
        self.do('write', 8, '45000000')
        self.do('write', 0, '000000000000000044000000')
        self.do('poll', 20)
        self.assertEqual(os.read(self.master, 10), b'RED')
        with self.assertRaises(Failed):
            self.do('write', 0, '2828')

    def killed(self, *options):
        """What was not used when the back end died comes out of its successor."""
        peer = self.add_port('data')
        self.start()
        self.hello(['data'], *options)
        used, offered = (int(word) for word in self.do('send', 1, self.file(noise(1 << 20)), 300))
        self.stop(signal.SIGKILL)
        resize(self.master, 99, 44)
        self.start()
        self.do('resume')
        joined = self.gather(peer.recv, offered)
        self.do('poll', 500)
        found = joined()
        data = noise(1 << 20)[:offered]
        # Only the buffer that was under way may come twice, as far as it had been written.
        twice = len(found) - offered
        self.assertLess(twice, 4096 + 1)
        self.assertEqual(found[:used], data[:used])
        self.assertEqual(found[used + twice:], data[used:])
        return peer

    # [BH-CON-19]
    def test_console_killed(self):
        for options in ((), ('--inflight',), ('--packed', '--inflight')):
            with self.subTest(options=options):
                self.arguments = self.arguments[:2]
                self.messages = []
                peer = self.killed(*options)
                adds = ['message ' + event(port, 1, 1) for port in (0, 1)]
                self.assertEqual([line for line in self.messages if line != 'changed'], adds)
                self.assertIn('changed', self.messages)
                self.messages = []
                self.do('control', event(0, 3, 1))
                self.expect(event(0, 4, 1), event(0, 5, 0, struct.pack('<HH', 99, 44)), event(0, 6, 1))
                resize(self.master, 80, 25)
                # Input goes on without a word of the driver's.
                peer.sendall(b'goes on')
                self.assertEqual(self.taken(1, 7), b'goes on')
                self.end_driver()
                self.stop()


class Hostile(Case):
    def broken(self, *command):
        """The command breaks the device, and a reset mends it."""
        self.do(*command)
        self.assertEqual(self.do('poll', 100), ['1'], command)
        self.do('reset')
        self.messages = []
        self.do('begin', '%x' % (SIZE | MULTIPORT))
        self.do('fill', 2, 8, 128)
        self.do('control', event(0, 0, 1))
        self.expect(event(0, 1, 1), event(1, 1, 1))

    # [BH-CON-7, BH-CON-14]
    def test_console_hostile_buffers(self):
        self.add_port('data')
        self.start()
        self.hello(['data'])
        for command in (('offer', 1, 8, 'w'), ('offer', 5, 8, 'rw'), ('offer', 3, 8, 'rw'), ('offer', 3, 7, 'r'),
                        ('offer', 3, 1, 'r')):
            self.broken(*command)

    # [BH-CON-7]
    def test_console_hostile_receive(self):
        self.start()
        self.drive()
        self.do('begin', '%x' % SIZE)
        self.do('offer', 0, 8, 'rw')
        os.write(self.master, b'x')
        self.assertEqual(self.do('poll', 200), ['1'])

    # [BH-CON-14] Noise on the control queue: the device goes on.
    def test_console_hostile_control(self):
        self.add_port('data')
        self.start()
        self.hello(['data'])
        chance = random.Random(7)
        for _ in range(300):
            port = chance.choice([0, 1, 2, 3, 0xffffffff, 0x80000000])
            kind = chance.choice([1, 2, 4, 5, 7, 8, 255, 65535])
            self.do('control', event(port, kind, chance.randrange(65536), chance.randbytes(chance.randrange(20))))
            self.do('poll', 1)
        self.assertEqual(self.do('poll', 20), ['0'])
        self.assertEqual(self.messages, [])
        self.assertEqual(self.do('send', 0, self.file(b'alive'), 2000), ['5', '5'])
        self.assertIsNone(self.process.poll())


class Life(Case):
    def refused(self, *arguments, status=1):
        done = subprocess.run([CONSOLE, '--socket-path', self.socket, *arguments], capture_output=True, text=True,
                              timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL, pass_fds=self.passed)
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stderr

    def test_console_options(self):
        fifo = os.path.join(self.folder, 'fifo')
        os.mkfifo(fifo)
        self.assertIn('--port', self.refused(status=2))
        self.assertIn('no terminal', self.refused('--port', '/dev/null'))
        self.assertIn('no terminal', self.refused('--port', fifo))
        self.assertIn('no terminal', self.refused('--port', self.folder))
        self.assertIn('cannot be opened', self.refused('--port', os.path.join(self.folder, 'nothing')))
        self.refused('--port', 'name=', status=2)
        self.refused('--port', 'n' * 65 + '=/dev/fd/%d' % self.slave, status=2)
        self.refused(*['--port', '/dev/fd/%d' % self.slave] * 18, status=2)
        self.refused('--port', '/dev/fd/999', status=2)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram, \
                socket.socket(socket.AF_UNIX) as unconnected:
            for stray in (datagram, unconnected):
                self.passed = [stray.fileno()]
                self.assertIn('neither a terminal', self.refused('--port', '/dev/fd/%d' % stray.fileno()))

    # A terminal is raw while the daemon runs, and what it was before afterwards.
    def test_console_terminal_is_put_back(self):
        before = termios.tcgetattr(self.slave)
        self.start()
        during = termios.tcgetattr(self.slave)
        self.assertEqual(during[3] & (termios.ECHO | termios.ICANON | termios.ISIG), 0)
        self.assertEqual(during[1] & termios.OPOST, 0)
        self.assertEqual(self.stop(), 0)
        self.assertEqual(termios.tcgetattr(self.slave), before)

    # [BH-CON-21] The closed sandbox lets it do all that it has to.
    def test_console_sandbox(self):
        peer = self.add_port('data')
        self.start()
        status = dict(line.split(':\t', 1) for line in
                      pathlib.Path('/proc/%d/status' % self.process.pid).read_text(encoding='utf-8').splitlines())
        self.assertEqual(status['Seccomp'].strip(), '2')
        self.assertEqual(status['NoNewPrivs'].strip(), '1')
        self.hello(['data'])
        self.assertEqual(self.do('send', 0, self.file(b'one'), 2000), ['3', '3'])
        self.assertEqual(self.do('send', 1, self.file(b'two'), 2000), ['3', '3'])
        peer.sendall(b'three')
        self.assertEqual(self.taken(1, 5), b'three')
        for number in (signal.SIGWINCH, signal.SIGHUP):
            resize(self.master, number, number)
            self.process.send_signal(number)
            self.do('poll', 50)
        self.assertEqual(len(self.messages), 4)
        self.assertEqual(self.stop(), 0)

    # [BH-CON-21]
    def test_console_sandbox_strict(self):
        try:
            self.start('--sandbox', 'strict')
        except AssertionError:
            self.assertIn('NOT closed', self.log())
            self.assertEqual(self.process.wait(PATIENCE), 3)
            return
        self.single()
        self.assertEqual(self.do('send', 0, self.file(b'strict'), 2000), ['6', '6'])
        self.assertEqual(os.read(self.master, 10), b'strict')


if __name__ == '__main__':
    tap.main()
