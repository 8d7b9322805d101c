# SPDX-License-Identifier: BSD-2-Clause
"""A guest's terminal, for programs: types commands into the shell there and reads what they say.

What it is: the bytes of two descriptors (of a socket, or of the pipes of `bulkhead attach`).
What it is not: a terminal emulator.  Control sequences are taken out of what is read.
"""
import os
import re
import select
import time

PATIENCE = 60  # seconds
SEQUENCE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
MARK = "BULKHEAD-DONE"


class Closed(Exception):
    """The terminal has ended, or never said what was expected; the text says what it said."""


class Terminal:
    """Reads from one descriptor, writes to the other; they stay the caller's."""

    def __init__(self, reads, writes, patience=PATIENCE):
        self.reads = reads
        self.writes = writes
        self.patience = patience
        self.text = ""

    def type(self, line):
        os.write(self.writes, line.encode() + b"\r")

    def more(self, deadline):
        """Takes what came; false at the end, or when the time is up."""
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([self.reads], [], [], left)[0]:
            return False
        data = os.read(self.reads, 65536)
        self.text = SEQUENCE.sub("", self.text + data.decode(errors="replace"))
        return bool(data)

    def expect(self, text):
        """Reads until that text came; gives what came before it."""
        deadline = time.monotonic() + self.patience
        while text not in self.text:
            if not self.more(deadline):
                raise Closed(f"the terminal never said {text!r}, but: {self.text[-1000:]!r}")
        before, _, self.text = self.text.partition(text)
        return before

    def prompt(self, name):
        """Waits for the shell of the guest of that name."""
        self.type("")
        self.expect(f"{name}:")

    def command(self, line):
        """Runs a command in the shell; gives what it printed, and its exit status."""
        # The marks are typed in two parts, so that the echo of the line is not taken for them.
        half, rest = MARK[:4], MARK[4:]
        self.type(f"echo {half}''{rest}; {line}; echo {half}''{rest} $? .")
        self.expect(f"{MARK}\r\n")
        output = self.expect(f"{MARK} ")
        return output.replace("\r\n", "\n").strip("\n"), int(self.expect(" ."))
