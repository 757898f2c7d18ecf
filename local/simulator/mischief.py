"""Turn drafts into files, well-behaved or not, and keep those that are still on their way."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from local.simulator.damage import damage
from local.simulator.exporter import Draft
from local.simulator.files import VERSION, Expected, ExportFile, Misbehaviour, Spool, blob_name, under
from local.simulator.physical import PLAIN, Physical
from local.simulator.variants import rewritten, with_added_column

_RATE = 0.06  # of files, for each misbehaviour asked for
_FATES = (Misbehaviour.LATE, Misbehaviour.TWICE, Misbehaviour.REWRITTEN, Misbehaviour.CORRUPT)
_FIRST_SEQUENCE = 241_600_000_000_000_000


@dataclass(frozen=True, slots=True)
class _Numbered:
    draft: Draft
    sequence: int
    sequence_end: int | None


class Mischief:
    """Name, number, encode and perhaps spoil files; its own randomness leaves the world as it is."""

    def __init__(
        self,
        seed: int,
        workspace_id: int,
        prefix: str,
        misbehaviour: frozenset[Misbehaviour],
        forms: Sequence[Physical],
        spool: Spool,
    ) -> None:
        self._rng = np.random.default_rng([seed, 6])
        self._numbers = np.random.default_rng([seed, 7])
        self._workspace_id = workspace_id
        self._prefix = prefix
        self._kinds = misbehaviour
        self._forms = tuple(forms) or (PLAIN,)
        self._spool = spool
        self._sequence = _FIRST_SEQUENCE + int(self._numbers.integers(1, 10**9))
        self._window = 0
        self._changesets = 0
        self._done: set[Misbehaviour] = set()
        self._held: list[tuple[int, ExportFile]] = []
        # The moments from which on the export is another one, counted in changesets.
        self._added_from = int(self._rng.integers(2, 6))
        self._restarts_at = int(self._rng.integers(2, 6))

    def files(self, drafts: Iterable[Draft], initial: bool = False) -> tuple[ExportFile, ...]:
        """Return this window's files in the order of writing, with those of earlier ones that are due now."""
        self._window += not initial
        due = [file for window, file in self._held if window <= self._window]
        self._held = [(window, file) for window, file in self._held if window > self._window]
        fresh: list[ExportFile] = []
        started = False
        first_part = 0
        for draft in drafts:
            if not initial and not started:
                started = True
                self._begin_changeset()
            if draft.part and not first_part:
                first_part = self._next_sequence()
            end = self._next_sequence()
            numbered = _Numbered(draft, first_part, end) if draft.part else _Numbered(draft, end, None)
            fresh.extend(self._written(numbered, initial))
        if started and self._wants(Misbehaviour.UNKNOWN_NAME):
            fresh.append(self._stranger())
        together = [*due, *fresh]
        if Misbehaviour.OUT_OF_ORDER in self._kinds:
            together = [together[at] for at in self._rng.permutation(len(together))]
        return tuple(together)

    def _begin_changeset(self) -> None:
        self._changesets += 1
        if Misbehaviour.RESTARTED in self._kinds and self._changesets == self._restarts_at:
            self._sequence = int(self._numbers.integers(1, 1000))

    def _next_sequence(self) -> int:
        self._sequence += int(self._numbers.integers(1, 900))
        return self._sequence

    def _wants(self, kind: Misbehaviour) -> bool:
        """Draw, but see to it that what was asked for happens in an early changeset."""
        if kind not in self._kinds:
            return False
        drawn = self._rng.random() < _RATE
        if not drawn and (kind in self._done or self._changesets < 2):
            return False
        self._done.add(kind)
        return True

    def _written(self, numbered: _Numbered, initial: bool) -> list[ExportFile]:
        """Return what is written of a draft now, and hold the rest for later windows."""
        table = numbered.draft.table
        why = "initial sync" if initial else "changeset"
        if Misbehaviour.ADDED_COLUMN in self._kinds and not initial and self._changesets >= self._added_from:
            table = with_added_column(self._rng, table, numbered.draft.dataset)
            why += ", with an added column"
        absent = [field.name for field in table.schema if field.nullable]
        if not initial and absent and self._wants(Misbehaviour.MISSING_COLUMN):
            name = absent[int(self._rng.integers(0, len(absent)))]
            table = table.drop_columns([name])
            why += f", without {name}"
        # One form for all that is written of a draft: a rewritten file that cut off µs would be older than the first.
        form = self._forms[int(self._rng.integers(0, len(self._forms)))]
        content = form.encode(table)
        file = self._file(numbered, content, table.num_rows, why)
        fate = next((kind for kind in _FATES if (not initial or kind in _FATES[:2]) and self._wants(kind)), None)
        match fate:
            case None:
                if Misbehaviour.OUT_OF_ORDER in self._kinds and self._rng.random() < 0.15:
                    self._hold(1, file, f"{why}, after its successors")
                    return []
                return [file]
            case Misbehaviour.LATE:
                self._hold(int(self._rng.integers(2, 9)), file, f"{why}, late")
                return []
            case Misbehaviour.TWICE:
                again = f"{why}, a second time"
                windows = int(self._rng.integers(0, 5))
                if not windows:
                    return [file, replace(file, why=again)]
                self._hold(windows, file, again)
                return [file]
            case Misbehaviour.REWRITTEN:
                table = rewritten(self._rng, table, numbered.draft.dataset)
                later = self._file(numbered, form.encode(table), table.num_rows, f"{why}, rewritten")
                self._hold(int(self._rng.integers(2, 6)), later, later.why)
                return [file]
            case _:
                broken, how = damage(self._rng, content)
                if self._rng.random() < 0.5:
                    self._hold(int(self._rng.integers(2, 6)), file, f"{why}, intact after all")
                spoilt = self._file(numbered, broken, 0, f"{why}, {how}")
                return [replace(spoilt, expected=Expected.REJECTED)]

    def _hold(self, windows: int, file: ExportFile, why: str) -> None:
        self._held.append((self._window + windows, replace(file, why=why)))

    def _file(self, numbered: _Numbered, content: bytes, rows: int, why: str) -> ExportFile:
        draft, first, end = numbered.draft, numbered.sequence, numbered.sequence_end
        return ExportFile(
            name=blob_name(self._prefix, draft.stem, self._workspace_id, first, end),
            dataset=draft.dataset,
            version=VERSION,
            workspace_id=self._workspace_id,
            sequence=first,
            sequence_end=end,
            expected=Expected.LOADED,
            why=why,
            rows=rows,
            place=self._spool.write(content),
            spool=self._spool,
        )

    def _stranger(self) -> ExportFile:
        """Write good parquet under a name that nobody can place."""
        sequence = self._next_sequence()
        names = (
            f"deliveries_v{VERSION}_{self._workspace_id}.parquet",
            f"unsubscribes_v{VERSION}_{self._workspace_id}_{sequence}.parquet",
            f"metrics_v{VERSION}_{self._workspace_id}_{sequence} (1).parquet",
            f"people_{self._workspace_id}_{sequence}_latest.parquet",
            f"export-{sequence}.parquet",
        )
        content = PLAIN.encode(pa.table({"workspace_id": [self._workspace_id], "unsubscribe_id": ["x1"]}))
        return ExportFile(
            name=under(self._prefix, names[int(self._rng.integers(0, len(names)))]),
            dataset="",
            version=0,
            workspace_id=0,
            sequence=0,
            sequence_end=None,
            expected=Expected.REJECTED,
            why="a name nobody knows",
            rows=0,
            place=self._spool.write(content),
            spool=self._spool,
        )
