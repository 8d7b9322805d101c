#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The options of `bulkhead check`: rules, formats, what explains; `bulkhead schema`; -W of `bulkhead build`."""

import json
import os
import pathlib
import re

import cli

CLEAN = '''\
bulkhead: 1
name: small
resources:
  disk: { type: disk, image: disk.img }
guests:
  one:
    arch: x86_64
    memory: 64M
    boot: { disk: root }
    devices: { root: { type: blk, resource: disk } }
policy:
  - { guest: one, resource: disk, allow: [read] }
'''
WARNED = CLEAN.replace('guests:', '  unused: { type: entropy }\nguests:', 1)


class Case(cli.Case):
    def write(self, name, text):
        path = os.path.join(self.folder, name)
        pathlib.Path(path).write_text(text, encoding='utf-8')
        return path

    def setUp(self):
        super().setUp()
        pathlib.Path(self.folder, 'disk.img').write_bytes(bytes(512))
        self.warned = self.write('warned.yaml', WARNED)
        self.clean = self.write('clean.yaml', CLEAN)


class Rules(Case):
    def test_rules_without(self):
        result = self.run_cli('check', self.warned)
        self.assertEqual(0, result.returncode, result.stderr)
        self.assertIn('warning: no device uses the resource unused [resource-unused]', result.stderr)
        self.assertTrue(result.stderr.endswith('\n1 warning\n'), result.stderr)
        self.assertTrue(result.stdout.endswith(': ok (1 guest, 1 device)\n'), result.stdout)

    def test_rules_error(self):
        for rules in (['-W', 'error'], ['-Werror=resource-unused'], ['--rule', 'error=resource-unused'],
                      ['-W', 'no-resource-unused', '-W', 'error=resource-unused'],
                      ['-W', 'error', '-W', 'no-template-unused']):
            result = self.run_cli('check', *rules, self.warned)
            self.assertEqual((1, ''), (result.returncode, result.stdout), rules)
            self.assertIn('error: no device uses the resource unused [resource-unused]', result.stderr)

    def test_rules_off(self):
        for rules in (['-W', 'no-resource-unused'], ['-W', 'no-resource-unused', '-W', 'error']):
            result = self.run_cli('check', *rules, self.warned)
            self.assertEqual((0, ''), (result.returncode, result.stderr), rules)
        result = self.run_cli('check', '-W', 'error', '-W', 'warning=resource-unused', self.warned)
        self.assertEqual(0, result.returncode)
        self.assertIn('warning: no device uses', result.stderr)

    def may_be_warnings(self):
        return re.findall(r'^(\S+) +error \(W\) ', self.run_cli('check', '--list').stdout, re.M)

    def test_rules_errors_that_may_be_warnings(self):
        """A device that there is no back end for yet: fine for the check and the build, never for a run."""
        self.assertIn('engine-device', self.may_be_warnings())
        path = self.write('can.yaml', CLEAN.replace('{ type: disk, image: disk.img }', '{ type: can, bus: virtual }')
                          .replace('type: blk', 'type: can').replace('allow: [read]', 'allow: [receive]')
                          .replace('boot: { disk: root }', 'boot: { firmware: disk.img }'))
        result = self.run_cli('check', path)
        self.assertEqual(1, result.returncode)
        self.assertRegex(result.stderr, r'error: .* \[engine-device\]')
        for command in (['check'], ['build', '-o', os.path.join(self.folder, 'out')]):
            result = self.run_cli(*command, '-W', 'warning=engine-device', path)
            self.assertEqual(0, result.returncode, result.stderr)
            self.assertRegex(result.stderr, r'warning: .* \[engine-device\]')
        self.assertEqual(1, self.run_cli('run', path).returncode)

    def test_rules_that_are_none(self):
        for rule, *texts in (('fatal', "not 'fatal'", 'error=NAME'), ('', 'a rule is error'), ('error=', "no check ''"),
                             ('no-resource-unsued', "did you mean 'resource-unused'"), ('error=xyzzy', '--list'),
                             ('no-memory-size', 'always said'), ('warning=memory-size', 'cannot be a warning')):
            for command in ('check', 'build'):
                self.refused(self.run_cli(command, '-W', rule, self.clean), 'bulkhead: %s: ' % command, *texts, status=2)

    def test_rules_that_are_many(self):
        rules = ['-Werror'] * 64
        self.assertEqual(0, self.run_cli('check', *rules, self.clean).returncode)
        self.refused(self.run_cli('check', *rules, '-Werror', self.clean), 'too often', status=2)


