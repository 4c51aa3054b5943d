"""The command line: each mistake ends in one sentence that says what to do."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from central.accounts.keys import create_key_for, find_key
from central.accounts.service import TenantOf, create_user
from central.cli import cli
from central.settings import Settings
from central.store.engine import open_database
from central.store.migrate import migrate
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
    assert re.fullmatch(r"mg_[0-9a-f]{12}_\S{43}\n", run("create-key", "--login", "Ana", "--name", "billing").output)
    nobody = run("create-key", "--login", "eva", "--name", "billing")
    assert (nobody.exit_code, "no user 'eva' in tenant 'default'" in nobody.output) == (1, True)
    file = tmp_path / "registry.toml"
    file.write_text('[[gateways]]\nkey = "gw1"\n[[meters]]\nkey = "m1"\ngateway = "gw1"\n')
    assert run("import-registry", str(file)).output == "1 gateways, 1 meters\n"
    file.write_text('[[meters]]\nkey = "m1"\ngateway = "gw9"\n')
    wrong = run("import-registry", str(file))
    assert (wrong.exit_code, "meters[1] 'm1'" in wrong.output, "'gw9'" in wrong.output) == (1, True, True)
    checked = run("check")
    assert (checked.exit_code, checked.output.count("ok ")) == (0, 4)
    broker.kill()
    assert "cannot be used" in run("check").output


async def test_a_key_from_the_command_line_lets_in(tmp_path: Path) -> None:
    settings = Settings(data_dir=str(tmp_path))
    database = open_database(settings)
    try:
        await migrate(database)
        tenant = TenantOf(settings.tenant, settings.tenant_name, settings.zone)
        await create_user(database, tenant, "ana", "Ana", "a-long-enough-password", role="administrator", now=1)
        async with database.write() as db:
            reads = await create_key_for(db, "default", "ana", "r", permissions=["read"], expires_at=None, now=1)
            writes = await create_key_for(db, "default", "ana", "w", permissions=(), expires_at=100, now=1)
        reader, writer = await find_key(database, reads, 99), await find_key(database, writes, 99)
        assert reader is not None
        assert writer is not None
        assert (reader.may("command"), writer.may("command"), writer.login) == (False, True, "ana")
        assert await find_key(database, writes, 100) is None
    finally:
        await database.close()


def test_wrong_settings(run, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("METERGATE_BROKER_PROT", "1")
    result = run("check")
    assert (result.exit_code, "METERGATE_BROKER_PORT" in result.output) == (1, True)
