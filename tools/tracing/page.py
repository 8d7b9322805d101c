# SPDX-License-Identifier: BSD-2-Clause
"""Draws the matrix as one HTML page that needs nothing else: no script, no font, no network."""

import html
import re

from tracing.chapters import ID

WORDS = {'passed': 'passed', 'failed': 'failed', 'skipped': 'skipped', 'not run': 'not run',
         'inspection': 'by inspection', 'untested': 'no test', 'planned': 'planned'}
LAST = {'pass': 'passed', 'fail': 'failed', 'skip': 'skipped', 'none': 'not run'}
ORDER = ('passed', 'inspection', 'failed', 'untested', 'not run', 'skipped', 'planned')

STYLE = '''
:root { color-scheme: light dark; --ground: #f6f7f9; --card: #fff; --ink: #1b2430; --soft: #5b6775; --line: #dde2e8;
  --link: #1f5fa8; --passed: #1d7a46; --failed: #c0262d; --untested: #b3541e; --inspection: #5a4fa3; --skipped: #8a6d00;
  --not-run: #5b6775; --planned: #7b8794; }
@media (prefers-color-scheme: dark) { :root { --ground: #12161b; --card: #1a2027; --ink: #e4e9ee; --soft: #9aa7b4;
  --line: #2d3640; --link: #7db4f0; --passed: #4cb57c; --failed: #f0666c; --untested: #e58a52; --inspection: #a49af0;
  --skipped: #d4b33c; --not-run: #9aa7b4; --planned: #7f8b98; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI",
  Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 6px; }
h2 { font-size: 20px; margin: 40px 0 4px; }
h3 { font-size: 13px; font-weight: 600; color: var(--soft); margin: 22px 0 8px; text-transform: uppercase; letter-spacing: .05em; }
p { margin: 0 0 10px; max-width: 90ch; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
code { font: 0.88em/1.4 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.soft { color: var(--soft); } .small { font-size: 13px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.overview { margin: 20px 0 0; padding: 4px 18px; }
.chapter { display: grid; grid-template-columns: minmax(180px, 1.3fr) 2fr minmax(190px, 1.2fr); gap: 4px 24px;
  align-items: center; padding: 12px 0; border-top: 1px solid var(--line); }
.chapter:first-child { border-top: 0; }
.bar { display: flex; height: 12px; border-radius: 6px; overflow: hidden; background: var(--line); }
.bar i { display: block; background: var(--tone); border-right: 2px solid var(--card); } .bar i:last-child { border: 0; }
.counts { display: flex; flex-wrap: wrap; gap: 0 14px; font-size: 13px; }
.counts span::before, .badge::before { content: ""; display: inline-block; width: 8px; height: 8px; border-radius: 50%;
  background: var(--tone); margin-right: 6px; }
.findings { margin: 20px 0 0; padding: 14px 18px; border-left: 4px solid var(--tone); }
.findings ul { margin: 6px 0 0; padding-left: 18px; } .findings li { margin: 4px 0; overflow-wrap: anywhere; }
.findings summary { cursor: pointer; }
.row { display: grid; grid-template-columns: 104px minmax(0, 1.5fr) minmax(0, 1fr) 118px; gap: 6px 20px; padding: 14px 18px;
  border-top: 1px solid var(--line); border-left: 4px solid var(--tone); }
.rows { overflow: hidden; } .row:first-child { border-top: 0; } .row:target { background: color-mix(in srgb, var(--link) 9%, var(--card)); }
.row b { display: block; } .id { font-weight: 600; white-space: nowrap; }
.whole { white-space: nowrap; } .kind { display: block; font-weight: 400; }
.row ul { list-style: none; margin: 0; padding: 0; } .row li { margin: 0 0 6px; }
.badge { color: var(--tone); font-weight: 600; font-size: 13px; white-space: nowrap; }
.passed { --tone: var(--passed); } .failed { --tone: var(--failed); } .untested { --tone: var(--untested); }
.inspection { --tone: var(--inspection); } .skipped { --tone: var(--skipped); } .not-run { --tone: var(--not-run); }
.planned { --tone: var(--planned); }
.row.passed, .row.inspection { border-left-color: transparent; }
@media (max-width: 820px) {
  main { padding: 20px 12px 40px; } h1 { font-size: 22px; }
  .chapter { grid-template-columns: 1fr; } .overview { padding: 4px 14px; }
  .row { grid-template-columns: 1fr auto; padding: 12px 14px; gap: 6px 12px; }
  .row > .what, .row > .tests { grid-column: 1 / -1; } .row > .verdict { grid-row: 1; grid-column: 2; }
  .kind { display: inline; margin-left: 8px; }
}
@media print { .row, .chapter { break-inside: avoid; } body { background: #fff; } }
'''


def linked(text):
    """Lets each requirement's number lead to its row."""
    return ID.sub(r'<a href="#\g<0>">\g<0></a>', inline(text))


def inline(text):
    """Escapes text; `code` becomes code, a modal verb is set apart."""
    text = re.sub(r'`([^`]+)`', r'<code>\1</code>', html.escape(text, quote=False))
    return re.sub(r'\b(MUST NOT|MUST|SHOULD NOT|SHOULD)\b', r'<strong>\1</strong>', text)


