"""The root command: parts that are not installed say so, those that are load."""

from importlib.util import find_spec

import pytest
from click.testing import CliRunner

from metergate import cli


@pytest.mark.parametrize(
    ("part", "absent", "extra"),
    [
        ("central", "sqlalchemy", "central"),
        ("edge", "serialx", "edge"),
        ("demo", "litestar", "edge,central,demo"),
        ("provision", "segno", "provision"),
    ],
)
def test_a_part_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, part: str, absent: str, extra: str
) -> None:
    monkeypatch.setattr("metergate.cli.find_spec", lambda name: None if name == absent else find_spec(name))
    result = CliRunner().invoke(cli.main, [part, "--help"])
    assert result.exit_code == 1
    assert f"needs the module {absent!r}" in result.output
    assert f"metergate[{extra}]" in result.output


@pytest.mark.parametrize("part", list(cli.PARTS))
def test_parts_load(part: str) -> None:
    result = CliRunner().invoke(cli.main, [part, "--help"])
    assert result.exit_code == 0, result.output
