#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""bulkhead-gate's command line, its sockets, its audit file and its metrics."""

import os
import pathlib
import re
import socket
import stat
import subprocess

import keeper

GOOD = ['--listen', '/tmp/x.sock', '--type', 'blk', '--mode', 'bounce']
COMMAND = ['--', 'program', '{fd}']


class Options(keeper.Case):
    def refuse(self, arguments, *texts):
        result = keeper.run(*arguments)
        self.assertEqual(result.returncode, 2, (arguments, result.stderr))
        self.assertEqual(result.stdout, '')
        for text in texts:
            self.assertIn(text, result.stderr)

    def check(self, *arguments):
        result = keeper.run('--check', *arguments)
        self.assertEqual((result.returncode, result.stderr), (0, ''), arguments)

    def test_keeper_help_and_version(self):
        result = keeper.run('--help')
        self.assertEqual(result.returncode, 0)
        for option in ('--listen SOCKET', '--backend SOCKET', '--share ADDRESS:SIZE', '{fd}', '{socket}'):
            self.assertIn(option, result.stdout)
        self.assertTrue(all(len(line) <= 100 for line in result.stdout.splitlines()))
        self.assertRegex(keeper.run('--version').stdout, r'^bulkhead-gate \d+\.\d+\.\d+\n$')

    def test_keeper_page(self):
        """The man page has each option of the help, and no other."""
        root = pathlib.Path(__file__).resolve().parents[2]
        page = (root / 'gate' / 'bulkhead-gate.1.scd').read_text(encoding='utf-8')
        entries = re.search(r'# OPTIONS\n(.*?)\n# ', page, re.DOTALL)[1]
        heads = [line for line in entries.splitlines() if line.startswith('*--')]
        described = re.findall(r'\*--([a-z-]+)\*', ' '.join(heads))
        listed = re.findall(r'^  --([a-z-]+)', keeper.run('--help').stdout, re.MULTILINE)
        self.assertEqual(sorted(described), sorted(listed))

    def test_keeper_help_that_cannot_be_written(self):
        with open('/dev/full', 'w', encoding='utf-8') as full:
            result = subprocess.run([keeper.GATE, '--help'], stdout=full, check=False, timeout=20)
        self.assertEqual(result.returncode, 1)

    def test_keeper_good_options(self):
        self.check(*GOOD, *COMMAND)
        self.check(*GOOD, '--backend', '/tmp/y.sock')
        self.check(*GOOD, '--queues', '64', '--queue-size', '32768', '--arena', '64K',
                   '--deadline', '0', '--restarts', '0',
                   '--operations', '1', '--bytes', '100M', '--packed', '--config-size', '256', '--spares', '1',
                   '--sandbox', 'strict', '--guard', '0x40000000:1G', '--audit', 'a', '--metrics', 'm', *COMMAND)
        for mode in (['shadow'], ['shadow', '--share', '0x60000000:64M', '--share', '1G:4096'], ['open'],
                     ['direct', '--share', '0:4K']):
            self.check(*GOOD[:4], '--mode', *mode, *COMMAND)
        for name in ('net', 'console', 'rng', 'vsock', 'fs', 'can', '2', '41', '1024'):
            self.check(*GOOD, '--type', name, *COMMAND)

    def test_keeper_what_is_missing(self):
        self.refuse([], 'what kind of device', '--type blk')
        self.refuse(['--type', 'blk'], 'give --mode bounce')
        self.refuse(['--type', 'blk', '--mode', 'bounce'], 'give --listen SOCKET')
        self.refuse(GOOD, 'there is no back end')
        self.refuse([*GOOD, '--', 'program'], 'put {fd}', '{socket}')

    def test_keeper_what_does_not_fit_together(self):
        self.refuse([*GOOD, '--fd', '0', *COMMAND], '--fd 0')
        with socket.socket(socket.AF_UNIX) as line:
            result = keeper.run(*GOOD, '--fd', str(line.fileno()), *COMMAND, pass_fds=[line.fileno()])
            self.assertIn('--listen and --fd', result.stderr)
        self.refuse([*GOOD, '--backend', 'y', *COMMAND], '--backend and a command')
        self.refuse([*GOOD, '--backend', 'y', '--spares', '1'], '--spares: only with a command')
        self.refuse([*GOOD, '--', 'program', '{fd}', '{socket}'], '{fd} and {socket}')
        self.refuse([*GOOD, '--share', '0:4K', *COMMAND], '--mode shadow')
        self.refuse([*GOOD[:4], '--mode', 'direct', *COMMAND], 'give --share')
        self.refuse([*GOOD[:4], '--mode', 'open', '--guard', '0:4K', *COMMAND], '--share and --guard')
        self.refuse([*GOOD[:4], '--mode', 'open', '--operations', '5', *COMMAND], 'do not go through the gate')
        self.refuse([*GOOD, 'program', '{fd}'], 'a command stands behind --')

    def test_keeper_values(self):
        for option, value, text in (
                ('--type', 'disk', 'write blk'), ('--type', '0', 'write blk'), ('--type', '99999', 'write blk'),
                ('--mode', 'closed', 'write shadow'), ('--sandbox', 'perhaps', 'write strict'),
                ('--queues', '0', 'from 1 to 64'), ('--queues', '65', 'from 1 to 64'), ('--queues', '8x', 'from 1'),
                ('--queue-size', '32769', 'from 1 to 32768'), ('--queue-size', '-1', 'from 1'),
                ('--config-size', '257', 'from 0 to 256'), ('--arena', '1K', 'out of range'),
                ('--arena', '5G', 'out of range'), ('--arena', '16Z', 'no size'), ('--arena', '', 'no size'),
                ('--arena', '99999999999999999999', 'no size'), ('--bytes', '99999999999T', 'no size'),
                ('--deadline', '3600001', 'from 0'), ('--spares', '2', 'from 0 to 1'), ('--restarts', '', 'from 0'),
                ('--operations', 'many', 'from 0'), ('--share', '0x1000', 'ADDRESS:SIZE'),
                ('--share', '0x1000:0', 'multiples of'), ('--share', '1:4096', 'multiples of'),
                ('--guard', '0x1000:4K:', 'ADDRESS:SIZE'), ('--guard', '0xfffffffffffff000:8K', 'multiples of'),
                ('--fd', '99', 'no such descriptor'), ('--fd', '1', 'from 3')):
            self.refuse([*GOOD, option, value, *COMMAND], option, text)
        self.refuse([*GOOD, '--arena', '65K', *COMMAND][:-3] + ['--arena', '66561', *COMMAND], 'a multiple of 4K')
        self.refuse([*GOOD, '--listen', 'x' * 108, *COMMAND], 'choose a shorter one')
        self.refuse([*GOOD, '--metrics', '', *COMMAND], 'the path is empty')
        self.refuse([*GOOD, *['--share', '0:4K'] * 33, *COMMAND], 'at most 32')
        self.refuse([*GOOD, '--no-such-option', *COMMAND])
        self.refuse([*GOOD, '--type'])


