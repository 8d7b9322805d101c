#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""In which order guests start, what makes one ready, and what becomes of those that wait; the timeline, and the
processors that a guest is pinned to."""

import json
import os
import pathlib
import signal
import socket
import xml.etree.ElementTree as ElementTree

import engine

MESSAGE = 'ready-when: { message: "a: ready" }'


class Order(engine.Case):
    guests = ('a', 'b', 'c')

    def events(self):
        """What the audit log says of guests: (name, state)."""
        lines = pathlib.Path(self.state, 'audit.jsonl').read_text(encoding='utf-8').splitlines()
        return [(entry['guest'], entry['state']) for entry in map(json.loads, lines) if entry['event'] == 'guest']

    def come_before(self, *wanted):
        events = self.events()
        self.assertEqual([event for event in events if event in wanted], list(wanted), events)

    def pids(self, run, guest):
        return [run.guest(guest)['pid']] + [device['pid'] for device in run.guest(guest)['devices']]

    def test_all_at_once(self):
        run = self.start_running()
        self.assertNotIn('waiting', run.text())
        self.assertNotIn('waiting', [state for _, state in self.events()])
        self.assertTrue(all(run.guest(name)['ready'] for name in self.guests))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_after(self):
        """Whoever waits has no process, and says for whom it waits."""
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]'], 'c': ['after: [b]']})
        self.script('pause', 'pause', r'print a: ready\n')
        run = self.start()
        run.wait_for('| a: runs')
        b = run.guest('b')
        self.assertEqual((b['state'], b['ready'], b['detail']), ('waiting', False, 'waits until a is ready'))
        self.assertEqual(self.pids(run, 'b'), [0] * 4)
        self.assertEqual(run.guest('c')['detail'], 'waits until b is ready')
        self.assertIn('no line of its terminals holds "a: ready"', run.guest('a')['detail'])
        self.assertEqual(run.call(request='status')[0]['status']['state'], 'starting')
        run.wait_running()
        self.assertIn('a: is ready', run.lines('bulkhead'))
        self.assertEqual(run.guest('a')['detail'], '')
        self.come_before(('a', 'running'), ('a', 'ready'), ('b', 'starting'), ('b', 'running'), ('b', 'ready'),
                         ('c', 'starting'), ('c', 'running'))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_priority(self):
        self.define(keys={'a': ['priority: 10'], 'b': ['priority: 20'], 'c': ['priority: 90']})
        run = self.start_running()
        self.come_before(('a', 'waiting'), ('b', 'waiting'), ('c', 'starting'), ('c', 'running'), ('c', 'ready'),
                         ('b', 'starting'), ('b', 'running'), ('b', 'ready'), ('a', 'starting'), ('a', 'running'))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_priority_is_no_dependency(self):
        """The guest of higher priority fails before it is ready; and another one hangs, for whom patience ends."""
        self.define(keys={'a': ['priority: 90', MESSAGE], 'b': ['priority: 80', 'ready-when: { message: never }']})
        self.script('reset')
        run = self.start()
        run.wait_for('error: a: it reset itself')
        run.wait_for('| b: runs')
        self.assertEqual(run.guest('c')['detail'], 'waits for b, which has the higher priority')
        run.wait_for('| c: runs')
        self.assertFalse(run.guest('b')['ready'])
        self.assertEqual(run.stop(), engine.GUEST, run.text())

    def test_predecessor_fails(self):
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]'], 'c': ['after: [b]']})
        self.script('panic')
        run = self.start()
        self.assertEqual(run.end(), engine.GUEST, run.text())
        self.assertIn('error: b: it starts after a, which failed without having been ready', run.lines('bulkhead'))
        self.assertIn('error: c: it starts after b, which failed without having been ready', run.lines('bulkhead'))
        self.assertNotIn('b: runs', run.text())

    def test_first_failure_counts(self):
        """The engine's, and not that of the guest that never came to its turn."""
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]']})
        self.script('exit 3')
        run = self.start()
        run.wait_for('error: b: it starts after a')
        self.assertEqual(run.guest('b')['state'], 'failed')
        self.assertEqual(run.guest('c')['state'], 'running')
        self.assertEqual(run.stop(), engine.ENGINE, run.text())

    def test_predecessor_stops(self):
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]']})
        run = self.start()
        run.wait_for('| c: runs')
        self.assertTrue(run.call(request='stop', guest='a')[0]['ok'])
        run.wait_for('error: b: it starts after a, which stopped without having been ready')
        self.assertEqual(run.stop(), engine.GUEST, run.text())

    def test_last_words_make_ready(self):
        """A guest that says it and is gone has been ready."""
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]']})
        self.script(r'print a: ready\n', 'off')
        run = self.start()
        run.wait_for('| b: runs')
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_stop_while_waiting(self):
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]'], 'c': ['after: [a]']})
        for number in (signal.SIGINT, signal.SIGTERM):
            run = self.start()
            run.wait_for('| a: runs')
            run.signal(number)
            self.assertEqual(run.end(), engine.OK, run.text())
            self.assertIn('b: was not started yet, and will not be', run.lines('bulkhead'))
            self.assertNotIn('b: runs', run.text())

    def test_stop_of_one_that_waits(self):
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]'], 'c': ['after: [b]']})
        run = self.start()
        run.wait_for('| a: runs')
        self.assertTrue(run.call(request='stop', guest='b')[0]['ok'])
        run.wait_for('error: c: it starts after b, which stopped')
        self.assertEqual(run.guest('b')['state'], 'stopped')
        self.assertEqual(run.stop(), engine.GUEST, run.text())

    def test_message_in_pieces(self):
        """Some of them so late that the line was shown before its end; and not the text that two lines make."""
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]']})
        self.script(r'print a: rea\ndy\n', 'pause', 'print xx a: r', 'pause', 'pause', 'print ea',
                    'pause', 'pause', r'print dy!\n')
        run = self.start()
        run.wait_for('| b: runs')
        self.assertIn('a: r', run.text().split('| b: runs')[0])
        self.assertIn('dy!', run.lines('a/uart'))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_back_end_that_cannot_be_started_later(self):
        """It is that guest's failure: the others run."""
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]']})
        self.script('pause', 'pause', 'pause', r'print a: ready\n')
        programs = pathlib.Path(self.folder, 'programs')
        programs.mkdir()
        build = pathlib.Path(self.program).resolve().parent.parent
        for path in [build / 'cli' / 'bulkhead', build / 'gate' / 'bulkhead-gate',
                     *(build / 'daemons').glob('bulkhead-*')]:
            if path.is_file():
                (programs / path.name).write_bytes(path.read_bytes())
                (programs / path.name).chmod(0o755)
        self.program = str(programs / 'bulkhead')
        run = self.start()
        run.wait_for('| c: runs')
        (programs / 'bulkhead-blk').unlink()
        run.wait_for('error: b: the back end of its device root (bulkhead-blk) cannot be started')
        self.assertEqual(run.guest('a')['state'], 'running')
        self.assertEqual(run.stop(), engine.BACKEND, run.text())

    def test_service_manager_waits_for_ready(self):
        self.define(keys={'a': [MESSAGE]})
        self.script('pause', r'print a: ready\n')
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(os.path.join(self.folder, 'notify'))
            manager.settimeout(engine.PATIENCE)
            self.environment['NOTIFY_SOCKET'] = os.path.join(self.folder, 'notify')
            run = self.start()
            self.assertEqual(manager.recv(100), b'READY=1')
            self.assertTrue(run.guest('a')['ready'])
            self.assertEqual(run.stop(), engine.OK, run.text())


