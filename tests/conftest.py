"""Share one real Azurite among all tests, and give each test a container of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from local import customerio
from local.azurite import Azurite, running


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Run one Azurite for the whole session, its data in memory."""
    with running(in_memory=True) as started:
        yield started


@pytest.fixture
def container(azurite: Azurite) -> str:
    """Give the name of a fresh, empty container."""
    name = f"exports-{uuid.uuid4().hex[:12]}"
    customerio.ensure_container(azurite.connection_string, name)
    return name
