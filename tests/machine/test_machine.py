#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Guests of a few instructions on every QEMU that is here: how they start, and how they end.

The guest prints `hello` on its UART and waits: for the power key or an `o`, upon which it turns itself off, or for an
`r`, upon which it resets itself.  Beside it the program of guest/hello, which looks at the whole machine of layout v1,
and the first sector of a disk.  BULKHEAD_QEMU, folders with QEMU's programs, separated by colons, adds to the search
path's QEMU.
"""

import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'tools'))
sys.dont_write_bytecode = True

import tap  # noqa: E402  (found through the lines above)

MACHINE = os.environ.get('BULKHEAD_ENGINE_MACHINE', 'engine-machine')
DAEMONS = os.environ.get('BULKHEAD_DAEMONS', '')
BULKHEAD = os.environ.get('BULKHEAD', 'bulkhead')
HELLO = pathlib.Path(__file__).resolve().parent.parent.parent / 'guest' / 'hello'
PATIENCE = 60
GUEST = 'g%d' % os.getpid()  # others may run the same test on this machine

# The header of an arm64 Image (Linux Documentation/arch/arm64/booting): branch, offset, size, flags, magic.
ARM_HEADER = struct.pack('<IIQQQ24x4sI', 0x14000010, 0, 0, 0x1000, 0xa, b'ARM\x64', 0)
ARM_CODE = [
    0xd2a12001,  # start: mov  x1, #0x09000000   the UART
    0x52806023,  #        mov  w3, #0x301
    0xb9003023,  #        str  w3, [x1, #0x30]   on
    0xd2a12065,  #        mov  x5, #0x09030000   the GPIO with the power key
    0x10000282,  #        adr  x2, text
    0x38401443,  # print: ldrb w3, [x2], #1
    0x34000063,  #        cbz  w3, wait
    0xb9000023,  #        str  w3, [x1]
    0x17fffffd,  #        b    print
    0xb94020a3,  # wait:  ldr  w3, [x5, #0x20]   line 3
    0x35000163,  #        cbnz w3, off
    0xb9401823,  #        ldr  w3, [x1, #0x18]
    0x3727ffa3,  #        tbnz w3, #4, wait      nothing received
    0xb9400023,  #        ldr  w3, [x1]
    0x7101bc7f,  #        cmp  w3, #'o'
    0x540000c0,  #        b.eq off
    0x7101c87f,  #        cmp  w3, #'r'
    0x54ffff01,  #        b.ne wait
    0x52b08000,  #        mov  w0, #0x84000000
    0x11002400,  #        add  w0, w0, #9        PSCI SYSTEM_RESET
    0xd4000002,  #        hvc  #0
    0x52b08000,  # off:   mov  w0, #0x84000000
    0x11002000,  #        add  w0, w0, #8        PSCI SYSTEM_OFF
    0xd4000002,  #        hvc  #0
]
ARM_GUEST = (ARM_HEADER + struct.pack('<%dI' % len(ARM_CODE), *ARM_CODE) + b'hello\n\0').ljust(4096, b'\0')
NO_OPERATION = 0xd503201f

# QEMU gives firmware its power key through ACPI, and there is no GPIO then.
ARM_FIRMWARE = ARM_GUEST.replace(struct.pack('<II', 0xb94020a3, 0x35000163), struct.pack('<II', *[NO_OPERATION] * 2))

# Firmware of a PC, 64 KiB, in real mode: prints, waits for an `r`, and resets by port 0xcf9.
PC_CODE = bytes([
    0xbe, 0x00, 0x01,        # start: mov si, 0x100
    0xba, 0xf8, 0x03,        #        mov dx, 0x3f8
    0x2e, 0xac,              # print: cs lodsb
    0x84, 0xc0,              #        test al, al
    0x74, 0x03,              #        jz wait
    0xee,                    #        out dx, al
    0xeb, 0xf7,              #        jmp print
    0xba, 0xfd, 0x03,        # wait:  mov dx, 0x3fd
    0xec,                    #        in al, dx
    0xa8, 0x01,              #        test al, 1
    0x74, 0xf8,              #        jz wait
    0xba, 0xf8, 0x03,        #        mov dx, 0x3f8
    0xec,                    #        in al, dx
    0x3c, 0x72,              #        cmp al, 'r'
    0x75, 0xf0,              #        jne wait
    0xba, 0xf9, 0x0c,        #        mov dx, 0xcf9
    0xb0, 0x06,              #        mov al, 6
    0xee,                    #        out dx, al
    0xeb, 0xfe,              #        jmp here
])


def pc_firmware():
    image = bytearray(65536)
    image[0:len(PC_CODE)] = PC_CODE
    image[0x100:0x107] = b'hello\n\0'
    image[0xfff0:0xfff5] = bytes([0xea, 0x00, 0x00, 0x00, 0xf0])  # jmp f000:0000
    return bytes(image)


# The first sector of a disk: prints, waits for an `r`, and resets, as above.
BOOT_SECTOR = (PC_CODE.replace(bytes([0xbe, 0x00, 0x01]), bytes([0xbe, 0x80, 0x7c])).replace(bytes([0x2e, 0xac]), b'\xac\x90')
               .ljust(128, b'\0') + b'hello\n\0').ljust(510, b'\0') + b'\x55\xaa'

WINDOWS = '''
      root: { type: blk, resource: disk, window: 8M }
      random: { type: rng, resource: entropy, window: 8M }
'''
OPEN = '''
      root: { type: blk, resource: disk, isolation: open }
      random: { type: rng, resource: entropy, isolation: open }
'''
DEFINITION = '''
bulkhead: 1
name: trial
engine: {{ qemu: "{qemu}" }}
resources:
  disk: {{ type: disk, image: disk }}
  entropy: {{ type: entropy }}
guests:
  {guest}:
    arch: {arch}
    cpus: 2
    memory: 64M
    boot: {boot}
    {more}
    devices:{devices}
policy:
  - {{ guest: {guest}, resource: disk, allow: [read, write, flush] }}
  - {{ guest: {guest}, resource: entropy, allow: [read] }}
'''

KERNEL = '{ kernel: guest, command-line: "console=ttyAMA0" }'
FIRMWARE = '{ firmware: guest }'


class Run:
    """A guest that runs in engine-machine. Its words, line by line, are in `lines`."""

    def __init__(self, folder, qemu, image=ARM_GUEST, arch='arm64', boot=KERNEL, devices=WINDOWS, more='', disk=b'',
                 definition=None):
        path = pathlib.Path(folder, 'definition.yaml')
        text = definition or DEFINITION.format(guest=GUEST, qemu=qemu, arch=arch, boot=boot, devices=devices, more=more)
        path.write_text(text, encoding='utf-8')
        pathlib.Path(folder, 'guest').write_bytes(image)
        pathlib.Path(folder, 'disk').write_bytes(disk.ljust(1 << 20, b'\0'))
        self.log = open(os.path.join(folder, 'log'), 'w+', encoding='utf-8')
        self.process = subprocess.Popen([MACHINE, str(path), DAEMONS], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log, text=True)
        self.lines = []
        self.watchdog = threading.Timer(PATIENCE, self.process.kill)
        self.watchdog.start()

    def wait(self, begin):
        """Reads lines up to one that begins so."""
        for line in self.process.stdout:
            self.lines.append(line.rstrip())
            if line.startswith(begin):
                return line.rstrip()
        raise AssertionError('no line %r in %r\n%s' % (begin, self.lines, self.said()))

    def do(self, command):
        self.process.stdin.write(command)
        self.process.stdin.flush()

    def said(self):
        self.log.flush()
        self.log.seek(0)
        return self.log.read()

    def rest(self):
        """Waits for the end; everything that was said, and the events alone."""
        self.lines += self.process.stdout.read().splitlines()
        self.process.wait()
        return [line for line in self.lines if line.startswith('event')]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.watchdog.cancel()
        self.process.stdin.close()
        self.process.stdout.close()
        self.log.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, qemu, **how):
        run = Run(self.folder, qemu, **how)
        self.addCleanup(run.close)
        return run

    def program(self, text):
        """A program that is not QEMU."""
        path = pathlib.Path(self.folder, 'program')
        path.write_text('#!/bin/sh\n' + text, encoding='utf-8')
        path.chmod(0o755)
        return path


class EveryQemu:
    """The cases; each subclass has a folder with QEMU's programs."""

    folder_of_qemu = ''

    def arm(self, **how):
        run = self.start(self.folder_of_qemu + '/qemu-system-aarch64', **how)
        run.wait('hello')
        if not any(line.startswith('event running') for line in run.lines):
            run.wait('event running')
        return run

    def expect_end(self, run, *events):
        self.assertEqual(run.rest(), ['event running 0'] + list(events), run.said())
        self.assertEqual(run.lines[-1], 'over')
        self.assertEqual(run.process.returncode, 0)

    def test_power_key(self):
        run = self.arm()
        run.do('s')
        self.expect_end(run, 'event powered-off 0', 'event ended 0')

    def test_guest_turns_itself_off(self):
        run = self.arm()
        run.do('o')
        self.expect_end(run, 'event powered-off 0', 'event ended 0')

    def test_guest_resets_itself(self):
        run = self.arm()
        run.do('r')
        self.expect_end(run, 'event reset 0', 'event ended 0')

    def test_guest_resets_itself_and_goes_on(self):
        run = self.arm(more='on-reset: restart')
        for _ in range(3):
            run.do('r')
            run.wait('hello')
        run.do('o')
        self.expect_end(run, *['event reset 0'] * 3, 'event powered-off 0', 'event ended 0')

    def test_end(self):
        run = self.arm()
        run.do('e')
        self.expect_end(run, 'event ended 0')

    def test_killed(self):
        run = self.arm()
        run.do('k')
        self.expect_end(run, 'event failed 0 QEMU was ended by signal 9 (Killed)', 'event ended -9')

    def test_back_ends_killed(self):
        """The guest goes on, and the engine ends when it is told to. No failure of its own is told, which would hide whose
        fault it was; QEMU 11.1 ends with a failed assertion then."""
        run = self.arm()
        run.do('b')
        run.wait('backend')
        run.do('e')
        events = run.rest()
        self.assertEqual(events[:-1], ['event running 0'])
        self.assertRegex(events[-1], r'^event ended -?[0-9]+$')

    def engines(self):
        """The pids of engines that run this test's guest."""
        return subprocess.run(['pgrep', '-f', '--', '-name guest=' + GUEST + ' '], stdout=subprocess.PIPE, text=True,
                              check=False).stdout.split()

    def test_descriptors(self):
        """The guest's own memory and images, none of which can be executed; nothing of its back ends."""
        run = self.arm()
        folder = '/proc/%s/fd' % self.engines()[0]
        files = {}
        for number in os.listdir(folder):
            name = os.readlink(os.path.join(folder, number))
            if name.startswith('/') and not name.startswith(('/dev/null', '/usr/', os.path.dirname(self.folder_of_qemu))):
                files[name.removesuffix(' (deleted)')] = os.stat(os.path.join(folder, number)).st_mode
        files = {name: mode for name, mode in files.items() if not name.endswith('/log') and 'inflight' not in name}
        self.assertEqual(sorted(files), sorted(['/memfd:region', '/memfd:device-tree', '/memfd:start',
                                                os.path.join(self.folder, 'guest')]))
        if tuple(map(int, os.uname().release.split('.')[:2])) >= (6, 3):
            self.assertEqual([name for name in files if name.startswith(('/memfd:device', '/memfd:start'))
                              and files[name] & 0o111], [])
        run.do('o')
        self.expect_end(run, 'event powered-off 0', 'event ended 0')

    def test_supervisor_killed(self):
        run = self.arm()
        self.assertEqual(len(self.engines()), 1)
        run.process.send_signal(signal.SIGKILL)
        run.process.wait()
        for _ in range(PATIENCE * 10):
            if not self.engines():
                return
            threading.Event().wait(0.1)
        self.fail('left behind: %r' % self.engines())

    def test_open_guest(self):
        run = self.arm(devices=OPEN)
        run.do('s')
        self.expect_end(run, 'event powered-off 0', 'event ended 0')

    def test_firmware(self):
        run = self.arm(image=ARM_FIRMWARE, boot=FIRMWARE, devices=OPEN)
        run.do('o')
        self.expect_end(run, 'event powered-off 0', 'event ended 0')

    def hello(self, change=lambda text: text, folder='hello'):
        """What the program of guest/hello says, built for its definition as it is changed."""
        folder = pathlib.Path(self.folder, folder)
        shutil.copytree(HELLO, folder)
        text = change((HELLO / 'platform.yaml').read_text(encoding='utf-8'))
        text = text.replace('resources:', 'engine: { qemu: "%s/qemu-system-aarch64" }\nresources:' % self.folder_of_qemu)
        (folder / 'platform.yaml').write_text(text, encoding='utf-8')
        made = subprocess.run(['make', '-s', '-C', str(folder), 'BULKHEAD=' + BULKHEAD], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        self.assertEqual(made.returncode, 0, made.stdout)
        run = self.start('', definition=text.replace('hello.elf', str(folder / 'hello.elf')))
        self.expect_end(run, 'event powered-off 0', 'event ended 0')
        return run.lines[run.lines.index('hello from a guest without an operating system'):]

    # [BH-LAY-1, BH-LAY-2, BH-LAY-3, BH-LAY-4, BH-LAY-5, BH-LAY-7, BH-LAY-8] [BH-LAY-9, BH-LAY-12, BH-LAY-14]
    # [BH-LAY-16, BH-LAY-17, BH-LAY-18]
    def test_program_finds_its_machine(self):
        said = self.hello()
        self.assertIn('all is where the header says', said)
        self.assertIn('random: 0x00000004', said)

    # [BH-LAY-6]
    def test_program_finds_every_slot(self):
        """The first and the last slot, and what is far from where the device would be by itself."""
        for slot in 0, 17, 31:
            said = self.hello(lambda text, n=slot: text.replace('slot: 5', 'slot: %d' % n), 'slot%d' % slot)
            self.assertIn('all is where the header says', said)

    # [BH-LAY-11]
    def test_program_without_what_is_left_out(self):
        """A device before it that this version has no back end for: its window and slot stay free, and nothing moves."""
        said = self.hello(lambda text: text.replace('resources:', 'resources:\n  eye: { type: camera, device: /dev/video0 }').replace(
            'devices:', 'devices:\n      front: { type: camera, resource: eye, window: 1M, optional: true }').replace(
            'slot: 5', 'slot: 1').replace('policy:', 'policy:\n  - { guest: hello, resource: eye, allow: [capture] }'))
        self.assertIn('all is where the header says', said)

    def test_pc_boots_from_a_disk(self):
        """The second of two disks, by QEMU's own firmware."""
        devices = '''
      other: { type: blk, resource: other, isolation: open }
      root: { type: blk, resource: disk, isolation: open }
'''
        text = DEFINITION.format(guest=GUEST, qemu=self.folder_of_qemu + '/qemu-system-x86_64', arch='x86_64',
                                 boot='{ disk: root }', devices=devices, more='')
        pathlib.Path(self.folder, 'other').write_bytes(bytes(1 << 20))
        text = text.replace('  entropy: { type: entropy }', '  other: { type: disk, image: other }').replace(
            'resource: entropy', 'resource: other')
        run = self.start('', disk=BOOT_SECTOR, definition=text)
        run.wait('hello')
        run.do('r')
        self.expect_end(run, 'event reset 0', 'event ended 0')

    def test_pc(self):
        run = self.start(self.folder_of_qemu + '/qemu-system-x86_64', image=pc_firmware(), arch='x86_64', boot=FIRMWARE,
                         devices=OPEN)
        run.wait('hello')
        run.do('r')
        self.expect_end(run, 'event reset 0', 'event ended 0')


class Refused(Case):
    """What is no QEMU, or none that will do."""

    def expect_refused(self, qemu, *texts, **how):
        run = self.start(qemu, **how)
        run.rest()
        said = '\n'.join(run.lines)
        self.assertEqual(run.process.returncode, 1, said)
        for text in texts:
            self.assertIn(text, said)

    def test_none(self):
        self.expect_refused('/nowhere/qemu-system-aarch64', 'there is no /nowhere/qemu-system-aarch64',
                            'apt install qemu-system-arm')

    def test_not_executable(self):
        self.expect_refused('/etc/passwd', '/etc/passwd may not be executed')

    def test_not_qemu(self):
        self.expect_refused('/bin/true', "/bin/true is not QEMU: --version gives 'true")
        self.expect_refused(self.program('exit 1'), 'is not QEMU')
        self.expect_refused(self.program('head -c 3000 /dev/urandom'), 'is not QEMU')
        self.expect_refused(self.program('echo QEMU emulator version eleven'), 'is not QEMU')
        self.expect_refused(self.program('echo QEMU emulator version 99999999999999.1'), 'is not QEMU')

    def test_hangs(self):
        self.expect_refused(self.program('sleep 1000'), '--version does not end')

    def test_too_old(self):
        self.expect_refused(self.program('echo QEMU emulator version 7.1.9'), 'is QEMU 7.1, which is too old')

    def test_console_on_an_old_one(self):
        self.expect_refused(self.program('echo QEMU emulator version 10.1.0'), 'QEMU 10.1', 'console',
                            'install QEMU 10.2', devices='\n      shell: { type: console, window: 1M }\n')

    def test_of_another_architecture(self):
        self.expect_refused('/usr/bin/qemu-system-x86_64',
                            'guest %s is arm64, which qemu-system-x86_64 does not run' % GUEST)

    def test_fails_at_start(self):
        run = self.start(self.program('[ "$1" = --version ] && exec echo QEMU emulator version 11.1.2\nexit 3\n'))
        self.assertEqual(run.rest(), ['event failed 0 QEMU ended by itself with exit code 3', 'event ended 3'])

    def test_opens_only_what_it_needs(self):
        elsewhere = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, elsewhere)
        secret = pathlib.Path(elsewhere, 'secret')
        secret.write_text('secret', encoding='utf-8')
        run = self.start(self.program(
            '[ "$1" = --version ] && exec echo QEMU emulator version 11.1.2\n'
            'for folder in %s "${0%%/*}"; do (: > "$folder/new") && exit 4; done\n'
            'cat %s && exit 5\ncat "$0" && exit 3\n' % (elsewhere, secret)))
        events = run.rest()
        if 'without Landlock' in run.said():
            self.skipTest('no Landlock')
        self.assertEqual(events, ['event failed 0 QEMU ended by itself with exit code 3', 'event ended 3'], run.said())
        self.assertEqual(os.listdir(elsewhere), ['secret'])

    def test_speaks_nonsense(self):
        run = self.start(self.program(
            '[ "$1" = --version ] && exec echo QEMU emulator version 11.1.2\necho hm >&3\nexec sleep 1000\n'))
        self.assertEqual(run.rest(), [
            "event failed 0 QEMU's control connection is broken: it sends what is no JSON object", 'event ended -9'])


def add_cases():
    """A class of cases for each QEMU."""
    found = shutil.which('qemu-system-aarch64')
    folders = [os.path.dirname(found)] if found else []
    folders += [folder for folder in os.environ.get('BULKHEAD_QEMU', '').split(':') if folder]
    for number, folder in enumerate(folders):
        name = 'Qemu%d' % number
        globals()[name] = type(name, (EveryQemu, Case), {'folder_of_qemu': folder})


add_cases()

if __name__ == '__main__':
    tap.main()
