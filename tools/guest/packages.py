# SPDX-License-Identifier: BSD-2-Clause
"""Debian packages of any architecture and suite, without root and without touching the host.

What it is: apt with a state folder of its own inside the cache.  The mirror is the one that the
machine's own apt sources name.  Packages are unpacked, never installed, and from the unpacked
files a tree is made that holds some programs and just the libraries they ask for.
What it is not: a package manager.  No maintainer script runs.
"""
import os
import pathlib
import re
import shutil
import subprocess

import cache

KEYRING = pathlib.Path("/usr/share/keyrings/debian-archive-keyring.gpg")
TRIPLETS = {"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}


def host_suite():
    """The code name of the Debian release that this machine runs."""
    for line in pathlib.Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.split("=", 1)[1].strip('"')
    raise SystemExit("guest: /etc/os-release has no VERSION_CODENAME; is this Debian?")


def host_architecture():
    return subprocess.check_output(["dpkg", "--print-architecture"], text=True).strip()


def mirrors():
    """(address, suite) of each Debian archive in the machine's own apt sources."""
    text = subprocess.check_output(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
         "Created-By: Packages"], text=True)
    suites = [host_suite() + suffix for suffix in ("", "-updates", "-security")]
    found = []
    for line in text.splitlines():
        address, suite, component = line.split()
        if component == "main" and suite in suites and (address, suite) not in found:
            found.append((address, suite))
    if not any(suite == suites[0] for _, suite in found):
        raise SystemExit(f"guest: the machine's apt sources name no archive of {suites[0]}")
    return found


def elf_needs(path):
    """The libraries that one ELF file asks for, its interpreter among them."""
    text = subprocess.run(["readelf", "-W", "-d", "-l", str(path)], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    names = re.findall(r"\(NEEDED\).*\[(.+)\]", text)
    return names + [pathlib.Path(p).name for p in re.findall(r"interpreter: (.+)\]", text)]


class Archive:
    """One suite for one architecture, with its downloaded packages."""

    def __init__(self, architecture, suite):
        self.architecture = architecture
        self.suite = suite
        self.base = cache.root() / f"apt-{suite}-{architecture}"
        self.debs = self.base / "debs"
        self.environment = dict(os.environ, APT_CONFIG=str(self.base / "apt.conf"), LC_ALL="C")

    def update(self):
        """Writes the private apt configuration and fetches the package lists."""
        for name in ("lists/partial", "cache/archives/partial", "debs"):
            (self.base / name).mkdir(parents=True, exist_ok=True)
        (self.base / "status").touch()
        sources = mirrors()
        if self.suite != host_suite():
            sources = [(a, self.suite) for a, suite in sources if suite == host_suite()][:1]
        trust = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
        (self.base / "sources.list").write_text(
            "".join(f"deb {trust}{address} {suite} main\n" for address, suite in sources))
        settings = {
            "APT::Architecture": self.architecture,
            "Dir::State": self.base,
            "Dir::State::status": self.base / "status",
            "Dir::State::lists": self.base / "lists",
            "Dir::Cache": self.base / "cache",
            "Dir::Etc::sourcelist": self.base / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Acquire::Languages": "none",
            # A frozen mirror's lists have expired; their signatures are still checked.
            "Acquire::Check-Valid-Until": "false",
            "Acquire::Retries": "3",
            "APT::Sandbox::User": "root",
        }
        lines = [f'{name} "{value}";\n' for name, value in settings.items()]
        lines.append(f'APT::Architectures {{ "{self.architecture}"; }};\n')
        # The host's hooks (desktop caches and the like) are none of a private state's business.
        lines.append("#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n")
        (self.base / "apt.conf").write_text("".join(lines))
        with cache.step(f"package lists of {self.suite}/{self.architecture}"):
            self.apt("apt-get", "-qq", "update")

    def apt(self, *command, **more):
        done = subprocess.run(command, env=self.environment, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **more)
        if done.returncode != 0:
            raise SystemExit(f"guest: {' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.stdout

    def depends(self, packages):
        """What each of the packages depends on directly: {package: [names]}."""
        result = {}
        names = result.setdefault("", [])
        for line in self.apt("apt-cache", "depends", "--important", *packages).splitlines():
            match = re.match(r"^ *\|?(?:Pre)?Depends: ([^<]\S*)", line)
            if match:
                names.append(match.group(1).split(":")[0])
            elif re.match(r"^\S", line):
                names = result.setdefault(line.strip(), [])
        return result

    def fetch(self, packages):
        """Downloads packages (once) and gives their files: {package: path}."""
        listed = self.apt("apt-get", "-qq", "--print-uris", "download", *packages)
        names = [line.split()[1] for line in listed.splitlines()]
        files = {name.split("_")[0]: self.debs / name for name in names}
        missing = sorted(package for package, path in files.items() if not path.exists())
        if missing:
            with cache.step(f"{self.architecture}: {len(missing)} packages ({missing[0]}, ...)"):
                self.apt("apt-get", "-qq", "download", *missing, cwd=self.debs)
        return files

    def unpack(self, packages, folder):
        """Unpacks packages side by side, each in a folder of its own name."""
        for package, deb in self.fetch(packages).items():
            target = folder / package
            if not target.exists():
                target.mkdir(parents=True)
                subprocess.run(["dpkg-deb", "-x", str(deb), str(target)], check=True)

    def libraries(self, packages, programs, folder):
        """All libraries that `programs` (paths inside `packages`) need: {soname: path}.

        Debian's policy makes this end: a package depends directly on the package of every
        library that its own programs and libraries link to.
        """
        self.unpack(packages, folder)
        owners = set(packages)
        files = [folder / package / program.lstrip("/") for package, program in programs]
        found = {}
        while True:
            index = {path.name: path for path in folder.rglob("*.so*")}
            missing = {}
            queue = list(files)
            while queue:
                path = queue.pop()
                for name in elf_needs(path):
                    if name in found:
                        continue
                    if name in index:
                        found[name] = index[name].resolve()
                        queue.append(found[name])
                    else:
                        missing[name] = path
                        if path not in files:
                            files.append(path)
            if not missing:
                return found
            asking = {path.relative_to(folder).parts[0] for path in missing.values()}
            wanted = {name for names in self.depends(sorted(asking)).values() for name in names
                      if re.match(r"(lib|zlib)", name)} - owners
            if not wanted:
                raise SystemExit(f"guest: no package holds {', '.join(sorted(missing))}")
            self.unpack(sorted(wanted), folder)
            owners |= wanted

    def tree(self, packages, programs, target, work):
        """Fills `target` with the programs, where Debian has them, and their libraries."""
        found = self.libraries(packages, programs, work)
        folder = target / "lib" / TRIPLETS[self.architecture]
        folder.mkdir(parents=True)
        for name, path in found.items():
            interpreter = name.startswith("ld-linux")
            shutil.copy(path, (target / "lib" if interpreter else folder) / name)
        if self.architecture == "amd64":
            (target / "lib64").symlink_to("lib")
        for package, program in programs:
            place = target / program.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(work / package / program.lstrip("/"), place)
