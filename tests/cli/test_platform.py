#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""`bulkhead status` and `bulkhead stop` with a supervisor that only pretends."""

import json
import os
import signal
import subprocess

import cli


class Which(cli.Case):
    """Which platform is meant."""

    def test_which_none_runs(self):
        for words in (['status'], ['stop'], ['attach', 'cluster']):
            self.refused(self.run_cli(*words), 'no platform is running', 'bulkhead run')
        self.refused(self.run_cli('status', 'hello'), "'hello' is not running")

    def test_which_the_only_one(self):
        self.run_platform('other')
        self.assertEqual(self.run_cli('status').returncode, 0)
        self.refused(self.run_cli('status', 'hello'), "no platform 'hello'", 'running: other')

    def test_which_of_several(self):
        self.run_platform('one')
        self.run_platform('two')
        self.refused(self.run_cli('status'), 'one, two', 'say which')
        self.assertEqual(self.run_cli('status', 'two').returncode, 0)

    def test_which_killed_one_does_not_count(self):
        killed = self.run_platform('one')
        killed.kill()
        killed.wait()
        self.refused(self.run_cli('status'), 'no platform is running')
        self.refused(self.run_cli('status', 'one'), "'one' is not running")
        self.run_platform('one')
        self.assertEqual(self.run_cli('status').returncode, 0)

    def test_which_names_that_are_none(self):
        self.run_platform()
        for name in ('../hello', 'HELLO', '.', 'x' * 200):
            self.refused(self.run_cli('status', name), 'running: hello')

    def test_which_folder_of_others(self):
        os.mkdir(self.folder + '/bulkhead', 0o755)
        self.refused(self.run_cli('status'), 'denied', 'XDG_RUNTIME_DIR')

    def test_which_supervisor_does_not_answer(self):
        process = self.run_platform()
        process.send_signal(signal.SIGSTOP)
        self.refused(self.run_cli('status'), 'hello', 'no answer', 'timeout')


