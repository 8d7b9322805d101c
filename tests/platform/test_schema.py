#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The JSON Schema of a definition, held against the definitions of this repository by a validator that is not ours.

It accepts whatever is good (pass/, what that includes, the examples), and refuses what is wrong in a way that a schema can
know: see KNOWN. What a file is, is read as YAML 1.2 has it, which is what editors do: only true and false are flags.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import unittest

import jsonschema
import yaml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / 'tools'))

import tap  # noqa: E402

DUMP = os.path.abspath(os.environ['DEFINITION_DUMP'])

# Checks whose findings a schema has to know, each of them in every golden file of fail/ that has no others...
KNOWN = {'key', 'key-place', 'type', 'empty', 'range', 'choice', 'flag', 'name', 'number', 'missing'}
# ... but for these: a file without a name is taken for one that others include, so nothing is missing in it; an empty value
# is a null to a validator; and the YAML parser of this test does not read the last one.
UNKNOWN = {'missing.yaml', 'include-empty.yaml', 'empty-template.yaml', 'yaml-carets.yaml'}


class Loader(yaml.SafeLoader):
    """YAML 1.2, as far as a definition goes: keys are words."""

    def construct_mapping(self, node, deep=False):
        return {key.value: self.construct_object(value, deep=True) for key, value in node.value}


Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag in ('tag:yaml.org,2002:int', 'tag:yaml.org,2002:null')]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Loader.add_implicit_resolver('tag:yaml.org,2002:bool', re.compile(r'^(?:true|false)$'), list('tf'))
Loader.add_constructor('tag:yaml.org,2002:map', Loader.construct_mapping)


def load(path):
    return yaml.load(path.read_text(encoding='utf-8'), Loader)  # noqa: S506  (it is a safe one)


def print_schema():
    run = subprocess.run([DUMP, '--json-schema'], capture_output=True, timeout=60, check=True)
    return json.loads(run.stdout)


class Schema(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.schema = print_schema()
        cls.validator = jsonschema.Draft202012Validator(cls.schema)

    def errors(self, value):
        return [error.message[:300] for error in self.validator.iter_errors(value)]

    def definition(self, **more):
        value = {'bulkhead': 1, 'name': 'demo',
                 'guests': {'one': {'arch': 'arm64', 'memory': '128M', 'boot': {'kernel': 'Image'}}}}
        value.update(more)
        return value

    def test_it_is_a_schema(self):
        jsonschema.Draft202012Validator.check_schema(self.schema)

    def test_good_definitions(self):
        paths = [*HERE.glob('pass/*.yaml'), *HERE.glob('pass/base/*.yaml'),
                 *(HERE.parent.parent / 'examples').glob('*/*.yaml')]
        self.assertLess(15, len(paths))
        for path in paths:
            self.assertEqual([], self.errors(load(path)), path)

    def test_wrong_definitions(self):
        refused = 0
        for path in HERE.glob('fail/*.yaml'):
            out = path.with_suffix('.out')
            checks = set(re.findall(r': error: .* \[([a-z-]+)\]$', out.read_text(), re.M)) if out.exists() else set()
            if checks and checks <= KNOWN and path.name not in UNKNOWN:
                self.assertNotEqual([], self.errors(load(path)), path)
                refused += 1
        self.assertLess(25, refused)

    def test_complete_and_not(self):
        """A definition with a name is complete; one that includes others, or has no name, need not be."""
        half = {'bulkhead': 1, 'name': 'demo', 'guests': {'one': {'memory': '128M'}}}
        self.assertNotEqual([], self.errors(half))
        self.assertEqual([], self.errors({**half, 'include': 'base.yaml'}))
        self.assertEqual([], self.errors({**half, 'include': ['base.yaml'], 'guests': {'one': None, 'two': {'boot': None}}}))
        self.assertEqual([], self.errors({'bulkhead': 1, 'guests': {'one': {'memory': '128M'}}}))
        self.assertNotEqual([], self.errors({'name': 'demo'}))
        self.assertNotEqual([], self.errors({**half, 'include': 'base.yaml', 'guests': {'one': {'memroy': '128M'}}}))
        self.assertNotEqual([], self.errors({**half, 'include': 'base.yaml', 'policy': [{'guest': 'one'}]}))

    def test_templates(self):
        guest = {'template': 'linux', 'memory': None}
        self.assertEqual([], self.errors(self.definition(guests={'one': guest})))
        self.assertNotEqual([], self.errors(self.definition(guests={'one': {**guest, 'memroy': '1G'}})))
        for keys, good in (({'memory': '1G'}, True), ({'type': 'blk', 'window': '1M'}, True), ({'image': 'a'}, True),
                           ({'memory': '1G', 'image': 'a'}, False), ({'type': 'rng', 'window': None}, True), (4, False)):
            self.assertEqual(good, not self.errors(self.definition(templates={'t': keys})), keys)

    def test_kinds(self):
        for device, good in (({'type': 'blk', 'resource': 'r', 'queues': 2}, True),
                             ({'type': 'console', 'queues': 2}, False), ({'type': 'console'}, True),
                             ({'type': 'rng'}, False), ({'type': 'console', 'resource': 'r'}, False),
                             ({'queues': 2}, False), ({'type': 'disk'}, False)):
            guests = self.definition()['guests']
            guests['one']['devices'] = {'d': device}
            self.assertEqual(good, not self.errors(self.definition(guests=guests)), device)

    def test_values(self):
        for value, good in (('128M', True), (134217728, True), ('0x8000000', True), ('128 MiB', False), ('128m', False),
                            (1, False), (134217729, False), ('1.5G', False), (None, False), (True, False)):
            guests = self.definition()['guests']
            guests['one']['memory'] = value
            self.assertEqual(good, not self.errors(self.definition(guests=guests)), value)
        for value, good in (('10s', True), ('500ms', True), ('1min', True), (10, False), ('10', False), ('10 s', False)):
            guests = self.definition()['guests']
            guests['one']['stop-within'] = value
            self.assertEqual(good, not self.errors(self.definition(guests=guests)), value)
        for value, good in ((['0-3', 7, '0x10 - 0x20'], True), ([], False), (['a'], False), ([1024], False), ('0-3', False)):
            guests = self.definition()['guests']
            guests['one']['host-cpus'] = value
            self.assertEqual(good, not self.errors(self.definition(guests=guests)), value)

    def test_every_key_is_explained(self):
        for name, group in self.schema['$defs'].items():
            for key, value in group['properties'].items():
                self.assertTrue(value['description'].endswith('.'), (name, key))


if __name__ == '__main__':
    tap.main()
