"""Schemathesis, which knows nothing of us but the document: every operation, all its checks, two kinds of callers.

New operations are in the document and so in here. What it does not know are names: a request that is right by its
shape may still name a customer that is not there (404, 422) or a tag that is not the present one (412).
"""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.config import (
    ChecksConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.python.asgi import shutdown_lifespans

from central.settings import DatabaseSettings, Settings
from central.store.engine import open_url
from tests.central.application import application
from tests.central.world import Side, bearer, make_side

#: Requests to each operation, by each caller, right ones and wrong ones.
EXAMPLES = 4
ACCEPTED = ["2xx", "3xx", "401", "403", "404", "406", "409", "412", "422", "429"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[tuple[Any, Side]]:
    """The document as Schemathesis reads it, bound to the application over a filled database."""
    file = tmp_path_factory.mktemp("schemathesis") / "central.sqlite"
    shutil.copyfile(sqlite_template, file)
    url = f"sqlite+aiosqlite:///{file}"

    async def fill() -> Side:
        database = open_url(url)
        side = await make_side(database, "ours")
        await database.close()
        return side

    side = asyncio.run(fill())
    checks = ChecksConfig(positive_data_acceptance=PositiveDataAcceptanceConfig(expected_statuses=ACCEPTED))
    config = SchemathesisConfig(projects=ProjectsConfig(default=ProjectConfig(checks=checks)))
    app = application(Settings(database=DatabaseSettings(url=url), data_dir=str(file.parent)))
    yield schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, config=config), side
    shutdown_lifespans()


@pytest.mark.timeout(400)  # some thousand requests
@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("caller", ["administrator", "reader"])
def test_every_operation_is_as_the_document_says(world: tuple[Any, Side], caller: str, mode: GenerationMode) -> None:
    schema, side = world
    key = bearer(side.write_key if caller == "administrator" else side.read_key)
    met = set()
    for result in schema.get_all_operations():
        operation = result.ok()
        met.add(operation.label)
        _exercise(operation, key, mode)
    paths = schema.raw_schema["paths"]
    assert met == {f"{method.upper()} {path}" for path, item in paths.items() for method in item}


def _exercise(operation: Any, key: dict[str, str], mode: GenerationMode) -> None:
    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy(mode))
    def check(case: Any) -> None:
        case.call_and_validate(headers=key)

    check()
