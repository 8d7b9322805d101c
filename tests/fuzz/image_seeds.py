# SPDX-License-Identifier: BSD-2-Clause
"""Seeds for fuzz_image.c: platform images without a signature, which the fuzzer puts in itself.

Not a program itself: make_seeds.py writes them.
"""

import hashlib
import struct

HEADER, ENTRY, SIGNATURE, PAGE = 128, 128, 64, 4096


def padded(data):
    return data + bytes(-len(data) % PAGE)


def image(sections, name=b'cockpit', release=b'2026.1', rollback=7, change=None):
    """The bytes of an image. `change` may edit the table's entries, each a dict."""
    offset = len(padded(bytes(HEADER + ENTRY * len(sections) + SIGNATURE)))
    entries, body = [], b''
    for kind, label, data in sections:
        entries.append({'type': kind, 'name': label, 'offset': offset + len(body), 'size': len(data),
                        'digest': hashlib.sha256(data).digest()})
        body += padded(data)
    if change:
        change(entries)
    head = b'\x89BHIMG\r\n' + struct.pack('<IIQQ16s32s32s16x', 1, len(sections), offset + len(body), rollback, b'',
                                          name, release)
    for entry in entries:
        head += struct.pack('<I4xQQ32s64s8x', entry['type'], entry['offset'], entry['size'], entry['digest'],
                            entry['name'])
    return padded(head + bytes(SIGNATURE)) + body


def overlap(entries):
    entries[1]['offset'] = entries[0]['offset']


def huge(entries):
    entries[0]['size'] = 1 << 63


def wrong_digest(entries):
    entries[1]['digest'] = bytes(32)


def one_name(entries):
    entries[1]['name'] = entries[0]['name']


def seeds():
    """Yields (name, bytes)."""
    two = [(1, b'platform', b'{"name":"cockpit"}\n'), (2, b'cluster/kernel', bytes(range(256)) * 20)]
    good = image(two)
    yield 'two_sections', good
    yield 'one_section', image(two[:1], name=b'c' * 32, release=b'~' * 32, rollback=2 ** 64 - 1)
    yield 'whole_pages', image([(1, b'platform', bytes(4096)), (3, b'a/initrd', b'i' * 8192)])
    yield 'every_type', image([(kind, b'g/%d' % kind, b'%d' % kind) for kind in range(1, 8)])
    for change in (overlap, huge, wrong_digest, one_name):
        yield change.__name__, image(two, change=change)
    yield 'unknown_type', image([(8, b'g/x', b'x')])
    yield 'no_name', image(two, name=b'')
    yield 'line_in_release', image(two, release=b'1\n2')
    yield 'other_format', good[:8] + b'\x02' + good[9:]
    yield 'count_0', good[:12] + bytes(4) + good[16:]
    yield 'count_most', good[:12] + b'\xff\xff\xff\xff' + good[16:]
    yield 'padding', good[:4095] + b'!' + good[4096:]
    yield 'trailing', good + b'!'
    yield 'truncated', good[:-1]
    yield 'header_only', good[:HEADER]
    yield 'no_image', b'bulkhead: 1\nname: cockpit\n'
    yield 'empty', b''
