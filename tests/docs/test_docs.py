"""Documents say everything there is to set and to call, and nothing that is not there."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import pytest
from litestar.routes import HTTPRoute

from central.app import create_app
from central.cli import cli as central_cli
from central.fleet.schemas import CommandIn
from central.settings import FILE_VARIABLE, Settings, variables
from edge.cli import cli as edge_cli
from edge.config import load, model
from edge.config.check import LINE_KINDS
from edge.drivers.abnt.settings import AbntSettings, PartialRequest
from edge.field.cli import cli as field_cli
from metergate.cli import PARTS, main
from metergate.provision.cli import cli as provision_cli

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
    ROOT / "benchmarks/README.md",
]
GATEWAY, CENTRAL, API, FIELD, ENROLMENT = (
    ROOT / "docs" / name for name in ("gateway.md", "central.md", "api.md", "field.md", "enrolment.md")
)
EXAMPLE = ROOT / "edge/example.toml"
#: Options that ``--help`` explains well enough; the documents show those of daily use.
HELPED = {"--help", "--version"}

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands_of(group: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """(words, command) of a group's subcommands."""
    assert isinstance(group, click.Group)
    context = click.Context(group)
    for sub in group.list_commands(context):
        command = group.get_command(context, sub)
        assert command is not None
        yield f"{name} {sub}", command


def options_of(command: click.Command) -> set[str]:
    """Long names of a command's options."""
    return {name for param in command.params for name in param.opts if name.startswith("--")} - HELPED


def fences(path: Path, language: str) -> list[str]:
    return [text for kind, text in _FENCE.findall(path.read_text()) if kind == language]


def typed(path: Path) -> Iterator[list[str]]:
    """Words of each line that begins with ``$`` in a console block, continuation lines joined."""
    for block in fences(path, "console"):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                yield shlex.split(line[2:], comments=True)


@pytest.mark.parametrize(
    ("document", "name", "group"),
    [
        (GATEWAY, "metergate edge", edge_cli),
        (CENTRAL, "metergate central", central_cli),
        (FIELD, "metergate field", field_cli),
        (ENROLMENT, "metergate provision", provision_cli),
    ],
    ids=["edge", "central", "field", "provision"],
)
def test_commands_and_options_are_described(document: Path, name: str, group: click.Command) -> None:
    text = document.read_text()
    for words, command in commands_of(group, name):
        short = words.removeprefix("metergate ").removeprefix("edge ")
        assert words in text or f"`{short}`" in text, f"{document.name} does not mention {words}"
        if not words.endswith("simulate"):  # its --help is its document
            missing = sorted(option for option in options_of(command) if option not in text)
            assert not missing, f"{document.name} does not show {missing} of {words}"
    assert not [option for option in options_of(group) if option not in text]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_console_examples_name_commands_and_options_that_exist(document: Path) -> None:
    for words in typed(document):
        if "metergate" not in words[0].split("/")[-1:]:
            continue
        command: click.Command = main
        context = click.Context(main)
        rest = words[1:]
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(context, rest[0])
            assert found is not None, f"{document.name}: {' '.join(words)}: no command {rest[0]!r}"
            command, rest = found, rest[1:]
        known = options_of(command) | {name for param in command.params for name in param.opts} | HELPED
        strange = [word for word in rest if word.startswith("-") and word.partition("=")[0] not in known]
        assert not strange, f"{document.name}: {' '.join(words)}: unknown {strange}"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for document in DOCUMENTS:
        for words in typed(document):
            if words[0] == "make":
                assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), f"{document.name}: make {words[1]}"


