"""Columns as Snowflake knows them: names, types, and the SQL for both."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.datasets import Column, Kind

LONGEST_NAME = 255
"""Characters of an identifier. Source: Snowflake's page "Identifier requirements"."""

TYPES: Mapping[Kind, str] = {
    Kind.STRING: "VARCHAR",
    # 19 digits hold every 64-bit integer, and nothing much beyond.
    Kind.INTEGER: "NUMBER(19, 0)",
    Kind.BOOLEAN: "BOOLEAN",
    Kind.TIMESTAMP: "TIMESTAMP_NTZ(6)",
    Kind.STRINGS: "ARRAY",
    Kind.NUMBER: "FLOAT",
}
_KINDS = {
    "NUMBER": Kind.INTEGER,
    "BOOLEAN": Kind.BOOLEAN,
    "TIMESTAMP_NTZ": Kind.TIMESTAMP,
    "ARRAY": Kind.STRINGS,
    "VARIANT": Kind.STRINGS,
    "FLOAT": Kind.NUMBER,
}
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_PLAIN_STORED = re.compile(r"[A-Z_][A-Z0-9_$]*")


def quoted(name: str) -> str:
    """Return a column's identifier. Plain names become what Snowflake makes of them without quotes: capitals."""
    return exactly(name.upper() if _PLAIN.fullmatch(name) else name)


def exactly(name: str) -> str:
    """Return an identifier that is spelt as given."""
    return '"' + name.replace('"', '""') + '"'


def called(stored: str) -> str:
    """Return the name of a stored column as the export has it."""
    return stored.lower() if _PLAIN_STORED.fullmatch(stored) else stored


def literal(text: str) -> str:
    """Quote a string constant, in which Snowflake gives the backslash a meaning."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def kind_of(data_type: str) -> Kind:
    """Return the kind of a column of one of our tables, by what DESCRIBE TABLE says."""
    return _KINDS.get(data_type.partition("(")[0], Kind.STRING)


def declaration(column: Column) -> str:
    """Return a column for CREATE TABLE."""
    return f"{quoted(column.name)} {TYPES[column.kind]}{' NOT NULL' if column.required else ''}"
