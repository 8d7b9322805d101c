# SPDX-License-Identifier: BSD-2-Clause
"""Goes through tests/ and hands each source file to the scanner of its language. Nothing is run."""

from tracing.marks import Marks
from tracing.marks_c import scan_c
from tracing.marks_python import scan_python
from tracing.marks_shell import scan_shell

SCANNERS = {'c': scan_c, 'python': scan_python, 'shell': scan_shell}


def language(path, text):
    """Which scanner reads the file, or None."""
    if path.suffix in ('.c', '.h'):
        return 'c'
    if path.suffix == '.py':
        return 'python'
    if path.suffix in ('.sh', '.bash'):
        return 'shell'
    if not path.suffix and text.startswith('#!'):
        return 'python' if 'python' in text.splitlines()[0] else 'shell'
    return None


def scan_file(path, shown):
    marks = Marks(shown)
    try:
        text = path.read_text(encoding='utf-8')
    except UnicodeDecodeError:
        return marks  # an image or a corpus file
    kind = language(path, text)
    if kind is None:
        return marks
    for number, line in enumerate(text.splitlines(), 1):
        marks.check_form(number, line)
    SCANNERS[kind](text, marks)
    return marks


def scan_tests(folder, root):
    """Returns (tests, findings) of all sources below `folder`."""
    tests, findings = [], []
    for path in sorted(folder.rglob('*')):
        if not path.is_file() or '__pycache__' in path.parts:
            continue
        marks = scan_file(path, str(path.relative_to(root)))
        tests += marks.tests
        findings += marks.findings
    return tests, findings
