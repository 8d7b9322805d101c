#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Shows a hostile back end at work, for demo.sh: what it gets without a gate, what it gets behind one, and what the guest notices.

What it is: a Linux guest keeps a secret in its memory and runs fio with verification on a disk whose back end is
tests/hostile's: it searches all that it was given for the secret, and then lies about what it has done.
What it is not: a test of everything.  See tests/hostile/.
"""
import pathlib
import re
import secrets
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "gate"))
sys.dont_write_bytecode = True

import rig  # noqa: E402  (found through the line above)

BACKEND = rig.BUILD / "tests" / "hostile" / "hostile-backend"
FIO = ("chroot /tools /usr/bin/fio --output-format=normal --direct=1 --ioengine=libaio --iodepth=8 --verify=crc32c "
       "--verify_fatal=1 --verify_state_save=0 --do_verify=1 --randrepeat=0 --rw=randwrite --bsrange=4k-64k "
       "--name=fio --size=16M --filename=$DISK")


class Scene:
    """A guest with a secret, on a back end that attacks once."""

    def __init__(self, mode, attack):
        self.mode = mode
        self.attack = attack
        self.secret = secrets.token_bytes(16)
        self.folder = pathlib.Path(f"/tmp/bulkhead-demo-hostile.{secrets.token_hex(4)}")

    def play(self):
        """Returns what fio wrote, what the back end says, and the gate's audit log."""
        self.folder.mkdir()
        try:
            image = self.folder / "image"
            with open(image, "wb") as file:
                file.truncate(48 * rig.MIB)
            command = [str(BACKEND), "--fd", "{fd}", "--image", str(image), "--state", str(self.folder), "--attack", self.attack,
                       "--secret", f"secret={self.secret.hex()}"]
            device = rig.Device("disk", "vhost-user-blk,num-queues=1,queue-size=128", mode=self.mode, command=command)
            with rig.Guest(f"demo {self.mode} {self.attack}", [device], windows=self.mode != "open", tools=True) as guest:
                guest.start()
                guest.must("tools")
                # The guest's /tmp is its memory.
                guest.must("printf '" + "".join(f"\\x{byte:02x}" for byte in self.secret) + "' > /tmp/secret")
                lines = guest.must(FIO)
                guest.must("complaints")
                log = pathlib.Path(guest.log.name)
                events = guest.gates["disk"].events()
            log.unlink()
            words = "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*"))
                              if path.name != "image" and path.is_file())
            return "\n".join(lines), words, events
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


def found(words):
    return len(re.findall(r"^.*found secret", words, re.M))


def show(held):
    """Plays the scenes; `held(text)` for each thing that held. Raises rig.Failure."""
    _, words, _ = Scene("open", "scan").play()
    if not found(words):
        raise rig.Failure(f"the hostile back end does not even find the secret where it has all memory: {words[-500:]}")
    held("open     all memory is shared with the back end: it finds the guest's secret")
    for mode in ("shadow", "bounce"):
        _, words, _ = Scene(mode, "scan").play()
        if found(words) or "did" not in words:
            raise rig.Failure(f"{mode}: {words[-500:]}")
        held(f"{mode:8} it searches all that it was given, and finds nothing")
    lines, _, events = Scene("shadow", "id-twice").play()
    thrown = [event for event in events if event["reason"] == "back-end-lied"]
    replaced = [event for event in events if event["reason"] == "replaced"]
    if not thrown or not replaced:
        raise rig.Failure(f"the gate's log does not say that it threw a liar out: {events}")
    wrote = re.search(r"WRITE:.*", lines)
    held(f"shadow   it reports a request twice: thrown out ({thrown[0]['text']})")
    held(f"shadow   its successor serves {replaced[0]['number'] / 1000:.1f} ms later; the guest's fio verified all it wrote"
         + (f" ({wrote.group(0).split('(')[0].strip()})" if wrote else ""))


if __name__ == "__main__":
    try:
        show(lambda text: print(f"   ok  {text}", flush=True))
    except rig.Failure as failure:
        sys.exit(f"PROBLEM {failure}")
