#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The disk behind the daemon: what it refuses to serve, rights, locks, and images that change while it runs."""

import os
import pathlib
import signal
import subprocess
import time

import daemon

SECTOR = 512


class Refused(daemon.Case):
    """What is no usable disk ends the daemon early, with a reason."""

    def refused(self, path, reason, *more):
        result = self.run_blk('--blk-file', path, '--socket-path', os.path.join(self.folder, 'socket'), *more)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertRegex(result.stderr, reason)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertFalse(os.path.exists(os.path.join(self.folder, 'socket')))

    def test_refused_missing(self):
        self.refused(self.image, 'cannot be opened: No such file')

    def test_refused_directory(self):
        self.refused(self.folder, 'is a directory')
        self.refused(self.folder, 'is a directory', '--read-only')

    def test_class_22_refused_pipe(self):
        os.mkfifo(self.image)
        self.refused(self.image, 'is a pipe')
        self.refused(self.image, 'is a pipe', '--read-only')

    def test_class_22_refused_character_device(self):
        self.refused('/dev/zero', 'is a character device')

    def test_refused_socket(self):
        self.listen('image')
        self.refused(self.image, 'is a socket')

    def test_refused_empty(self):
        self.make_image(0)
        self.refused(self.image, 'is empty')

    def test_refused_locked_by_another(self):
        self.serve()
        folder = os.path.join(self.folder, 'other')
        os.mkdir(folder)
        other = daemon.Daemon(folder, '--blk-file', self.image)
        self.addCleanup(other.kill)
        daemon.wait_until(lambda: 'waiting for another process' in other.log(), 'the other one waits')
        # It would wait longer, but an end is an end.
        status, seconds = other.terminate()
        self.assertEqual(status, 1)
        self.assertLess(seconds, daemon.PROMPT)
        self.assertIn('in use by another process', other.log())
        self.assertEqual(len(other.log().splitlines()), 2, other.log())
        self.assertFalse(os.path.exists(other.socket))

    def test_refused_name_cannot_forge_a_log_line(self):
        self.refused(self.folder + '/a\nbulkhead-blk: sandbox closed', 'No such file')

    def test_refused_descriptor_that_is_not_open(self):
        result = self.run_blk('--blk-file', '/dev/fd/77', '--socket-path', os.path.join(self.folder, 'socket'))
        self.assertEqual(result.returncode, 2)


