"""What the dashboard asks of Snowflake. The texts stay the same all day, so that a page left open wakes nobody."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ingest.facts import Cell, Hour, MessageCount
from ingest.warehouses.records import cell, hour, message_count
from ingest.warehouses.snowflake.checkpoint import instant
from ingest.warehouses.snowflake.faults import MISSING, Trouble
from ingest.warehouses.snowflake.rounds import Rounds


class Activity(Rounds):
    """The checkpoint, as the dashboard needs it: what is older than asked for is cut off here, not in the query."""

    def cells(self, since: datetime) -> Sequence[Cell]:
        """Return what became of the files that arrived since a moment, by stream and quarter of an hour."""
        return [found for row in self._activity("cells", since) if (found := cell(row)).begin >= since]

    def hours(self, since: datetime) -> Sequence[Hour]:
        """Return what was committed since a moment, hour by hour; hours without a commit are left out."""
        return [found for row in self._activity("hours", since) if (found := hour(row)).begin >= since]

    def messages(self, since: datetime) -> Sequence[MessageCount]:
        """Count the messages that had a metric since a moment, by day, channel and metric; none without the tables."""
        return [found for row in self._activity("messages", since) if (found := message_count(row)).day >= since.date()]

    def _activity(self, query: str, since: datetime) -> list[tuple[Any, ...]]:
        midnight = since.replace(hour=0, minute=0, second=0, microsecond=0)
        try:
            return self._patiently(self._rows, "look at its activity", query, {}, since=instant(midnight))
        except Trouble as trouble:
            if trouble.number != MISSING:
                raise
            return []
