# SPDX-License-Identifier: BSD-2-Clause
"""The parts of tools/mutate.py: what is changed (find), where it is tried (scratch), what is excused (allow)."""
