"""A bare Debian 12 for virtual machines: root file system, kernel and initrd, made once and kept under ``build/``.

What a field crew has after the installer: systemd, SSH with the crew's key, ``sudo``, Python. Nothing of Metergate's.
"""

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
CACHE: Final = ROOT / "build" / "vm"

PACKAGES: Final = (
    "linux-image-amd64", "systemd-sysv", "udev", "dbus", "iproute2", "openssh-server", "sudo", "python3",
    "python3-apt", "ca-certificates", "libpam-systemd",
)  # fmt: skip
#: Room of the root file system; the file is sparse.
SIZE: Final = "6G"

#: Runs as root with the new system's folder as its first argument.
SETUP: Final = r"""
set -eu
root=$1
chroot "$root" useradd --create-home --shell /bin/bash crew
install -d -m 700 -o 1000 -g 1000 "$root/home/crew/.ssh"
install -m 600 -o 1000 -g 1000 "$KEY.pub" "$root/home/crew/.ssh/authorized_keys"
echo 'crew ALL=(ALL) NOPASSWD: ALL' >"$root/etc/sudoers.d/crew"
printf '/dev/vda / ext4 errors=remount-ro 0 1\n' >"$root/etc/fstab"
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
cd "$root/etc/systemd/network"
# eth0 is the maintenance network; eth1 the site's, its address from the card's number
printf '[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n' >10-maintenance.network
for number in 1 2 3 4; do
    printf '[Match]\nMACAddress=52:54:00:00:80:0%s\n[Network]\nAddress=10.80.0.%s/24\n' $number $number >20-site-$number.network
done
ln -sf /lib/systemd/system/systemd-networkd.service "$root/etc/systemd/system/multi-user.target.wants/"
rm -f "$root/etc/machine-id" "$root"/etc/ssh/ssh_host_*
: >"$root/etc/machine-id"
printf '[Unit]\nConditionPathExists=!/etc/ssh/ssh_host_ed25519_key\nBefore=ssh.service\n[Service]\nType=oneshot\nExecStart=/usr/bin/ssh-keygen -A\nExecStart=/bin/sh -c "echo 127.0.1.1 $$(uname -n) >>/etc/hosts"\n[Install]\nWantedBy=multi-user.target\n' >"$root/etc/systemd/system/ssh-keys.service"
ln -sf ../ssh-keys.service "$root/etc/systemd/system/multi-user.target.wants/"
"""  # noqa: E501


@dataclass(frozen=True)
class Image:
    """Files to start a machine from; ``disk`` is never written to. ``key`` opens the user ``crew``."""

    disk: Path
    kernel: Path
    initrd: Path
    status: Path  # what dpkg knew of the bare system
    key: Path


def missing() -> str:
    """What is not there to build and run machines, in words; empty when all is."""
    if os.geteuid() != 0:
        return "virtual machines are built by root (mmdebstrap into a folder with its owners)"
    programs = {"mmdebstrap": "mmdebstrap", "mke2fs": "e2fsprogs", "qemu-system-x86_64": "qemu-system-x86",
                "qemu-img": "qemu-utils", "ssh": "openssh-client", "dpkg-deb": "dpkg"}  # fmt: skip
    absent = [package for name, package in programs.items() if _which(name) is None]
    return f"not installed: {' '.join(absent)} (tools/system-packages provisioning)" if absent else ""


def image() -> Image:
    """The image of this definition, built when it is not there yet (about two minutes)."""
    definition = hashlib.sha256(repr((PACKAGES, SIZE, SETUP)).encode()).hexdigest()[:16]
    folder = CACHE / f"debian-12-{definition}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            _build(partial)
        except subprocess.CalledProcessError as error:
            raise RuntimeError(f"{error.cmd[0]}: {error.stderr[-2000:]}") from error
        partial.rename(folder)
    return Image(*(folder / name for name in ("disk.raw", "vmlinuz", "initrd.img", "dpkg-status", "key")))


def _build(folder: Path) -> None:
    key, setup, root = folder / "key", folder / "setup", folder / "root"
    _do("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "field crew of the tests", "-f", str(key))
    setup.write_text(f"KEY={key}\n{SETUP}")
    _do("mmdebstrap", "--variant=minbase", f"--include={','.join(PACKAGES)}", "--format=directory",
        f'--customize-hook=sh {setup} "$1"', "bookworm", str(root))  # fmt: skip
    for source, name in (("vmlinuz", "vmlinuz"), ("initrd.img", "initrd.img")):
        shutil.copy(next((root / "boot").glob(f"{source}-*")), folder / name)
    shutil.copy(root / "var/lib/dpkg/status", folder / "dpkg-status")
    _do("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(folder / "disk.raw"), SIZE)
    shutil.rmtree(root)


def _which(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def _do(name: str, *arguments: str) -> None:
    program = _which(name)
    assert program is not None, f"{name} is not installed"
    subprocess.run([program, *arguments], check=True, capture_output=True, text=True)
