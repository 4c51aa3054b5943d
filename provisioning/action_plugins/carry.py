"""Carry a folder's files to a machine, few round trips, over a link that breaks: what arrived whole is not sent again.

    - carry: {src: FOLDER ON THE CONTROLLER, dest: FOLDER ON THE MACHINE, near: FOLDERS ON THE MACHINE}

What lies in one of the folders ``near`` (a pattern such as /opt/bundles/*) already is linked from there. Changed when a
file was missing there or another. Files of ``dest`` that ``src`` does not have are left alone. The machine needs
sha256sum and tar, no Python. A file has its name only when it is whole and on disk.
"""

import hashlib
import io
import shlex
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

#: Files go in lots of about so many octets; a broken link costs one lot.
LOT: Final = 1 << 20


def lots(files: list[Path]) -> Iterator[list[Path]]:
    """``files`` in their order, cut where a lot would pass :data:`LOT`; a larger file is a lot of its own."""
    lot: list[Path] = []
    size = 0
    for file in files:
        if lot and size + file.stat().st_size > LOT:
            yield lot
            lot, size = [], 0
        lot.append(file)
        size += file.stat().st_size
    if lot:
        yield lot


def packed(files: list[Path]) -> bytes:
    """A tar of ``files``, flat, readable by everybody."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for file in files:
            info = tarfile.TarInfo(file.name)
            info.size, info.mode = file.stat().st_size, 0o644
            with file.open("rb") as content:
                tar.addfile(info, content)
    return out.getvalue()


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible has no types
    """See the module's text."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Compare by checksum, send what differs."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            {
                "src": {"type": "path", "required": True},
                "dest": {"type": "path", "required": True},
                "near": {"type": "str"},
            }
        )
        source, place = Path(given["src"]), shlex.quote(given["dest"])
        files = sorted(path for path in source.iterdir() if path.is_file()) if source.is_dir() else []
        if not files:
            raise AnsibleActionFail(f"there are no files in {source}: make it with bundle.py")
        sums = {file: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
        there = self._sums(f"{place}/*")
        wanted = [file for file in files if there.get(f"{given['dest']}/{file.name}") != sums[file]]
        near = (
            {found: path for path, found in self._sums(f"{given['near']}/*").items()}
            if wanted and given["near"]
            else {}
        )
        links = [(near[sums[file]], file.name) for file in wanted if sums[file] in near]
        carried = [file for file in wanted if sums[file] not in near]
        result |= {"changed": bool(wanted), "carried": [file.name for file in carried]}
        if self._task.check_mode:
            return result
        if links:
            each = (f"ln -f {shlex.quote(path)} {place}/{shlex.quote(name)}" for path, name in links)
            self._command(f"mkdir -p {place} && " + " && ".join(each) + f" && sync -f {place}")
        self._send(carried, place, (task_vars or {}).get("inventory_hostname", ""))
        return result

    def _sums(self, pattern: str) -> dict[str, str]:
        """SHA-256 of each file, by its path."""
        said = self._command(f"sha256sum -- {pattern} 2>/dev/null || true")
        return {line[66:]: line[:64] for line in said.splitlines() if len(line) > 66}

    def _send(self, files: list[Path], place: str, host: str) -> None:
        whole, done = sum(file.stat().st_size for file in files), 0
        new = f"{place}/.new"
        for lot in lots(files):
            self._command(
                f"umask 022; rm -rf {new}; mkdir -p {new} && tar -x --no-same-owner -f - -C {new} && sync -f {new} "
                f"&& mv {new}/* {place}/ && rmdir {new}",
                packed(lot),
            )
            done += sum(file.stat().st_size for file in lot)
            self._display.display(f"{host}: {done / 1e6:.1f} of {whole / 1e6:.1f} MB carried")

    def _command(self, command: str, stdin: bytes | None = None) -> str:
        done = self._low_level_execute_command(command, in_data=stdin)
        if done["rc"] != 0:
            raise AnsibleActionFail(f"{command.split()[0]} ...: {done['stderr'].strip() or done['stdout'].strip()}")
        return str(done["stdout"])
