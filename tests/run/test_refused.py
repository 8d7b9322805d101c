#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What `bulkhead run` refuses: each time with status 1, a message that says what to do, and nothing left."""
import gzip
import os

import rig

import tap  # noqa: E402  (found through rig)

QEMU = "qemu-system-aarch64"


class Definitions(rig.Rig):
    def refuse_text(self, content, *texts):
        path = self.folder / "bad.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self.refused(path, *texts)

    def test_none(self):
        self.refused(self.folder / "not-there.yaml", "not-there.yaml")

    def test_empty(self):
        self.refuse_text("", "bad.yaml")

    def test_binary(self):
        self.refuse_text(bytes(range(256)) * 16, "bad.yaml")

    def test_ten_megabytes(self):
        self.refuse_text(b"# large\n" * (10 << 17), "bad.yaml")

    def test_cyclic(self):
        self.refuse_text("bulkhead: 1\nname: test\nguests: &a { a: *a }\n", "bad.yaml:3")

    def test_laughing(self):
        lines = ["bulkhead: 1", "name: test", "a: &a [x, x, x, x, x, x, x, x, x]"]
        lines += [f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in zip("abcdefgh", "bcdefghi")]
        self.refuse_text("\n".join(lines), "bad.yaml:3")

    def test_folder(self):
        self.refused(self.folder, str(self.folder))


class Engines(rig.Rig):
    def programs(self, **texts):
        """A folder of programs that say what they are told to."""
        folder = self.folder / "programs"
        folder.mkdir()
        for name, text in texts.items():
            program = folder / name.replace("_", "-")
            program.write_text(f"#!/bin/sh\necho '{text}'\n")
            program.chmod(0o755)
        return str(folder)

    def usual(self):
        return self.define({"cluster": rig.linux(rig.usual("cluster"))}, [self.disk()])

    def test_none(self):
        self.refused(self.usual(), QEMU, path=self.programs())

    def test_too_old(self):
        self.refused(self.usual(), "6.2", "7.2", path=self.programs(
            qemu_system_aarch64="QEMU emulator version 6.2.0 (Debian 1:6.2)"))

    def test_no_qemu_at_all(self):
        self.refused(self.usual(), QEMU, path=self.programs(qemu_system_aarch64="hello"))

    def test_too_old_for_a_console(self):
        self.refused(self.usual(), "10.2", "console", path=self.programs(
            qemu_system_aarch64="QEMU emulator version 7.2.22 (Debian 1:7.2)"))

    def test_named_and_not_there(self):
        definition = self.define({"cluster": rig.linux(rig.usual("cluster"))}, [self.disk()],
                                 engine={"qemu": "/nowhere/qemu"})
        self.refused(definition, "/nowhere/qemu")


class Images(rig.Rig):
    def refuse_kernel(self, content, *texts):
        kernel = self.folder / "kernel"
        if content is not None:
            kernel.write_bytes(content)
        guest = rig.linux(rig.usual("cluster"), boot={"kernel": str(kernel)})
        self.refused(self.define({"cluster": guest}, [self.disk()]), str(kernel), *texts)

    def test_no_kernel(self):
        self.refuse_kernel(None)

    def test_empty_kernel(self):
        self.refuse_kernel(b"")

    def test_text_as_kernel(self):
        self.refuse_kernel(b"This is no kernel.\n" * 1000)

    def test_compressed_kernel(self):
        image = (rig.make_kernel.folder() / "Image").read_bytes()
        self.refuse_kernel(gzip.compress(image[:1 << 20]), "compress")

    def test_no_initrd(self):
        guest = rig.linux(rig.usual("cluster"))
        guest["boot"]["initrd"] = str(self.folder / "initrd")
        self.refused(self.define({"cluster": guest}, [self.disk()]), "initrd")

    def refuse_disk(self, path, **more):
        definition = self.define({"cluster": rig.linux(rig.usual("disk"))}, [path])
        self.refused(definition, str(path), **more)

    def test_no_disk(self):
        self.refuse_disk(self.folder / "disk.raw")

    def test_folder_as_disk(self):
        (self.folder / "disk").mkdir()
        self.refuse_disk(self.folder / "disk")

    def test_empty_disk(self):
        (self.folder / "disk.raw").touch()
        self.refuse_disk(self.folder / "disk.raw")

    def test_disk_without_the_right(self):
        disk = self.disk(name="disk.ext4")
        disk.chmod(0o400)
        # root may write what nobody may, unless it is told not to.
        meek = ["setpriv", "--bounding-set=-dac_override"] if os.geteuid() == 0 else []
        self.refuse_disk(disk, before=meek)
        disk.chmod(0o600)

    def test_disk_of_another_run(self):
        run = self.run_one()
        other = self.define({"other": rig.linux(rig.usual("cluster"))},
                            [self.folder / "cluster.ext4"], name="other")
        self.refused(other, "cluster.ext4")
        self.assertEqual(run.shell("cluster").command("echo alive")[0], "alive")
        self.assertEqual(run.stop(), rig.OK, run.tail())

    def test_same_platform_twice(self):
        run = self.run_one()
        self.refused(self.folder / "test.yaml", "test", str(run.process.pid))
        self.assertEqual(run.shell("cluster").command("echo alive")[0], "alive")
        self.assertEqual(run.stop(), rig.OK, run.tail())


class Hosts(rig.Rig):
    def usual(self):
        return self.define({"cluster": rig.linux(rig.usual("cluster"))}, [self.disk()])

    def test_runtime_folder_not_writable(self):
        self.refused(self.usual(), "/sys", environment={"XDG_RUNTIME_DIR": "/sys"})

    def test_runtime_folder_not_there(self):
        folder = str(self.folder / "nowhere")
        self.refused(self.usual(), folder, environment={"XDG_RUNTIME_DIR": folder})

    def test_runtime_folder_too_long(self):
        folder = self.folder / ("x" * 120)
        folder.mkdir(mode=0o700)
        self.refused(self.usual(), str(folder), environment={"XDG_RUNTIME_DIR": str(folder)})

    def test_runtime_folder_full(self):
        full = self.folder / "full"
        full.mkdir()
        mount = f"mount -t tmpfs -o nr_inodes=1,mode=700 full {full} && exec \"$@\""
        self.refused(self.usual(), str(full), environment={"XDG_RUNTIME_DIR": str(full)},
                     before=["unshare", "--map-root-user", "--mount", "sh", "-c", mount, "sh"])

    def test_too_few_descriptors(self):
        self.refused(self.usual(), "limit", before=["prlimit", "--nofile=17:17"])


if __name__ == "__main__":
    tap.main()