class Served(daemon.Case):
    def test_served_image_of_broken_length(self):
        self.make_image(4096)
        with open(self.image, 'ab') as file:
            file.write(b'x' * 100)
        blk = self.serve('--blk-file', self.image)
        self.assertEqual(blk.info()['capacity'], '4096')
        self.assertIn('no whole sector', blk.log())
        self.assertTrue(blk.write(7, b'y' * SECTOR))
        self.assertEqual(os.path.getsize(self.image), 4196)

    # [BH-BLK-1] What was written is read, and lies in the image.
    def test_served_what_was_written_is_read(self):
        blk = self.serve()
        data = os.urandom(64 * SECTOR)
        self.assertTrue(blk.write(100, data))
        self.assertEqual(blk.read(100, len(data)), data)
        self.assertEqual(blk.read(99, SECTOR), bytes([100]) * SECTOR)
        self.assertEqual(pathlib.Path(self.image).read_bytes()[100 * SECTOR:164 * SECTOR], data)
        self.assertTrue(blk.flush())

    def test_served_random_operations(self):
        for rings in ([], ['--packed'], ['--packed', '--in-order', '--queues', '4'], ['--indirect', '--inflight']):
            for more in ([], ['--direct'], ['--write-through']):
                blk = self.serve(*more)
                result = blk.vu('verify', '--count', '400', '--block', '16384', *rings)
                self.assertEqual(result.returncode, 0, (rings, more, result.stderr, blk.log()))
                blk.kill()

    # [BH-BLK-22] A discard gives the storage back.
    # [BH-BLK-21] ... and what is read there is old or zero.
    def test_served_discard(self):
        blk = self.serve()
        blocks = os.stat(self.image).st_blocks
        self.assertEqual(blk.vu('discard', '--sector', '0', '--length', str(1 << 19)).returncode, 0)
        self.assertLess(os.stat(self.image).st_blocks, blocks)
        self.assertIn(blk.read(8, SECTOR), (bytes([9]) * SECTOR, bytes(SECTOR)))
        self.assertEqual(os.path.getsize(self.image), 1 << 20)

    # [BH-BLK-23] Zeroes are zeroes, with and without unmap; nothing else changes.
    def test_served_write_zeroes(self):
        blk = self.serve()
        for sector, more in ((10, []), (30, ['--unmap'])):
            self.assertEqual(blk.vu('zeroes', '--sector', str(sector), '--length', '4096', *more).returncode, 0)
            self.assertEqual(blk.read(sector, 4096), bytes(4096))
            self.assertEqual(blk.read(sector - 1, SECTOR), bytes([sector]) * SECTOR)
            self.assertEqual(blk.read(sector + 8, SECTOR), bytes([sector + 9]) * SECTOR)

    # [BH-BLK-25] An image file cannot be erased securely, and [BH-BLK-26] knows no wear.
    def test_served_file_is_no_medium(self):
        info = self.serve().info()
        self.assertEqual(info['secure-erase'], '0 sectors')
        self.assertEqual(info['lifetime'], 'no')
        self.assertNotEqual(info['discard'], '0 sectors')
        self.assertNotEqual(info['write-zeroes'], '0 sectors')

    # [BH-BLK-6] The disk's identity, after a restart too.
    def test_served_serial(self):
        for text in ('front-left-0042', 'x' * 20, ''):
            for _ in range(2):
                blk = self.serve('--serial', text)
                self.assertEqual(blk.vu('id').stdout.decode(), text + '\n')
                blk.kill()

    # [BH-BLK-27] As many queues as it says.
    def test_served_queues(self):
        self.assertEqual(self.serve('--num-queues', '3').info()['queues'], '1 of 3')

    # [BH-BLK-16] Read-only is read-only.
    def test_served_read_only(self):
        blk = self.serve('--read-only')
        info = blk.info()
        self.assertEqual(info['read-only'], 'yes')
        self.assertEqual((info['discard'], info['write-zeroes']), ('0 sectors', '0 sectors'))
        self.assertEqual(blk.read(1, SECTOR), b'\2' * SECTOR)
        self.assertFalse(blk.write(1, b'x' * SECTOR))

    # [BH-BLK-17] The right is missing, not only the will.
    def test_served_read_only_descriptor(self):
        blk = self.serve('--read-only')
        blk.info()
        if not os.access('/proc/%d/fd' % blk.pid, os.R_OK):
            self.skipTest('only root may look into a process that is not dumpable')
        flags = [pathlib.Path('/proc/%d/fdinfo/%s' % (blk.pid, fd)).read_text(encoding='utf-8')
                 for fd in os.listdir('/proc/%d/fd' % blk.pid)
                 if os.readlink('/proc/%d/fd/%s' % (blk.pid, fd)) == self.image]
        self.assertTrue(flags)
        for text in flags:
            self.assertEqual(int(text.split('flags:')[1].split()[0], 8) & os.O_ACCMODE, os.O_RDONLY)

    def test_served_two_readers(self):
        self.serve('--read-only')
        folder = os.path.join(self.folder, 'other')
        os.mkdir(folder)
        other = daemon.Daemon(folder, '--blk-file', self.image, '--read-only')
        self.addCleanup(other.kill)
        self.assertEqual(other.wait_ready().read(0, SECTOR), b'\1' * SECTOR)

    def test_served_descriptor(self):
        self.make_image()
        with open(self.image, 'r+b') as file:
            fd = file.fileno()
            blk = self.serve('--blk-file', '/dev/fd/%d' % fd, pass_fds=[fd])
        self.assertTrue(blk.write(5, b'd' * SECTOR))
        self.assertEqual(blk.read(5, SECTOR), b'd' * SECTOR)

    def test_served_descriptor_without_the_right(self):
        self.make_image()
        with open(self.image, 'rb') as file:
            result = self.run_blk('--blk-file', '/dev/fd/%d' % file.fileno(), '--socket-path', self.folder + '/s',
                                  pass_fds=[file.fileno()])
        self.assertEqual(result.returncode, 1)
        self.assertIn('not open for reading and writing', result.stderr)

    # [BH-BLK-15] A daemon that is killed loses nothing that was committed; its successor gets the lock.
    def test_served_again_after_a_kill(self):
        blk = self.serve()
        self.assertTrue(blk.write(3, b'k' * SECTOR))
        self.assertTrue(blk.flush())
        blk.process.kill()
        again = self.start('--blk-file', self.image).wait_ready()
        self.assertEqual(again.read(3, SECTOR), b'k' * SECTOR)

    # A predecessor that takes its time is waited for.
    def test_served_after_a_slow_predecessor(self):
        blk = self.serve()
        folder = os.path.join(self.folder, 'next')
        os.mkdir(folder)
        successor = daemon.Daemon(folder, '--blk-file', self.image)
        self.addCleanup(successor.kill)
        daemon.wait_until(lambda: 'waiting for another process' in successor.log(), 'the successor waits')
        self.assertIsNone(successor.process.poll())
        blk.kill()
        self.assertEqual(successor.wait_ready().read(3, SECTOR), bytes([4]) * SECTOR)
        self.assertEqual(successor.log().count('waiting for'), 1)

    def test_served_null(self):
        blk = self.serve('--null', '3M')
        self.assertEqual(blk.info()['capacity'], str(3 << 20))
        self.assertTrue(blk.write(1, b'n' * SECTOR))
        self.assertEqual(blk.read(1, SECTOR), bytes(SECTOR))


