"""The name of an exported file as a value: parse and format are inverses.

`[<folder>/]<stem>_v<version>_[chngs_]<workspace>_<sequence>[_<sequence2>].parquet`, as on Customer.io's page and in
real exports. Sequences pass 2^53, so they are integers here and never floats or text; zero padding is
kept for `format`.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from ingest.datasets import BY_STEM, DATASETS, Dataset
from ingest.errors import NameRejected

_NAME = re.compile(
    r"(?P<stem>[a-z][a-z_]*?)_v(?P<version>[1-9][0-9]*)_(?P<changes>chngs_)?"
    r"(?P<workspace>0|[1-9][0-9]*)_(?P<sequence>[0-9]+)(?:_(?P<end>[0-9]+))?\.parquet",
    re.ASCII,
)
_LARGEST = 2**63 - 1
_ASIDE = "The blob stays where it is: move it elsewhere, or update the app and run `python -m ingest replay`."


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """What is loaded in order: one dataset of one workspace."""

    workspace_id: int
    dataset: str

    def __str__(self) -> str:
        return f"{self.dataset} of workspace {self.workspace_id}"


SWEEP = Stream(0, "sweep")
"""No stream of files: its lease is the right to delete blobs and to write about alerts."""
UNCLASSIFIED = Stream(0, "unclassified")
"""The stream under whose lease blobs that belong to no stream are recorded as rejected."""


@dataclass(frozen=True, slots=True)
class ExportName:
    """A parsed blob name."""

    folder: str
    """What stands before the last slash, with it; empty at the container's root."""
    stem: str
    version: int
    workspace_id: int
    sequence: int
    sequence_end: int | None = None
    changes: bool = False
    """Whether it is a `_chngs_` file (people only)."""
    digits: int = 1
    """The least number of digits of `sequence` in the name; more than it needs where zero-padded."""
    digits_end: int = 1

    @property
    def dataset(self) -> Dataset:
        """The dataset the file belongs to."""
        return BY_STEM[self.stem]

    @property
    def stream(self) -> Stream:
        """The stream the file belongs to."""
        return Stream(self.workspace_id, self.dataset.name)

    def format(self) -> str:
        """Write the blob name out again."""
        changes = "chngs_" if self.changes else ""
        end = "" if self.sequence_end is None else f"_{self.sequence_end:0{self.digits_end}d}"
        return (
            f"{self.folder}{self.stem}_v{self.version}_{changes}"
            f"{self.workspace_id}_{self.sequence:0{self.digits}d}{end}.parquet"
        )


def parse(blob_name: str) -> ExportName:
    """Take a blob name apart.

    Raises NameRejected if it is not an export's name or names a dataset that has no contract.
    """
    folder, slash, leaf = blob_name.rpartition("/")
    match = _NAME.fullmatch(leaf)
    if match is None:
        raise NameRejected(
            f"{blob_name!r} is not the name of an export: expected "
            "<dataset>_v<version>_<workspace>_<sequence>[_<sequence2>].parquet.",
            hint=_ASIDE,
        )
    dataset = BY_STEM.get(match["stem"])
    if dataset is None:
        raise NameRejected(
            f"{blob_name!r} names the dataset {match['stem']!r}, which has no contract. "
            f"Known: {', '.join(sorted(DATASETS))}.",
            hint=_ASIDE,
        )
    if match["changes"] and not dataset.changes:
        raise NameRejected(f"{blob_name!r}: {dataset.name} has no _chngs_ files.", hint=_ASIDE)
    numbers = [int(match[part] or 0) for part in ("version", "workspace", "sequence", "end")]
    if max(numbers) > _LARGEST:
        raise NameRejected(f"{blob_name!r} holds a number beyond 2^63 - 1.", hint=_ASIDE)
    return ExportName(
        folder=folder + slash,
        stem=match["stem"],
        version=numbers[0],
        workspace_id=numbers[1],
        sequence=numbers[2],
        sequence_end=numbers[3] if match["end"] else None,
        changes=bool(match["changes"]),
        digits=_padding(match["sequence"]),
        digits_end=_padding(match["end"] or "0"),
    )


def stream_of(blob_name: str) -> Stream:
    """Return the stream a blob belongs to; UNCLASSIFIED for one that belongs to none."""
    try:
        return parse(blob_name).stream
    except NameRejected:
        return UNCLASSIFIED


def beginnings(stream: Stream, folders: Collection[str]) -> tuple[str, ...]:
    """Return what the names of a stream's files in some folders begin with; nothing for blobs of no stream."""
    dataset = DATASETS.get(stream.dataset)
    return tuple(f"{folder}{stem}_v" for folder in sorted(folders) for stem in dataset.stems) if dataset else ()


def _padding(digits: str) -> int:
    return len(digits) if digits.startswith("0") else 1
