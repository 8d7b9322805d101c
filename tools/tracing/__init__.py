# SPDX-License-Identifier: BSD-2-Clause
"""The parts of tools/trace.py. The grammar that they read is in spec/README.md."""
