"""Share one real Azurite among all tests, and give each test a container of its own."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from ingest.warehouses.duckdb.file import database_file
from local import customerio
from local.azurite import Azurite, running
from tests.stand_in import StandIn
from tests.stand_in import running as running_stand_in
from tests.world import MEMORY, World

# The same examples at every run, so that a red run is red again; HYPOTHESIS_PROFILE=search looks for new ones.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

for suite in (
    "activity_contract",
    "checkpoint_contract",
    "columns_contract",
    "histories",
    "landing_contract",
    "loading_contract",
    "sweep_contract",
    "verdict",
):
    pytest.register_assert_rewrite(f"tests.{suite}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what talks to the stand-in for Snowflake or needs a browser: `-m snowflake`, `-m "not browser"`."""
    for item in items:
        for fixture, mark in (("stand_in", "snowflake"), ("browser", "browser")):
            if fixture in getattr(item, "fixturenames", ()):
                item.add_marker(mark)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Run one Azurite for the whole session, its data in memory."""
    with running(in_memory=True) as started:
        yield started


@pytest.fixture(scope="session")
def stand_in(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """Run one stand-in for Snowflake for the whole session, its data in memory."""
    with running_stand_in(azurite, tmp_path_factory.mktemp("stand-in")) as started:
        yield started


@pytest.fixture
def container(azurite: Azurite) -> str:
    """Give the name of a fresh, empty container."""
    name = f"exports-{uuid.uuid4().hex[:12]}"
    customerio.ensure_container(azurite.connection_string, name)
    return name


@pytest.fixture
def scrubbed() -> dict[str, str]:
    """Give an environment for child processes without any of the app's settings."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
    return {name: os.environ[name] for name in kept if name in os.environ}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "warehouse.duckdb")
    yield made
    database_file(made.path, memory_limit=MEMORY).close()
