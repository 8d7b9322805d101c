#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The policy at run time, as far as it shows without a guest: vehicle modes, the audit log, and what is left out. What a
guest notices of it: tests/run/test_policy.py.
"""

import datetime
import os
import resource
import signal
import subprocess
import unittest

import engine

DISK = 'guest: a, resource: a-disk, allow: [read, flush]'
WORKSHOP = 'guest: a, resource: a-disk, allow: [write], modes: [workshop]'
RANDOM = 'guest: a, resource: random, allow: [read], modes: [workshop]'


def may(word):
    return 'bulkhead-rng: the guest may %sdraw random bytes' % word


class Modes(engine.Case):
    def setUp(self):
        super().setUp()
        self.define(modes=('drive', 'workshop'), allow=(DISK, WORKSHOP, RANDOM))

    def mode(self, run, **request):
        return run.call(request='mode', **request)[0]

    def test_mode_changes(self):
        run = self.start_running()
        names = ['drive', 'workshop']
        self.assertEqual(self.mode(run), {'ok': True, 'mode': 'drive', 'modes': names})
        for mode in ('workshop', 'drive', 'drive'):
            self.assertEqual(self.mode(run, mode=mode), {'ok': True, 'mode': mode, 'modes': names})
            status = run.call(request='status')[0]['status']
            self.assertEqual((status['mode'], status['modes']), (mode, names))
        self.assertIn('mode: workshop (before: drive)', run.lines('bulkhead'))
        self.assertEqual([(entry['from'], entry['mode']) for entry in run.audit('mode-changed')],
                         [('drive', 'workshop'), ('workshop', 'drive'), ('drive', 'drive')])
        for entry in run.audit('mode-asked'):
            self.assertEqual((entry['pid'], entry['uid']), (os.getpid(), os.geteuid()))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_mode_reaches_the_back_end(self):
        """By its page, and by a signal that makes it look."""
        run = self.start_running()
        run.wait_for(may('not '))
        self.mode(run, mode='workshop')
        run.wait_for(may(''))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_mode_before_the_guest_runs(self):
        """A back end that is only starting is not hurt, and learns it."""
        self.script('refuse')
        for _ in range(3):
            run = self.start()
            self.wait_until(lambda: os.path.exists(os.path.join(self.runtime, 'bulkhead', 'test', 'control')), 'control')
            try:
                self.mode(run, mode='workshop')
            except OSError:
                pass  # it was quicker to end
            self.assertEqual(run.end(), engine.ENGINE, run.text())
            self.assertNotIn('back end', run.text())

    def test_mode_unknown(self):
        run = self.start_running()
        for wanted in ('dirve', '', 'x' * 1000, '\u00e9' * 200, '\x1b[2J'):
            answer = self.mode(run, mode=wanted)
            self.assertFalse(answer['ok'])
            self.assertIn('the modes of this platform are drive, workshop', answer['error'])
        refused = run.audit('mode-refused')
        self.assertEqual(len(refused), 5)
        self.assertEqual(refused[0]['mode'], 'dirve')
        self.assertTrue(all(len(entry['mode']) < 64 for entry in refused))
        self.assertEqual(self.mode(run)['mode'], 'drive')
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_mode_of_one_of_two_platforms(self):
        first = self.start_running()
        self.platform = 'other'
        self.state = os.path.join(self.folder, 'other')
        os.rename(os.path.join(self.folder, 'a.img'), os.path.join(self.folder, 'first.img'))
        self.write('a.img', bytes(1 << 20))
        self.define(modes=('drive', 'workshop'), allow=(DISK, WORKSHOP, RANDOM))
        second = self.start_running()
        self.mode(second, mode='workshop')
        self.assertEqual(self.mode(first)['mode'], 'drive')
        self.assertEqual(len(first.audit('mode-changed')), 0)
        self.assertEqual(len(second.audit('mode-changed')), 1)
        self.assertEqual(first.stop(), engine.OK, first.text())
        self.assertEqual(second.stop(), engine.OK, second.text())

    def test_rights_are_those_of_all_modes(self):
        """A disk that is written in no mode is opened for reading."""
        run = self.start_running()
        backend = {entry['device']: entry for entry in run.audit('backend')}
        self.assertEqual((backend['root']['rights'], backend['root']['operations']), ('read, write', 'read, write, flush'))
        self.assertEqual(run.stop(), engine.OK, run.text())
        self.define(modes=('drive', 'workshop'), allow=(DISK, RANDOM))
        os.chmod(os.path.join(self.folder, 'a.img'), 0o400)
        run = self.start_running()
        backend = {entry['device']: entry for entry in run.audit('backend')}
        self.assertEqual((backend['root']['rights'], backend['root']['operations']), ('read', 'read, flush'))
        self.assertEqual(run.stop(), engine.OK, run.text())
        os.chmod(os.path.join(self.folder, 'a.img'), 0o600)


class Audit(engine.Case):
    def events(self, run):
        return [entry['event'] for entry in run.audit()]

    def test_audit_of_a_run(self):
        run = self.start_running()
        _, terminal = run.call(request='attach', guest='a', device='terminal', port='diag')
        os.close(terminal)
        run.call(request='stop', guest='a')
        self.assertEqual(run.end(), engine.OK, run.text())
        entries = run.audit()
        self.assertEqual(self.events(run)[:4], ['start'] + ['backend'] * 3)
        self.assertEqual(self.events(run)[-1], 'stop')
        self.assertEqual([entry['number'] for entry in entries], list(range(1, len(entries) + 1)))
        times = [datetime.datetime.fromisoformat(entry['time'].replace('Z', '+00:00')) for entry in entries]
        self.assertEqual(times, sorted(times))
        self.assertEqual([entry['ms'] for entry in entries], sorted(entry['ms'] for entry in entries))
        start, stop = entries[0], entries[-1]
        self.assertEqual((start['platform'], start['definition'], start['pid'], start['uid'], start['mode'], start['modes']),
                         ('test', self.definition, run.process.pid, os.getuid(), 'normal', ['normal']))
        self.assertEqual((stop['exit'], stop['lost']), (0, 0))
        self.assertEqual([(entry['guest'], entry['state'], entry['detail']) for entry in run.audit('guest')],
                         [('a', 'starting', ''), ('a', 'running', ''), ('a', 'ready', ''), ('a', 'stopping', ''),
                          ('a', 'stopped', 'shut down')])
        for event in ('attached', 'stop-asked'):
            entry, = run.audit(event)
            self.assertEqual((entry['guest'], entry['pid'], entry['uid']), ('a', os.getpid(), os.geteuid()))
        self.assertEqual((run.audit('attached')[0]['device'], run.audit('attached')[0]['port']), ('terminal', 'diag'))
        backends = run.audit('backend')
        self.assertEqual(sorted((entry['device'], entry['state']) for entry in backends),
                         sorted((device, state) for device in ('root', 'entropy', 'terminal')
                                for state in ('started', 'ended')))
        root = next(entry for entry in backends if entry['device'] == 'root')
        self.assertEqual((root['program'], root['resource'], root['operations']),
                         ('bulkhead-blk', 'a-disk', 'read, write, flush, discard'))
        self.assertEqual([entry['how'] for entry in backends[3:]], ['exit code 0'] * 3)

    def test_audit_goes_on_in_the_next_run(self):
        run = self.start_running()
        run.signal(signal.SIGKILL)
        run.end()
        self.wait_until(self.gone, 'processes are left')
        before = run.audit()
        self.assertNotEqual(before[-1]['event'], 'stop')
        run = self.start_running()
        self.assertEqual(run.stop(), engine.OK, run.text())
        entries = run.audit()
        self.assertEqual([entry['number'] for entry in entries], list(range(1, len(entries) + 1)))
        self.assertEqual(entries[len(before)]['event'], 'start')
        self.assertEqual(run.audit('stop-asked')[-1]['signal'], 'SIGINT')

    def test_audit_of_a_failure(self):
        self.script('exit 7')
        run = self.start()
        self.assertEqual(run.end(), engine.ENGINE, run.text())
        failed = run.audit('guest')[-1]
        self.assertEqual(failed['state'], 'failed')
        self.assertIn('exit code 7', failed['detail'])
        self.assertEqual(run.audit()[-1]['exit'], engine.ENGINE)

    def test_audit_of_what_is_refused(self):
        os.unlink(os.path.join(self.folder, 'a.img'))
        run = self.start()
        self.assertEqual(run.end(), engine.REFUSED, run.text())
        self.assertEqual(self.events(run), ['start', 'stop'])
        self.assertEqual(run.audit()[-1]['exit'], engine.REFUSED)

    def test_audit_in_the_status(self):
        run = self.start_running()
        self.assertEqual(run.call(request='status')[0]['status']['audit'],
                         {'path': os.path.join(self.state, 'audit.jsonl'), 'lost': 0})
        self.assertEqual(run.stop(), engine.OK, run.text())


class State(engine.Case):
    def refuse(self, *words):
        run = self.start()
        self.assertEqual(run.end(), engine.REFUSED, run.text())
        for word in words:
            self.assertIn(word, run.text())
        self.assertNotIn(': runs', run.text())

    def test_state_folder_is_a_file(self):
        self.write('state', '')
        self.refuse('state folder', '--state')

    def test_state_folder_that_others_write(self):
        os.mkdir(self.state)
        os.chmod(self.state, 0o777)
        self.refuse('others may write', 'chmod go-w')

    @unittest.skipIf(os.geteuid() != 0, 'only root can make a folder of another user')
    def test_state_folder_of_another_user(self):
        os.mkdir(self.state)
        os.chown(self.state, 65534, 65534)
        self.refuse('another user (65534)')

    def test_audit_log_that_is_no_file(self):
        os.mkdir(self.state)
        os.mkfifo(os.path.join(self.state, 'audit.jsonl'))
        self.refuse('audit.jsonl: the audit log has to be a file of this user', '[audit-log]')

    def test_audit_log_of_another_run(self):
        first = self.start_running()
        self.platform = 'other'
        self.define()
        second = self.start()
        self.assertEqual(second.end(), engine.REFUSED, second.text())
        self.assertIn('another run writes this audit log', second.text())
        self.assertEqual(first.stop(), engine.OK, first.text())


class FullDisk(engine.Case):
    def setUp(self):
        super().setUp()
        os.mkdir(self.state, 0o700)
        mount = ['mount', '-t', 'tmpfs', '-o', 'size=64k,mode=700', 'bulkhead-test', self.state]
        if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            self.skipTest('a small file system needs the right to mount one')
        self.addCleanup(subprocess.run, ['umount', self.state], check=True)

    def fill(self):
        with open(os.path.join(self.state, 'filler'), 'ab', buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def test_full_before_the_start(self):
        self.fill()
        run = self.start()
        self.assertEqual(run.end(), engine.REFUSED, run.text())
        self.assertIn('the audit log cannot be written', run.text())
        self.assertNotIn(': runs', run.text())

    def test_full_later(self):
        """It is said once, counted, and the platform goes on; and so does the log when there is room again."""
        run = self.start_running()
        self.fill()
        for _ in range(100):  # a page may have had room for some
            self.assertTrue(run.call(request='mode', mode='normal')[0]['ok'])
        self.assertEqual(run.text().count('the audit log cannot be written'), 1)
        lost = run.call(request='status')[0]['status']['audit']['lost']
        self.assertGreater(lost, 100)
        os.unlink(os.path.join(self.state, 'filler'))
        self.assertEqual(run.stop(), engine.OK, run.text())
        self.assertIn('the audit log is written again; %d of its entries were lost' % lost, run.text())
        numbers = [entry['number'] for entry in run.audit()]  # each of them is a whole line
        self.assertEqual(numbers[-1] - len(numbers), lost)
        self.assertEqual(run.audit('stop')[0]['lost'], lost)


class LeftOut(engine.Case):
    def test_left_out(self):
        """Its window is larger than any memory that may be made here: nobody makes it."""
        self.define(resources=('bus: { type: can, bus: virtual }',),
                    devices=('body: { type: can, resource: bus, window: 256M, optional: true }',),
                    allow=('guest: a, resource: a-disk, allow: [read, write, flush]',
                           'guest: a, resource: random, allow: [read]', 'guest: a, resource: bus, allow: [receive]'))
        limit = (64 << 20, 64 << 20)
        run = self.start_running(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        self.assertIn('a: body (can) is left out: it is optional, and this version has no back end for it',
                      run.lines('bulkhead'))
        self.assertRegex(run.text(), r'a: runs \(.*; 3 devices\)')
        device = run.device('body')
        self.assertEqual((device['state'], device['pid']), ('left out', 0))
        self.assertEqual(run.guest()['memory']['shared'],
                         sum(run.device(name)['window'] for name in ('root', 'entropy', 'terminal')))
        self.assertEqual([entry['type'] for entry in run.audit('backend') if entry['state'] == 'left out'], ['can'])
        self.assertEqual(run.stop(), engine.OK, run.text())


if __name__ == '__main__':
    engine.main()
