#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Disks that fail: errors of the medium, a full host, an answer that does not come. The guest sees an error of that
request, and everything else is as it was.

The script starts itself again in namespaces where it may mount.
"""

import errno
import os
import subprocess
import time

import daemon
import fuse_disk

SECTOR = 512
SIZE = 1 << 20


class FuseCase(daemon.Case):
    def setUp(self):
        super().setUp()
        try:
            self.disk = fuse_disk.FuseDisk(os.path.join(self.folder, 'mounted'), SIZE)
        except OSError as error:
            self.skipTest('no FUSE here: %s' % error)
        self.addCleanup(self.disk.close)
        self.disk.data[:] = bytes((at // SECTOR + 1) & 0xff for at in range(SIZE))
        self.image = self.disk.path

    def serve(self, *arguments, **popen):
        return super().serve('--blk-file', self.disk.path, *arguments, **popen)


class Errors(FuseCase):
    # [BH-BLK-32] An error is an error of one request.
    def test_errors_read(self):
        self.disk.fail[fuse_disk.READ] = lambda offset, length: errno.EIO if offset <= 4096 < offset + length else 0
        blk = self.serve()
        self.assertIsNone(blk.read(8, SECTOR))
        self.assertIsNone(blk.read(0, 8192))
        self.assertEqual(blk.read(7, SECTOR), b'\x08' * SECTOR)
        self.assertEqual(blk.read(9, SECTOR), b'\x0a' * SECTOR)
        self.disk.fail.clear()
        self.assertEqual(blk.read(8, SECTOR), b'\x09' * SECTOR)

    # [BH-BLK-32] The same for a write; earlier data is intact.
    def test_errors_write(self):
        self.disk.fail[fuse_disk.WRITE] = lambda offset, length: errno.EIO if offset <= 4096 < offset + length else 0
        blk = self.serve()
        self.assertFalse(blk.write(8, b'w' * SECTOR))
        self.assertEqual(blk.read(8, SECTOR), b'\x09' * SECTOR)
        self.assertTrue(blk.write(9, b'w' * SECTOR))
        self.assertEqual(blk.read(9, SECTOR), b'w' * SECTOR)

    # [BH-BLK-10] A failed commit is not hidden.
    def test_errors_commit(self):
        blk = self.serve()
        self.assertTrue(blk.flush())
        self.disk.fail[fuse_disk.FSYNC] = lambda *_: errno.EIO
        self.assertFalse(blk.flush())

    # [BH-BLK-12] A write-through disk says a write is done only when the medium says that it is committed.
    def test_errors_commit_of_a_write_through_disk(self):
        blk = self.serve('--write-through')
        self.assertTrue(blk.write(1, b't' * SECTOR))
        self.assertIn(fuse_disk.FSYNC, self.disk.seen)
        self.disk.fail[fuse_disk.FSYNC] = lambda *_: errno.EIO
        self.assertFalse(blk.write(1, b'u' * SECTOR))
        self.assertNotEqual(blk.vu('zeroes', '--sector', '1', '--length', '512').returncode, 0)

    # [BH-BLK-33] The host is full: an error, and the same write succeeds once there is room.
    def test_errors_no_space(self):
        self.disk.fail[fuse_disk.WRITE] = lambda *_: errno.ENOSPC
        blk = self.serve()
        self.assertFalse(blk.write(5, b'f' * SECTOR))
        self.assertEqual(blk.read(5, SECTOR), b'\x06' * SECTOR)
        self.disk.fail.clear()
        self.assertTrue(blk.write(5, b'f' * SECTOR))
        self.assertEqual(blk.read(5, SECTOR), b'f' * SECTOR)

    # [BH-BLK-18] A file system that punches no holes: no discard; zeroes are written.
    def test_errors_no_holes(self):
        self.disk.fail[fuse_disk.FALLOCATE] = lambda *_: errno.EOPNOTSUPP
        blk = self.serve()
        self.assertEqual(blk.info()['discard'], '0 sectors')
        for more in ([], ['--unmap']):
            self.assertEqual(blk.vu('zeroes', '--sector', '16', '--length', '300032', *more).returncode, 0)
            self.assertEqual(blk.read(16, 300032), bytes(300032))
            self.assertEqual(blk.read(15, SECTOR), b'\x10' * SECTOR)
            self.assertEqual(blk.read(16 + 586, SECTOR), bytes([(16 + 586 + 1) & 0xff]) * SECTOR)

    # [BH-BLK-1] A write that the host cuts short goes on where it ended. (The file system does not cut reads short: of
    # a FUSE file without cache, Linux 6.18's io_uring then puts them together wrongly itself.)
    def test_errors_short_writes(self):
        blk = self.serve()
        data = os.urandom(65536)
        for self.disk.most in (1, 1000, 4096 + 100):
            length = 1024 if self.disk.most == 1 else 65536
            self.assertTrue(blk.write(3, data[:length]))
            self.assertEqual(bytes(self.disk.data[3 * SECTOR:3 * SECTOR + length]), data[:length])
        result = blk.vu('verify', '--count', '100', '--block', '16384', '--indirect')
        self.assertEqual(result.returncode, 0, result.stderr)

    # [BH-BLK-12] Zeroes that have to be written are committed too.
    def test_errors_commit_of_written_zeroes(self):
        self.disk.fail[fuse_disk.FALLOCATE] = lambda *_: errno.EOPNOTSUPP
        blk = self.serve('--write-through')
        self.assertEqual(blk.vu('zeroes', '--sector', '1', '--length', '512').returncode, 0)
        self.disk.fail[fuse_disk.FSYNC] = lambda *_: errno.EIO
        self.assertNotEqual(blk.vu('zeroes', '--sector', '1', '--length', '512').returncode, 0)

    def test_errors_cannot_fill_the_log(self):
        self.disk.fail[fuse_disk.READ] = lambda *_: errno.EIO
        blk = self.serve()
        for sector in range(50):
            blk.read(sector, SECTOR)
        self.assertLess(len(blk.log().splitlines()), 45)


class Slow(FuseCase):
    def busy_reader(self, blk, sector):
        seen = self.disk.seen.count(fuse_disk.READ)
        reader = subprocess.Popen([daemon.VU_BLK, '--socket', blk.socket, '--sector', str(sector), '--length', '512',
                                   'read'], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(reader.stdout.close)
        self.addCleanup(reader.wait)
        self.addCleanup(reader.kill)
        daemon.wait_until(lambda: self.disk.seen.count(fuse_disk.READ) > seen, 'the read is under way')
        return reader

    # [BH-BLK-28] A slow request holds nobody up: many at a time take no longer than one.
    def test_slow_requests_overlap(self):
        self.disk.delay[fuse_disk.READ] = lambda *_: 0.3
        blk = self.serve()
        begin = time.monotonic()
        result = blk.vu('bench', '--count', '6', '--depth', '6', '--block', '4096')
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertLess(time.monotonic() - begin, 1.2)

    def test_slow_request_is_waited_for_at_the_end(self):
        self.disk.delay[fuse_disk.READ] = lambda *_: 0.2
        blk = self.serve()
        reader = self.busy_reader(blk, 3)
        status, seconds = blk.terminate()
        self.assertEqual(status, 0)
        self.assertLess(seconds, daemon.PROMPT)
        self.assertEqual(reader.stdout.read(), b'\x04' * SECTOR)
        self.assertNotIn('still under way', blk.log())

    # The daemon waits no longer than half a second. (The kernel ends no process before its requests have ended, so
    # the end itself comes with the answer.)
    def test_slow_request_does_not_hold_up_the_end(self):
        self.disk.delay[fuse_disk.READ] = lambda *_: 2
        blk = self.serve()
        self.busy_reader(blk, 3)
        blk.process.terminate()
        daemon.wait_until(lambda: 'still under way' in blk.log(), 'the daemon gives up', daemon.PROMPT)
        self.assertEqual(blk.wait_end(), 0)


class Full(daemon.Case):
    # [BH-BLK-33] A real file system that fills up: errors, earlier data intact; then there is room again.
    def test_full_file_system(self):
        mounted = os.path.join(self.folder, 'small')
        os.mkdir(mounted)
        try:
            fuse_disk.mount('small', mounted, 'tmpfs', 'size=2m')
        except OSError as error:
            self.skipTest('no tmpfs here: %s' % error)
        self.addCleanup(fuse_disk.unmount, mounted)
        image = os.path.join(mounted, 'image')
        with open(image, 'wb') as file:
            file.truncate(8 << 20)
        filler = os.path.join(mounted, 'filler')
        with open(filler, 'wb') as file:
            file.write(bytes(1 << 20))
        blk = self.serve('--blk-file', image)
        written = [at for at in range(64) if blk.write(at * 128, bytes([at + 1]) * 65536)]
        self.assertGreater(len(written), 8)
        self.assertLess(len(written), 20)
        failed = next(at for at in range(64) if at not in written)
        for at in written:
            self.assertEqual(blk.read(at * 128, 65536), bytes([at + 1]) * 65536, at)
        os.unlink(filler)
        self.assertTrue(blk.write(failed * 128, b'F' * 65536))
        self.assertEqual(blk.read(failed * 128, 65536), b'F' * 65536)
        self.assertEqual(os.path.getsize(image), 8 << 20)


class Devices(daemon.Case):
    """Block devices: loop devices over a file. Only root has them."""

    def attach(self, block, size=16 << 20):
        backing = os.path.join(self.folder, 'backing')
        with open(backing, 'wb') as file:
            file.write(bytes([0xda]) * size)
        result = subprocess.run(['/sbin/losetup', '--show', '--find', '--sector-size', str(block), backing],
                                capture_output=True, text=True, check=False)
        if result.returncode != 0:
            self.skipTest('no loop device here')
        device = result.stdout.strip()
        self.addCleanup(subprocess.run, ['/sbin/losetup', '--detach', device], check=False)
        return device, backing

    # [BH-BLK-31] The topology is the resource's; [BH-BLK-3] single sectors are served all the same.
    def test_devices_of_either_block_size(self):
        for block in (512, 4096):
            device, _ = self.attach(block)
            for more in ([], ['--direct']):
                blk = self.serve('--blk-file', device, *more)
                info = blk.info()
                self.assertEqual((info['capacity'], info['block-size']), (str(16 << 20), str(block)))
                self.assertEqual((info['secure-erase'], info['lifetime']), ('0 sectors', 'no'))
                for rings in ([], ['--packed', '--queues', '2']):
                    result = blk.vu('verify', '--count', '300', '--block', '16384', *rings)
                    self.assertEqual(result.returncode, 0, (block, more, result.stderr))
                self.assertTrue(blk.write(3, b'3' * SECTOR))
                self.assertTrue(blk.flush())
                self.assertEqual(blk.read(3, SECTOR), b'3' * SECTOR)
                self.assertEqual(blk.terminate()[0], 0)

    # [BH-BLK-22], [BH-BLK-23]: whole blocks are given back, parts of blocks are written.
    def test_devices_discard_and_zeroes(self):
        device, backing = self.attach(4096)
        blk = self.serve('--blk-file', device)
        blocks = os.stat(backing).st_blocks
        self.assertEqual(blk.vu('discard', '--sector', '8', '--length', str(4 << 20)).returncode, 0)
        self.assertLess(os.stat(backing).st_blocks, blocks)
        self.assertEqual(blk.vu('discard', '--sector', '16385', '--length', '1024').returncode, 0)
        for sector, more in ((16384, []), (16401, []), (17001, ['--unmap']), (20000, ['--unmap'])):
            self.assertEqual(blk.vu('zeroes', '--sector', str(sector), '--length', '4096', *more).returncode, 0)
            self.assertEqual(blk.read(sector, 4096), bytes(4096))
            self.assertEqual(blk.read(sector + 8, SECTOR), b'\xda' * SECTOR)

    # [BH-BLK-32] A device whose medium goes away gives errors and no wrong data.
    def test_devices_that_lose_their_medium(self):
        device, backing = self.attach(512)
        blk = self.serve('--blk-file', device, '--direct')
        self.assertEqual(blk.read(0, 4096), b'\xda' * 4096)
        os.truncate(backing, 8 << 20)
        self.assertIsNone(blk.read(20000, 4096))
        self.assertEqual(blk.read(8, 4096), b'\xda' * 4096)

    def test_devices_read_only(self):
        device, _ = self.attach(512)
        blk = self.serve('--blk-file', device, '--read-only')
        self.assertEqual(blk.info()['read-only'], 'yes')
        self.assertFalse(blk.write(0, b'x' * SECTOR))
        self.assertEqual(blk.read(0, SECTOR), b'\xda' * SECTOR)


if __name__ == '__main__':
    fuse_disk.enter()
    daemon.main()
