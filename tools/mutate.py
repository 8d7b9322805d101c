#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Breaks the checks of core/ one at a time, and demands that a unit test notices each.

A mutant is one changed operator or constant, or one condition that never holds. Each is built in a scratch copy of
the tree (never in the checkout), with ASan and UBSan, and the unit tests that link the changed file run until one
fails. A mutant that none notices has survived: it fails the run unless tools/mutate.allow explains why it means the same
as the original. It measures the tests, not the code; tools/mutating/find.py says what is changed.

The last line is `N passed, N failed`: mutants that were noticed, mutants that were not.
"""

import argparse
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mutating import allow, find, scratch  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
AT_LEAST = 30  # noticed mutants in a run over core/, or half of a sample: fewer means that the search is broken


def sources(options):
    """The files to break, relative to the root."""
    if options.only:
        return [os.path.relpath(os.path.abspath(path), ROOT) for path in options.only]
    names = []
    for folder in options.folder or ['core']:
        names += [os.path.join(folder, name) for name in sorted(os.listdir(os.path.join(ROOT, folder)))
                  if name.endswith(('.c', '.h'))]
    return names


def collect(options):
    mutants = []
    for path in sources(options):
        with open(os.path.join(ROOT, path), encoding='utf-8') as file:
            mutants += find.mutants(path, file.read())
    if options.sample and options.sample < len(mutants):
        chosen = set(random.Random(options.seed).sample(range(len(mutants)), options.sample))
        mutants = [mutant for index, mutant in enumerate(mutants) if index in chosen]
    return mutants


class Tally:
    """What became of the mutants; shared by the workers."""

    def __init__(self, reasons, total, verbose):
        self.lock = threading.Lock()
        self.reasons = reasons
        self.total = total
        self.verbose = verbose
        self.counts = {'killed': 0, 'survived': 0, 'allowed': 0, 'not built': 0}
        self.done = 0

    def add(self, mutant, verdict, by):
        with self.lock:
            self.done += 1
            if verdict == 'survived' and self.reasons.find(mutant):
                verdict = 'allowed'
                by = self.reasons.find(mutant)
            self.counts[verdict] += 1
            if verdict == 'survived' or self.verbose:
                print('[%d/%d] %-9s %s%s' % (self.done, self.total, verdict, mutant.title(), ': ' + by if by else ''))
                print(mutant.diff())
                if verdict == 'survived':
                    print('  to allow it, if it means the same: ' + self.reasons.entry(mutant))
            sys.stdout.flush()


def work(tree, jobs, tally, faults):
    """One worker: its own copy of the tree, its own build."""
    try:
        tree.prepare()
        while True:
            try:
                mutant = jobs.get_nowait()
            except queue.Empty:
                return
            verdict, by = tree.judge(mutant)
            tally.add(mutant, verdict, by)
    except (scratch.Broken, OSError) as error:
        faults.append(str(error))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--list', action='store_true', help='print the mutants and end')
    parser.add_argument('--only', metavar='FILE', action='append', help='break only this file')
    parser.add_argument('--folder', metavar='DIR', action='append', help='break this folder instead of core')
    parser.add_argument('--sample', type=int, metavar='N', help='only N of them, chosen at random')
    parser.add_argument('--seed', type=int, default=1, help='for --sample')
    parser.add_argument('--suite', default='unit', help='the test suite that has to notice')
    parser.add_argument('-j', '--jobs', type=int, default=2)
    parser.add_argument('-v', '--verbose', action='store_true', help='show the noticed ones too')
    return parser.parse_args()


def main():
    options = arguments()
    mutants = collect(options)
    if options.list:
        for mutant in mutants:
            print(mutant.title())
            print(mutant.diff())
        print('%d mutants' % len(mutants))
        return 0
    reasons = allow.Reasons(os.path.join(ROOT, 'tools', 'mutate.allow'))
    tally = Tally(reasons, len(mutants), options.verbose)
    jobs = queue.Queue()
    for mutant in mutants:
        jobs.put(mutant)
    faults = []
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='mutate-') as where:
        trees = [scratch.Tree(ROOT, os.path.join(where, str(number)), options.suite,
                              sorted({mutant.path for mutant in mutants}))
                 for number in range(options.jobs)]
        workers = [threading.Thread(target=work, args=(tree, jobs, tally, faults)) for tree in trees]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    counts = tally.counts
    failed = counts['survived'] + len(faults) + (tally.done != len(mutants))
    for fault in faults:
        print('cannot judge: ' + fault)
    least = min(AT_LEAST, len(mutants) // 2)
    if not options.only and not options.folder and counts['killed'] < least:
        print('only %d mutants were noticed, at least %d are expected' % (counts['killed'], least))
        failed += 1
    if not options.sample and not options.only and not options.folder:
        for entry in reasons.unused():
            print('tools/mutate.allow:%d: no mutant survives by this entry any more: remove it' % entry)
            failed += 1
    print('%d mutants in %.0f s: %s' % (len(mutants), time.monotonic() - start,
                                        ', '.join('%d %s' % (count, name) for name, count in counts.items())))
    print('%d passed, %d failed' % (counts['killed'], failed))
    return 1 if failed else 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        sys.exit(str(error))
