#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Signed images: what `build --sign` makes, what `run` accepts, and what it remembers.

How each changed byte is refused is not tested here: tests/unit/test_image*.c do.
"""

import os
import pathlib
import re
import shutil
import struct
import subprocess

import engine

IMAGE_MAKER = os.environ.get('IMAGE_MAKER', 'image_maker')
TYPES = ('', 'platform', 'kernel', 'initrd', 'firmware', 'elf', 'device-tree', 'start')


def sections(path):
    """{name: (type, data)} of an image."""
    data = pathlib.Path(path).read_bytes()
    found = {}
    for i in range(struct.unpack_from('<I', data, 12)[0]):
        kind, offset, size, name = struct.unpack_from('<I4xQQ32x64s', data, 128 + 128 * i)
        found[name.rstrip(b'\0').decode()] = (kind, data[offset:offset + size])
    return found


class Case(engine.Case):
    def setUp(self):
        super().setUp()
        self.key, self.public = self.path('key'), self.path('key.pem')
        self.make_key(self.key, self.public)
        self.image = self.path('test.build/test.image')
        self.words = ['--key', self.public]
        self.environment.update(HOME=self.folder, XDG_CONFIG_HOME=self.path('config'))

    def path(self, name):
        return os.path.join(self.folder, name)

    def make_key(self, key, public):
        for words in (['genpkey', '-algorithm', 'ed25519', '-out', key], ['pkey', '-in', key, '-pubout', '-out', public]):
            subprocess.run(['openssl', *words], check=True, capture_output=True, timeout=engine.PATIENCE)

    def cli(self, *words):
        return subprocess.run([engine.BULKHEAD, *words], env=self.environment, cwd=self.folder, capture_output=True,
                              text=True, check=False, timeout=engine.PATIENCE, stdin=subprocess.DEVNULL)

    def sign(self, *words, rollback=3, definition=None):
        return self.cli('build', definition or self.definition, '--sign', self.key, '--rollback', str(rollback),
                        '--release', '2026.1', *words)

    def signed(self, *words, **options):
        result = self.sign(*words, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ''))

    def start_image(self):
        """`bulkhead run` with the image and self.words."""
        self.write('bulkhead', '#!/bin/sh\nshift\nexec "%s" run %s "$@"\n' %
                   (engine.BULKHEAD, ' '.join("'%s'" % word for word in self.words)))
        os.chmod(self.path('bulkhead'), 0o755)
        self.program, self.definition = self.path('bulkhead'), self.image
        return self.start()

    def run_image(self):
        """It runs, and is stopped."""
        run = self.start_image()
        run.wait_running()
        self.assertEqual(run.stop(), engine.OK, run.text())

    def refused(self, *texts):
        run = self.start_image()
        self.assertEqual(run.end(), engine.REFUSED, run.text())
        for text in texts:
            self.assertIn(text, run.text())
        self.assertNotIn(': runs (', run.text())

    def seen(self):
        return pathlib.Path(self.state, 'rollback').read_text(encoding='ascii')


class Build(Case):
    def test_image_holds_all_that_is_immutable(self):
        result = self.sign()
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertRegex(result.stdout, r'(?m)^  test\.image +\d+  what a vehicle runs, signed$')
        held = sections(self.image)
        self.assertEqual({name: TYPES[kind] for name, (kind, _) in held.items()},
                         {'platform': 'platform', 'a/kernel': 'kernel', 'a/device-tree': 'device-tree',
                          'a/start': 'start'})
        build = pathlib.Path(self.path('test.build'))
        self.assertEqual(held['a/kernel'][1], pathlib.Path(self.path('Image')).read_bytes())
        self.assertEqual(held['a/device-tree'][1], (build / 'a.dtb').read_bytes())
        self.assertEqual(held['a/start'][1], (build / 'a.start').read_bytes())
        self.assertNotIn(self.folder.encode(), pathlib.Path(self.image).read_bytes())

    def test_image_is_the_same_from_another_folder(self):
        self.signed()
        first = pathlib.Path(self.image).read_bytes()
        shutil.rmtree(self.path('test.build'))
        os.mkdir(self.path('elsewhere'))
        for name in ('platform.yaml', 'Image', 'a.img', 'fake_qemu'):
            shutil.move(self.path(name), self.path('elsewhere'))
        self.signed(definition=self.path('elsewhere/platform.yaml'))
        self.assertEqual(pathlib.Path(self.image).read_bytes(), first)

    def test_image_that_is_not_made(self):
        for words, status, text in (
                (['--sign', self.key], 2, '--rollback is missing'),
                (['--sign', self.key, '--rollback', '1'], 2, '--release is missing'),
                (['--rollback', '1', '--release', '1'], 2, '--sign is missing'),
                (['--sign', self.key, '--rollback', '-1', '--release', '1'], 2, "'-1'"),
                (['--sign', self.key, '--rollback', '18446744073709551616', '--release', '1'], 2, 'is no number'),
                (['--sign', self.key, '--rollback', '1', '--release', ''], 2, 'the release is empty'),
                (['--sign', self.key, '--rollback', '1', '--release', 'x' * 33], 2, 'longer than 32 bytes'),
                (['--sign', self.key, '--rollback', '1', '--release', 'a\nb'], 1, 'not printable'),
                (['--sign', self.public, '--rollback', '1', '--release', '1'], 1, 'public key'),
                (['--sign', self.path('none'), '--rollback', '1', '--release', '1'], 1, 'cannot be read')):
            result = self.cli('build', self.definition, *words)
            self.assertEqual(result.returncode, status, result.stderr)
            self.assertIn(text, result.stderr)
            self.assertFalse(os.path.exists(self.image))

    def test_image_that_every_run_would_refuse_is_not_made(self):
        text = pathlib.Path(self.definition).read_text(encoding='utf-8')
        self.write('platform.yaml', text.replace('    boot:', '    watchdog: { timeout: 2s }\n    boot:', 1))
        result = self.sign('-W', 'warning=engine-watchdog')
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn('no image is signed that every run refuses', result.stderr)
        self.assertFalse(os.path.exists(self.image))


class Run(Case):
    def test_image_runs_without_what_it_was_made_of(self):
        self.signed()
        os.mkdir(self.path('vehicle'))
        for name in ('a.img', 'fake_qemu'):
            shutil.move(self.path(name), self.path('vehicle'))
        shutil.move(self.image, self.path('vehicle'))
        self.image = self.path('vehicle/test.image')
        for name in ('platform.yaml', 'Image'):
            os.unlink(self.path(name))
        shutil.rmtree(self.path('test.build'))
        self.run_image()
        shutil.move(self.image, self.path('test.image'))
        self.image = self.path('test.image')
        self.refused('a.img')
        self.words += ['--root', self.path('vehicle')]
        self.run_image()

    def test_image_that_ran_is_the_oldest_that_runs(self):
        self.signed()
        self.words += ['--root', self.folder]
        self.run_image()
        self.assertEqual(self.seen(), '3\n')
        self.assertEqual(os.stat(self.state).st_mode & 0o7777, 0o700)
        self.definition = self.path('platform.yaml')
        self.signed(rollback=2)
        self.refused('older: its rollback index is 2, and an image with 3 has run here')
        self.definition = self.path('platform.yaml')
        self.signed(rollback=3)
        self.run_image()
        self.definition = self.path('platform.yaml')
        self.signed(rollback=12)
        self.run_image()
        self.assertEqual(self.seen(), '12\n')

    def test_image_that_did_not_start_is_not_noted(self):
        self.signed()
        self.words += ['--root', self.folder]
        os.rename(self.path('a.img'), self.path('b.img'))
        self.refused('a.img')
        self.assertFalse(os.path.exists(os.path.join(self.state, 'rollback')))

    def test_image_and_a_state_that_cannot_be_believed(self):
        self.signed()
        self.words += ['--root', self.folder]
        os.mkdir(self.state, 0o700)
        for name, text, said in (('rollback', 'three\n', 'damaged'), ('platform', 'cockpit\n', 'another platform'),
                                 ('rollback', '', 'damaged')):
            self.write('state/' + name, text)
            self.refused(said)
            os.unlink(os.path.join(self.state, name))
        os.chmod(self.state, 0o777)
        self.refused('go-w')

    def test_image_that_is_not_trusted(self):
        self.signed()
        self.words = []
        self.refused('nobody is trusted here')
        self.make_key(self.path('other'), self.path('other.pem'))
        self.words += ['--key', self.path('other.pem')]
        self.refused('foreign')
        self.words = ['--key', self.public]
        data = bytearray(pathlib.Path(self.image).read_bytes())
        data[-1] ^= 1
        pathlib.Path(self.image).write_bytes(data)
        self.refused('tampered')
        self.assertFalse(os.path.exists(self.state) and os.listdir(self.state))

    def test_definition_where_an_image_is_wanted(self):
        self.image = self.definition
        self.refused('no image of Bulkhead')
        self.words = ['--root', self.folder]
        run = self.start_image()
        self.assertEqual(run.end(), engine.USAGE, run.text())
        self.assertIn('--root is for images', run.text())

    def test_definition_on_a_host_that_trusts_a_key(self):
        script = ('mount -t tmpfs none /etc && mkdir -p /etc/bulkhead/keys && cp "$1" /etc/bulkhead/keys/ && '
                  'exec "$2" run "$3"')
        result = subprocess.run(['unshare', '-Urm', 'sh', '-c', script, 'sh', self.public, engine.BULKHEAD,
                                 self.definition], env=self.environment, capture_output=True, text=True, check=False,
                                timeout=engine.PATIENCE, stdin=subprocess.DEVNULL)
        self.assertEqual(result.returncode, engine.REFUSED, result.stderr)
        self.assertIn('this host runs no others, because there are keys in /etc/bulkhead/keys', result.stderr)


class Made(Case):
    """Images that the right key signed, and that `build` would never make."""

    def remake(self, change):
        """Takes the image apart, changes its sections, and signs it again."""
        held = sections(self.image)
        change(held)
        words = []
        for number, (name, (kind, data)) in enumerate(held.items()):
            self.write('section%d' % number, data)
            words.append('%d:%s:%s' % (kind, name, self.path('section%d' % number)))
        subprocess.run([IMAGE_MAKER, self.key, self.image, self.name, '1', '3', *words], check=True,
                       capture_output=True, timeout=engine.PATIENCE)

    def setUp(self):
        super().setUp()
        self.name = 'test'
        self.words += ['--root', self.folder]
        self.signed()

    def edit(self, old, new):
        def change(held):
            kind, text = held['platform']
            self.assertIn(old, text)
            held['platform'] = (kind, text.replace(old, new))
        return change

    def test_image_that_was_taken_apart_and_put_together(self):
        self.remake(lambda held: None)
        self.run_image()

    def test_image_of_parts_that_do_not_fit(self):
        for change, said in (
                (lambda held: held.pop('a/kernel'), 'a file that a guest boots is not in it'),
                (lambda held: held.pop('a/start'), 'built by another release of Bulkhead'),
                (lambda held: held.update({'a/device-tree': (6, held['a/device-tree'][1] + b'\0')}),
                 'derives for a/device-tree differs'),
                (lambda held: held.update({'a/start': (7, b'\0' * 64)}), 'derives for a/start differs'),
                (lambda held: held.update({'a/start': (6, held['a/start'][1])}), 'derives for a/start differs'),
                (lambda held: held.update({'a/kernel': (3, held['a/kernel'][1])}), 'a file that a guest boots'),
                (lambda held: held.update({'b/kernel': (2, b'more')}), 'sections that no guest uses'),
                (lambda held: held.pop('platform'), 'there is no definition in it'),
                (lambda held: held.update({'platform': (1, b'[]')}), 'no JSON object'),
                (lambda held: held.update({'platform': (1, b'bulkhead: 1\n')}), 'no JSON object'),
                (self.edit(b'"name": "test"', b'"name": "rest"'), 'another name than its header'),
                (self.edit(b'"a/kernel"', b'"/etc/passwd"'), 'a file that a guest boots'),
                (self.edit(b'"128M"', b'"256M"'), 'derives for a/device-tree differs'),
                (self.edit(b'"128M"', b'"127M"'), '[range]'),
                (self.edit(b'"128M"', b'128'), '[json]'),
                (self.edit(b'"bulkhead": "1",', b'"bulkhead": "1", "color": "red",'), 'color is no key')):
            self.definition = self.path('platform.yaml')
            self.signed()
            self.remake(change)
            self.refused(said)


if __name__ == '__main__':
    engine.main()
