#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`bulkhead check`, `build` and `run` with a definition, as far as no guest is started.

What each mistake in a definition is answered with is not tested here: tests/platform has a case for each.
"""

import fcntl
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import termios

import cli

CLI = pathlib.Path(__file__).resolve().parent.parent.parent / 'cli'
GOOD = '''\
bulkhead: 1
name: small
guests:
  one:
    arch: arm64
    memory: 64M
    boot: { kernel: Image }
    devices:
      terminal: { type: console, window: 8M }
  two:
    arch: arm64
    memory: 64M
    boot: { kernel: Image }
'''


class Definition(cli.Case):
    def setUp(self):
        super().setUp()
        self.write_image('Image')
        self.path = self.write('platform.yaml', GOOD)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        pathlib.Path(path).write_text(text, encoding='utf-8')
        return path

    def write_image(self, name, memory=1 << 20):
        """The header of an arm64 kernel, and nothing behind it."""
        header = struct.pack('<IIQQQQQQ4sI', 0, 0, 0, memory, 10, 0, 0, 0, b'ARM\x64', 0)
        pathlib.Path(self.folder, name).write_bytes(header.ljust(4096, b'\0'))

    def without_engine(self):
        """PATH without QEMU."""
        return {**self.environment, 'PATH': self.folder}


class Check(Definition):
    def test_check_good(self):
        result = self.run_cli('check', self.path)
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertEqual(result.stdout, '%s: ok (2 guests, 1 device)\n' % self.path)

    def test_check_bad(self):
        result = self.run_cli('check', self.write('bad.yaml', GOOD.replace('64M', '63M', 1)))
        self.assertEqual((result.returncode, result.stdout), (1, ''))
        self.assertIn('bad.yaml:6:13: error: ', result.stderr)
        self.assertNotIn('\x1b', result.stderr)

    def test_check_looks_at_the_images(self):
        os.remove(os.path.join(self.folder, 'Image'))
        result = self.run_cli('check', self.path)
        self.assertEqual((result.returncode, result.stdout), (1, ''))
        self.assertRegex(result.stderr, r'platform.yaml:7:21: error: ')
        self.assertRegex(result.stderr, r'platform.yaml:13:21: error: ')

    def test_check_looks_at_the_layout(self):
        self.write_image('Image', 80 << 20)
        result = self.run_cli('check', self.path)
        self.assertEqual((result.returncode, result.stdout), (1, ''))
        self.assertIn('[memory-fit]', result.stderr)

    def test_check_looks_at_the_disks(self):
        """One that is not there is a warning, because the disks may be on another host."""
        text = GOOD.replace('guests:', 'resources:\n  d: { type: disk, image: d.img }\nguests:')
        text += 'policy: [{ guest: one, resource: d, allow: [read] }]\n'
        path = self.write('disk.yaml', text.replace('devices:', 'devices:\n      root: { type: blk, resource: d }'))
        result = self.run_cli('check', path)
        self.assertEqual(result.returncode, 0)
        self.assertIn('disk.yaml:4:27: warning: ', result.stderr)
        self.assertIn('%s/d.img: No such file or directory [disk-image]' % self.folder, result.stderr)
        pathlib.Path(self.folder, 'd.img').write_bytes(bytes(512))
        self.assertEqual(self.run_cli('check', path).stderr, '')

    def test_check_no_file(self):
        result = self.run_cli('check', self.folder + '/none.yaml')
        self.assertEqual((result.returncode, result.stdout), (1, ''))
        self.assertIn('none.yaml', result.stderr)

    def test_check_cuts_lines_to_the_terminal(self):
        """A line that the terminal breaks would put the caret below something else."""
        long = GOOD.replace('name: small', 'name: small # ' + 'x' * 150).replace('64M', '63M', 1)
        bad = self.write('bad.yaml', long.replace('name: small', 'nam: small'))
        for columns in (60, 80, 200):
            output = self.on_terminal(columns, 'check', bad)
            excerpt = [line for line in output.splitlines() if ' | nam: ' in line]
            self.assertEqual([min(columns, 111)], [len(line) for line in excerpt], output)

    def on_terminal(self, columns, *arguments):
        ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('HHHH', 24, columns, 0, 0))
        with open(ours, 'rb', buffering=0) as terminal:
            run = subprocess.run([cli.BULKHEAD, *arguments], check=False, stdin=subprocess.DEVNULL, stdout=theirs,
                                 stderr=theirs, timeout=cli.PATIENCE, env={**self.environment, 'NO_COLOR': '1'})
            os.close(theirs)
            self.assertEqual(run.returncode, 1)
            return terminal.read(4096).decode()

    def test_json_is_of_findings_alone(self):
        for arguments in (['--list'], ['--explain', 'file'], ['--explain-flow', 'one', 'two', self.path]):
            result = self.run_cli('check', '--format', 'json', *arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ''))
            self.assertIn("leave out '--format json'", result.stderr)

    def test_a_check_alone_is_no_rule(self):
        result = self.run_cli('check', '-W', 'resource-unused', self.path)
        self.assertEqual((result.returncode, result.stdout), (2, ''))
        self.assertIn('error=resource-unused, warning=resource-unused or no-resource-unused', result.stderr)

    def colours(self, **environment):
        """What `check` prints to a terminal."""
        script = shutil.which('script')
        if script is None:
            self.skipTest('no script(1)')
        bad = self.write('bad.yaml', GOOD.replace('64M', '63M', 1))
        result = subprocess.run([script, '-qec', '%s check %s' % (cli.BULKHEAD, bad), '/dev/null'], check=False,
                                capture_output=True, text=True, timeout=cli.PATIENCE, stdin=subprocess.DEVNULL,
                                env={**self.environment, **environment})
        self.assertEqual(result.returncode, 1)
        return '\x1b[' in result.stdout

    def test_check_colours_on_a_terminal(self):
        self.assertTrue(self.colours(NO_COLOR='', TERM='xterm'))
        self.assertFalse(self.colours(NO_COLOR='1', TERM='xterm'))
        self.assertFalse(self.colours(NO_COLOR='', TERM='dumb'))


class Build(Definition):
    def test_build_writes_and_lists(self):
        target = os.path.join(self.folder, 'out')
        result = self.run_cli('build', self.path, '-o', target, env=self.without_engine())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(result.stdout.startswith('%s: built, in %s\n' % (self.path, target)))
        listed = re.findall(r'^  (\S+) +([0-9]+)  \S', result.stdout, re.M)
        self.assertEqual(sorted(name for name, _ in listed), sorted(os.listdir(target)))
        self.assertEqual(len(listed), len(result.stdout.splitlines()) - 1)
        for name, size in listed:
            self.assertEqual(os.path.getsize(os.path.join(target, name)), int(size))
        self.assertEqual(json.loads(pathlib.Path(target, 'platform.json').read_text(encoding='utf-8'))['name'], 'small')

    def test_build_into_the_usual_folder(self):
        result = self.run_cli('build', self.path, cwd=self.folder, env=self.without_engine())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(': built, in small.build\n', result.stdout)
        self.assertTrue(os.path.exists(self.folder + '/small.build/two.start'))

    def test_build_asks_no_engine(self):
        """What is built is for the oldest engine that will do, not for the one that is here."""
        self.write('qemu-system-aarch64', '#!/bin/sh\ntouch "$0.asked"\necho QEMU emulator version 11.1.2\n')
        os.chmod(os.path.join(self.folder, 'qemu-system-aarch64'), 0o755)
        target = os.path.join(self.folder, 'out')
        result = self.run_cli('build', '--output', target, self.path, env=self.without_engine())
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertFalse(os.path.exists(os.path.join(self.folder, 'qemu-system-aarch64.asked')))
        for guest, oldest in (('one', '10.2'), ('two', '7.2')):
            data = json.loads(pathlib.Path(target, guest + '.engine.json').read_text(encoding='utf-8'))
            self.assertEqual((data['engine']['program'], data['engine']['oldest']), ('qemu-system-aarch64', oldest))
        self.assertFalse([name for name in os.listdir(target) if name.endswith('.new')])

    def test_build_refused(self):
        bad = self.write('bad.yaml', GOOD.replace('64M', '63M', 1))
        target = os.path.join(self.folder, 'out')
        result = self.run_cli('build', bad, '-o', target)
        self.assertEqual((result.returncode, result.stdout), (1, ''))
        self.assertFalse(os.path.exists(target))
        result = self.run_cli('build', self.path, '-o', '/proc/none')
        self.assertEqual((result.returncode, result.stdout), (1, ''))
        self.assertIn('/proc/none', result.stderr)
        self.refused(self.run_cli('build', self.path, '-o', ''), 'no name', status=2)


class Run(Definition):
    def test_run_bad(self):
        result = self.run_cli('run', self.write('bad.yaml', GOOD.replace('64M', '63M', 1)))
        self.assertEqual((result.returncode, result.stdout), (1, ''))
        self.assertIn('bad.yaml:6:13: error: ', result.stderr)

    def test_run_without_engine(self):
        result = self.run_cli('run', '--state', self.folder + '/state', self.path, env=self.without_engine())
        self.assertEqual(result.returncode, 1)
        self.assertIn('qemu-system-aarch64', result.stderr)
        self.assertFalse(os.path.exists(self.folder + '/bulkhead/small'))

    def test_run_that_runs_already(self):
        self.run_platform('small')
        result = self.run_cli('run', '--state', self.folder + '/state', self.path)
        self.assertEqual(result.returncode, 1)
        self.assertIn('small', result.stderr)

    def test_run_without_the_back_ends(self):
        alone = os.path.join(self.folder, 'bin')
        os.mkdir(alone)
        shutil.copy(cli.BULKHEAD, alone)
        result = subprocess.run([alone + '/bulkhead', 'run', self.path], capture_output=True, text=True, check=False,
                                timeout=cli.PATIENCE, env=self.environment)
        self.refused(result, 'bulkhead-blk', alone)


class Pages(Definition):
    """The manual pages, where they are written by hand."""

    def test_pages_name_every_option(self):
        page = (CLI / 'bulkhead.1.scd.in').read_text(encoding='utf-8')
        for command in re.findall(r'^  (\w+) +[A-Z]', self.run_cli('--help').stdout, re.M):
            text = self.run_cli(command, '--help').stdout
            usage = re.match(r'Usage: bulkhead \w+ \[option\]\.\.\.(.*)', text).group(1)
            self.assertIn('*%s*' % command, page)
            self.assertRegex(re.sub(r'[*_]', '', page), r'(?m)^%s.*%s$' % (command, re.escape(usage)))
            for option in re.findall(r'^  (?:-\w, |    )--([a-z]+)', text, re.M):
                self.assertIn('*--%s*' % option if option != 'help' else '--help*', page)

    def test_pages_example_holds(self):
        page = (CLI / 'bulkhead.yaml.5.scd.in').read_text(encoding='utf-8')
        example = re.search(r'# EXAMPLE\n\n```\n(.*?)```', page, re.S).group(1)
        pathlib.Path(self.folder, 'root.ext4').touch()
        result = self.run_cli('check', self.write('example.yaml', example))
        self.assertEqual((result.returncode, result.stderr), (0, ''))


if __name__ == '__main__':
    cli.main()
