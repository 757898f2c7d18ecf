"""Prove the promises over any history: order, repetition, overlap of workers, a crash at every step."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ingest.warehouses.duckdb import warehouse
from tests.histories import Histories


@pytest.mark.parametrize("large_table", [None, 0], ids=["searching", "remembering"])
def test_any_history_ends_in_the_ascending_replay(large_table: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run it as small tables are searched, and as large ones are: by what the process remembers of their keys."""
    if large_table is not None:
        monkeypatch.setattr(warehouse, "LARGE_TABLE", large_table)
        monkeypatch.setattr(warehouse, "SMALL_BATCH", float("inf"))
    run_state_machine_as_test(
        Histories,
        settings=settings(
            max_examples=30,
            stateful_step_count=10,
            deadline=None,
            phases=(Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
