#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`bulkhead events`: the audit log in columns, as it is, and as it grows."""

import json
import os
import subprocess

import cli

LOG = [
    {'number': 1, 'time': '2026-03-01T08:15:30.042Z', 'ms': 10, 'event': 'start', 'platform': 'hello', 'pid': 100},
    {'number': 2, 'time': '2026-03-01T08:15:30.100Z', 'ms': 68, 'event': 'backend', 'guest': 'ivi', 'device': 'root',
     'state': 'started', 'program': 'bulkhead-blk', 'pid': 102},
    {'number': 3, 'time': '2026-03-01T08:15:31.000Z', 'ms': 968, 'event': 'device', 'guest': 'ivi', 'device': 'root',
     'reason': 'back-end-lied', 'text': 'a used id that is not in flight', 'value': 1},
    {'number': 4, 'time': '2026-03-01T08:15:31.010Z', 'ms': 978, 'event': 'guest', 'guest': 'ivi', 'state': 'failed',
     'detail': '\x1b[2Jwhat'},
]
TABLE = '''\
2026-03-01T08:15:30.042Z  -                 start               platform="hello" pid=100
2026-03-01T08:15:30.100Z  ivi/root          backend started     program="bulkhead-blk" pid=102
2026-03-01T08:15:31.000Z  ivi/root          back-end-lied       a used id that is not in flight value=1
2026-03-01T08:15:31.010Z  ivi               guest failed        ?[2Jwhat
'''


class Events(cli.Case):
    def setUp(self):
        super().setUp()
        self.state = os.path.join(self.folder, 'state')
        os.mkdir(self.state)
        self.write(LOG)

    def write(self, entries, mode='w'):
        with open(os.path.join(self.state, 'audit.jsonl'), mode, encoding='utf-8') as file:
            file.writelines(json.dumps(entry) + '\n' for entry in entries)

    def test_of_a_state_folder(self):
        result = self.run_cli('events', '--state', self.state)
        self.assertEqual((result.returncode, result.stdout, result.stderr), (0, TABLE, ''))

    def test_of_a_running_platform(self):
        status = {**cli.STATUS, 'audit': {'path': self.state + '/audit.jsonl', 'lost': 0}}
        self.run_platform(status=status)
        self.assertEqual(self.run_cli('events').stdout, TABLE)
        self.assertEqual(self.run_cli('events', 'hello').stdout, TABLE)

    def test_as_json(self):
        result = self.run_cli('events', '--json', '--state', self.state)
        self.assertEqual([json.loads(line) for line in result.stdout.splitlines()], LOG)

    def test_follow(self):
        with subprocess.Popen([cli.BULKHEAD, 'events', '-f', '--state', self.state], env=self.environment, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
            try:
                self.assertEqual([process.stdout.readline() for _ in LOG], TABLE.splitlines(keepends=True))
                self.write(LOG[:1], mode='a')
                self.assertEqual(process.stdout.readline(), TABLE.splitlines(keepends=True)[0])
                # An entry is whole once its line is.
                with open(os.path.join(self.state, 'audit.jsonl'), 'a', encoding='utf-8') as file:
                    text = json.dumps(LOG[2]) + '\n'
                    file.write(text[:40])
                    file.flush()
                    file.write(text[40:])
                self.assertEqual(process.stdout.readline(), TABLE.splitlines(keepends=True)[2])
            finally:
                process.kill()

    def test_lines_that_are_no_entries(self):
        with open(os.path.join(self.state, 'audit.jsonl'), 'w', encoding='utf-8') as file:
            file.write('[1]\nnothing\n' + 'x' * 100000 + '\n{}\n' + json.dumps(LOG[0]) + '\n{"cut')
        result = self.run_cli('events', '--state', self.state)
        self.assertEqual(result.returncode, 0)
        self.assertEqual(len(result.stdout.splitlines()), 2)
        self.assertEqual(len(result.stderr.splitlines()), 3)

    def test_refused(self):
        self.refused(self.run_cli('events'), 'no platform is running')
        self.refused(self.run_cli('events', '--state', self.folder + '/none'), 'No such file', '--state')
        os.remove(os.path.join(self.state, 'audit.jsonl'))
        os.mkfifo(os.path.join(self.state, 'audit.jsonl'))
        self.refused(self.run_cli('events', '--state', self.state), 'is no file')
        both = self.run_cli('events', '--state', self.state, 'hello')
        self.assertEqual(both.returncode, 2)
        self.assertIn('not both', both.stderr)


if __name__ == '__main__':
    cli.main()
