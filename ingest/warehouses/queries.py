"""Named SQL queries, kept in `.sql` files beside their adapter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(package: str, file_name: str = "queries.sql", **identifiers: str) -> Mapping[str, str]:
    """Read a file of `-- name: <query>` sections and put the given identifiers into their `{braces}`.

    Identifiers come from the declared tables and validated settings only; values are always bound.
    """
    text = files(package).joinpath(file_name).read_text(encoding="utf-8")
    parts = _NAME.split(text)[1:]
    return {name: body.strip().format(**identifiers) for name, body in zip(parts[::2], parts[1::2], strict=True)}
