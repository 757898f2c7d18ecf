"""The main phases: the initial load, the backlog, and changesets one by one. Each starts where the one before ended."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from azure.storage.blob import ContainerClient

from bench import container, dlt_peer, ours, telemetry
from bench.comparison import Different, same
from bench.data import Export
from bench.ours import Measured
from bench.results import Line
from bench.stage import TABLES, Stage, alternate, copy, lines_of, remove

CONTAINER = "bench"
DLT_FILES = 10
"""So many of the single changesets dlt gets."""


class Phases:
    """The phases over one container. What a phase leaves in `<who>.<phase>.duckdb` is what the next one copies."""

    def __init__(self, stage: Stage, export: Export) -> None:
        self._stage = stage
        self._export = export
        self._blobs: ContainerClient = container.create(stage.azurite, CONTAINER)
        self._rows = 0

    def initial(self) -> list[Line]:
        """Load the first sync."""
        stage, files = self._stage, self._export.initial
        container.upload(self._blobs, files)
        mine: list[Measured] = []
        sql: list[tuple[float, Measured]] = []
        copies: list[float] = []
        peer: list[Measured] = []

        def of_ours(number: int) -> float:
            remove(self._path("ours", "initial"))
            mine.append(ours.drain(stage.settings(CONTAINER, self._path("ours", "initial"))))
            return mine[-1].seconds

        def of_limit(number: int) -> float:
            remove(self._path("limit", "initial"))
            copies.append(stage.download(CONTAINER, files))
            run, seconds = stage.limit("initial", CONTAINER, self._path("limit", "initial"), files)
            assert isinstance(seconds, float)
            sql.append((seconds, run))
            return seconds

        def of_dlt(number: int) -> float:
            remove(self._path("dlt", "initial"))
            peer.append(self._dlt(self._path("dlt", "initial"), ",".join(TABLES)))
            return peer[-1].seconds

        alternate(of_ours, of_limit)
        self._compare("initial")
        if stage.dlt:
            alternate(of_dlt)
        lines = lines_of(mine, sql, copies, aim=1.2)
        start = tuple(ours.run([sys.executable, "-c", "import ingest.__main__"], {}).seconds for _ in range(3))
        lines.append(Line("of ours: starting Python, imports", start, limit=lines[1].middle))
        return lines + self._lines_of_dlt(peer, "initial", lines[1].middle)

    def backlog(self) -> list[Line]:
        """Load what waits."""
        stage, files = self._stage, self._export.waiting
        container.upload(self._blobs, files)
        mine: list[Measured] = []
        sql: list[tuple[float, Measured]] = []
        copies: list[float] = []
        peer: list[Measured] = []

        def of_ours(number: int) -> float:
            database = self._fresh("ours", "initial", "backlog")
            mine.append(ours.drain(stage.settings(CONTAINER, database)))
            return mine[-1].seconds

        def of_limit(number: int) -> float:
            database = self._fresh("limit", "initial", "backlog")
            copies.append(stage.download(CONTAINER, files))
            run, seconds = stage.limit("group", CONTAINER, database, files)
            assert isinstance(seconds, float)
            sql.append((seconds, run))
            return seconds

        def of_dlt(number: int) -> float:
            peer.append(self._dlt(self._fresh("dlt", "initial", "backlog"), "deliveries"))
            return peer[-1].seconds

        alternate(of_ours, of_limit)
        self._compare("backlog")
        if stage.dlt:
            alternate(of_dlt)
        lines = lines_of(mine, sql, copies, aim=1.3)
        lines += self._lines_of_dlt(peer, "backlog", lines[1].middle)
        _, answer = stage.limit("loop", CONTAINER, self._fresh("limit", "initial", "loop"), files)
        assert isinstance(answer, list)
        count, seconds = answer
        said = f"{len(files)} files EXTRAPOLATED from {count}" if count < len(files) else f"all {count} files"
        lines.append(
            Line(
                "a loop of MERGE, file by file",
                (seconds / count * len(files),),
                limit=lines[1].middle,
                remark=f"{said}; local copies, no download, DuckDB's own settings",
            )
        )
        return lines

    def one(self) -> list[Line]:
        """Load changesets one by one in a warm process, from the blob written to the commit."""
        stage, files = self._stage, self._export.single
        names = [file.name for file in files]
        lines: list[Line] = []
        spent: dict[float, list[dict[str, float]]] = {}
        for pause in (0.0, 0.5):
            container.take_away(self._blobs, names)
            database = self._fresh("ours", "backlog", "one")
            spent[pause] = ours.one_by_one(stage.settings(CONTAINER, database), files[0].parent, names, pause)
        _, limit = stage.limit("one", CONTAINER, self._fresh("limit", "backlog", "one"), files)
        assert isinstance(limit, list)
        self._compare("one")
        middle = median(limit)
        for end, aim in (("commit", 250.0), ("return", None)):
            for pause, answer in spent.items():
                values = tuple(measured[end] for measured in answer)
                what = f"ours, {pause:g} s between, from the blob written to {end}"
                lines.append(Line(what, values, "ms", limit=middle, aim=aim, absolute=True))
        lines.append(Line("limit: download and SQL, one connection", tuple(limit), "ms", limit=middle))
        if stage.dlt:
            container.take_away(self._blobs, names)
            database = self._fresh("dlt", "backlog", "one")
            few = names[:DLT_FILES]
            took = dlt_peer.one_by_one(stage.azurite.connection_string, CONTAINER, database, files[0].parent, few)
            lines.append(Line(f"dlt, warm process, {len(few)} files", tuple(took), "ms", limit=middle))
            container.upload(self._blobs, files)
        return lines

    def telemetry(self) -> list[Line]:
        """Load what waits with telemetry and without, in turn."""
        container.upload(self._blobs, self._export.waiting)
        return telemetry.lines(
            lambda: self._stage.settings(CONTAINER, self._fresh("ours", "initial", "telemetry")),
        )

    def _path(self, who: str, phase: str) -> Path:
        return self._stage.work / f"{who}-{phase}.duckdb"

    def _fresh(self, who: str, before: str, phase: str) -> Path:
        return copy(self._path(who, before), self._path(who, phase))

    def _compare(self, phase: str) -> None:
        rows = same(self._path("ours", phase), self._path("limit", phase), TABLES)
        self._stage.say(f"{phase}: {rows:,} rows of ours and of the limit are the same")

    def _dlt(self, database: Path, datasets: str) -> Measured:
        return dlt_peer.drain(self._stage.azurite.connection_string, CONTAINER, database, datasets)

    def _lines_of_dlt(self, runs: Sequence[Measured], phase: str, limit: float) -> list[Line]:
        if not runs:
            return []
        try:
            same(self._path("ours", phase), self._path("dlt", phase), TABLES, schema="customerio")
            remark = "the same rows"
        except Different as difference:
            remark = f"other rows: {difference}"
        return [
            Line(
                "dlt: filesystem source, merge",
                tuple(run.seconds for run in runs),
                limit=limit,
                processor=median(run.processor for run in runs),
                peak_mb=max(run.peak_mb for run in runs),
                remark=f"a fresh process; {remark}",
            )
        ]
