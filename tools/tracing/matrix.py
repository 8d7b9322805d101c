# SPDX-License-Identifier: BSD-2-Clause
"""Joins requirements, tests and results into the matrix, and judges it.

Verdicts of a requirement: `passed` (a test passed, none failed), `failed`, `skipped` (only skips), `not run` (tests, no
result), `inspection`, `untested`. What fails the run is told in spec/README.md.
"""

import dataclasses

from tracing.chapters import Finding

VERDICTS = ('passed', 'failed', 'skipped', 'not run', 'inspection', 'untested')


@dataclasses.dataclass
class Row:
    requirement: object
    chapter: object
    tests: list  # (Test, outcome, results)
    verdict: str


def outcome_of(results):
    outcomes = {result.outcome for result in results}
    for outcome in ('fail', 'pass', 'skip'):
        if outcome in outcomes:
            return outcome
    return 'none'


def verdict_of(requirement, tests):
    outcomes = {outcome for _, outcome, _ in tests}
    if 'fail' in outcomes:
        return 'failed'
    if 'pass' in outcomes:
        return 'passed'
    if tests:
        return 'skipped' if 'skip' in outcomes else 'not run'
    return 'inspection' if requirement.inspection else 'untested'


class Matrix:
    def __init__(self, chapters, tests, found, have_results):
        self.chapters = chapters
        self.findings = []
        self.have_results = have_results
        self.rows = []
        by_id = {}
        for index, test in enumerate(tests):
            results = found.get(index, [])
            for name in test.ids:
                by_id.setdefault(name, []).append((test, outcome_of(results), results))
        for chapter in chapters:
            for requirement in chapter.requirements:
                rows = by_id.get(requirement.id, [])
                self.rows.append(Row(requirement, chapter, rows, verdict_of(requirement, rows)))
        self.judge_tests(tests)
        for row in self.rows:
            self.judge_row(row)

    def say(self, level, where, text):
        self.findings.append(Finding(level, where, text))

    def judge_tests(self, tests):
        known = {row.requirement.id for row in self.rows}
        retired = {name for chapter in self.chapters for name in chapter.retired}
        for test in tests:
            for name in test.ids:
                if name in retired:
                    self.say('error', f'{test.path}:{test.line}', f'{test.label} names {name}, which is retired')
                elif name not in known:
                    self.say('error', f'{test.path}:{test.line}', f'{test.label} names {name}, which no chapter has')

    def judge_row(self, row):
        requirement, planned = row.requirement, row.chapter.status == 'planned'
        for test, outcome, results in row.tests:
            if outcome == 'fail':
                logs = ', '.join(sorted({result.log for result in results if result.outcome == 'fail'}))
                self.say('error', f'{test.path}:{test.line}', f'{requirement.id}: {test.label} failed ({logs})')
        if row.verdict == 'untested' and not planned:
            if requirement.level == 'MUST':
                self.say('error', requirement.where,
                         f'{requirement.id} is a MUST without a test; expected in tests/{"|".join(requirement.folders)}')
            else:
                self.say('warning', requirement.where, f'{requirement.id} is a SHOULD without a test')
        if row.tests and requirement.inspection:
            self.say('warning', requirement.where, f'{requirement.id} has a test now: "by inspection" can go')
        if row.tests and not planned:
            self.judge_folders(row)
        if self.have_results and row.verdict == 'not run' and requirement.level == 'MUST' and not planned:
            self.say('error', requirement.where, f'{requirement.id} is a MUST whose tests have no result: is '
                                                 f'{row.tests[0][0].path} built and run?')
        elif self.have_results and row.verdict in ('not run', 'skipped'):
            self.say('warning', requirement.where, f'{requirement.id}: the last result of its tests is "{row.verdict}"')

    def judge_folders(self, row):
        have = {test.folder for test, _, _ in row.tests}
        for folder in row.requirement.folders:
            if folder not in have:
                self.say('warning', row.requirement.where,
                         f'{row.requirement.id} wants a test in tests/{folder} too; there is none')

    def counts(self, chapter=None):
        """{verdict: number}, of one chapter or of all."""
        counted = dict.fromkeys(VERDICTS, 0)
        for row in self.rows:
            if chapter is None or row.chapter is chapter:
                counted[row.verdict] += 1
        return counted

    def as_json(self, findings):
        return {
            'bulkhead_trace': 1,
            'results': self.have_results,
            'chapters': [{'file': chapter.path, 'title': chapter.title, 'prefix': chapter.prefix,
                          'status': chapter.status, 'retired': sorted(chapter.retired),
                          'counts': self.counts(chapter)} for chapter in self.chapters],
            'requirements': [self.row_json(row) for row in self.rows],
            'findings': [dataclasses.asdict(finding) for finding in findings],
        }

    @staticmethod
    def row_json(row):
        requirement = row.requirement
        return {
            'id': requirement.id, 'title': requirement.title, 'sentence': requirement.sentence,
            'level': requirement.level, 'for': requirement.party, 'virtio': requirement.clauses,
            'where': requirement.where, 'status': row.chapter.status, 'verdict': row.verdict,
            'inspection': requirement.inspection, 'test_folders': requirement.folders,
            'tests': [{'file': test.path, 'line': test.line, 'name': test.label, 'last': outcome,
                       'results': [{'log': result.log, 'name': result.name, 'outcome': result.outcome,
                                    'when': result.when} for result in results]}
                      for test, outcome, results in row.tests],
        }
