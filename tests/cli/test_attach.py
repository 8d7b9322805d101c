#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`bulkhead attach` on a terminal and in a script, with a supervisor that only pretends."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import cli


class Terminal:
    """A pseudo terminal with `bulkhead attach` on it."""

    def __init__(self, case, *words, rows=30, columns=100):
        self.ours, self.theirs = pty.openpty()
        case.addCleanup(os.close, self.ours)
        case.addCleanup(os.close, self.theirs)
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.theirs)
        self.text = ''
        self.process = case.start('attach', *words, stdin=self.theirs, stdout=self.theirs, stderr=self.theirs,
                                  preexec_fn=self.take)

    def take(self):
        """In the child: the terminal becomes its own, so that SIGWINCH comes."""
        os.setsid()
        fcntl.ioctl(self.theirs, termios.TIOCSCTTY, 0)

    def resize(self, rows, columns):
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack('HHHH', rows, columns, 0, 0))

    def write(self, data):
        os.write(self.ours, data)

    def read_until(self, text):
        end = time.monotonic() + cli.PATIENCE
        while text not in self.text:
            ready, _, _ = select.select([self.ours], [], [], max(0, end - time.monotonic()))
            if not ready:
                raise AssertionError('%r does not come; there is %r' % (text, self.text))
            self.text += os.read(self.ours, 4096).decode(errors='replace')

    def is_raw(self):
        return not termios.tcgetattr(self.theirs)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def is_restored(self):
        return termios.tcgetattr(self.theirs) == self.before

    def wait_raw(self):
        self.read_until('Ctrl-] leaves')
        cli.wait_until(self.is_raw, 'raw mode')


class OnATerminal(cli.Case):
    def setUp(self):
        super().setUp()
        self.platform = self.run_platform()

    def check_over(self, terminal, status):
        self.assertEqual(terminal.process.wait(cli.PATIENCE), status)
        self.assertTrue(terminal.is_restored())
        cli.wait_until(lambda: 'detached' in self.platform.log(), 'the other end sees it')

    def test_terminal_keys_and_the_key_that_leaves(self):
        terminal = Terminal(self, 'cluster')
        terminal.wait_raw()
        terminal.write(b'abc\x03\x1a\x04')  # Ctrl-C, Ctrl-Z and Ctrl-D are the guest's
        terminal.read_until('ABC\x03\x1a\x04')
        self.assertIsNone(terminal.process.poll())
        terminal.write(b'xyz\x1d')
        terminal.read_until('left cluster')
        self.check_over(terminal, 0)
        self.assertIn('attach cluster - -', self.platform.log())

    def test_terminal_other_end_closes(self):
        terminal = Terminal(self, 'hello/cluster')
        terminal.wait_raw()
        terminal.write(b'bye\n')
        terminal.read_until('the end of hello/cluster')
        self.check_over(terminal, 0)
        self.assertIn('BYE', terminal.text)

    def test_terminal_signals_put_it_back(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            terminal = Terminal(self, 'cluster')
            terminal.wait_raw()
            terminal.process.send_signal(number)
            self.check_over(terminal, -number)
            cli.wait_until(lambda: self.platform.log().count('attach') == self.platform.log().count('detached'), 'free')

    def test_terminal_supervisor_is_killed(self):
        terminal = Terminal(self, 'cluster')
        terminal.wait_raw()
        self.platform.kill()
        self.assertEqual(terminal.process.wait(cli.PATIENCE), 0)
        self.assertTrue(terminal.is_restored())

    def test_terminal_size_is_passed_on(self):
        terminal = Terminal(self, 'cluster')
        terminal.wait_raw()
        self.assertIn('resize 1 100x30', self.platform.log())
        terminal.resize(24, 80)
        cli.wait_until(lambda: 'resize 1 80x24' in self.platform.log(), 'the new size')
        terminal.write(b'still\r')
        terminal.read_until('STILL')
        terminal.write(b'\x1d')
        self.check_over(terminal, 0)

    def test_terminal_size_unknown(self):
        terminal = Terminal(self, 'cluster', rows=0, columns=0)
        terminal.wait_raw()
        terminal.write(b'a')
        terminal.read_until('A')
        self.assertNotIn('resize', self.platform.log())

    def test_terminal_can_be_left_while_the_guest_reads_nothing(self):
        terminal = Terminal(self, 'deaf')
        terminal.wait_raw()
        for _ in range(300):
            terminal.write(b'x' * 1000)
        terminal.write(b'\x1d')
        self.assertEqual(terminal.process.wait(cli.PATIENCE), 0)
        self.assertTrue(terminal.is_restored())

    def test_terminal_refused_is_not_touched(self):
        first = Terminal(self, 'cluster')
        first.wait_raw()
        second = Terminal(self, 'cluster')
        second.read_until('somebody is attached')
        self.assertEqual(second.process.wait(cli.PATIENCE), 1)
        self.assertTrue(second.is_restored())


class InAScript(cli.Case):
    def setUp(self):
        super().setUp()
        self.platform = self.run_platform()

    def test_script_bytes_go_through(self):
        result = self.run_cli('attach', 'cluster/console/diag', input='one\ntwo\x1d\nbye\n')
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertEqual(result.stdout, 'ONE\nTWO\x1d\nBYE\n')
        self.assertIn('attach cluster console diag', self.platform.log())

    def test_script_much(self):
        text = 'line\n' * 40000
        result = self.run_cli('attach', 'cluster', input=text + 'bye\n')
        self.assertEqual(result.returncode, 0)
        self.assertTrue(result.stdout.startswith('LINE\nLINE\n'))
        self.assertEqual(len(result.stdout), len(text) + 4)

    def test_script_goes_on_when_its_input_ends(self):
        process = self.start('attach', 'cluster', stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        process.stdin.write(b'hello\n')
        process.stdin.close()
        self.assertEqual(process.stdout.readline(), b'HELLO\n')
        self.assertIsNone(process.poll())
        process.terminate()
        self.assertEqual(process.wait(cli.PATIENCE), -signal.SIGTERM)
        process.stdout.close()
        cli.wait_until(lambda: 'detached' in self.platform.log(), 'the other end sees it')

    def test_script_output_is_closed(self):
        process = self.start('attach', 'cluster', stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        process.stdin.write(b'hello\n')
        process.stdin.flush()
        self.assertEqual(process.wait(cli.PATIENCE), 1)
        self.assertIn(b'standard output', process.stderr.read())
        process.stdin.close()
        process.stderr.close()

    def test_script_platform_is_named(self):
        self.run_platform('other')
        self.refused(self.run_cli('attach', 'cluster'), 'say which')
        self.refused(self.run_cli('attach', 'none/cluster'), 'say which')
        result = self.run_cli('attach', 'hello/cluster', input='bye\n')
        self.assertEqual((result.returncode, result.stdout), (0, 'BYE\n'))
        result = self.run_cli('attach', 'hello/cluster/console/p', input='bye\n')
        self.assertEqual((result.returncode, result.stdout), (0, 'BYE\n'))
        self.refused(self.run_cli('attach', 'none/cluster/console/p'), "no platform 'none'")


if __name__ == '__main__':
    cli.main()
