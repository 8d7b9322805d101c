#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What guests print, slow readers, and attaching, with a whole run."""

import os
import resource
import select
import signal
import time

import engine


class Output(engine.Case):
    def test_harmless(self):
        self.script(r'print \e[2J\e]0;x\n', r'print one\r\ntwo', 'off')
        run = self.start()
        self.assertEqual(run.end(), engine.OK, run.text())
        self.assertEqual(run.lines('a/uart'), ['?]0;x', 'one', 'two'])

    def test_partial_line(self):
        self.script('print login: ')
        run = self.start_running()
        run.wait_for('| login: ')
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_back_end_lines(self):
        run = self.start_running()
        run.wait_for('a/root          | bulkhead-blk: sandbox closed')
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_slow_reader(self):
        """Nobody reads: the guest waits, the control socket answers, and what is read later has no hole."""
        self.script('flood')
        reader, writer = os.pipe()
        run = self.start(stdout=writer)
        os.close(writer)
        self.wait_until(lambda: os.path.exists(os.path.join(self.runtime, 'bulkhead/test/control')), 'control', run)
        self.wait_until(lambda: run.guest()['state'] == 'running', 'running', run)
        text = b''
        while b'flood 00050000' not in text:
            self.assertTrue(select.select([reader], [], [], engine.PATIENCE)[0], 'nothing more comes')
            text += os.read(reader, 1 << 16)
        lines = [line for line in text.splitlines() if b'| flood' in line and line.startswith(b'a/uart')]
        numbers = [int(line.split()[-1]) for line in lines[:-1]]
        self.assertEqual(numbers, list(range(len(numbers))))
        # And an orderly stop does not wait for a reader.
        run.signal(signal.SIGINT)
        self.wait_until(lambda: not engine.descendants(run.process.pid), 'the children have ended', run)
        while os.read(reader, 1 << 16):
            pass
        os.close(reader)
        self.assertEqual(run.end(), engine.OK)

    def test_reader_is_gone(self):
        self.script('flood')
        reader, writer = os.pipe()
        run = self.start(stdout=writer)
        os.close(writer)
        os.read(reader, 100)
        os.close(reader)
        run.wait_for('nobody reads the output any more')
        self.assertEqual(run.guest()['state'], 'running')
        self.assertEqual(run.stop(), engine.OK)

    def test_file_that_may_not_grow(self):
        """A limit of the file's size (ulimit -f) is reached: the guests go on."""
        self.script('flood')
        run = self.start_running()
        size = os.path.getsize(run.path) + 100000
        resource.prlimit(run.process.pid, resource.RLIMIT_FSIZE, (size, size))
        self.wait_until(lambda: os.path.getsize(run.path) >= size or run.process.poll() is not None, 'full', run)
        time.sleep(0.1)
        self.assertEqual(run.guest()['state'], 'running')
        self.assertEqual(run.stop(), engine.OK)

    def test_output_is_left_as_it_was(self):
        """Standard output is shared with who started the run: it must not become non-blocking."""
        reader, writer = os.pipe()
        run = self.start(stdout=writer)
        self.wait_until(lambda: os.path.exists(os.path.join(self.runtime, 'bulkhead/test/control')), 'control', run)
        self.wait_until(lambda: run.guest()['state'] == 'running', 'running', run)
        self.assertTrue(os.get_blocking(writer))
        os.close(writer)
        self.assertEqual(run.stop(), engine.OK)
        os.close(reader)


class Attach(engine.Case):
    def test_attach_to_the_uart(self):
        run = self.start_running()
        answer, fd = run.call(request='attach', guest='a', device='uart')
        self.assertTrue(answer['ok'], answer)
        second, none = run.call(request='attach', guest='a', device='uart')
        self.assertEqual((second['ok'], none), (False, None))
        self.assertIn('attached', second['error'])
        run.signal(signal.SIGINT)
        self.assertEqual(os.read(fd, 100), b'shutting down\n')
        self.assertEqual(os.read(fd, 100), b'')
        os.close(fd)
        self.assertEqual(run.end(), engine.OK, run.text())

    def test_peer_that_never_reads(self):
        """It holds the guest up for a while and is let go then; when the guest is to stop, at once."""
        self.script('flood')
        run = self.start_running()
        _, fd = run.call(request='attach', guest='a', device='uart')
        self.wait_until(lambda: self.stands_still(run), 'the guest waits', run)
        size = os.path.getsize(run.path)
        self.wait_until(lambda: os.path.getsize(run.path) > size + 100000, 'the guest goes on', run)
        os.close(fd)
        _, fd = run.call(request='attach', guest='a', device='uart')
        self.wait_until(lambda: self.stands_still(run), 'the guest waits', run)
        self.assertEqual(run.stop(), engine.OK, run.text()[-1000:])
        os.close(fd)

    @staticmethod
    def stands_still(run):
        size = os.path.getsize(run.path)
        time.sleep(0.3)
        return os.path.getsize(run.path) == size

    def test_attach_to_nothing(self):
        run = self.start_running()
        for request in ({'guest': 'c'}, {'guest': 'a', 'device': 'none'}, {'guest': 'a', 'device': 'root'},
                        {'guest': 'a', 'port': 'none'}, {'guest': 'a', 'device': 'uart', 'port': 'x'}):
            answer, fd = run.call(request='attach', **request)
            self.assertEqual((answer['ok'], fd), (False, None), request)
        for request in ({'guest': 'a'}, {'guest': 'a', 'port': 'diag'}):
            answer, fd = run.call(request='attach', **request)
            self.assertTrue(answer['ok'], answer)
            os.close(fd)
        self.assertEqual(run.stop(), engine.OK, run.text())


if __name__ == '__main__':
    engine.main()
