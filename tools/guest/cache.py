# SPDX-License-Identifier: BSD-2-Clause
"""The cache that the guest tools share, and how they show progress.

What it is: where things are kept (outside every build folder), a key made of contents, and a
way to build a folder so that it is either whole or not there.
What it is not: a clean-up.  To start afresh (for newer packages, say), remove the folder.
"""
import contextlib
import fcntl
import hashlib
import os
import pathlib
import shutil
import sys
import tempfile
import time


def root():
    """The cache folder: $BULKHEAD_CACHE, or bulkhead/ in the user's cache folder."""
    named = os.environ.get("BULKHEAD_CACHE")
    if named:
        return pathlib.Path(named).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    return pathlib.Path(base).absolute() / "bulkhead"


def key(*parts):
    """A short key: files count with their contents, anything else as text."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, pathlib.Path) else str(part).encode()
        digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def lock(name):
    """Holds the cache's lock of that name, so that two runs never build one thing."""
    folder = root()
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / f".{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def folder(name, build):
    """The cached folder `name`; if it is not there, build(path) fills a new one first."""
    final = root() / name
    if final.is_dir():
        return final
    with lock(name):
        if final.is_dir():
            return final
        fresh = pathlib.Path(tempfile.mkdtemp(prefix=f".{name}.", dir=root()))
        try:
            fresh.chmod(0o755)
            build(fresh)
            fresh.rename(final)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
    return final


@contextlib.contextmanager
def step(text):
    """Says on stderr what is being done and, when it is done, how long it took."""
    print(f"guest: {text} ...", file=sys.stderr, flush=True)
    start = time.monotonic()
    yield
    print(f"guest: {text}: {time.monotonic() - start:.1f} s", file=sys.stderr, flush=True)
