# SPDX-License-Identifier: BSD-2-Clause
"""Reads the chapters of spec/: status, prefix, numbered requirements. The grammar is in spec/README.md.

It checks the form of a chapter, never its sense, and it knows nothing of tests.
"""

import dataclasses
import re

ID = re.compile(r'BH-[A-Z][A-Z0-9]*-[1-9][0-9]*')
PREFIX = re.compile(r'BH-[A-Z][A-Z0-9]*')
HEADING = re.compile(r'^(#+)\s+(.*?)\s*$')
REQUIREMENT = re.compile(r'^(BH-[A-Z][A-Z0-9]*)-([1-9][0-9]*) (\S.*)$')
FIELD = re.compile(r'^- ([A-Z][A-Za-z0-9. ]*): *(.*)$')
MODAL = re.compile(r'\b(MUST NOT|MUST|SHOULD NOT|SHOULD)\b')
CLAUSE = re.compile(r'^\S.* \(`[\w./-]+\.tex`\)$')
INSPECTION = re.compile(r'^by inspection: *(.*)$', re.DOTALL)
FOLDER = re.compile(r'^[a-z][a-z0-9_]*$')
LINK = re.compile(r'\]\(([\w.-]+\.md)\)')
CITED_PATH = re.compile(r'`([\w.-]+/[\w./-]*)`')

STATUSES = ('active', 'planned', 'out of scope')
PARTIES = ('guest', 'device', 'platform')
SECTIONS = ('What a vehicle needs', 'What VIRTIO 1.4 gives', 'The gap', 'Decision')
FIELDS = ('For', 'VIRTIO 1.4', 'Why', 'Test')
SHORTEST_REASON = 20  # characters: less is no reason


@dataclasses.dataclass
class Finding:
    """Something to say about a place: an `error` fails the run, a `warning` does not."""
    level: str
    where: str
    text: str


@dataclasses.dataclass
class Requirement:
    id: str
    number: int
    title: str
    where: str
    sentence: str = ''
    level: str = ''
    party: str = ''
    clauses: list = dataclasses.field(default_factory=list)
    why: str = ''
    folders: list = dataclasses.field(default_factory=list)
    inspection: str = ''
    group: str = ''


@dataclasses.dataclass
class Chapter:
    path: str
    title: str = ''
    prefix: str = ''
    status: str = ''
    sections: set = dataclasses.field(default_factory=set)
    requirements: list = dataclasses.field(default_factory=list)
    retired: dict = dataclasses.field(default_factory=dict)
    mentions: list = dataclasses.field(default_factory=list)  # (id, where)


