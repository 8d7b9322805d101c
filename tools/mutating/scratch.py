# SPDX-License-Identifier: BSD-2-Clause
"""A copy of the tree in which one mutant after the other is built and tested. It never writes to the checkout."""

import json
import os
import shutil
import signal
import subprocess
import time

# Fast to build, and loud about what a broken check lets through.
OPTIONS = ['-Doptimization=0', '-Ddebug=false', '-Dwerror=false', '-Dwarning_level=0',
           '-Db_sanitize=address,undefined']
ENVIRONMENT = {'ASAN_OPTIONS': 'detect_leaks=0:abort_on_error=0', 'UBSAN_OPTIONS': 'halt_on_error=1',
               'CMOCKA_MESSAGE_OUTPUT': 'TAP'}


class Broken(Exception):
    """The unchanged tree does not build or pass: nothing can be said about mutants."""


class Program:
    """A unit test program: how long it takes unchanged, and how many mutants of which file it has noticed."""

    def __init__(self, name, path, inputs):
        self.name = name
        self.path = path
        self.inputs = inputs
        self.seconds = 0.0
        self.kills = {}


class Tree:
    def __init__(self, root, where, suite, paths):
        self.root = root
        self.where = where
        self.build = os.path.join(where, 'build')
        self.suite = suite
        self.paths = paths
        self.programs = []
        self.dirty = None

    # ------------------------------------------------------------------------------------------------ preparation

    def copy(self):
        """Copies what belongs to the project: what git tracks or would track."""
        listed = subprocess.run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
                                cwd=self.root, check=True, stdout=subprocess.PIPE).stdout
        for name in sorted(set(filter(None, listed.decode().split('\0')))):
            source, target = os.path.join(self.root, name), os.path.join(self.where, name)
            if os.path.isfile(source):
                os.makedirs(os.path.dirname(target), exist_ok=True)
                shutil.copy2(source, target)

    def run(self, command):
        done = subprocess.run(command, cwd=self.where, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, env=dict(os.environ, CC='gcc'))
        return done.returncode, done.stdout.decode(errors='replace')

    def must(self, command):
        code, output = self.run(command)
        if code:
            raise Broken('%s:\n%s' % (' '.join(command), output[-4000:]))
        return output

    def prepare(self):
        """Copies, configures, builds the programs that depend on the files in question, and runs them once."""
        self.copy()
        self.must(['meson', 'setup', self.build, self.where, *OPTIONS])
        tests = json.loads(self.must(['meson', 'introspect', '--tests', self.build]))
        for test in tests:
            suites = {suite.split(':')[-1] for suite in test['suite']}
            # A program with arguments replays files that are made elsewhere, and one that depends on other programs starts
            # them: the others have to notice.
            if (self.suite in suites and len(test['cmd']) == 1 and len(test['depends']) < 2
                    and test['cmd'][0].startswith(self.build + os.sep)):
                self.add_program(test['name'], test['cmd'][0])
        if not self.programs:
            raise Broken('no program of the suite %s depends on %s' % (self.suite, ' '.join(self.paths)))
        code, output = self.make(self.programs)
        if code:
            raise Broken(output[-4000:])
        for program in self.programs:
            start = time.monotonic()
            wrong = self.notices(program, 120)
            if wrong:
                raise Broken('%s fails without any change: %s' % (program.name, wrong))
            program.seconds = time.monotonic() - start

    def add_program(self, name, path):
        """Takes a program if it is made of one of the files; a header may be part of any."""
        output = self.must(['ninja', '-C', self.build, '-t', 'inputs', os.path.relpath(path, self.build)])
        inputs = {os.path.normpath(os.path.join(self.build, line.strip())) for line in output.splitlines()}
        folders = {os.path.dirname(found) for found in inputs}
        for wanted in self.paths:
            full = os.path.join(self.where, wanted)
            if full in inputs or (wanted.endswith('.h') and (
                    os.path.dirname(full) in folders or wanted.startswith('include/'))):
                self.programs.append(Program(name, path, inputs))
                return

    # -------------------------------------------------------------------------------------------------- judging

    def affected(self, path):
        """The programs that can notice: those that noticed the most in this file first, then the fastest."""
        full = os.path.join(self.where, path)
        chosen = [program for program in self.programs if path.endswith('.h') or full in program.inputs]
        return sorted(chosen, key=lambda program: (-program.kills.get(path, 0), program.seconds))

    def write(self, path, text):
        with open(os.path.join(self.where, path), 'w', encoding='utf-8') as file:
            file.write(text)

    def judge(self, mutant):
        """Returns (`killed`, who noticed), (`survived`, '') or (`not built`, '')."""
        if self.dirty is not None and self.dirty.path != mutant.path:
            self.write(self.dirty.path, self.dirty.text)
        self.dirty = mutant
        self.write(mutant.path, mutant.changed())
        programs = self.affected(mutant.path)
        # Linking takes longer than running, and mostly the first program notices: one, then two more, then four.
        some = 1
        while programs:
            code, _ = self.make(programs[:some])
            if code:
                return 'not built', ''
            for program in programs[:some]:
                by = self.notices(program, 3 + 5 * program.seconds)
                if by:
                    program.kills[mutant.path] = program.kills.get(mutant.path, 0) + 1
                    return 'killed', '%s, %s' % (program.name, by)
            programs, some = programs[some:], 2 * some
        return 'survived', ''

    def make(self, programs):
        targets = [os.path.relpath(program.path, self.build) for program in programs]
        return self.run(['ninja', '-C', self.build, *targets])

    def notices(self, program, timeout):
        """Runs a program; returns what went wrong, or None."""
        process = subprocess.Popen([program.path], cwd=self.build, env=dict(os.environ, **ENVIRONMENT),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True)
        try:
            output, _ = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            return 'no end'
        failing = [line for line in output.decode(errors='replace').splitlines() if line.startswith('not ok')]
        if process.returncode < 0:
            return signal.Signals(-process.returncode).name
        if process.returncode or failing:
            return failing[0] if failing else 'exit status %d' % process.returncode
        return None
