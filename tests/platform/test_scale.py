#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""That check and build grow with a definition as it grows, and no faster: by instructions, which no load of the machine changes.

bench/definition.py makes the definitions, and measures larger ones.
"""

import os
import pathlib
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / 'tests' / 'tools'), str(ROOT / 'bench')]
sys.dont_write_bytecode = True

import definition  # noqa: E402
import tap  # noqa: E402

BULKHEAD = os.path.abspath(os.environ['BULKHEAD'])
FEW, MANY = 8, 16


class Scale(unittest.TestCase):
    def grows(self, command):
        """How much more a guest costs among MANY than among FEW."""
        with tempfile.TemporaryDirectory() as folder:
            each = []
            for guests in (FEW, MANY):
                path = definition.make(pathlib.Path(folder) / str(guests), guests)
                each.append(definition.instructions(definition.commands(BULKHEAD, path)[command]) / guests)
            print(f'# {command}: {each[0]:.0f} and {each[1]:.0f} instructions for each guest')
            return each[1] / each[0]

    def test_check_grows_no_faster_than_the_definition(self):
        self.assertLess(self.grows('check'), definition.GROWTH_MAX)

    def test_build_grows_no_faster_than_the_definition(self):
        self.assertLess(self.grows('build'), definition.GROWTH_MAX)


if __name__ == '__main__':
    tap.main()
