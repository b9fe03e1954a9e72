"""The Debian packages: built, judged by lintian, installed into a Debian 12 that mmdebstrap makes from nothing but their
own Depends, run there as the unit would run them, upgraded, removed and purged; nothing is left. Needs root.
"""
from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SLUICE_BUILD_DIR", SOURCE / "build"))
PACKAGES = BUILD / "packages"
SKIPPED = 77
# Not part of what a package installs: package databases, logs, caches, backups that passwd(5) tools write.
IGNORED = ("var/lib/dpkg", "var/log", "var/cache", "var/lib/systemd", "proc", "sys", "dev", "run", "tmp", "etc/passwd-",
           "etc/group-", "etc/shadow-", "etc/gshadow-", "etc/ld.so.cache", "etc/.pwd.lock", "etc/subuid-", "etc/subgid-",
           "usr/share/bash-completion", "etc/resolv.conf", "mnt")


def run(*argv: object, **options: object) -> str:
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, argv))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def build_packages() -> dict[str, Path]:
    """Package name → file; what the build directory holds already is not built again."""
    run("cmake", "--build", BUILD, "--target", "package_files")
    shutil.rmtree(PACKAGES, ignore_errors=True)
    run("cpack", "--config", "CPackConfig.cmake", "-B", PACKAGES, cwd=BUILD)
    return {file.name.split("_")[0]: file for file in PACKAGES.glob("*.deb")}


def field(package: Path, name: str) -> str:
    return run("dpkg-deb", "-f", package, name).strip()


def names_of(dependencies: str) -> list[str]:
    """First alternative of each dependency, without versions."""
    return [part.split("|")[0].split("(")[0].strip() for part in dependencies.split(",") if part.strip()]


def base_system(wanted: list[str]) -> Path:
    """A root file system as a tar archive, kept in the build directory while the list of packages stays."""
    key = hashlib.sha256(" ".join(sorted(wanted)).encode()).hexdigest()[:12]
    archive = BUILD / f"debian-{key}.tar"
    if not archive.exists():
        run("mmdebstrap", "--variant=minbase", f"--include={','.join(wanted)}", "bookworm", archive.with_suffix(".new"),
            "--format=tar")
        archive.with_suffix(".new").rename(archive)
    return archive