class Sockets(keeper.Case):
    def test_keeper_socket_is_its_owners(self):
        gate = self.gate('--mode', 'bounce').wait_served()
        for path in (gate.socket, gate.metrics_path):
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(os.stat(gate.audit_path).st_mode), 0o600)
        self.check_ends(gate)

    def test_keeper_socket_left_over(self):
        gate = self.gate('--mode', 'bounce').wait_served()
        gate.kill()
        self.assertTrue(os.path.exists(gate.socket))
        gate = self.gate('--mode', 'bounce').wait_served()
        self.check_ends(gate)

    def test_keeper_socket_in_use(self):
        path = os.path.join(self.folder, 'front.sock')
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(path)
            other.listen()
            gate = self.gate('--mode', 'bounce')
            self.assertEqual(gate.process.wait(keeper.PATIENCE), 1)
            self.assertIn('is in use', gate.log())
        os.unlink(path)
        pathlib.Path(path).write_text('no socket', encoding='utf-8')
        gate = self.gate('--mode', 'bounce')
        self.assertEqual(gate.process.wait(keeper.PATIENCE), 1)
        self.assertEqual(pathlib.Path(path).read_text(encoding='utf-8'), 'no socket')

    def test_keeper_no_socket(self):
        with open('/dev/null', 'rb') as null:
            result = keeper.run('--type', 'blk', '--mode', 'bounce', '--fd', str(null.fileno()), *COMMAND,
                                pass_fds=[null.fileno()])
            self.assertEqual(result.returncode, 1)
            self.assertIn('is no Unix stream socket', result.stderr)

    def test_keeper_service_manager(self):
        """LISTEN_FDS: a socket that is handed over; READY=1 and STOPPING=1."""
        notify = os.path.join(self.folder, 'notify')
        front = os.path.join(self.folder, 'handed.sock')
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            listener.bind(front)
            listener.listen()
            manager.bind(notify)
            manager.settimeout(keeper.PATIENCE)
            line = 'exec 3<&%d; LISTEN_PID=$$ LISTEN_FDS=1 NOTIFY_SOCKET=%s exec "$0" "$@"' % (
                listener.fileno(), notify)
            process = subprocess.Popen(['/bin/bash', '-c', line, keeper.GATE, '--type', 'blk', '--mode', 'bounce', '--',
                                        *self.blk], pass_fds=[listener.fileno()], stderr=subprocess.DEVNULL)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
            self.assertEqual(manager.recv(100), b'READY=1')
            result = subprocess.run([keeper.VU_BLK, '--socket', front, 'info'], capture_output=True,
                                    timeout=keeper.PATIENCE, check=False)
            self.assertEqual(result.returncode, 0, result.stderr)
            process.terminate()
            self.assertEqual(manager.recv(100), b'STOPPING=1')
            self.assertEqual(process.wait(keeper.PATIENCE), 0)

    def test_keeper_audit_cannot_be_written(self):
        result = keeper.run(*GOOD[:1], os.path.join(self.folder, 'f'), *GOOD[2:], '--audit', self.folder, *COMMAND)
        self.assertEqual(result.returncode, 1)
        self.assertIn('--audit', result.stderr)

    def test_keeper_arena_too_small(self):
        """The inner gate cannot start, and says why."""
        gate = self.gate('--mode', 'bounce', '--arena', '64K', '--queues', '16', '--queue-size', '1024')
        self.assertIn(gate.process.wait(keeper.PATIENCE), (1, 2, 3, 4))
        self.assertIn('the inner gate could not start', gate.log())


