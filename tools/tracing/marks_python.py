# SPDX-License-Identifier: BSD-2-Clause
"""Finds marks in Python: comments, docstrings and names. A test function has a name that begins with `test`."""

import ast
import io
import tokenize

from tracing.marks import MARK


def functions_of(tree):
    """Returns (name, first line, last line) of all functions, decorators included; inner ones last."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = min([node.lineno] + [decorator.lineno for decorator in node.decorator_list])
            found.append((node.name, first, node.end_lineno))
    return sorted(found, key=lambda function: function[1] - function[2])


def around(functions, line):
    """The innermost test function around a line, or ''."""
    names = [name for name, first, last in functions if first <= line <= last and name.startswith('test')]
    return names[-1] if names else ''


class Strings(ast.NodeVisitor):
    """Collects (line, text) of all strings; a part that is computed becomes a NUL. Docstrings are told apart."""

    def __init__(self):
        self.found = []
        self.docstrings = set()

    def visit_docstring(self, node):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
            self.docstrings.add(id(first.value))
        self.generic_visit(node)

    visit_Module = visit_ClassDef = visit_FunctionDef = visit_AsyncFunctionDef = visit_docstring

    def visit_Constant(self, node):
        if isinstance(node.value, str):
            self.found.append((node.lineno, node.value, id(node) in self.docstrings))

    def visit_JoinedStr(self, node):
        parts = [part.value if isinstance(part, ast.Constant) else '\0' for part in node.values]
        self.found.append((node.lineno, ''.join(parts), False))


def scan_python(text, marks):
    try:
        tree = ast.parse(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (SyntaxError, tokenize.TokenError) as error:
        marks.error(getattr(error, 'lineno', None) or 1, 'this is no Python that can be read')
        return
    functions = functions_of(tree)
    scan_comments(tokens, text.splitlines(), functions, marks)
    strings = Strings()
    strings.visit(tree)
    for line, value, is_docstring in strings.found:
        if not MARK.search(value):
            continue
        owner = around(functions, line)
        if owner:
            marks.in_function(owner, line, value, is_name=not is_docstring)
        elif is_docstring:
            marks.nowhere(line, value)
        else:
            marks.in_name(line, value)


def scan_comments(tokens, lines, functions, marks):
    for token in tokens:
        if token.type != tokenize.COMMENT or not MARK.search(token.string):
            continue
        line = token.start[0]
        below = line + 1
        while below <= len(lines) and lines[below - 1].lstrip().startswith('#'):
            below += 1
        above = next((name for name, first, _ in functions if first == below and name.startswith('test')), '')
        own_line = lines[line - 1].lstrip().startswith('#')
        owner = (above if own_line else '') or around(functions, line)
        if owner:
            marks.in_function(owner, line, token.string)
        else:
            marks.nowhere(line, token.string)
