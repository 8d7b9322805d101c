#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Prints the C sources of the tree that a meson build directory compiles, each once. For tools/lint.sh."""

import json
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

with open(os.path.join(sys.argv[1], 'compile_commands.json'), encoding='utf-8') as commands:
    entries = json.load(commands)
paths = {os.path.realpath(os.path.join(entry['directory'], entry['file'])) for entry in entries}
build = os.path.realpath(sys.argv[1]) + os.sep
for path in sorted(paths):
    if path.startswith(os.path.realpath(ROOT) + os.sep) and not path.startswith(build):
        print(path)
