#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`bulkhead image`: what it shows of platform images, and with which keys. And signing, with keys from files and on a
token in software (SoftHSM).

How each changed byte of an image is refused is not tested here: tests/unit/test_image*.c do.
"""

import os
import pathlib
import pty
import re
import select
import subprocess
import sys
import termios
import time

import cli

IMAGE_MAKER = os.environ.get('IMAGE_MAKER', 'image_maker')
MODULE = '/usr/lib/softhsm/libsofthsm2.so'
PIN, OFFICER_PIN = '270182', '31415926'


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=cli.PATIENCE,
                          stdin=subprocess.DEVNULL, **options)


class Case(cli.Case):
    def setUp(self):
        super().setUp()
        self.environment.update(HOME=self.folder, XDG_CONFIG_HOME=self.path('config'))
        self.environment.pop('SOFTHSM2_CONF', None)
        self.json = self.write('platform.json', '{"name":"cockpit"}\n')
        self.kernel = self.write('Image', 'kernel' * 1000)
        self.key = self.path('signing')
        self.public = self.path('signing.pem')
        self.make_key(self.key, self.public)
        self.image = self.path('cockpit.image')

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        path = pathlib.Path(self.path(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
        return str(path)

    def good(self, *words, **options):
        result = run(*words, **options)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result

    def make_key(self, path, public, *options):
        self.good('openssl', 'genpkey', '-algorithm', 'ed25519', '-out', path, *options)
        self.good('openssl', 'pkey', '-in', path, '-pubout', '-out', public,
                  *(['-passin', 'pass:secret'] if options else []))

    def make(self, key, image=None, rollback='7', **options):
        """Signs an image with `key`: a CompletedProcess."""
        return run(IMAGE_MAKER, key, image or self.image, 'cockpit', '2026.1', rollback, '1:platform:' + self.json,
                   '2:cluster/kernel:' + self.kernel, env=self.environment, **options)

    def made(self, key, **options):
        result = self.make(key, **options)
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        return self.image

    def not_made(self, key, *texts, **options):
        result = self.make(key, **options)
        self.assertEqual(result.returncode, 1)
        for text in texts:
            self.assertIn(text, result.stderr)
        self.assertRegex(result.stderr, r'\A[^\n]+; [^\n]+\n\Z')  # what is wrong; what to do
        self.assertFalse(os.path.exists(self.image))

    def on_terminal(self, key, typed):
        """Signs with a terminal of its own, on which `typed` is the answer: status and what was shown."""
        pid, fd = pty.fork()
        if pid == 0:
            try:
                os.execve(IMAGE_MAKER, [IMAGE_MAKER, key, self.image, 'cockpit', '1', '7', '1:platform:' + self.json],
                          self.environment)
            finally:
                os._exit(127)  # this is no test
        shown, answered, end = b'', False, time.monotonic() + cli.PATIENCE
        while time.monotonic() < end:
            if not select.select([fd], [], [], 1)[0]:
                continue
            try:
                data = os.read(fd, 4096)
            except OSError:
                data = b''
            if not data:
                break
            shown += data
            if not answered and re.search(rb'(PIN|Passphrase) of [^:]*: ', shown):
                # What is typed before the echo is off is shown on every terminal.
                cli.wait_until(lambda: not termios.tcgetattr(fd)[3] & termios.ECHO, 'echo off')
                os.write(fd, typed.encode() + b'\n')
                answered = True
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(fd)
        self.assertTrue(answered, shown)
        self.assertNotIn(typed.encode(), shown)
        return status, shown.decode()


class Show(Case):
    def setUp(self):
        super().setUp()
        self.made(self.key)

    def refused_image(self, result, *texts):
        self.assertEqual(result.returncode, 1)
        self.assertNotIn(': verified', result.stdout)
        for text in texts:
            self.assertIn(text, result.stderr)
        self.assertRegex(result.stderr, r'\Abulkhead: [^\n]+; [^\n]+\n\Z')

    def test_image_that_verifies(self):
        result = self.run_cli('image', '--key', self.public, self.image)
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertTrue(result.stdout.startswith(self.image + ': verified\n'))
        for text in (r'platform +cockpit', r'release +2026\.1', r'rollback index +7', r'size +16384 bytes',
                     r'key +[0-9a-f]{32} \(%s\)' % re.escape(self.public), r'platform +platform +19  ',
                     r'cluster/kernel +kernel +6000  [0-9a-f]{16}\.\.\.'):
            self.assertRegex(result.stdout, r'(?m)^  %s' % text)

    def test_image_verifies_with_a_key_in_its_folder(self):
        self.refused_image(self.run_cli('image', self.image), 'nobody is trusted here', '--key')
        self.write('config/bulkhead/keys/plant.pem', pathlib.Path(self.public).read_text(encoding='utf-8'))
        self.assertEqual(self.run_cli('image', self.image).returncode, 0)
        del self.environment['XDG_CONFIG_HOME']
        self.refused_image(self.run_cli('image', self.image), 'nobody is trusted here')
        self.write('.config/bulkhead/keys/plant.pem', pathlib.Path(self.public).read_text(encoding='utf-8'))
        self.assertEqual(self.run_cli('image', self.image).returncode, 0)

    def test_image_that_is_foreign_says_what_it_is(self):
        self.make_key(self.path('other'), self.path('other.pem'))
        result = self.run_cli('image', '--key', self.path('other.pem'), self.image)
        self.refused_image(result, 'foreign', 'which is not trusted here')
        self.assertIn('REFUSED; nobody vouches', result.stdout)
        self.assertRegex(result.stdout, r'(?m)^  platform +cockpit')

    def test_image_that_was_tampered_with(self):
        data = bytearray(pathlib.Path(self.image).read_bytes())
        data[8200] ^= 1
        pathlib.Path(self.image).write_bytes(data)
        self.refused_image(self.run_cli('image', '--key', self.public, self.image), 'tampered: section cluster/kernel')
        data[60] ^= 1
        pathlib.Path(self.image).write_bytes(data)
        self.refused_image(self.run_cli('image', '--key', self.public, self.image), 'tampered: the signature')

    def test_image_that_is_none(self):
        result = self.run_cli('image', '--key', self.public, self.json)
        self.refused_image(result, 'no image of Bulkhead')
        self.assertEqual(result.stdout, '')
        self.refused_image(self.run_cli('image', '--key', self.public, self.path('none')), 'cannot be opened')
        self.refused_image(self.run_cli('image', '--key', self.key, self.image), 'this is a private key')


class Sign(Case):
    def test_image_signed_twice_is_the_same(self):
        first = pathlib.Path(self.made(self.key)).read_bytes()
        self.assertEqual(pathlib.Path(self.made(self.key)).read_bytes(), first)
        self.assertEqual(os.listdir(self.folder).count('cockpit.image'), 1)
        self.assertFalse([name for name in os.listdir(self.folder) if name.endswith('.new')])

    def test_image_signed_with_an_encrypted_key_needs_a_terminal(self):
        self.make_key(self.key, self.public, '-aes256', '-pass', 'pass:secret')
        self.not_made(self.key, 'this key is encrypted', 'no terminal', start_new_session=True)

    def test_image_signed_with_an_encrypted_key(self):
        self.make_key(self.key, self.public, '-aes256', '-pass', 'pass:secret')
        status, shown = self.on_terminal(self.key, 'wrongpass')
        self.assertEqual(status, 1)
        self.assertIn('the passphrase is not that of this key', shown)
        self.assertEqual(self.on_terminal(self.key, 'secret')[0], 0)
        self.assertEqual(self.run_cli('image', '--key', self.public, self.image).returncode, 0)


class Token(Case):
    """A token in software."""

    def setUp(self):
        super().setUp()
        os.mkdir(self.path('tokens'))
        self.environment['SOFTHSM2_CONF'] = self.write(
            'softhsm2.conf', 'directories.tokendir = %s\nobjectstore.backend = file\nlog.level = ERROR\n' %
            self.path('tokens'))
        self.pin = self.write('pin', PIN + '\n')
        self.make_token('build keys')
        self.import_key('build keys', self.key, 'release', 'a1')
        self.uri = 'pkcs11:token=build%%20keys;object=release?module-path=%s' % MODULE
        self.with_pin = '%s&pin-source=%s' % (self.uri, self.pin)

    def make_token(self, label):
        self.good('softhsm2-util', '--init-token', '--free', '--label', label, '--pin', PIN, '--so-pin', OFFICER_PIN,
                  env=self.environment)

    def import_key(self, token, key, label, number):
        self.good('softhsm2-util', '--import', key, '--token', token, '--label', label, '--id', number, '--pin', PIN,
                  env=self.environment)

    def tool(self, *words):
        return self.good('pkcs11-tool', '--module', MODULE, '--login', '--pin', PIN, '--token-label', 'build keys',
                         *words, env=self.environment)

    def test_image_signed_by_a_token_is_that_of_the_same_key_in_a_file(self):
        by_file = pathlib.Path(self.made(self.key)).read_bytes()
        for query in ('&pin-source=' + self.pin, '&pin-source=file:' + self.pin, '&pin-value=' + PIN):
            os.unlink(self.image)
            self.assertEqual(pathlib.Path(self.made(self.uri + query)).read_bytes(), by_file)
        os.unlink(self.image)
        named = 'pkcs11:id=%%a1;manufacturer=SoftHSM%%20project;type=private?module-path=%s&pin-value=%s' % (MODULE, PIN)
        self.assertEqual(pathlib.Path(self.made(named)).read_bytes(), by_file)
        self.assertEqual(self.run_cli('image', '--key', self.public, self.image).returncode, 0)

    def test_image_signed_by_a_key_that_never_left_its_token(self):
        self.tool('--keypairgen', '--key-type', 'EC:edwards25519', '--id', 'b2', '--label', 'born here')
        self.tool('--read-object', '--type', 'pubkey', '--id', 'b2', '-o', self.path('born.pem'))
        self.made(self.with_pin.replace('object=release', 'object=born%20here'))
        self.assertEqual(self.run_cli('image', '--key', self.path('born.pem'), self.image).returncode, 0)
        self.assertIn('foreign', self.run_cli('image', '--key', self.public, self.image).stderr)

    def test_image_signed_by_a_key_that_asks_for_each_signature(self):
        self.tool('--keypairgen', '--key-type', 'EC:edwards25519', '--id', 'b3', '--label', 'careful', '--always-auth')
        self.tool('--read-object', '--type', 'pubkey', '--id', 'b3', '-o', self.path('careful.pem'))
        self.made(self.with_pin.replace('object=release', 'object=careful'))
        self.assertEqual(self.run_cli('image', '--key', self.path('careful.pem'), self.image).returncode, 0)

    def test_image_signed_through_the_modules_of_the_host(self):
        # p11-kit knows SoftHSM from its package.
        self.made('pkcs11:token=build%%20keys;object=release?pin-value=%s' % PIN)
        self.assertEqual(self.run_cli('image', '--key', self.public, self.image).returncode, 0)

    def test_image_token_asks_for_its_pin(self):
        self.assertEqual(self.on_terminal(self.uri, PIN)[0], 0)
        os.unlink(self.image)
        status, shown = self.on_terminal(self.uri, '99999999')
        self.assertEqual(status, 1)
        self.assertIn('the PIN is wrong', shown)
        self.not_made(self.uri, 'no terminal to ask for the PIN', 'pin-source', start_new_session=True)

    def test_image_token_that_does_not_sign(self):
        for key, text in ((self.uri + '&pin-value=000000', 'the PIN is wrong'),
                          (self.uri + '&pin-source=' + self.path('none'), 'no PIN can be read'),
                          (self.uri + '&pin-source=' + self.write('empty', '\n' + PIN), 'does not begin with one'),
                          (self.with_pin.replace('build', 'bulid'), 'no token is what'),
                          (self.with_pin.replace('release', 'relaese'), 'no private Ed25519 key'),
                          (self.with_pin.replace('object=release', 'id=%a2'), 'no private Ed25519 key'),
                          (self.with_pin.replace(MODULE, '/none.so'), '/none.so: the PKCS #11 module')):
            self.not_made(key, text)
            self.assertNotIn('000000', self.make(key).stderr)

    def test_image_token_must_be_one(self):
        self.make_token('other keys')
        self.import_key('build keys', self.key, 'release', 'a2')
        self.not_made(self.with_pin, 'more than one private Ed25519 key')
        self.not_made(self.with_pin.replace('token=build%20keys;', ''), 'more than one token')
        self.made(self.with_pin.replace('object=release', 'object=release;id=%A2'))

    def test_image_token_with_the_public_key_of_another(self):
        self.tool('--delete-object', '--type', 'pubkey', '--id', 'a1')
        self.not_made(self.with_pin, 'the public key that belongs to the private one')
        self.make_key(self.path('other'), self.path('other.pem'))
        self.import_key('build keys', self.path('other'), 'other', 'a7')
        self.tool('--delete-object', '--type', 'privkey', '--id', 'a7')
        self.tool('--set-id', 'a1', '--type', 'pubkey', '--id', 'a7')
        self.not_made(self.with_pin, 'are not a pair')


if __name__ == '__main__':
    for tool in ('openssl', 'softhsm2-util', 'pkcs11-tool'):
        if run('sh', '-c', 'command -v ' + tool).returncode != 0:
            sys.exit('Bail out! %s is missing: run tools/setup.sh' % tool)
    cli.main()