class Format(Case):
    def check(self, path, *more):
        result = self.run_cli('check', '--format', 'json', *more, path)
        self.assertEqual('', result.stderr)
        return result.returncode, json.loads(result.stdout)

    def test_format_clean(self):
        self.assertEqual((0, {'errors': 0, 'warnings': 0, 'left_out': 0, 'findings': []}), self.check(self.clean))

    def test_format_findings(self):
        code, found = self.check(self.warned)
        self.assertEqual((0, 0, 1), (code, found['errors'], found['warnings']))
        self.assertEqual(['resource-unused'], [finding['check'] for finding in found['findings']])
        self.assertEqual(self.warned, found['findings'][0]['file'])
        code, found = self.check(self.warned, '-W', 'error')
        self.assertEqual((1, 1, 'error'), (code, found['errors'], found['findings'][0]['severity']))

    def test_format_of_a_file_that_is_not_there(self):
        code, found = self.check(os.path.join(self.folder, 'none.yaml'))
        self.assertEqual((1, 0, 'file'), (code, found['findings'][0]['line'], found['findings'][0]['check']))

    def test_format_text(self):
        self.assertEqual(self.run_cli('check', self.warned).stderr,
                         self.run_cli('check', '--format', 'text', self.warned).stderr)
        self.refused(self.run_cli('check', '--format', 'xml', self.clean), "not 'xml'", status=2)


class Explain(Case):
    def test_explain_lists_all(self):
        result = self.run_cli('check', '--list')
        self.assertEqual((0, ''), (result.returncode, result.stderr))
        lines = result.stdout.split('\n\n')[0].splitlines()
        for line in lines:
            self.assertRegex(line, r'^[a-z][a-z-]{0,19} +(error|warning|error \(W\)) +\w')
        names = [line.split()[0] for line in lines]
        self.assertEqual(len(names), len(set(names)))
        self.assertLess({'memory-size', 'include-cycle', 'template-unused'}, set(names))

    def test_explain_every_check(self):
        for line in self.run_cli('check', '--list').stdout.split('\n\n')[0].splitlines():
            name = line.split()[0]
            result = self.run_cli('check', '--explain', name)
            self.assertEqual((0, ''), (result.returncode, result.stderr), name)
            self.assertIn(name, result.stdout.splitlines()[0])

    def test_explain_what_there_is_not(self):
        self.refused(self.run_cli('check', '--explain', 'memroy-size'), "did you mean 'memory-size'?", status=2)
        self.refused(self.run_cli('check', '--explain', 'x' * 500), '--list', status=2)
        self.refused(self.run_cli('check', '--explain'), '--explain', status=2)

    def test_explain_and_a_file(self):
        self.refused(self.run_cli('check', '--list', self.clean), 'take no file', status=2)
        self.refused(self.run_cli('check', '--explain', 'size', self.clean), 'take no file', status=2)

    def test_explain_flow(self):
        for words in (['--explain-flow', 'one', 'disk', self.clean], [self.clean, '--explain-flow', 'one', 'disk'],
                      ['-W', 'error', '--explain-flow', 'one', 'disk', self.clean]):
            result = self.run_cli('check', *words)
            self.assertEqual((0, ''), (result.returncode, result.stderr), words)
            self.assertIn('disk -> one', result.stdout)
            self.assertNotIn('\x1b', result.stdout)

    def test_explain_flow_of_what_there_is_not(self):
        result = self.run_cli('check', '--explain-flow', 'one', 'dsk', self.clean)
        self.assertEqual((1, ''), (result.returncode, result.stdout))
        self.assertIn('did you mean disk?', result.stderr)
        self.refused(self.run_cli('check', '--explain-flow', 'one'), 'two values', status=2)
        self.refused(self.run_cli('check', '--explain-flow', 'one', 'disk'), "'FILE'", status=2)


class Schema(Case):
    def test_schema(self):
        result = self.run_cli('schema')
        self.assertEqual((0, ''), (result.returncode, result.stderr))
        self.assertEqual('https://json-schema.org/draft/2020-12/schema', json.loads(result.stdout)['$schema'])
        self.refused(self.run_cli('schema', 'x'), 'takes no argument', "'x'", status=2)


if __name__ == '__main__':
    cli.main()
