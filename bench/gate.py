#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What the gate costs, side by side in one run, and how long a guest waits for a successor.

A host program (vu-blk) plays the guest: no virtual machine, so that nothing but the way of a request is measured. One
bulkhead-blk serves a file in the page cache; in front of it nothing, or a gate in each mode. A round measures each once, in
turns; printed is the median of the rounds, as a ratio to the back end without a gate, because machines differ and are shared.

    bench/gate.py build/gcc              4 KiB and 128 KiB, one request at a time and 32
    bench/gate.py build/gcc --kills 100  the back end is killed so often under verified I/O: from the loss to the next answer
"""

import argparse
import json
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time

MODES = ['none', 'direct', 'shadow', 'bounce']
RINGS, DATA = 0x100000000, 0x200000000  # where vu-blk has its memory
CASES = [(4096, 1, 15000), (4096, 32, 60000), (131072, 1, 4000), (131072, 32, 6000)]


class Bench:
    def __init__(self, build, folder, null, how):
        self.build = pathlib.Path(build).resolve()
        self.folder = pathlib.Path(folder)
        self.image = self.folder / 'disk'
        self.disk = ['--null', '256M'] if null else ['--blk-file', str(self.image), *how]
        self.running = []
        with open(self.image, 'wb') as image:
            image.write(os.urandom(1 << 20) * 256)

    def start(self, command):
        log = open(self.folder / 'log', 'ab')  # pylint: disable=consider-using-with
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.running.append(process)
        return process

    def serve(self, mode, *more):
        """Starts a back end with or without a gate; returns the socket and the process."""
        socket = self.folder / f'{mode}.sock'
        socket.unlink(missing_ok=True)
        blk = [str(self.build / 'daemons/bulkhead-blk'), *self.disk]
        if mode == 'none':
            process = self.start([*blk, '--socket-path', str(socket)])
        else:
            shares = {'direct': [f'{RINGS:#x}:16M', f'{DATA:#x}:1G'], 'shadow': [f'{DATA:#x}:1G'], 'bounce': []}[mode]
            process = self.start([str(self.build / 'gate/bulkhead-gate'), '--listen', str(socket), '--type', 'blk',
                                  '--mode', mode, '--queues', '1', '--queue-size', '256', *more,
                                  *[word for share in shares for word in ('--share', share)],
                                  '--', *blk, '--fd', '{fd}'])
        limit = time.monotonic() + 10
        while not socket.exists():
            if process.poll() is not None or time.monotonic() > limit:
                sys.exit(f'{mode}: does not listen; its words:\n{(self.folder / "log").read_text()}')
            time.sleep(0.01)
        return socket, process

    def vu_blk(self, socket, *words):
        result = subprocess.run([str(self.build / 'tests/vhost_user/vu-blk'), '--socket', str(socket), *words],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if result.returncode:
            sys.exit(f'vu-blk {" ".join(words)}: {result.stdout}\n{(self.folder / "log").read_text()[-2000:]}')
        return result.stdout

    def rate(self, socket, block, depth, count):
        words = self.vu_blk(socket, '--block', str(block), '--depth', str(depth), '--count', str(count),
                            '--queue-size', '256', '--length', str(256 << 20), 'bench')
        return float(words.split(' IOPS')[0].split()[-1])

    def finish(self):
        for process in self.running:
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def cost(bench, rounds):
    sockets = {mode: bench.serve(mode)[0] for mode in MODES}
    print(f'{"":22}' + ''.join(f'{mode:>10}' for mode in MODES) + '   shadow/direct  bounce/direct')
    for block, depth, count in CASES:
        rates = {mode: [] for mode in MODES}
        for _ in range(rounds):
            for mode in random.sample(MODES, len(MODES)):
                rates[mode].append(bench.rate(sockets[mode], block, depth, count))
        middle = {mode: statistics.median(values) for mode, values in rates.items()}
        print(f'read {block // 1024:4} KiB, depth {depth:2} ' +
              ''.join(f'{middle[mode] / middle["none"]:10.2f}' for mode in MODES) +
              f'{middle["shadow"] / middle["direct"]:16.2f}{middle["bounce"] / middle["direct"]:15.2f}'
              f'    (none: {middle["none"]:.0f} a second)', flush=True)


def children(pid):
    """Processes below `pid`, by name."""
    found = []
    for status in pathlib.Path('/proc').glob('[0-9]*/stat'):
        try:
            words = status.read_text().rsplit(') ', 1)
        except OSError:
            continue
        if int(words[1].split()[1]) == pid:
            child = int(words[0].split(' ', 1)[0])
            found.append((words[0].split('(', 1)[1], child))
            found += children(child)
    return found


def kills(bench, count):
    for mode in MODES[1:]:
        audit = bench.folder / f'{mode}.audit'
        socket, gate = bench.serve(mode, '--audit', str(audit), '--spares', '1', '--restarts', '0')
        verify = subprocess.Popen([str(bench.build / 'tests/vhost_user/vu-blk'), '--socket', str(socket), '--depth', '16',
                                   '--count', str(100000000), '--length', str(64 << 20), '--timeout', '20000', 'verify'],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        done = 0
        last = None
        while done < count and verify.poll() is None:
            time.sleep(random.uniform(0.3, 0.6))  # one that dies at once is started with a pause
            # The oldest serves, younger ones are spares.
            serving = sorted(pid for name, pid in children(gate.pid) if name.startswith('bulkhead-blk') and pid != last)
            if serving:
                last = serving[0]
                os.kill(last, signal.SIGKILL)
                done += 1
        alive = verify.poll() is None
        time.sleep(0.5)
        verify.kill()
        words = verify.communicate()[0]
        events = [json.loads(line) for line in audit.read_text().splitlines()]
        stalls = sorted(event['number'] / 1000 for event in events if event['reason'] == 'replaced')
        gate.terminate()
        gate.wait()
        if not alive:
            sys.exit(f'{mode}: the front end saw an error after {done} kills: {words}')
        print(f'{mode}: {done} kills, {len(stalls)} successors; from the loss to the next answer: '
              f'median {statistics.median(stalls):.1f} ms, 95 % below {stalls[int(len(stalls) * 0.95)]:.1f} ms, '
              f'worst {stalls[-1]:.1f} ms', flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('build', help='a build directory, such as build/gcc')
    parser.add_argument('--rounds', type=int, default=7)
    parser.add_argument('--null', action='store_true', help='a null device instead of a file')
    parser.add_argument('--kills', type=int, help='kill the back end so often in each mode, and print the stalls')
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix='bulkhead-bench.', dir='/tmp') as folder:
        # Readers share the image; a spare must not lock it before its turn.
        how = ['--standby'] if arguments.kills else ['--read-only']
        bench = Bench(arguments.build, folder, arguments.null and not arguments.kills, how)
        try:
            if arguments.kills:
                kills(bench, arguments.kills)
            else:
                cost(bench, arguments.rounds)
        finally:
            bench.finish()


if __name__ == '__main__':
    main()