class Timeline(engine.Case):
    guests = ('a', 'b')

    def setUp(self):
        super().setUp()
        self.path = os.path.join(self.folder, 'start.svg')
        self.options = ('--timeline', self.path)

    def texts(self):
        tree = ElementTree.parse(self.path)
        self.assertEqual(tree.getroot().tag, '{http://www.w3.org/2000/svg}svg')
        return [text.text for text in tree.iter('{http://www.w3.org/2000/svg}text')]

    def test_ready(self):
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]']})
        self.script('pause', r'print a: ready\n')
        run = self.start_running()
        texts = self.texts()
        self.assertEqual(sum(text.startswith('ready at ') for text in texts), 2, texts)
        self.assertGreaterEqual(sum(text.startswith('serves +') for text in texts), 3, texts)  # those of a, by now
        self.assertTrue(texts[0].startswith('test: every guest was ready '), texts)
        self.assertEqual(pathlib.Path(self.path).read_text(encoding='utf-8').count('class="after"'), 1)
        self.assertEqual(run.stop(), engine.OK, run.text())
        self.assertEqual(sum(text.startswith('ready at ') for text in self.texts()), 2)

    def test_never_ready(self):
        self.define(keys={'a': [MESSAGE], 'b': ['after: [a]']})
        run = self.start()
        run.wait_for('| a: runs')
        self.assertEqual(os.path.getsize(self.path), 0)
        self.assertEqual(run.stop(), engine.OK, run.text())
        texts = self.texts()
        self.assertIn('test: 0 of 2 guests became ready', texts)
        self.assertIn('was not started', texts)

    def test_failed(self):
        self.script('exit 3')
        run = self.start()
        run.wait_for('error: a: ')
        self.assertEqual(run.stop(), engine.ENGINE, run.text())
        self.assertTrue(any(text.startswith('ready at ') for text in self.texts()))

    def test_cannot_be_written(self):
        for path in (os.path.join(self.folder, 'missing', 'start.svg'), '/dev/null'):
            self.options = ('--timeline', path)
            run = self.start()
            self.assertEqual(run.end(), engine.REFUSED)
            self.assertIn('the timeline %s cannot be written' % path, run.text())


