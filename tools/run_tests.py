#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Runs the test programs of a meson build directory and sums their test cases.

Every test program prints TAP (cmocka does with CMOCKA_MESSAGE_OUTPUT=TAP). A case is what counts, not a
program; a program that crashes, hangs, prints no plan, breaks its plan or exits non-zero without a failing
case is one failed case more. A skipped case fails too, unless tools/skips.allow gives a reason for it.

It does not build anything, and it is not a general TAP harness: it knows what cmocka 1.1.5 prints
(several plans in a row, `not ok 3 # SKIP name`) and what the project's own scripts print.

The last line is `N passed, N failed`; the exit status is 0 only when nothing failed and something ran.
"""

import argparse
import concurrent.futures
import fnmatch
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

PLAN = re.compile(r'^1\.\.(\d+)\s*(?:#\s*(.*))?$')
CASE = re.compile(r'^(not ok|ok)\b\s*(\d+)?\s*(?:-\s*)?(.*)$')
SKIP = re.compile(r'(?:^|\s)#\s*skip\S*\s*(.*)$', re.IGNORECASE)


class Case:
    """One line of TAP: its name, `ok`, `not ok` or `skip`, and the comment lines that follow it."""

    def __init__(self, name, result, detail=None):
        self.name = name
        self.result = result
        self.detail = detail if detail is not None else []


class Group:
    """One plan and the cases that belong to it; a program may print several, one after the other."""

    def __init__(self):
        self.plan = None
        self.closed = False
        self.numbers = []


def read_case(match):
    """Returns the case and its number; a skip's name stands before the mark, in cmocka's output after it."""
    name = match.group(3).strip()
    result = 'ok' if match.group(1) == 'ok' else 'not ok'
    skip = SKIP.search(name)
    if skip:
        before = name[:skip.start()].strip()
        reason = skip.group(1).strip()
        return Case(before or reason, 'skip', [reason] if before and reason else []), match.group(2)
    return Case(name, result), match.group(2)


def parse_tap(text):
    """Returns (cases, faults): faults are breaches of TAP itself, each counted as a failure."""
    cases, faults, groups = [], [], [Group()]
    for line in text.splitlines():
        plan = PLAN.match(line)
        case = CASE.match(line)
        if plan:
            if groups[-1].plan is not None:
                groups.append(Group())
            groups[-1].plan = int(plan.group(1))
            groups[-1].closed = bool(groups[-1].numbers)
            if groups[-1].plan == 0:
                cases.append(Case('(whole program)', 'skip', [plan.group(2) or 'no reason given']))
        elif case:
            if groups[-1].closed:
                groups.append(Group())
            found, number = read_case(case)
            groups[-1].numbers.append(int(number) if number else len(groups[-1].numbers) + 1)
            cases.append(found)
        elif line.startswith('Bail out!'):
            faults.append(line.strip())
        elif line.startswith('#') and cases:
            cases[-1].detail.append(line[1:].strip())
    for group in groups:
        if group.plan is None:
            faults.append('no plan' if len(groups) == 1 else 'cases without a plan')
        elif group.numbers != list(range(1, group.plan + 1)):
            faults.append('plan mismatch: 1..%d, but %d cases%s' % (
                group.plan, len(group.numbers),
                '' if len(group.numbers) != group.plan else ' with other numbers'))
    return cases, faults


def read_skips(path):
    """Reads lines `program: case: reason`; program and case are shell patterns."""
    allowed = []
    if not os.path.exists(path):
        return allowed
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            line = line.strip()
            if not line or line.startswith('#'):
                continue
            parts = [part.strip() for part in line.split(':', 2)]
            if len(parts) != 3 or not all(parts):
                sys.exit('%s:%d: write `program: case: reason`' % (path, number))
            allowed.append(tuple(parts))
    return allowed


class Outcome:
    """What one program did: counts, the cases to show, and how long it took."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failures = []
        self.skips = []
        self.seconds = 0.0

    def judge(self, cases, faults, allowed):
        """Counts the cases; a skip counts nowhere when it is allowed, as a failure when it is not."""
        for case in cases:
            if case.result == 'ok':
                self.passed += 1
            elif case.result == 'not ok':
                self.failures.append(case)
            else:
                self.judge_skip(case, allowed)
        self.failures.extend(Case(fault, 'not ok') for fault in faults)

    def judge_skip(self, case, allowed):
        for program, pattern, reason in allowed:
            if fnmatch.fnmatchcase(self.name, program) and fnmatch.fnmatchcase(case.name, pattern):
                self.skips.append((case.name, reason))
                return
        self.failures.append(Case('%s: skipped, and tools/skips.allow does not list it' % case.name,
                                  'not ok', case.detail))


def safe_name(name):
    return re.sub(r'[^A-Za-z0-9._-]+', '_', name)


