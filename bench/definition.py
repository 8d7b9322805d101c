#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""How long `bulkhead check` and `bulkhead build` take for large definitions, and how that grows.

    bench/definition.py [--guests 8,16,32,64] [--rounds N] [--no-count] [BUILD]

What it is: definitions with 32 devices for each guest (disks of their own, entropy, a console, a CAN bus), policy lines for
each of them, modes and assertions, made here; each is checked and built. Time is the least of the rounds. Instructions are
callgrind's and do not depend on the machine's load. Growth is what a guest costs, compared with the definition before: 1.00
is linear. Memory is the most that the process had.

BUILD is a meson build folder, optimised; default build/gcc. The last line says whether the largest definition was checked and built in a
second, and whether growth is near linear; the exit status too.
"""

import argparse
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
DEVICES = 32
DISKS = DEVICES - 3
SECONDS_MAX = 1.0
GROWTH_MAX = 1.15
# Of an arm64 Image: what there is to know of it is in its header.
IMAGE_BYTES = 1 << 20
HEADER = struct.pack('<IIQQQQQQ4sI', 0x14000010, 0, 0, IMAGE_BYTES, 10, 0, 0, 0, b'ARM\x64', 0)


def names(guests):
    return [f'guest-{number}' for number in range(guests)]


def resources(guests):
    yield 'resources:'
    yield '  randomness: { type: entropy }'
    for number in range(guests // 4):
        yield f'  bus-{number}: {{ type: can, bus: virtual, mediator: the identifier filters }}'
    for name in names(guests):
        for disk in range(DISKS):
            yield f'  {name}-disk-{disk}: {{ type: disk, image: disks/{name}-{disk}.img }}'


def machines(guests):
    yield 'guests:'
    for number, name in enumerate(names(guests)):
        yield f'  {name}:'
        yield '    template: linux'
        yield f'    criticality: {("QM", "ASIL-A", "ASIL-B", "ASIL-D")[number % 4]}'
        yield f'    priority: {99 - number}'
        if number:
            yield f'    after: [guest-{number // 2}]' if number // 2 != number else '    after: [guest-0]'
        yield '    devices:'
        for disk in range(DISKS):
            yield f'      disk-{disk}: {{ type: blk, resource: {name}-disk-{disk} }}'
        yield f'      body: {{ type: can, resource: bus-{number // 4}, optional: true }}'


def policy(guests):
    yield 'policy:'
    for number, name in enumerate(names(guests)):
        yield f'  - {{ guest: {name}, resource: randomness, allow: [read] }}'
        low = 0x100 + 16 * (number % 4)
        yield f'  - {{ guest: {name}, resource: bus-{number // 4}, allow: [receive], ids: [0x100-0x17f, 0x400-0x4ff] }}'
        yield f'  - {{ guest: {name}, resource: bus-{number // 4}, allow: [send], ids: [{low:#x}-{low + 15:#x}], modes: [park, drive] }}'
        for disk in range(DISKS):
            yield f'  - {{ guest: {name}, resource: {name}-disk-{disk}, allow: [read] }}'
            yield f'  - {{ guest: {name}, resource: {name}-disk-{disk}, allow: [write, flush], modes: [park, workshop] }}'


def assertions(guests):
    yield 'assert:'
    for number, name in enumerate(names(guests)):
        other = f'guest-{(number + 4) % guests}'
        yield f'  - {{ isolated: {{ guest: {name} }} }}'
        yield f'  - {{ no-flow: {{ from: {name}, to: {other} }} }}'
        near = f'guest-{number ^ 1}'
        yield f'  - {{ only-through: {{ from: {name}, to: {near}-disk-0, through: {near} }} }}'


def definition(guests):
    head = ['bulkhead: 1', 'name: scale', 'modes: [park, drive, workshop]', 'templates:', '  linux:', '    arch: arm64',
            '    memory: 128M', '    boot: { kernel: Image, command-line: console=hvc0 }', '    devices:',
            '      entropy: { type: rng, resource: randomness }', '      terminal: { type: console }']
    lines = head + list(resources(guests)) + list(machines(guests)) + list(policy(guests))
    return '\n'.join(lines + list(assertions(guests))) + '\n'


def make(folder, guests):
    """Writes a definition and what it names."""
    (folder / 'disks').mkdir(parents=True)
    with open(folder / 'Image', 'wb') as image:
        image.write(HEADER)
        image.truncate(IMAGE_BYTES)
    for name in names(guests):
        for disk in range(DISKS):
            with open(folder / 'disks' / f'{name}-{disk}.img', 'wb') as image:
                image.truncate(1 << 20)
    path = folder / 'platform.yaml'
    path.write_text(definition(guests))
    return path


def run(command):
    """Seconds that it takes, of the processor and of the clock, and the most memory that it has."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    clock = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f'{" ".join(map(str, command))}: exit status {process.returncode}\n{said[:2000]}')
    return usage.ru_utime + usage.ru_stime, clock, usage.ru_maxrss * 1024