class Processors(engine.Case):
    @staticmethod
    def allowed(pid):
        lines = pathlib.Path('/proc/%d/status' % pid).read_text(encoding='utf-8').splitlines()
        return next(line.split()[1] for line in lines if line.startswith('Cpus_allowed_list:'))

    def test_pinned(self):
        cpu = max(os.sched_getaffinity(0))
        self.define(keys={'a': ['host-cpus: [%d]' % cpu]})
        run = self.start_running()
        pids = [run.guest()['pid']] + [device['pid'] for device in run.guest()['devices']]
        self.assertEqual([self.allowed(pid) for pid in pids], [str(cpu)] * 4)
        self.assertEqual(self.allowed(run.process.pid), self.allowed(os.getpid()))
        self.assertEqual(run.stop(), engine.OK, run.text())

    def test_not_there(self):
        self.define(keys={'a': ['host-cpus: [0, 1000-1002]']})
        run = self.start()
        self.assertEqual(run.end(), engine.REFUSED, run.text())
        self.assertIn('guest a is pinned to processor 1000, and here it may use: ', run.text())
        self.assertIn('[engine-cpus]', run.text())
        self.assertIn('1000-1002', run.text())  # the line of the definition

    def test_not_allowed(self):
        """A processor of the host that this run may not use."""
        mine = sorted(os.sched_getaffinity(0))
        if len(mine) < 2:
            self.skipTest('the host has one processor')
        self.define(keys={'a': ['host-cpus: [%d]' % mine[-1]]})
        run = self.start(preexec_fn=lambda: os.sched_setaffinity(0, {mine[0]}))
        self.assertEqual(run.end(), engine.REFUSED, run.text())
        self.assertIn('processor %d, and here it may use: %d [engine-cpus]' % (mine[-1], mine[0]), run.text())


class Memory(engine.Case):
    guests = tuple('abcdefgh')

    def test_more_than_there_is(self):
        """A warning: what is not used takes no memory."""
        path = pathlib.Path(self.definition)
        path.write_text(path.read_text(encoding='utf-8').replace('memory: 128M', 'memory: 60G'), encoding='utf-8')
        run = self.start_running()
        self.assertIn('to give: it may page, or end a guest [engine-memory]', run.text())
        self.assertEqual(run.stop(), engine.OK, run.text())


if __name__ == '__main__':
    engine.main()
