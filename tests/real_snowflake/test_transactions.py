"""Transactions, locks and keys, as the fencing and the one commit rely on them."""

from __future__ import annotations

import multiprocessing
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from ingest.settings import Settings
from ingest.warehouses.snowflake.faults import Verdict, fault_of
from ingest.warehouses.snowflake.session import PARAMETERS
from tests.real_snowflake.account import Account, Talk
from tests.real_snowflake.known_lies import STAND_IN, lies

Open = Callable[..., Talk]
UNANSWERED = 3.0
"""Seconds after which a statement counts as waiting."""
IDLE_MINUTES = 5
"""How long a silent transaction may stand in somebody's way. Source: Snowflake's page "Transactions"."""
ATTEMPT = "INSERT INTO {table} SELECT 'no number'::NUMBER, 0"


@pytest.fixture
def table(account: Account, talk: Open) -> str:
    """Give a table of two columns with one row, 1 and 0."""
    name = account.table()
    with talk().connection.cursor() as cursor:
        cursor.execute(f"CREATE TABLE {name} (id NUMBER(19, 0) PRIMARY KEY, value NUMBER(19, 0) UNIQUE)")
        cursor.execute(f"INSERT INTO {name} VALUES (1, 0)")
    return name


def later(task: Callable[[], Any]) -> Future[Any]:
    """Run something beside the test."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(task)
    pool.shutdown(wait=False)
    return future


def is_waiting(future: Future[Any]) -> bool:
    deadline = time.monotonic() + UNANSWERED
    while time.monotonic() < deadline and not future.done():
        threading.Event().wait(0.1)
    return not future.done()


def test_unique_keys_are_not_enforced(talk: Open, table: str) -> None:
    """Were they, nothing would break; the adapter relies on neither."""
    session = talk()
    session.run(f"INSERT INTO {table} VALUES (1, 0)")
    assert session.one(f"SELECT COUNT(*) FROM {table}") == 2


@pytest.mark.parametrize(
    "definition",
    [
        "CREATE TABLE {table}_other (id NUMBER)",
        "CREATE OR REPLACE TEMPORARY TABLE {table}_other (id NUMBER)",
        "ALTER TABLE {table} ADD COLUMN IF NOT EXISTS more VARCHAR",
    ],
    ids=["table", "temporary table", "column"],
)
def test_a_definition_commits_the_open_transaction(talk: Open, table: str, definition: str) -> None:
    session = talk()
    session.run("BEGIN")
    session.run(f"INSERT INTO {table} (id, value) VALUES (2, 2)")
    session.run(definition.format(table=table))
    session.run("ROLLBACK")
    assert talk().one(f"SELECT COUNT(*) FROM {table}") == 2


def test_a_failed_statement_leaves_the_transaction_open(talk: Open, table: str) -> None:
    """Without the adapter's parameters: what comes after the failure is kept, and the COMMIT keeps half a batch."""
    session = talk(TRANSACTION_ABORT_ON_ERROR=False)
    session.run("BEGIN")
    session.run(f"INSERT INTO {table} VALUES (2, 2)")
    assert session.refused(ATTEMPT.format(table=table)) is not None
    session.run(f"INSERT INTO {table} VALUES (3, 3)")
    session.run("COMMIT")
    assert talk().one(f"SELECT COUNT(*) FROM {table}") == 3


@lies("it does not know TRANSACTION_ABORT_ON_ERROR, so that a COMMIT keeps what came before the failure")
def test_a_commit_after_a_failed_statement_keeps_nothing(talk: Open, table: str, seen: Callable[[Any], None]) -> None:
    """With the adapter's parameters, whether the COMMIT itself fails or seems to succeed."""
    session = talk(**PARAMETERS)
    session.run("BEGIN")
    session.run(f"INSERT INTO {table} VALUES (2, 2)")
    assert session.refused(ATTEMPT.format(table=table)) is not None
    commit = session.refused("COMMIT")
    seen("COMMIT succeeded" if commit is None else f"COMMIT failed with {commit.errno}")
    assert talk().one(f"SELECT COUNT(*) FROM {table}") == 1


@lies("it does not know TRANSACTION_ABORT_ON_ERROR, so that statements go on after a failure")
def test_nothing_gets_through_after_a_failed_statement(talk: Open, table: str, seen: Callable[[Any], None]) -> None:
    session = talk(**PARAMETERS)
    session.run("BEGIN")
    assert session.refused(ATTEMPT.format(table=table)) is not None
    refused = session.refused(f"INSERT INTO {table} VALUES (2, 2)")
    session.refused("ROLLBACK")
    assert refused is not None
    seen(f"refused with {refused.errno}")
    assert fault_of(refused).verdict is not Verdict.DATA


