#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Holds every #include of the tree to the arrows of docs/architecture.md.

It reads text, not the preprocessor's output: an #include counts even where an #if switches it off. What a folder
may *call* is another matter: tools/check_freestanding.sh links the freestanding folders by themselves.

Prints `file:line: why` for each breach, then `N passed, N failed` (a case is a file). Exit status 1 on any breach.
"""

import argparse
import os
import re
import sys

# Each folder that holds C code, and the folders whose headers it may include besides its own. A folder's private
# headers (those beside its .c files) belong to the folder; `private` names the folders that may be reached into.
# Where one path begins with another, the longer one counts.
ALL = {'core', 'driver', 'devices', 'guest', 'ports/mmio', 'ports/vhost_user', 'ports/xen', 'host', 'daemons',
       'gate', 'platform', 'engine', 'cli'}
FOLDERS = {
    # folder:          (freestanding, public headers of, private headers of)
    'core':             (True, {'core'}, set()),
    'driver':           (True, {'driver'}, set()),
    'devices':          (True, {'core', 'devices'}, set()),
    'guest':            (True, {'driver', 'guest'}, set()),
    'examples':         (True, {'driver', 'guest'}, set()),
    'ports/mmio':       (True, {'core', 'ports/mmio'}, set()),
    'ports/xen':        (False, {'core', 'ports/mmio', 'ports/xen'}, set()),
    'ports/vhost_user': (False, {'core', 'ports/vhost_user'}, set()),
    # host/ implements what models and drivers ask for (a disk, a channel): it sees their contracts, never a port.
    'host':             (False, {'core', 'devices', 'driver', 'host'}, set()),
    'daemons':          (False, {'core', 'devices', 'ports/mmio', 'ports/vhost_user', 'ports/xen', 'host'}, set()),
    'gate':             (False, {'core', 'driver', 'ports/mmio', 'ports/vhost_user', 'ports/xen', 'host', 'gate'},
                         set()),
    'platform':         (False, {'platform'}, set()),
    # engine/ is the parent of gates: it sees what gate/ shows to parents.
    'engine':           (False, {'platform', 'host', 'gate', 'engine'}, set()),
    'cli':              (False, ALL, set()),
    'tests':            (False, ALL, ALL | {'tests'}),
    'bench':            (False, ALL, ALL | {'tests'}),
    'include/bulkhead': (False, ALL, set()),
}

# Headers that `bulkhead build` makes for a guest's program before it is compiled.
MADE = {('guest/hello/hello.c', 'hello.h'), ('examples/gateway/monitor.c', 'monitor.h')}

# Who a public header in include/bulkhead/ belongs to. `shared`: everyone may include it. What is not here: virtio_*.h
# are wire formats and shared, FOLDER_*.h belong to driver/, host/, platform/, gate/ or engine/, and NAME.h belongs to devices/
# if devices/NAME.c exists. So a new device needs no line in this table.
OWNERS = {
    'bytes.h': 'shared',
    'error.h': 'shared',
    'virtio.h': 'shared',
    'vhost_user.h': 'shared',
    'vhost_user_keep.h': 'shared',
    'gate.h': 'gate',
    'poller.h': 'shared',
    'operations.h': 'shared',
    'memory.h': 'core',
    'queue.h': 'core',
    'device.h': 'core',
    'filter.h': 'core',
    'transport.h': 'driver',
    'vhost_user_frontend.h': 'driver',
    'mmio.h': 'ports/mmio',
    'vhost_user_backend.h': 'ports/vhost_user',
}

# Public headers that use Linux, barred from freestanding folders and from the freestanding headers; so are those of
# these folders, which begin with the folder's name.
LINUX_FOLDERS = ('host', 'platform', 'engine', 'gate')
LINUX_ONLY = {'poller.h', 'vhost_user_backend.h', 'gate.h'}

# All of the C library that a freestanding folder may see: the compiler brings these itself.
FREESTANDING_SYSTEM = {'stdint.h', 'stddef.h', 'stdbool.h', 'stdalign.h', 'limits.h'}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:<([^>\n]+)>|"([^"\n]+)"|(\S.*))', re.MULTILINE)
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.DOTALL)


def blank_comments(text):
    """Blanks comments but keeps line numbers and strings (an #include's path is one)."""
    def blank(match):
        found = match.group(0)
        return found if found.startswith('"') else re.sub(r'[^\n]', ' ', found)
    return COMMENT.sub(blank, text)


class Tree:
    """The C files under a root, and whose they are."""

    def __init__(self, root):
        self.root = root
        self.files = []
        tables = set()
        for base, dirs, names in os.walk(root):
            dirs[:] = sorted(name for name in dirs
                             if not name.startswith('.') and name != 'images'  # what examples boot is made
                             and not (base == root and name.startswith('build')))
            self.files += [os.path.relpath(os.path.join(base, name), root) for name in sorted(names)
                           if name.endswith(('.c', '.h'))]
            tables |= {os.path.relpath(os.path.join(base, name), root) for name in names if name.endswith('.def')}
        self.known = set(self.files) | tables  # a table holds no #include of its own

    def folder(self, path):
        """The entry of FOLDERS that a file belongs to, or None."""
        parts = os.path.dirname(path).split(os.sep)
        for length in range(len(parts), 0, -1):
            name = '/'.join(parts[:length])
            if name in FOLDERS:
                return name
        return None

    def owner(self, header):
        """Whose a public header is: a folder, `shared`, or None when nobody said."""
        name = os.path.basename(header)
        if name in OWNERS:
            return OWNERS[name]
        if name.startswith('virtio_'):
            return 'shared'
        for folder in ('driver',) + LINUX_FOLDERS:
            if name.startswith(folder + '_'):
                return folder
        if os.path.join('devices', name[:-2] + '.c') in self.known:
            return 'devices'
        return None

    def find(self, includer, text):
        """The file that a quoted #include means: beside the includer, public, from the root, or a unique name."""
        for base in (os.path.dirname(includer), 'include', ''):
            path = os.path.normpath(os.path.join(base, text))
            if path in self.known:
                return path
        matches = [path for path in self.files if path.endswith('/' + text)]
        return matches[0] if len(matches) == 1 else None

    def includes(self, path):
        """Yields (line, name, is_system, name is written out) for each #include."""
        with open(os.path.join(self.root, path), encoding='utf-8') as file:
            text = blank_comments(file.read())
        for match in INCLUDE.finditer(text):
            line = text.count('\n', 0, match.start()) + 1
            yield line, match.group(1) or match.group(2) or match.group(3), bool(match.group(1)), \
                match.group(3) is None


def is_linux_only(header):
    name = os.path.basename(header)
    return name in LINUX_ONLY or name.startswith(tuple(folder + '_' for folder in LINUX_FOLDERS))


def is_freestanding(path, folder):
    """A public header is freestanding unless LINUX_ONLY lists it or a Linux-only part owns it."""
    if folder == 'include/bulkhead':
        return not is_linux_only(path)
    return FOLDERS[folder][0]


def judge_system(path, folder, name):
    if is_freestanding(path, folder) and name not in FREESTANDING_SYSTEM:
        return '<%s> in freestanding code; it may use %s' % (
            name, ', '.join('<%s>' % header for header in sorted(FREESTANDING_SYSTEM)))
    return None


def judge_public(tree, path, folder, target):
    """Whether a file may include a header of include/bulkhead/."""
    owner = tree.owner(target)
    if owner is None:
        return 'nobody owns %s: name its folder in tools/check_includes.py' % target
    if is_linux_only(target) and is_freestanding(path, folder):
        return '%s uses Linux and is barred from freestanding code' % target
    if folder == 'include/bulkhead':
        return judge_public_by_public(tree, path, owner, target)
    if owner not in FOLDERS[folder][1] | {'shared', folder}:
        return '%s/ may not use %s, which belongs to %s/' % (folder, target, owner)
    return None


def judge_public_by_public(tree, path, owner, target):
    """A public header may include what its owner's code may."""
    mine = tree.owner(path)
    if mine is None:
        return 'nobody owns %s: name its folder in tools/check_includes.py' % path
    if mine == 'shared':
        allowed = {'shared'}
    else:
        allowed = FOLDERS[mine][1] | {'shared', mine}
    if owner not in allowed:
        return '%s belongs to %s/ and may not use %s, which belongs to %s' % (path, mine, target, owner)
    return None


def judge_quoted(tree, path, folder, name):
    target = tree.find(path, name)
    if target is None and (path, name) not in MADE:
        return '"%s" is no file of the tree' % name
    if target is None:
        return None
    theirs = tree.folder(target)
    if theirs == 'include/bulkhead':
        return judge_public(tree, path, folder, target)
    if theirs is None:
        return '%s lies in a folder that tools/check_includes.py does not know' % target
    if theirs == folder or theirs in FOLDERS[folder][2]:
        return None
    return '%s/ may not include %s: private headers stay in their folder' % (folder, target)


def check_file(tree, path):
    """Returns a list of (line, why)."""
    folder = tree.folder(path)
    if folder is None:
        return [(1, 'lies in a folder that tools/check_includes.py does not know')]
    faults = []
    for line, name, system, literal in tree.includes(path):
        if not literal:
            why = '#include %s: write the file name out' % name
        elif system and not name.startswith('bulkhead/'):
            why = judge_system(path, folder, name)
        else:
            why = judge_quoted(tree, path, folder, name)
        if why:
            faults.append((line, why))
    return faults


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('root', nargs='?', help='the tree (where this script lies)',
                        default=os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    options = parser.parse_args(argv)
    tree = Tree(options.root)
    failed = 0
    for path in tree.files:
        faults = check_file(tree, path)
        failed += bool(faults)
        for line, why in faults:
            print('%s:%d: %s' % (path, line, why))
    print('%d passed, %d failed' % (len(tree.files) - failed, failed))
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
