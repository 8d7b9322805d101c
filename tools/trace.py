#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Traces each requirement of spec/ to the tests that show it and to their last result.

It fails when a MUST has neither a test nor a stated reason, when a test names a requirement that does not exist, when
the last result of a test is a failure, and when a chapter breaks the grammar. It runs no test: tools/run_tests.py does,
and its TAP logs are what --results names. The rules are in spec/README.md.

Exit status: 0 all is well (there may be warnings), 1 there are errors, 2 a folder or file cannot be read or written.
"""

import argparse
import json
import pathlib
import sys

from tracing.chapters import read_spec
from tracing.matrix import VERDICTS, Matrix
from tracing.page import draw
from tracing.results import Logs, find_results
from tracing.sources import scan_tests

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Unreadable(Exception):
    """Something that the command line names is not there or not what it should be."""


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--root', type=pathlib.Path, default=ROOT, help='the checkout; spec/ and tests/ are below it')
    parser.add_argument('--results', type=pathlib.Path, action='append', default=[], metavar='DIR',
                        help='a folder of *.tap logs; may stand several times')
    parser.add_argument('--html', type=pathlib.Path, metavar='FILE', help='write the matrix as a page')
    parser.add_argument('--json', type=pathlib.Path, metavar='FILE', help='write the matrix as data')
    parser.add_argument('-q', '--quiet', action='store_true', help='errors and the last line only')
    return parser.parse_args(argv)


def trace(root, folders):
    """Returns (matrix, findings)."""
    for folder in [root / 'spec', root / 'tests', *folders]:
        if not folder.is_dir():
            raise Unreadable(f'{folder} is no folder')
    chapters, findings = read_spec(root / 'spec', root)
    if not chapters:
        raise Unreadable(f'{root / "spec"} holds no chapter')
    tests, more = scan_tests(root / 'tests', root)
    findings += more
    logs = Logs(folders)
    if folders and not logs.count:
        raise Unreadable(f'{", ".join(map(str, folders))}: no *.tap log in there')
    found, more = find_results(tests, logs)
    findings += logs.findings + more
    matrix = Matrix(chapters, tests, found, bool(folders))
    return matrix, findings + matrix.findings


def print_table(matrix):
    head = ['chapter', 'status', *VERDICTS]
    lines = [[chapter.title, chapter.status, *matrix.counts(chapter).values()] for chapter in matrix.chapters]
    lines.append(['all', '', *matrix.counts().values()])
    widths = [max(len(str(line[column])) for line in [head, *lines]) for column in range(len(head))]
    for line in [head, *lines]:
        cells = [str(cell).ljust(width) if column < 2 else str(cell or ('-' if line is not head else '')).rjust(width)
                 for column, (cell, width) in enumerate(zip(line, widths))]
        print('  '.join(cells).rstrip())


def report(matrix, findings, quiet):
    if not quiet:
        print_table(matrix)
    for level in ('error',) if quiet else ('warning', 'error'):
        for finding in findings:
            if finding.level == level:
                print(f'{finding.where}: {level}: {finding.text}')
    errors = sum(finding.level == 'error' for finding in findings)
    warnings = len(findings) - errors
    print(f'{len(matrix.rows)} requirements, {errors} errors, {warnings} warnings')
    return errors


def main(argv=None):
    options = arguments(argv)
    try:
        matrix, findings = trace(options.root.resolve(), options.results)
        if options.html:
            options.html.write_text(draw(matrix, findings), encoding='utf-8')
        if options.json:
            options.json.write_text(json.dumps(matrix.as_json(findings), indent=1) + '\n', encoding='utf-8')
    except (Unreadable, OSError, UnicodeDecodeError) as error:
        print(f'trace: {error}', file=sys.stderr)
        return 2
    return 1 if report(matrix, findings, options.quiet) else 0


if __name__ == '__main__':
    sys.exit(main())
