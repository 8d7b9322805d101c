# SPDX-License-Identifier: BSD-2-Clause
"""A raw vhost-user front end that can say anything. Not a test itself."""

import array
import fcntl
import mmap
import os
import socket
import struct

from hostile import DATA, PART, PRIVATE, RINGS

VERSION, REPLY, NEED_REPLY = 1, 4, 8

NAMES = {
    1: 'GET_FEATURES', 2: 'SET_FEATURES', 3: 'SET_OWNER', 4: 'RESET_OWNER', 5: 'SET_MEM_TABLE', 6: 'SET_LOG_BASE',
    7: 'SET_LOG_FD', 8: 'SET_VRING_NUM', 9: 'SET_VRING_ADDR', 10: 'SET_VRING_BASE', 11: 'GET_VRING_BASE',
    12: 'SET_VRING_KICK', 13: 'SET_VRING_CALL', 14: 'SET_VRING_ERR', 15: 'GET_PROTOCOL_FEATURES',
    16: 'SET_PROTOCOL_FEATURES', 17: 'GET_QUEUE_NUM', 18: 'SET_VRING_ENABLE', 19: 'SEND_RARP', 20: 'NET_SET_MTU',
    21: 'SET_BACKEND_REQ_FD', 22: 'IOTLB_MSG', 23: 'SET_VRING_ENDIAN', 24: 'GET_CONFIG', 25: 'SET_CONFIG',
    26: 'CREATE_CRYPTO_SESSION', 27: 'CLOSE_CRYPTO_SESSION', 28: 'POSTCOPY_ADVISE', 29: 'POSTCOPY_LISTEN',
    30: 'POSTCOPY_END', 31: 'GET_INFLIGHT_FD', 32: 'SET_INFLIGHT_FD', 33: 'GPU_SET_SOCKET', 34: 'RESET_DEVICE',
    35: 'VRING_KICK', 36: 'GET_MAX_MEM_SLOTS', 37: 'ADD_MEM_REG', 38: 'REM_MEM_REG', 39: 'SET_STATUS', 40: 'GET_STATUS',
    41: 'GET_SHARED_OBJECT', 42: 'SET_DEVICE_STATE_FD', 43: 'CHECK_DEVICE_STATE', 44: 'GET_SHMEM_CONFIG',
}
# What a back end may know; all else must end the connection.
KNOWN = {1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 21, 24, 25, 31, 32, 34, 36, 37, 38, 39, 40}
HAS_REPLY = {1, 11, 15, 17, 24, 31, 36, 40}

F_VERSION_1, F_PROTOCOL = 1 << 32, 1 << 30
P_MQ, P_REPLY_ACK, P_CONFIG, P_SLOTS, P_STATUS = 1, 1 << 3, 1 << 9, 1 << 15, 1 << 16

SIZE = 64  # of a ring
F_ADD_SEALS, F_SEAL_SEAL, F_SEAL_SHRINK, F_SEAL_GROW = 1033, 1, 2, 4


