# SPDX-License-Identifier: BSD-2-Clause
"""Finds marks in shell scripts, line by line: comments, TAP names, functions. A test function's name begins with `test`."""

import re

from tracing.marks import MARK, ids_of


def shell_split(line):
    """Cuts a line of shell into (code, comment)."""
    quote = ''
    for place, char in enumerate(line):
        if quote:
            if char == quote and (quote == "'" or line[place - 1] != '\\'):
                quote = ''
        elif char in '"\'':
            quote = char
        elif char == '#' and (place == 0 or line[place - 1] in ' \t;('):
            return line[:place], line[place:]
    return line, ''


def shell_string(code, place):
    """The quoted string around `place`, or the whole line where there is none (a here-document)."""
    for match in re.finditer(r'"(?:\\.|[^"\\])*"|\'[^\']*\'', code):
        if match.start() < place < match.end():
            return match.group(0)[1:-1]
    return code.strip()


SHELL_FUNCTION = re.compile(r'^(\s*)(?:function\s+)?([A-Za-z_]\w*)\s*(?:\(\s*\))\s*\{?\s*$')


def shell_functions(lines):
    """Returns (name, first line, last line), counted from 1: a function ends with a brace at its own indentation."""
    found, open_function = [], None
    for number, line in enumerate(lines, 1):
        match = SHELL_FUNCTION.match(line)
        if match and open_function is None:
            open_function = (match.group(2), number, match.group(1) + '}')
        elif open_function and line.rstrip() == open_function[2]:
            found.append((open_function[0], open_function[1], number))
            open_function = None
    return found


def scan_shell(text, marks):
    lines = text.splitlines()
    functions = shell_functions(lines)
    for number, line in enumerate(lines, 1):
        code, comment = shell_split(line)
        inside = next((name for name, first, last in functions if first <= number <= last), '')
        if ids_of(comment):
            below = number
            while below < len(lines) and lines[below].lstrip().startswith('#'):
                below += 1
            above = next((name for name, first, _ in functions if first == below + 1), '')
            owner = inside or above
            if owner.startswith('test'):
                marks.in_function(owner, number, comment)
            else:
                marks.nowhere(number, comment)
        seen = set()
        for match in MARK.finditer(code):
            name = shell_string(code, match.start())
            if name in seen:
                continue
            seen.add(name)
            if inside.startswith('test'):
                marks.in_function(inside, number, name, is_name=True)
            else:
                marks.in_name(number, name)