class Status(cli.Case):
    def test_status_as_a_table(self):
        self.run_platform()
        result = self.run_cli('status')
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertEqual(result.stdout, '''\
platform hello: running (pid 100)
mode: drive (of drive, park, workshop)
audit log: /state/audit.jsonl

cluster: running, ASIL-B, 140M memory, QEMU 11.1 (TCG, pid 101); gate (pid 99, restarted 2 times)
  DEVICE   TYPE  STATE      PID  ISOLATION  WINDOW  MAPPED  REQUESTS  MB   FLIGHT  RESTARTS  STALL
  root     blk   replacing  102  direct     4M      12M     12034     812  3       1         4.2ms
  entropy  rng   running    103  direct     1M      1028K   0         1    0       0         -

ivi: failed, QM, 256M memory, QEMU 11.1 (KVM, pid -); gate (pid -)
  its kernel panicked
  DEVICE   TYPE     STATE  PID  ISOLATION  WINDOW  MAPPED  REQUESTS  MB  FLIGHT  RESTARTS  STALL
  console  console  ended  -    open       -       ?       0         1   0       0         -
''')

    def test_status_of_one_mode_and_a_log_with_gaps(self):
        status = json.loads(json.dumps(cli.STATUS))
        status.update(modes=['drive'], audit={'path': '/state/\x1b[2J', 'lost': 12})
        self.run_platform(status=status)
        result = self.run_cli('status')
        self.assertIn('\nmode: drive\naudit log: /state/?[2J (12 entries were lost)\n', result.stdout)

    def test_status_that_is_too_long_for_one_message(self):
        """Guests without devices are asked for one by one."""
        status = json.loads(json.dumps(cli.STATUS))
        devices = [guest.pop('devices') for guest in status['guests']]
        for guest, its in zip(status['guests'], devices):
            with open(self.folder + '/hello.json.' + guest['name'], 'w', encoding='utf-8') as file:
                json.dump({**status, 'guests': [{**guest, 'devices': its}]}, file)
        self.run_platform(status=status)
        self.assertEqual(json.loads(self.run_cli('status', '--json').stdout), cli.STATUS)

    def test_status_again_and_again(self):
        """Each second, until the platform is gone."""
        platform = self.run_platform()
        with subprocess.Popen([cli.BULKHEAD, 'status', '--watch'], env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watch:
            heads = 0
            for line in watch.stdout:
                heads += line.startswith('platform hello: running')
                if heads == 3:
                    break
            platform.kill()
            _, error = watch.communicate(timeout=cli.PATIENCE)
            self.assertEqual(watch.returncode, 1)
            self.assertIn('it has ended', error)

    def test_status_as_json(self):
        self.run_platform()
        result = self.run_cli('status', '--json', 'hello')
        self.assertEqual(result.returncode, 0)
        self.assertEqual(json.loads(result.stdout), cli.STATUS)

    def test_status_of_a_strange_supervisor(self):
        for status in ({}, [], {'guests': 1}, {'platform': 'x\x1b[2J' * 50, 'guests': [1, {'devices': [2, {}] * 100}]},
                       {'guests': [{'name': '\u00e9' * 200, 'memory': {'private': -1, 'shared': 'x'}, 'devices': {}}]}):
            process = self.run_platform(status=status)
            result = self.run_cli('status')
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertNotIn('\x1b', result.stdout)
            process.kill()
            process.wait()

    def test_status_that_is_no_json(self):
        self.run_platform(status=None)
        process = self.run_platform('broken', status=0)
        with open(self.folder + '/broken.json', 'w', encoding='utf-8') as file:
            file.write('{"a": ')
        process.kill()
        process.wait()
        log = open(self.folder + '/log', 'wb')
        self.addCleanup(log.close)
        again = subprocess.Popen([cli.FAKE_SUPERVISOR, 'broken', self.folder + '/broken.json'], env=self.environment,
                                 stdout=log)
        self.addCleanup(again.wait)
        self.addCleanup(again.kill)
        cli.wait_until(lambda: os.path.getsize(self.folder + '/log') > 0, 'broken')
        self.refused(self.run_cli('status', 'broken'), 'no answer')


class Mode(cli.Case):
    def test_mode_lists(self):
        self.run_platform()
        for words in (['mode'], ['mode', 'hello']):
            result = self.run_cli(*words)
            self.assertEqual((result.returncode, result.stdout), (0, '* drive\n  park\n  workshop\n'), result.stderr)

    def test_mode_changes(self):
        process = self.run_platform()
        for words in (['mode', 'park'], ['mode', 'hello', 'park']):
            result = self.run_cli(*words)
            self.assertEqual((result.returncode, result.stdout), (0, 'hello: mode park\n'), result.stderr)
        self.assertEqual(process.log().count('mode park'), 2)

    def test_mode_that_is_called_like_the_platform(self):
        """The name alone is the platform's: nothing is changed by it."""
        process = self.run_platform('park')
        self.assertEqual(self.run_cli('mode', 'park').stdout, '* drive\n  park\n  workshop\n')
        self.assertEqual(self.run_cli('mode', 'park', 'park').stdout, 'park: mode park\n')
        self.assertIn('mode ?\nmode park\n', process.log())

    def test_mode_unknown(self):
        self.run_platform()
        self.refused(self.run_cli('mode', 'dirve'), 'hello: there is no such mode', 'drive, park, workshop')
        self.refused(self.run_cli('mode', 'other', 'drive'), "no platform 'other'", 'running: hello')

    def test_mode_usage(self):
        self.refused(self.run_cli('mode', 'a', 'b', 'c'), "two arguments; this is too much: 'c'", status=2)
        self.refused(self.run_cli('mode', 'hello', ''), 'empty', status=2)
        self.refused(self.run_cli('mode', 'drive'), 'no platform is running')


class Stop(cli.Case):
    def test_stop_all_waits_until_it_is_gone(self):
        process = self.run_platform()
        result = self.run_cli('stop')
        self.assertEqual((result.returncode, result.stderr), (0, ''))
        self.assertEqual(process.wait(cli.PATIENCE), 0)
        self.assertIn('stop all', process.log())
        self.assertEqual(result.stdout, 'cluster: running, ivi: failed\ncluster: stopped, ivi: failed\n'
                                        'hello has ended\n')
        self.assertEqual(os.listdir(self.folder + '/bulkhead'), [])

    def test_stop_one_guest(self):
        process = self.run_platform()
        result = self.run_cli('stop', 'hello/cluster')
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(result.stdout, 'cluster: running\ncluster: stopped\ncluster has ended\n')
        self.assertIn('stop cluster', process.log())
        self.assertIsNone(process.poll())

    def test_stop_refused(self):
        self.run_platform()
        self.refused(self.run_cli('stop', 'hello/nobody'), "there is no guest 'nobody'")

    def test_stop_takes_too_long(self):
        status = json.loads(json.dumps(cli.STATUS))
        status['guests'][0]['name'] = 'mule'
        process = self.run_platform(status=status)
        result = self.run_cli('stop', '-t', '0', 'hello/mule')
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout, 'mule: running\n')
        self.assertIn('mule still runs after 0 s', result.stderr)
        self.assertIsNone(process.poll())

    def test_stop_supervisor_that_is_killed_has_ended_too(self):
        status = json.loads(json.dumps(cli.STATUS))
        status['guests'][0]['name'] = 'mule'
        process = self.run_platform(status=status)
        stop = self.start('stop', 'hello/mule', stdout=subprocess.PIPE, text=True)
        self.assertEqual(stop.stdout.readline(), 'mule: running\n')
        process.kill()
        process.wait()
        self.assertEqual(stop.communicate(timeout=cli.PATIENCE)[0], 'mule has ended\n')
        self.assertEqual(stop.returncode, 0)


if __name__ == '__main__':
    cli.main()