def css(verdict):
    return verdict.replace(' ', '-')


def shown_verdict(row):
    """What a planned chapter has not yet is no gap."""
    return 'planned' if row.verdict == 'untested' and row.chapter.status == 'planned' else row.verdict


def tally(rows):
    counts = {}
    for row in rows:
        counts[shown_verdict(row)] = counts.get(shown_verdict(row), 0) + 1
    return [(verdict, counts[verdict]) for verdict in ORDER if verdict in counts]


def overview(matrix):
    lines = []
    for chapter in matrix.chapters:
        rows = [row for row in matrix.rows if row.chapter is chapter]
        counts = tally(rows)
        bar = ''.join(f'<i class="{css(verdict)}" style="flex:{count}" title="{count} {WORDS[verdict]}"></i>'
                      for verdict, count in counts)
        words = ''.join(f'<span class="{css(verdict)}">{count} {WORDS[verdict]}</span>' for verdict, count in counts)
        name = html.escape(chapter.title)
        if rows:
            lines.append(f'<div class="chapter"><div><a href="#{chapter.prefix}"><b>{name}</b></a> '
                         f'<span class="soft small">{chapter.prefix} · {chapter.status}</span></div>'
                         f'<div class="bar">{bar}</div><div class="counts">{words}</div></div>')
        else:
            lines.append(f'<div class="chapter"><div><b>{name}</b></div><div class="soft small">{chapter.status}; '
                         f'the reasons are in <code>{html.escape(chapter.path)}</code></div></div>')
    return '<section class="card overview">' + '\n'.join(lines) + '</section>'


def finding_list(findings, level, tone, opened):
    chosen = [finding for finding in findings if finding.level == level]
    if not chosen:
        return ''
    items = ''.join(f'<li><code>{html.escape(finding.where)}</code> {linked(finding.text)}</li>' for finding in chosen)
    plural = '' if len(chosen) == 1 else 's'
    return (f'<details class="card findings {tone}"{" open" if opened else ""}><summary><b>{len(chosen)} {level}{plural}'
            f'</b></summary><ul>{items}</ul></details>')


def test_item(test, outcome, results):
    said = [sorted({result.when for result in results})[-1]] if results else []
    if len(results) > 1:
        said.append(f'{len(results)} results')
    return (f'<li><span class="badge {css(LAST[outcome])}">{LAST[outcome]}</span> <code>{html.escape(test.label)}</code>'
            f'<div class="soft small"><code>{html.escape(test.path)}:{test.line}</code>'
            + ''.join(f' · <span class="whole">{part}</span>' for part in said) + '</div></li>')


def tests_cell(row):
    requirement = row.requirement
    if row.tests:
        return '<ul>' + ''.join(test_item(*entry) for entry in row.tests) + '</ul>'
    if requirement.inspection:
        return f'<span class="small">By inspection: {inline(requirement.inspection)}</span>'
    folders = ', '.join(f'<code>tests/{html.escape(folder)}</code>' for folder in requirement.folders)
    return f'<span class="soft small">expected in {folders}</span>'


def requirement_row(row):
    requirement, verdict = row.requirement, shown_verdict(row)
    clauses = '; '.join(inline(clause) for clause in requirement.clauses)
    return (f'<div class="row {css(verdict)}" id="{requirement.id}">'
            f'<div class="id"><a href="#{requirement.id}">{requirement.id}</a>'
            f'<span class="kind soft small">{requirement.level} · {html.escape(requirement.party)}</span></div>'
            f'<div class="what"><b>{inline(requirement.title)}</b>{inline(requirement.sentence)}'
            f'<div class="soft small">VIRTIO 1.4: {clauses}</div></div>'
            f'<div class="tests">{tests_cell(row)}</div>'
            f'<div class="verdict"><span class="badge {css(verdict)}">{WORDS[verdict]}</span></div></div>')


def chapter_section(matrix, chapter):
    parts, group, opened = [], None, False
    parts.append(f'<h2 id="{chapter.prefix}">{html.escape(chapter.title)}</h2>'
                 f'<p class="soft small">{chapter.status}; <code>{html.escape(chapter.path)}</code></p>')
    for row in matrix.rows:
        if row.chapter is not chapter:
            continue
        if row.requirement.group != group or not opened:
            parts.append('</section>' if opened else '')
            group, opened = row.requirement.group, True
            parts.append((f'<h3>{html.escape(group)}</h3>' if group else '') + '<section class="card rows">')
        parts.append(requirement_row(row))
    parts.append('</section>' if opened else '')
    return '\n'.join(parts)


def draw(matrix, findings):
    results = '' if matrix.have_results else ' No log was given, so no test has a result here.'
    chapters = '\n'.join(chapter_section(matrix, chapter) for chapter in matrix.chapters if chapter.requirements)
    return (f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Bulkhead: requirements and their tests</title>'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body><main>'
            '<h1>Requirements and their tests</h1>'
            '<p class="soft">Each requirement of the Bulkhead Platform Specification, the tests that name it, and what they '
            f'said last.{results}</p>{overview(matrix)}'
            f'{finding_list(findings, "error", "failed", True)}{finding_list(findings, "warning", "skipped", False)}'
            f'{chapters}</main></body></html>\n')
