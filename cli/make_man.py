#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a man page (scdoc source, to standard output) from its template.

@VERSION@ becomes the project's version, @KEYS@ what PROGRAM prints: the reference that is made from the table of keys,
so that the page cannot lag behind it. Another @NAME@ is an error.

Usage: make_man.py TEMPLATE VERSION [PROGRAM]
"""

import re
import subprocess
import sys


def main():
    template, version, *program = sys.argv[1:]
    values = {'VERSION': version}
    if program:
        values['KEYS'] = subprocess.run(program, check=True, capture_output=True, text=True).stdout.rstrip()
    with open(template, encoding='utf-8') as file:
        page = file.read()
    try:
        sys.stdout.write(re.sub(r'@([A-Z]+)@', lambda match: values[match.group(1)], page))
    except KeyError as error:
        raise SystemExit('make_man.py: %s: nothing is known of @%s@' % (template, error.args[0])) from None


if __name__ == '__main__':
    main()
