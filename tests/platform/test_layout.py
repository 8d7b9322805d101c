#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `bulkhead build` writes for a guest with layout v1: device tree, C header, and that both say the same.

The definitions are the examples, with images that are only looked at, and others made at random from a fixed seed: all
types of devices, left out or not, with slots that are written or not. No guest is started; tests/machine does.
"""

import filecmp
import itertools
import json
import os
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / 'tests' / 'tools'))
sys.dont_write_bytecode = True

import tap  # noqa: E402  (found through the lines above)

BULKHEAD = os.path.abspath(os.environ['BULKHEAD'])
GENERATED = 24
SEED = 20260303

# The header of an arm64 Image (Linux Documentation/arch/arm64/booting), of a kernel of 8 MiB.
KERNEL = struct.pack('<IIQQQ24x4sI', 0, 0, 0, 8 << 20, 0xa, b'ARM\x64', 0)

# One segment at 0x40400000, and its entry.
ELF = struct.pack('<4sBBB9xHHIQQQIHHHHHH', b'\x7fELF', 2, 1, 1, 2, 183, 1, 0x40400000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
ELF += struct.pack('<IIQQQQQQ', 1, 5, 120, 0x40400000, 0x40400000, 4, 4096, 4) + bytes(4)

# Every check of dtc, those that are off by default too: each is an error.
DTC_CHECKS = '''duplicate_node_names duplicate_property_names node_name_chars node_name_chars_strict property_name_chars
    property_name_chars_strict node_name_format unit_address_vs_reg node_name_vs_property_name duplicate_label
    explicit_phandles phandle_references path_references name_is_string name_properties address_cells_is_cell
    size_cells_is_cell device_type_is_string model_is_string status_is_string label_is_string compatible_is_string_list
    names_is_string_list reg_format ranges_format dma_ranges_format addr_size_cells unit_address_format
    unique_unit_address unique_unit_address_if_enabled simple_bus_reg avoid_default_addr_size
    avoid_unnecessary_addr_size alias_paths chosen_node_is_root chosen_node_bootargs chosen_node_stdout_path
    clocks_property interrupts_extended_property interrupts_property interrupt_provider gpios_property
    graph_nodes'''.split()

# Type of a device, type of its resource with what else that needs, an operation; those with a back end first.
DEVICES = [
    ('blk', '{ type: disk, image: disk%d }', 'read'),
    ('rng', '{ type: entropy }', 'read'),
    ('console', None, None),
    ('net', '{ type: net, interface: tap%d }', 'send'),
    ('can', '{ type: can, bus: virtual }', 'receive'),
    ('camera', '{ type: camera, device: /dev/video%d }', 'capture'),
]

# C99, and its warnings; the second is another width of a pointer.
COMPILERS = ['aarch64-linux-gnu-gcc', 'arm-none-eabi-gcc']
WARNINGS = '-std=c99 -pedantic -ffreestanding -Wall -Wextra -Wconversion -Wsign-conversion -Wundef -Werror'.split()


# ---------------------------------------------------------------------------------------------------------- definitions

class Definition:
    """One in a folder of its own, with images that are there."""

    def __init__(self, folder, text):
        self.folder = folder
        self.path = folder / 'platform.yaml'
        folder.mkdir(parents=True)
        self.path.write_text(text, encoding='utf-8')
        self.make_images(text)

    def make_images(self, text):
        for key, name in re.findall(r'(kernel|initrd|elf|firmware|image): +([^\s,}]+)', text):
            image = self.folder / name
            image.parent.mkdir(exist_ok=True)
            image.write_bytes({'kernel': KERNEL, 'elf': ELF}.get(key, bytes(4096)))

    def guests(self):
        """The names of its guests, and of those with layout v1: arm64, and no firmware."""
        guests = json.loads((self.folder / 'out' / 'platform.json').read_text(encoding='utf-8'))['guests']
        return list(guests), [name for name, guest in guests.items()
                              if guest['arch'] == 'arm64' and guest['boot']['firmware'] is None]

    def build(self, to):
        run = subprocess.run([BULKHEAD, 'build', str(self.path), '--output', str(to)], capture_output=True, text=True,
                             timeout=60, check=False)
        return run.returncode, run.stdout + run.stderr


def some_device(chance, number, resources, policy, guest):
    """A device with its resource, written into the other parts: its line."""
    kind, resource, operation = chance.choice(DEVICES)
    name = chance.choice(['dev', 'x-window', 'base', 'a-b']) + '-%d' % number
    line = '      %s: { type: %s' % (name, kind)
    if resource:
        key = 'r-%s-%d' % (guest, number)
        resources.append('  %s: %s' % (key, resource % len(resources) if '%' in resource else resource))
        policy.append('  - { guest: %s, resource: %s, allow: [%s] }' % (guest, key, operation))
        line += ', resource: ' + key
    if kind in ('net', 'can', 'camera'):
        line += ', optional: true'
    if chance.random() < 0.3:
        line += ', slot: %d' % (31 - number)
    if chance.random() < 0.1:
        line += ', isolation: open'
    elif chance.random() < 0.5:
        line += ', window: %dM' % chance.randint(2, 40)
    return line + ' }'


def some_definition(number):
    chance = random.Random(SEED + number)
    resources, policy, guests = [], [], []
    for n in range(chance.randint(1, 4)):
        guest = 'g%d%s' % (n, chance.choice(['', '-x', '-window', '-' + 'y' * 20]))
        boot = chance.choice(['kernel: Image', 'kernel: Image, initrd: initrd, command-line: a=b', 'elf: rtos.elf'])
        devices = [some_device(chance, i, resources, policy, guest) for i in range(chance.randint(0, 15))]
        guests += ['  %s:' % guest, '    arch: arm64', '    cpus: %d' % chance.randint(1, 8),
                   '    criticality: ' + chance.choice(['QM', 'ASIL-A', 'ASIL-D']),
                   '    memory: %dM' % (2 * chance.randint(64, 3000)), '    boot: { %s }' % boot]
        guests += ['    devices:', *devices] if devices else []
    guests += ['  pc:', '    arch: x86_64', '    memory: 64M', '    boot: { kernel: bzImage }']
    parts = ['bulkhead: 1', 'name: car-%d' % number]
    parts += ['resources:', *resources] if resources else []
    parts += ['guests:', *guests]
    parts += ['policy:', *policy] if policy else []
    return '\n'.join(parts) + '\n'


# ---------------------------------------------------------------------------------------------------------- device tree

def read_tree(data):
    """{path: {property: bytes}} of a flattened device tree."""
    _, _, at, strings = struct.unpack_from('>4I', data)
    nodes, path = {}, []
    while True:
        token, = struct.unpack_from('>I', data, at)
        at += 4
        if token == 1:  # a node begins
            end = data.index(0, at)
            path.append(data[at:end].decode())
            nodes['/'.join(path) or '/'] = {}
            at = (end + 4) & ~3
        elif token == 2:
            path.pop()
        elif token == 3:
            length, offset = struct.unpack_from('>II', data, at)
            name = data[strings + offset:data.index(0, strings + offset)].decode()
            nodes['/'.join(path) or '/'][name] = data[at + 8:at + 8 + length]
            at = (at + 8 + length + 3) & ~3
        elif token == 9:
            return nodes


def words(value):
    return struct.unpack('>%dI' % (len(value) // 4), value)


def ranges(value):
    """Pairs of address and size, two cells each."""
    cells = struct.unpack('>%dQ' % (len(value) // 8), value)
    return list(zip(cells[0::2], cells[1::2]))


def interrupts(value):
    """As the controller counts them."""
    cells = words(value)
    return [{0: 32, 1: 16}[cells[i]] + cells[i + 1] for i in range(0, len(cells), 3)]


# ---------------------------------------------------------------------------------------------------------- the header

def read_header(path):
    """{name: number} of all that it defines, as a compiler sees them."""
    run = subprocess.run(['aarch64-linux-gnu-gcc', '-E', '-dM', '-x', 'c', str(path)], capture_output=True, text=True,
                         check=True)
    found = re.findall(r'^#define (BULKHEAD_\w+) (\w+)$', run.stdout, re.MULTILINE)
    return {name: int(value.rstrip('UL'), 0) for name, value in found}


def c_name(name):
    return name.upper().replace('-', '_')


# ---------------------------------------------------------------------------------------------------------- the cases

class Layout(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        texts = {'example-' + path.parent.name: path.read_text(encoding='utf-8')
                 for path in sorted(ROOT.glob('examples/*/platform.yaml'))}
        texts['bare'] = (ROOT / 'guest' / 'hello' / 'platform.yaml').read_text(encoding='utf-8')
        texts.update(('made-%d' % n, some_definition(n)) for n in range(GENERATED))
        cls.definitions = {}
        for name, text in texts.items():
            definition = Definition(cls.folder / name, text)
            code, said = definition.build(cls.folder / name / 'out')
            assert code == 0, '%s: %s\n%s' % (name, said, text)
            cls.definitions[name] = definition

    def every_guest(self):
        """(what it is, device tree's path, header's path) of each guest with layout v1."""
        for name, definition in self.definitions.items():
            for guest in definition.guests()[1]:
                out = definition.folder / 'out'
                yield '%s of %s' % (guest, name), out / (guest + '.dtb'), out / (guest + '.h')

    def test_enough_definitions(self):
        guests = list(self.every_guest())
        headers = [read_header(header) for _, _, header in guests]
        self.assertGreater(len(guests), GENERATED)
        for name in 'BULKHEAD_RAM_IS_SHARED', 'BULKHEAD_DEVICE_IS_PRESENT_':
            values = {value for header in headers for key, value in header.items() if key.startswith(name)}
            self.assertEqual(values, {0, 1}, name)

    # [BH-LAY-19]
    def test_tree_has_no_flaw(self):
        switches = [switch for check in DTC_CHECKS for switch in ('-W', check, '-E', check)]
        for what, tree, _ in self.every_guest():
            run = subprocess.run(['dtc', '-I', 'dtb', '-O', 'dts', '-o', os.devnull, *switches, str(tree)],
                                 capture_output=True, text=True, check=False)
            self.assertEqual((run.returncode, run.stderr), (0, ''), what)

    def test_dtc_knows_its_checks(self):
        """A tree with a flaw is refused by the same switches: they do something."""
        flawed = self.folder / 'flawed.dts'
        flawed.write_text('/dts-v1/; / { #address-cells = <1>; #size-cells = <1>; a@1 { }; };', encoding='utf-8')
        run = subprocess.run(['dtc', '-o', os.devnull, *[s for c in DTC_CHECKS for s in ('-W', c, '-E', c)], str(flawed)],
                             capture_output=True, text=True, check=False)
        self.assertNotEqual(run.returncode, 0)
        self.assertIn('(unit_address_vs_reg)', run.stderr)

    def test_header_only_with_layout(self):
        for name, definition in self.definitions.items():
            guests, placed = definition.guests()
            for guest in guests:
                for end in '.h', '.dtb':
                    self.assertEqual((definition.folder / 'out' / (guest + end)).exists(), guest in placed, (name, guest))

    # [BH-LAY-19]
    def test_header_compiles(self):
        """Every number of it, twice included, as a constant of its width; without a warning."""
        for what, _, header in itertools.islice(self.every_guest(), 12):
            lines = ['#include "%s"' % header] * 2
            text = header.read_text(encoding='utf-8')
            names = re.findall(r'^#define (BULKHEAD_\w+) +(\w+)', text, re.MULTILINE)
            for number, (name, value) in enumerate(names):
                wide = 'long long' if value.endswith('ULL') else 'int'
                lines.append('extern const unsigned %s value%d;' % (wide, number))
                lines.append('const unsigned %s value%d = %s;' % (wide, number, name))
            for compiler in COMPILERS:
                run = subprocess.run([compiler, *WARNINGS, '-x', 'c', '-c', '-o', os.devnull, '-'],
                                     input='\n'.join(lines) + '\n', capture_output=True, text=True, check=False)
                self.assertEqual((run.returncode, run.stderr), (0, ''), what)

    def test_header_names(self):
        """No two alike in what a compiler of the standard has to tell apart, all defined once; nothing but ASCII."""
        for what, _, header in self.every_guest():
            text = header.read_text(encoding='ascii')
            names = re.findall(r'^#define (\w+)', text, re.MULTILINE)
            self.assertEqual(len(names), len({name[:63] for name in names}), what)
            self.assertEqual(set(re.findall(r'^#[a-z]+', text, re.MULTILINE)), {'#ifndef', '#define', '#endif'}, what)

    # [BH-LAY-19, BH-LAY-22]
    def test_header_says_what_the_tree_says(self):
        for what, path, header in self.every_guest():
            tree, said = read_tree(path.read_bytes()), read_header(header)
            for name, expected in self.machine_of(tree).items():
                self.assertEqual(said['BULKHEAD_' + name], expected, '%s: %s' % (what, name))
            self.compare_devices(what, tree, said)

    def machine_of(self, tree):
        """What the header has to say of the machine, by its names."""
        gic = ranges(tree['/interrupt-controller@8000000']['reg'])
        secure, physical, virtual, hypervisor = interrupts(tree['/timer']['interrupts'])
        memory = ranges(tree['/memory@40000000']['reg'])
        expected = {'CPUS': len([path for path in tree if path.startswith('/cpus/cpu@')]),
                    'LAYOUT': int(re.match(rb'bulkhead,layout-v([0-9]+)\0', tree['/']['compatible'])[1]),
                    'RAM_BASE': memory[0][0], 'RAM_BYTES': memory[0][1],
                    'GIC_DISTRIBUTOR_BASE': gic[0][0], 'GIC_DISTRIBUTOR_BYTES': gic[0][1],
                    'GIC_REDISTRIBUTOR_BASE': gic[1][0], 'GIC_REDISTRIBUTOR_BYTES': gic[1][1],
                    'TIMER_SECURE_INTERRUPT': secure, 'TIMER_PHYSICAL_INTERRUPT': physical,
                    'TIMER_VIRTUAL_INTERRUPT': virtual, 'TIMER_HYPERVISOR_INTERRUPT': hypervisor,
                    'UART_CLOCK_HZ': words(tree['/clock']['clock-frequency'])[0],
                    'POWER_KEY_LINE': words(tree['/gpio-keys/power']['gpios'])[1]}
        for node, name in ('/serial@9000000', 'UART'), ('/rtc@9010000', 'CLOCK'), ('/gpio@9030000', 'GPIO'):
            (base, size), = ranges(tree[node]['reg'])
            expected.update({name + '_BASE': base, name + '_BYTES': size,
                             name + '_INTERRUPT': interrupts(tree[node]['interrupts'])[0]})
        return expected

    def compare_devices(self, what, tree, said):
        """Each device of the header that is present is a slot of the tree, with its window, and the other way round."""
        slots = {ranges(node['reg'])[0][0]: node for path, node in tree.items() if path.startswith('/virtio@')}
        windows = {words(node['phandle'])[0]: ranges(node['reg'])[0] for path, node in tree.items()
                   if path.startswith('/reserved-memory/')}
        memory = ranges(tree['/memory@40000000']['reg'])
        self.assertEqual(memory[1:], list(windows.values()), what)
        present = [name[len('BULKHEAD_DEVICE_IS_PRESENT_'):] for name, value in said.items()
                   if name.startswith('BULKHEAD_DEVICE_IS_PRESENT_') and value]
        self.assertEqual(len(present), len(slots), what)
        for name in present:
            node = slots.pop(said['BULKHEAD_DEVICE_BASE_' + name])
            self.assertEqual(interrupts(node['interrupts']), [said['BULKHEAD_DEVICE_INTERRUPT_' + name]], what)
            self.assertEqual(ranges(node['reg'])[0][1], said['BULKHEAD_DEVICE_BYTES_' + name], what)
            self.assertEqual(said['BULKHEAD_DEVICE_INTERRUPT_' + name],
                             said['BULKHEAD_SLOT_INTERRUPT'] + said['BULKHEAD_DEVICE_SLOT_' + name], what)
            self.assertEqual('memory-region' in node, 'BULKHEAD_WINDOW_BASE_' + name in said, what)
            if 'memory-region' in node:
                self.assertEqual(windows.pop(words(node['memory-region'])[0]),
                                 (said['BULKHEAD_WINDOW_BASE_' + name], said['BULKHEAD_WINDOW_BYTES_' + name]), what)
        self.assertEqual((slots, windows), ({}, {}), what)

    # [BH-LAY-23]
    def test_rings_lie_apart(self):
        """A window in shadow is two pieces of memory, rings and data, and one window for the guest."""
        parts = 0
        for name, definition in self.definitions.items():
            out = definition.folder / 'out'
            built = json.loads((out / 'platform.json').read_text(encoding='utf-8'))
            for guest in definition.guests()[1]:
                said = read_header(out / (guest + '.h'))
                for device, text in built['guests'][guest]['devices'].items():
                    pieces = [region for region in built['layouts'][guest]['regions'] if region.get('device') == device]
                    shadow = text['isolation'] == 'shadow' and pieces[0]['kind'] == 'window'
                    self.assertEqual([piece.get('part') for piece in pieces],
                                     ['rings', 'data'] if shadow else [None] * len(pieces), (name, guest, device))
                    if not shadow:
                        continue
                    parts += 1
                    base = int(pieces[0]['address'], 16)
                    self.assertEqual(base, said['BULKHEAD_WINDOW_BASE_' + c_name(device)])
                    self.assertEqual(base + pieces[0]['size'], int(pieces[1]['address'], 16))
                    self.assertEqual(pieces[0]['size'] + pieces[1]['size'], said['BULKHEAD_WINDOW_BYTES_' + c_name(device)])
        self.assertGreater(parts, GENERATED)

    # [BH-LAY-11]
    def test_windows_do_not_move(self):
        """The windows follow each other as the sizes in the definition say, whether their devices are there or not."""
        text = (ROOT / 'guest' / 'hello' / 'platform.yaml').read_text(encoding='utf-8')
        text = text.replace('resources:', 'resources:\n  eye: { type: camera, device: /dev/video0 }')
        text = text.replace('devices:', 'devices:\n      front: { type: camera, resource: eye, window: 3M, optional: true }')
        text = text.replace('policy:', 'policy:\n  - { guest: hello, resource: eye, allow: [capture] }')
        definition = Definition(self.folder / 'moved', text)
        self.assertEqual(definition.build(definition.folder / 'out')[0], 0)
        said = read_header(definition.folder / 'out' / 'hello.h')
        self.assertEqual(said['BULKHEAD_DEVICE_IS_PRESENT_FRONT'], 0)
        self.assertNotIn('BULKHEAD_WINDOW_BASE_FRONT', said)
        self.assertEqual(said['BULKHEAD_WINDOW_BASE_RANDOM'], 0x40000000 + (32 << 20) + (3 << 20))

    def test_same_bytes(self):
        """Another folder, another name of it, another time: the same files."""
        for name, definition in self.definitions.items():
            elsewhere = Definition(self.folder / 'elsewhere' / name / 'deeper', definition.path.read_text(encoding='utf-8'))
            code, said = elsewhere.build(self.folder / 'elsewhere' / name / 'result')
            self.assertEqual(code, 0, said)
            files = sorted(os.listdir(definition.folder / 'out'))
            self.assertEqual(files, sorted(os.listdir(self.folder / 'elsewhere' / name / 'result')))
            _, different, unread = filecmp.cmpfiles(definition.folder / 'out', self.folder / 'elsewhere' / name / 'result',
                                                    files, shallow=False)
            self.assertEqual((different, unread), ([], []), name)

    def test_header_before_the_program(self):
        """A program is compiled with its header, so the header comes first."""
        definition = Definition(self.folder / 'first', (ROOT / 'guest' / 'hello' / 'platform.yaml').read_text(encoding='utf-8'))
        (definition.folder / 'hello.elf').unlink()
        code, said = definition.build(definition.folder / 'out')
        self.assertEqual(code, 0, said)
        self.assertIn('[elf-image]', said)
        self.assertTrue((definition.folder / 'out' / 'hello.h').exists())
        self.assertFalse((definition.folder / 'out' / 'hello.start').exists())
        self.assertTrue(filecmp.cmp(definition.folder / 'out' / 'hello.h', self.folder / 'bare' / 'out' / 'hello.h', False))


if __name__ == '__main__':
    tap.main()
