"""Write a simulated export into the container, and tell the functions of most of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from local.customerio import Exporter
from local.demo.watch import Watch
from local.host import Host
from local.simulator import Expected, ExportFile, Sync

LOST = 0.12
DOUBLED = 0.08
SYNCS_PER_SWEEP = 8
"""In the demo's fast time the timer comes every two hours; the last quarter of an hour before it raises no events."""
PATIENCE = 300.0


@dataclass(slots=True)
class Feed:
    """Plays Customer.io and Event Grid; remembers what it wrote, by blob name in the order of writing."""

    exporter: Exporter
    host: Host
    watch: Watch
    seed: int = 7
    written: dict[str, list[tuple[str, Expected]]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    def play(self, syncs: Iterable[Sync]) -> None:
        """Write sync after sync; let the timer sweep now and then, and once at the end."""
        for number, sync in enumerate(syncs, start=1):
            outage = number % SYNCS_PER_SWEEP == 0
            if outage:
                # Or the workers that are still on earlier events would find these files in their listings.
                self.host.settle(PATIENCE)
            for file in sync.files:
                self.write(file)
                self.watch.export_wrote(file.dataset, sync.at)
                self.announce(file.name, outage=outage)
            self.counts["syncs"] += 1
            if sync.initial:
                self.host.settle(PATIENCE)
                self.watch.tell(f"[dim]{sync.at:%H:%M}[/] the initial sync is in; now a day of changesets")
            if outage:
                self.sweep()
        self.sweep()

    def write(self, file: ExportFile) -> None:
        """Upload a file through the SAS."""
        content = file.content()
        etag = self.exporter.write(file.name, content)
        self.written.setdefault(file.name, []).append((etag, file.expected))
        self.counts["files"] += 1
        self.counts["bytes"] += len(content)

    def announce(self, name: str, *, outage: bool = False) -> None:
        """Raise the blob's event: once, twice or not at all, as it happens with Event Grid."""
        drawn = self._chance.random()
        times = 0 if outage or drawn < LOST else 2 if drawn < LOST + DOUBLED else 1
        self.counts[("lost", "once", "doubled")[times]] += 1
        for _ in range(times):
            self.host.notify(name)

    def sweep(self) -> None:
        """Wait for the events' invocations, then let the timer bring what none of them did."""
        self.host.settle(PATIENCE)
        before = self.watch.counts["loaded"]
        self.host.tick("sweep")
        self.counts["swept"] += self.watch.counts["loaded"] - before