def instructions(command):
    with tempfile.TemporaryDirectory() as folder:
        tool = ['valgrind', '--tool=callgrind', f'--callgrind-out-file={folder}/out']
        done = subprocess.run([*tool, *command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        found = re.search(r'Collected : (\d+)', done.stderr)
        if done.returncode != 0 or not found:
            sys.exit(f'{" ".join(map(str, command))}: callgrind\n{done.stderr[-2000:]}')
        return int(found.group(1))


def commands(program, path):
    return {'check': [program, 'check', path], 'build': [program, 'build', '-o', path.parent / 'out', path]}


def measure(program, path, rounds, count):
    """For each command: processor, clock, memory, instructions."""
    found = {}
    for name, command in commands(program, path).items():
        times = [run(command) for _ in range(rounds)]
        found[name] = [min(column) for column in zip(*times)] + [instructions(command) if count else 0]
    return found


def show(sizes, results, count):
    worst = 0.0
    print(f'{"":6} {"guests":>6} {"processor s":>11} {"clock s":>8} {"memory MiB":>10} {"instructions":>14} {"growth":>7}')
    for name in ('check', 'build'):
        before = None
        for guests in sizes:
            processor, clock, memory, total = results[guests][name]
            each = (total if count else processor) / guests
            growth = each / before if before else 1.0
            worst = max(worst, growth)
            print(f'{name:6} {guests:6} {processor:11.3f} {clock:8.3f} {memory / (1 << 20):10.1f} {total:14} {growth:7.2f}')
            before = each
    return worst


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build', nargs='?', default=ROOT / 'build' / 'gcc', type=pathlib.Path)
    parser.add_argument('--guests', default='8,16,32,64', help='how many guests the definitions have')
    parser.add_argument('--rounds', type=int, default=3, help='of each command; the fastest counts')
    parser.add_argument('--no-count', action='store_true', help='count no instructions: growth is of the processor\'s time')
    parser.add_argument('--keep', type=pathlib.Path, help='keep the definitions in this folder')
    options = parser.parse_args()
    program = (options.build / 'cli' / 'bulkhead').absolute()
    sizes = [int(word) for word in options.guests.split(',')]
    if not program.exists():
        sys.exit(f'there is no {program}: meson setup {options.build} && ninja -C {options.build}')
    folder = options.keep or pathlib.Path(tempfile.mkdtemp())
    results = {}
    try:
        for guests in sizes:
            path = make(folder / str(guests), guests)
            results[guests] = measure(program, path, options.rounds, not options.no_count)
    finally:
        if not options.keep:
            shutil.rmtree(folder)
    worst = show(sizes, results, not options.no_count)
    seconds = sum(results[sizes[-1]][name][0] for name in ('check', 'build'))
    print(f'{sizes[-1]} guests with {DEVICES} devices: checked and built in {seconds:.3f} s of the processor '
          f'(at most {SECONDS_MAX}); growth at most {worst:.2f} (at most {GROWTH_MAX})')
    sys.exit(0 if seconds <= SECONDS_MAX and worst <= GROWTH_MAX else 1)


if __name__ == '__main__':
    main()
