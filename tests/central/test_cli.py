"""The command line: each mistake ends in one sentence that says what to do."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from central.cli import cli
from tests.brokers import Broker


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setenv("METERGATE_DATA_DIR", str(tmp_path))

    def call(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["--log-json", *arguments])

    return call


def test_first_steps(run, tmp_path: Path, broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("METERGATE_BROKER_PORT", str(broker.port))
    assert "run 'metergate central migrate'" in run("ingest").output
    assert "run 'metergate central migrate'" in run("check").output
    assert run("migrate").output.startswith("schema ")
    assert "nothing to do" in run("migrate").output
    made = run("create-admin", "--login", "ana", "--generate")
    assert re.search(r"password: \S{12,}", made.output)
    assert "was there already" in run("create-admin", "--login", "ana", "--generate", "--if-missing").output
    again = run("create-admin", "--login", "ana", "--generate")
    assert (again.exit_code, "taken" in again.output) == (1, True)
    file = tmp_path / "registry.toml"
    file.write_text('[[gateways]]\nkey = "gw1"\n[[meters]]\nkey = "m1"\ngateway = "gw1"\n')
    assert run("import-registry", str(file)).output == "1 gateways, 1 meters\n"
    file.write_text('[[meters]]\nkey = "m1"\ngateway = "gw9"\n')
    wrong = run("import-registry", str(file))
    assert (wrong.exit_code, "meters[1] 'm1'" in wrong.output, "'gw9'" in wrong.output) == (1, True, True)
    checked = run("check")
    assert (checked.exit_code, checked.output.count("ok ")) == (0, 3)
    broker.kill()
    assert "cannot be used" in run("check").output


def test_wrong_settings(run, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("METERGATE_BROKER_PROT", "1")
    result = run("check")
    assert (result.exit_code, "METERGATE_BROKER_PORT" in result.output) == (1, True)