class Chroot:
    """The base system unpacked, with /proc, a bpffs and a network of its own; gone at close()."""

    def __init__(self, archive: Path) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="sluice-deb-"))
        run("tar", "-xf", archive, "-C", self.root)

    def close(self) -> None:
        shutil.rmtree(self.root)

    def run(self, script: str) -> str:
        """In new mount, pid and network namespaces, so that nothing outlives the call or touches this machine."""
        setup = (f"mount --make-rprivate / && mount -t proc proc {self.root}/proc && mount --rbind /sys {self.root}/sys && "
                 f"mount -t bpf -o mode=0700 bpf {self.root}/sys/fs/bpf && mount --bind /dev {self.root}/dev && "
                 f"mount -t tmpfs tmpfs {self.root}/run && exec chroot {self.root} /bin/sh -ec \"$1\"")
        return run("unshare", "--mount", "--pid", "--fork", "--net", "--kill-child", "sh", "-ec", setup, "-", script,
                   env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})

    def boot(self, script: str, timeout_s: float = 120) -> str:
        """Boots systemd there, runs the script as root when basic.target is reached, returns what it printed."""
        (self.root / "mnt/probe.sh").write_text(script)
        units = self.root / "etc/systemd/system"
        (units / "probe.service").write_text(PROBE_UNIT)
        (units / "probe.target").write_text("[Unit]\nRequires=basic.target\nWants=probe.service\n")
        with (self.root / "mnt/console.log").open("w") as console:
            subprocess.run(["unshare", "--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--cgroup", "--kill-child",
                            "sh", "-c", BOOT, "-", str(self.root)], stdin=subprocess.DEVNULL, stdout=console,
                           stderr=console, timeout=timeout_s)
        log = self.root / "mnt/probe.log"
        return log.read_text() if log.exists() else (self.root / "mnt/console.log").read_text()

    def files(self) -> dict[str, str]:
        """Path → kind, mode, owner, and the digest of a regular file."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            name = str(path.relative_to(self.root))
            if name.startswith(IGNORED):
                continue
            info = path.lstat()
            text = f"{info.st_mode:o} {info.st_uid}:{info.st_gid}"
            if path.is_symlink():
                text += f" -> {os.readlink(path)}"
            elif path.is_file():
                text += " " + hashlib.sha256(path.read_bytes()).hexdigest()
            found[name] = text
        return found


# What `Chroot.boot` runs as the last unit of a booted Debian: the daemon under its own unit, sandbox and all.
UNDER_SYSTEMD = """
ip link add lan0 type veth peer name lan1
ip link add wan0 type veth peer name wan1
for d in lan0 lan1 wan0 wan1; do ip link set $d up; done
ethtool -K lan1 gro on; ethtool -K wan1 gro on
systemctl is-enabled sluiced && exit 1      # nothing starts by itself
sed -i 's/eth0/lan0/; s/eth1/wan0/' /etc/sluice/policy.yaml
sluicectl check /etc/sluice/policy.yaml
systemctl start sluiced                     # returns when it is ready
pid=$(systemctl show -p MainPID --value sluiced)
echo "user $(ps -o user= -p $pid) $(grep CapEff /proc/$pid/status) $(grep NoNewPrivs /proc/$pid/status)"
sluicectl status || [ $? -eq 4 ]
ip link show lan0 | grep -o prog/xdp
systemctl reload sluiced
sluicectl support-bundle --file /mnt/bundle.tar.gz
stat -c "bundle mode %a" /mnt/bundle.tar.gz
tar -xzOf /mnt/bundle.tar.gz sluice-support/metrics.txt | grep '^sluice_up 1'
tar -xzOf /mnt/bundle.tar.gz sluice-support/status.json | grep '"device": "lan0"'
tar -xzOf /mnt/bundle.tar.gz sluice-support/ethtool-lan0.txt | grep 'driver: veth'
tar -xzOf /mnt/bundle.tar.gz sluice-support/journal.txt | grep ready
tar -xzOf /mnt/bundle.tar.gz sluice-support/policy.yaml | cmp - /etc/sluice/policy.yaml
# A daemon that stands still gets no further: systemd's watchdog restarts it.
mkdir -p /run/systemd/system/sluiced.service.d
printf '[Service]\\nWatchdogSec=2\\nRestartSec=100ms\\n' >/run/systemd/system/sluiced.service.d/test.conf
systemctl daemon-reload
systemctl restart sluiced
sleep 5
echo "restarts while well: $(systemctl show -p NRestarts --value sluiced)"
kill -STOP $(systemctl show -p MainPID --value sluiced)
for i in $(seq 100); do
    [ $(systemctl show -p NRestarts --value sluiced) -gt 0 ] && systemctl is-active sluiced >/dev/null && break
    sleep 0.1
done
echo "restarts after SIGSTOP: $(systemctl show -p NRestarts --value sluiced)"
systemctl is-active sluiced
journalctl -b --no-pager -u sluiced | grep -c "goes on with the data path pinned in"
systemctl stop sluiced
ip link show lan0 | grep -o prog/xdp        # packets outlive the daemon
systemctl start sluiced
# An upgrade replaces the running daemon; a removal ends it and takes the data path away.
before=$(systemctl show -p MainPID --value sluiced)
dpkg -i --force-confold /mnt/sluice_*.deb
systemctl is-active sluiced
[ $before != $(systemctl show -p MainPID --value sluiced) ]
dpkg -r sluice
systemctl is-active sluiced && exit 1
pidof sluiced && exit 1
ip link show lan0 | grep prog/xdp && exit 1
ls /sys/fs/bpf/sluice/v* 2>/dev/null && exit 1
echo "all done"
"""

PROBE_UNIT = """[Unit]
After=basic.target
[Service]
Type=oneshot
StandardOutput=append:/mnt/probe.log
StandardError=append:/mnt/probe.log
ExecStart=/bin/sh -exc '. /mnt/probe.sh'
ExecStopPost=/bin/sh -c 'journalctl -b --no-pager -u sluiced | tail -40; systemctl poweroff --force --force'
"""

# Mounts that systemd wants to find as PID 1 of a container; everything is in namespaces of its own.
BOOT = """
R=$1
mount --make-rprivate / && mount --bind $R $R
mount -t proc proc $R/proc && mount -t sysfs sysfs $R/sys
mount -t tmpfs -o mode=755 tmpfs $R/sys/fs/cgroup
mkdir -p $R/sys/fs/cgroup/systemd $R/sys/fs/cgroup/unified
mount -t cgroup2 cgroup2 $R/sys/fs/cgroup/unified 2>/dev/null
mount -t cgroup -o none,name=systemd cgroup $R/sys/fs/cgroup/systemd 2>/dev/null ||
    { umount $R/sys/fs/cgroup/unified; umount $R/sys/fs/cgroup; mount -t cgroup2 cgroup2 $R/sys/fs/cgroup; }
