#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A hostile back end behind the gate: what it gets (nothing), what the guest and a neighbour notice (nothing), and what
the audit log says.

The back end attacks once; its successor is honest. The guest verifies its disk all the while, and its memory in the end.
"""

import subprocess

import hostile
from hostile import DATA, PART, RINGS, region

DIED, HUNG, LIED = {'back-end-died'}, {'back-end-hung'}, {'back-end-lied'}
REFUSED, MISFIT = {'back-end-refused'}, {'back-end-misfit'}
NOTHING = set()
OR_NOTHING = {None}  # the gate may put up with it

BOTH = ('shadow', 'bounce')
FAULTS = DIED | HUNG | LIED | REFUSED | MISFIT

# Ring formats between guest and gate, and between gate and back end.
SPLIT, PACKED = ('split', [], []), ('packed', ['--packed', '--indirect'], ['--packed'])

# vhost-user messages by number: with an answer of their own, and acknowledged.
ASKED = (1, 15, 17, 24)
TOLD = (2, 5, 12, 18)

# Attack, reasons of which one must be in the audit log and no other (none: nothing may be), modes, rings.
ATTACKS = [
    ('honest', NOTHING, BOTH, (SPLIT, PACKED)),
    # Used buffers that are none.
    ('id-range', LIED, BOTH, (SPLIT, PACKED)),
    ('id-idle', LIED, BOTH, (SPLIT, PACKED)),
    ('id-twice', LIED, BOTH, (SPLIT, PACKED)),
    ('too-long', LIED, BOTH, (SPLIT, PACKED)),
    ('too-long:0x7ffffff0', LIED, BOTH, (SPLIT, PACKED)),
    ('jump:1000', LIED, BOTH, (SPLIT,)),
    ('jump:65535', LIED, BOTH, (SPLIT,)),
    ('jump:32768', LIED, BOTH, (SPLIT,)),
    ('wrong-wrap', HUNG, BOTH, (PACKED,)),
    # Requests that are not done.
    ('hang', HUNG, BOTH, (SPLIT, PACKED)),
    ('starve', HUNG, BOTH, (SPLIT, PACKED)),
    ('delayed', DIED, BOTH, (SPLIT, PACKED)),
    ('done-in-silence', DIED, BOTH, (SPLIT, PACKED)),
    ('spoil', DIED, BOTH, (SPLIT, PACKED)),
    # Rings that change under the reader.
    ('rewrite', NOTHING, BOTH, (SPLIT, PACKED)),
    ('scribble', LIED | HUNG, BOTH, (SPLIT, PACKED)),
    # Events.
    ('call-flood', LIED | OR_NOTHING, BOTH, (SPLIT,)),  # as many a second as the machine can tell
    ('call-closed', HUNG, BOTH, (SPLIT,)),
    ('block-kick', HUNG, BOTH, (SPLIT,)),
    ('block-call', HUNG, BOTH, (SPLIT,)),
    # Requests of its own, memory mapping and IOTLB among them.
    *((kind + ':%d' % number, REFUSED, (mode,), (SPLIT,))
      for mode, kind in (('shadow', 'demand-fds'), ('bounce', 'demand-payload'))
      for number in (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 255)),
    ('demand:1', REFUSED, BOTH, (SPLIT,)),
    ('demand:2', NOTHING, BOTH, (SPLIT,)),
    ('demand-main:2', REFUSED | LIED | HUNG, BOTH, (SPLIT,)),
    ('config-flood', HUNG | OR_NOTHING, BOTH, (SPLIT,)),
    ('line-junk', REFUSED, BOTH, (SPLIT,)),
    ('line-half', REFUSED | HUNG, BOTH, (SPLIT,)),
    ('line-closed', NOTHING, BOTH, (SPLIT,)),
    ('fd-flood', REFUSED | HUNG, BOTH, (SPLIT,)),
    # Looking and reaching around.
    ('scan', NOTHING, BOTH, (SPLIT, PACKED)),
    ('beyond', NOTHING, BOTH, (SPLIT,)),
    ('truncated', NOTHING, BOTH, (SPLIT,)),
    ('sealed', DIED, BOTH, (SPLIT,)),
    ('pry', NOTHING, BOTH, (SPLIT,)),
]

# Answers, at the greeting of the first back end: shadow and bounce speak the same.
ANSWERS = [
    *(('silent:%d' % number, HUNG) for number in ASKED + TOLD),
    *(('half:%d' % number, HUNG) for number in (1, 24)),
    *(('stopped:%d' % number, HUNG) for number in (15, 5)),
    *(('%s:%d' % (kind, number), REFUSED) for kind in ('other-request', 'not-a-reply', 'other-version', 'shorter', 'longer',
                                                       'huge', 'with-fds') for number in ASKED + (5,)),
    *(('one-fd:%d' % number, REFUSED | OR_NOTHING) for number in ASKED + (5,)),  # it is closed
    *(('twice:%d' % number, REFUSED) for number in ASKED),
    ('all-ones:17', OR_NOTHING),
    ('all-ones:24', REFUSED | MISFIT),
    ('all-ones:5', REFUSED | MISFIT),
    ('all-ones:2', REFUSED | MISFIT),
]

# The first back end is honest and dies; its successor is another device. Features by bit: VERSION_1, FLUSH, MQ.
MISFITS = ['without-feature:32', 'without-feature:9', 'with-queues:1', 'with-queues:0', 'with-config:0', 'with-config:7',
           'with-config:34', 'without-protocol:9']


def deadline_for(reasons):
    """Short where the back end hangs on purpose; a machine that is busy must not look like it."""
    return hostile.IMPATIENT if HUNG <= reasons and None not in reasons else hostile.PATIENT


class Attack(hostile.Cases):
    def begin(self, attack, mode, *options, gate=(), share=None, deadline=hostile.PATIENT):
        self.new_folder()
        share = ['--share', region(DATA)] if share is None else share
        known = dict(self.secrets, writable=hostile.WRITABLE,
                     **{'neighbour-' + name: value for name, value in self.neighbour.secrets.items()})
        self.gate = hostile.Gate(self.folder, mode, hostile.back_end(self.folder, attack, *options, known=known),
                                 [*(share if mode == 'shadow' else []), *gate], deadline)

    def verify(self, *options, command='verify'):
        status, said = hostile.run_guest(self.gate.socket, self.secrets, *options, command)
        self.assertEqual(status, 0, self.everything(said))
        self.assertIn('intact', said)

    def check_audit(self, reasons):
        if reasons and None not in reasons:
            hostile.wait_until(lambda: reasons & set(self.gate.reasons()), 'the audit log says %s' % reasons)
        found = FAULTS & set(self.gate.reasons())
        self.assertLessEqual(found, reasons, self.everything())
        for line in self.gate.audit():
            self.assertLessEqual({'guest', 'device', 'reason', 'text'}, set(line))

    def check_loot(self, allowed=frozenset()):
        """Nothing was found or got, but what is allowed to be."""
        self.assertEqual(self.told('found') - allowed, NOTHING, self.everything())
        self.assertEqual(self.told('got'), NOTHING, self.everything())
        self.assertEqual(self.told('inherited'), NOTHING, self.everything())

    def attack(self, name, reasons, mode, rings):
        self.begin(name, mode, gate=rings[2], deadline=deadline_for(reasons))
        self.verify('--count', 600, *rings[1])
        if name != 'honest':
            self.assertTrue(self.told('did'), self.everything('there was no attack'))
        self.check_audit(reasons)
        if name == 'pry':
            self.assertLessEqual({'memory', 'control'}, self.told('duck'), self.everything('the attack itself fails'))
            self.assertTrue([line for line in self.report() if line.startswith('looks at bulkhead-gate')], self.everything())
        # In shadow the data of the window is the back end's to see: it lies between the buffers, too.
        self.check_loot({'data', 'writable'} if mode == 'shadow' else frozenset())

    def answer(self, name, reasons):
        self.begin(name, 'shadow', deadline=deadline_for(reasons))
        self.verify('--count', 200)
        self.assertTrue(self.told('did'), self.everything('there was no attack'))
        self.check_audit(reasons)
        self.check_loot()

    def misfit(self, name):
        """Thrown out before it sees a request; a third one fits."""
        self.begin(name, 'bounce', '--first', 2)
        self.verify('--count', 600)
        self.assertTrue(self.told('did'), self.everything('there was no attack'))
        self.check_audit(DIED | MISFIT | REFUSED)
        self.assertTrue((MISFIT | REFUSED) & set(self.gate.reasons()), self.everything())
        self.check_loot()

    def test_cut_at_each_byte(self):
        """A back end that dies in the middle of an answer, each time one byte later."""
        self.begin('cut:1', 'shadow', '--first', 2, '--attacks', 20)
        self.verify('--count', 400)
        cuts = [line for line in self.report() if line.startswith('cut ')]
        self.assertEqual(cuts, ['cut %d of 20' % length for length in range(20)], self.everything())
        self.check_audit(DIED)

    def reads_without_data(self, mode):
        """Whoever reports more than was written shows the guest its own device's data, or nothing."""
        self.begin('no-data', mode)
        self.verify('--count', 400, command='stale')
        self.assertTrue(self.told('did'))

    def test_reads_that_are_too_short(self):
        """Whoever reports less than was written is believed: the guest gets no more than that."""
        self.begin('too-short', 'bounce')
        self.verify('--count', 400, command='stale')
        self.assertTrue(self.told('did'))

    def test_attacks_again_and_again(self):
        """Each successor lies as well; in the end one does not."""
        self.begin('id-range', 'shadow', '--attacks', 12)
        self.verify('--count', 1500)
        self.assertGreaterEqual(self.gate.reasons().count('back-end-lied'), 5, self.everything())

    def test_no_end_of_attacks(self):
        """No back end serves: after the last allowed restart requests fail, and the gate lives."""
        self.begin('id-range', 'shadow', '--attacks', 1000000, gate=['--restarts', '5'])
        status, said = hostile.run_guest(self.gate.socket, self.secrets, '--count', 100000, 'verify')
        self.assertEqual(status, 1, self.everything(said))
        hostile.wait_until(lambda: 'gave-up' in self.gate.reasons(), 'the audit log says so')
        self.assertTrue(self.gate.alive())

    def test_window_with_rings_in_it(self):
        """Shadow, but the rings lie in what is shared: nothing is shared, all is copied."""
        self.begin('scan', 'shadow', share=['--share', region(RINGS, 2 * PART)])
        self.verify('--layout', 'window')
        self.assertIn('rings-shared', self.gate.reasons(), self.everything())
        self.check_loot()

    def part_of_a_file(self, layout):
        """A descriptor gives the whole file, whatever the table says: a region that is not all of it stays here."""
        self.begin('scan', 'shadow')
        self.verify('--layout', layout)
        self.check_loot()

    def test_direct_window_and_nothing_else(self):
        """Direct: the window, rings included, is the back end's to see. The rest is not."""
        self.begin('scan', 'direct', gate=['--share', region(RINGS, 2 * PART)])
        self.verify('--layout', 'window')
        self.check_loot({'rings', 'data', 'writable'})
        self.assertEqual(self.told('found'), {'rings', 'data', 'writable'}, self.everything())

    def test_open_hides_nothing(self):
        """Open: all that the front end shares. That is what it is for, and what the report warns of."""
        self.begin('scan', 'open')
        self.verify()
        self.assertEqual(self.told('found'), {*hostile.AREAS, 'writable'}, self.everything())


