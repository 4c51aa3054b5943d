"""A configuration on trial through every place a power cut can fall into."""

from pathlib import Path

import pytest

from edge.config import hash_of
from edge.config.store import MAX_STARTS, ConfigStore, Phase
from edge.errors import ConfigError
from tests.edge.config.test_config import GOOD

OTHER = GOOD.replace('host = "localhost"', 'host = "elsewhere"')


@pytest.fixture
def store(tmp_path: Path) -> ConfigStore:
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD)
    path.chmod(0o640)
    return ConfigStore(path)


class PowerCut(BaseException):
    pass


def test_no_change_under_way(store: ConfigStore) -> None:
    loaded, marker = store.start()
    assert loaded.text == GOOD
    assert marker is None


def test_apply_and_keep(store: ConfigStore) -> None:
    store.apply(OTHER, "c1")
    loaded, marker = store.start()
    assert loaded.text == OTHER
    assert marker is not None
    assert (marker.command, marker.phase, marker.hash) == ("c1", Phase.TRIAL, hash_of(OTHER))
    assert store.path.stat().st_mode & 0o777 == 0o640
    store.keep()
    assert store.start() == (loaded, None)


def test_apply_and_roll_back(store: ConfigStore) -> None:
    store.apply(OTHER, "c1")
    store.start()
    loaded, marker = store.roll_back("no broker")
    assert loaded.text == GOOD == store.path.read_text()
    assert (marker.phase, marker.reason) == (Phase.ROLLED_BACK, "no broker")
    again, told = store.start()
    assert again.text == GOOD
    assert told is not None
    assert told.reason == "no broker"
    store.keep()
    assert store.start()[1] is None


def test_wrong_text_changes_nothing(store: ConfigStore) -> None:
    with pytest.raises(ConfigError):
        store.apply(OTHER.replace("tenant", "tenat"), "c1")
    assert [path.name for path in store.path.parent.iterdir()] == ["gateway.toml"]


@pytest.mark.parametrize("step", range(1, 4))
def test_power_cut_while_applying(store: ConfigStore, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes of apply: previous, marker, configuration. Cut before each rename."""
    original, count = Path.rename, 0

    def rename(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == step:
            raise PowerCut
        return original(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(PowerCut):
        store.apply(OTHER, "c1")
    monkeypatch.undo()
    loaded, marker = store.start()
    assert loaded.text == GOOD
    if step == 3:  # the marker was there: somebody waits for the result
        assert marker is not None
        assert marker.phase is Phase.ROLLED_BACK
    else:
        assert marker is None


@pytest.mark.parametrize("step", [1, 2])
def test_power_cut_while_rolling_back(store: ConfigStore, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    store.apply(OTHER, "c1")
    store.start()
    original, count = Path.rename, 0

    def rename(self: Path, target: Path) -> Path:
        nonlocal count
        count += 1
        if count == step:
            raise PowerCut
        return original(self, target)

    monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(PowerCut):
        store.roll_back("no broker")
    monkeypatch.undo()
    loaded, marker = store.start()
    assert marker is not None
    if step == 1:  # nothing had happened yet: it is still on trial
        assert (loaded.text, marker.phase) == (OTHER, Phase.TRIAL)
    else:
        assert (loaded.text, marker.phase) == (GOOD, Phase.ROLLED_BACK)


def test_a_configuration_that_kills_the_gateway_is_rolled_back(store: ConfigStore) -> None:
    store.apply(OTHER, "c1")
    for _ in range(MAX_STARTS):
        assert store.start()[0].text == OTHER
    loaded, marker = store.start()
    assert loaded.text == GOOD
    assert marker is not None
    assert f"started {MAX_STARTS} times" in marker.reason


def test_damaged_marker_is_no_obstacle(store: ConfigStore) -> None:
    store.path.with_name("gateway.toml.trial").write_text("{half")
    assert store.start()[1] is None


def test_folder_without_rights_is_named(store: ConfigStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **options: object) -> int:
        raise PermissionError(13, "Permission denied", "/etc/metergate/gateway.toml.previous.new")

    monkeypatch.setattr("edge.config.store.os.open", refuse)
    with pytest.raises(ConfigError, match="needs write access to the folder"):
        store.apply(OTHER, "c1")
    monkeypatch.undo()
    assert store.start()[0].text == GOOD
    assert store.marker() is None
