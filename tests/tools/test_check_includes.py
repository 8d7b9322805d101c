#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows that tools/check_includes.py finds each kind of forbidden #include, and lets the permitted ones pass.

Each case builds a small tree in a scratch directory and runs the real script on it.
"""

import os
import subprocess
import tempfile
import unittest

import tap

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class CheckIncludes(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.TemporaryDirectory()
        self.add('include/bulkhead/error.h', '')
        self.add('include/bulkhead/queue.h', '#include <stdint.h>\n#include "bulkhead/error.h"\n')
        self.add('include/bulkhead/blk.h', '#include "bulkhead/queue.h"\n')
        self.add('devices/blk.c', '#include "bulkhead/blk.h"\n')

    def tearDown(self):
        self.scratch.cleanup()

    def add(self, path, text):
        full = os.path.join(self.scratch.name, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, 'w', encoding='utf-8') as file:
            file.write(text)

    def run_it(self):
        done = subprocess.run([os.path.join(ROOT, 'tools', 'check_includes.py'), self.scratch.name],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        return done.returncode, done.stdout

    def passes(self):
        code, output = self.run_it()
        self.assertEqual(code, 0, output)
        self.assertTrue(output.endswith(' passed, 0 failed\n'), output)

    def fails(self, *parts):
        code, output = self.run_it()
        self.assertEqual(code, 1, output)
        self.assertTrue(output.endswith(' passed, 1 failed\n'), output)
        for part in parts:
            self.assertIn(part, output)

    def test_permitted_tree(self):
        self.add('core/ring.h', '')
        self.add('core/ring.c', '#include <stddef.h>\n#include "ring.h"\n#include "bulkhead/queue.h"\n')
        self.add('include/bulkhead/virtio_blk.h', '#include <stdint.h>\n')
        self.add('include/bulkhead/driver_blk.h', '#include "bulkhead/virtio_blk.h"\n')
        self.add('driver/blk.c', '#include "bulkhead/driver_blk.h"\n#include "bulkhead/virtio_blk.h"\n')
        self.add('host/disk.c', '#include <sys/stat.h>\n#include "bulkhead/blk.h"\n')
        self.add('daemons/blk.c', '#include <stdio.h>\n#include "bulkhead/blk.h"\n')
        self.add('tests/unit/test_ring.c', '#include <stdio.h>\n#include "core/ring.h"\n')
        self.passes()

    def test_private_header_of_another_folder(self):
        self.add('core/ring.h', '')
        self.add('devices/can.c', '#include "core/ring.h"\n')
        self.fails('devices/can.c:1:', 'private headers')

    def test_private_header_by_relative_path(self):
        self.add('core/ring.h', '')
        self.add('ports/mmio/regs.c', '\n#include "../../core/ring.h"\n')
        self.fails('ports/mmio/regs.c:2:')

    def test_private_header_by_bare_name(self):
        self.add('core/ring.h', '')
        self.add('driver/ring.c', '#include "ring.h"\n')
        self.fails('driver/ring.c:1:', 'core/ring.h')

    def test_sibling_ports_are_two_folders(self):
        self.add('ports/mmio/regs.h', '')
        self.add('ports/vhost_user/session.c', '#include "ports/mmio/regs.h"\n')
        self.fails('ports/vhost_user/session.c:1:')

    def test_core_may_not_use_devices(self):
        self.add('core/ring.c', '#include "bulkhead/blk.h"\n')
        self.fails('core/ring.c:1:', 'belongs to devices/')

    def test_driver_may_not_use_core_or_devices(self):
        self.add('driver/ring.c', '#include "bulkhead/queue.h"\n')
        self.fails('driver/ring.c:1:', 'belongs to core/')
        self.add('driver/ring.c', '#include "bulkhead/blk.h"\n')
        self.fails('driver/ring.c:1:', 'belongs to devices/')

    def test_core_may_not_use_driver(self):
        self.add('include/bulkhead/driver_queue.h', '')
        self.add('core/ring.c', '#include "bulkhead/driver_queue.h"\n')
        self.fails('core/ring.c:1:', 'belongs to driver/')

    def test_host_may_not_use_ports(self):
        self.add('include/bulkhead/mmio.h', '')
        self.add('host/loop.c', '#include "bulkhead/mmio.h"\n')
        self.fails('host/loop.c:1:', 'belongs to ports/mmio/')

    def test_linux_only_header_in_freestanding_code(self):
        self.add('include/bulkhead/poller.h', '#include <sys/epoll.h>\n')
        self.add('host/loop.c', '#include "bulkhead/poller.h"\n')
        self.passes()
        self.add('ports/mmio/regs.c', '#include "bulkhead/poller.h"\n')
        self.fails('ports/mmio/regs.c:1:', 'uses Linux')
        self.add('ports/mmio/regs.c', '')
        self.add('include/bulkhead/host_disk.h', '#include <sys/uio.h>\n')
        self.passes()
        self.add('devices/blk.c', '#include "bulkhead/host_disk.h"\n')
        self.fails('devices/blk.c:1:', 'uses Linux')

    def test_ports_may_not_use_devices(self):
        self.add('ports/vhost_user/session.c', '#include "bulkhead/blk.h"\n')
        self.fails('ports/vhost_user/session.c:1:')

    def test_libc_in_freestanding_code(self):
        for folder in ('core', 'driver', 'devices', 'ports/mmio', 'guest'):
            with self.subTest(folder):
                self.add(folder + '/bad.c', '#include <string.h>\n')
                self.fails(folder + '/bad.c:1:', '<string.h>')
                self.add(folder + '/bad.c', '')

    def test_libc_in_a_public_header(self):
        self.add('include/bulkhead/queue.h', '#include <string.h>\n')
        self.fails('include/bulkhead/queue.h:1:')

    def test_public_header_upwards(self):
        self.add('include/bulkhead/queue.h', '#include "bulkhead/blk.h"\n')
        self.fails('include/bulkhead/queue.h:1:', 'belongs to core/')

    def test_shared_header_uses_only_shared(self):
        self.add('include/bulkhead/error.h', '#include "bulkhead/queue.h"\n')
        self.fails('include/bulkhead/error.h:1:')

    def test_header_that_nobody_owns(self):
        self.add('include/bulkhead/mystery.h', '')
        self.add('host/disk.c', '#include "bulkhead/mystery.h"\n')
        self.fails('host/disk.c:1:', 'nobody owns')

    def test_angle_brackets_do_not_hide_a_project_header(self):
        self.add('core/ring.c', '#include <bulkhead/blk.h>\n')
        self.fails('core/ring.c:1:')

    def test_include_that_an_if_switches_off(self):
        self.add('core/ring.c', '#if 0\n# include <string.h>\n#endif\n')
        self.fails('core/ring.c:2:')

    def test_comments_and_strings_do_not_count(self):
        self.add('core/ring.c', '/*\n#include <string.h>\n*/\n// #include <stdio.h>\n')
        self.passes()

    def test_comment_before_the_directive(self):
        self.add('core/ring.c', '/* x */ #include <string.h>\n')
        self.fails('core/ring.c:1:')

    def test_computed_include(self):
        self.add('core/ring.c', '#include WHAT\n')
        self.fails('core/ring.c:1:', 'write the file name out')

    def test_missing_file(self):
        self.add('host/disk.c', '#include "disk.h"\n')
        self.fails('host/disk.c:1:', 'no file of the tree')

    def test_unknown_folder(self):
        self.add('extras/x.c', '')
        self.fails('extras/x.c:1:')

    def test_build_directories_are_not_read(self):
        self.add('build/gcc/config.h', '#include <string.h>\n')
        self.add('build-x/core/bad.c', '#include <string.h>\n')
        self.passes()


if __name__ == '__main__':
    tap.main()
