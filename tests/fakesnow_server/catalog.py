"""What Snowflake tells about itself: integrations, grants, parameters, columns of tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fakesnow_server import answers, options
from fakesnow_server.answers import Answer
from fakesnow_server.errors import no_such, syntax
from fakesnow_server.locks import TableName
from fakesnow_server.physical import physical
from fakesnow_server.stages import full_name

if TYPE_CHECKING:
    from fakesnow_server.sessions import Session

DEFAULTS = {
    "AUTOCOMMIT": "true",
    "LOCK_TIMEOUT": "43200",
    "QUERY_TAG": "",
    "STATEMENT_TIMEOUT_IN_SECONDS": "172800",
    "TIMEZONE": "UTC",
    "TRANSACTION_ABORT_ON_ERROR": "false",
}
CREATED = "2026-01-01 00:00:00.000 +0000"


def alter_session(session: Session, sql: str) -> Answer:
    """Set or unset parameters of the session; all instants stay UTC."""
    found = re.fullmatch(r"ALTER\s+SESSION\s+(SET|UNSET)\s+(.*)", sql, re.IGNORECASE | re.DOTALL)
    if not found:
        raise syntax("ALTER SESSION takes SET or UNSET")
    if found[1].upper() == "SET":
        session.set_parameters(options.read(found[2]))
    else:
        for name in re.findall(r"\w+", found[2]):
            session.parameters.pop(name.upper(), None)
    return answers.done()


def use(session: Session, sql: str) -> Answer:
    """Switch the role or the warehouse."""
    *kind, name = sql.split()
    plain = name[1:-1] if name.startswith('"') else name.upper()
    if kind[-1].upper() == "ROLE":
        session.role = plain
    elif kind[-1].upper() == "WAREHOUSE":
        session.warehouse_name = plain
    return answers.done()


def show_parameters(session: Session, sql: str) -> Answer:
    """Tell the parameters in force."""
    values = DEFAULTS | {name: str(value) for name, value in session.parameters.items()}
    rows = [
        [name, value, DEFAULTS.get(name, ""), "SESSION" if name in session.parameters else "", "", "STRING"]
        for name, value in sorted(values.items())
        if fits(sql, name)
    ]
    return answers.of_texts(["key", "value", "default", "level", "description", "type"], rows, answers.SHOW)


def show_warehouses(session: Session, sql: str) -> Answer:
    """Tell that the warehouse asked for is there."""
    found = re.search(r"LIKE\s+'([^']*)'", sql, re.IGNORECASE)
    name = found[1].upper() if found else session.warehouse_name or "FAKESNOW_WH"
    row = [name, "STARTED", "STANDARD", "X-Small", 1, 1, 1, 0, 0, "N", "Y", 60, "true", CREATED]
    columns = ["name", "state", "type", "size", "min_cluster_count", "max_cluster_count", "started_clusters"]
    columns += ["running", "queued", "is_default", "is_current", "auto_suspend", "auto_resume", "created_on"]
    return answers.of_texts(columns, [row], answers.SHOW)


def show_transactions(session: Session, sql: str) -> Answer:
    """Tell the session's open transaction."""
    rows = [[session.transaction.id, session.user, str(session.id), "running"]] if session.transaction else []
    return answers.of_texts(["id", "user", "session", "state"], rows, answers.SHOW)


def fits(sql: str, name: str) -> bool:
    """Say whether a name fits the LIKE of a SHOW statement."""
    found = re.search(r"\bLIKE\s+'([^']*)'", sql, re.IGNORECASE)
    if not found:
        return True
    pattern = re.escape(found[1].replace("\\_", "_")).replace("%", ".*").replace("_", ".")
    return re.fullmatch(pattern, name, re.IGNORECASE) is not None


def described_columns(session: Session, table: TableName) -> list[tuple[str, str, bool, str | None]]:
    """Give name, Snowflake type, nullability and default of a table's columns; raises 002003."""
    sql = f"DESCRIBE {physical(session, table)}"
    try:
        rows = session.read([table], lambda: session.duck.execute(sql).fetchall())
    except Exception as error:
        raise no_such("Table", ".".join(table)) from error
    return [(name, snowflake_type(kind), null == "YES", default) for name, kind, null, _, default, *_ in rows]


def snowflake_type(kind: str) -> str:
    """Give the Snowflake type that a DuckDB type stands for."""
    known = {
        "BIGINT": "NUMBER(38,0)",
        "HUGEINT": "NUMBER(38,0)",
        "INTEGER": "NUMBER(38,0)",
        "VARCHAR": "VARCHAR(16777216)",
        "DOUBLE": "FLOAT",
        "BLOB": "BINARY(8388608)",
        "TIMESTAMP": "TIMESTAMP_NTZ(9)",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMP_TZ(9)",
        "JSON": "VARIANT",
        "TIME": "TIME(9)",
    }
    return known.get(kind, kind.replace("DECIMAL", "NUMBER"))


def describe_table(session: Session, sql: str) -> Answer:
    """Tell a table's columns."""
    found = re.fullmatch(r'DESC(?:RIBE)?\s+TABLE\s+([\w$".]+)(\s+TYPE\s*=\s*\w+)?', sql, re.IGNORECASE)
    if not found:
        raise syntax("no name of a table")
    table = full_name(found[1], session.connection.database, session.connection.schema)
    rows = [
        [name, kind, "COLUMN", "Y" if nullable else "N", default, "N", "N", None, None, None, None]
        for name, kind, nullable, default in described_columns(session, table)
    ]
    columns = ["name", "type", "kind", "null?", "default", "primary key", "unique key", "check", "expression"]
    return answers.of_texts([*columns, "comment", "policy name"], rows, answers.DESCRIBE)


def show_columns(session: Session, sql: str) -> Answer:
    """Tell the columns of a table, their types as JSON."""
    found = re.search(r'\bIN\s+(?:TABLE\s+)?([\w$".]+)\s*$', sql, re.IGNORECASE)
    if not found:
        raise NotImplementedError("SHOW COLUMNS other than IN TABLE")
    table = full_name(found[1], session.connection.database, session.connection.schema)
    rows = [
        [table[2], table[1], name, json_type(kind, nullable), "true" if nullable else "NOT_NULL", default, "COLUMN"]
        + ["", "", table[0], ""]
        for name, kind, nullable, default in described_columns(session, table)
        if fits(sql, name)
    ]
    columns = ["table_name", "schema_name", "column_name", "data_type", "null?", "default", "kind", "expression"]
    return answers.of_texts([*columns, "comment", "database_name", "autoincrement"], rows, answers.SHOW)


def json_type(kind: str, nullable: bool) -> str:
    """Write a type as SHOW COLUMNS does."""
    null = "true" if nullable else "false"
    base, _, arguments = kind.rstrip(")").partition("(")
    name = {"NUMBER": "FIXED", "VARCHAR": "TEXT", "FLOAT": "REAL"}.get(base, base)
    match name:
        case "FIXED":
            precision, _, scale = arguments.partition(",")
            return f'{{"type":"FIXED","precision":{precision or 38},"scale":{scale or 0},"nullable":{null}}}'
        case "TEXT":
            return f'{{"type":"TEXT","length":16777216,"byteLength":16777216,"nullable":{null},"fixed":false}}'
        case "TIMESTAMP_NTZ" | "TIMESTAMP_TZ" | "TIME":
            return f'{{"type":"{name}","precision":0,"scale":9,"nullable":{null}}}'
    return f'{{"type":"{name}","nullable":{null}}}'