class WithoutGate(hostile.Cases):
    """The same attackers find, get and break what they want where no gate is in between: they can."""

    def attack_directly(self, name, *options):
        self.new_folder()
        socket = self.folder + '/back'
        command = hostile.back_end(self.folder, name, known=self.secrets)
        command[1:3] = ['--listen', socket]
        with subprocess.Popen(command) as process:
            hostile.wait_until(lambda: hostile.listens(socket), 'the back end listens')
            status, said = hostile.run_guest(socket, self.secrets, '--timeout', 2000, *options, 'verify')
            process.kill()
        return status, said

    def test_scan_finds_all(self):
        self.attack_directly('scan')
        self.assertEqual(self.told('found'), set(hostile.AREAS))

    def test_beyond_writes_private_memory(self):
        status, _ = self.attack_directly('beyond', '--layout', 'one')
        self.assertEqual(status, 1)

    def test_unsealed_memory_is_taken_away(self):
        self.attack_directly('truncated', '--unsealed')
        self.assertTrue(self.told('got'))

    def lie(self, name):
        status, _ = self.attack_directly(name)
        self.assertEqual(status, 1)


def add(name, function, cases=Attack):
    def test(self):
        function(self)
    setattr(cases, 'test_' + name, test)


for _attack, _reasons, _modes, _rings in ATTACKS:
    for _mode in _modes:
        for _ring in _rings:
            add('%s (%s, %s)' % (_attack, _mode, _ring[0]),
                lambda self, a=_attack, e=_reasons, m=_mode, r=_ring: self.attack(a, e, m, r))
for _attack, _reasons in ANSWERS:
    add('answer %s' % _attack, lambda self, a=_attack, e=_reasons: self.answer(a, e))
for _attack in MISFITS:
    add('successor %s' % _attack, lambda self, a=_attack: self.misfit(a))
for _mode in BOTH:
    add('reads without data (%s)' % _mode, lambda self, m=_mode: self.reads_without_data(m))
for _layout in ('one', 'window'):
    add('part of a file is not shared (layout %s)' % _layout, lambda self, l=_layout: self.part_of_a_file(l))
for _attack in ('id-range', 'id-twice', 'too-long', 'jump:1000', 'scribble'):
    add('%s breaks the guest' % _attack, lambda self, a=_attack: self.lie(a), WithoutGate)


class ZNeighbour(hostile.LastNeighbour):
    """Last, by its name."""


if __name__ == '__main__':
    hostile.main()
