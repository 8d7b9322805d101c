#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `bulkhead` says of itself, and what it says to mistakes."""

import re
import subprocess

import cli


class Help(cli.Case):
    def test_help_of_the_program_lists_the_commands(self):
        result = self.run_cli('--help')
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        listed = re.findall(r'^  (\w+) +[A-Z]', result.stdout, re.M)
        for command in ('check', 'attach', 'status', 'stop'):
            self.assertIn(command, listed)
        self.assertEqual(self.run_cli('-h').stdout, result.stdout)

    def test_help_of_each_command(self):
        for command in re.findall(r'^  (\w+) +[A-Z]', self.run_cli('--help').stdout, re.M):
            result = self.run_cli(command, '--help')
            self.assertEqual((result.returncode, result.stderr), (0, ''), command)
            self.assertTrue(result.stdout.startswith('Usage: bulkhead %s ' % command), command)
            self.assertIn('-h, --help', result.stdout)
            self.assertEqual(self.run_cli(command, '-h').stdout, result.stdout)
            self.assertTrue(all(len(line) <= 100 for line in result.stdout.splitlines()), command)

    def test_help_of_status_names_its_option(self):
        self.assertRegex(self.run_cli('status', '--help').stdout, r'(?m)^      --json  +\w')

    def test_help_version(self):
        result = self.run_cli('--version')
        self.assertEqual(result.returncode, 0)
        self.assertRegex(result.stdout, r'\Abulkhead \d+\.\d+\.\d+\n\Z')

    def test_help_that_cannot_be_written_is_a_failure(self):
        with open('/dev/full', 'w', encoding='utf-8') as full:
            result = subprocess.run([cli.BULKHEAD, '--help'], stdout=full, stderr=subprocess.PIPE, text=True,
                                    check=False, timeout=cli.PATIENCE)
        self.assertEqual(result.returncode, 1)
        self.assertIn('standard output', result.stderr)


class Usage(cli.Case):
    def test_usage_no_command(self):
        self.refused(self.run_cli(), '--help', status=2)

    def test_usage_unknown_command(self):
        self.refused(self.run_cli('frobnicate'), "'frobnicate'", '--help', status=2)
        self.refused(self.run_cli('x' * 5000), status=2)
        self.refused(self.run_cli(''), status=2)
        self.refused(self.run_cli('--frobnicate'), '--help', status=2)

    def test_usage_unknown_command_with_a_suggestion(self):
        for typed, meant in (('chekc', 'check'), ('statsu', 'status'), ('stpo', 'stop'), ('atach', 'attach')):
            self.refused(self.run_cli(typed), "did you mean '%s'?" % meant, status=2)

    def test_usage_mistakes_in_options(self):
        for words, text in ((['status', '--jso', '--x'], "'--x'"), (['status', '-x'], "'-x'"),
                            (['status', '--json=1'], '--json=1'), (['stop', '--timeout'], "value: '--timeout'"),
                            (['stop', '-t'], "value: '-t'"), (['stop', '--timeout', 'soon'], "'soon'"),
                            (['stop', '--timeout', '-1'], "'-1'"), (['stop', '--timeout', '86401'], '86400'),
                            (['stop', '--timeout', ''], "''")):
            self.refused(self.run_cli(*words), 'bulkhead: %s: ' % words[0], text, status=2)

    def test_usage_mistakes_in_arguments(self):
        for words, text in ((['check'], "needs an argument: 'FILE'"), (['check', 'a', 'b'], "'b'"),
                            (['check', ''], 'empty'), (['attach'], 'needs an argument'), (['attach', 'a//b'], 'a//b'),
                            (['attach', 'a/b/c/d/e'], 'up to 4'), (['attach', '/'], "'/'"),
                            (['stop', 'a/b/c'], 'up to 2'),
                            (['stop', 'a/'], 'a/'), (['attach', 'x' * 500], 'names nothing')):
            self.refused(self.run_cli(*words), text, status=2)


if __name__ == '__main__':
    cli.main()
