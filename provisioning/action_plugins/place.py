"""Put files, folders and links in their places: one look at all of them, one write of those that differ.

    - place:
        items:
          - {dest: /etc/x, template: x.j2, vars: {name: y}}       # of the role; or source: (its files/), content:
          - {dest: /etc/y, content: z, group: g, mode: "0640", check: nft --check --file %s}
          - {dest: /etc/z, content: z, once: true}                # only when it is not there
          - {dest: /var/lib/w, folder: true, owner: metergate}
          - {dest: /usr/local/bin/v, link: /opt/v}
          - {dest: /etc/u, absent: true}

All files are written beside their places, checked, brought to disk, and then take their names: a check that fails, or
power that goes, leaves what was there. Owners are root and modes 0644, 0755 for folders, unless given. Folders above a
file are made. Works with ``--check`` and ``--diff``. The machine needs tar and base64, no Python: over a slow link, or
on a slow processor, a module per file would take the longest of the whole.
"""

import base64
import io
import shlex
import tarfile
from dataclasses import dataclass
from typing import Any, Final

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.plugins.loader import lookup_loader

TEXT: Final = {"type": "str"}
ITEM: Final = {
    "dest": {"type": "str", "required": True}, "template": TEXT, "vars": {"type": "dict", "default": {}},
    "source": TEXT, "content": TEXT, "link": TEXT, "folder": {"type": "bool", "default": False},
    "absent": {"type": "bool", "default": False}, "owner": {"type": "str", "default": "root"},
    "group": {"type": "str", "default": "root"}, "mode": TEXT, "check": TEXT,
    "once": {"type": "bool", "default": False},
}  # fmt: skip
KINDS: Final = ("template", "source", "content", "link", "folder", "absent")
#: Prints a line for each argument: kind, mode, owner, group, content or target in base64.
LOOK: Final = """
for f in "$@"; do
    if [ -L "$f" ]; then echo "link - - - $(readlink "$f" | tr -d '\\n' | base64 -w0)"
    elif [ -d "$f" ]; then stat -c 'folder %a %U %G' "$f"
    elif [ -e "$f" ]; then echo "file $(stat -c '%a %U %G' "$f") $(base64 -w0 <"$f")"
    else echo absent; fi
done"""


@dataclass(frozen=True)
class State:
    """A place as it is or shall be. ``text`` is a file's content or a link's target."""

    kind: str
    mode: int = 0
    owner: str = ""
    group: str = ""
    text: bytes = b""


@dataclass(frozen=True)
class Place:
    """One item: where, what shall be there, and the command that must take it."""

    dest: str
    state: State
    check: str
    once: bool

    @property
    def new(self) -> str:
        return f"{self.dest}.new"

    @property
    def parent(self) -> str:
        return self.dest.rsplit("/", 1)[0] or "/"


def seen(line: str) -> State:
    """A line of :data:`LOOK`."""
    kind, *rest = line.split()
    if kind == "absent":
        return State(kind)
    text = base64.b64decode(rest[3]) if len(rest) > 3 else b""
    if kind == "link":
        return State(kind, text=text)
    return State(kind, int(rest[0], 8), rest[1], rest[2], text)


def script(places: list[Place]) -> str:
    """Shell commands that bring ``places`` about; a tar of the files' contents comes on standard input."""
    files = [place for place in places if place.state.kind == "file"]
    news = " ".join(shlex.quote(place.new) for place in files)
    lines = ["set -e", "umask 022"]
    for place in places:
        state, dest = place.state, shlex.quote(place.dest)
        if state.kind == "folder":
            lines.append(f"install -d -m {state.mode:o} -o {state.owner} -g {state.group} {dest}")
        elif state.kind == "absent":
            lines.append(f"rm -f {dest}")
        else:
            lines.append(f"mkdir -p {shlex.quote(place.parent)}")
    if files:
        lines.append("tar -x -p -f - -C /")
        for place in files:
            if place.check:
                check = place.check.replace("%s", shlex.quote(place.new))
                lines.append(f"{{ {check} >&2; }} || {{ rm -f {news}; exit 1; }}")
        lines.append(f"sync {news}")
        lines += [f"mv -T {shlex.quote(place.new)} {shlex.quote(place.dest)}" for place in files]
    for place in places:
        if place.state.kind == "link":
            new, dest = shlex.quote(place.new), shlex.quote(place.dest)
            lines.append(f"ln -sfn {shlex.quote(place.state.text.decode())} {new} && mv -T {new} {dest}")
    folders = sorted({place.parent for place in places})
    lines.append(f"sync {' '.join(map(shlex.quote, folders))}")
    return "\n".join(lines)


