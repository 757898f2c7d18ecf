"""Hold what is said to Snowflake against its grammar, its rules, and the transcripts in tests/transcripts.

`.venv/bin/python -m tests.test_snowflake_statements` writes the transcripts anew.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import re
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlfluff.core import FluffConfig, Linter

from ingest.arrivals import Blob
from ingest.landing import AzureLanding
from ingest.outcomes import BatchLoaded, FileSuperseded
from ingest.parquet import GUESS
from ingest.warehouses import queries
from local import azurite, customerio
from tests import factories
from tests.stand_in import StandIn
from tests.stand_in import running as running_stand_in
from tests.transcripts import FOLDER, Line, Scene, readable, steady
from tests.transcripts.kinds import KINDS, SETTINGS, replace_before_copy

LITERALS = {"limit": "500", "since": "<midnight>", "before": "<midnight>", "container": "<container>"}
QUERIES = {
    name: text for name, text in queries.load("ingest.warehouses.snowflake", schema="customerio", **LITERALS).items()
}
IN_NO_TRANSCRIPT = {"create_schema", "renew", "reopen_named", "forget_oddities_named"}
"""Asked where the schema is missing, after a third of a lease, and by the command line when it is given names."""
IN_A_TRANSACTION = {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"}
OF_A_STREAM = re.compile(r"(INSERT INTO|UPDATE) customerio\.ingest_streams\b")
NUMBERS_OF_FILES = {"copy": (1, 7, 200, 1000), "put": (1, 7, 200)}


@functools.cache
def unparsable(statement: str) -> list[str]:
    """Tell what sqlfluff cannot parse. Its grammar has no question marks: the templater puts numbers for them."""
    return [f"line {problem.line_no}: {problem.desc()}" for problem in _linter().parse_string(statement).violations]


@functools.cache
def _linter() -> Linter:
    placeholders = {"templater": {"placeholder": {"param_style": "question_mark"}}}
    chosen = {"dialect": "snowflake", "templater": "placeholder"}
    return Linter(config=FluffConfig(configs=placeholders, overrides=chosen))


@pytest.fixture(scope="module")
def heard(stand_in: StandIn) -> Callable[[str], Sequence[Line]]:
    """Give a function that returns what a kind says; each is driven once."""
    return functools.cache(lambda kind: transcript(stand_in, kind))


@pytest.fixture
def scene(request: pytest.FixtureRequest, stand_in: StandIn, container: str) -> Iterator[Scene]:
    """Give an account and a container; the parameter is the way to load, if there is one."""
    made = Scene(stand_in, container, SNOWFLAKE_LOAD=getattr(request, "param", "copy"), BATCH_MAX_FILES="1000")
    yield made
    made.close()


def transcript(server: StandIn, kind: str) -> Sequence[Line]:
    """Drive a kind in a container of its own."""
    container = f"statements-{uuid.uuid4().hex[:12]}"
    customerio.ensure_container(server.azurite.connection_string, container)
    with closing(Scene(server, container, **SETTINGS.get(kind, {}))) as made:
        return KINDS[kind](made)


def golden(kind: str, lines: Sequence[Line]) -> str:
    return readable(inspect.getdoc(KINDS[kind]) or kind, lines)


Heard = Callable[[str], Sequence[Line]]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_is_what_the_transcript_shows(kind: str, heard: Heard) -> None:
    assert golden(kind, heard(kind)) == (FOLDER / f"{kind}.sql").read_text(encoding="utf-8")


def test_there_is_a_transcript_for_each_kind_and_no_other() -> None:
    assert {path.stem for path in FOLDER.glob("*.sql")} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_statement_parses(kind: str, heard: Heard) -> None:
    found = {line.sql: unparsable(steady(line.sql)) for line in heard(kind)}
    assert {statement: problems for statement, problems in found.items() if problems} == {}


@pytest.mark.parametrize("name", QUERIES)
def test_every_query_parses(name: str) -> None:
    assert unparsable(QUERIES[name]) == []


@pytest.mark.parametrize(
    "broken", ["SELECT blob_name FROM WHERE batch_id = ?", "MERGE INTO a USING b WHEN MATCHED THEN DELETE", "PUT ?"]
)
def test_the_gate_refuses_what_is_no_sql(broken: str) -> None:
    assert unparsable(broken)


def test_the_gate_refuses_a_statement_of_ours_without_a_word(heard: Heard) -> None:
    (statement,) = (line.sql for line in heard("one_changeset") if line.sql.startswith("MERGE"))
    assert unparsable(statement.replace("USING", "", 1))
    assert unparsable(statement.replace("PARTITION BY", "PARTITION", 1))


def test_every_query_is_asked_somewhere(heard: Heard) -> None:
    said = {re.sub(r"LIMIT (1000|200)\b", "LIMIT 500", steady(line.sql)) for kind in KINDS for line in heard(kind)}
    assert {name for name, text in QUERIES.items() if text not in said} == IN_NO_TRANSCRIPT


@pytest.mark.parametrize("kind", KINDS)
def test_transactions_hold_only_dml_and_end(kind: str, heard: Heard) -> None:
    assert misplaced(heard(kind)) == []


@pytest.mark.parametrize("verb", ["CREATE OR REPLACE TEMPORARY TABLE", "ALTER TABLE", "COPY INTO", "BEGIN"])
def test_what_does_not_belong_into_a_transaction_is_noticed(verb: str, heard: Heard) -> None:
    lines = list(heard("added_column"))
    (merge,) = (at for at, line in enumerate(lines) if line.sql.startswith("MERGE"))
    stray = replace(lines[merge], sql=f"{verb} x")
    assert misplaced([*lines[:merge], stray, *lines[merge:]])
    assert misplaced([*lines[: merge - 1], *lines[merge:]])
    assert misplaced(lines[: merge + 1])


def misplaced(lines: Sequence[Line]) -> list[str]:
    """Return statements on the wrong side of BEGIN or COMMIT, and transactions without an end."""
    found: list[str] = []
    inside: set[int] = set()
    for line in lines:
        verb, within = line.sql.split()[0], line.session in inside
        if verb == "BEGIN":
            fits = not within
            inside.add(line.session)
        elif verb in {"COMMIT", "ROLLBACK"}:
            fits = within
            inside.discard(line.session)
        elif within:
            fits = verb in IN_A_TRANSACTION
        else:  # alone stands only what one statement does as a whole: opening, claiming and releasing a stream
            fits = verb not in IN_A_TRANSACTION or verb == "SELECT" or OF_A_STREAM.match(line.sql) is not None
        if not fits:
            found.append(line.sql)
    return found + [f"session {session} was left in a transaction" for session in inside]


@pytest.mark.parametrize("kind", KINDS)
def test_every_statement_says_for_what_it_is(kind: str, heard: Heard) -> None:
    for line in heard(kind):
        assert line.said["app"] == "customerio_ingest", line.sql
        assert told_by(line) <= set(line.said), (line.tag, line.sql)


def told_by(line: Line) -> set[str]:
    """Return what the tag of a statement has to say."""
    verb = line.sql.split()[0]
    if "ingest_stage_" in line.sql or "batch_id = ?" in line.sql:
        return {"stream", "batch", "files"}
    if verb == "SELECT" and "FLATTEN" in line.sql:
        return {"files"}
    if verb in IN_A_TRANSACTION - {"SELECT"} or verb in {"BEGIN", "COMMIT", "ROLLBACK"}:
        return {"stream"}
    return {"stream"} if "?" in line.sql else set()


@pytest.mark.parametrize("kind", ["several_files", "one_bad_file", "put"])
def test_the_statements_of_a_batch_share_its_tag(kind: str, heard: Heard) -> None:
    lines = [line for line in heard(kind) if "batch" in line.said]
    for _, batch in itertools.groupby(lines, key=lambda line: line.said["batch"]):
        said = list(batch)
        (copy,) = (line for line in said if line.sql.startswith("COPY"))
        assert {line.tag for line in said} == {copy.tag}
        assert copy.said["files"] == copy.sql.partition("FILES = ")[2].count(".parquet'")
        assert copy.said["stream"] == str(factories.stream())
        assert re.fullmatch(r"[0-9a-f]{32}", copy.said["batch"])


def test_a_look_at_nothing_new_is_one_statement_and_then_none(scene: Scene) -> None:
    scene.warm()
    app = scene.app()
    with scene.heard() as cold:
        app.drain_everything()
    with scene.heard() as warm:
        app.drain_everything()
    assert [line.sql for line in cold] == [QUERIES["settled"]]
    assert warm == []


def test_a_whole_round_over_nothing_new_writes_nothing_and_says_the_same_all_day(scene: Scene) -> None:
    """Snowflake keeps an answer for a text: what changes neither text nor tables needs no virtual warehouse."""
    scene.warm().sweep_once()
    app, another = scene.app(), scene.app()
    with scene.heard() as cold:
        app.sweep_once()
    with scene.heard() as warm:
        app.sweep_once()
    with scene.heard() as again:
        another.sweep_once()
    assert warm == []
    assert [line.sql for line in cold] == [line.sql for line in again]
    assert all(line.sql.startswith(("SELECT", "WITH", "DESCRIBE")) for line in cold)


@pytest.mark.parametrize("scene", NUMBERS_OF_FILES, indirect=True)
def test_a_batch_takes_the_same_statements_however_many_files_it_has(scene: Scene, heard: Heard) -> None:
    app = scene.warm()
    said: dict[int, list[str]] = {}
    content = factories.parquet("deliveries")
    for number in NUMBERS_OF_FILES[scene.settings.snowflake_load]:
        name = scene.write_many(range(number * 10_000, number * 10_000 + number), content)
        with scene.heard() as lines:
            app.drain_blob(name)
        loaded = scene.outcomes[-1]
        assert isinstance(loaded, BatchLoaded)
        assert loaded.files == number
        said[number] = [line.whatever_files for line in lines]
    first = said[1]
    assert len(first) == len(heard({"copy": "one_changeset", "put": "put"}[scene.settings.snowflake_load]))
    for number, statements in said.items():
        assert statements == first, number


def test_only_footers_pass_through_the_function(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    passed: list[int] = []
    end_of = AzureLanding.end_of

    def counted(landing: AzureLanding, blob: Blob, length: int) -> bytes:
        end = end_of(landing, blob, length)
        passed.append(len(end))
        return end

    def refused(*given: Any) -> None:
        pytest.fail("a file was downloaded")

    monkeypatch.setattr(AzureLanding, "end_of", counted)
    monkeypatch.setattr(AzureLanding, "download", refused)
    app = scene.warm()
    few, many = (
        factories.parquet("deliveries", [{"delivery_id": uuid.uuid4().hex} for _ in range(rows)])
        for rows in (2_000, 20_000)
    )
    assert len(many) > 5 * len(few) > 5 * GUESS
    for content in (few, many):
        passed.clear()
        app.drain_blob(scene.write_many(range(len(content), len(content) + 20), content))
        assert passed == [GUESS] * 20
    assert sum(isinstance(outcome, BatchLoaded) for outcome in scene.outcomes) == 3
    assert scene.rows("SELECT COUNT(*) FROM deliveries") == [(2 + 22_000,)]


def test_a_single_file_replaced_before_its_copy_is_superseded(scene: Scene) -> None:
    scene.warm()
    app = scene.app()
    name = scene.write(2)
    replace_before_copy(scene, app, 2)
    app.drain_blob(name)
    assert [outcome.blob_name for outcome in scene.outcomes if isinstance(outcome, FileSuperseded)] == [name]
    assert sum(isinstance(outcome, BatchLoaded) for outcome in scene.outcomes) == 2


def rewritten() -> Mapping[str, str]:
    """Drive every kind, and return the transcripts."""
    with (
        azurite.running(in_memory=True) as blobs,
        tempfile.TemporaryDirectory() as folder,
        running_stand_in(blobs, Path(folder)) as server,
    ):
        return {kind: golden(kind, transcript(server, kind)) for kind in KINDS}


if __name__ == "__main__":
    for kind, text in rewritten().items():
        (FOLDER / f"{kind}.sql").write_text(text, encoding="utf-8")
