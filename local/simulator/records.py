"""Hold rows that are not yet exported, compactly, until the sync they belong to."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Records = NDArray[np.void]

# `at` is when a row becomes known to the export (µs since 1970); `number` identifies its key; 0 and -1 mean null.
DELIVERY = np.dtype(
    [
        ("at", "i8"),
        ("number", "u8"),
        ("state", "i1"),
        ("person", "i4"),
        ("channel", "i1"),
        ("journey", "u8"),
        ("journey_at", "i8"),
        ("campaign", "i4"),
        ("action", "i4"),
        ("newsletter", "i4"),
        ("content", "i4"),
        ("trigger", "i4"),
        ("transactional", "i4"),
        ("triggered", "?"),
        ("created", "i8"),
    ]
)
METRIC = np.dtype(
    [("at", "i8"), ("number", "u8"), ("state", "i1"), ("delivery", "u8"), ("metric", "i1"), ("created", "i8")]
)
OUTPUT = np.dtype(
    [
        ("at", "i8"),
        ("number", "u8"),
        ("state", "i1"),
        ("journey", "u8"),
        ("journey_at", "i8"),
        ("step", "i1"),
        ("action", "i4"),
        ("delivery", "u8"),
        ("delay_ends", "i8"),
        ("created", "i8"),
    ]
)
SUBJECT = np.dtype(
    [
        ("at", "i8"),
        ("number", "u8"),
        ("state", "i1"),
        ("person", "i4"),
        ("campaign", "i4"),
        ("trigger", "i4"),
        ("triggered", "?"),
        ("created", "i8"),
    ]
)
PERSON = np.dtype(
    [
        ("at", "i8"),
        ("person", "i4"),
        ("created", "i8"),
        ("deleted", "i1"),
        ("suppressed", "i1"),
        ("renamed", "i4"),
    ]
)
ATTRIBUTE = np.dtype([("at", "i8"), ("person", "i4"), ("name", "i1"), ("change", "i8")])


@dataclass(slots=True)
class Pending:
    """Rows in waiting, in blocks sorted by `at`; what is due is cut off the front of each."""

    dtype: np.dtype[np.void]
    _blocks: list[Records] = field(default_factory=list)

    def add(self, rows: Records) -> None:
        """Put rows in."""
        if len(rows):
            self._blocks.append(rows[np.argsort(rows["at"], kind="stable")])

    def due(self, before: int) -> Records:
        """Take out what happened before this instant, in no order worth relying on."""
        taken, left = [], []
        for block in self._blocks:
            cut = int(np.searchsorted(block["at"], before))
            if cut:
                taken.append(block[:cut])
            if cut < len(block):
                # A copy, so that a long tail of few rows does not keep a large block alive.
                left.append(block[cut:].copy() if cut else block)
        self._blocks = left if len(left) < 200 else self._merged(left)
        return np.concatenate(taken) if taken else np.empty(0, self.dtype)

    def _merged(self, blocks: list[Records]) -> list[Records]:
        rows = np.concatenate(blocks)
        return [rows[np.argsort(rows["at"], kind="stable")]]


def blank(dtype: np.dtype[np.void], rows: int, **columns: Any) -> Records:
    """Make records with these columns set and the others 0."""
    made = np.zeros(rows, dtype)
    for name, values in columns.items():
        made[name] = values
    return made


def latest(rows: Records, keep_all: NDArray[np.bool_] | None = None) -> Records:
    """Keep each number's last state (and the rows marked), ordered by number, then state."""
    order = np.lexsort((rows["state"], rows["number"]))
    rows = rows[order]
    last = np.ones(len(rows), dtype=np.bool_)
    last[:-1] = rows["number"][1:] != rows["number"][:-1]
    if keep_all is not None:
        last |= keep_all[order]
    return rows[last]
