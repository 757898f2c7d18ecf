"""Hold what the terminal shows: nothing is cut at 80 columns, and wide terminals get one table."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console

from ingest import screen
from ingest.facts import FileRecord
from ingest.arrivals import Status
from ingest.doctor import Finding
from ingest.errors import IngestError
from ingest.naming import Stream
from ingest.outcomes import BatchLoaded, Discovered, FileRejected, Tally

DATASETS = ("campaign_actions", "deliveries", "delivery_content", "metrics")
SEQUENCE = 241_600_000_009_223_372


def terminal(width: int) -> tuple[Console, io.StringIO]:
    written = io.StringIO()
    return Console(file=written, width=width, force_terminal=True, color_system=None), written


def stream(dataset: str = "deliveries", workspace_id: int = 111528, **facts: Any) -> dict[str, Any]:
    """Give a stream of the status document, with the largest numbers that may be expected."""
    return {
        "workspace_id": workspace_id,
        "dataset": dataset,
        "arrived": 105_000,
        "loaded": 104_000,
        "pending": 12_000,
        "rejected": 1_000,
        "late": 10_000,
        "superseded": 77,
        "rows_applied": 1_234_567_890,
        "last_version": 4,
        "last_sequence": SEQUENCE,
        "last_arrived_at": "2026-11-22T02:11:22.123456Z",
        "last_loaded_at": "2026-11-22T02:11:22.123456Z",
        "lag_seconds": 360_000.0,
        **facts,
    }


def status(*streams: dict[str, Any], trouble: str | None = None) -> dict[str, Any]:
    return {
        "version": 1,
        "as_of": "2026-11-22T02:11:22.5Z",
        "live": True,
        "trouble": trouble,
        "complete_through": "2026-11-01T00:01:25Z",
        "alerts": [],
        "streams": list(streams),
    }


def shown(width: int, document: dict[str, Any]) -> str:
    console, written = terminal(width)
    screen.show_status(console, document)
    return written.getvalue()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_nothing_of_the_status_is_cut(width: int) -> None:
    text = shown(width, status(*(stream(dataset) for dataset in DATASETS)))
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for word in (*DATASETS, "workspace 111528", "105,000", "104,000", "12,000", "1,234,567,890", f"v4 {SEQUENCE}"):
        assert word in text, word
    for word in ("2026-11-22 02:11:22 UTC", "2026-11-22 02:11  ", "77", "10,000"):
        assert word in text, word
    assert "100 h 00 min" in text


def test_a_wide_terminal_gets_one_table_and_a_narrow_one_two() -> None:
    document = status(stream())
    assert shown(200, document).count("dataset") == 1
    assert shown(80, document).count("dataset") == 2


def test_each_workspace_has_its_own_tables() -> None:
    text = shown(200, status(stream(), stream(workspace_id=2)))
    assert text.index("workspace 2\n") < text.index("workspace 111528\n")


def test_what_belongs_to_no_stream_is_said_apart() -> None:
    text = shown(80, status(stream("unclassified", 0, arrived=7, rejected=6)))
    assert "blobs that belong to no stream: 7, rejected: 6" in text
    assert "No file of any stream has arrived yet." in text


def test_trouble_is_shown_as_it_is() -> None:
    assert "held by [python] (PID 7)" in shown(80, status(stream(), trouble="held by [python] (PID 7)"))


def test_progress_shows_files_rows_and_bytes_at_80_columns() -> None:
    console, written = terminal(80)
    with screen.progress(console) as emit:
        for dataset in DATASETS:
            its = Stream(111528, dataset)
            emit(Discovered(its, 5_000, 9_876_000_000))
            emit(BatchLoaded(its, "b", 4_000, (), 123_456_789, 5, 9_876_000_000, 1, 2, 0.5))
            emit(FileRejected(its, "x_[v4].parquet", "column 'a': expected [b]"))
    lines = written.getvalue().splitlines()
    last = [line for line in lines if "campaign_actions" in line][-1]
    for word in ("4,001/5,000 files", "123,456,789 rows", "9,876.0 MB"):
        assert word in last, last
    assert any("rejected x_[v4].parquet: column 'a': expected [b]" in line for line in lines)


def test_rejected_files_with_reasons() -> None:
    console, written = terminal(80)
    name = "exports/metrics_v4_111528_1_[2].parquet"
    moment = datetime(2026, 11, 22, 2, 11, tzinfo=UTC)
    record = FileRecord(name, "0x1", 111528, "metrics", 1_234, Status.REJECTED, moment, 1, "column [a] is odd.")
    screen.show_rejected(console, [record], of=9)
    text = written.getvalue()
    for word in (name, "column [a] is odd.", "1,234 bytes", "2026-11-22 02:11:00 UTC", "newest 1 of 9", "replay [BLOB"):
        assert word in text, word


def test_no_rejected_files() -> None:
    console, written = terminal(80)
    screen.show_rejected(console, [])
    assert written.getvalue() == "No file is rejected.\n"


def test_the_tally_says_what_needs_a_person() -> None:
    console, written = terminal(80)
    held = frozenset({Stream(1, "metrics")})
    screen.show_tally(console, Tally(files=3, rejected=1, held=held, unfinished=held))
    text = written.getvalue()
    for word in ("3 files loaded", "1 rejected", "is held by another worker", "is not finished", "ingest rejected"):
        assert word in text, word


def test_errors_and_findings_keep_brackets() -> None:
    console, written = terminal(80)
    screen.show_error(console, IngestError("no [container]", hint="make [one]"))
    screen.show_findings(console, [Finding("a", fine=False, text="[b]"), Finding("c", fine=True, text="d")])
    assert written.getvalue().splitlines() == ["no [container]", "make [one]", "missing a: [b]", "ok      c: d"]
