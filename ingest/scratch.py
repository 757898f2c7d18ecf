"""Folders on the instance's disk that end with the process, even one that was killed."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

_NAME = re.compile(r"ingest-[a-z]+-(?P<pid>\d+)-.+")


def folder(purpose: str) -> Path:
    """Make a folder of this process's for one purpose (a word)."""
    return Path(tempfile.mkdtemp(prefix=f"ingest-{purpose}-{os.getpid()}-"))


def remove_leftovers() -> None:
    """Free what killed processes left: a crash loop would fill the disk."""
    for found in Path(tempfile.gettempdir()).glob("ingest-*"):
        name = _NAME.fullmatch(found.name)
        if name is not None and not _runs(int(name["pid"])):
            shutil.rmtree(found, ignore_errors=True)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # somebody else's
    return True
