"""What COPY's SELECT takes from a file: `$1:"name"::TYPE`, `IFNULL` of two of these, METADATA$... or NULL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fakesnow_server.errors import syntax

NAME = r'"(?:[^"]|"")*"'
COPY_SELECT = re.compile(
    rf'COPY\s+INTO\s+(?P<table>[\w$".]+)\s*\((?P<columns>(?:{NAME}|[^")])*)\)\s+'
    rf"FROM\s*\(\s*SELECT\s+(?P<items>(?:{NAME}|[^\"])*?)\s+FROM\s+(?P<source>@[^\s;')]+)\s*\)\s*(?P<options>.*)",
    re.IGNORECASE | re.DOTALL,
)
TAKEN = re.compile(rf"\$1:({NAME})(?:::[\w() ,]+)?")


@dataclass(frozen=True, slots=True)
class Item:
    """What fills one column: metadata, or the first of some columns of the file that is not NULL."""

    metadata: str | None
    names: tuple[str, ...]


def items(columns: str, selected: str) -> dict[str, Item]:
    """Give what fills each column, by its stored name."""
    names = [stored(name) for name in split(columns)]
    found = [item(text) for text in split(selected)]
    if len(names) != len(found):
        raise syntax("Insert value list does not match column list")
    return dict(zip(names, found, strict=True))


def item(text: str) -> Item:
    """Read one item."""
    if text.upper().startswith("METADATA$"):
        return Item(text.upper(), ())
    if text.upper() == "NULL" or text.upper().startswith("NULL::"):
        return Item(None, ())
    if inner := re.fullmatch(r"IFNULL\((.*)\)", text, re.IGNORECASE | re.DOTALL):
        first, second = (item(part) for part in split(inner[1]))
        return Item(None, first.names + second.names)
    taken = TAKEN.fullmatch(text)
    if taken is None:
        raise syntax(f"unsupported expression in a COPY transformation: {text}")
    return Item(None, (unquoted(taken[1]),))


def split(text: str) -> list[str]:
    """Split a list at its commas, but for those in quotes and parentheses."""
    return [part.strip() for part in pieces(text)]


def pieces(text: str) -> Iterator[str]:
    """Yield the parts of a list."""
    depth, start = 0, 0
    for token in re.finditer(rf"{NAME}|[(),]", text):
        match token[0]:
            case "(":
                depth += 1
            case ")":
                depth -= 1
            case "," if depth == 0:
                yield text[start : token.start()]
                start = token.end()
    yield text[start:]


def stored(name: str) -> str:
    """Give the name a column is stored under."""
    return unquoted(name) if name.startswith('"') else name.upper()


def unquoted(name: str) -> str:
    """Take the quotes off."""
    return name[1:-1].replace('""', '"')