def fields_of(kind: type[msgspec.Struct]) -> set[str]:
    return {field.encode_name for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize(
    "kind",
    [
        model.Config, model.Uplink, model.Spool, model.Log, model.Permissions, model.Remote, model.Schedule,
        model.Module, model.Meter, model.Forward, *LINE_KINDS.values(), AbntSettings, PartialRequest,
    ],
    ids=lambda kind: kind.__name__,
)  # fmt: skip
def test_the_example_shows_every_key(kind: type[msgspec.Struct]) -> None:
    text = EXAMPLE.read_text()
    missing = [
        key for key in fields_of(kind) if not re.search(rf"(^|[\[\s.{{]){re.escape(key)}(\]| =)", text, re.MULTILINE)
    ]
    assert not missing, f"edge/example.toml does not show {missing} of {kind.__name__}"


def test_the_example_can_be_used_with_all_its_remarks(tmp_path: Path) -> None:
    """Keys that are commented out are right too."""
    text = re.sub(r"(?m)^# (?=\[\[?\w|\w+ = )", "", EXAMPLE.read_text())
    assert text != EXAMPLE.read_text()
    text = text.replace('password_file = "/etc/metergate/broker-password"', "")
    (tmp_path / "all.toml").write_text(text)
    loaded = load(tmp_path / "all.toml")
    assert loaded.config.meters[0].settings
    assert len(loaded.config.modules) == 2


def test_the_example_says_the_defaults() -> None:
    """A value followed by nothing that differs from the default would mislead: bounds of the spool and the uplink."""
    config = load(EXAMPLE).config
    for shown, kind in ((config.uplink, model.Uplink), (config.spool, model.Spool), (config.schedule, model.Schedule)):
        for field in msgspec.structs.fields(kind):
            if isinstance(field.default, int | float):
                assert getattr(shown, field.name) == field.default, f"{kind.__name__}.{field.name}"


def test_settings_of_the_aggregator_are_in_their_table() -> None:
    text = CENTRAL.read_text()
    rows = {
        row[0]: row for row in re.findall(r"^\| `([\w.]+)` \| `(METERGATE_\w+)` \| ?([^|]*?) ?\|", text, re.MULTILINE)
    }
    defaults = Settings()
    assert FILE_VARIABLE in text
    assert {row[1]: name for name, row in rows.items()} == variables()
    for name, (_, _, shown) in rows.items():
        section, _, field = name.rpartition(".")
        value = getattr(getattr(defaults, section) if section else defaults, field)
        assert shown.strip("`") == (str(value).lower() if isinstance(value, bool) else str(value)), name


def test_parts_of_the_program_are_in_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    assert not [part for part in PARTS if f"metergate {part}" not in text and f"make {part}" not in text]


def test_addresses_of_the_api_are_told_and_exist() -> None:
    app = create_app(Settings(), follow=False)
    paths = [route.path for route in app.routes if isinstance(route, HTTPRoute) and route.path.startswith("/api/v1/")]
    known = {part for path in paths for part in path.removeprefix("/api/v1").split("/") if part and part[0] != "{"}
    table = API.read_text().partition("## Addresses")[2].partition("\n\n**Times**")[0]
    cells = " ".join(re.findall(r"^\| (.*?) \|", table, re.MULTILINE))
    told = set(re.findall(r"/([\w-]+)", cells))
    assert told == known - {"openapi.json", "openapi.yaml", "openapi.yml", "me"}


def test_commands_of_the_api_are_told() -> None:
    text = API.read_text()
    for kind in CommandIn.__args__:
        tag = kind.__struct_config__.tag
        assert f"| `{tag}` |" in text
        row = next(line for line in text.splitlines() if line.startswith(f"| `{tag}` |"))
        missing = [field for field in fields_of(kind) - {"lifetime"} if f"`{field}`" not in row]
        assert not missing, f"docs/api.md: {tag} has {missing} too"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text()
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target:
            assert (document.parent / target.partition("#")[0]).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_in_the_text_exist(document: Path) -> None:
    known = ("edge", "central", "shared", "ext", "tests", "docs", "benchmarks", "metergate", "tools")
    here = document.parent
    for path in re.findall(rf"`((?:{'|'.join(known)})/[\w./]+)`", document.read_text()):
        assert (ROOT / path).exists() or (here / path).exists(), f"{document.name} speaks of {path}"
