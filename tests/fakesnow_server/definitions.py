"""What surrounds definitions: IF NOT EXISTS, LIKE, and which database and schema become the current ones."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlglot import Expr, exp

from fakesnow_server import answers
from fakesnow_server.answers import Answer
from fakesnow_server.catalog import described_columns
from fakesnow_server.errors import syntax
from fakesnow_server.locks import TableName
from fakesnow_server.physical import identifier
from fakesnow_server.translation import is_temporary, parsed, table_name

if TYPE_CHECKING:
    from fakesnow_server.sessions import Session


def already_so(session: Session, expression: Expr) -> Answer | None:
    """Answer at once when IF NOT EXISTS finds what it asks for."""
    if isinstance(expression, exp.Create) and expression.args.get("exists"):
        return already_created(session, expression)
    if isinstance(expression, exp.Alter) and isinstance(expression.this, exp.Table):
        wanted = expression.args.get("actions") or []
        if wanted and all(isinstance(one, exp.ColumnDef) and one.args.get("exists") for one in wanted):
            table = table_name(session, expression.this)
            there = {name.upper() for name, *_ in described_columns(session, table)}
            if {one.name.upper() for one in wanted} <= there:
                return answers.done(type_id=answers.DDL)
    return None


def already_created(session: Session, create: exp.Create) -> Answer | None:
    """Answer a CREATE ... IF NOT EXISTS of a database, schema or table that is there."""
    this = create.this.this if isinstance(create.this, exp.Schema) else create.this
    kind = str(create.args.get("kind")).upper()
    name = table_name(session, this)
    match kind:
        case "TABLE" if is_temporary(create):
            there = name in session.temporary
        case "TABLE":
            there = name in session.temporary or known(session, "duckdb_tables()", table=name)
        case "SCHEMA":
            name = (this.catalog or session.connection.database or "", this.db, "")
            there = known(session, "duckdb_schemas()", table=name)
            if there:
                session.read([], lambda: use_schema(session, name[0].upper(), this.args["db"]))
        case "DATABASE":
            there = known(session, "duckdb_databases()", table=(this.name, "", ""))
        case _:
            return None
    shown = (name[1] if kind == "SCHEMA" else name[2]).upper()
    return answers.done(f"{shown} already exists, statement succeeded.", answers.DDL) if there else None


def known(session: Session, source: str, table: TableName) -> bool:
    """Look up a name in DuckDB's catalogue, which does not tell `a` from `A`."""
    columns = [column for column, value in zip(("database", "schema", "table"), table, strict=True) if value]
    where = " AND ".join(f"upper({column}_name) = upper(?)" for column in columns)
    sql = f"SELECT count(*) FROM {source} WHERE {where}"
    row = session.read([], lambda: session.duck.execute(sql, [value for value in table if value]).fetchone())
    return bool(row[0])


def use_schema(session: Session, database: str, schema: exp.Identifier) -> None:
    """Make a schema the current one, as CREATE SCHEMA does."""
    name = schema.name if schema.quoted else schema.name.upper()
    session.duck.execute(f"SET schema = '{database}.{name}'")
    connection = session.connection
    connection.database, connection.database_set, connection._schema, connection.schema_set = database, True, name, True


def use_new_database(session: Session, database: str) -> None:
    """Make a new database the current one, with its schema PUBLIC."""
    session.duck.execute(f"CREATE SCHEMA IF NOT EXISTS {identifier(database)}.PUBLIC")
    use_schema(session, database, exp.to_identifier("PUBLIC", quoted=True))


def drop_database(session: Session, sql: str) -> Answer:
    """Drop a database."""
    found = re.fullmatch(
        r'DROP\s+DATABASE\s+(IF\s+EXISTS\s+)?("[^"]+"|[\w$]+)(\s+(CASCADE|RESTRICT))?', sql, re.IGNORECASE
    )
    if not found:
        raise syntax("DROP DATABASE")
    name = found[2][1:-1] if found[2].startswith('"') else found[2].upper()
    connection = session.connection
    if connection.database == name:
        session.duck.execute("USE _fs_global")
        connection.database, connection.database_set, connection._schema, connection.schema_set = (
            None,
            False,
            None,
            False,
        )
    exists = "IF EXISTS " if found[1] else ""
    session.define(None, lambda: session.duck.execute(f"DETACH DATABASE {exists}{identifier(name)}"))
    return answers.done(f"{name} successfully dropped.", answers.DDL)


def defined_type(kind: str) -> str:
    """Give a type as a definition takes it."""
    return "BINARY" if kind.startswith("BINARY") else kind


def create_like(session: Session, create: exp.Create, like: Expr) -> exp.Create:
    """Write CREATE TABLE ... LIKE out with the columns of the other table."""
    source = table_name(session, like.this)
    columns = ", ".join(
        f"{identifier(name)} {defined_type(kind)}{'' if nullable else ' NOT NULL'}"
        + (f" DEFAULT {default}" if default else "")
        for name, kind, nullable, default in described_columns(session, source)
    )
    temporary = "TEMPORARY " if is_temporary(create) else ""
    replace = "OR REPLACE " if create.args.get("replace") else ""
    exists = "IF NOT EXISTS " if create.args.get("exists") else ""
    name = create.this.sql(dialect="snowflake")
    return parsed(f"CREATE {replace}{temporary}TABLE {exists}{name} ({columns})")
