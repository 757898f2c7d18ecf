"""Run the workers' contract over the stand-in worker, on every Python."""

from __future__ import annotations

from tests.local.host_contract import WorkerContract


class TestDirect(WorkerContract):
    kind = "direct"
