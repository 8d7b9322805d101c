#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A hostile guest before the gate: chains that are none, and rings that change while they are read. The device stops, and
nothing else: the gate lives, the next start of the driver works, the back end and the neighbour notice nothing.
"""

import subprocess

import hostile
from hostile import DATA, PART, PRIVATE, RINGS, region

ATTACKS = subprocess.run([hostile.GUEST, '--list'], stdout=subprocess.PIPE, check=True).stdout.decode().split()

# What the device can live with: a guest that harms itself only.
TOLERATED = {'flip-used', 'flip-requests', 'flip-available', 'flip-tables', 'flip-descriptors', 'flip-all',
             'private', 'other-window'}
OWN = {'private', 'other-window'}
SPLIT_ONLY = {'head-range', 'index-ahead', 'loop', 'next-range'}
WITH_TABLES = {'flip-tables', 'flip-all'}


class Guest(hostile.Cases):
    def attack(self, name, mode, ring, gate=(), must_stop=None):
        share = ['--share', region(DATA)] if mode == 'shadow' else []
        self.gate = hostile.Gate(self.folder, mode, hostile.back_end(self.folder, 'honest'), [*share, *gate])
        options = [*ring, *(['--indirect'] if name in WITH_TABLES else [])]
        status, said = hostile.run_guest(self.gate.socket, self.secrets, *options, name)
        # What the guest asks to be written into memory of its own is written, unless that is guarded.
        self.assertEqual(status, 1 if name in OWN and must_stop is not True else 0, self.everything(said))
        must_stop = name not in TOLERATED if must_stop is None else must_stop
        if must_stop:
            self.assertIn('stopped', said, self.everything(said))
        if 'stopped' in said:
            hostile.wait_until(lambda: 'guest-violation' in self.gate.reasons(), 'the audit log says so')
        self.assertEqual([r for r in self.gate.reasons() if r.startswith('back-end')], [], self.everything(said))
        status, said = hostile.run_guest(self.gate.socket, self.secrets, '--count', 200, *ring, 'verify')
        self.assertEqual(status, 0, self.everything(said))


def add(name, function):
    def test(self):
        function(self)
    setattr(Guest, 'test_' + name, test)


for _attack in ATTACKS:
    for _mode in ('shadow', 'bounce'):
        for _name, _ring in (('split', []), ('packed', ['--packed'])):
            if _attack not in SPLIT_ONLY or _name == 'split':
                add('%s (%s, %s)' % (_attack, _mode, _name),
                    lambda self, a=_attack, m=_mode, r=_ring: self.attack(a, m, r))

# Memory that the device may not use, because the gate was told what it may.
for _attack in ('private', 'other-window'):
    add('%s, guarded' % _attack, lambda self, a=_attack: self.attack(
        a, 'shadow', [], ['--guard', region(RINGS), '--guard', region(DATA)], must_stop=True))
add('private, shared with nobody but guarded', lambda self: self.attack(
    'private', 'bounce', [], ['--guard', region(RINGS, 2 * PART), '--guard', region(PRIVATE)], must_stop=False))


class ZNeighbour(hostile.LastNeighbour):
    """Last, by its name."""


if __name__ == '__main__':
    hostile.main()
