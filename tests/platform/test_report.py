#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""report.html of `bulkhead build`: well-formed, complete, the same bytes every time, loading nothing from anywhere, and
drawings in which no text lies on another or leaves its box.

How wide a text is stands beside it (data-w): the widest that it becomes in any usual font, as the layout took it to be.
How it looks is for eyes: open the page.
"""

import hashlib
import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ElementTree

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'tools'))

import tap  # noqa: E402

BULKHEAD = os.path.abspath(os.environ['BULKHEAD'])

COCKPIT = """\
bulkhead: 1
name: cockpit
host: { cpus: 8, memory: 8G }
modes: [drive, park, workshop]
resources:
  cluster-disk: { type: disk, image: cluster.ext4, read-only: true }
  gateway-disk: { type: disk, image: gateway.ext4 }
  ivi-disk: { type: disk, image: ivi.ext4 }
  randomness: { type: entropy }
  body-can: { type: can, bus: can0, mediator: "the <filter> & \\"friends\\" of the CAN back ends" }
  cabin-can: { type: can, bus: virtual }
guests:
  cluster:
    criticality: ASIL-B
    arch: arm64
    host-cpus: [0]
    memory: 128M
    priority: 90
    boot: { kernel: Image, command-line: "a=<script>alert('1')</script>" }
    watchdog: { timeout: 2s, action: restart, optional: true }
    ready-when: { message: "cluster <ready>" }
    devices:
      root: { type: blk, resource: cluster-disk }
      entropy: { type: rng, resource: randomness }
      body: { type: can, resource: body-can, optional: true }
      terminal: { type: console }
  gateway:
    criticality: ASIL-A
    arch: arm64
    host-cpus: [1]
    memory: 64M
    after: [cluster]
    boot: { kernel: Image, initrd: initrd }
    ready-when: { device: root }
    devices:
      root: { type: blk, resource: gateway-disk }
      body: { type: can, resource: body-can, optional: true }
      cabin: { type: can, resource: cabin-can, optional: true }
  ivi:
    arch: arm64
    cpus: 2
    host-cpus: [2-3]
    memory: 256M
    after: [cluster, gateway]
    boot: { kernel: Image, initrd: initrd }
    devices:
      root: { type: blk, resource: ivi-disk, queues: 2 }
      entropy: { type: rng, resource: randomness }
      cabin: { type: can, resource: cabin-can, optional: true }
      terminal: { type: console, ports: [log] }
policy:
  - { guest: cluster, resource: cluster-disk, allow: [read] }
  - { guest: cluster, resource: randomness, allow: [read] }
  - { guest: cluster, resource: body-can, allow: [receive, send], ids: [0x100-0x1ff] }
  - { guest: gateway, resource: gateway-disk, allow: [read] }
  - { guest: gateway, resource: gateway-disk, allow: [write, flush], modes: [workshop] }
  - { guest: gateway, resource: body-can, allow: [receive], ids: [0x100-0x1ff, 0x321] }
  - { guest: gateway, resource: body-can, allow: [send], ids: [0x700-0x7ff], modes: [workshop] }
  - { guest: gateway, resource: cabin-can, allow: [send], ids: [0x123] }
  - { guest: ivi, resource: ivi-disk, allow: [read, write, discard, flush] }
  - { guest: ivi, resource: randomness, allow: [read] }
  - { guest: ivi, resource: cabin-can, allow: [receive], ids: [0x123] }
  - { guest: ivi, resource: cabin-can, allow: [send], ids: [0x600], modes: [workshop] }
assert:
  - { no-flow: { from: ivi, to: cluster } }
  - { isolated: { guest: cluster } }
"""

# Names as long as they may be, texts in other scripts, hardware, a guest without devices, one that is open.
ODD = """\
bulkhead: 1
name: odd
resources:
  a-resource-with-quite-a-long-na1: { type: disk, image: "folder/file-that-has-a-long-name-and-goes-on-and-on.ext4" }
  abcdefghijklmnopqrstuvwxyzabcdef: { type: hardware, address: "0000:01:00.0" }
  host-time: { type: clock, device: /dev/rtc0, mediator: "M\\u00fcller: \\u03b1\\u03b2\\u03b3 \\u65e5\\u672c\\u8a9e, \
whose name has been written by a good many people of good repute over the years, at length, which is as it is" }
guests:
  wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww:
    criticality: ASIL-D
    arch: arm64
    memory: 32M
    boot: { kernel: Image }
    ready-when: { message: "a line that is so long that no box of the drawing could hold it, even if it were \
written in the smallest letters that anybody can read" }
    devices:
      mmmmmmmmmmmmmmmmmmmmmmmmmmmmmmmm: { type: blk, resource: a-resource-with-quite-a-long-na1 }
      card: { type: passthrough, resource: abcdefghijklmnopqrstuvwxyzabcdef, registers: 0x0c000000, optional: true }
      clock: { type: rtc, resource: host-time, optional: true }
  alone:
    arch: arm64
    memory: 64M
    boot: { kernel: Image }
  x86:
    arch: x86_64
    memory: 1G
    boot: { kernel: initrd }
    host-cpus: [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30]
    devices:
      terminal: { type: console }
