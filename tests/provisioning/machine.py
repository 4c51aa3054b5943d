"""A virtual machine in qemu: started, reached by SSH on a forwarded port of 127.0.0.1, cut from its power.

The machine has two cards: ``eth0``, the maintenance network (qemu's own, without a way to anywhere; we are 10.0.2.2),
and ``eth1``, the site's network of all machines of one test, 10.80.0.N.
"""

import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final

from tests.ports import free_port
from tests.provisioning.image import Image

QEMU: Final = "qemu-system-x86_64"
#: An emulated processor is slow, and others may be at work beside it.
BOOT_SECONDS: Final = 400
#: An old processor is emulated with a quarter less work than the newest; the wheels' libraries ask for x86-64-v2.
PROCESSOR: Final = {
    "kvm": ("kvm", "-cpu", "max"),
    "tcg": ("tcg,thread=multi,tb-size=512", "-cpu", "Nehalem"),
}

#: Of the kernel; mitigations would guard a guest that nobody attacks, and cost an emulated one a quarter.
KERNEL: Final = "root=/dev/vda rw console=ttyS0 net.ifnames=0 mitigations=off"


@cache
def accelerator() -> str:
    """``kvm`` where a guest runs with it, else ``tcg``: the device may not offer what a 64-bit kernel needs."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    command = [QEMU, "-accel", "kvm", "-cpu", "Nehalem,enforce", "-m", "64", "-nodefaults", "-display", "none",
               "-chardev", "stdio,id=said", "-device", "isa-debugcon,iobase=0x402,chardev=said"]  # fmt: skip
    try:
        tried = subprocess.run(command, capture_output=True, timeout=5, check=False, stdin=subprocess.DEVNULL)
        said = tried.stdout
    except subprocess.TimeoutExpired as error:  # it finds nothing to start and waits
        said = error.stdout or b""
    return "kvm" if b"SeaBIOS" in said else "tcg"


@dataclass(frozen=True)
class Done:
    """What a command in the machine gave."""

    code: int
    out: str
    err: str


@dataclass
class Machine:
    """One machine; its disk lies over the image's and lasts until ``folder`` goes."""

    image: Image
    folder: Path
    name: str
    number: int
    switch: Path | None = None  # first part of the names of the sockets that join machine 1 and another
    memory: int = 768
    meter_port: int | None = None  # a USB adapter in the machine, its other end a TCP port of ours
    data_disk: str = ""  # size of a second disk, for what is written
    web: int | None = None  # a port of ours that leads to the machine's 443
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"10.80.0.{self.number}"

    @property
    def console(self) -> Path:
        return self.folder / f"{self.name}.console"

    def start(self, *, wait: bool = True) -> float:
        """Switch on; returns the seconds until SSH answered."""
        assert self._process is None, f"{self.name} runs already"
        self.folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        with self.console.open("ab") as console:
            self._process = subprocess.Popen(self._command(), stdout=console, stderr=console, stdin=subprocess.DEVNULL)
        if wait:
            self.wait()
        return time.monotonic() - began

    def _command(self) -> list[str]:
        accel = accelerator()
        machine = [QEMU, "-accel", *PROCESSOR[accel], "-m", str(self.memory), "-nodefaults",
                   "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", str(self.image.kernel),
                   "-initrd", str(self.image.initrd), "-device", "virtio-rng-pci",
                   "-append", f"{KERNEL} systemd.hostname={self.name}"]  # fmt: skip
        machine += self._disk("disk", self.image.disk, "")
        if self.data_disk:
            machine += self._disk("data", None, self.data_disk)
        ports = f"hostfwd=tcp:127.0.0.1:{self.port}-:22"
        ports += f",hostfwd=tcp:127.0.0.1:{self.web}-:443" if self.web is not None else ""
        machine += ["-netdev", f"user,id=n0,restrict=on,{ports}",
                    "-device", f"virtio-net-pci,netdev=n0,mac=52:54:00:4d:00:0{self.number}"]  # fmt: skip
        if self.switch is not None:  # two ends without a connection: each machine may go and come back
            near, far = ("center", "gateway") if self.number == 1 else ("gateway", "center")
            Path(f"{self.switch}-{near}").unlink(missing_ok=True)
            ends = f"local.type=unix,local.path={self.switch}-{near},remote.type=unix,remote.path={self.switch}-{far}"
            card = f"virtio-net-pci,netdev=n1,mac=52:54:00:00:80:0{self.number}"
            machine += ["-netdev", f"dgram,id=n1,{ends}", "-device", card]
        if self.meter_port is not None:
            machine += ["-device", "qemu-xhci", "-chardev",
                        f"socket,id=m,host=127.0.0.1,port={self.meter_port},reconnect=2",
                        "-device", "usb-serial,chardev=m,always-plugged=on"]  # fmt: skip
        return machine

    def _disk(self, name: str, base: Path | None, size: str) -> list[str]:
        path = self.folder / f"{self.name}-{name}.qcow2"
        if not path.exists():
            over = ["-F", "raw", "-b", str(base), str(path)] if base else [str(path), size]
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *over], check=True)
        return ["-drive", f"file={path},if=virtio,format=qcow2,cache=writeback"]

    def wait(self, seconds: float = BOOT_SECONDS) -> None:
        """Until SSH answers; RuntimeError with the console's last words when it does not in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self._process is not None
            if self._process.poll() is not None:
                break
            if self.run("true", timeout=20).code == 0:
                return
            time.sleep(0.5)
        last = self.console.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"{self.name} does not answer after {seconds:.0f} s; its console:\n{last}")

    def ssh(self) -> list[str]:
        """The command that reaches the machine, without its last argument."""
        return ["ssh", "-i", str(self.image.key), "-p", str(self.port), *SSH_OPTIONS, "crew@127.0.0.1"]

    def run(self, command: str, *, timeout: float = 120, stdin: bytes | None = None) -> Done:
        """A shell command as the field crew's user (``sudo`` asks nothing)."""
        try:
            done = subprocess.run(
                [*self.ssh(), command], input=stdin, capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return Done(255, "", f"no end after {timeout} s")
        return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def must(self, command: str, *, timeout: float = 120, stdin: bytes | None = None) -> str:
        """As :meth:`run`; its output, AssertionError when it fails."""
        done = self.run(command, timeout=timeout, stdin=stdin)
        assert done.code == 0, f"{self.name}: {command!r} gave {done.code}: {done.out[-1500:]} {done.err[-1500:]}"
        return done.out

    def cut_power(self) -> None:
        """What the machine had not asked its disk to keep is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(20)
            self._process = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None


#: ``-o`` twice over: options of ssh, for us and for Ansible.
SSH_OPTIONS: Final[Sequence[str]] = (
    "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
    "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=10", "-o", "IdentitiesOnly=yes",
)  # fmt: skip
