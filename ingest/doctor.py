"""Look at what the app needs, and say what is missing and how to mend it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ingest.errors import IngestError


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    fine: bool
    text: str


def look(subject: str, fine: str, check: Callable[[], object]) -> Finding:
    """Run one check; an error's words and hint are the finding."""
    try:
        check()
    except IngestError as error:
        return Finding(subject, fine=False, text=str(error))
    return Finding(subject, fine=True, text=fine)
