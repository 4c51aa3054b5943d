"""Settings: file and environment, refused with the name, the source and the way out."""

from pathlib import Path

import pytest

from central.settings import SettingsError, load, secret, variables


def test_defaults_and_environment(tmp_path: Path) -> None:
    settings = load(environ={"METERGATE_DATA_DIR": str(tmp_path), "METERGATE_WEB_PORT": "9000", "METERGATE_PURE": "1"})
    assert settings.web.port == 9000
    assert settings.database_url == f"sqlite+aiosqlite:///{tmp_path}/metergate.sqlite"
    assert settings.broker.host == "127.0.0.1"


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "central.toml"
    file.write_text('tenant = "utility"\n[broker]\nhost = "broker"\nport = 8883\n')
    settings = load(environ={"METERGATE_SETTINGS": str(file), "METERGATE_BROKER_PORT": "1884"})
    assert (settings.tenant, settings.broker.host, settings.broker.port) == ("utility", "broker", 1884)


@pytest.mark.parametrize(
    ("text", "environ", "words"),
    [
        ("[brokr]", {}, "'brokr'.*'broker'"),
        ("[broker]\nprot = 1", {}, r"\[broker\].*'prot'.*'port'"),
        ("[broker]\nport = 70000", {}, r"central\.toml: \[broker\] port = 70000 is not a whole number 1 to 65535"),
        ("tenant = 5", {}, r"central\.toml: tenant = 5 is not a text in quotes"),
        ('[web]\nsecure_cookies = "perhaps"', {}, r"\[web\] secure_cookies = 'perhaps' is not true or false"),
        ("[retention]\nhealth = 0", {}, r"\[retention\] health = 0 is not a whole number from 1 on"),
        ("broker = 5", {}, r"\[broker\]"),
        ("[", {}, "not TOML"),
        ('[database]\nurl = "postgresql+asyncpg://u:pw@h/d"', {}, "password_file"),
        ("", {"METERGATE_BROKER_PROT": "1"}, "METERGATE_BROKER_PORT"),
        (
            "",
            {"METERGATE_WEB_PORT": "abc"},
            "^environment: METERGATE_WEB_PORT='abc' is not a whole number 1 to 65535$",
        ),
        ("", {"METERGATE_WEB_SECURE_COOKIES": "2"}, "METERGATE_WEB_SECURE_COOKIES='2' is not true or false"),
        ("", {"METERGATE_ZONE": "Mars"}, "'Mars'"),
        ("", {"METERGATE_TENANT": "a/b"}, "'a/b'"),
        ("", {"METERGATE_DATABASE_URL": "mysql://x"}, "'mysql'"),
        ("", {"METERGATE_INGEST_SHARE": "ingest"}, "PostgreSQL"),
        ("", {"METERGATE_BROKER_CERT_FILE": "c"}, "key_file"),
    ],
)
def test_refused(tmp_path: Path, text: str, environ: dict[str, str], words: str) -> None:
    file = tmp_path / "central.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=words):
        load(file, environ)


def test_missing_file_is_named() -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load("nowhere.toml", {})


def test_secret(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("s3cret\nrest\n")
    assert secret(str(file), "x") == "s3cret"
    assert secret("", "x") is None
    file.write_text("\n")
    with pytest.raises(SettingsError, match="empty"):
        secret(str(file), "broker.password_file")


def test_every_variable_is_listed() -> None:
    assert variables()["METERGATE_DATABASE_PASSWORD_FILE"] == "database.password_file"
    assert variables()["METERGATE_ZONE"] == "zone"
