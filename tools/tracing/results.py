# SPDX-License-Identifier: BSD-2-Clause
"""Reads the TAP logs of the last run and finds in them the result of each test that marks.py knows."""

import dataclasses
import datetime
import pathlib
import re

from run_tests import parse_tap
from tracing.chapters import Finding
from tracing.marks import ids_of, without_marks


@dataclasses.dataclass
class Result:
    log: str
    name: str     # without marks
    ids: list     # the marks in the name
    outcome: str  # pass, fail, skip
    when: str     # the log's date, UTC


OUTCOMES = {'ok': 'pass', 'not ok': 'fail', 'skip': 'skip'}


def read_log(path, shown):
    """Returns (results, faults) of one TAP log."""
    when = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.timezone.utc)
    cases, faults = parse_tap(path.read_text(encoding='utf-8', errors='replace').replace('\r', ''))
    results = []
    for case in cases:
        results.append(Result(shown, without_marks(case.name), ids_of(case.name), OUTCOMES[case.result],
                              when.strftime('%Y-%m-%d %H:%M UTC')))
    return results, faults


class Logs:
    """All results of all logs, found by function name or by mark. A broken log is an error: its tests may be lost."""

    def __init__(self, folders):
        self.results = []
        self.findings = []
        self.count = 0
        self.by_word = {}
        for folder in folders:
            for path in sorted(pathlib.Path(folder).rglob('*.tap')):
                self.count += 1
                shown = str(path.relative_to(folder))
                results, faults = read_log(path, shown)
                self.results += results
                self.findings += [Finding('error', shown, f'the log is broken: {fault}') for fault in faults]
        for result in self.results:
            for word in set(re.findall(r'\w+', result.name)):
                self.by_word.setdefault(word, []).append(result)

    def named(self, function):
        """Results whose TAP name is `function`, or ends in `.function`, or goes on after it (a parameter)."""
        form = re.compile(r'(?:^|[.:/\s])' + re.escape(function) + r'(?=$|[\s:\[(,/.])')
        return [result for result in self.by_word.get(function, []) if form.search(result.name)]

    def matching(self, ids, pattern):
        """Results whose TAP name bears all of `ids` and fits `pattern`."""
        return [result for result in self.results
                if result.ids and set(ids) <= set(result.ids) and pattern.search(result.name)]


def belongs(log, source):
    """Whether a log is named after a source: test_blk.tap, blk.asan.tap and unit-test_blk.tap are test_blk.c's."""
    stem = pathlib.PurePosixPath(source).stem
    folder = pathlib.PurePosixPath(source).parent.name
    short = stem.removeprefix('test_')
    keys = {stem, short, f'{folder}_{stem}', f'{folder}_{short}'}
    parts = pathlib.PurePosixPath(log).name.removesuffix('.tap').replace('-', '_').split('.')
    return bool(keys & set(parts))


def find_results(tests, logs):
    """Returns ({index of test: results}, findings)."""
    found, findings, claimed = {}, [], set()
    twins = {}
    for test in tests:
        if test.function:
            twins.setdefault(test.function, []).append(test)
    for index, test in enumerate(tests):
        hits = logs.named(test.function) if test.function else []
        own = [result for result in hits if belongs(result.log, test.path)]
        if own:
            hits = own
        elif hits and len(twins[test.function]) > 1:
            findings.append(Finding('error', f'{test.path}:{test.line}',
                                    f'{test.function} stands in several sources and no log is named after this one: '
                                    'rename the function, or name the meson test after the source file'))
            hits = []
        for ids, pattern in test.patterns:
            marked = logs.matching(ids, pattern)
            hits += [result for result in marked if result not in hits]
        claimed.update(id(result) for result in hits)
        found[index] = hits
    for result in logs.results:
        if result.ids and id(result) not in claimed:
            findings.append(Finding('warning', result.log, f'"{result.name}" names {", ".join(result.ids)}, '
                                                           'but no test in tests/ does: an old log?'))
    return found, findings
