# SPDX-License-Identifier: BSD-2-Clause
"""Reads tools/mutate.allow: the mutants that mean the same as the original, each with its reason.

An entry is one line, `file :: source line :: change @ place :: reason`; it names the source line by its text, so that
it outlives changes elsewhere in the file, and dies with the line itself. The second line of the same text in a file has
`change @ place / 2`, and so on.
"""

import os
import sys


class Reasons:
    def __init__(self, path):
        self.entries = {}
        self.lines = {}
        self.used = set()
        if not os.path.exists(path):
            return
        with open(path, encoding='utf-8') as file:
            for number, line in enumerate(file, 1):
                line = line.strip()
                if not line or line.startswith('#'):
                    continue
                parts = [part.strip() for part in line.split(' :: ')]
                if len(parts) != 4 or not all(parts):
                    sys.exit('%s:%d: write `file :: source line :: change @ place :: reason`' % (path, number))
                if tuple(parts[:3]) in self.entries:
                    sys.exit('%s:%d: the same as line %d' % (path, number, self.lines[tuple(parts[:3])]))
                self.entries[tuple(parts[:3])] = parts[3]
                self.lines[tuple(parts[:3])] = number

    @staticmethod
    def key(mutant):
        turn = ' / %d' % mutant.turn if mutant.turn > 1 else ''
        return mutant.path, mutant.original(), '%s @ %d%s' % (mutant.what, mutant.place(), turn)

    def find(self, mutant):
        """The reason, or None."""
        key = self.key(mutant)
        if key in self.entries:
            self.used.add(key)
        return self.entries.get(key)

    def entry(self, mutant):
        return ' :: '.join(self.key(mutant)) + ' :: REASON'

    def unused(self):
        """The line numbers of entries that excused nothing."""
        return sorted(self.lines[key] for key in self.entries if key not in self.used)
