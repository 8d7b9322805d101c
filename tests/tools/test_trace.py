#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows that tools/trace.py finds each gap between requirements, tests and results, and each slip in either.

Each case writes a small checkout and runs the tool's own main over it. In the fixtures `@` stands for the letters
that begin a requirement's number, so that this file names no requirement.
"""

import contextlib
import html.parser
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import tap

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'tools'))

import trace as trace_tool  # noqa: E402  (found through the path above)
from tracing.chapters import read_spec  # noqa: E402

HEAD = '''# Toy

- Status: {status}
- Requirements: @-T-n

## What a vehicle needs

## What VIRTIO 1.4 gives

## The gap

## Decision

## Requirements

'''

REQUIREMENT = '''#### @-T-{number} A name

The device {modal} work.

- For: device
- VIRTIO 1.4: Some Section (`content.tex`)
- Test: {test}

'''


def requirement(number, modal='MUST', test='unit'):
    return REQUIREMENT.format(number=number, modal=modal, test=test)


class Trace(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name).resolve()
        (self.root / 'tests').mkdir()
        self.write('spec/README.md', '[toy](toy.md) [other](other.md)')
        self.args = []

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace('@-', 'BH-'), encoding='utf-8')

    def chapter(self, *parts, status='active'):
        self.write('spec/toy.md', HEAD.format(status=status) + ''.join(parts or [requirement(1)]))

    def log(self, name, *lines, plan=None):
        self.write(f'results/{name}.tap', '\n'.join([f'1..{len(lines) if plan is None else plan}', *lines, '']))
        self.args = ['--results', str(self.root / 'results')]

    def run_it(self, *args):
        """Returns (status, output, matrix as JSON)."""
        out = io.StringIO()
        data = self.root / 'trace.json'
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
            status = trace_tool.main(['--root', str(self.root), '--json', str(data), *self.args, *args])
        return status, out.getvalue(), json.loads(data.read_text(encoding='utf-8')) if data.exists() else None

    def good(self, *texts):
        status, output, data = self.run_it()
        self.assertEqual(status, 0, output)
        for text in texts:
            self.assertIn(text.replace('@-', 'BH-'), output)
        return data

    def bad(self, *texts):
        status, output, data = self.run_it()
        self.assertEqual(status, 1, output)
        for text in texts:
            self.assertIn(text.replace('@-', 'BH-'), output)
        return data

    def verdicts(self, data):
        return [row['verdict'] for row in data['requirements']]

    def claims(self, data):
        """{test: file} of the first requirement."""
        return {test['name']: test['file'] for test in data['requirements'][0]['tests']}


class Chapters(Trace):
    def one_test(self):
        self.write('tests/unit/test_toy.c', '/* [@-T-1] */\nstatic void test_works(void **state)\n{\n}\n')

    def refused(self, text, *said):
        self.write('spec/toy.md', text)
        self.one_test()
        self.bad(*said)

    def test_a_sound_chapter_passes(self):
        self.chapter()
        self.one_test()
        self.assertEqual(self.verdicts(self.good('1 requirements, 0 errors')), ['not run'])

    def test_status_unknown(self):
        self.refused(HEAD.format(status='soon') + requirement(1), 'needs a line "- Status:')

    def test_prefix_missing(self):
        self.refused((HEAD + requirement(1)).replace('- Requirements: @-T-n\n', '').format(status='active'),
                     '"- Requirements:', 'not the prefix')

    def test_section_missing(self):
        self.refused(HEAD.format(status='active').replace('## The gap\n', '') + requirement(1), '"## The gap" is missing')

    def test_number_twice(self):
        self.refused(HEAD.format(status='active') + requirement(1) + requirement(1), '@-T-1 stands twice')

    def test_number_of_a_retired_requirement(self):
        self.refused(HEAD.format(status='active') + '#### @-T-1 (retired)\n\nIt was wrong.\n' + requirement(1),
                     '@-T-1 stands twice')

    def test_number_deleted(self):
        self.refused(HEAD.format(status='active') + requirement(1) + requirement(3), '@-T-2 is missing')

    def test_number_with_leading_zero(self):
        self.refused(HEAD.format(status='active') + requirement('01'), 'is no requirement heading')

    def test_heading_of_wrong_level(self):
        self.refused(HEAD.format(status='active') + requirement(1).replace('####', '###'), 'is no requirement heading')

    def test_foreign_prefix(self):
        self.refused(HEAD.format(status='active') + requirement(1) + requirement(2).replace('@-T', '@-X'),
                     '@-X is not the prefix')

    def test_no_modal_verb(self):
        self.refused(HEAD.format(status='active') + requirement(1, 'does'), 'needs a sentence with MUST')

    def test_both_modal_verbs(self):
        self.refused(HEAD.format(status='active') + requirement(1, 'MUST or SHOULD'), 'and not both')

    def test_two_sentences(self):
        self.refused(HEAD.format(status='active') + requirement(1, 'MUST. It'), 'not one sentence')

    def test_party_unknown(self):
        self.refused(HEAD.format(status='active') + requirement(1).replace('For: device', 'For: everybody'), '"- For:')

    def test_clause_without_file(self):
        self.refused(HEAD.format(status='active') + requirement(1).replace(' (`content.tex`)', ''), '"- VIRTIO 1.4:')

    def test_clause_none_without_reason(self):
        self.refused(HEAD.format(status='active') + requirement(1).replace('Some Section (`content.tex`)', 'none'),
                     '"- VIRTIO 1.4:')

    def test_field_unknown(self):
        self.refused(HEAD.format(status='active') + requirement(1).replace('- Test:', '- Tset: unit\n- Test:'),
                     'unknown field "Tset"')

    def test_field_twice(self):
        self.refused(HEAD.format(status='active') + requirement(1).replace('- Test:', '- Test: unit\n- Test:'),
                     '"Test" stands twice')

    def test_test_field_missing(self):
        self.refused(HEAD.format(status='active') + requirement(1).replace('- Test: unit\n', ''), 'needs "- Test:')

    def test_mention_of_unknown_requirement(self):
        self.refused(HEAD.format(status='active').replace('## The gap\n', '## The gap\n\nSee @-T-9.\n') + requirement(1),
                     '@-T-9 is not a requirement')

    def test_chapter_not_listed(self):
        self.write('spec/README.md', 'nothing')
        self.write('spec/toy.md', HEAD.format(status='active') + requirement(1))
        self.one_test()
        self.good('warning: the chapter is not listed in README.md')

    def test_prefix_shared_by_two_chapters(self):
        self.chapter()
        self.write('spec/other.md', HEAD.format(status='active') + requirement(1))
        self.one_test()
        self.bad('@-T is the prefix of spec/toy.md already')

    def test_active_chapter_without_requirement(self):
        self.refused(HEAD.format(status='active'), 'the chapter has no requirement')

    def test_out_of_scope_needs_no_requirement(self):
        self.chapter()
        self.one_test()
        self.write('spec/other.md', HEAD.format(status='out of scope').replace('- Requirements: @-T-n\n', ''))
        self.good('out of scope')

    def test_out_of_scope_with_requirement(self):
        self.refused(HEAD.format(status='out of scope') + requirement(1), 'out of scope has no requirements')

    def test_code_fence_is_no_requirement(self):
        self.chapter('```\n', requirement(7), '```\n', requirement(1))
        self.one_test()
        self.good('1 requirements')

    def test_wrapped_lines_are_joined(self):
        self.chapter(requirement(1).replace(' work', '\nwork').replace('Some Section', 'Some\n  Section'))
        self.one_test()
        row = self.good()['requirements'][0]
        self.assertEqual(row['sentence'], 'The device MUST work.')
        self.assertEqual(row['virtio'], ['Some Section (`content.tex`)'])


class Gaps(Trace):
    def test_must_without_test(self):
        self.chapter()
        self.assertEqual(self.verdicts(self.bad('@-T-1 is a MUST without a test')), ['untested'])

    def test_must_not_counts_as_must(self):
        self.chapter(requirement(1, 'MUST NOT'))
        self.bad('@-T-1 is a MUST without a test')

    def test_should_without_test_is_a_warning(self):
        self.chapter(requirement(1, 'SHOULD'))
        self.good('@-T-1 is a SHOULD without a test', '0 errors, 1 warnings')

    def test_planned_chapter_does_not_fail(self):
        self.chapter(requirement(1), requirement(2, 'SHOULD'), status='planned')
        self.good('0 errors, 0 warnings')

    def test_planned_chapter_with_failed_test_fails(self):
        self.chapter(status='planned')
        self.write('tests/unit/a.sh', 'echo "ok 1 - works [@-T-1]"\n')
        self.log('a', 'not ok 1 - works [@-T-1]')
        self.bad('works failed')

    def test_inspection_needs_no_test(self):
        self.chapter(requirement(1, test='by inspection: there is one store and it comes last'))
        self.assertEqual(self.verdicts(self.good()), ['inspection'])

    def test_inspection_without_reason(self):
        self.chapter(requirement(1, test='by inspection: yes'))
        self.bad('"by inspection:" needs a reason')

    def test_inspection_of_a_file_that_is_gone(self):
        self.chapter(requirement(1, test='by inspection: one release store in `core/gone.c`'))
        self.bad('core/gone.c, which does not exist')

    def test_inspection_with_test_is_a_warning(self):
        self.chapter(requirement(1, test='by inspection: there is one store and it comes last'))
        self.write('tests/unit/a.sh', 'ok "works [@-T-1]"\n')
        self.good('"by inspection" can go')

    def test_unknown_requirement_in_a_test(self):
        self.chapter(requirement(1, 'SHOULD'))
        self.write('tests/unit/a.c', '/* [@-T-2] */\nvoid test_a(void **state)\n{\n}\n')
        self.bad('tests/unit/a.c:1: error: test_a names @-T-2, which no chapter has')

    def test_retired_requirement(self):
        self.chapter(requirement(1), '#### @-T-2 (retired)\n\nReplaced by @-T-1.\n')
        self.write('tests/unit/a.c', '/* [@-T-1, @-T-2] */\nvoid test_a(void **state)\n{\n}\n')
        self.bad('test_a names @-T-2, which is retired')

    def test_retired_requirement_without_reason(self):
        self.chapter(requirement(1), '#### @-T-2 (retired)\n')
        self.bad('@-T-2 is retired: say why')

    def test_folder_without_test_is_a_warning(self):
        self.chapter(requirement(1, test='unit, guest'))
        self.write('tests/unit/a.sh', 'ok "works [@-T-1]"\n')
        self.good('@-T-1 wants a test in tests/guest too', '1 warnings')


class Marks(Trace):
    def c(self, text, name='test_a'):
        self.chapter()
        self.write(f'tests/unit/{name}.c', text)

    def test_c_comment_above(self):
        self.c('static int helper(int a)\n{\n    return a;\n}\n\n/*\n * Words. [@-T-1]\n */\n'
               'static void\ntest_x(void **state)\n{\n    (void)state;\n}\n')
        self.assertEqual(self.claims(self.good()), {'test_x': 'tests/unit/test_a.c'})

    def test_c_run_of_line_comments_above(self):
        self.c('// [@-T-1]\n// more\nstatic void test_x(void **s)\n{\n}\n')
        self.assertEqual(list(self.claims(self.good())), ['test_x'])

    def test_c_comment_inside(self):
        self.c('static void first(void **s)\n{\n    if (s) {\n    }\n}\nstatic void second(void **s)\n{\n'
               '    if (s) {\n        /* [@-T-1] */\n    }\n}\n')
        self.assertEqual(list(self.claims(self.good())), ['second'])

    def test_c_braces_in_strings_and_directives_do_not_count(self):
        self.c('#define OPEN {\nstatic void first(void **s)\n{\n    char c = \'{\'; say("}}{\\"{");\n}\n'
               '/* [@-T-1] */\nstatic void second(void **s)\n{\n}\n')
        self.assertEqual(list(self.claims(self.good())), ['second'])

    def test_c_blank_line_between(self):
        self.c('/* [@-T-1] */\n\nstatic void test_x(void **s)\n{\n}\n')
        self.bad('tests/unit/test_a.c:1: error: [@-T-1] belongs to no test')

    def test_c_file_header(self):
        self.c('/* The tests of [@-T-1]. */\n#include <x.h>\nstatic void test_x(void **s)\n{\n}\n')
        self.bad('belongs to no test')

    def test_c_helper(self):
        self.c('/* [@-T-1] */\nstatic void check(int a)\n{\n}\n')
        self.bad('belongs to no test')

    def test_c_name_in_a_table(self):
        self.c('static const struct row rows[] = {\n    { "flush waits [@-T-1]", 3 },\n};\n')
        self.assertEqual(list(self.claims(self.good())), ['flush waits'])

    def test_c_several_ids(self):
        self.chapter(requirement(1), requirement(2))
        self.write('tests/unit/a.c', '/* [@-T-1, @-T-2] */\nvoid test_a(void **s)\n{\n}\n')
        self.assertEqual(self.verdicts(self.good()), ['not run', 'not run'])

    def test_c_mark_repeated(self):
        self.c('/* [@-T-1] */\nvoid test_a(void **s)\n{\n    /* [@-T-1] */\n}\n')
        self.assertEqual(len(self.good()['requirements'][0]['tests']), 1)

    def test_slips_are_not_lost(self):
        for slip in ('[@-T1]', '[@-T-1 @-T-2]', '[@-T-1,]', '[b' 'h-t-1]', '[@-T-01]', '[@-T-1'):
            with self.subTest(slip=slip):
                self.c(f'/* {slip} */\nvoid test_a(void **s)\n{{\n}}\n')
                self.bad('is no mark')

    def test_python_functions(self):
        self.chapter()
        self.write('tests/tools/t.py', 'import x\n\n\nclass A:\n    # [@-T-1]\n    # more\n    @x.y\n    def test_above(self):\n        pass\n\n'
                                       '    def test_doc(self):\n        """[@-T-1]"""\n\n'
                                       '    def test_in(self):\n        x()  # [@-T-1]\n')
        self.assertEqual(list(self.claims(self.good())), ['test_above', 'test_in', 'test_doc'])

    def test_python_module_docstring(self):
        self.chapter()
        self.write('tests/tools/t.py', '"""[@-T-1]"""\n')
        self.bad('belongs to no test')

    def test_python_that_cannot_be_read(self):
        self.chapter()
        self.write('tests/tools/t.py', 'def (:\n')
        self.bad('no Python that can be read')

    def test_shell_function_and_name(self):
        self.chapter()
        self.write('tests/guest/run', '#!/bin/sh\n# [@-T-1]\ntest_boot() {\n    true\n}\necho "ok 2 - fio on $disk [@-T-1]" # hm\n')
        self.assertEqual(list(self.claims(self.good())), ['test_boot', 'fio on $disk'])

    def test_shell_helper(self):
        self.chapter()
        self.write('tests/guest/run.sh', '# [@-T-1]\nboot() {\n    true\n}\n')
        self.bad('belongs to no test')

    def test_shell_comment_outside(self):
        self.chapter()
        self.write('tests/guest/run.sh', '# [@-T-1]\necho "# [not] a comment"\n')
        self.bad('belongs to no test')

    def test_other_files_are_not_read(self):
        self.chapter(requirement(1, 'SHOULD'))
        self.write('tests/unit/notes.txt', '[@-T-9]')
        (self.root / 'tests' / 'seed.c').write_bytes(b'\xff\xfe[\x00')
        self.good()


class Results(Trace):
    def setUp(self):
        super().setUp()
        self.chapter()
        self.write('tests/unit/test_toy.c', '/* [@-T-1] */\nstatic void test_works(void **state)\n{\n}\n')

    def last(self, data):
        return data['requirements'][0]['tests'][0]['last']

    def test_passed(self):
        self.log('toy', 'ok 1 - test_works')
        self.assertEqual(self.verdicts(self.good('0 warnings')), ['passed'])

    def test_failed(self):
        self.log('toy', 'not ok 1 - test_works')
        self.assertEqual(self.verdicts(self.bad('@-T-1: test_works failed (toy.tap)')), ['failed'])

    def test_one_failure_among_variants(self):
        self.log('toy', 'ok 1 - test_works')
        self.log('toy.asan', 'not ok 1 - test_works')
        self.bad('test_works failed (toy.asan.tap)')

    def test_several_folders(self):
        self.log('toy', 'ok 1 - test_works')
        self.write('more/toy.tap', '1..1\nnot ok 1 - test_works\n')
        self.args += ['--results', str(self.root / 'more')]
        self.bad('test_works failed')

    def test_python_class_and_parameters(self):
        for name in ('Class.test_works', 'test_works: 4 queues', 'suite::test_works', 'test_works[packed]'):
            with self.subTest(name=name):
                self.log('toy', f'ok 1 - {name}')
                self.assertEqual(self.verdicts(self.good()), ['passed'])

    def test_longer_name_is_another_test(self):
        self.log('toy', 'not ok 1 - test_works_not', 'not ok 2 - no_test_works', 'not ok 3 - no-test_works', 'not ok 4 - test_works-not')
        self.assertEqual(self.verdicts(self.bad('is a MUST whose tests have no result')), ['not run'])

    def test_should_that_was_not_run(self):
        self.chapter(requirement(1, 'SHOULD'))
        self.log('toy', 'ok 1 - test_other')
        self.good('the last result of its tests is "not run"')

    def test_skipped(self):
        self.log('toy', 'not ok 1 # SKIP test_works')
        self.assertEqual(self.verdicts(self.good('the last result of its tests is "skipped"')), ['skipped'])

    def test_mark_in_the_printed_name(self):
        self.write('tests/unit/test_toy.c', 'say("flush waits, %u queues [@-T-1]", n);\n')
        self.log('x', 'ok 1 - flush waits, 1 queues [@-T-1]', 'not ok 2 - flush waits, 4 queues [@-T-1]')
        self.assertEqual(self.verdicts(self.bad('failed (x.tap)')), ['failed'])

    def test_two_marked_names_are_told_apart(self):
        self.chapter(requirement(1), requirement(2))
        self.write('tests/unit/test_toy.c', 'const char *n[] = {"reads [@-T-1]", "writes [@-T-2]"};\n')
        self.log('x', 'ok 1 - reads [@-T-1]', 'not ok 2 - writes [@-T-2]')
        self.assertEqual(self.verdicts(self.bad()), ['passed', 'failed'])

    def test_one_name_with_two_marks(self):
        self.chapter(requirement(1), requirement(2))
        self.write('tests/unit/test_toy.c', 'const char *n[] = {"works [@-T-1]", "works [@-T-2]"};\n')
        self.log('x', 'ok 1 - works [@-T-1]', 'not ok 2 - works [@-T-2]')
        self.assertEqual(self.verdicts(self.bad()), ['passed', 'failed'])

    def test_two_names_with_one_mark(self):
        self.write('tests/unit/test_toy.c', 'const char *n[] = {"reads [@-T-1]", "writes [@-T-1]"};\n')
        self.log('x', 'ok 1 - reads [@-T-1]', 'not ok 2 - writes [@-T-1]')
        tests = self.bad()['requirements'][0]['tests']
        self.assertEqual([test['last'] for test in tests], ['pass', 'fail'])

    def test_name_printed_inside_a_python_test(self):
        self.write('tests/unit/test_toy.c', '')
        self.write('tests/tools/t.py', 'def test_all():\n    for n in 1, 2:\n        ok(f"serves {n} [@-T-1]")\n')
        self.log('x', 'ok 1 - serves 1 [@-T-1]', 'not ok 2 - serves 2 [@-T-1]')
        self.bad('test_all failed (x.tap)')

    def test_mark_that_only_a_log_has(self):
        self.log('toy', 'ok 1 - test_works', 'ok 2 - gone [@-T-1]')
        self.good('an old log?')

    def test_log_that_broke_off(self):
        self.log('toy', 'ok 1 - test_works', plan=3)
        self.bad('toy.tap: error: the log is broken')

    def test_log_without_plan(self):
        self.write('results/toy.tap', 'Segmentation fault\n')
        self.args = ['--results', str(self.root / 'results')]
        self.bad('the log is broken: no plan')

    def test_same_name_in_two_sources(self):
        self.write('tests/unit/test_other.c', '/* [@-T-1] */\nstatic void test_works(void **state)\n{\n}\n')
        self.log('x', 'ok 1 - test_works')
        self.bad('test_works stands in several sources')

    def test_same_name_with_logs_named_after_the_sources(self):
        self.write('tests/unit/test_other.c', '/* [@-T-1] */\nstatic void test_works(void **state)\n{\n}\n')
        self.log('unit-other', 'not ok 1 - test_works')
        self.log('test_toy', 'ok 1 - test_works')
        data = self.bad('test_works failed (unit-other.tap)')
        self.assertEqual({test['file']: test['last'] for test in data['requirements'][0]['tests']},
                         {'tests/unit/test_toy.c': 'pass', 'tests/unit/test_other.c': 'fail'})


class Outputs(Trace):
    def setUp(self):
        super().setUp()
        self.chapter(requirement(1, 'MUST <b>&'))
        self.write('tests/unit/a.sh', 'ok "a < b [@-T-1]"\n')

    def test_page_is_whole_and_escaped(self):
        page = self.root / 'trace.html'
        self.log('x', 'ok 1 - a < b [@-T-1]')
        self.assertEqual(self.run_it('--html', str(page))[0], 0)
        text = page.read_text(encoding='utf-8')
        self.assertIn('&lt;b&gt;&amp; work', text)
        self.assertIn('a &lt; b', text)
        self.assertNotRegex(text, r'https?:|<script|<link|@import')
        stack = []

        class Balance(html.parser.HTMLParser):
            def handle_starttag(self, tag, attrs):
                if tag != 'meta':
                    stack.append(tag)

            def handle_endtag(self, tag):
                assert stack.pop() == tag

        Balance().feed(text)
        self.assertEqual(stack, [])

    def test_quiet_prints_errors_and_the_sum(self):
        _, output, _ = self.run_it('--quiet')
        self.assertEqual(output.splitlines(), ['1 requirements, 0 errors, 0 warnings'])

    def test_usage_errors_exit_with_2(self):
        for args in (['--results', str(self.root / 'none')], ['--results', str(self.root / 'tests')],
                     ['--html', str(self.root / 'no' / 'folder.html')], ['--root', str(self.root / 'tests')]):
            with self.subTest(args=args):
                status, output, _ = self.run_it(*args)
                self.assertEqual((status, output.count('\n')), (2, 1), output)

    def test_tests_missing(self):
        (self.root / 'tests' / 'unit' / 'a.sh').unlink()
        (self.root / 'tests' / 'unit').rmdir()
        (self.root / 'tests').rmdir()
        self.assertEqual(self.run_it()[0], 2)

    def test_the_script_itself(self):
        run = subprocess.run([sys.executable, str(ROOT / 'tools' / 'trace.py'), '--root', str(self.root)],
                             stdout=subprocess.PIPE, text=True, check=False, env=dict(os.environ, PYTHONPATH=''))
        self.assertEqual(run.returncode, 0)
        self.assertIn('1 requirements, 0 errors', run.stdout)

    def test_the_real_chapters_keep_the_grammar(self):
        chapters, findings = read_spec(ROOT / 'spec', ROOT)
        self.assertEqual(findings, [])
        self.assertTrue(all(chapter.path.startswith('spec/') for chapter in chapters))


if __name__ == '__main__':
    tap.main()
