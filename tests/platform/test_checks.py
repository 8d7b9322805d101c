#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The table of checks: every name that any source can print is in it."""

import os
import pathlib
import re
import subprocess
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / 'tools'))

import tap  # noqa: E402

DUMP = os.path.abspath(os.environ['DEFINITION_DUMP'])

# A finding is added with a severity, or through BH_SAY, BH_WARN and SAY, which have one.
ADDED = re.compile(r'(?:BH_SEVERITY_[A-Z]+|\b(?:BH_)?(?:SAY|WARN)\([^,;]*),\s*"([^"]*)"')
# A function that passes the name on: refuse(search, error, "engine", text).
PASSED = re.compile(r'\brefuse\(\s*search,[^,;]*,\s*"([a-z-]+)"')
LIMIT = re.compile(r'static const char \w+\[\] = "([a-z]+-limit)"')


def dump(*arguments):
    run = subprocess.run([DUMP, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return run.returncode, run.stdout.decode() + run.stderr.decode()


class Table(unittest.TestCase):
    def setUp(self):
        code, output = dump('--checks')
        self.assertEqual(0, code)
        self.names = [line.split(': ', 1)[0] for line in output.splitlines()]

    def test_no_name_stands_there_twice(self):
        self.assertEqual(sorted(set(self.names)), sorted(self.names))

    def test_every_name_in_the_sources_is_in_the_table(self):
        used = {}
        for folder in ('platform', 'engine', 'cli'):
            for source in (ROOT / folder).glob('**/*.c'):
                text = source.read_text()
                for pattern in (ADDED, PASSED, LIMIT):
                    for name in pattern.findall(text):
                        used.setdefault(name, source.relative_to(ROOT))
        self.assertLess(80, len(used))
        self.assertEqual({}, {name: str(path) for name, path in used.items() if name not in self.names})

    def test_every_name_in_the_table_is_in_a_source(self):
        text = ''.join(source.read_text() for folder in ('platform', 'engine', 'cli')
                       for source in (ROOT / folder).glob('**/*.c') if source.name != 'check.c')
        self.assertEqual([], [name for name in self.names if f'"{name}"' not in text])


if __name__ == '__main__':
    tap.main()
