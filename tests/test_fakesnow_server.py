"""The stand-in for Snowflake does what Snowflake does, seen through the real connector."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import io
import json
import subprocess
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from azure.storage.blob import ContainerClient

from local.azurite import Azurite

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv-fakesnow" / "bin" / "python"

if not PYTHON.exists():
    pytest.skip("no .venv-fakesnow: see tests/fakesnow_server/README.md", allow_module_level=True)

import snowflake.connector
from snowflake.connector.errors import DatabaseError, IntegrityError, ProgrammingError

AT = dt.datetime(2026, 1, 2, 3, 4, 5, 123456)
MERGE = """
MERGE INTO target t
USING (SELECT * FROM stage QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY seq DESC) = 1) s
ON t.id = s.id
WHEN MATCHED AND s.seq > t.seq THEN UPDATE SET t.seq = s.seq, t.note = s.note
WHEN NOT MATCHED THEN INSERT (id, seq, note) VALUES (s.id, s.seq, s.note)
"""
FROM_JSON = """
SELECT f.value:blob::VARCHAR AS blob, f.value:sequence::NUMBER(38,0) AS sequence, f.value:late::BOOLEAN AS late,
    f.value:at::TIMESTAMP_NTZ AS at
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(%(files)s))) f
"""


@dataclass(frozen=True, slots=True)
class Server:
    """The running stand-in."""

    port: int
    transcript: Path

    def connect(self, **given: Any) -> snowflake.connector.SnowflakeConnection:
        """Open a connection as the project does."""
        usual = {
            "user": "loader",
            "password": "unchecked",
            "account": "fakesnow",
            "host": "127.0.0.1",
            "port": self.port,
            "protocol": "http",
            "autocommit": True,
        }
        return snowflake.connector.connect(**usual | given)

    def plan(self, *faults: dict[str, Any]) -> None:
        """Let faults befall the next statements."""
        body = json.dumps(faults).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/testing/faults", body, method="POST")
        urllib.request.urlopen(request).close()

    def lines(self, session: int) -> list[dict[str, Any]]:
        """Read what one session sent."""
        lines = map(json.loads, self.transcript.read_text().splitlines())
        return [line for line in lines if line["session"] == session]


@pytest.fixture(scope="module")
def server(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    transcript = tmp_path_factory.mktemp("fakesnow") / "transcript.jsonl"
    words = [PYTHON, ROOT / "tests" / "fakesnow_server" / "server.py", "--port", "0", "--transcript", transcript]
    words += ["--azurite", azurite.connection_string, "--idle-transaction", "4", "--detached-transaction", "0.1"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("ready on "), ready
        yield Server(int(ready.split()[2].rpartition(":")[2]), transcript)
        process.terminate()
        assert process.wait(5) == 0


@pytest.fixture
def database() -> str:
    return f"APP_{uuid.uuid4().hex[:8]}".upper()


@pytest.fixture
def connect(server: Server, database: str) -> Iterator[Callable[..., snowflake.connector.cursor.SnowflakeCursor]]:
    with contextlib.ExitStack() as stack:

        def open_one(**given: Any) -> snowflake.connector.cursor.SnowflakeCursor:
            connection = server.connect(**{"database": database, "schema": "CUSTOMERIO"} | given)
            stack.callback(connection.close)
            return connection.cursor()

        yield open_one


@pytest.fixture
def cursor(connect: Callable[..., Any]) -> Any:
    return connect()


def rows(cursor: Any, sql: str, *given: Any) -> list[Any]:
    return cursor.execute(sql, *given).fetchall()


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


# Sessions


def test_a_session_takes_parameters_at_login_and_later(connect: Any) -> None:
    cursor = connect(session_parameters={"QUERY_TAG": '{"stream":"a"}', "TIMEZONE": "UTC"})
    assert rows(cursor, "SHOW PARAMETERS LIKE 'QUERY_TAG'")[0][:2] == ("QUERY_TAG", '{"stream":"a"}')
    cursor.execute("ALTER SESSION SET TIMEZONE='UTC', QUERY_TAG='{\"stream\":\"b\"}'")
    assert rows(cursor, "SHOW PARAMETERS LIKE 'QUERY_TAG'")[0][1] == '{"stream":"b"}'


@pytest.mark.parametrize("kind", ["password", "key pair", "oauth", "workload identity"])
def test_whoever_says_who_he_is_gets_in(connect: Any, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    given: dict[str, Any] = {}
    if kind == "key pair":
        key = rsa.generate_private_key(65537, 2048)
        form = (serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        given = {"password": None, "private_key": key.private_bytes(*form)}
    elif kind == "oauth":
        given = {"authenticator": "oauth", "token": "anything"}
    elif kind == "workload identity":
        monkeypatch.setenv("SNOWFLAKE_WIF_ALLOWED_HOST_SUFFIXES", "127.0.0.1")
        parts = ({"alg": "none"}, {"iss": "https://issuer", "sub": "object"}, "no signature")
        token = ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
        given = {"password": None, "authenticator": "WORKLOAD_IDENTITY", "token": token}
        given["workload_identity_provider"] = "OIDC"
    assert rows(connect(**given), "SELECT CURRENT_USER()") == [("LOADER",)]


# Definitions and names


def test_definitions_may_come_again(cursor: Any, database: str) -> None:
    for _ in range(2):
        cursor.execute(f"CREATE DATABASE IF NOT EXISTS {database}")
        cursor.execute("CREATE SCHEMA IF NOT EXISTS customerio")
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS customerio.t (id VARCHAR NOT NULL, n NUMBER(38,0), b BIGINT, f FLOAT, o BOOLEAN,"
            ' "at" TIMESTAMP_NTZ(6), d DATE, x BINARY, v VARIANT)'
        )
        cursor.execute('ALTER TABLE customerio.t ADD COLUMN IF NOT EXISTS "c" TIMESTAMP_NTZ(6)')
    described = {row[0]: (row[1].partition("(")[0], row[3]) for row in rows(cursor, "DESCRIBE TABLE customerio.t")}
    assert described["ID"] == ("VARCHAR", "N")
    assert described["at"] == described["c"] == ("TIMESTAMP_NTZ", "Y")
    assert described["V"] == ("VARIANT", "Y")
    seen = rows(cursor, "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'T'")
    assert ("N", "NUMBER") in seen
    assert ("at", "TIMESTAMP_NTZ") in seen
    assert len(rows(cursor, "SHOW COLUMNS IN TABLE customerio.t")) == 10


def test_names_with_other_capitals_are_other_names(cursor: Any) -> None:
    cursor.execute('CREATE TABLE t (id VARCHAR, "low" NUMBER(38,0))')
    cursor.execute("INSERT INTO t (id, \"low\") VALUES ('a', 1)")
    for wrong in ('SELECT "id" FROM t', "SELECT low FROM t", "UPDATE t SET low = 2", 'SELECT 1 FROM "t"'):
        with pytest.raises(ProgrammingError):
            cursor.execute(wrong)
    assert rows(cursor, 'SELECT id, "low" FROM customerio.T') == [("a", 1)]


def test_a_temporary_table_belongs_to_its_session(connect: Any) -> None:
    one, other = connect(), connect()
    one.execute("CREATE TABLE t (id VARCHAR NOT NULL)")
    for cursor in (one, other):
        cursor.execute("CREATE OR REPLACE TEMPORARY TABLE customerio.s LIKE customerio.t")
    one.execute("INSERT INTO s VALUES ('a')")
    assert rows(one, "SELECT id FROM customerio.s") == [("a",)]
    assert rows(other, "SELECT id FROM customerio.s") == []
    with pytest.raises(IntegrityError):
        one.execute("INSERT INTO s VALUES (NULL)")


def test_keys_are_not_enforced(cursor: Any) -> None:
    cursor.execute("CREATE TABLE t (id VARCHAR PRIMARY KEY)")
    assert cursor.execute("INSERT INTO t VALUES ('a'), ('a')").rowcount == 2


def test_a_definition_commits_what_is_open(connect: Any) -> None:
    cursor = connect()
    cursor.execute("CREATE TABLE t (id VARCHAR)")
    cursor.execute("BEGIN")
    cursor.execute("INSERT INTO t VALUES ('a')")
    cursor.execute("CREATE TEMPORARY TABLE s (id VARCHAR)")
    cursor.execute("ROLLBACK")
    assert rows(connect(), "SELECT id FROM t") == [("a",)]


# Transactions


@pytest.fixture
def tables(cursor: Any) -> Any:
    cursor.execute("CREATE TABLE target (id VARCHAR NOT NULL, seq NUMBER(38,0), note VARCHAR)")
    cursor.execute("CREATE TABLE checkpoint (stream VARCHAR, sequence NUMBER(38,0))")
    cursor.execute("INSERT INTO checkpoint VALUES ('deliveries', 0), ('people', 0)")
    cursor.execute("CREATE TEMPORARY TABLE stage (id VARCHAR, seq NUMBER(38,0), note VARCHAR)")
    return cursor


def test_a_load_in_one_transaction(tables: Any) -> None:
    tables.execute("INSERT INTO stage VALUES ('a', 1, 'old'), ('a', 2, 'new'), ('b', 1, NULL)")
    tables.execute("BEGIN")
    assert tables.execute(MERGE).fetchall() == [(2, 0)]
    assert tables.rowcount == 2
    assert tables.execute("UPDATE checkpoint SET sequence = 1 WHERE stream = 'deliveries'").rowcount == 1
    tables.execute("INSERT INTO stage VALUES ('b', 2, 'more'), ('c', 1, 'here')")
    assert tables.execute(MERGE).rowcount == 2
    assert tables.execute("DELETE FROM target USING stage WHERE target.id = stage.id AND stage.id = 'c'").rowcount == 1
    tables.execute("COMMIT")
    assert rows(tables, "SELECT * FROM target ORDER BY id") == [("a", 2, "new"), ("b", 2, "more")]


def test_a_failed_statement_leaves_the_transaction_open(tables: Any) -> None:
    tables.execute("BEGIN")
    tables.execute("INSERT INTO target VALUES ('a', 1, NULL)")
    with pytest.raises(IntegrityError) as failed:
        tables.execute("INSERT INTO target VALUES (NULL, 1, NULL)")
    assert failed.value.errno == 100072
    with pytest.raises(ProgrammingError):
        tables.execute("SELECT * FROM not_there")
    tables.execute("INSERT INTO target VALUES ('b', 1, NULL)")
    tables.execute("COMMIT")
    assert rows(tables, "SELECT id FROM target ORDER BY id") == [("a",), ("b",)]


def test_a_merge_of_doubled_keys_fails(tables: Any) -> None:
    tables.execute("INSERT INTO target VALUES ('a', 1, NULL)")
    tables.execute("INSERT INTO stage VALUES ('a', 2, 'x'), ('a', 3, 'y')")
    with pytest.raises(DatabaseError) as failed:
        tables.execute("MERGE INTO target t USING stage s ON t.id = s.id WHEN MATCHED THEN UPDATE SET t.note = s.note")
    assert failed.value.errno == 100090


def test_the_second_writer_waits_and_sees_what_the_first_committed(tables: Any, connect: Any) -> None:
    other, seen = connect(), []
    tables.execute("BEGIN")
    tables.execute("UPDATE checkpoint SET sequence = 7 WHERE stream = 'people'")
    other.execute("BEGIN")
    seen += rows(other, "SELECT sequence FROM checkpoint WHERE stream = 'people'")
    waiting = threading.Thread(
        target=other.execute, args=["UPDATE checkpoint SET sequence = sequence + 1 WHERE stream = 'people'"]
    )
    waiting.start()
    waiting.join(0.2)
    assert waiting.is_alive()
    tables.execute("COMMIT")
    waiting.join(5)
    seen += rows(other, "SELECT sequence FROM checkpoint WHERE stream = 'people'")
    other.execute("COMMIT")
    assert seen == [(0,), (8,)]


def test_a_transaction_that_wrote_still_sees_what_others_commit(tables: Any, connect: Any) -> None:
    other = connect()
    tables.execute("BEGIN")
    tables.execute("INSERT INTO target VALUES ('a', 1, NULL)")
    other.execute("UPDATE checkpoint SET sequence = 5 WHERE stream = 'people'")
    assert rows(tables, "SELECT sequence FROM checkpoint WHERE stream = 'people'") == [(5,)]
    assert tables.execute("UPDATE checkpoint SET sequence = 6 WHERE sequence = 5").rowcount == 1
    tables.execute("COMMIT")
    assert rows(other, "SELECT count(*) FROM target") == [(1,)]


def test_who_waits_too_long_is_refused(tables: Any, connect: Any) -> None:
    other = connect(session_parameters={"LOCK_TIMEOUT": 0})
    tables.execute("BEGIN")
    tables.execute("UPDATE checkpoint SET sequence = 7")
    with pytest.raises(ProgrammingError) as failed:
        other.execute("UPDATE checkpoint SET sequence = 8")
    assert failed.value.errno == 625
    assert "has locked table" in str(failed.value)
    assert other.execute("INSERT INTO checkpoint VALUES ('broadcasts', 0)").rowcount == 1
    tables.execute("ROLLBACK")


def test_a_statement_that_waits_can_be_cancelled(tables: Any, connect: Any) -> None:
    tables.execute("BEGIN")
    tables.execute("UPDATE checkpoint SET sequence = 7")
    with pytest.raises(ProgrammingError) as failed:
        connect().execute("UPDATE checkpoint SET sequence = 8", timeout=1)
    assert failed.value.errno == 604
    tables.execute("COMMIT")


def test_two_who_wait_for_each_other_do_not_wait_for_ever(tables: Any, connect: Any) -> None:
    other = connect()
    tables.execute("INSERT INTO target VALUES ('a', 1, NULL)")
    for cursor, sql in ((tables, "UPDATE checkpoint SET sequence = 1"), (other, "UPDATE target SET seq = 2")):
        cursor.execute("BEGIN")
        cursor.execute(sql)
    waiting = threading.Thread(target=other.execute, args=["UPDATE checkpoint SET sequence = 2"])
    waiting.start()
    waiting.join(0.1)
    with pytest.raises(ProgrammingError, match="deadlock"):
        tables.execute("UPDATE target SET seq = 3")
    tables.execute("COMMIT")
    waiting.join(5)
    other.execute("COMMIT")
    assert rows(tables, "SELECT min(sequence), max(seq) FROM checkpoint, target") == [(2, 2)]


def test_a_killed_client_lets_go(tables: Any, server: Server, database: str) -> None:
    program = f"""
