#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A platform in the sandbox that its systemd unit describes.

No systemd runs here, so this program does to itself what systemd would (in a mount namespace of its own): read-only file
system, its own /proc, no network, the capabilities, the system calls, the namespaces, the address families and the
limits, all as the unit of `bulkhead build` has them. Not done: control groups (memory, CPUs, devices). It needs root.
"""

import ctypes
import errno
import os
import pathlib
import resource
import socket
import subprocess
import sys

import engine

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, CLONE_NEWNET, CLONE_NEWTIME = 0x20000, 0x40000000, 0x80
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
AT_FDCWD, AT_RECURSIVE, SYS_MOUNT_SETATTR = -100, 0x8000, 442
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, CAPABILITIES = 24, 38, 64
CAPABILITY = {'CAP_SETGID': 6, 'CAP_SETUID': 7, 'CAP_SETFCAP': 31}
NAMESPACE = {'cgroup': 0x02000000, 'ipc': 0x08000000, 'mnt': CLONE_NEWNS, 'net': CLONE_NEWNET, 'pid': 0x20000000,
             'user': 0x10000000, 'uts': 0x04000000, 'time': CLONE_NEWTIME}
SCMP_ACT_ALLOW, SCMP_ACT_ERRNO = 0x7fff0000, 0x00050000
SCMP_CMP_NE, SCMP_CMP_MASKED_EQ = 1, 7


class Compare(ctypes.Structure):
    _fields_ = [('argument', ctypes.c_uint), ('operation', ctypes.c_int), ('a', ctypes.c_uint64), ('b', ctypes.c_uint64)]


class MountAttributes(ctypes.Structure):
    _fields_ = [('set', ctypes.c_uint64), ('clear', ctypes.c_uint64), ('propagation', ctypes.c_uint64),
                ('userns', ctypes.c_uint64)]


def check(result):
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def directives(path):
    """{name: [value, ...]} of a unit."""
    found = {}
    for line in pathlib.Path(path).read_text(encoding='utf-8').splitlines():
        name, equals, value = line.partition('=')
        if equals and not line.startswith('#'):
            found.setdefault(name, []).append(value)
    return found


def mount(source, target, kind, flags, data=None):
    check(LIBC.mount(source and source.encode(), target.encode(), kind and kind.encode(), flags, data and data.encode()))


def set_read_only(path, read_only, flags):
    attributes = MountAttributes(MS_RDONLY if read_only else 0, 0 if read_only else MS_RDONLY, 0, 0)
    check(LIBC.syscall(SYS_MOUNT_SETATTR, AT_FDCWD, path.encode(), flags, ctypes.byref(attributes), ctypes.sizeof(attributes)))


def close_files(writable):
    """ProtectSystem=strict, ReadWritePaths=, ProtectProc=invisible, ProcSubset=pid."""
    mount(None, '/', None, MS_REC | MS_PRIVATE)
    for path in writable:
        mount(path, path, None, MS_BIND)
    set_read_only('/', True, AT_RECURSIVE)
    for path in writable:
        set_read_only(path, False, 0)
    mount('proc', '/proc', 'proc', 0, 'hidepid=invisible,subset=pid')


class Filter:
    """A system call filter."""

    def __init__(self, library, action):
        self.library, self.handle = library, ctypes.c_void_p(library.seccomp_init(action))

    def add(self, action, name, *compares):
        number = self.library.seccomp_syscall_resolve_name(name.encode())
        rules = (Compare * len(compares))(*compares)
        if number >= 0:
            check(self.library.seccomp_rule_add_array(self.handle, action, number, len(compares), rules))

    def load(self):
        check(self.library.seccomp_load(self.handle))


def system_calls(words):
    """The names behind SystemCallFilter=, groups opened by systemd itself."""
    names, ahead = set(), list(words)
    while ahead:
        word = ahead.pop()
        if word.startswith('@'):
            listed = subprocess.run(['systemd-analyze', 'syscall-filter', word], capture_output=True, text=True, check=True)
            lines = [line.strip() for line in listed.stdout.splitlines()[1:]]
            ahead += [line for line in lines if line and not line.startswith('#')]
        else:
            names.add(word)
    return names


def filters(unit):
    """Those of the unit, not yet loaded: systemd-analyze is asked before anything is closed."""
    library = ctypes.CDLL('libseccomp.so.2', use_errno=True)
    library.seccomp_init.restype = ctypes.c_void_p
    refuse = lambda number: SCMP_ACT_ERRNO | number
    calls = Filter(library, refuse(errno.EPERM))
    for name in system_calls(' '.join(unit['SystemCallFilter']).split()):
        calls.add(SCMP_ACT_ALLOW, name)
    kinds = Filter(library, SCMP_ACT_ALLOW)
    kinds.add(refuse(errno.ENOSYS), 'clone3')
    for kind in set(NAMESPACE) - set(unit['RestrictNamespaces'][0].split()):
        for name in ('clone', 'unshare'):
            kinds.add(refuse(errno.EPERM), name, Compare(0, SCMP_CMP_MASKED_EQ, NAMESPACE[kind], NAMESPACE[kind]))
    families = Filter(library, SCMP_ACT_ALLOW)
    if unit['RestrictAddressFamilies'] != ['AF_UNIX']:
        raise ValueError('one family only')
    families.add(refuse(errno.EAFNOSUPPORT), 'socket', Compare(0, SCMP_CMP_NE, socket.AF_UNIX, 0))
    if 'MemoryDenyWriteExecute' in unit:
        kinds.add(refuse(errno.EPERM), 'mmap', Compare(2, SCMP_CMP_MASKED_EQ, 6, 6))
        kinds.add(refuse(errno.EPERM), 'mprotect', Compare(2, SCMP_CMP_MASKED_EQ, 4, 4))
    return calls, kinds, families


def close_rights(unit):
    """CapabilityBoundingSet=, NoNewPrivileges=, limits."""
    kept = {CAPABILITY[word] for word in unit['CapabilityBoundingSet'][0].split()}
    for capability in set(range(CAPABILITIES)) - kept:
        LIBC.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # newer ones are not known to each kernel
    check(LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    files, locked = int(unit['LimitNOFILE'][0]), int(unit['LimitMEMLOCK'][0].removesuffix('M')) << 20
    for limit, most in ((resource.RLIMIT_NOFILE, files), (resource.RLIMIT_MEMLOCK, locked), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(limit)[1]  # in a container even root may not raise it
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (most, most))


def enter_and_run(unit_path, writable, command):
    """Closes everything, and becomes the command."""
    unit = directives(unit_path)
    loaded = filters(unit)
    namespaces = CLONE_NEWNS | (CLONE_NEWNET if unit['PrivateNetwork'] == ['yes'] else 0)
    check(LIBC.unshare(namespaces))
    close_files(writable)
    close_rights(unit)
    for each in loaded:
        each.load()
    os.execv(command[0], command)


class InItsUnit(engine.Case):
    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest('only root can make the sandbox of a unit')
        os.mkdir(self.state, 0o700)
        out = os.path.join(self.folder, 'out')
        subprocess.run([engine.BULKHEAD, 'build', '-o', out, self.definition], check=True, capture_output=True)
        self.unit = os.path.join(out, 'test.service')
        # ReadWritePaths= and what StateDirectory= and RuntimeDirectory= come to.
        found = directives(self.unit)
        paths = [value.removeprefix('-').replace('/srv/bulkhead/test', self.folder) for value in found['ReadWritePaths']]
        self.writable = [self.state, self.runtime, *paths]
        self.program = os.path.join(self.folder, 'wrapper')
        self.write('wrapper', '#!/bin/sh\nexec %s %s --enter %s %s -- %s "$@"\n' % (
            sys.executable, os.path.abspath(__file__), self.unit, ' '.join(self.writable), engine.BULKHEAD))
        os.chmod(self.program, 0o755)

    def test_it_runs_and_nothing_is_weaker(self):
        run = self.start_running()
        supervisor = next(pid for pid, name in engine.descendants(os.getpid()).items() if name == 'bulkhead')
        for device in run.guest()['devices']:
            self.assertEqual((device['state'], device['isolated']), ('running', True), run.text())
        self.assertNotIn(' without ', run.text())
        self.assertNotIn('warning', run.text().lower())
        status = pathlib.Path('/proc/%d/status' % supervisor).read_text(encoding='utf-8')
        self.assertIn('CapBnd:\t00000000800000c0', status)
        self.assertIn('NoNewPrivs:\t1', status)
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_what_the_unit_does_not_name_cannot_be_written(self):
        """The sandbox of this test is closed, and holds: else it would prove nothing."""
        self.write('platform.yaml', pathlib.Path(self.definition).read_text(encoding='utf-8').replace('a.img', 'other.img'))
        self.write('other.img', bytes(1 << 20))
        run = self.start()
        self.assertEqual(run.end(), engine.REFUSED, run.text())
        self.assertIn('Read-only file system', run.text())

    def test_a_clock_or_a_tcp_socket_is_out_of_reach(self):
        script = 'import socket, ctypes\nfor call in (lambda: socket.socket(), lambda: open("/etc/x", "w")):\n' \
                 '    try:\n        call()\n        print("reached")\n    except OSError as error:\n        print(error.errno)\n' \
                 'print(ctypes.CDLL(None).unshare(%d))\n' % CLONE_NEWTIME
        command = [sys.executable, os.path.abspath(__file__), '--enter', self.unit, *self.writable, '--',
                   sys.executable, '-c', script]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(done.stdout.split(), [str(errno.EAFNOSUPPORT), str(errno.EROFS), '-1'], done.stderr)


if __name__ == '__main__':
    if sys.argv[1:2] == ['--enter']:
        cut = sys.argv.index('--')
        enter_and_run(sys.argv[2], sys.argv[3:cut], sys.argv[cut + 1:])
    engine.main()
