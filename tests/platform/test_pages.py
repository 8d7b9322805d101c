#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The pages of the checks (docs/checks): there is one for each check, its first line is what the table says, its examples do
what they claim, and the index is current.

In a page, ```yaml file NAME is a file beside the example, ```yaml fail a definition in which exactly this check finds
something, ```yaml pass one in which it finds nothing, and nothing else is wrong. ```text stands for what needs files or
a host.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PAGES = ROOT / 'docs' / 'checks'
sys.path.insert(0, str(HERE.parent / 'tools'))
sys.path.insert(0, str(ROOT / 'tools'))

import make_pages  # noqa: E402
import tap  # noqa: E402

DUMP = os.path.abspath(os.environ['DEFINITION_DUMP'])
BLOCK = re.compile(r'^```(yaml (?:fail|pass|file \S+)|text)\n(.*?)^```$', re.MULTILINE | re.DOTALL)
FOUND = re.compile(r'(?:error|warning): .* \[([a-z-]+)\]$', re.MULTILINE)

# Found when images are opened, by the layout, by the engine and by the host: no definition alone shows it.
NO_EXAMPLE = {'file', 'boot-image', 'kernel-format', 'elf-format', 'elf-place', 'disk-image', 'device-count', 'memory-size',
              'window-size', 'memory-fit', 'memory-tight', 'elf-image', 'device-tree', 'json', 'image', 'build-folder', 'engine', 'engine-version', 'engine-kvm',
              'engine-layout', 'resource-missing', 'resource-denied', 'resource-kind', 'resource-empty', 'resource-in-use',
              'resource-twice', 'backend-missing', 'backend-start', 'host-limit', 'platform-runs', 'runtime-folder',
              'engine-cpus', 'engine-memory', 'audit-log'}


def dump(*arguments, cwd=None):
    run = subprocess.run([DUMP, *arguments], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                         check=False)
    return run.returncode, run.stdout.decode() + run.stderr.decode()


def checks():
    return dict(line.split(': ', 1) for line in dump('--checks')[1].splitlines())


def findings(example, files):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            pathlib.Path(folder, name).write_text(text)
        pathlib.Path(folder, 'platform.yaml').write_text(example)
        _, output = dump('platform.yaml', cwd=folder)
        return set(FOUND.findall(output)), output


class Pages(unittest.TestCase):
    maxDiff = None

    def test_each_check_has_a_page_and_each_page_a_check(self):
        self.assertEqual(sorted(checks()), sorted(path.stem for path in PAGES.glob('*.md') if path.name != 'README.md'))

    def test_a_page_begins_with_what_the_table_says(self):
        self.assertEqual(checks(), {name: reason for _, name, reason, _ in make_pages.pages(PAGES)})

    def test_the_index_is_current(self):
        self.assertEqual(make_pages.index(PAGES), (PAGES / 'README.md').read_text(), 'tools/make_pages.py --index docs/checks')

    def test_pages_are_built_in(self):
        for path, name, _, text in make_pages.pages(PAGES):
            code, output = dump('--page', name)
            self.assertEqual((0, text), (code, output), path)
        self.assertEqual(1, dump('--page', 'no-such-check')[0])

    def test_a_page_has_its_parts(self):
        for path, name, _, text in make_pages.pages(PAGES):
            kinds = [kind for kind, _ in BLOCK.findall(text)]
            if name in NO_EXAMPLE:
                self.assertIn('text', kinds, path)
                self.assertNotIn('yaml fail', kinds, path)
            else:
                self.assertEqual((1, 1), (kinds.count('yaml fail'), kinds.count('yaml pass')), path)
            self.assertEqual(1, text.count('**What to do:**'), path)
            self.assertLess(100, len(text.split('\n\n')[1]), path)


def add_examples(path, name, text):
    blocks = BLOCK.findall(text)
    files = {kind.split()[2]: block for kind, block in blocks if kind.startswith('yaml file')}

    def fails(self):
        for kind, block in blocks:
            if kind == 'yaml fail':
                found, output = findings(block, files)
                self.assertEqual({name}, found, output)

    def passes(self):
        for kind, block in blocks:
            if kind == 'yaml pass':
                found, output = findings(block, files)
                self.assertEqual(set(), found, output)

    if any(kind.startswith('yaml') for kind, _ in blocks):
        label = path.stem.replace('-', '_')
        setattr(Pages, f'test_{label}_fails', fails)
        setattr(Pages, f'test_{label}_passes', passes)


for page in make_pages.pages(PAGES):
    add_examples(page[0], page[1], page[3])

if __name__ == '__main__':
    tap.main()
