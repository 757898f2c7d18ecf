"""The names DuckDB knows tables by: temporary ones have a schema of their own there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fakesnow_server.locks import TableName
    from fakesnow_server.sessions import Session

TEMPORARY = ("temp", "main")


def physical(session: Session, table: TableName) -> str:
    """Give the name DuckDB knows a table by."""
    upper = (table[0].upper(), table[1].upper(), table[2].upper())
    catalog, schema = TEMPORARY if upper in session.temporary else table[:2]
    return f"{identifier(catalog)}.{identifier(schema)}.{identifier(table[2])}"


def identifier(name: str) -> str:
    """Quote a name."""
    return '"' + name.replace('"', '""') + '"'