class Metrics(keeper.Case):
    SAMPLE = re.compile(r'^(\w+)(\{(?:\w+="(?:[^"\\\n]|\\["\\n])*",?)*\})? (-?[0-9.]+|\+Inf)$')

    def test_keeper_metrics(self):
        gate = self.gate('--mode', 'bounce').wait_served()
        self.assertIsNone(gate.verify(500), gate.log())
        answer = gate.ask_metrics()
        head, _, body = answer.partition('\r\n\r\n')
        self.assertTrue(head.startswith('HTTP/1.1 200 OK'))
        self.assertIn('Content-Length: %d' % len(body), head)
        self.assertIn('application/openmetrics-text', head)
        lines = body.splitlines()
        self.assertEqual(lines[-1], '# EOF')
        families = {line.split()[2]: line.split()[3] for line in lines if line.startswith('# TYPE')}
        for line in lines[:-1]:
            if line.startswith('#'):
                continue
            match = self.SAMPLE.match(line)
            self.assertTrue(match, line)
            name = match[1]
            self.assertTrue(any(name in [family + end for end in ('', '_total', '_bucket', '_sum', '_count')]
                                for family in families), line)
            self.assertIn('guest="front",device="blk",mode="bounce"', match[2])
        self.assertGreaterEqual(gate.metric('requests_total'), 500)
        self.assertEqual(gate.metric('latency_seconds_count'), gate.metric('requests_total'))
        self.assertEqual(gate.metric('in_flight'), 0)
        self.check_ends(gate)

    def test_keeper_metrics_visitors(self):
        """Many who ask nothing and stay: the next one is answered all the same."""
        gate = self.gate('--mode', 'bounce').wait_served()
        visitors = []
        for _ in range(30):
            visitor = socket.socket(socket.AF_UNIX)
            visitor.connect(gate.metrics_path)
            visitors.append(visitor)
        self.assertIn('# EOF', gate.ask_metrics())
        self.assertIn('# EOF', gate.ask_metrics(b''))
        for visitor in visitors:
            visitor.close()
        self.check_ends(gate)


if __name__ == '__main__':
    keeper.main()
