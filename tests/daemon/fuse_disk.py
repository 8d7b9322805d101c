# SPDX-License-Identifier: BSD-2-Clause
"""A file system with one file, `image`, that fails as it is told: a disk that returns EIO, is full, or is slow.

Not a test itself, and no more of a file system than that. It speaks to the kernel through /dev/fuse, in threads of
this process. It needs the right to mount, which `enter` gets by namespaces of its own.
"""

import ctypes
import errno
import os
import stat
import struct
import sys
import threading
import time

LIBC = ctypes.CDLL(None, use_errno=True)
ROOT, IMAGE = 1, 2
(LOOKUP, FORGET, GETATTR, OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, FLUSH, INIT, OPENDIR, ACCESS, INTERRUPT,
 BATCH_FORGET, FALLOCATE) = (1, 2, 3, 14, 15, 16, 17, 18, 20, 25, 26, 27, 34, 36, 42, 43)
NO_ANSWER = (FORGET, BATCH_FORGET, INTERRUPT)
DIRECT_IO = 1  # every read and write reaches us
WORKERS = 8


def enter():
    """Starts the running script again where it may mount; returns once that is so. An exit status means: impossible."""
    if os.environ.get('BULKHEAD_FUSE') == '1':
        return
    options = ['--mount'] if os.geteuid() == 0 else ['--user', '--map-root-user', '--mount']
    with open('/proc/self/mountinfo', encoding='utf-8') as mounts:
        # In some containers and chroots / is no mount point: then it cannot be made private.
        if all(line.split()[4] != '/' for line in mounts):
            options += ['--propagation', 'unchanged']
    os.environ['BULKHEAD_FUSE'] = '1'
    os.execvp('unshare', ['unshare', *options, sys.executable, *sys.argv])


def mount(source, target, kind, options):
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), 0, options.encode()) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def unmount(target):
    LIBC.umount2(target.encode(), 2)  # MNT_DETACH


class FuseDisk:
    """`fail` maps an operation (READ, WRITE, FSYNC, FALLOCATE) to a function of (offset, length) that returns an errno
    or 0; `delay` likewise, to seconds. `most` bytes are written at a time, if it is not 0."""

    def __init__(self, folder, size):
        self.folder = folder
        self.path = os.path.join(folder, 'image')
        self.data = bytearray(size)
        self.fail = {}
        self.delay = {}
        self.most = 0
        self.seen = []  # operations that came for the image
        self.device = os.open('/dev/fuse', os.O_RDWR)
        os.makedirs(folder, exist_ok=True)
        mount('disk', folder, 'fuse', 'fd=%d,rootmode=40755,user_id=%d,group_id=%d,allow_other'
              % (self.device, os.geteuid(), os.getegid()))
        self.workers = [threading.Thread(target=self.work, daemon=True) for _ in range(WORKERS)]
        for worker in self.workers:
            worker.start()

    def close(self):
        """Nobody may have the image open any more."""
        unmount(self.folder)
        for worker in self.workers:
            worker.join(20)
        os.close(self.device)

    def work(self):
        while True:
            try:
                request = os.read(self.device, 1 << 20)
            except OSError as error:
                if error.errno in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    continue
                return  # unmounted
            _, opcode, unique, node = struct.unpack_from('<IIQQ', request)
            if opcode in NO_ANSWER:
                continue
            try:
                number, answer = 0, self.answer(opcode, node, request[40:])
            except OSError as error:
                number, answer = error.errno, b''
            try:
                os.write(self.device, struct.pack('<IiQ', 16 + len(answer), -number, unique) + answer)
            except OSError:
                pass  # the request was given up

    def attributes(self, node):
        image = node == IMAGE
        mode = stat.S_IFREG | 0o666 if image else stat.S_IFDIR | 0o755
        size = len(self.data) if image else 0
        return struct.pack('<QQQQQQIIIIIIIIII', node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def trouble(self, opcode, offset, length):
        self.seen.append(opcode)
        time.sleep(self.delay.get(opcode, lambda *_: 0)(offset, length))
        number = self.fail.get(opcode, lambda *_: 0)(offset, length)
        if number != 0:
            raise OSError(number, os.strerror(number))

    def answer(self, opcode, node, body):
        if opcode == INIT:
            _, _, ahead, _ = struct.unpack_from('<IIII', body)
            return struct.pack('<IIIIHHIIHHI7I', 7, 31, ahead, 0, 12, 9, 1 << 17, 1, 32, 0, 0, *[0] * 7)
        if opcode == LOOKUP:
            if node != ROOT or body.rstrip(b'\0') != b'image':
                raise OSError(errno.ENOENT, 'no such file')
            return struct.pack('<QQQQII', IMAGE, 0, 0, 0, 0, 0) + self.attributes(IMAGE)
        if opcode == GETATTR:
            return struct.pack('<QII', 0, 0, 0) + self.attributes(node)
        if opcode in (OPEN, OPENDIR):
            return struct.pack('<QII', 0, DIRECT_IO if node == IMAGE else 0, 0)
        if opcode == STATFS:
            return struct.pack('<QQQQQIIII6I', 0, 0, 0, 0, 0, 4096, 255, 4096, 0, *[0] * 6)
        if opcode in (RELEASE, FLUSH, ACCESS):
            return b''
        return self.transfer(opcode, body)

    def transfer(self, opcode, body):
        if opcode == READ:
            _, offset, length = struct.unpack_from('<QQI', body)
            self.trouble(READ, offset, length)
            return bytes(self.data[offset:offset + length])
        if opcode == WRITE:
            _, offset, length, _, _, flags = struct.unpack_from('<QQIIQI', body)
            self.trouble(WRITE, offset, length)
            length = min(length, self.most or length)
            if flags & os.O_DSYNC:
                self.trouble(FSYNC, 0, 0)
            self.data[offset:offset + length] = body[40:40 + length]
            return struct.pack('<II', length, 0)
        if opcode == FSYNC:
            self.trouble(FSYNC, 0, 0)
            return b''
        if opcode == FALLOCATE:
            _, offset, length = struct.unpack_from('<QQQ', body)
            self.trouble(FALLOCATE, offset, length)
            self.data[offset:offset + length] = bytes(min(length, max(0, len(self.data) - offset)))
            return b''
        raise OSError(errno.ENOSYS, 'not here')
