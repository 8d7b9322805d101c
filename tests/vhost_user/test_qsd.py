#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""vu-blk against QEMU's storage daemon: proof that driver/ speaks the protocol of somebody else's back end.

It offers split rings only, no in-order and no in-flight region; those are for test_bulkhead_blk.py.
"""

import shutil
import unittest

import backend_cases

QSD = shutil.which('qemu-storage-daemon')


@unittest.skipUnless(QSD, 'qemu-storage-daemon is not installed (qemu-system-common)')
class Qsd(backend_cases.Cases):
    busy_tries = 10

    def command(self):
        return [QSD, '--blockdev', 'driver=file,node-name=file,filename=%s,discard=unmap' % self.image,
                '--export', 'type=vhost-user-blk,id=export,node-name=file,addr.type=unix,addr.path=%s,'
                'writable=on,num-queues=4' % self.socket]

    def test_what_it_lacks_is_reported(self):
        for option in ('--packed', '--in-order', '--inflight'):
            self.vu(option, 'info', status=3)
        self.vu('--queues', 5, 'info', status=3)


@unittest.skipUnless(QSD, 'qemu-storage-daemon is not installed (qemu-system-common)')
class QsdNull(backend_cases.Cases):
    """Without a medium: only the protocol counts."""
    busy_tries = 10

    def command(self):
        return [QSD, '--blockdev', 'driver=null-co,node-name=null,size=%d,read-zeroes=on' % backend_cases.SIZE,
                '--export', 'type=vhost-user-blk,id=export,node-name=null,addr.type=unix,addr.path=%s,'
                'writable=on,num-queues=2' % self.socket]

    def test_bench(self):
        said = self.vu('--queues', 2, '--depth', 32, '--block', 4096, '--count', 20000, 'bench').decode()
        self.assertRegex(said, r'^20000 reads of 4096 bytes in .* IOPS')

    # A null device keeps nothing.
    test_written_data_is_in_the_image = None
    test_read_shows_the_image = None
    test_last_sector = None
    test_write_zeroes_and_discard = None
    test_front_end_killed = None


backend_cases.add_variants(Qsd, backend_cases.SPLIT)

if __name__ == '__main__':
    backend_cases.main(backend_cases.Cases)
