#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Two disks of one guest behind one gate process, one of them attacked from behind or from the front: the other one is
verified all the while, and its guest sees no error, no changed byte and no other's secret.
"""

import os
import signal
import subprocess

import hostile
from front import Front, Gone
from hostile import DATA, RINGS

PAIR = os.environ.get('BULKHEAD_HOSTILE_PAIR', 'hostile-pair')

ATTACKS = ['honest', 'scan', 'beyond', 'truncated', 'sealed', 'pry', 'id-range', 'id-idle', 'id-twice', 'too-long', 'jump:1000',
           'hang', 'starve', 'delayed', 'done-in-silence', 'spoil', 'rewrite', 'scribble', 'call-flood', 'call-closed',
           'block-kick', 'block-call', 'config-flood', 'fd-flood', 'line-junk', 'demand-fds:9', 'silent:5', 'half:24',
           'stopped:15', 'huge:1', 'cut:24']


class Pair(hostile.Gate):
    """The same as a gate that works alone, for whoever uses it; with a second device, whose front end is busy."""

    def __init__(self, folder, attack, known, options=()):  # pylint: disable=super-init-not-called
        self.folder = folder
        self.socket = os.path.join(folder, 'front')
        self.audit_path = os.path.join(folder, 'audit')
        self.log_path = os.path.join(folder, 'log')
        self.secrets = hostile.new_secrets()
        second = os.path.join(folder, 'second')
        os.mkdir(second)
        known = dict(known, **{'second-' + name: value for name, value in self.secrets.items()})
        commands = [word.replace('{fd}', '3') for word in (*hostile.back_end(folder, attack, known=known), '--',
                                                           *hostile.back_end(second, 'honest'))]
        command = [PAIR, '--gate', hostile.GATE, '--folder', folder, *(['--sandbox', hostile.SANDBOX] if hostile.SANDBOX else []),
                   *options, '--', *commands]
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        hostile.wait_until(lambda: hostile.listens(self.socket + '1') or not self.alive(), 'the gate listens')
        self.guest = subprocess.Popen([hostile.GUEST, '--socket', self.socket + '1', *hostile.secret_options(self.secrets),
                                       '--window-only', '--depth', '4', '--count', '100', 'neighbour'], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def second(self):
        """How much the second device has done: hostile.Neighbour's question."""
        return hostile.Neighbour.operations(self)

    def end_second(self):
        self.guest.stdin.close()
        said = self.guest.stdout.read().decode()
        return self.guest.wait(hostile.PATIENCE), said

    gate = property(lambda self: self)


