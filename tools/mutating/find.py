# SPDX-License-Identifier: BSD-2-Clause
"""Finds the places of a C file where a check can be broken.

It works on the text, with comments, strings and preprocessor lines blanked out; C has no other use for the comparison
operators, so no parser is needed. What is changed:

    < <= > >= == != && ||    to the neighbour that differs in the least (off by one, the other sense)
    + 1, - 1                 to + 0, - 0, where a condition or a returned value is computed
    if (x), while (x)        to a condition that never holds; if (x) also to one that always holds (the check is gone)
    x || y                   to y alone and to x alone (one of several checks is gone)
"""

import re

SWAPS = {'<': '<=', '<=': '<', '>': '>=', '>=': '>', '==': '!=', '!=': '==', '&&': '||', '||': '&&'}
OPERATOR = re.compile(r'->|<<=|>>=|<<|>>|<=|>=|==|!=|&&|\|\||<|>')
STEP = re.compile(r'(?<=[\w\])]) ([+-]) (1u?)\b(?!\s*<<)')
CONDITION = re.compile(r'\b(if|while|for|return|_Static_assert)\b')
BLANK = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'|^[ \t]*#(?:[^\n\\]|\\.|\\\n)*',
                   re.DOTALL | re.MULTILINE)


class Mutant:
    """One change: the text between two offsets becomes another."""

    def __init__(self, path, text, start, end, new, what):
        self.path = path
        self.text = text
        self.start = start
        self.end = end
        self.new = new
        self.what = what
        self.line = text.count('\n', 0, start) + 1
        self.turn = 1  # which of the file's lines with the same text it is

    def changed(self):
        return self.text[:self.start] + self.new + self.text[self.end:]

    def title(self):
        return '%s:%d: %s' % (self.path, self.line, self.what)

    def bounds(self):
        """The offsets of the whole lines that the change touches."""
        begin = self.text.rfind('\n', 0, self.start) + 1
        stop = self.text.find('\n', self.end)
        return begin, stop if stop >= 0 else len(self.text)

    def original(self):
        """The touched lines as one, without indentation: how tools/mutate.allow names the place."""
        begin, stop = self.bounds()
        return ' '.join(self.text[begin:stop].split())

    def place(self):
        """Where within `original` the change begins, counted without white space."""
        begin = self.bounds()[0]
        return len(''.join(self.text[begin:self.start].split()))

    def key(self):
        """What identifies it, but for `turn`."""
        return self.original(), self.what, self.place()

    def diff(self):
        begin, stop = self.bounds()
        after = self.text[begin:self.start] + self.new + self.text[self.end:stop]
        return '\n'.join(['  - ' + line for line in self.text[begin:stop].splitlines()] +
                         ['  + ' + line for line in after.splitlines()])


def blank(text):
    """Same length, same lines, nothing but code."""
    return BLANK.sub(lambda match: re.sub(r'[^\n]', ' ', match.group(0)), text)


def closing(code, start):
    """The offset of the parenthesis that closes the one at `start`."""
    depth = 0
    for offset in range(start, len(code)):
        if code[offset] == '(':
            depth += 1
        elif code[offset] == ')':
            depth -= 1
            if depth == 0:
                return offset
    return len(code)


def conditions(code):
    """Yields (keyword, start, end) of each condition's or returned value's text."""
    for match in CONDITION.finditer(code):
        if match.group(1) == 'return':
            end = code.find(';', match.end())
            yield 'return', match.end(), end if end >= 0 else len(code)
        else:
            start = code.find('(', match.end())
            yield match.group(1), start + 1, closing(code, start)


def operands(code, start, end):
    """Splits a condition at its outermost ||; yields the operands' offsets when there are several."""
    depth, begin, parts = 0, start, []
    for offset in range(start, end):
        if code[offset] == '(':
            depth += 1
        elif code[offset] == ')':
            depth -= 1
        elif depth == 0 and code.startswith('||', offset):
            parts.append((begin, offset))
            begin = offset + 2
    parts.append((begin, end))
    return parts if len(parts) > 1 else []


def trim(code, start, end):
    while start < end and code[start].isspace():
        start += 1
    while end > start and code[end - 1].isspace():
        end -= 1
    return start, end


def mutants(path, text):
    """All mutants of a file, in the order of their places."""
    code = blank(text)
    asserts = [(start, end) for keyword, start, end in conditions(code) if keyword == '_Static_assert']
    judged = [(start, end) for keyword, start, end in conditions(code) if keyword != '_Static_assert']
    found = []

    def add(start, end, new, what):
        if not any(begin <= start < stop for begin, stop in asserts):
            found.append(Mutant(path, text, start, end, new, what))

    for match in OPERATOR.finditer(code):
        old = match.group(0)
        if old in SWAPS:
            add(match.start(), match.end(), SWAPS[old], '%s becomes %s' % (old, SWAPS[old]))
    for match in STEP.finditer(code):
        if any(begin <= match.start() < stop for begin, stop in judged):
            add(match.start(2), match.end(2), match.group(2).replace('1', '0'),
                '%s 1 becomes %s 0' % (match.group(1), match.group(1)))
    for keyword, start, end in conditions(code):
        if keyword in ('if', 'while') and code[start:end].strip() not in ('true', '1', '0'):
            add(start, end, '(%s) && 0' % text[start:end], 'the %s never holds' % keyword)
        if keyword == 'if':
            add(start, end, '(%s) || 1' % text[start:end], 'the if always holds')
        if keyword != '_Static_assert':
            for begin, stop in operands(code, start, end):
                begin, stop = trim(code, begin, stop)
                add(begin, stop, '0', 'an operand of || is gone')
    found.sort(key=lambda mutant: (mutant.start, mutant.end, mutant.what))
    turns = {}
    for mutant in found:
        mutant.turn = turns[mutant.key()] = turns.get(mutant.key(), 0) + 1
    return found