def test_a_second_writer_waits_and_then_sees_what_was_committed(talk: Open, table: str) -> None:
    """The fencing: of two that compare and set, the second one compares with what the first one set."""
    first, second = talk(), talk()
    claim = f"UPDATE {table} SET value = value + 1 WHERE id = 1 AND value = 0"
    first.run("BEGIN")
    assert first.run(claim) == 1
    waiting = later(lambda: second.run(claim))
    assert is_waiting(waiting)
    first.run("COMMIT")
    assert waiting.result(60) == 0
    assert talk().one(f"SELECT value FROM {table}") == 1


def test_a_second_transaction_sees_what_was_committed_while_it_waited(talk: Open, table: str) -> None:
    """The same inside BEGIN and COMMIT, where an earlier statement has already read the row as it was."""
    first, second = talk(), talk()
    first.run("BEGIN")
    first.run(f"UPDATE {table} SET value = value + 1 WHERE id = 1")
    second.run("BEGIN")
    assert second.one(f"SELECT value FROM {table} WHERE id = 1") == 0
    waiting = later(lambda: second.run(f"UPDATE {table} SET value = value + 10 WHERE id = 1 AND value = 0"))
    assert is_waiting(waiting)
    first.run("COMMIT")
    assert waiting.result(60) == 0
    assert second.one(f"SELECT value FROM {table} WHERE id = 1") == 1
    second.run("ROLLBACK")


def test_a_second_writer_goes_on_when_the_first_rolls_back(talk: Open, table: str) -> None:
    first, second = talk(), talk()
    claim = f"UPDATE {table} SET value = value + 1 WHERE id = 1 AND value = 0"
    first.run("BEGIN")
    assert first.run(claim) == 1
    waiting = later(lambda: second.run(claim))
    assert is_waiting(waiting)
    first.run("ROLLBACK")
    assert waiting.result(60) == 1


def test_inserts_wait_for_nobody(talk: Open, table: str) -> None:
    """So a stream that two workers open at once may have two rows, and the adapter reads the highest generation."""
    unless_there = (
        f"INSERT INTO {table} SELECT 2, 2 WHERE NOT EXISTS (SELECT 1 FROM {table} AS known WHERE known.id = 2)"
    )
    first, second = talk(), talk()
    for session in (first, second):
        session.run("BEGIN")
    inserts = [later(lambda session=session: session.run(unless_there)) for session in (first, second)]
    assert [insert.result(60) for insert in inserts] == [1, 1]
    for session in (first, second):
        session.run("COMMIT")
    assert talk().one(f"SELECT COUNT(*) FROM {table} WHERE id = 2") == 2


def test_a_lock_wait_that_lasts_too_long_may_be_tried_again(
    talk: Open, table: str, seen: Callable[[Any], None]
) -> None:
    first, second = talk(), talk(LOCK_TIMEOUT=4)
    first.run("BEGIN")
    first.run(f"UPDATE {table} SET value = 1")
    refused = second.refused(f"UPDATE {table} SET value = 2")
    first.run("ROLLBACK")
    assert refused is not None
    seen(f"error {refused.errno}")
    assert fault_of(refused).verdict is Verdict.AGAIN


def test_a_closed_session_rolls_back_at_once(talk: Open, table: str) -> None:
    first, second = talk(), talk()
    first.run("BEGIN")
    first.run(f"UPDATE {table} SET value = 1")
    first.connection.close()
    assert later(lambda: second.run(f"UPDATE {table} SET value = value + 10")).result(60) == 1
    assert talk().one(f"SELECT value FROM {table}") == 10


@pytest.mark.timeout((IDLE_MINUTES + 4) * 60)
def test_a_killed_session_is_rolled_back_while_somebody_waits(
    account: Account, talk: Open, table: str, seen: Callable[[Any], None]
) -> None:
    """Snowflake cannot see that a client is gone. It ends a transaction that is silent and in somebody's way."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    killed = context.Process(target=change_and_hang, args=(account.settings, account.home, table, theirs), daemon=True)
    killed.start()
    assert ours.poll(120)
    assert ours.recv() == "changed"
    killed.kill()
    killed.join()
    second = talk(**{**PARAMETERS, "LOCK_TIMEOUT": (IDLE_MINUTES + 2) * 60})
    started = time.monotonic()
    waiting = later(lambda: second.run(f"UPDATE {table} SET value = value + 10"))
    assert STAND_IN or is_waiting(waiting)
    assert waiting.result((IDLE_MINUTES + 3) * 60) == 1
    seen(f"the waiting one got through after {time.monotonic() - started:.0f} s")
    assert talk().one(f"SELECT value FROM {table}") == 10


def change_and_hang(settings: Settings, home: str, table: str, told: Any) -> None:
    """Change a row in a transaction, say so, and do nothing more."""
    session = Talk(Account(settings, home).connect(**PARAMETERS))
    session.run("BEGIN")
    session.run(f"UPDATE {table} SET value = 1000")
    told.send("changed")
    threading.Event().wait()
