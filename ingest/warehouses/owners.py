"""Who holds a lease: a process of a machine, so that a dead owner is known for dead and delays nobody."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def owner_of_this_process() -> str:
    """Return who we are in a lease: machine, process and its start, so that a dead owner is known for dead."""
    pid = os.getpid()
    return f"{socket.gethostname()}/{pid}/{_started(pid)}"


def gone(owner: str) -> bool:
    """Tell whether an owner is a process of this machine that no longer runs. Where in doubt, it is not."""
    host, _, rest = owner.partition("/")
    pid, _, started = rest.partition("/")
    if host != socket.gethostname() or not pid.isdigit() or not started.split("/")[0]:
        return False
    return _started(int(pid)) != started.split("/")[0]


def _started(pid: int) -> str:
    """Return when a process started, in clock ticks since boot; empty where there is no such process or no /proc."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return ""