def packed(places: list[Place]) -> bytes:
    """The files of ``places`` as a tar, beside their places, with owner and mode."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for place in places:
            if place.state.kind == "file":
                info = tarfile.TarInfo(place.new.lstrip("/"))
                info.size, info.mode = len(place.state.text), place.state.mode
                info.uname, info.gname = place.state.owner, place.state.group
                tar.addfile(info, io.BytesIO(place.state.text))
    return out.getvalue()


def difference(place: Place, before: State) -> dict[str, str]:
    """What ``--diff`` shows."""
    sides = {}
    for side, state in (("before", before), ("after", place.state)):
        attributes = f"{state.kind} {state.mode:04o} {state.owner}:{state.group}\n" if state.mode else f"{state.kind}\n"
        sides[side] = attributes + state.text.decode(errors="replace")
        sides[f"{side}_header"] = place.dest
    return sides


class ActionModule(ActionBase):  # type: ignore[misc] # Ansible has no types
    """See the module's text."""

    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Look, compare, write."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _, given = self.validate_argument_spec(
            {"items": {"type": "list", "elements": "dict", "required": True, "options": ITEM}}
        )
        places = [self._wanted(item, task_vars or {}) for item in given["items"]]
        names = " ".join(shlex.quote(place.dest) for place in places)
        there = [seen(line) for line in self._command(f"set -- {names}; {LOOK}").splitlines()]
        changed = [
            (place, before)
            for place, before in zip(places, there, strict=True)
            if place.state != before and not (place.once and before.kind == "file")
        ]
        result["changed"] = bool(changed)
        result["placed"] = [place.dest for place, _ in changed]
        if self._task.diff:
            result["diff"] = [difference(place, before) for place, before in changed]
        if changed and not self._task.check_mode:
            todo = [place for place, _ in changed]
            self._command(script(todo), packed(todo))
        return result

    def _wanted(self, item: dict[str, Any], task_vars: dict[str, Any]) -> Place:
        dest = item["dest"].rstrip("/")
        kinds = [kind for kind in KINDS if item[kind] not in (None, False)]
        if len(kinds) != 1:
            raise AnsibleActionFail(f"{dest}: give one of {', '.join(KINDS)}")
        kind = kinds[0]
        if kind == "absent":
            state = State("absent")
        elif kind == "link":
            state = State("link", text=item["link"].encode())
        else:
            mode = int(item["mode"] or ("0755" if kind == "folder" else "0644"), 8)
            text = b"" if kind == "folder" else self._text(kind, item, task_vars)
            state = State("folder" if kind == "folder" else "file", mode, item["owner"], item["group"], text)
        return Place(dest, state, item["check"] or "", item["once"])

    def _text(self, kind: str, item: dict[str, Any], task_vars: dict[str, Any]) -> bytes:
        if kind == "content":
            return str(item["content"]).encode()
        if kind == "source":
            with open(self._find_needle("files", item["source"]), "rb") as file:  # noqa: PTH123 - Ansible's name
                return file.read()
        lookup = lookup_loader.get("ansible.builtin.template", loader=self._loader, templar=self._templar)
        return str(lookup.run([item["template"]], variables=task_vars, template_vars=item["vars"])[0]).encode()

    def _command(self, command: str, stdin: bytes | None = None) -> str:
        done = self._low_level_execute_command(command, in_data=stdin)
        if done["rc"] != 0:
            raise AnsibleActionFail(done["stderr"].strip() or done["stdout"].strip() or f"exit code {done['rc']}")
        return str(done["stdout"])
