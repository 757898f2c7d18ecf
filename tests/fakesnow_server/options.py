"""Read the `NAME = value` options that end many of Snowflake's statements."""

from __future__ import annotations

import re
from typing import Any

from fakesnow_server.errors import syntax

TOKEN = re.compile(r"\s*(?:('(?:[^'\\]|\\.|'')*')|(\"[^\"]+\"|[\w$.@%~/-]+)|([(),=;]))", re.DOTALL)


def read(text: str) -> dict[str, Any]:
    """Read options into a dictionary: texts, lists for (a, b), dictionaries for (a = b)."""
    tokens = tokenized(text)
    result: dict[str, Any] = {}
    at = 0
    while at < len(tokens):
        if tokens[at] in {",", ";"}:
            at += 1
            continue
        name = tokens[at].upper()
        if tokens[at + 1 : at + 2] != ["="]:
            raise syntax(f"unexpected '{tokens[at]}'")
        if name in result:
            raise syntax(f"duplicate option '{name}'")
        result[name], at = value(tokens, at + 2)
    return result


def tokenized(text: str) -> list[str]:
    """Cut a text into words, quoted texts and signs."""
    tokens, at = [], 0
    while text[at:].strip():
        found = TOKEN.match(text, at)
        if not found:
            raise syntax(f"unexpected '{text[at : at + 20].strip()}'")
        tokens.append(found[0].strip())
        at = found.end()
    return tokens


def value(tokens: list[str], at: int) -> tuple[Any, int]:
    """Read one value and say where the next option starts."""
    if at >= len(tokens):
        raise syntax("unexpected end")
    if tokens[at] != "(":
        return plain(tokens[at]), at + 1
    items: list[Any] = []
    pairs: dict[str, Any] = {}
    at += 1
    while at < len(tokens) and tokens[at] != ")":
        if tokens[at] == ",":
            at += 1
        elif at + 1 < len(tokens) and tokens[at + 1] == "=":
            name = tokens[at].strip('"')
            pairs[name], at = value(tokens, at + 2)
        else:
            items.append(plain(tokens[at]))
            at += 1
    if at >= len(tokens):
        raise syntax("missing ')'")
    return (pairs or items), at + 1


def plain(token: str) -> str:
    """Take quotes and escapes off a token."""
    if not token.startswith("'"):
        return token
    return re.sub(r"\\(.)", r"\1", token[1:-1].replace("''", "'"))
