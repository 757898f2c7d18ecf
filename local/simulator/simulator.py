"""Simulate the exports of one workspace, and know what every table must hold."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from local.simulator.exporter import CADENCE, Exporter
from local.simulator.files import ExportFile, Misbehaviour, Spool, Sync
from local.simulator.mischief import Mischief
from local.simulator.physical import PLAIN, Physical
from local.simulator.truth import truth

_CADENCE = timedelta(microseconds=CADENCE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Simulator:
    """Export a seeded workspace: the same arguments give the same bytes."""

    def __init__(
        self,
        *,
        seed: int = 7,
        workspace_id: int = 111528,
        people: int = 2_000,
        start: datetime = datetime(2026, 11, 1, tzinfo=UTC),
        history_days: int = 30,
        deliveries_per_day: float = 1_000,
        prefix: str = "",
        misbehaviour: frozenset[Misbehaviour] = frozenset(),
        physical: Physical | Sequence[Physical] = PLAIN,
    ) -> None:
        """Found the workspace; of several physical forms each file takes one at random."""
        if start.tzinfo is None:
            raise ValueError("start must be an aware datetime, such as datetime(2026, 11, 1, tzinfo=UTC)")
        forms = (physical,) if isinstance(physical, Physical) else tuple(physical)
        self._exporter = Exporter(seed, workspace_id, people, _microseconds(start), history_days, deliveries_per_day)
        self._mischief = Mischief(seed, workspace_id, prefix, misbehaviour, forms, Spool())
        self._now = start.astimezone(UTC)
        self._begun = False
        self._handed_out: list[ExportFile] = []

    def run(self, days: float = 1) -> Iterator[Sync]:
        """Yield the initial sync (the first time), then a sync for each 15 minutes in which anything is written.

        Running again goes on from there; files that are late at the end arrive then.
        """
        end = self._now + timedelta(days=days)
        if not self._begun:
            self._begun = True
            files = self._mischief.files(self._exporter.initial(), initial=True)
            yield self._hand_out(files, initial=True)
        while self._now + _CADENCE <= end:
            start, self._now = self._now, self._now + _CADENCE
            drafts = self._exporter.changes(_microseconds(start), _microseconds(self._now))
            files = self._mischief.files(drafts)
            if files:
                yield self._hand_out(files)

    @property
    def files(self) -> tuple[ExportFile, ...]:
        """Return all files handed out so far, in the order of writing."""
        return tuple(self._handed_out)

    def truth(self) -> dict[str, pa.Table]:
        """Return what every table must hold once all files handed out so far are ingested."""
        return truth(self._handed_out)

    def _hand_out(self, files: tuple[ExportFile, ...], initial: bool = False) -> Sync:
        self._handed_out.extend(files)
        return Sync(self._now, files, initial)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