def memory_file(size, sealed=True):
    fd = os.memfd_create('front', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    if sealed:
        fcntl.fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
    return fd


def table(*regions):
    """Payload of SET_MEM_TABLE: (address, size, offset in the file); user addresses are guest addresses."""
    return struct.pack('<II', len(regions), 0) + b''.join(
        struct.pack('<QQQQ', address, size, address, offset) for address, size, offset in regions)


class Gone(Exception):
    """The gate closed the connection."""


class Front:
    """One connection. The steps of a well-behaved front end are methods; `say` sends anything."""

    def __init__(self, path, sealed=True, areas=(PRIVATE, RINGS, DATA)):
        self.files = {address: memory_file(PART, sealed) for address in areas}
        self.events = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC) for _ in range(3)]
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Connecting waits while the backlog is full, but not for ever.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack('@ll', 20, 0))
        self.socket.connect(path)
        self.socket.settimeout(20)

    def close(self):
        self.socket.close()
        for fd in [*self.files.values(), *self.events]:
            os.close(fd)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    # ---- anything

    def raw(self, data, fds=()):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []
        try:
            self.socket.sendmsg([data], rights)
        except (BrokenPipeError, ConnectionResetError) as error:
            raise Gone from error

    def say(self, request, payload=b'', fds=(), flags=VERSION):
        self.raw(struct.pack('<III', request, flags, len(payload)) + payload, fds)

    def hear(self):
        """The next message of the gate: (request, payload, descriptors)."""
        data, fds = self.take(12)
        request, _, size = struct.unpack('<III', data)
        payload, more = self.take(size)
        return request, payload, fds + more

    def take(self, length):
        data, fds = b'', []
        while len(data) < length:
            try:
                part, rights, _, _ = self.socket.recvmsg(length - len(data), socket.CMSG_SPACE(4 * 16))
            except ConnectionResetError as error:
                raise Gone from error
            for _, _, values in rights:
                fds += list(array.array('i', values[:len(values) // 4 * 4]))
            if not part:
                raise Gone
            data += part
        return data, fds

    def ask(self, request, payload=b'', fds=()):
        self.say(request, payload, fds)
        return self.hear()[1]

    def ask_u64(self, request):
        return struct.unpack('<Q', self.ask(request))[0]

    def is_gone(self):
        """Whether the gate closes the connection. One that says nothing is asked something."""
        try:
            self.say(1)
            while True:
                if self.hear()[0] == 1:
                    return False
        except Gone:
            return True

    # ---- a front end's steps

    def greet(self):
        self.ask_u64(1)
        self.ask_u64(15)
        self.say(16, struct.pack('<Q', P_MQ | P_REPLY_ACK | P_CONFIG | P_SLOTS | P_STATUS))
        self.say(3)

    def agree(self):
        self.say(2, struct.pack('<Q', F_VERSION_1 | F_PROTOCOL))
        self.share()

    def share(self):
        self.say(5, table(*((address, PART, 0) for address in self.files)), list(self.files.values()))

    def ring(self, index=0, descriptor=RINGS, used=RINGS + 0x2000, available=RINGS + 0x1000):
        self.say(8, struct.pack('<II', index, SIZE))
        self.say(10, struct.pack('<II', index, 0))
        self.say(9, struct.pack('<IIQQQQ', index, 0, descriptor, used, available, 0))

    def start(self, index=0):
        self.ring(index)
        self.say(13, struct.pack('<Q', index), [self.events[1]])
        self.say(14, struct.pack('<Q', index), [self.events[2]])
        self.say(12, struct.pack('<Q', index), [self.events[0]])
        self.say(18, struct.pack('<II', index, 1))

    STATES = ('fresh', 'greeted', 'agreed', 'running')

    def reach(self, state):
        for step in (self.greet, self.agree, self.start)[:self.STATES.index(state)]:
            step()
        return self

    # ---- ring 0

    def offer(self, count=1, kind=8):
        """Requests (GET_ID, if no other): header, data and status in the data part."""
        rings = mmap.mmap(self.files[RINGS], PART)
        data = mmap.mmap(self.files[DATA], PART)
        data[0:16] = struct.pack('<IIQ', kind, 0, 0)
        index = struct.unpack_from('<H', rings, 0x1002)[0]
        for i, (address, length, flags) in enumerate([(DATA, 16, 1), (DATA + 512, 20 if kind == 8 else 512, 3),
                                                      (DATA + 4096, 1, 2)]):
            struct.pack_into('<QIHH', rings, 16 * i, address, length, flags, i + 1)
        for i in range(count):
            struct.pack_into('<H', rings, 0x1004 + 2 * ((index + i) % SIZE), 0)
        struct.pack_into('<H', rings, 0x1002, (index + count) & 0xffff)
        rings.close()
        data.close()
        self.kick()

    def kick(self):
        os.eventfd_write(self.events[0], 1)

    def used(self):
        rings = mmap.mmap(self.files[RINGS], PART)
        value = struct.unpack_from('<H', rings, 0x2002)[0]
        rings.close()
        return value


def payload_of(request):
    """What a well-behaved message of that kind carries."""
    state, address = struct.pack('<II', 0, SIZE), struct.pack('<IIQQQQ', 0, 0, RINGS, RINGS + 0x2000, RINGS + 0x1000, 0)
    u64, slot = struct.pack('<Q', 0), struct.pack('<QQQQQ', 0, DATA + 4 * PART, PART, DATA + 4 * PART, 0)
    return {2: struct.pack('<Q', F_VERSION_1 | F_PROTOCOL), 5: table((RINGS, PART, 0)), 6: u64 * 2, 8: state, 9: address,
            10: struct.pack('<II', 0, 0), 11: struct.pack('<II', 0, 0), 12: u64, 13: u64, 14: u64,
            16: struct.pack('<Q', P_MQ), 18: struct.pack('<II', 0, 1), 22: bytes(40),
            24: struct.pack('<III', 0, 8, 0) + bytes(8), 25: struct.pack('<III', 0, 1, 0) + bytes(1),
            31: struct.pack('<QQHH', 0, 0, 2, SIZE), 32: struct.pack('<QQHH', PART, 0, 2, SIZE), 37: slot, 38: slot, 39: u64,
            42: state}.get(request, b'')


def fds_of(front, request):
    """The descriptors that it comes with."""
    if request in (12, 13, 14):
        return [front.events[request - 12]]
    return [front.files[RINGS]] if request in (5, 32, 37) else []
