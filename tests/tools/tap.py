# SPDX-License-Identifier: BSD-2-Clause
"""Lets a unittest module print TAP, so that tools/run_tests.py counts its cases.

Not a test itself. A module ends with `tap.main()`.
"""

import sys
import unittest


class TapResult(unittest.TestResult):
    """Prints one TAP line for each test method, with the traceback as comment lines."""

    def __init__(self):
        super().__init__()
        self.count = 0
        self.failed = None  # the last test that did

    def line(self, mark, test, text=''):
        # A test that fails may fail once more when it cleans up: that is still one test.
        if test is not self.failed:
            self.count += 1
            print('%s %d - %s' % (mark, self.count, test.id().split('.', 1)[-1]))
        if mark == 'not ok':
            self.failed = test
        for row in text.rstrip().splitlines():
            print('# ' + row)
        sys.stdout.flush()

    def addSuccess(self, test):
        self.line('ok', test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line('not ok', test, self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.line('not ok', test, self.errors[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.count += 1
        print('ok %d - %s # SKIP %s' % (self.count, test.id().split('.', 1)[-1], reason))


def main():
    suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules['__main__'])
    print('1..%d' % suite.countTestCases())
    result = TapResult()
    suite.run(result)
    sys.exit(0 if result.wasSuccessful() else 1)
