"""Whether a file's columns fit its dataset, decided from the footer before any row moves: pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ingest.datasets import LINEAGE, Column, Dataset, Kind
from ingest.errors import ContractBroken

_RESERVED = {column.name for column in LINEAGE} | {"", "rowid", "file_row_number"}
_RESERVED_PREFIX = "_ingest_"
"""The ingestor's own names, and those that a warehouse gives a meaning of its own."""
_SEE = "Nothing of the file was loaded; its blob is kept."


class Drift(StrEnum):
    """What becomes of a column nobody declared."""

    EVOLVE = "evolve"
    REJECT = "reject"


class Reading(StrEnum):
    """How a physical column is read into its kind."""

    CAST = "cast"
    BINARY = "binary"
    """Bytes without a text annotation: decoded as UTF-8."""
    EMPTY = "empty"
    """A column of the null type."""
    NESTED = "nested"
    """Neither flat nor a list of strings: kept as JSON text, in columns nobody declared."""


@dataclass(frozen=True, slots=True)
class Field:
    """One column as the footer has it."""

    name: str
    kind: Kind | None
    """None for the null type, which fits every kind."""
    reading: Reading
    physical: str


@dataclass(frozen=True, slots=True)
class Footer:
    """What a parquet footer says."""

    rows: int
    fields: tuple[Field, ...]


@dataclass(frozen=True, slots=True)
class Fit:
    """How a file that fits is read: the footer's field for each column of the table it brings."""

    rows: int
    fields: Mapping[str, Field]
    """By the table's column name."""
    added: tuple[Column, ...] = ()
    """Columns the table has not got yet."""
    unknown: tuple[str, ...] = ()
    """Those of them that nobody declared."""
    missing: tuple[str, ...] = ()
    """Declared nullable columns the file lacks: they become nulls."""

    def signature(self) -> tuple[tuple[str, str, str], ...]:
        """Return what two files must share to be read by one query."""
        return tuple(sorted((name, field.name, field.physical) for name, field in self.fields.items()))


def check(footer: Footer, dataset: Dataset, table: Mapping[str, Kind], drift: Drift) -> Fit:
    """Hold a footer against the dataset's declaration and the columns its table has by now.

    Raises ContractBroken with the column, what was expected and what was found.
    """
    by_name = _by_name(footer)
    fields: dict[str, Field] = {}
    missing: list[str] = []
    added: list[Column] = []
    unknown: list[str] = []
    for column in dataset.columns:
        field = by_name.pop(column.name.lower(), None)
        if field is None:
            if column.required:
                raise _broken(column.name, f"a required {column.kind} column", "no such column")
            if column.since == 1:
                missing.append(column.name)
            continue
        _fits(column, field, footer.rows)
        fields[column.name] = field
        if column.name not in table and column.since > 1:
            added.append(Column(column.name, column.kind))
    known = {name.lower(): name for name in table}
    for folded, field in by_name.items():
        if folded in _RESERVED or folded.startswith(_RESERVED_PREFIX):
            raise _broken(field.name, "no column of this name, it has a meaning of its own here", field.physical)
        if folded in known:
            name = known[folded]
            _fits(Column(name, table[name]), field, footer.rows, declared=False)
            fields[name] = field
            continue
        if drift is Drift.REJECT:
            raise _broken(
                field.name, "no such column (DRIFT=reject)", field.physical, hint="Set DRIFT=evolve to add it."
            )
        unknown.append(field.name)
        if field.kind is not None:
            added.append(Column(field.name, field.kind))
            fields[field.name] = field
    return Fit(footer.rows, fields, tuple(added), tuple(unknown), tuple(missing))


def _by_name(footer: Footer) -> dict[str, Field]:
    by_name: dict[str, Field] = {}
    for field in footer.fields:
        if field.name.lower() in by_name:
            raise _broken(field.name, "each column once (upper and lower case are the same)", "it stands twice")
        by_name[field.name.lower()] = field
    return by_name


def _fits(column: Column, field: Field, rows: int, *, declared: bool = True) -> None:
    nested = field.reading is Reading.NESTED and declared
    if field.kind is not None and (field.kind is not column.kind or nested):
        raise _broken(column.name, str(column.kind), field.physical)
    if column.required and field.reading is Reading.EMPTY and rows:
        raise _broken(column.name, f"a required {column.kind} without nulls", f"{rows} nulls in {rows} rows")


def _broken(column: str, expected: str, found: str, *, hint: str = "") -> ContractBroken:
    return ContractBroken(f"column {column!r}: expected {expected}, found {found}.", hint=f"{hint} {_SEE}".strip())