policy:
  - { guest: wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww, resource: a-resource-with-quite-a-long-na1, allow: [read, write, flush] }
  - { guest: wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww, resource: abcdefghijklmnopqrstuvwxyzabcdef, allow: [use] }
  - { guest: wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww, resource: host-time, allow: [read, alarm] }
"""


def many(name, guests, devices, buses, isolation=''):
    """A platform of guests that share buses, each with disks of its own."""
    levels = ['QM', 'ASIL-A', 'ASIL-B', 'ASIL-C', 'ASIL-D']
    resources = ['  randomness: { type: entropy }'] + [f'  bus-{i}: {{ type: can, bus: virtual }}' for i in range(buses)]
    things = []
    policy = []
    for i in range(guests):
        guest = f'g{i:02}'
        things += [f'  {guest}:', f'    criticality: {levels[i % 5]}', '    arch: arm64', '    memory: 64M',
                   '    boot: { kernel: Image }'] + ([f'    after: [g{(i - 1) // 2:02}]'] if i else []) + ['    devices:']
        uses = [('entropy', 'rng', 'randomness', '[read]'), ('bus', 'can', f'bus-{i * buses // guests}', '[receive, send]')]
        for j in range(2, devices):
            resources.append(f'  disk-{i:02}-{j:02}: {{ type: disk, image: d{i}-{j}.img }}')
            uses.append((f'disk-{j}', 'blk', f'disk-{i:02}-{j:02}', '[read, write, flush]'))
        for device, kind, resource, allow in uses:
            optional = ', optional: true' if kind == 'can' else ''
            things.append(f'      {device}: {{ type: {kind}, resource: {resource}{optional}{isolation} }}')
            policy.append(f'  - {{ guest: {guest}, resource: {resource}, allow: {allow} }}')
    return '\n'.join(['bulkhead: 1', f'name: {name}', 'resources:', *resources, 'guests:', *things, 'policy:', *policy, ''])


# Every isolation: a guest with three, and one that is of another architecture.
WAYS = """\
bulkhead: 1
name: ways
resources:
  a: { type: disk, image: a.img }
  b: { type: disk, image: b.img }
  c: { type: disk, image: c.img }
  d: { type: disk, image: d.img }
guests:
  arm:
    arch: arm64
    memory: 128M
    boot: { kernel: Image }
    devices:
      a: { type: blk, resource: a }
      b: { type: blk, resource: b, isolation: direct }
      c: { type: blk, resource: c, isolation: open }
  pc:
    arch: x86_64
    memory: 128M
    boot: { kernel: initrd }
    devices:
      d: { type: blk, resource: d }
policy:
  - { guest: arm, resource: a, allow: [read] }
  - { guest: arm, resource: b, allow: [read] }
  - { guest: arm, resource: c, allow: [read] }
  - { guest: pc, resource: d, allow: [read] }
