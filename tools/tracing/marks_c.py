# SPDX-License-Identifier: BSD-2-Clause
"""Finds marks in C: comments, string literals and function bodies, without a compiler.

A test function takes `void **` (cmocka's signature) or has a name that begins with `test`.
"""

import bisect
import re

from tracing.marks import MARK

LEXEME = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)
DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', re.MULTILINE)
SIGNATURE = re.compile(r'([A-Za-z_]\w*)\s*\(((?:[^()]|\([^()]*\))*)\)\s*$')


def blank(text):
    return re.sub(r'[^\n]', ' ', text)


class Function:
    def __init__(self, name, is_test, head, end):
        self.name = name
        self.is_test = is_test
        self.head = head  # where its first word stands
        self.end = end    # where its body ends


def functions_of(code):
    """`code`: comments, strings and directives blanked out. Returns the functions in order."""
    found, depth, start, open_head = [], 0, 0, None
    for match in re.finditer(r'[{};]', code):
        char, place = match.group(0), match.start()
        if char == '{':
            if depth == 0:
                head = code[start:place]
                signature = SIGNATURE.search(head)
                open_head = None
                if signature:
                    is_test = bool(re.search(r'\bvoid\s*\*\s*\*', signature.group(2)))
                    open_head = (signature.group(1), is_test or signature.group(1).startswith('test'),
                                 start + len(head) - len(head.lstrip()))
            depth += 1
        elif char == '}':
            depth = max(0, depth - 1)
            if depth == 0:
                if open_head:
                    found.append(Function(*open_head, place))
                open_head, start = None, place + 1
        elif depth == 0:
            start = place + 1
    return found


def owner_of(place, end, functions, text):
    """The function that [place, end) stands in or directly above, with no blank line between."""
    for function in functions:
        if function.head <= place <= function.end:
            return function
        if function.head >= end:
            gap = text[end:function.head]
            return function if not gap.strip() and gap.count('\n') <= 1 else None
    return None


def scan_c(text, marks):
    lexemes = list(LEXEME.finditer(text))
    bare = list(text)
    for match in lexemes:
        bare[match.start():match.end()] = blank(match.group(0))
    functions = functions_of(DIRECTIVE.sub(lambda match: blank(match.group(0)), ''.join(bare)))
    starts = [0] + [match.end() for match in re.finditer('\n', text)]
    comments = [match for match in lexemes if match.group(0).startswith('/')]
    for match in lexemes:
        content = match.group(0)
        if not MARK.search(content):
            continue
        line = bisect.bisect_right(starts, match.start() + MARK.search(content).start())
        is_comment = content.startswith('/')
        end = adjoining_end(match, comments, text) if is_comment else match.end()
        owner = owner_of(match.start(), end, functions, text)
        if is_comment:
            if owner and owner.is_test:
                marks.in_function(owner.name, line, content)
            else:
                marks.nowhere(line, content)
        elif owner and owner.is_test and owner.head <= match.start():
            marks.in_function(owner.name, line, content[1:-1], is_name=True)
        else:
            marks.in_name(line, content[1:-1])


def adjoining_end(comment, comments, text):
    """Where the run of comments ends that `comment` belongs to: comments on lines that follow without a gap."""
    end = comment.end()
    for other in comments:
        if other.start() >= end:
            gap = text[end:other.start()]
            if gap.strip() or gap.count('\n') > 1:
                break
            end = other.end()
    return end
