#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What is refused before anything is started: exit status 1, what is wrong and what to do, and nothing left."""

import fcntl
import os
import pathlib
import resource
import shutil
import socket

import engine


class Refused(engine.Case):
    guests = ('a', 'b')

    def refuse(self, *words):
        run = self.start()
        self.assertEqual(run.end(), engine.REFUSED, run.text())
        for word in words:
            self.assertIn(word, run.text())
        self.assertNotIn(': runs', run.text())

    def image(self, name='a.img'):
        return os.path.join(self.folder, name)

    def test_image_is_missing(self):
        os.unlink(self.image())
        self.refuse('resource-missing', 'truncate -s')

    def test_image_is_a_folder(self):
        os.unlink(self.image())
        os.mkdir(self.image())
        self.addCleanup(os.rmdir, self.image())
        self.refuse('resource-kind', 'is a folder')

    def test_image_is_empty(self):
        os.truncate(self.image(), 0)
        self.refuse('resource-empty')

    def test_source_that_waits_for_no_seed(self):
        text = pathlib.Path(self.definition).read_text(encoding='utf-8')
        for source in ('/dev/urandom', '/dev/null'):
            self.write('platform.yaml', text.replace('type: entropy', 'type: entropy, source: ' + source))
            self.refuse('platform.yaml:8:36: error: %s is no source' % source, 'resource-kind', '/dev/hwrng')

    def test_image_is_in_use(self):
        with open(self.image(), 'rb+') as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self.refuse('resource-in-use', 'bulkhead status')

    def test_image_twice(self):
        """By another name: the definition alone does not show it."""
        os.unlink(self.image('b.img'))
        os.link(self.image('a.img'), self.image('b.img'))
        self.refuse('resource-twice', 'a/root and b/root')

    def test_everything_is_said_at_once(self):
        os.truncate(self.image(), 0)
        os.unlink(self.image('b.img'))
        self.refuse('resource-empty', 'resource-missing', '2 errors')

    def test_kernel_is_missing(self):
        os.unlink(self.image('Image'))
        self.refuse('Image')

    def test_engine_is_missing(self):
        os.unlink(self.engine)
        self.refuse('fake_qemu', 'install QEMU')

    def test_engine_is_none(self):
        self.write('fake_qemu', '#!/bin/sh\necho I am a teapot\n')
        os.chmod(self.engine, 0o755)
        self.refuse('I am a teapot')

    def test_runtime_folder(self):
        blocker = os.path.join(self.folder, 'blocker')
        self.write('blocker', '')
        self.environment['XDG_RUNTIME_DIR'] = blocker
        self.refuse('runtime-folder', 'XDG_RUNTIME_DIR')

    def test_long_runtime_folder(self):
        self.environment['XDG_RUNTIME_DIR'] = '/' + 300 * 'x'
        self.refuse('runtime-folder', 'too long')

    def test_back_end_is_no_program(self):
        folder = os.path.join(self.folder, 'programs')
        os.mkdir(folder)
        programs = pathlib.Path(engine.BULKHEAD).parent
        shutil.copy(engine.BULKHEAD, folder)
        for name in ('bulkhead-blk', 'bulkhead-rng', 'bulkhead-console'):
            shutil.copy(programs.parent / 'daemons' / name, folder)
        shutil.copy(programs.parent / 'gate' / 'bulkhead-gate', folder)
        with open(os.path.join(folder, 'bulkhead-rng'), 'w', encoding='utf-8') as file:
            file.write('no program')
        self.program = os.path.join(folder, 'bulkhead')
        self.refuse('backend-start', 'install all')

    def test_files_may_not_grow(self):
        """A window is a file for that limit."""
        limit = (1 << 20, 1 << 20)
        run = self.start(preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, limit))
        self.assertEqual(run.end(), engine.REFUSED, run.text())
        self.assertIn('ulimit -f', run.text())

    def test_few_descriptors(self):
        """Whatever is the first that has no room: it is said, and nothing is left."""
        for most in (8, 16, 24, 32, 40, 48, 64):
            run = self.start(preexec_fn=lambda most=most: engine.limit_descriptors(most))
            status = run.end() if run.process.poll() is not None else self.ended(run)
            self.assertIn(status, (engine.REFUSED, engine.ENGINE, engine.BACKEND, engine.INTERNAL, engine.OK),
                          run.text())
            self.assertNotEqual(run.text(), '')
            self.wait_until(self.gone, 'processes are left')

    def ended(self, run):
        """A run that had enough is stopped."""
        self.wait_until(lambda: run.process.poll() is not None or all(
            '| %s: runs' % guest in run.text() or '| error: %s:' % guest in run.text() for guest in self.guests), 'end', run)
        return run.stop() if any('| %s: runs' % guest in run.text() for guest in self.guests) else run.end()


if __name__ == '__main__':
    engine.main()