"""

DEFINITIONS = {
    'ways': WAYS,
    'cockpit': COCKPIT,
    'odd': ODD,
    'eight': many('eight', 8, 4, 3),
    'thirteen': many('thirteen', 13, 3, 4),
    'buses': many('buses', 60, 2, 30),
    'open': many('open', 3, 3, 1, ', isolation: open'),
}


def kernel():
    """The header of an arm64 Image: what `build` looks at."""
    header = bytearray(64)
    header[16:24] = struct.pack('<Q', 1 << 20)
    header[56:60] = b'ARM\x64'
    return bytes(header) + bytes(4096)


def build(folder, name, text):
    """report.html of a definition that stands in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'Image').write_bytes(kernel())
    (folder / 'initrd').write_bytes(b'initrd')
    (folder / f'{name}.yaml').write_text(text, encoding='utf-8')
    run = subprocess.run([BULKHEAD, 'build', str(folder / f'{name}.yaml'), '-o', str(folder / 'out')],
                         stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    if run.returncode != 0:
        raise AssertionError(f'{name}: {run.stderr.decode()}')
    return (folder / 'out' / 'report.html').read_text(encoding='utf-8')


class Box:
    def __init__(self, left, top, right, bottom):
        self.left, self.top, self.right, self.bottom = left, top, right, bottom

    def overlaps(self, other):
        return (self.left < other.right and other.left < self.right and
                self.top < other.bottom and other.top < self.bottom)

    def holds_point(self, x, y):
        return self.left <= x <= self.right and self.top <= y <= self.bottom

    def holds(self, other):
        return (self.left <= other.left and other.right <= self.right and
                self.top <= other.top and other.bottom <= self.bottom)


def text_box(text):
    """From the top of its capitals to the line that it stands on."""
    width, size = int(text.get('data-w')), int(text.get('font-size'))
    left = int(text.get('x')) - {'end': width, 'middle': (width + 1) // 2}.get(text.get('text-anchor'), 0)
    base = int(text.get('y'))
    return Box(left, base - size * 3 // 4, left + width, base)


def rect_box(rect):
    x, y = int(rect.get('x')), int(rect.get('y'))
    return Box(x, y, x + int(rect.get('width')), y + int(rect.get('height')))


class Report(unittest.TestCase):
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.pages = {name: build(cls.folder / name, name, text) for name, text in DEFINITIONS.items()}
        cls.trees = {name: ElementTree.fromstring(page.removeprefix('<!DOCTYPE html>\n'))
                     for name, page in cls.pages.items()}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def every(self):
        for name, page in self.pages.items():
            yield name, page, self.trees[name]

    def text(self, name, section):
        for element in self.trees[name].iter('section'):
            if element.get('id') == section:
                return ' '.join(''.join(element.itertext()).split())
        raise AssertionError(f'{name} has no section {section}')

    # the page

    def test_same_bytes_from_another_folder(self):
        for name in ('cockpit', 'odd'):
            self.assertEqual(self.pages[name], build(self.folder / 'elsewhere' / 'deeper', name, DEFINITIONS[name]))

    def test_nothing_of_this_machine(self):
        for _, page, _ in self.every():
            self.assertNotIn(str(self.folder), page)

    def test_loads_nothing_and_runs_nothing(self):
        for _, page, tree in self.every():
            self.assertIsNone(re.search(r'https?:|url\(|@import|javascript:', page))
            tags = {element.tag for element in tree.iter()}
            self.assertEqual(set(), tags & {'script', 'link', 'img', 'iframe', 'object', 'embed', 'base', 'form', 'use'})
            for element in tree.iter():
                self.assertEqual([], [key for key in element.keys() if key.startswith('on') or key in ('src', 'style')])

    def test_links_lead_somewhere(self):
        for _, _, tree in self.every():
            ids = [element.get('id') for element in tree.iter() if element.get('id')]
            self.assertEqual(len(set(ids)), len(ids))
            links = [element.get('href') for element in tree.iter('a')]
            self.assertLess(7, len(links))
            for link in links:
                self.assertEqual('#', link[0])
                self.assertIn(link[1:], ids)

    def test_light_dark_and_paper(self):
        style = self.trees['cockpit'].find('head/style').text
        for wanted in ('prefers-color-scheme: dark', '@media print', 'size: A4', 'table-header-group', 'max-width: 600px'):
            self.assertIn(wanted, style)

    def test_readable_without_eyes(self):
        for _, _, tree in self.every():
            self.assertEqual('en', tree.get('lang'))
            self.assertEqual(1, len(list(tree.iter('h1'))))
            for head in tree.iter('th'):
                self.assertIn(head.get('scope'), ('col', 'row', 'rowgroup'))
            for drawing in tree.iter('svg'):
                self.assertEqual('img', drawing.get('role'))
                self.assertTrue(drawing.find('title').text and drawing.find('desc').text)
            levels = [int(element.tag[1]) for element in tree.iter() if re.fullmatch('h[1-6]', element.tag)]
            for above, below in zip(levels, levels[1:]):
                self.assertLessEqual(below, above + 1)

    def test_rows_have_as_many_cells_as_their_heads(self):
        for _, _, tree in self.every():
            for table in tree.iter('table'):
                columns = len(table.findall('thead/tr/th'))
                spans = []
                for row in table.findall('tbody/tr'):
                    cells = sum(int(cell.get('colspan', 1)) for cell in row) + len(spans)
                    self.assertEqual(columns, cells)
                    spans = [left - 1 for left in spans if left > 1]
                    spans += [int(cell.get('rowspan')) - 1 for cell in row if int(cell.get('rowspan', 1)) > 1]

    # what it says

    def test_every_thing_is_in_the_policy(self):
        for name, _, _ in self.every():
            said = self.text(name, 'policy')
            for device in re.findall(r'^      ([a-z0-9-]+): \{ type', DEFINITIONS[name], re.MULTILINE):
                self.assertIn(device, said)
            for line in re.findall(r'- \{ guest: ([a-z0-9-]+), resource: ([a-z0-9-]+)', DEFINITIONS[name]):
                for word in line:
                    self.assertIn(word, said)

    def test_every_guest_device_and_resource_is_drawn(self):
        drawn = ''.join(self.trees['cockpit'].find('.//section[@id="platform"]').itertext())
        for word in ('cluster', 'gateway', 'ivi', 'root', 'entropy', 'body', 'cabin', 'terminal', 'cluster-disk', 'gateway-disk',
                     'ivi-disk', 'randomness', 'body-can', 'cabin-can', 'host kernel', 'QEMU', '8 CPUs, 8G', 'left out'):
            self.assertIn(word, drawn)

    def test_texts_stay_texts(self):
        self.assertNotIn('<script', self.pages['cockpit'])
        self.assertIn('&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt;', self.pages['cockpit'])
        self.assertIn('the <filter> & "friends"', self.text('cockpit', 'platform'))
        self.assertIn('cluster <ready>', self.text('cockpit', 'start'))

    def test_source_and_its_digest(self):
        digest = hashlib.sha256(COCKPIT.encode()).hexdigest()
        head = ''.join(self.trees['cockpit'].find('.//header').itertext())
        self.assertIn(digest, head)
        self.assertIn('cockpit.yaml', head)
        self.assertIn(str(COCKPIT.count('\n')), head)

    def test_modes(self):
        said = self.text('cockpit', 'policy')
        self.assertIn('receive 0x100-0x1ff, 0x321; send 0x700-0x7ff', said)
        self.assertIn('only in workshop', said)
        self.assertIn('only in drive, park', said)
        parts = [path for path in self.trees['cockpit'].iter('path') if 'part' in path.get('class').split()]
        self.assertLess(1, len(parts))
        self.assertNotIn('only in', self.text('eight', 'policy'))

    def test_reach(self):
        table = self.trees['cockpit'].find('.//table[@class="reach"]')
        cells = {row.find('th').text: [''.join(cell.itertext()) for cell in row.findall('td')]
                 for row in table.findall('tbody/tr')}
        self.assertEqual('no', cells['ivi'][0])
        self.assertEqual('no', cells['ivi'][1])
        self.assertIn('through body-can \u2192 gateway \u2192 cabin-can', cells['cluster'][2])
        self.assertIn('through cabin-can', cells['gateway'][2])

    def test_assertions(self):
        said = self.text('cockpit', 'assertions')
        self.assertIn('holds', said)
        self.assertNotIn('VIOLATED', said)
        self.assertIn('cockpit.yaml:' + str(COCKPIT[:COCKPIT.index('no-flow')].count('\n') + 1), said)
        self.assertIn('asserts nothing', self.text('odd', 'assertions'))

    def test_a_label_is_no_certificate(self):
        said = self.text('cockpit', 'guests')
        self.assertIn('cluster is labelled ASIL-B. The label is a claim, and no certificate', said)
        self.assertIn('host kernel', said)
        self.assertIn('0x040000000', said)

    def test_open_is_said_and_red(self):
        self.assertIn('OPEN', self.text('open', 'platform'))
        self.assertIn('OPEN', self.text('open', 'guests'))
        self.assertIn('OPEN: back ends reach all memory of 3 of 3 guests', ''.join(self.trees['open'].find('.//header').itertext()))
        opened = [rect for rect in self.trees['open'].iter('rect') if 'open' in rect.get('class').split()]
        self.assertLess(8, len(opened))
        closed = [rect for rect in self.trees['eight'].iter('rect') if 'open' in rect.get('class').split()]
        self.assertEqual([], closed)

    def test_isolation_is_drawn(self):
        """Each of the four ways otherwise: a window or copies, with the gate across it or without, or all memory in red."""
        drawn = [rect.get('class') for rect in self.trees['ways'].iter('rect')
                 if rect.get('class') in ('reach window', 'reach copies', 'reach open', 'gate')]
        self.assertEqual(['gate', 'gate', 'reach copies', 'reach open', 'reach window', 'reach window'], sorted(drawn))
        head = ''.join(self.trees['ways'].find('.//header').itertext())
        self.assertIn('OPEN: back ends reach all memory of 1 of 2 guests', head)
        self.assertIn('All memory of 1 of 2 guests is shared with their gates', head)
        said = self.text('ways', 'guests')
        for reach in ('guest, engine, gate, back end of a, open back ends', 'RAM, shared with the gate', 'rings of a', 'data of a',
                      'window of b', 'maps all of its memory'):
            self.assertIn(reach, said)
        self.assertIn('10000 ms without progress', self.text('ways', 'policy'))

    def test_given_and_default(self):
        rows = {''.join(row.find('th').itertext()): [''.join(cell.itertext()) for cell in row.findall('td')]
                for row in self.trees['cockpit'].find('.//section[@id="values"]').iter('tr') if row.find('td') is not None}
        self.assertEqual(['cockpit', 'given', 'cockpit.yaml:2'], rows['name'])
        self.assertEqual(['auto', 'default', ''], rows['accelerator'])
        self.assertEqual(['the kernel, or', 'default', ''][1:], rows['stop-within'][1:])
        self.assertEqual('10s', rows['stop-within'][0])

    def test_warnings(self):
        said = self.text('eight', 'warnings')
        self.assertIn('criticality-shared', said)
        self.assertIn('eight.yaml:', said)

    def test_too_large_is_said(self):
        self.assertIn('too large', self.text('thirteen', 'platform'))
        self.assertNotIn('too large', self.text('eight', 'platform'))
        self.assertIn('Sheet 2 of', self.text('eight', 'platform'))
        for i in range(4):
            self.assertIn(f'bus-{i}', self.text('thirteen', 'platform'))
        # More shared resources than can be drawn: those of a type are one.
        self.assertIn('30 x can', self.text('buses', 'platform'))

    # the drawings

    def test_no_text_lies_on_another(self):
        for name, _, tree in self.every():
            for drawing in tree.iter('svg'):
                texts = [(text_box(text), text.text) for text in drawing.iter('text')]
                self.assertLess(2, len(texts))
                # The slots that show a criticality are read like a text.
                texts += [(rect_box(rect), 'a slot') for rect in drawing.iter('rect') if 'slot' in rect.get('class').split()]
                for i, (box, text) in enumerate(texts):
                    for other, another in texts[:i] if text != 'a slot' else [entry for entry in texts if entry[1] != text]:
                        self.assertFalse(box.overlaps(other), f'{name}: "{text}" lies on "{another}"')

    def test_no_text_is_cut(self):
        for name, _, tree in self.every():
            for drawing in tree.iter('svg'):
                x, y, width, height = map(int, drawing.get('viewBox').split())
                everything = Box(x, y, x + width, y + height)
                rects = [rect_box(rect) for rect in drawing.iter('rect')]
                for text in drawing.iter('text'):
                    box = text_box(text)
                    self.assertTrue(everything.holds(box), f'{name}: "{text.text}" leaves the drawing')
                    around = [rect for rect in rects if rect.holds_point((box.left + box.right) / 2, box.bottom)]
                    for rect in around:
                        self.assertTrue(rect.holds(box), f'{name}: "{text.text}" leaves its box')

    def test_no_box_lies_on_another(self):
        for name, _, tree in self.every():
            for drawing in tree.iter('svg'):
                boxes = [rect_box(rect) for rect in drawing.iter('rect')
                         if set(rect.get('class').split()) & {'process', 'resource', 'ground'}]
                for i, box in enumerate(boxes):
                    for other in boxes[:i]:
                        self.assertFalse(box.overlaps(other), f'{name}: box at {box.left},{box.top}')

    def test_arrows_point_at_boxes(self):
        """A head to the left points at the right side of a box, and the other way about."""
        for name in ('cockpit', 'eight', 'open', 'thirteen', 'buses'):
            for drawing in self.trees[name].find('.//section[@id="platform"]').iter('svg'):
                boxes = [rect_box(rect) for rect in drawing.iter('rect')
                         if set(rect.get('class').split()) & {'process', 'resource', 'guest'}]
                legend = max(int(text.get('y')) for text in drawing.iter('text')) - 24
                for path in drawing.iter('path'):
                    if 'head' not in path.get('class').split():
                        continue
                    x, y, way = map(int, re.match(r'M(-?\d+) (-?\d+)l(-?\d+)', path.get('d')).groups())
                    hit = [box for box in boxes if box.top <= y <= box.bottom and x == (box.right if way > 0 else box.left)]
                    self.assertTrue(hit or y > legend, f'{name}: an arrow ends at {x},{y}')


if __name__ == '__main__':
    tap.main()
