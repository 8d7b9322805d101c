#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a daemon's man page (scdoc source, to standard output) from the shared template and the program's own --help.

So the page cannot lag behind the program, and a new device needs no page of its own. It relies on the form of the help
that options.c prints, and fails when it does not find it.

Usage: make_man.py TEMPLATE PROGRAM
"""

import re
import subprocess
import sys

OPTION = re.compile(r'^  --(\S+)(?: (\S+))?(?:\s\s+(\S.*))?$')


def escape(text):
    """What scdoc would take for markup."""
    return re.sub(r'([\\*_#~`<])', r'\\\1', text)


def parse(text):
    """The summary, the option lists by heading, and the notes."""
    lines = text.splitlines()
    if len(lines) < 4 or not lines[0].startswith('Usage: '):
        raise SystemExit('make_man.py: this is no help text')
    summary = lines[1].rstrip('.')
    sections = {}
    notes = []
    current = None
    for line in lines[2:]:
        match = OPTION.match(line)
        if match and current is not None:
            current.append(list(match.groups()))
        elif line.startswith('    ') and current and current[-1][2] is None:
            current[-1][2] = line.strip()
        elif re.match(r'^The \w+:$', line) and not notes:
            current = sections.setdefault(line[:-1], [])
        elif line or notes:
            notes.append(line)
    if set(sections) != {'The device', 'The program'} or any(option[2] is None
                                                             for part in sections.values() for option in part):
        raise SystemExit('make_man.py: the help does not have its usual form')
    return summary, sections, notes


def options(part):
    """A list of options in scdoc."""
    entries = []
    for name, argument, text in part:
        head = '*--%s*' % name + (' _%s_' % escape(argument) if argument else '')
        entries.append('%s\n\t%s.' % (head, escape(text[0].upper() + text[1:])))
    return '\n\n'.join(entries)


def main():
    template, program = sys.argv[1:]
    text = subprocess.run([program, '--help'], check=True, capture_output=True, text=True).stdout
    version = subprocess.run([program, '--version'], check=True, capture_output=True, text=True).stdout.split()
    summary, sections, notes = parse(text)
    with open(template, encoding='utf-8') as file:
        page = file.read()
    for name, value in {'PROGRAM': version[0], 'VERSION': version[1], 'SUMMARY': escape(summary[0].lower() + summary[1:]),
                        'DEVICE_OPTIONS': options(sections['The device']),
                        'PROGRAM_OPTIONS': options(sections['The program']),
                        'NOTES': escape('\n'.join(notes)).strip()}.items():
        page = page.replace('@%s@' % name, value)
    sys.stdout.write(page)


if __name__ == '__main__':
    main()
