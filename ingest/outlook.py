"""What would become of one blob now, and which command brings it about: pure rules."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from ingest.arrivals import Blob, Status
from ingest.facts import FileHistory

_DRAIN = "python -m ingest drain"


class Standing(StrEnum):
    """Where a blob stands with the checkpoint, and with the container."""

    NEW = "new"
    WAITING = "waiting"
    LOADED = "loaded"
    REJECTED = "rejected"
    REPLACED = "replaced"
    GONE = "gone"
    """It was deleted before it was loaded."""
    LEFT_OUT = "left out"
    """Of a dataset that nobody wants."""
    LOCAL = "local file"
    UNKNOWN = "unknown"
    """The checkpoint or the container could not be asked."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a load would come to. `rejection` is the reason that would be recorded."""

    rejection: str | None = None
    rows: int = 0
    ahead: int | None = None
    """Files of its stream that come before it, if they were counted."""
    at_least: bool = False
    """Whether there are more of them than were counted."""
    late: bool = False
    values_seen: bool = True
    """Whether the values were read, not the footer alone."""

    def __str__(self) -> str:
        if self.rejection is not None:
            return f"would be rejected: {self.rejection}"
        files = f"{'at least ' if self.at_least else ''}{self.ahead:,} files" if self.ahead else "no file"
        before = "" if self.ahead is None else f", with {files} before it"
        late = " It comes late: rows that are newer already stay." if self.late else ""
        unseen = "" if self.values_seen else " Its values are looked at when it is loaded, and may still not fit."
        return f"would be loaded: {self.rows:,} rows{before}.{late}{unseen}"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would happen now. `needs_person` says that it does not come right by itself."""

    standing: Standing
    text: str
    command: str = ""
    needs_person: bool = False


def of_present(blob: Blob, history: Sequence[FileHistory], trial: Trial) -> Outlook:
    """Say what becomes of a blob that is in the container."""
    known = next((each for each in history if each.etag == blob.etag), None)
    refused = trial.rejection is not None
    drain = "" if refused else _DRAIN
    if known is None:
        return Outlook(Standing.NEW, f"It is not recorded yet. It {trial}", drain, needs_person=refused)
    match known.status:
        case Status.PENDING:
            tried = f" after {known.attempts} attempts, the last: {known.error}" if known.error else "."
            return Outlook(Standing.WAITING, f"It waits{tried} It {trial}", drain, needs_person=refused)
        case Status.REJECTED:
            same = trial.rejection == known.error
            again = " After a fix it can be replayed." if refused else ""
            now = "It would be rejected again, for the same reason." if same else f"Now it {trial}"
            return Outlook(
                Standing.REJECTED, f"It is rejected: {known.error} {now}{again}", _replay(blob.name), needs_person=True
            )
        case Status.LOADED | Status.DELETED:
            return Outlook(Standing.LOADED, "It is loaded. Nothing is left to do.")
        case Status.SUPERSEDED:
            return Outlook(Standing.REPLACED, "It was replaced before it was loaded. Nothing is left to do.")
        case _:
            assert_never(known.status)


def of_absent(history: Sequence[FileHistory], name: str) -> Outlook:
    """Say what becomes of a name that the checkpoint knows and the container does not."""
    last = history[-1]
    match last.status:
        case Status.LOADED:
            return Outlook(Standing.LOADED, "It is loaded, and its blob is gone already. Nothing is left to do.")
        case Status.DELETED if last.loaded_at is not None:
            return Outlook(Standing.LOADED, "It is loaded, and its blob was deleted. Nothing is left to do.")
        case Status.PENDING:
            text = "It waits, but its blob is gone: a drain will reject it. Have it exported again."
            return Outlook(Standing.GONE, text, _DRAIN, needs_person=True)
        case Status.REJECTED:
            text = f"It is rejected: {last.error} Its blob is gone, so a replay cannot help: have it exported again."
            return Outlook(Standing.GONE, text, needs_person=True)
        case Status.SUPERSEDED | Status.DELETED:
            text = f"It was replaced before it was loaded, and no newer blob {name!r} is there: have it exported again."
            return Outlook(Standing.REPLACED, text, needs_person=True)
        case _:
            assert_never(last.status)


def of_local(trial: Trial) -> Outlook:
    """Say what would become of a local file if it were a blob."""
    return Outlook(Standing.LOCAL, f"It is no blob. As one it {trial}", needs_person=trial.rejection is not None)


def left_out(dataset: str) -> Outlook:
    """Say what becomes of a blob of a dataset that is not taken."""
    return Outlook(Standing.LEFT_OUT, f"Nobody loads it: DATASETS leaves {dataset} out.")


def unknown(trouble: str) -> Outlook:
    """Say that nobody can tell now, and why."""
    return Outlook(Standing.UNKNOWN, f"What would happen cannot be told now: {trouble}", needs_person=True)


def _replay(name: str) -> str:
    return f"python -m ingest replay {'-- ' if name.startswith('-') else ''}{shlex.quote(name)}"
