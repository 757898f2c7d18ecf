"""The checkpoint's facts in a small file beside the database, for `status` while somebody else holds it."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from ingest.facts import Facts

_FACTS = TypeAdapter(Facts)


def path_of(database: Path) -> Path:
    """Return where the facts of a database file lie."""
    return database.with_name(database.name + ".status.json")


def write(database: Path, facts: Facts) -> None:
    """Replace the facts in one step, so that nobody reads half of them."""
    target = path_of(database)
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    draft.write_bytes(_FACTS.dump_json(facts))
    draft.replace(target)


def read(database: Path) -> Facts | None:
    """Return the facts as they were last written; None if there are none to be read."""
    try:
        return _FACTS.validate_json(path_of(database).read_bytes())
    except (OSError, ValidationError):
        return None
