"""What the dashboard asks of a DuckDB file: files by quarter of an hour, commits by hour, messages by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import duckdb

from ingest.facts import Cell, Hour, MessageCount
from ingest.warehouses.duckdb.rounds import Rounds
from ingest.warehouses.records import cell, hour, message_count, naive


class Activity(Rounds):
    """The checkpoint, as the dashboard needs it. Who looks waits but shortly for the file."""

    def cells(self, since: datetime) -> Sequence[Cell]:
        """Return what became of the files that arrived since a moment, by stream and quarter of an hour."""
        return [cell(row) for row in self._activity("cells", since)]

    def hours(self, since: datetime) -> Sequence[Hour]:
        """Return what was committed since a moment, hour by hour; hours without a commit are left out."""
        return [hour(row) for row in self._activity("hours", since)]

    def messages(self, since: datetime) -> Sequence[MessageCount]:
        """Count the messages that had a metric since a moment, by day, channel and metric; none without the tables."""
        return [message_count(row) for row in self._activity("messages", since)]

    def _activity(self, query: str, since: datetime) -> list[tuple[Any, ...]]:
        with self._cursor(reader=True) as cursor:
            try:
                return cursor.execute(self._sql[query], {"since": naive(since)}).fetchall()
            except duckdb.CatalogException:  # nothing was ever loaded
                return []