class Reader:
    """Goes through one chapter line by line; `findings` collects what is wrong with it."""

    def __init__(self, path, shown, root):
        self.root = root
        self.chapter = Chapter(shown)
        self.findings = []
        self.group = ''
        self.section = ''
        self.lines = path.read_text(encoding='utf-8').splitlines()

    def error(self, line, text):
        self.findings.append(Finding('error', f'{self.chapter.path}:{line}', text))

    def read(self):
        blocks = self.blocks()
        for level, title, line, body in blocks:
            if level == 1:
                self.read_head(title, line, body)
            elif level == 2:
                self.section, self.group = title, ''
                self.chapter.sections.add(title)
            elif level == 3:
                self.group = title
            if level >= 2 and title.startswith('BH-'):
                self.read_requirement(level, title, line, body)
        self.check_whole()
        return self.chapter

    def blocks(self):
        """Cuts the file at its headings, outside code fences: [level, title, line number, [(line number, text)]]."""
        blocks, fenced = [], False
        for number, text in enumerate(self.lines, 1):
            if text.startswith('```'):
                fenced = not fenced
            heading = None if fenced else HEADING.match(text)
            if heading:
                blocks.append((len(heading.group(1)), heading.group(2), number, []))
            elif blocks and not fenced:
                blocks[-1][3].append((number, text))
            if not fenced:
                self.chapter.mentions += [(found, f'{self.chapter.path}:{number}') for found in ID.findall(text)]
        return blocks

    def read_head(self, title, line, body):
        if self.chapter.title:
            self.error(line, 'a second chapter title; a file is one chapter')
            return
        self.chapter.title = title
        fields = self.fields(body, ('Status', 'Requirements', 'VIRTIO device'), line)
        self.chapter.status = fields.get('Status', '')
        if self.chapter.status not in STATUSES:
            self.error(line, f'the chapter needs a line "- Status: {" | ".join(STATUSES)}"')
        self.chapter.prefix = fields.get('Requirements', '').removesuffix('-n')
        if self.chapter.status == 'out of scope':
            if self.chapter.prefix:
                self.error(line, 'a chapter out of scope has no requirements, so no prefix')
        elif not PREFIX.fullmatch(self.chapter.prefix):
            self.error(line, 'the chapter needs a line "- Requirements: BH-XYZ-n"')

    def fields(self, body, known, line):
        """Reads the list of `- Key: value`; an indented line goes on with the value."""
        fields, key = {}, None
        for number, text in body:
            match = FIELD.match(text)
            if match:
                key = match.group(1)
                if key not in known:
                    self.error(number, f'unknown field "{key}"; known: {", ".join(known)}')
                if key in fields:
                    self.error(number, f'field "{key}" stands twice')
                fields[key] = match.group(2).strip()
            elif key and text.startswith('  ') and text.strip():
                fields[key] += ' ' + text.strip()
            elif text.startswith('- '):
                self.error(number, 'write a field as "- Key: value"')
                key = None
            else:
                key = None
        return {name: value.strip() for name, value in fields.items()}

    def read_requirement(self, level, title, line, body):
        match = REQUIREMENT.match(title)
        if not match or level != 4:
            self.error(line, f'"{title}" is no requirement heading; write "#### BH-XYZ-7 A short name"')
            return
        if self.section != 'Requirements':
            self.error(line, 'a requirement stands under "## Requirements"')
        if match.group(1) != self.chapter.prefix:
            self.error(line, f'{match.group(1)} is not the prefix of this chapter, {self.chapter.prefix or "none"}')
        number = int(match.group(2))
        name = f'{match.group(1)}-{number}'
        if name in self.chapter.retired or any(name == known.id for known in self.chapter.requirements):
            self.error(line, f'{name} stands twice; a number is used once')
            return
        where = f'{self.chapter.path}:{line}'
        if match.group(3) == '(retired)':
            self.chapter.retired[name] = where
            if not self.sentence(body):
                self.error(line, f'{name} is retired: say why and what replaced it')
            return
        requirement = Requirement(name, number, match.group(3), where, group=self.group)
        self.chapter.requirements.append(requirement)
        self.read_sentence(requirement, body, line)
        self.read_fields(requirement, self.fields(body, FIELDS, line), line)

    @staticmethod
    def sentence(body):
        words = []
        for _, text in body:
            if text.startswith('- '):
                break
            words.append(text.strip())
        return ' '.join(' '.join(words).split())

    def read_sentence(self, requirement, body, line):
        text = requirement.sentence = self.sentence(body)
        levels = {modal.split()[0] for modal in MODAL.findall(text)}
        if len(levels) != 1:
            self.error(line, f'{requirement.id} needs a sentence with MUST or SHOULD, and not both')
        requirement.level = levels.pop() if levels else 'MUST'
        if not text.endswith('.') or re.search(r'[.!?] +[A-Z]', text):
            self.error(line, f'{requirement.id} is not one sentence that ends with a full stop')

    def read_fields(self, requirement, fields, line):
        requirement.party = fields.get('For', '')
        if requirement.party not in PARTIES:
            self.error(line, f'{requirement.id} needs "- For: {" | ".join(PARTIES)}"')
        self.read_clauses(requirement, fields.get('VIRTIO 1.4', ''), line)
        requirement.why = fields.get('Why', '')
        self.read_test(requirement, fields.get('Test', ''), line)

    def read_clauses(self, requirement, text, line):
        requirement.clauses = [part.strip() for part in text.split(';') if part.strip()]
        if re.fullmatch(r'none, \S.*', text):
            return
        if not requirement.clauses or not all(CLAUSE.match(part) for part in requirement.clauses):
            self.error(line, f'{requirement.id} needs "- VIRTIO 1.4: Section / Subsection (`file.tex`)", '
                             'several with ";" between, or "none, <why>"')

    def read_test(self, requirement, text, line):
        inspection = INSPECTION.match(text)
        if inspection:
            requirement.inspection = inspection.group(1)
            if len(requirement.inspection) < SHORTEST_REASON:
                self.error(line, f'{requirement.id}: "by inspection:" needs a reason: what is looked at, and what shows it')
            for cited in CITED_PATH.findall(requirement.inspection):
                if not (self.root / cited).exists():
                    self.error(line, f'{requirement.id} is by inspection of {cited}, which does not exist')
            return
        requirement.folders = [part.strip() for part in text.split(',') if part.strip()]
        if not requirement.folders or not all(FOLDER.match(part) for part in requirement.folders):
            self.error(line, f'{requirement.id} needs "- Test: <folders of tests/>" or "- Test: by inspection: <reason>"')

    def check_whole(self):
        chapter = self.chapter
        if not chapter.title:
            self.error(1, 'the chapter has no title ("# Name")')
        for section in SECTIONS:
            if section not in chapter.sections:
                self.error(1, f'the section "## {section}" is missing')
        if chapter.status == 'out of scope':
            if chapter.requirements:
                self.error(1, 'a chapter out of scope has no requirements')
            return
        if not chapter.requirements:
            self.error(1, 'the chapter has no requirement')
        used = {requirement.id for requirement in chapter.requirements} | set(chapter.retired)
        last = max((int(name.rsplit('-', 1)[1]) for name in used), default=0)
        for number in range(1, last):
            if f'{chapter.prefix}-{number}' not in used:
                self.error(1, f'{chapter.prefix}-{number} is missing: a requirement is retired, never deleted')


def read_spec(folder, root):
    """Returns (chapters, findings) of all chapters in `folder`: every *.md but README.md, in the order of its links."""
    chapters, findings = [], []
    shown = folder.relative_to(root)
    index = folder / 'README.md'
    links = LINK.findall(index.read_text(encoding='utf-8')) if index.exists() else []
    order = {name: place for place, name in reversed(list(enumerate(links)))}
    for path in sorted(folder.glob('*.md'), key=lambda path: (order.get(path.name, len(order)), path.name)):
        if path.name == 'README.md':
            continue
        reader = Reader(path, str(shown / path.name), root)
        chapters.append(reader.read())
        findings += reader.findings
        if path.name not in order:
            findings.append(Finding('warning', str(shown / path.name), 'the chapter is not listed in README.md'))
    findings += check_together(chapters)
    return chapters, findings


def check_together(chapters):
    findings, prefixes = [], {}
    for chapter in chapters:
        if chapter.prefix and chapter.prefix in prefixes:
            findings.append(Finding('error', f'{chapter.path}:1',
                                    f'{chapter.prefix} is the prefix of {prefixes[chapter.prefix]} already'))
        prefixes.setdefault(chapter.prefix, chapter.path)
    known = {requirement.id for chapter in chapters for requirement in chapter.requirements}
    known |= {name for chapter in chapters for name in chapter.retired}
    for chapter in chapters:
        for name, where in chapter.mentions:
            if name not in known:
                findings.append(Finding('error', where, f'{name} is not a requirement of any chapter'))
    return findings
