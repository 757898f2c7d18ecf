"""Faults that tests ask for: errors, HTTP statuses, dropped connections and delays."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Fault:
    """One fault: which statements it befalls, how often, and what happens."""

    do: str
    match: str = ""
    times: int = 1
    skip: int = 0
    after: bool = False
    errno: int = 603
    sqlstate: str = "XX000"
    message: str = "a fault the test asked for"
    status: int = 503
    seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.do not in {"error", "http", "drop", "delay"}:
            raise ValueError(f"no such fault: {self.do}")
        re.compile(self.match)


class Faults:
    """The faults that still wait for their statement."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def plan(self, given: list[dict[str, Any]]) -> None:
        """Replace all faults; an empty list takes them away."""
        faults = [Fault(**one) for one in given]
        with self._lock:
            self._faults = faults

    def next(self, sql: str) -> Fault | None:
        """Take the first fault that befalls a statement."""
        with self._lock:
            for fault in self._faults:
                if fault.times and re.search(fault.match, sql, re.IGNORECASE | re.DOTALL):
                    if fault.skip:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    return fault
        return None

    def left(self) -> int:
        """Count the faults that did not happen yet."""
        with self._lock:
            return sum(fault.times for fault in self._faults)
