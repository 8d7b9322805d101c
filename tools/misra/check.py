#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs cppcheck's MISRA C:2012 addon over the freestanding folders and compares with tools/misra/deviations.md.

A finding that no deviation covers fails; so does a deviation that covers nothing any more, one without a reason, and
one of a mandatory rule. The rules' texts are not redistributable and are not needed: findings carry numbers.

It checks what the addon can check, which is a part of MISRA; the page says so.
"""

import argparse
import collections
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ('core', 'driver', 'devices', 'ports/mmio')
# What the compiler and <stdint.h> would say; cppcheck is given neither.
PREDEFINED = ('-D__BYTE_ORDER__=1234', '-D__ORDER_LITTLE_ENDIAN__=1234', '-D__ORDER_BIG_ENDIAN__=4321',
              '-DUINT64_C(x)=x##ULL', '-DUINT32_C(x)=x##U')
ROW = re.compile(r'^\|\s*(\d+\.\d+)\s*\|(.*)\|\s*$')
CELL = re.compile(r'(?<!\\)\|')
FINDING = re.compile(r'^(?P<file>[^:]+):(?P<line>\d+): (?P<id>\S+) (?P<text>.*)$')
MANDATORY = {'9.1', '9.7', '12.5', '13.6', '17.3', '17.4', '17.6', '17.9', '18.10', '19.1', '21.13', '21.17', '21.18',
             '21.19', '21.20', '21.22', '22.2', '22.4', '22.5', '22.6', '22.20'}


class Deviation:
    """One row of the page: a rule, where it is not kept (files, and perhaps a piece of the line), and why."""

    def __init__(self, line, rule, cells):
        cells = [cell.strip().replace('\\|', '|') for cell in CELL.split(cells)] + ['', '', '']
        self.line = line
        self.rule = rule
        self.scope = cells[0].replace('`', '').split()
        self.code = cells[1].strip('`')
        self.reason = cells[2]
        self.used = 0

    def covers(self, path, rule, code):
        return rule == self.rule and self.code in code and any(
            fnmatch.fnmatchcase(path, pattern) for pattern in self.scope)


def read_deviations(path):
    with open(path, encoding='utf-8') as file:
        rows = [(number, ROW.match(line)) for number, line in enumerate(file, 1)]
    return [Deviation(number, *row.groups()) for number, row in rows if row]


def code_of(path, line):
    with open(os.path.join(ROOT, path), encoding='utf-8') as file:
        return file.read().splitlines()[line - 1]


def sources():
    found = []
    for folder in FOLDERS:
        base = os.path.join(ROOT, folder)
        if os.path.isdir(base):
            found += sorted(os.path.join(folder, name) for name in os.listdir(base) if name.endswith('.c'))
    return found


def run_cppcheck(files, folder):
    """Returns the set of (file, line, id, text), one for each place however many files include it. What the addon
    writes beside the findings goes into `folder`; without one it would lie among the sources."""
    command = ['cppcheck', '--addon=misra', '--std=c11', '--platform=unix64', '--enable=style', '-q',
               '--cppcheck-build-dir=' + folder, '--suppress=missingInclude', '-Iinclude', '-I.', *PREDEFINED,
               '--template={file}:{line}: {id} {message}', *files]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.exit('cppcheck failed:\n' + done.stdout)
    findings = set()
    for line in done.stdout.splitlines():
        match = FINDING.match(line)
        if not match:
            sys.exit('cppcheck said what this script does not understand: ' + line)
        if match['id'].startswith('misra-c2012-'):
            findings.add((match['file'], int(match['line']), match['id'][len('misra-c2012-'):]))
        elif match['id'] in ('internalError', 'syntaxError', 'preprocessorErrorDirective', 'cppcheckError'):
            sys.exit('cppcheck did not read the code: ' + line)
    return sorted(findings)


def sort_out(findings, deviations):
    """Marks the deviations that are used; returns the findings that none covers."""
    open_findings = []
    for path, line, rule in findings:
        for deviation in deviations:
            if deviation.covers(path, rule, code_of(path, line)):
                deviation.used += 1
                break
        else:
            open_findings.append((path, line, rule))
    return open_findings


def judge_page(deviations, page):
    """Returns what is wrong with the page itself."""
    faults = []
    for deviation in deviations:
        where = '%s:%d: rule %s ' % (page, deviation.line, deviation.rule)
        if deviation.rule in MANDATORY:
            faults.append(where + 'is mandatory: no deviation is possible')
        if not deviation.reason or not deviation.scope:
            faults.append(where + 'has no scope or no reason')
        if not deviation.used:
            faults.append(where + 'has no finding in %s any more: remove the row' % ' '.join(deviation.scope))
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--summary', action='store_true', help='count all findings by rule, deviated or not')
    parser.add_argument('files', nargs='*', help='only these files (the page is not judged then)')
    options = parser.parse_args()
    page = 'tools/misra/deviations.md'
    deviations = read_deviations(os.path.join(ROOT, page))
    files = options.files or sources()
    if not files:
        sys.exit('no sources')
    with tempfile.TemporaryDirectory(prefix='bulkhead-misra-') as folder:
        findings = run_cppcheck(files, folder)
    if options.summary:
        for rule, count in sorted(collections.Counter(rule for _, _, rule in findings).items()):
            print('%-6s %d' % (rule, count))
    left = sort_out(findings, deviations)
    faults = [] if options.files else judge_page(deviations, page)
    for path, line, rule in left:
        print('%s:%d: MISRA C:2012 rule %s: %s' % (path, line, rule, code_of(path, line).strip()))
    for fault in faults:
        print(fault)
    print('%d files, %d findings, %d of them deviated, %d open' % (
        len(files), len(findings), len(findings) - len(left), len(left)))
    return 1 if left or faults else 0


if __name__ == '__main__':
    sys.exit(main())