class TwoDevices(hostile.Cases):
    def tearDown(self):
        try:
            if self.gate is not None:
                before = self.gate.second()
                hostile.wait_until(lambda: self.gate.second() > before, 'the second device goes on')
                status, said = self.gate.end_second()
                self.assertEqual(status, 0, self.everything(said))
                self.assertIn('intact', said)
                events = [line['reason'] for line in self.gate.audit() if line['device'] == '1']
                self.assertEqual([e for e in events if e != 'front-end-gone'], [], self.everything())
        finally:
            if self.gate is not None:
                self.gate.guest.kill()
            super().tearDown()

    def attack(self, name):
        self.gate = Pair(self.folder, name, dict(self.secrets, **{
            'neighbour-' + area: value for area, value in self.neighbour.secrets.items()}))
        self.gate.second()
        status, said = hostile.run_guest(self.gate.socket, self.secrets, '--window-only', '--count', 600, 'verify')
        self.assertEqual(status, 0, self.everything(said))
        if name != 'honest':
            self.assertTrue(self.told('did'), self.everything())
        self.assertEqual(self.told('found') - {'data'}, set(), self.everything())
        self.assertEqual(self.told('got'), set(), self.everything())

    def test_front_end_attacks(self):
        """Connections that end in each state, messages that are none, memory that goes away, events that block."""
        self.gate = Pair(self.folder, 'honest', self.secrets)
        for state in Front.STATES:
            for request, payload in ((5, b'\xff' * 264), (9, b'\0' * 40), (37, b'\xff' * 40), (22, b''), (11, b'\0' * 8)):
                with Front(self.gate.socket, areas=(RINGS, DATA)) as peer:
                    try:
                        peer.reach(state)
                        peer.say(request, payload, peer.events)
                        peer.is_gone()
                    except Gone:
                        pass
        with Front(self.gate.socket, areas=(RINGS, DATA)) as peer:
            peer.reach('running')
            peer.is_gone()
            for event in peer.events[1:]:
                os.eventfd_write(event, (1 << 64) - 2)
                os.set_blocking(event, True)
            peer.offer(3)
            peer.offer(300)
            hostile.time.sleep(0.2)
        status, said = hostile.run_guest(self.gate.socket, self.secrets, '--window-only', '--count', 100, 'verify')
        self.assertEqual(status, 0, self.everything(said))

    def test_unsealed_memory_is_refused(self):
        """The parent says that these files are sealed."""
        self.gate = Pair(self.folder, 'honest', self.secrets)
        status, said = hostile.run_guest(self.gate.socket, self.secrets, '--window-only', '--unsealed', 'verify')
        self.assertEqual(status, 3, self.everything(said))
        hostile.wait_until(lambda: 'front-end-refused' in self.gate.reasons(), 'the audit log says so')

    def test_memory_at_another_address_is_refused(self):
        """What no entry of the setup names is nobody's business: the front end must not share it."""
        self.gate = Pair(self.folder, 'honest', self.secrets)
        status, said = hostile.run_guest(self.gate.socket, self.secrets, 'verify')
        self.assertEqual(status, 3, self.everything(said))
        hostile.wait_until(lambda: 'front-end-refused' in self.gate.reasons(), 'the audit log says so')

    def guest_attack(self, name):
        self.gate = Pair(self.folder, 'honest', self.secrets)
        status, said = hostile.run_guest(self.gate.socket, self.secrets, '--window-only', '--indirect', name)
        self.assertEqual(status, 0, self.everything(said))
        status, said = hostile.run_guest(self.gate.socket, self.secrets, '--window-only', '--count', 100, 'verify')
        self.assertEqual(status, 0, self.everything(said))


class WrongFiles(hostile.Cases):
    def test_another_inode(self):
        """A front end that shares another file than the parent made is refused."""
        folder = self.folder
        os.mkdir(os.path.join(folder, 'second'))
        commands = [word.replace('{fd}', '3') for word in (*hostile.back_end(folder, 'honest'), '--',
                                                           *hostile.back_end(os.path.join(folder, 'second'), 'honest'))]
        sandbox = ['--sandbox', hostile.SANDBOX] if hostile.SANDBOX else []
        with subprocess.Popen([PAIR, '--gate', hostile.GATE, '--folder', folder, '--inode', '12345', *sandbox, '--', *commands],
                              stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as pair:
            hostile.wait_until(lambda: hostile.listens(folder + '/front'), 'the gate listens')
            status, said = hostile.run_guest(folder + '/front', self.secrets, '--window-only', 'verify')
            self.assertEqual(status, 3, said)
            hostile.wait_until(lambda: 'front-end-refused' in open(folder + '/audit', encoding='utf-8').read(),
                               'the audit log says so')
            pair.send_signal(signal.SIGTERM)


def add(name, function):
    def test(self):
        function(self)
    setattr(TwoDevices, 'test_' + name, test)


for _attack in ATTACKS:
    add('%s next to another device' % _attack, lambda self, a=_attack: self.attack(a))
for _attack in ('flip-all', 'index-ahead', 'wrap-around', 'table-in-table'):
    add('guest %s next to another device' % _attack, lambda self, a=_attack: self.guest_attack(a))


class ZNeighbour(hostile.LastNeighbour):
    """Last, by its name."""


if __name__ == '__main__':
    hostile.main()
