"""Wait for what another thread or process does, bounded, and no longer than it takes."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(true: Callable[[], bool], seconds: float = 20) -> bool:
    """Say whether it becomes true in time; return as soon as it is."""
    deadline = time.monotonic() + seconds
    while not (found := true()) and time.monotonic() < deadline:
        time.sleep(0.01)
    return found
