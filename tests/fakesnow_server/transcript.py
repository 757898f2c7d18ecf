"""Write down each statement as it was received, one JSON line each."""

from __future__ import annotations

import json
import threading
from pathlib import Path


class Transcript:
    """A file that grows by a line per statement; without a path nothing is written."""

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.Lock()
        self._file = path.open("a", buffering=1, encoding="utf-8") if path else None

    def note(self, **line: object) -> None:
        """Append a line."""
        if self._file is not None:
            with self._lock:
                self._file.write(json.dumps(line) + "\n")
