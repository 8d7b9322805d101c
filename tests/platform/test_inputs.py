#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Definitions that cannot lie in a repository as they are: no files, bytes that are no text, sizes, encodings, rights.

What stands in YAML is tested with golden files (test_golden.py). Every input here has to be answered at once, with a
message and an exit status; a sanitizer's report or a signal is neither.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'tools'))

import tap  # noqa: E402

DUMP = os.path.abspath(os.environ['DEFINITION_DUMP'])
GOOD = 'bulkhead: 1\nname: demo\nguests:\n  one: { arch: arm64, memory: 128M, boot: { kernel: Image } }\n'
MIB = 1 << 20


class Inputs(unittest.TestCase):
    maxDiff = 4000

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name='d.yaml'):
        return os.path.join(self.folder.name, name)

    def run_dump(self, *arguments):
        run = subprocess.run([DUMP, *arguments], cwd=self.folder.name, stdin=subprocess.DEVNULL, capture_output=True,
                             timeout=60, check=False)
        self.assertIn(run.returncode, (0, 1), run.stderr.decode(errors='replace'))
        self.assertEqual(b'', run.stderr)
        return run.returncode, run.stdout.decode()

    def read(self, data):
        with open(self.path(), 'wb') as file:
            file.write(data if isinstance(data, bytes) else data.encode())
        return self.run_dump('d.yaml')

    def refused(self, data, expected):
        self.assertEqual((1, expected), self.read(data))

    def accepted(self, data):
        code, output = self.read(data)
        self.assertEqual(0, code, output)
        return output

    # ------------------------------------------------------------------------------------------ files

    def test_missing(self):
        self.assertEqual((1, 'd.yaml: error: there is no such file [file]\n'
                             '      = name the definition\'s YAML file\n1 error\n'), self.run_dump('d.yaml'))

    def test_below_a_file(self):
        self.accepted(GOOD)
        self.assertEqual((1, 'd.yaml/x: error: there is no such file [file]\n'
                             '      = name the definition\'s YAML file\n1 error\n'), self.run_dump('d.yaml/x'))

    def test_folder(self):
        self.assertEqual((1, '.: error: this is a folder [file]\n'
                             '      = name the definition\'s YAML file in it\n1 error\n'), self.run_dump('.'))

    def test_fifo_does_not_hang(self):
        os.mkfifo(self.path())
        self.assertEqual((1, 'd.yaml: error: this is not a file [file]\n'
                             '      = name the definition\'s YAML file\n1 error\n'), self.run_dump('d.yaml'))

    def test_device_does_not_run_on(self):
        self.assertEqual((1, '/dev/zero: error: this is not a file [file]\n'
                             '      = name the definition\'s YAML file\n1 error\n'), self.run_dump('/dev/zero'))

    def test_unreadable(self):
        self.accepted(GOOD)
        os.chmod(self.path(), 0)
        # Root may read everything as long as it has its capabilities.
        without = ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'] if os.geteuid() == 0 else []
        run = subprocess.run([*without, DUMP, 'd.yaml'], cwd=self.folder.name, capture_output=True, timeout=60,
                             check=False)
        self.assertEqual((1, b'd.yaml: error: it may not be read [file]\n'
                             b'      = check its owner and its rights\n1 error\n'), (run.returncode, run.stdout))

    def test_name_with_control_characters(self):
        self.assertEqual((1, '?[31m.yaml: error: there is no such file [file]\n'
                             '      = name the definition\'s YAML file\n1 error\n'), self.run_dump('\033[31m.yaml'))

    def test_link_to_a_file(self):
        self.accepted(GOOD)
        os.symlink('d.yaml', self.path('link.yaml'))
        self.assertEqual(0, self.run_dump('link.yaml')[0])

    # ------------------------------------------------------------------------------------------ sizes

    def test_empty(self):
        self.refused('', 'd.yaml: error: the definition is empty [version]\n'
                         '      = begin it with bulkhead: 1, a name and guests\n1 error\n')

    def test_blank(self):
        for text in (' ', '\n\n\n', '---\n', '---\n...\n', '\ufeff', '# nothing', '~\n'):
            code, output = self.read(text)
            self.assertEqual(1, code)
            self.assertIn('[version]', output, repr(text))

    def test_ten_megabytes(self):
        self.refused(b'# much\n' * (10 * MIB // 7),
                     'd.yaml: error: it is larger than 1 MiB, which no definition is [file]\n'
                     '      = is this the definition\'s YAML file?\n1 error\n')

    def test_as_large_as_it_may_be(self):
        self.accepted(GOOD + '#' * (MIB - len(GOOD)))

    def test_one_byte_too_large(self):
        self.assertEqual(1, self.read(GOOD + '#' * (MIB + 1 - len(GOOD)))[0])

    def test_deep_brackets(self):
        code, output = self.read('a: ' + '[' * (MIB - 8))
        self.assertEqual(1, code)
        self.assertIn('nested deeper than 16 [size]', output)

    def test_deep_blocks(self):
        code, output = self.read(''.join(' ' * i + 'a:\n' for i in range(1000)))
        self.assertEqual(1, code)
        self.assertIn('nested deeper than 16 [size]', output)

    def test_deep_dashes(self):
        self.assertIn('[size]', self.read('- ' * (MIB // 2))[1])

    def test_many_values(self):
        rows = ''.join(f'k{i}: [{"1, " * 4000}1]\n' for i in range(40))
        self.assertIn('more than 131072 values [size]', self.read(rows)[1])

    def test_many_keys(self):
        self.assertIn('more than 4096 entries in one map [size]',
                      self.read(''.join(f'k{i}: 1\n' for i in range(80000)))[1])

    def test_long_text_where_a_map_belongs(self):
        """It is looked at for what was meant: a text of this length for nothing."""
        for text in ('->' * (MIB // 2 - 100), ', ' * (MIB // 2 - 100)):
            code, output = self.read(f'bulkhead: 1\nassert: [{{ no-flow: "{text}" }}]\n')
            self.assertEqual(1, code)
            self.assertIn('= write no-flow: { from: ivi, to: cluster }\n', output)

    def test_many_errors_are_counted(self):
        code, output = self.read('bulkhead: 1\nname: demo\n' + ''.join(f'x{i}: 1\n' for i in range(1000)))
        self.assertEqual(1, code)
        self.assertTrue(output.endswith('1001 errors; the first 100 that were found are shown\n'), output[-200:])
        self.assertEqual(100, output.count(': error: '))

    def test_line_of_a_megabyte(self):
        code, output = self.read('bulkhead: 1\nname: ' + 'x' * (MIB - 100))
        self.assertEqual(1, code)
        self.assertLess(len(output), 2000)

    def test_key_of_a_megabyte(self):
        code, output = self.read('bulkhead: 1\n? ' + 'x' * (MIB - 100) + '\n: 1\n')
        self.assertEqual(1, code)
        self.assertLess(len(output), 2000)

    def test_more_than_there_may_be(self):
        """As many policy lines as there may be are as many entries as a list may have."""
        for key, entries, checks in (
                ('resources', ['r%d: { type: entropy }' % i for i in range(2049)], 'possible is 0 to 2048 [range]'),
                ('assert', ['{ isolated: { guest: one } }'] * 1025, 'possible is 0 to 1024 [range]'),
                ('policy', ['{ guest: one }'] * 4097, 'more than 4096 entries in one list [size]')):
            text = ', '.join(entries)
            text = '{ %s }' % text if key == 'resources' else '[ %s ]' % text
            self.assertIn(checks, self.read('%s%s: %s\n' % (GOOD, key, text))[1])

    # ------------------------------------------------------------------------- includes and templates

    def write(self, name, text):
        with open(self.path(name), 'w', encoding='utf-8') as file:
            file.write(text)

    def test_fifo_and_devices_are_not_included(self):
        os.mkfifo(self.path('fifo'))
        code, output = self.read('bulkhead: 1\ninclude: [fifo, /dev/zero, /dev/stdin, .]\nname: x\n')
        self.assertEqual(1, code)
        self.assertEqual(4, output.count(' cannot be included: this is '))

    def test_many_files(self):
        """Each of 40 includes all that come after it: a diamond of diamonds, and too many files."""
        for i in range(40):
            after = ', '.join('f%d.yaml' % j for j in range(i + 1, min(i + 31, 40)))
            self.write('f%d.yaml' % i, 'bulkhead: 1\n' + ('include: [%s]\n' % after if after else ''))
        code, output = self.run_dump('f0.yaml')
        self.assertEqual(1, code)
        self.assertIn('deeper than 8', output)

    def test_diamonds(self):
        """Six layers of five files, each of which includes the whole layer below; every file counts once."""
        for layer in range(6):
            below = ', '.join('l%d-%d.yaml' % (layer - 1, i) for i in range(5))
            for i in range(5):
                self.write('l%d-%d.yaml' % (layer, i), 'bulkhead: 1\n' + ('include: [%s]\n' % below if layer else ''))
        self.accepted(GOOD.replace('name:', 'include: [%s]\nname:' % ', '.join('l5-%d.yaml' % i for i in range(5))))

    def test_thirty_three_files(self):
        for i in range(33):
            self.write('f%d.yaml' % i, 'bulkhead: 1\n')
        self.write('a.yaml', 'bulkhead: 1\ninclude: [%s]\n' % ', '.join('f%d.yaml' % i for i in range(3)))
        files = ', '.join(['a.yaml'] + ['f%d.yaml' % i for i in range(3, 33)])
        self.assertIn('32 files, which is as many as it may have [include]',
                      self.read(GOOD.replace('name:', 'include: [%s]\nname:' % files))[1])

    def test_large_files(self):
        for i in range(5):
            self.write('f%d.yaml' % i, 'bulkhead: 1\n#' + 'x' * 1000000 + '\n')
        files = ', '.join('f%d.yaml' % i for i in range(5))
        self.assertIn('more than 4 MiB together [include]',
                      self.read(GOOD.replace('name:', 'include: [%s]\nname:' % files))[1])

    def test_laughs_by_templates(self):
        text = 'bulkhead: 1\nname: x\ntemplates:\n  t: { devices: { %s } }\nguests:\n' % ', '.join(
            'd%d: { type: console }' % i for i in range(2000))
        text += ''.join('  g%d: { template: t }\n' % i for i in range(1000))
        self.assertIn('more than 131072 values [size]', self.read(text)[1])

    def test_templates_that_fill_a_map(self):
        text = 'bulkhead: 1\nname: x\ntemplates:\n  t: { %s }\nguests:\n  g: { template: t, %s }\n' % (
            ', '.join('a%d: 1' % i for i in range(4000)), ', '.join('b%d: 1' % i for i in range(97)))
        self.assertIn('more than 4096 entries in one map [size]', self.read(text)[1])

    def test_wide_merge(self):
        """Thirty layers over a map of 1300 guests."""
        for i in range(30):
            self.write('f%d.yaml' % i, 'bulkhead: 1\nguests: { %s }\n' % ', '.join('g%d: { cpus: %d }' % (j, i) for j in range(1300)))
        files = ', '.join('f%d.yaml' % i for i in range(30))
        code, output = self.read('bulkhead: 1\ninclude: [%s]\nname: x\n' % files)
        self.assertEqual(1, code)
        self.assertIn('guests has 1300 entries; possible is 1 to 64 [range]', output)

    # -------------------------------------------------------------------------------------- encodings

    def test_zero_byte(self):
        self.refused('bulkhead: 1\nname: a\0b\n',
                     'd.yaml:2:8: error: a zero byte: this is not a text file [encoding]\n'
                     '    2 | name: a?b\n      |        ^\n      = save it as UTF-8 text\n1 error\n')

    def test_binary(self):
        self.refused(b'\x7fELF\x02\x01\x01\0\0\0',
                     'd.yaml:1:1: error: the character U+007F is not allowed: it changes how the line reads, or ends it'
                     ' [encoding]\n    1 | ?ELF??????\n      | ^\n      = remove it\n1 error\n')

    def test_every_byte_alone(self):
        for byte in range(256):
            self.assertEqual(1, self.read(bytes([byte]))[0], byte)

    def test_latin_1(self):
        self.refused(b'bulkhead: 1\nname: g\xe4st\n',
                     'd.yaml:2:8: error: this is not UTF-8 text [encoding]\n'
                     '    2 | name: g?st\n      |        ^\n      = save the file as UTF-8\n1 error\n')

    def test_broken_utf_8(self):
        for data in (b'\xc0\x80', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xe2\x82', b'\xf8\x88\x80\x80\x80', b'\x80',
                     b'\x84\x80\x80\x80', b'\xc1\x80\x80\x80', b'\xfc\x80\x80\x80', b'\xe2\x28\xa1', b'\xe0\x80\x80'):
            code, output = self.read(b'bulkhead: 1\nname: ' + data)
            self.assertIn('d.yaml:2:7: error: this is not UTF-8 text [encoding]', output)
            self.assertEqual(1, code)

    def test_utf_16(self):
        for code in ('utf-16-le', 'utf-16-be'):
            self.assertIn('[encoding]', self.read(('\ufeff' + GOOD).encode(code))[1])
            self.assertIn('[encoding]', self.read(GOOD.encode(code))[1])

    def test_byte_order_mark(self):
        self.assertEqual(self.accepted(GOOD), self.accepted('\ufeff' + GOOD))

    def test_byte_order_mark_inside(self):
        self.assertIn('d.yaml:2:7: error: the character U+FEFF', self.read('bulkhead: 1\nname: \ufeffdemo\n')[1])

    def test_writing_direction(self):
        self.assertIn('d.yaml:2:8: error: the character U+202E', self.read('bulkhead: 1\nname: a\u202e\n')[1])
        self.assertIn('U+2066', self.read('# \u2066\n')[1])

    def test_cr_lf(self):
        self.assertEqual(self.accepted(GOOD), self.accepted(GOOD.replace('\n', '\r\n')))

    def test_cr_lf_places(self):
        self.refused('bulkhead: 1\r\nname: [x]\r\nguests: {}\r\n',
                     'd.yaml:2:7: error: name is a list; it takes a name [type]\n'
                     '    2 | name: [x]\n      |       ^\n      = write name: x\n'
                     'd.yaml:3:1: error: guests has 0 entries; possible is 1 to 64 [range]\n'
                     '    3 | guests: {}\n      | ^~~~~~\n2 errors\n')

    def test_lone_cr(self):
        self.refused('bulkhead: 1\rname: demo\r',
                     'd.yaml:1:12: error: a carriage return that no line feed follows [encoding]\n'
                     '    1 | bulkhead: 1?name: demo\n      |            ^\n'
                     '      = end lines with LF or CR LF\n1 error\n')

    def test_line_separators(self):
        for character in '\u0085\u2028\u2029':
            self.assertIn('is not allowed', self.read('bulkhead: 1' + character + 'name: x')[1])

    def test_no_newline_at_the_end(self):
        self.assertEqual(self.accepted(GOOD), self.accepted(GOOD.rstrip('\n')))

    def test_error_in_a_last_line_without_newline(self):
        self.refused(GOOD + 'nmae: x',
                     'd.yaml:5:1: error: nmae is no key of the definition [key]\n'
                     '    5 | nmae: x\n      | ^~~~\n      = did you mean name?\n1 error\n')

    # ------------------------------------------------------------------------------------------- YAML

    def test_laughs_at_full_size(self):
        rows = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
        rows += [f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]' for i in range(1, 1000)]
        self.assertIn('anchors and aliases are not supported [anchor]', self.read('\n'.join(rows))[1])

    def test_many_tag_directives(self):
        rows = ''.join(f'%TAG !a{i}! b\n' for i in range(50000))
        self.refused(rows + '---\na: b\n', 'd.yaml:1:1: error: tags are not supported [tag]\n'
                                            '    1 | %TAG !a0! b\n      | ^~~~\n      = remove the line\n1 error\n')

    def test_alias_of_itself(self):
        self.assertIn('[anchor]', self.read('&a a: *a\n')[1])
        self.assertIn('[anchor]', self.read('&a [ *a ]\n')[1])

    def test_cut_off_anywhere(self):
        with open(HERE / 'pass' / 'all-keys.yaml', 'rb') as file:
            text = file.read()
        for length in range(0, len(text), 7):
            self.assertIn(self.read(text[:length])[0], (0, 1))

    # ------------------------------------------------------------------------------------------ colour

    def test_colour(self):
        self.read('bulkhead: 1\nname: demo\nguests: {}\n')
        code, output = self.run_dump('--colour', 'd.yaml')
        self.assertEqual(1, code)
        self.assertEqual('\033[1md.yaml:3:1: \033[1;31merror:\033[0m \033[1mguests has 0 entries; possible is 1 to 64'
                         '\033[0m [range]\n    3 | guests: {}\n      | \033[1;32m^~~~~~\033[0m\n1 error\n', output)

    # -------------------------------------------------------------------------------- for programs

    def test_json(self):
        with open(self.path('base.yaml'), 'w', encoding='utf-8') as file:
            file.write('bulkhead: 1\ntemplates: { t: { cpus: 99 } }\n')
        self.read('bulkhead: 1\ninclude: base.yaml\nname: demo\nguests: { one: { template: t } }\n')
        code, output = self.run_dump('--json', 'd.yaml')
        found = json.loads(output)
        self.assertEqual((1, len(found['findings']), 0), (code, found['errors'], found['left_out']))
        wrong = [finding for finding in found['findings'] if finding['check'] == 'range']
        self.assertEqual([{'check': 'range', 'severity': 'error', 'file': 'base.yaml', 'line': 2, 'column': 25, 'length': 2,
                           'text': 'cpus is 99; possible is 1 to 8', 'advice': [],
                           'notes': [{'file': 'd.yaml', 'line': 4, 'column': 28, 'length': 1,
                                      'text': 'template t is used here'}]}], wrong)

    def test_reference_text_has_every_key(self):
        code, output = self.run_dump('--schema')
        self.assertEqual(0, code)
        for line in self.run_dump('--keys')[1].splitlines():
            self.assertIn(f'*{line.rsplit(None, 4)[1]}*: ', output)


if __name__ == '__main__':
    tap.main()
