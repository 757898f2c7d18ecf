"""Values in the text of a statement: bound ones are written in, long ones are kept aside while it is translated."""

from __future__ import annotations

import binascii
import datetime as dt
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from sqlglot.dialects.snowflake import Snowflake
from sqlglot.tokens import TokenType

Bindings = Mapping[str, Mapping[str, Any]]

EPOCH = dt.datetime(1970, 1, 1)


LONG_LITERAL = 500


LONG = re.compile(
    r"""--[^\n]*|/\*.*?\*/|"(?:[^"]|"")*"|(?P<long>'(?:[^'\\]|\\.|''){500,}')|'(?:[^'\\]|\\.|'')*'""", re.DOTALL
)


ESCAPED = re.compile(r"''|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\.", re.DOTALL)


MOST_SCANNED = 500
MARKED = {
    "TEXT": "",
    "FIXED": "::NUMBER(38, 0)",
    "TIMESTAMP_NTZ": "::TIMESTAMP_NTZ",
    "TIMESTAMP_LTZ": "::TIMESTAMP_NTZ",
    "TIMESTAMP_TZ": "::TIMESTAMP_NTZ",
}
WITH_OFFSET = re.compile(r"\d\s+([+-]\d{2}:?(\d{2})?|Z)$")  # fakesnow looks at these texts
QUESTION_MARKS = (TokenType.PLACEHOLDER, TokenType.QDCOLON)  # sqlglot reads `?::` as one word


@lru_cache(MOST_SCANNED)
def placeholders(sql: str) -> tuple[tuple[int, int, str], ...]:
    """Find the `?` and `:1` of a text: where they start and end, and the names of their bindings."""
    found, position = [], 0
    tokens = Snowflake().tokenize(sql)
    for at, token in enumerate(tokens):
        if token.token_type in QUESTION_MARKS:
            position += 1
            found.append((token.start, token.start + 1, str(position)))
        elif token.token_type is TokenType.COLON and tokens[at + 1 : at + 2] and tokens[at + 1].text.isdigit():
            if at == 0 or tokens[at - 1].end + 1 < token.start or tokens[at - 1].text[-1:] in "(,=":
                found.append((token.start, tokens[at + 1].end + 1, tokens[at + 1].text))
    return tuple(found)


def with_bindings(
    sql: str, bindings: Bindings | None, written: Callable[[Mapping[str, Any]], str] | None = None
) -> str:
    """Write server-side bindings into the text, as literals or as something else."""
    if not bindings:
        return sql
    pieces, end = [], 0
    for start, after, name in placeholders(sql):
        pieces += [sql[end:start], (written or literal)(bindings[name])]
        end = after
    return "".join([*pieces, sql[end:]])


def with_marks(sql: str, bindings: Bindings | None) -> tuple[str, dict[str, str]]:
    """Put marks in the place of bound and of long values, so that a statement needs translating only once.

    The marks come with what DuckDB shall read there.
    """
    kept: dict[str, str] = {}

    def written(binding: Mapping[str, Any]) -> str:
        kind, value = binding["type"], binding["value"]
        if value is None or kind not in MARKED or WITH_OFFSET.search(value) or (kind == "FIXED" and is_long(value)):
            return literal(binding)
        name = f"'__bound_{len(kept)}__'"
        kept[name] = duckdb_text(value if kind in {"TEXT", "FIXED"} else instant_of(value))
        return f"{name}{MARKED[kind]}"

    marked = with_bindings(sql, bindings, written)
    short, long = without_long_literals(marked)
    return short, kept | long


def is_long(number: str) -> bool:
    """Say whether a whole number needs more than 63 bits."""
    return abs(int(number)) >= 2**63


def instant_of(nanoseconds: str) -> str:
    """Write a bound instant as text; its offset only says where it was shown."""
    return (EPOCH + dt.timedelta(microseconds=int(nanoseconds.split()[0]) // 1000)).isoformat(" ")


def duckdb_text(value: str) -> str:
    """Write a text literal for DuckDB."""
    return "'" + value.replace("'", "''") + "'"


def without_long_literals(sql: str) -> tuple[str, dict[str, str]]:
    """Put marks in the place of long texts, which would be slow to translate; the marks come with DuckDB's literals."""
    kept: dict[str, str] = {}

    def mark(found: re.Match[str]) -> str:
        if not found["long"]:
            return found[0]
        name = f"'__long_literal_{len(kept)}__'"
        plain = ESCAPED.sub(unescaped, found["long"][1:-1])
        kept[name] = duckdb_text(plain)
        return name

    return LONG.sub(mark, sql) if len(sql) > LONG_LITERAL else sql, kept


def with_long_literals(sql: str, kept: Mapping[str, str]) -> str:
    """Put the long texts back."""
    for name, plain in kept.items():
        sql = sql.replace(name, plain)
    return sql


def unescaped(found: re.Match[str]) -> str:
    """Read an escape of Snowflake's SQL."""
    code = found[0]
    if code == "''":
        return "'"
    if code[1] in "ux":
        return chr(int(code[2:], 16))
    return {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "0": "\0"}.get(code[1], code[1])


def literal(binding: Mapping[str, Any]) -> str:
    """Write a bound value as a literal of Snowflake's SQL."""
    kind, value = binding["type"], binding["value"]
    if value is None:
        return "NULL"
    match kind:
        case "FIXED":
            return str(int(value))
        case "REAL":
            return f"{quoted(str(value))}::FLOAT"
        case "BOOLEAN":
            return str(value).upper()
        case "BINARY":
            binascii.unhexlify(value)
            return f"TO_BINARY('{value}', 'HEX')"
        case "DATE":
            return f"'{(EPOCH + dt.timedelta(milliseconds=int(value))).date().isoformat()}'::DATE"
        case "TIME":
            return f"'{(EPOCH + dt.timedelta(microseconds=int(value) // 1000)).time().isoformat()}'::TIME"
        case "TIMESTAMP_NTZ" | "TIMESTAMP_LTZ" | "TIMESTAMP_TZ":
            return f"'{instant_of(value)}'::TIMESTAMP_NTZ"
    return quoted(str(value))


def quoted(text: str) -> str:
    """Write a text literal; the backslash escapes in Snowflake."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
