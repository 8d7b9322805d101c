#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The examples beside hello (which ./demo.sh shows): each as it stands, with the images that make_example.py makes, until
its guests are up, and to its orderly end. What is optional and not there yet is left out.
"""
import os
import shutil
import subprocess

import rig

import tap  # noqa: E402  (found through rig)

EXAMPLES = rig.ROOT / "examples"


class Examples(rig.Rig):
    def example(self, name):
        """A copy of the example whose disks nobody else has."""
        folder = self.folder / "examples" / name
        shutil.copytree(EXAMPLES / name, folder, ignore=shutil.ignore_patterns("images"))
        shutil.copytree(rig.ROOT / "guest" / "hello", self.folder / "guest" / "hello")
        images = folder / "images"
        images.mkdir()
        os.symlink(rig.make_kernel.folder() / "Image", images / "Image")
        for guest in rig.make_example.DISKS[name]:
            rig.image.copy_disk(rig.make_example.folder() / f"{guest}.ext4", images / f"{guest}.ext4")
        if (folder / "Makefile").exists():
            subprocess.run(["make", "-s", "-C", str(folder), f"BULKHEAD={rig.BULKHEAD}"], check=True, capture_output=True)
        return folder

    def test_gateway(self):
        run = self.run_platform(self.example("gateway") / "platform.yaml")
        run.wait_for("monitor ", "monitor: ready")
        run.wait_for_guests("gateway", "telematics")
        self.assertEqual(run.stop(), rig.OK, run.tail())
        self.assertTrue(any("monitor: stopping" in line for line in run.lines), run.tail())

    def test_cockpit_entry(self):
        """The variant: three guests, none of which has the cabin's bus."""
        run = self.run_platform(self.example("cockpit") / "entry.yaml")
        run.wait_for_guests(*rig.make_example.DISKS["cockpit"])
        self.assertEqual(run.stop(), rig.OK, run.tail())


if __name__ == "__main__":
    tap.main()
