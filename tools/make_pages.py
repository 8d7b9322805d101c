#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The pages of the checks (docs/checks/NAME.md) as C, which the build puts into the program, and their index.

    make_pages.py FOLDER OUTPUT DEPFILE     C for the build: a table of names and texts
    make_pages.py --index FOLDER            FOLDER/README.md again

A page begins with "# NAME: what the check holds to". tests/platform/test_pages.py holds the pages to the table of checks.
"""

import pathlib
import re
import sys

TITLE = re.compile(r'^# ([a-z][a-z-]*): (.+)$')
INDEX = '''# The checks of a definition

Each finding of `bulkhead check` names the check that made it. `bulkhead check --explain NAME` shows its page; `--list` shows
all of them in the order in which they are made, with what `-W` may do to them.

This list is made by `tools/make_pages.py --index docs/checks`.

| check | holds that |
|---|---|
'''


def fail(text):
    sys.exit(f'make_pages.py: {text}')


def pages(folder):
    """(path, name, reason, text) of each page, by name."""
    found = []
    for path in sorted(folder.glob('*.md')):
        if path.name == 'README.md':
            continue
        text = path.read_text(encoding='ascii')
        title = TITLE.match(text.split('\n', 1)[0])
        if title is None or title[1] != path.stem:
            fail(f'{path} does not begin with "# {path.stem}: ..."')
        found.append((path, title[1], title[2], text))
    return found


def index(folder):
    return INDEX + ''.join(f'| [{name}]({name}.md) | {reason} |\n' for _, name, reason, _ in pages(folder))


def as_c(folder):
    """Arrays of numbers: compilers need not take string literals of this length."""
    lines = ['/* Made by tools/make_pages.py. */', '#include "platform/check/pages.h"', '']
    found = pages(folder)
    for number, (_, _, _, text) in enumerate(found):
        lines.append(f'static const char page_{number}[] = {{{",".join(str(byte) for byte in text.encode())},0}};')
    lines += ['', 'const struct bh_page bh_pages[] = {']
    lines += [f'    {{"{name}", page_{number}}},' for number, (_, name, _, _) in enumerate(found)]
    lines += ['};', 'const size_t bh_page_count = sizeof(bh_pages) / sizeof(bh_pages[0]);', '']
    return '\n'.join(lines)


def main():
    if len(sys.argv) == 3 and sys.argv[1] == '--index':
        folder = pathlib.Path(sys.argv[2])
        (folder / 'README.md').write_text(index(folder), encoding='ascii')
    elif len(sys.argv) == 4:
        folder, output, depfile = map(pathlib.Path, sys.argv[1:])
        output.write_text(as_c(folder), encoding='ascii')
        # The folder itself is one: a page that is added or removed changes it.
        depends = ' '.join(str(path) for path in [folder, *(path for path, *_ in pages(folder))])
        depfile.write_text(f'{output}: {depends}\n', encoding='ascii')
    else:
        sys.exit(__doc__)


if __name__ == '__main__':
    main()
