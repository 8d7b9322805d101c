#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Writes a text file as a C array: the style sheet of the report, which is built in.

Comments and indentation stay in the source. Usage: report_embed.py FILE NAME >FILE.c
"""

import re
import sys


def main():
    with open(sys.argv[1], encoding='utf-8') as source:
        text = re.sub(r'/\*.*?\*/\n?', '', source.read(), flags=re.DOTALL)
    lines = [line.strip() for line in text.splitlines()]
    data = ('\n'.join(line for line in lines if line) + '\n').encode()
    print('/* SPDX-License-Identifier: BSD-2-Clause */')
    print('/*\n * Made by report_embed.py.\n */')
    print(f'extern const char {sys.argv[2]}[];\n')
    print(f'const char {sys.argv[2]}[] = {{')
    for start in range(0, len(data), 20):
        print('    ' + ' '.join(f'{byte},' for byte in data[start:start + 20]))
    print('    0};')


main()
