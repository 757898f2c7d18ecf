"""Whether a file's columns fit its dataset, decided from the footer before any row moves: pure rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

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


class Judgement(StrEnum):
    """What becomes of one column."""

    FITS = "fits"
    MISSING = "missing"
    """The file lacks it: nulls."""
    ADDED = "added"
    """The table gets it."""
    VOID = "void"
    """Nobody knows it, and it is of the null type: left aside."""
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One column of the declaration, the table or the file."""

    judgement: Judgement
    column: Column
    """As declared, or as the table has it, or as it would be added."""
    field: Field | None = None
    declared: bool = True
    error: ContractBroken | None = None


def check(footer: Footer, dataset: Dataset, table: Mapping[str, Kind], drift: Drift) -> Fit:
    """Hold a footer against the dataset's declaration and the columns its table has by now.

    Raises ContractBroken with the column, what was expected and what was found.
    """
    verdicts = judge(footer, dataset, table, drift)
    for verdict in verdicts:
        if verdict.error is not None:
            raise verdict.error
    brought = [verdict for verdict in verdicts if verdict.field is not None]
    return Fit(
        rows=footer.rows,
        fields={it.column.name: it.field for it in brought if it.field and it.judgement is not Judgement.VOID},
        added=tuple(it.column for it in brought if it.judgement is Judgement.ADDED),
        unknown=tuple(it.column.name for it in brought if not it.declared and it.judgement is not Judgement.FITS),
        missing=tuple(it.column.name for it in verdicts if it.field is None and it.declared and it.column.since == 1),
    )


def judge(
    footer: Footer,
    dataset: Dataset,
    table: Mapping[str, Kind],
    drift: Drift,
    nulls: Mapping[str, int | None] = MappingProxyType({}),
) -> tuple[Verdict, ...]:
    """Say of every column what becomes of it: those that stand twice first, then the declared, then the others.

    `nulls` are those that the footer states, by its own names; the others are found when the values are read.
    """
    by_name: dict[str, Field] = {}
    verdicts: list[Verdict] = []
    for field in footer.fields:
        if field.name.lower() in by_name:
            verdicts.append(_twice(field))
        else:
            by_name[field.name.lower()] = field
    for column in dataset.columns:
        brought = by_name.pop(column.name.lower(), None)
        if brought is not None:
            new = column.since > 1 and column.name not in table
            verdicts.append(_declared(column, brought, footer.rows, nulls.get(brought.name) or 0, new=new))
        elif column.required or column.since == 1 or column.name in table:
            verdicts.append(_missing(column))
    known = {name.lower(): name for name in table}
    for folded, field in by_name.items():
        name = known.get(folded)
        verdicts.append(
            _undeclared(field, drift) if name is None or _is_reserved(folded) else _known(name, table[name], field)
        )
    brought_names = {verdict.column.name.lower() for verdict in verdicts}
    verdicts += [
        Verdict(Judgement.MISSING, Column(name, kind), declared=False)
        for name, kind in table.items()
        if name.lower() not in brought_names
    ]
    return tuple(verdicts)


def _declared(column: Column, field: Field, rows: int, nulls: int, *, new: bool) -> Verdict:
    nested = field.reading is Reading.NESTED
    if field.kind is not None and (field.kind is not column.kind or nested):
        return _misfit(column, field, _broken(column.name, str(column.kind), field.physical))
    if column.required and (nulls or (field.reading is Reading.EMPTY and rows)):
        found = f"{nulls} nulls" if nulls else f"{rows} nulls in {rows} rows"
        return _misfit(column, field, _broken(column.name, f"a required {column.kind} without nulls", found))
    if new:
        return Verdict(Judgement.ADDED, Column(column.name, column.kind), field)
    return Verdict(Judgement.FITS, column, field)


def _missing(column: Column) -> Verdict:
    if not column.required:
        return Verdict(Judgement.MISSING, column)
    error = _broken(column.name, f"a required {column.kind} column", "no such column")
    return Verdict(Judgement.BROKEN, column, error=error)


def _known(name: str, kind: Kind, field: Field) -> Verdict:
    """Judge a column nobody declared that an earlier file brought."""
    column = Column(name, kind)
    if field.kind is not None and field.kind is not kind:
        return _misfit(column, field, _broken(name, str(kind), field.physical), declared=False)
    return Verdict(Judgement.FITS, column, field, declared=False)


def _undeclared(field: Field, drift: Drift) -> Verdict:
    column = Column(field.name, field.kind or Kind.STRING)
    if _is_reserved(field.name.lower()):
        expected = "no column of this name, it has a meaning of its own here"
        return _misfit(column, field, _broken(field.name, expected, field.physical), declared=False)
    if drift is Drift.REJECT:
        hint = "Set DRIFT=evolve to add it."
        error = _broken(field.name, "no such column (DRIFT=reject)", field.physical, hint=hint)
        return _misfit(column, field, error, declared=False)
    return Verdict(Judgement.VOID if field.kind is None else Judgement.ADDED, column, field, declared=False)


def _twice(field: Field) -> Verdict:
    expected = "each column once (upper and lower case are the same)"
    error = _broken(field.name, expected, "it stands twice")
    return _misfit(Column(field.name, field.kind or Kind.STRING), field, error, declared=False)


def _misfit(column: Column, field: Field, error: ContractBroken, *, declared: bool = True) -> Verdict:
    return Verdict(Judgement.BROKEN, column, field, declared, error)


def _is_reserved(folded: str) -> bool:
    return folded in _RESERVED or folded.startswith(_RESERVED_PREFIX)


def _broken(column: str, expected: str, found: str, *, hint: str = "") -> ContractBroken:
    return ContractBroken(f"column {column!r}: expected {expected}, found {found}.", hint=f"{hint} {_SEE}".strip())