mount -t bpf -o mode=0700 bpf $R/sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs $R/dev
for d in null zero full random urandom tty; do touch $R/dev/$d; mount --bind /dev/$d $R/dev/$d; done
mkdir $R/dev/pts $R/dev/shm && mount -t devpts -o newinstance,ptmxmode=0666 devpts $R/dev/pts && ln -s pts/ptmx $R/dev/ptmx
mount -t tmpfs tmpfs $R/run && mount -t tmpfs tmpfs $R/tmp
exec chroot $R /usr/bin/env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=probe.target
"""


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls.packages = build_packages()
        wanted = names_of(field(cls.packages["sluice"], "Depends")) + names_of(field(cls.packages["sluice"], "Recommends"))
        cls.archive = base_system(sorted({*wanted, "procps", "libbpf-dev"}))

    def test_lintian_has_nothing_to_say(self) -> None:
        done = subprocess.run(["lintian", "--allow-root", "--suppress-tags", "initial-upload-closes-no-bugs",
                               "--fail-on", "error,warning", *map(str, self.packages.values())],
                              capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stdout + done.stderr)

    def test_programs_are_hardened(self) -> None:
        """What the linker does, in every build; with the compiler's part where the build is one for packages."""
        hardened = "SLUICE_HARDENED:BOOL=ON" in (BUILD / "CMakeCache.txt").read_text()
        with tempfile.TemporaryDirectory() as folder:
            run("dpkg-deb", "-x", self.packages["sluice"], folder)
            programs = [f"{folder}/usr/sbin/sluiced", f"{folder}/usr/bin/sluicectl"]
            print(run(SOURCE / "deploy/checksec.py", *([] if hardened else ["--linked"]), *programs))
            shutil.copy("/bin/true", f"{folder}/weak")
            run("cc", "-no-pie", "-Wl,-z,norelro", "-Wl,-z,execstack", "-x", "c", "-", "-o", f"{folder}/weak",
                input="int main(void) { return 0; }")
            weak = subprocess.run([SOURCE / "deploy/checksec.py", f"{folder}/weak"], capture_output=True, text=True)
            self.assertEqual(weak.returncode, 1)
            for flag in ("pie", "relro", "bind_now", "stack_not_executable", "stack_protector", "fortified"):
                self.assertIn(flag, weak.stdout)

    def test_bill_of_materials(self) -> None:
        """Every file, every dependency with the version that is installed here, in the shape that SPDX 2.3 asks for."""
        with tempfile.TemporaryDirectory() as folder:
            run(SOURCE / "deploy/sbom.py", self.packages["sluice"], "-o", f"{folder}/sbom.json")
            bill = json.loads(Path(folder, "sbom.json").read_text())
        self.assertEqual((bill["spdxVersion"], bill["dataLicense"], bill["SPDXID"]),
                         ("SPDX-2.3", "CC0-1.0", "SPDXRef-DOCUMENT"))
        self.assertRegex(bill["creationInfo"]["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        ids = [item["SPDXID"] for item in [*bill["packages"], *bill["files"]]]
        self.assertEqual(len(ids), len(set(ids)))
        for relation in bill["relationships"]:
            self.assertIn(relation["spdxElementId"], [*ids, "SPDXRef-DOCUMENT"])
            self.assertIn(relation["relatedSpdxElement"], ids)
        versions = {package["name"]: package["versionInfo"] for package in bill["packages"]}
        self.assertNotIn("NOASSERTION", versions.values())
        for name in ("libbpf1", "libyaml-cpp0.7", "libmicrohttpd12", "libbpf-dev", "clang-14", "cmake"):
            self.assertEqual(versions[name], run("dpkg-query", "-W", "-f", "${Version}", name))
        listed = {entry["fileName"] for entry in bill["files"]}
        self.assertIn("./usr/sbin/sluiced", listed)
        self.assertGreater(len(listed), 20)

    def test_unit_is_valid_and_hardened(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run("dpkg-deb", "-x", self.packages["sluice"], folder)
            done = subprocess.run(["systemd-analyze", "--offline=true", f"--root={folder}", "--threshold=25", "security",
                                   "sluiced.service"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)
            print(done.stdout.strip().splitlines()[-1])

    def test_life_of_an_installation(self) -> None:
        chroot = Chroot(self.archive)
        self.addCleanup(chroot.close)
        for package in self.packages.values():
            shutil.copy(package, chroot.root / "mnt")
        before = chroot.files()
        files = " ".join(f"/mnt/{p.name}" for p in self.packages.values())
        print(chroot.run(f"dpkg -i {files} && getent passwd sluice && sluicectl version && sluiced --version"))
        installed = chroot.files()
        self.assertIn("etc/sluice/policy.yaml", installed)
        for page in ("man8/sluiced.8.gz", "man1/sluicectl.1.gz", "man5/sluice-policy.5.gz"):
            self.assertIn(f"usr/share/man/{page}", installed)
        # What the operator wrote survives an upgrade and a removal; a purge takes it.
        chroot.run("echo '# mine' >>/etc/sluice/policy.yaml; dpkg -i --force-confdef " + files)
        self.assertIn("# mine", (chroot.root / "etc/sluice/policy.yaml").read_text())
        chroot.run("dpkg -r sluice-dev sluice")
        self.assertIn("# mine", (chroot.root / "etc/sluice/policy.yaml").read_text())
        self.assertFalse((chroot.root / "usr/sbin/sluiced").exists())
        chroot.run("dpkg -P sluice-dev sluice")
        after = chroot.files()
        self.assertEqual({k: (before.get(k), after.get(k)) for k in {*before, *after} if before.get(k) != after.get(k)}, {})

    def test_runs_under_systemd(self) -> None:
        chroot = Chroot(self.archive)
        self.addCleanup(chroot.close)
        shutil.copy(self.packages["sluice"], chroot.root / "mnt")
        chroot.run("dpkg -i /mnt/sluice_*.deb")
        output = chroot.boot(UNDER_SYSTEMD)
        self.assertIn("\nall done\n", output, output)
        self.assertRegex(output, r"(?m)^user sluice CapEff:\s0*c000001000 NoNewPrivs:\s1$")
        self.assertIn("\nrestarts while well: 0\n", output)
        self.assertIn("\nbundle mode 600\n", output)
        self.assertRegex(output, r"(?m)^restarts after SIGSTOP: [1-9]")

    def test_dev_package_is_all_that_a_library_user_needs(self) -> None:
        """The example, outside of our tree, with nothing of sluice but the unpacked package."""
        with tempfile.TemporaryDirectory() as folder:
            run("dpkg-deb", "-x", self.packages["sluice-dev"], f"{folder}/root")
            shutil.copytree(f"{folder}/root/usr/share/doc/sluice-dev/examples/library", f"{folder}/example")
            environment = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": f"{folder}/root",
                           "PKG_CONFIG_PATH": f"{folder}/root/usr/share/pkgconfig"}
            run("make", "-C", f"{folder}/example", "CFLAGS=-O2 -Wall -Wextra -Werror", env=environment)
            version = run("pkg-config", "--variable=abi_version", "sluice", env=environment).strip()
            self.assertIn(f"#define SLUICE_ABI_VERSION {version}\n", (SOURCE / "include/sluice/abi.h").read_text())

    def test_completion_knows_the_verbs(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            run("dpkg-deb", "-x", self.packages["sluice"], folder)
            script = Path(folder, "usr/share/bash-completion/completions/sluicectl")

            def complete(*words: str) -> set[str]:
                line = " ".join(f"'{word}'" for word in words)
                return set(run("bash", "-c", f"source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; "
                               "_sluicectl; printf '%s\\n' \"${COMPREPLY[@]}\"").split())

            program = f"{folder}/usr/bin/sluicectl"
            self.assertIn("check", complete(program, "che"))
            self.assertIn("status", complete(program, ""))
            self.assertIn("--watch", complete(program, "status", "--w"))
            self.assertEqual(complete(program, "-o", "j"), {"json"})
            self.assertIn(f"{folder}/usr", complete(program, "check", f"{folder}/u"))

    def test_man_pages_name_every_verb_and_option(self) -> None:
        text = run("man", "-l", BUILD / "man/sluicectl.1", env={**os.environ, "MANWIDTH": "120", "LC_ALL": "C.UTF-8"})
        help_text = run(BUILD / "controller/cli/sluicectl", "--help")
        verbs = [line.split()[0] for line in help_text.partition("Subcommands:")[2].splitlines()
                 if line.startswith("  ") and line[2] != " "]
        self.assertGreaterEqual(len(verbs), 5)
        for verb in verbs:
            self.assertRegex(text, rf"(?m)^   {verb}\b")
        daemon = run("man", "-l", BUILD / "man/sluiced.8", env={**os.environ, "MANWIDTH": "120", "LC_ALL": "C.UTF-8"})
        for option in ("--policy", "--web.listen-address", "--web.config.file", "--control-socket"):
            self.assertIn(option, daemon)


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("package_test: skipped, needs root for a chroot")
        raise SystemExit(SKIPPED)
    unittest.main(verbosity=2)
