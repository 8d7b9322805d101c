# SPDX-License-Identifier: BSD-2-Clause
"""Finds which tests name which requirements: `[BH-BLK-7]` at a test function or in a TAP name, in tests/.

What binds a mark to a test is told in spec/README.md. This file knows what all languages share; marks_c.py,
marks_python.py and marks_shell.py know theirs, and sources.py picks one for each file.
"""

import dataclasses
import pathlib
import re

from tracing.chapters import Finding

MARK = re.compile(r'\[\s*(BH-[A-Z][A-Z0-9]*-[1-9][0-9]*(?:\s*,\s*BH-[A-Z][A-Z0-9]*-[1-9][0-9]*)*)\s*\]')
LIKE_A_MARK = re.compile(r'\[\s*BH-[^\]\n]*[0-9][^\]\n]*\]?', re.IGNORECASE)
WILDCARD = re.compile(r'\0+|%[-+ #0-9.*]*(?:hh|h|ll|l|z|j|t)?[a-zA-Z]|\{[^{}]*\}|\$\{[^}]*\}|\$\([^)]*\)|\$\w+')
TAP_START = re.compile(r'^\s*(?:not )?ok\b\s*\S*\s+-\s+')


@dataclasses.dataclass
class Test:
    """A test as its source declares it. `names`: TAP names it is found by; `patterns`: (ids, regular expression)."""
    path: str
    line: int
    label: str
    ids: list
    function: str = ''
    patterns: list = dataclasses.field(default_factory=list)

    @property
    def folder(self):
        """The folder below tests/ that the test lives in, or ''."""
        parts = pathlib.PurePosixPath(self.path).parts
        return parts[1] if len(parts) > 2 else ''


def ids_of(text):
    found = []
    for match in MARK.finditer(text):
        found += [part.strip() for part in match.group(1).split(',')]
    return found


def without_marks(text):
    return ' '.join(MARK.sub(' ', text).split())


def pattern_of(text):
    """Makes of a TAP name in the source what its printed form matches: format specifiers stand for anything."""
    text = re.sub(r'\\[nrt]', ' ', TAP_START.sub('', MARK.sub(' ', text)))
    pieces = [' '.join(piece.split()) for piece in WILDCARD.split(text)]
    return re.compile('.*'.join(re.escape(piece) for piece in pieces if piece) or '')


class Marks:
    """Collects the tests of one source file; the language's scanner calls `in_function` and `in_name`."""

    def __init__(self, path):
        self.path = path
        self.tests = []
        self.findings = []
        self.by_function = {}

    def error(self, line, text):
        self.findings.append(Finding('error', f'{self.path}:{line}', text))

    def check_form(self, line, text):
        """Something that looks like a mark and is none would be lost in silence."""
        for match in LIKE_A_MARK.finditer(text):
            if not MARK.match(text, match.start()):
                self.error(line, f'"{match.group(0)}" is no mark; write [BH-BLK-7] or [BH-BLK-7, BH-DEV-2]')

    def in_function(self, function, line, text, is_name=False):
        """`text` (a comment, or a string when `is_name`) belongs to the test function `function`."""
        test = self.by_function.get(function)
        if test is None:
            test = self.by_function[function] = Test(self.path, line, function, [], function)
            self.tests.append(test)
        for name in ids_of(text):
            if name not in test.ids:
                test.ids.append(name)
        if is_name:
            test.patterns.append((ids_of(text), pattern_of(text)))

    def in_name(self, line, text):
        """`text` is a TAP name that stands outside any test function: in a table, or in a script."""
        label = without_marks(TAP_START.sub('', text.replace('\0', '…'))) or '(name made at run time)'
        self.tests.append(Test(self.path, line, label, ids_of(text), '', [(ids_of(text), pattern_of(text))]))

    def nowhere(self, line, text):
        self.error(line, f'[{", ".join(ids_of(text))}] belongs to no test: put it directly above or inside a test '
                         'function, or into the TAP name')
