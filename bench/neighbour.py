#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""A guest that floods its disk, and what its neighbour notices: with and without limits at the flooding guest's gate.

    bench/neighbour.py [--seconds N] [--rounds N] [--limit N]     $BULKHEAD_BUILD: the build (build/gcc)

Two Linux guests, a disk behind a gate each, both images in one file system of the host. The quiet guest reads 4 KiB at a time
(fio, one request in flight) and prints its latencies; the other writes 64 KiB with 32 in flight. Measured in turns: idle (the
other does nothing), flooded without limits, flooded with them. Printed are the 99.9th percentiles and their ratios to idle.
What it is not: a statement about hardware. Both guests are emulated here, so the flood also takes processor time that a
limit on requests gives back only as far as the requests cost it.
"""
import argparse
import json
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "gate"))
sys.dont_write_bytecode = True

import rig  # noqa: E402  (found through the line above)

FIO = "chroot /tools /usr/bin/fio --filename=$DISK --direct=1 --ioengine=libaio --size=32M --time_based --randrepeat=0"
QUIET = FIO + " --name=quiet --rw=randread --bs=4k --iodepth=1 --runtime={} --output-format=json"
FLOOD = FIO + " --name=flood --rw=randwrite --bs=64k --iodepth=32 --runtime=100000 >/dev/null 2>&1 & echo $! >/tmp/flood"


def guest(folder, name, *options):
    image = pathlib.Path(folder) / name
    with open(image, "wb") as file:
        file.truncate(48 * rig.MIB)
    device = rig.Device("disk", "vhost-user-blk,num-queues=1,queue-size=128", mode="shadow", command=rig.blk(image),
                        options=["--queues", "1", *options])
    return rig.Guest(f"neighbour {name}", [device], tools=True)


def percentile(quiet, seconds):
    """The 99.9th, in microseconds."""
    lines = quiet.must(QUIET.format(seconds), 60 + 4 * seconds)
    text = "\n".join(lines)
    job = json.loads(text[text.index("{"):text.rindex("}") + 1])["jobs"][0]
    return job["read"]["clat_ns"]["percentile"]["99.900000"] / 1000


def flooded(folder, quiet, seconds, name, *options):
    with guest(folder, name, *options) as loud:
        loud.start()
        loud.must("tools")
        loud.must(FLOOD)
        found = percentile(quiet, seconds)
        wrote = loud.gates["disk"].metrics()
        return found, wrote["bulkhead_gate_requests_total"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10, help="for each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, default=200, help="requests a second that the flooding guest may make")
    given = parser.parse_args()
    found = {"idle": [], "flooded": [], "limited": []}
    with tempfile.TemporaryDirectory(prefix="bulkhead-neighbour.", dir="/tmp") as folder:
        with guest(folder, "quiet") as quiet:
            quiet.start()
            quiet.must("tools")
            quiet.must("dd if=/dev/zero of=$DISK bs=1M count=32 conv=fsync 2>/dev/null")
            for number in range(given.rounds):
                found["idle"].append(percentile(quiet, given.seconds))
                for kind, options in (("flooded", []), ("limited", ["--operations", str(given.limit)])):
                    value, requests = flooded(folder, quiet, given.seconds, f"{kind}{number}", *options)
                    found[kind].append(value)
                    print(f"round {number + 1}, {kind}: 99.9 % below {value:.0f} us (idle {found['idle'][-1]:.0f} us); "
                          f"the other made {requests:.0f} requests", flush=True)
    middle = {kind: statistics.median(values) for kind, values in found.items()}
    print(f"99.9th percentile of 4 KiB reads, ratio to idle ({middle['idle']:.0f} us): without limits "
          f"{middle['flooded'] / middle['idle']:.2f}, with {given.limit} requests a second "
          f"{middle['limited'] / middle['idle']:.2f}")


if __name__ == "__main__":
    try:
        main()
    except rig.Failure as failure:
        sys.exit(f"neighbour: {failure}")