class Changes(daemon.Case):
    """The image changes under the running daemon."""

    # [BH-BLK-34] What is lost gives errors, the rest is as it was, and the image does not grow again.
    def test_changes_image_shrinks(self):
        blk = self.serve()
        os.truncate(self.image, 1 << 19)
        last = (1 << 19) // SECTOR - 1
        self.assertEqual(blk.read(last, SECTOR), bytes([(last + 1) & 0xff]) * SECTOR)
        for sector in (last + 1, (1 << 20) // SECTOR - 1):
            self.assertIsNone(blk.read(sector, SECTOR))
            self.assertFalse(blk.write(sector, b's' * SECTOR))
        self.assertIsNone(blk.read(last, 2 * SECTOR))
        self.assertFalse(blk.write(last, b's' * 2 * SECTOR))
        self.assertEqual(os.path.getsize(self.image), 1 << 19)
        self.assertTrue(blk.write(last, b't' * SECTOR))
        self.assertEqual(blk.read(last, SECTOR), b't' * SECTOR)

    def test_changes_image_vanishes(self):
        blk = self.serve()
        os.unlink(self.image)
        self.assertTrue(blk.write(9, b'v' * SECTOR))
        self.assertEqual(blk.read(9, SECTOR), b'v' * SECTOR)
        self.assertTrue(blk.flush())

    # [BH-BLK-35] The new size is shown after SIGHUP, in whole sectors, and holds.
    def test_changes_size_is_told(self):
        blk = self.serve()
        for size in ((1 << 21) + 100, 1 << 19):
            os.truncate(self.image, size)
            blk.process.send_signal(signal.SIGHUP)
            daemon.wait_until(lambda: blk.info()['capacity'] == str(size // SECTOR * SECTOR), 'the new size')
        self.assertIsNone(blk.read((1 << 19) // SECTOR, SECTOR))
        self.assertIn('has %d bytes' % (1 << 19), blk.log())

    def test_changes_guest_is_told_while_it_works(self):
        blk = self.serve()
        with subprocess.Popen([daemon.VU_BLK, '--socket', blk.socket, '--count', '1000000', 'bench'],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as busy:
            time.sleep(0.2)
            for size in (1 << 22, 1 << 21, 1 << 22):
                os.truncate(self.image, size)
                blk.process.send_signal(signal.SIGHUP)
                time.sleep(0.05)
            self.assertIsNone(busy.poll())
            busy.kill()
        self.assertEqual(blk.info()['capacity'], str(1 << 22))


if __name__ == '__main__':
    daemon.main()
