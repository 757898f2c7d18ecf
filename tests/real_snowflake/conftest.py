"""Run on a real Snowflake account, where the environment names one; `make test` does not look in here.

With TEST_SNOWFLAKE_STAND_IN=1 the suite runs against the stand-in, where what is known to lie fails as expected.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import SettingsError
from local import customerio
from tests.real_snowflake.account import HOW, Account, NotOurs, Talk, is_given, settings_of, working
from tests.real_snowflake.known_lies import STAND_IN

HERE = Path(__file__).parent
SEEN: dict[str, Any] = {}


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave the suite out unless somebody asks for it by its path."""
    asked = any(HERE.name in str(argument) for argument in config.args)
    return None if asked else True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let nobody's warning end a test of a real account."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.filterwarnings("default"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell what the account answered where only that tells what is true."""
    if SEEN:
        terminalreporter.section("the stand-in answered" if STAND_IN else "the account answered")
        for what, answer in SEEN.items():
            terminalreporter.write_line(f"{what}: {answer}")


@pytest.fixture(scope="session")
def account(request: pytest.FixtureRequest) -> Iterator[Account]:
    """Give the account with what the suite makes in it."""
    environment = dict(os.environ)
    if STAND_IN:
        environment = stand_in_environment(request)
    elif not is_given(environment):
        pytest.skip(HOW)
    try:
        settings = settings_of(environment)
    except SettingsError as error:
        pytest.fail(f"The settings are not whole.\n{error}", pytrace=False)
    home = environment.get("WAREHOUSE_SCHEMA") or "customerio"
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(working(Account(settings, home, STAND_IN)))
        except NotOurs as error:
            pytest.fail(str(error), pytrace=False)
        yield made


def stand_in_environment(request: pytest.FixtureRequest) -> dict[str, str]:
    """Start the stand-in, and return the settings that an environment would have for it."""
    server = request.getfixturevalue("stand_in")
    container = "real-snowflake"
    customerio.ensure_container(server.azurite.connection_string, container)
    settings = server.settings(container)
    return {
        "EXPORT_STORAGE": server.azurite.connection_string,
        "EXPORT_CONTAINER": container,
        "SNOWFLAKE_ACCOUNT": settings.snowflake_account,
        "SNOWFLAKE_HOST": settings.snowflake_host,
        "SNOWFLAKE_USER": settings.snowflake_user,
        "SNOWFLAKE_DATABASE": settings.snowflake_database,
        "SNOWFLAKE_SIGN_IN": "oauth",
        "SNOWFLAKE_TOKEN": "unchecked",
    }


@pytest.fixture(autouse=True)
def _account(account: Account) -> None:
    """Skip every test where there is no account."""


@pytest.fixture
def talk(account: Account) -> Iterator[Callable[..., Talk]]:
    """Give a function that opens sessions with parameters of their own."""
    with contextlib.ExitStack() as stack:

        def opened(**parameters: Any) -> Talk:
            connection = account.connect(**parameters)
            stack.callback(connection.close)
            return Talk(connection)

        yield opened


@pytest.fixture
def stage(account: Account) -> str:
    """Give the external stage at the container's root."""
    if account.stage is None:
        pytest.skip(account.why_no_stage)
    return account.stage


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Give a function that keeps what was answered for the end of the run."""

    def keep(answer: Any) -> None:
        SEEN[request.node.name] = answer

    return keep
