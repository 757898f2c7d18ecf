"""Refuse names that differ from the real ones in case only: DuckDB takes them, Snowflake does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import duckdb
from sqlglot import Expr, exp

from fakesnow_server.errors import SnowflakeError
from fakesnow_server.physical import physical

if TYPE_CHECKING:
    from fakesnow_server.sessions import Session

CHECKED = (exp.Select, exp.Union, exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.TruncateTable)


def check_case(session: Session, expression: Expr) -> None:
    """Raise for a table or column that exists with other capitals only."""
    if not isinstance(expression, CHECKED):
        return
    tables = [table for table in expression.find_all(exp.Table) if isinstance(table.this, exp.Identifier)]
    if not tables or any("INFORMATION_SCHEMA" in table.db.upper() for table in tables):
        return
    inside = {alias.name for alias in expression.find_all(exp.TableAlias)}
    tables = [table for table in tables if table.db or table.name not in inside]
    known = set()
    for table in tables:
        check_table(session, table)
        known |= columns(session, table)
    check_columns(expression, known)


def check_table(session: Session, table: exp.Table) -> None:
    """Raise for a table whose name is written with other capitals than it was created with."""
    database = table.catalog or session.connection.database or ""
    schema = table.db or session.connection.schema or ""
    spelled = session.spelling((database.upper(), schema.upper(), table.name.upper()))
    if spelled not in {None, f"{schema}.{table.name}"}:
        text = f"Object '{database}.{schema}.{table.name}' does not exist or not authorized. (There is {spelled}.)"
        raise SnowflakeError(2003, "42S02", f"SQL compilation error:\n{text}")


def columns(session: Session, table: exp.Table) -> set[str]:
    """Give the columns of a table as they were created; none for one that is not there."""
    from fakesnow_server.translation import table_name

    name = table_name(session, table)
    sql = f"DESCRIBE {physical(session, name)}"
    if name in session.temporary:
        return {row[0] for row in session.duck.execute(sql).fetchall()}
    try:
        with session.duck.cursor() as cursor:
            return {row[0] for row in cursor.execute(sql).fetchall()}
    except duckdb.Error:
        return set()


def check_columns(expression: Expr, known: set[str]) -> None:
    """Raise for a column that is written with other capitals than it was created with."""
    known |= {alias.alias for alias in expression.find_all(exp.Alias)}
    for alias in expression.find_all(exp.TableAlias):
        known |= {column.name for column in alias.columns}
    capitals = {name.upper(): name for name in known}
    named = [column.name for column in expression.find_all(exp.Column) if isinstance(column.this, exp.Identifier)]
    named += [column.name for schema in expression.find_all(exp.Schema) for column in schema.expressions]
    for name in named:
        if name and name not in known and name.upper() in capitals:
            text = f"error line 1\ninvalid identifier '{name}' (there is '{capitals[name.upper()]}')"
            raise SnowflakeError(904, "42000", f"SQL compilation error: {text}")