import sys, snowflake.connector
connection = snowflake.connector.connect(user="u", password="p", account="fakesnow", host="127.0.0.1",
    port={server.port}, protocol="http", database="{database}", schema="CUSTOMERIO")
cursor = connection.cursor()
cursor.execute("BEGIN")
cursor.execute("UPDATE checkpoint SET sequence = 99")
print("written", flush=True)
sys.stdin.read()
"""
    words = [sys.executable, "-c", program]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "written\n"
        client.kill()
    assert tables.execute("UPDATE checkpoint SET sequence = sequence + 1").rowcount == 2
    assert rows(tables, "SELECT max(sequence) FROM checkpoint") == [(1,)]


def test_a_silent_transaction_that_blocks_is_aborted(tables: Any, connect: Any) -> None:
    silent = connect()
    silent.execute("BEGIN")
    silent.execute("UPDATE checkpoint SET sequence = 99")
    assert tables.execute("UPDATE checkpoint SET sequence = 1").rowcount == 2
    with pytest.raises(DatabaseError, match="aborted"):
        silent.execute("COMMIT")
    silent.execute("ROLLBACK")
    assert rows(silent, "SELECT max(sequence) FROM checkpoint") == [(1,)]


def test_many_writers_lose_nothing(tables: Any, connect: Any) -> None:
    def work(cursor: Any) -> None:
        for _ in range(4):
            cursor.execute("BEGIN")
            cursor.execute("INSERT INTO target VALUES ('a', 1, NULL)")
            cursor.execute("UPDATE checkpoint SET sequence = sequence + 1 WHERE stream = 'people'")
            cursor.execute("COMMIT")

    threads = [threading.Thread(target=work, args=[connect()]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(tables, "SELECT sequence FROM checkpoint WHERE stream = 'people'") == [(16,)]
    assert rows(tables, "SELECT count(*) FROM target") == [(16,)]


def test_without_autocommit_a_change_opens_a_transaction(tables: Any, connect: Any) -> None:
    cursor = connect(autocommit=False)
    cursor.execute("INSERT INTO target VALUES ('a', 1, NULL)")
    assert rows(tables, "SELECT id FROM target") == []
    cursor.connection.rollback()
    cursor.execute("INSERT INTO target VALUES ('b', 1, NULL)")
    cursor.connection.commit()
    assert rows(tables, "SELECT id FROM target") == [("b",)]


# Bound values


def test_a_list_of_files_travels_as_json(cursor: Any) -> None:
    files = [
        {"blob": 'it\'s \\ "b" ü', "sequence": 2**63 - 1, "late": True, "at": AT.isoformat()},
        {"blob": "b", "sequence": 9007199254740993, "late": None},
    ]
    expected = [(files[0]["blob"], 2**63 - 1, True, AT), ("b", 9007199254740993, None, None)]
    assert rows(cursor, FROM_JSON, {"files": json.dumps(files)}) == expected


@pytest.mark.parametrize("paramstyle", ["pyformat", "qmark"])
def test_five_thousand_files_at_once(connect: Any, paramstyle: str) -> None:
    cursor = connect(paramstyle=paramstyle)
    files = json.dumps([{"blob": f"deliveries_v4_{n}.parquet", "sequence": n} for n in range(5000)])
    sql = FROM_JSON if paramstyle == "pyformat" else FROM_JSON.replace("%(files)s", "?")
    given: Any = {"files": files} if paramstyle == "pyformat" else (files,)
    cursor.execute("CREATE TABLE c (blob VARCHAR, sequence NUMBER(38,0), late BOOLEAN, at TIMESTAMP_NTZ)")
    assert cursor.execute(f"INSERT INTO c {sql}", given).rowcount == 5000
    again = f"INSERT INTO c SELECT s.* FROM ({sql}) s WHERE NOT EXISTS (SELECT 1 FROM c WHERE c.blob = s.blob)"
    assert cursor.execute(again, given).rowcount == 0
    assert cursor.execute(f"UPDATE c SET late = TRUE FROM ({sql}) s WHERE c.blob = s.blob", given).rowcount == 5000


def test_values_keep_their_types(connect: Any) -> None:
    cursor = connect(paramstyle="qmark")
    given = (2**63 - 1, "it's \\ \n", AT, None, True, 1.5, b"\x00\xff", AT.date())
    assert rows(cursor, "SELECT ?, ?, ?, ?, ?, ?, ?, ?", given) == [given]
    cursor.execute("CREATE TABLE t (id VARCHAR, n NUMBER(38,0))")
    cursor.executemany("INSERT INTO t VALUES (?, ?)", [("a", 1), ("b", 2), ("c", 3)])
    assert cursor.rowcount == 3


def test_bound_values_may_be_cast_and_looked_up(connect: Any) -> None:
    cursor = connect(paramstyle="qmark")
    cursor.execute("CREATE TABLE t (id VARCHAR, n NUMBER(19, 0), at TIMESTAMP_NTZ(6))")
    for n in range(3):
        given = (f"it's {n}", n, AT + dt.timedelta(days=n))
        cursor.execute("INSERT INTO t SELECT ?::VARCHAR, ?::NUMBER(19, 0), ?::TIMESTAMP_NTZ", given)
    found = "SELECT n FROM t WHERE ARRAY_CONTAINS(id::VARIANT, PARSE_JSON(?)::ARRAY) AND n >= ? ORDER BY n LIMIT ?"
    assert rows(cursor, found, (json.dumps(["it's 0", "it's 2", "x"]), 0, 5)) == [(0,), (2,)]
    assert rows(cursor, found, (json.dumps(["it's 1", "it's 2"]), 2, 5)) == [(2,)]
    assert rows(cursor, "SELECT n FROM t WHERE at = ?", (AT + dt.timedelta(days=1),)) == [(1,)]


def test_functions(cursor: Any) -> None:
    sql = """
    SELECT PARSE_JSON('{"a":9007199254740993}'):a::NUMBER(38,0), MD5_NUMBER_LOWER64('x'),
        BITXOR_AGG(MD5_NUMBER_LOWER64('x')), COUNT_IF(TRUE), GREATEST_IGNORE_NULLS(1, NULL), GREATEST(1, 2),
        IFF(TRUE, 1, 2), DATEADD('second', -5, '2026-01-01 00:00:05'::TIMESTAMP_NTZ),
        CURRENT_ROLE(), CURRENT_WAREHOUSE(), SYSDATE() BETWEEN DATEADD('minute', -1, SYSDATE()) AND SYSDATE()
    """
    low = 17710500428000290726
    expected = (9007199254740993, low, low, 1, 1, 2, 1, dt.datetime(2026, 1, 1), "SYSADMIN", None, True)
    assert rows(cursor, sql) == [expected]


# Stages and loads

STAGE = "id VARCHAR NOT NULL, seq NUMBER(38,0), at TIMESTAMP_NTZ(6), note VARCHAR, _file VARCHAR, _row NUMBER(38,0)"
OPTIONS = """
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE
INCLUDE_METADATA = (_file = METADATA$FILENAME, _row = METADATA$FILE_ROW_NUMBER)
"""
GOOD = {"ID": ["a", "b"], "seq": [1, 2**62], "at": pa.array([AT, None], pa.timestamp("us", "UTC")), "more": [1, 2]}


@pytest.fixture
def landing(cursor: Any, azurite: Azurite, container: str) -> ContainerClient:
    """Give the container behind the stage `landing`, and a table to load into."""
    cursor.execute(
        "CREATE STORAGE INTEGRATION IF NOT EXISTS azure TYPE = EXTERNAL_STAGE STORAGE_PROVIDER = 'AZURE' ENABLED = TRUE"
        " AZURE_TENANT_ID = 'tenant' STORAGE_ALLOWED_LOCATIONS = ('azure://exports.blob.core.windows.net/x/')"
    )
    cursor.execute(
        f"CREATE STAGE landing URL = 'azure://exports.blob.core.windows.net/{container}/cio/'"
        " STORAGE_INTEGRATION = azure FILE_FORMAT = (TYPE = PARQUET)"
    )
    cursor.execute(f"CREATE TEMPORARY TABLE s ({STAGE})")
    return ContainerClient.from_connection_string(azurite.connection_string, container)


def test_a_load_from_azure_skips_bad_files(cursor: Any, landing: ContainerClient) -> None:
    contents = {
        "good": parquet(**GOOD),
        "null": parquet(id=["a", None]),
        "text": parquet(id=["a", "b"], seq=["1", "x"]),
        "cut": parquet(**GOOD)[:-20],
        "none": b"no parquet at all",
    }
    for name, content in contents.items():
        landing.upload_blob(f"cio/2026/{name}.parquet", content)
    names = ", ".join(f"'{name}.parquet'" for name in [*contents, "missing"])
    sql = f"COPY INTO customerio.s FROM @customerio.landing/2026/ FILES = ({names}) {OPTIONS} FORCE = TRUE ON_ERROR = "
    results = {row[0].rpartition("/")[2].partition(".")[0]: row[1:] for row in rows(cursor, sql + "SKIP_FILE")}
    assert results["good"] == ("LOADED", 2, 2, 1, 0, None, None, None, None)
    assert {name for name, row in results.items() if row[0] == "LOAD_FAILED"} == set(results) - {"good"}
    assert results["null"][5:] == ("NULL result in a non-nullable column", 2, 0, '"S"["ID":1]')
    assert results["text"][5:] == ('Failed to cast variant value "x" to FIXED', 2, 0, '"S"["SEQ":2]')
    assert "not found" in results["missing"][5]
    path = "cio/2026/good.parquet"
    assert rows(cursor, "SELECT * FROM s ORDER BY _row") == [
        ("a", 1, AT, None, path, 1),
        ("b", 2**62, None, None, path, 2),
    ]
    with pytest.raises(IntegrityError, match=r"null\.parquet', line 2"):
        cursor.execute(sql.replace("'text.parquet', ", "") + "ABORT_STATEMENT")
    with pytest.raises(ProgrammingError) as failed:
        cursor.execute(
            f"COPY INTO s FROM @landing/2026/ FILES = ('missing.parquet') {OPTIONS} ON_ERROR = ABORT_STATEMENT"
        )
    assert failed.value.errno == 91016
    assert rows(cursor, "SELECT count(*) FROM s") == [(2,)]


def test_a_load_by_pattern_knows_what_it_loaded(cursor: Any, landing: ContainerClient) -> None:
    for name in ("deliveries_1", "deliveries_2", "people_1"):
        landing.upload_blob(f"cio/{name}.parquet", parquet(id=[name]))
    sql = f"COPY INTO s FROM @landing PATTERN = '.*deliveries.*[.]parquet' {OPTIONS}"
    assert [row[1] for row in rows(cursor, sql)] == ["LOADED", "LOADED"]
    assert [row[1] for row in rows(cursor, sql)] == ["LOAD_SKIPPED", "LOAD_SKIPPED"]
    assert [row[1] for row in rows(cursor, f"{sql} FORCE = TRUE")] == ["LOADED", "LOADED"]
    assert rows(cursor, "SELECT count(*) FROM s") == [(4,)]
    assert len(rows(cursor, "LIST @landing")) == 3
    assert rows(cursor, "LIST @landing/people")[0][0].startswith("azure://exports.blob.core.windows.net/")
    assert rows(cursor, f"{sql.replace('deliveries', 'nothing')}") == [("Copy executed with 0 files processed.",)]


def test_a_load_knows_when_its_files_were_changed(cursor: Any, landing: ContainerClient) -> None:
    landing.upload_blob("cio/a.parquet", parquet(id=["a"]))
    cursor.execute("CREATE TEMPORARY TABLE m (id VARCHAR, changed TIMESTAMP_NTZ)")
    options = "FILE_FORMAT = (TYPE = PARQUET) MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE"
    metadata = "INCLUDE_METADATA = (changed = METADATA$FILE_LAST_MODIFIED)"
    cursor.execute(f"COPY INTO m FROM @landing/ FILES = ('a.parquet') {options} {metadata}")
    changed = landing.get_blob_client("cio/a.parquet").get_blob_properties().last_modified
    assert rows(cursor, "SELECT changed FROM m") == [(changed.replace(tzinfo=None),)]
    with pytest.raises(ProgrammingError, match="NO_SUCH"):
        cursor.execute(f"COPY INTO m FROM @landing/ {options} INCLUDE_METADATA = (NO_SUCH = METADATA$FILENAME)")


def test_a_load_rolls_back_with_its_transaction(cursor: Any, landing: ContainerClient) -> None:
    landing.upload_blob("cio/a.parquet", parquet(id=["a"]))
    cursor.execute("BEGIN")
    cursor.execute(f"COPY INTO s FROM @landing FILES = ('a.parquet') {OPTIONS} FORCE = TRUE")
    assert rows(cursor, "SELECT id FROM s") == [("a",)]
    cursor.execute("ROLLBACK")
    assert rows(cursor, "SELECT id FROM s") == []


@pytest.mark.parametrize(
    "kind",
    [
        pa.timestamp("ms"),
        pa.timestamp("us"),
        pa.timestamp("ns"),
        pa.timestamp("us", "UTC"),
        pa.timestamp("ns", "UTC"),
        "int96",
    ],
    ids=str,
)
def test_instants_of_all_kinds(cursor: Any, landing: ContainerClient, kind: Any) -> None:
    at = AT.replace(microsecond=123000)
    buffer = io.BytesIO()
    table = pa.table({"id": ["a"], "at": pa.array([at], pa.timestamp("ns") if kind == "int96" else kind)})
    pq.write_table(table, buffer, use_deprecated_int96_timestamps=kind == "int96")
    landing.upload_blob("cio/a.parquet", buffer.getvalue())
    cursor.execute(f"COPY INTO s FROM @landing FILES = ('a.parquet') {OPTIONS}")
    assert rows(cursor, "SELECT at FROM s") == [(at,)]


@pytest.mark.parametrize("stage", ["landing_put", "%s", "~"])
def test_files_put_on_an_internal_stage(cursor: Any, tmp_path: Path, stage: str) -> None:
    cursor.execute(f"CREATE TABLE s ({STAGE})")
    cursor.execute("CREATE STAGE landing_put")
    for name in ("x1", "x2", "y"):
        (tmp_path / f"{name}.parquet").write_bytes(parquet(id=[name]))
    place = f"@{stage}/{uuid.uuid4().hex}"
    put = f"{place} AUTO_COMPRESS=FALSE OVERWRITE=TRUE PARALLEL=4"
    assert [row[6] for row in rows(cursor, f"PUT file://{tmp_path}/x*.parquet {put}")] == ["UPLOADED", "UPLOADED"]
    assert [row[6] for row in rows(cursor, f"PUT file://{tmp_path}/y.parquet {put}")] == ["UPLOADED"]
    load = f"COPY INTO s FROM {place} FILES = ('x1.parquet', 'y.parquet') {OPTIONS} FORCE = TRUE PURGE = "
    assert [row[1] for row in rows(cursor, load + "FALSE")] == ["LOADED", "LOADED"]
    assert len(rows(cursor, f"LIST {place}")) == 3
    assert [row[1] for row in rows(cursor, load + "TRUE")] == ["LOADED", "LOADED"]
    assert [row[0].rpartition("/")[2] for row in rows(cursor, f"LIST {place}")] == ["x2.parquet"]
    cursor.execute(f"REMOVE {place}")
    assert rows(cursor, f"LIST {place}") == []
    assert rows(cursor, "SELECT count(*) FROM s") == [(4,)]


def test_what_an_operator_asks(cursor: Any, landing: ContainerClient) -> None:
    described = {row[0]: row[2] for row in rows(cursor, "DESC INTEGRATION azure")}
    assert "tenant" in described["AZURE_CONSENT_URL"]
    assert described["AZURE_MULTI_TENANT_APP_NAME"]
    assert ("AZURE",) == tuple(row[0] for row in rows(cursor, "SHOW INTEGRATIONS LIKE 'AZURE'"))
    assert [row[1] for row in rows(cursor, "SHOW STAGES") if row[1] == "LANDING"]
    assert "STORAGE_INTEGRATION" in {row[1] for row in rows(cursor, "DESC STAGE landing")}
    assert rows(cursor, "SHOW GRANTS TO ROLE sysadmin")


@pytest.mark.parametrize(
    "sql",
    [
        "copy intoo s FROM @landing",
        "COPY INTO s FROM @landing FILE_FORMAT = (TYPE = PARQUET) NO_SUCH_OPTION = TRUE",
        "COPY INTO s FROM @landing FILE_FORMAT = (TYPE = PARQUET)",
        "COPY INTO s FROM @no_such_stage MATCH_BY_COLUMN_NAME = CASE_INSENSITIVE FILE_FORMAT = (TYPE = PARQUET)",
        "SELECT 1; SELECT 2",
        "SELEC 1",
    ],
)
def test_wrong_statements_are_refused(cursor: Any, landing: ContainerClient, sql: str) -> None:
    with pytest.raises(ProgrammingError):
        cursor.execute(sql)


# What tests ask of it


def test_each_statement_is_written_down(connect: Any, server: Server) -> None:
    cursor = connect(session_parameters={"QUERY_TAG": "usual"})
    cursor.execute("CREATE TABLE t (id VARCHAR)")
    cursor.execute("INSERT INTO t VALUES ('a'), ('b')", _statement_params={"QUERY_TAG": "own"})
    with pytest.raises(ProgrammingError):
        cursor.execute("SELECT * FROM not_there")
    lines = server.lines(cursor.connection.session_id)
    assert [(line["query_tag"], line["rows"]) for line in lines] == [("usual", 1), ("own", 2), ("usual", None)]
    assert [line["sequence"] for line in lines] == [1, 2, 3]
    assert lines[1]["sql"] == "INSERT INTO t VALUES ('a'), ('b')"
    assert "002003" in lines[2]["error"]
    assert all(line["bytes"] > 0 and line["seconds"] > 0 for line in lines)


def test_faults_befall_statements(cursor: Any, server: Server) -> None:
    cursor.execute("CREATE TABLE t (id VARCHAR)")
    error = {"match": "INSERT INTO t", "do": "error", "errno": 390114, "sqlstate": "08001", "message": "gone"}
    for fault in (error, error | {"after": True}):
        server.plan(fault)
        with pytest.raises(DatabaseError, match="gone") as failed:
            cursor.execute("INSERT INTO t VALUES ('a')")
        assert failed.value.errno == 390114
    assert rows(cursor, "SELECT count(*) FROM t") == [(1,)]
    server.plan({"match": "INSERT INTO t", "do": "delay", "seconds": 0.05})
    cursor.execute("INSERT INTO t VALUES ('a')")
    assert rows(cursor, "SELECT count(*) FROM t") == [(2,)]


def test_a_request_that_the_connector_repeats_is_run_once(cursor: Any, server: Server) -> None:
    cursor.execute("CREATE TABLE t (id VARCHAR)")
    server.plan({"match": "INSERT INTO t", "do": "drop", "after": True})
    cursor.execute("INSERT INTO t VALUES ('a')")
    server.plan({"match": "INSERT INTO t", "do": "http", "status": 503})
    cursor.execute("INSERT INTO t VALUES ('b')")
    assert rows(cursor, "SELECT id FROM t ORDER BY id") == [("a",), ("b",)]
