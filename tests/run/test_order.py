#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The cockpit of examples/: what the driver must see first starts first, each guest on its processors, and the timeline
says when each part was up. And a guest that is ready once its driver is up.
"""
import os
import pathlib
import shutil
import unittest
import xml.etree.ElementTree as ElementTree

import rig

import tap  # noqa: E402  (found through rig)

SVG = "{http://www.w3.org/2000/svg}"
COCKPIT = rig.ROOT / "examples" / "cockpit" / "platform.yaml"


class Order(rig.Rig):
    def texts(self, path):
        return [text.text for text in ElementTree.parse(path).iter(SVG + "text")]

    @staticmethod
    def allowed(pid):
        lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(line.split()[1] for line in lines if line.startswith("Cpus_allowed_list:"))

    @unittest.skipIf(len(os.sched_getaffinity(0)) < 2, "the cockpit needs two processors")
    def test_cockpit(self):
        (self.folder / "images").mkdir()
        (self.folder / "images" / "Image").symlink_to(rig.make_kernel.folder() / "Image")
        for guest in ("cluster", "ivi", "gateway"):
            self.disk(guest, f"images/{guest}.ext4")
        shutil.copy(COCKPIT, self.folder / "platform.yaml")
        picture = self.folder / "start.svg"
        run = self.run_platform(self.folder / "platform.yaml", options=("--timeline", str(picture)))
        run.wait_for_guests("cluster", "gateway", "ivi")
        places = [next(number for number, line in enumerate(run.lines) if text in line)
                  for text in ("| cluster: ready, boot ", "| gateway: runs", "| ivi: runs")]
        self.assertEqual(places, sorted(places), run.tail())
        self.assertTrue(run.said("| cluster: is ready"))
        for guest, cpu in (("cluster", "0"), ("gateway", "0"), ("ivi", "1")):
            found = run.control("cockpit").call(request="status", guest=guest)[0]["status"]["guests"][0]
            pids = [found["pid"]] + [device["pid"] for device in found["devices"] if device["pid"]]
            self.assertEqual(len(pids), 4)
            self.assertEqual({self.allowed(pid) for pid in pids}, {cpu}, guest)
        self.assertEqual(run.stop(), rig.OK, run.tail())
        texts = self.texts(picture)
        self.assertTrue(texts[-1], texts)
        self.assertEqual(sum(text.startswith("ready at ") for text in texts), 3, texts)
        self.assertEqual(sum("driver up +" in text for text in texts), 9, texts)
        self.assertEqual(picture.read_text().count('class="after"'), 1)

    def test_ready_by_its_driver(self):
        first = rig.linux(rig.usual("cluster"), **{"ready-when": {"device": "root"}})
        second = rig.linux(rig.usual("ivi"), after=["cluster"])
        definition = self.define({"cluster": first, "ivi": second}, [self.disk(), self.disk("ivi")])
        run = self.run_platform(definition)
        run.wait_for("| cluster: runs")
        detail = run.guest("ivi")["detail"]
        self.assertEqual(detail, "waits until cluster is ready")
        self.assertEqual(run.guest("cluster")["detail"], "not ready yet: its driver of root is not up")
        run.wait_for("| cluster: is ready")
        run.wait_for("| ivi: runs")
        self.assertEqual(run.stop(), rig.OK, run.tail())


if __name__ == "__main__":
    tap.main()