def end_group(process):
    """Ends the program and all that it started; each test is the leader of its own process group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_program(test, timeout, tap_dir):
    """Returns (stdout, stderr, exit code or None after a timeout)."""
    tap_dir = os.path.abspath(tap_dir)
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT='TAP')
    env.update(test.get('env') or {})
    log = os.path.join(tap_dir, safe_name(test['name']))
    with open(log + '.tap', 'wb') as out, open(log + '.err', 'wb') as err:
        try:
            process = subprocess.Popen(test['cmd'], env=env, cwd=test.get('workdir') or None, stdout=out,
                                       stderr=err, stdin=subprocess.DEVNULL, start_new_session=True)
        except OSError as error:
            return '', '%s\n' % error, 127
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            code = None
        end_group(process)
        process.wait()
    texts = []
    for suffix in ('.tap', '.err'):
        with open(log + suffix, encoding='utf-8', errors='replace') as file:
            texts.append(file.read())
    if not texts[1]:
        os.unlink(log + '.err')
    return texts[0], texts[1], code


def run_test(test, options, allowed):
    outcome = Outcome(test['name'])
    start = time.monotonic()
    timeout = (test.get('timeout') or 30) * options.timeout_multiplier
    stdout, stderr, code = run_program(test, timeout, options.tap)
    outcome.seconds = time.monotonic() - start
    cases, faults = parse_tap(stdout)
    if code is None:
        faults.insert(0, 'no end after %g s' % timeout)
    elif code < 0:
        faults.insert(0, 'crashed: %s' % signal.Signals(-code).name)
    elif code > 0 and not faults and all(case.result != 'not ok' for case in cases):
        faults.append('exit status %d, but no case failed' % code)
    outcome.judge(cases, faults, allowed)
    if outcome.failures and stderr:
        outcome.failures[-1].detail.extend(['stderr: ' + line for line in stderr.splitlines()[-40:]])
    return outcome


def report(outcome, lock, quiet):
    with lock:
        mark = 'FAIL' if outcome.failures else 'ok'
        if not quiet or outcome.failures:
            print('%-4s %s: %d passed, %d failed%s (%.1f s)' % (
                mark, outcome.name, outcome.passed, len(outcome.failures),
                ', %d skipped' % len(outcome.skips) if outcome.skips else '', outcome.seconds))
        for case in outcome.failures:
            print('     not ok: %s' % case.name)
            for line in case.detail:
                print('       %s' % line)
        for name, reason in outcome.skips:
            print('     skipped: %s: %s' % (name, reason))
        sys.stdout.flush()


def load_tests(build):
    try:
        text = subprocess.run(['meson', 'introspect', '--tests', build], check=True,
                              stdout=subprocess.PIPE).stdout
        tests = json.loads(text)
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        sys.exit('cannot list the tests of %s: %s' % (build, error))
    for test in tests:
        # As `meson test` has it: names of built programs among the arguments are relative to the build directory.
        test['workdir'] = test.get('workdir') or os.path.abspath(build)
    return tests


def in_suite(test, wanted):
    """Meson writes a suite as `project:suite`; a user writes the part after the colon."""
    names = {name.split(':')[-1] for name in test.get('suite', [])}
    return bool(names & set(wanted))


def select(tests, options):
    chosen = []
    for test in tests:
        if options.suite and not in_suite(test, options.suite):
            continue
        if options.no_suite and in_suite(test, options.no_suite):
            continue
        if options.names and not any(fnmatch.fnmatchcase(test['name'], name) for name in options.names):
            continue
        chosen.append(test)
    return chosen


def run_all(tests, options, allowed):
    """Runs what may run at once in parallel, then the rest one by one."""
    lock = threading.Lock()

    def one(test):
        outcome = run_test(test, options, allowed)
        report(outcome, lock, options.quiet)
        return outcome

    together = [test for test in tests if test.get('is_parallel', True)]
    alone = [test for test in tests if not test.get('is_parallel', True)]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        outcomes = list(pool.map(one, together))
    return outcomes + [one(test) for test in alone]


def arguments(argv):
    parser = argparse.ArgumentParser(
        description=__doc__.split('\n', maxsplit=1)[0],
        epilog='%(prog)s --program NAME --tap DIR [--timeout S] -- COMMAND... judges one program that meson does not know.')
    parser.add_argument('build', nargs='?', help='a configured and built meson directory')
    parser.add_argument('names', nargs='*', help='only tests whose name matches one of these patterns')
    parser.add_argument('--suite', action='append', default=[], help='only tests of this suite')
    parser.add_argument('--no-suite', action='append', default=[], help='no tests of this suite')
    parser.add_argument('--list', action='store_true', help='print the names and end')
    parser.add_argument('--tap', metavar='DIR', help='where the TAP logs go (BUILD/tap)')
    parser.add_argument('--skips', metavar='FILE', default=os.path.join(ROOT, 'tools', 'skips.allow'))
    parser.add_argument('-j', '--jobs', type=int, default=2)
    parser.add_argument('-q', '--quiet', action='store_true', help='only programs that fail')
    parser.add_argument('--timeout-multiplier', type=float, default=1.0)
    parser.add_argument('--program', metavar='NAME', help='run the command under this name, instead of a build')
    parser.add_argument('--timeout', type=float, default=600, help='seconds for --program')
    command = []
    if '--' in argv:
        command = argv[argv.index('--') + 1:]
        argv = argv[:argv.index('--')]
    options = parser.parse_intermixed_args(argv)
    options.command = command
    if bool(options.program) == bool(options.build) or bool(options.program) != bool(command):
        parser.error('name a build directory, or --program NAME and -- COMMAND')
    if options.program and not options.tap:
        parser.error('--program needs --tap')
    options.tap = options.tap or os.path.join(options.build, 'tap')
    return options


def tests_of(options):
    """The meson tests that the user chose, or the one program of the command line."""
    if options.program:
        return [{'name': options.program, 'cmd': options.command, 'timeout': options.timeout}]
    return select(load_tests(options.build), options)


def main():
    options = arguments(sys.argv[1:])
    tests = tests_of(options)
    if options.list:
        for test in tests:
            print(test['name'])
        return 0
    os.makedirs(options.tap, exist_ok=True)
    skips = read_skips(options.skips)
    if os.geteuid() != 0:
        # Some things only root can set up; a run as root has no such excuse.
        skips += read_skips(options.skips.replace('.allow', '.not-root.allow'))
    outcomes = run_all(tests, options, skips)
    passed = sum(outcome.passed for outcome in outcomes)
    failed = sum(len(outcome.failures) for outcome in outcomes)
    if not outcomes:
        print('no test matches')
        failed = 1
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
