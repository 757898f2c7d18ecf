"""Do a whole run in a process of its own: `python -m tests.telemetry_run <engine>`, with the events' names on stdin."""

from __future__ import annotations

import logging
import os
import sys

from local.azurite import ROOT
from local.host import open_host


def main() -> None:
    logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
    with open_host(ROOT, dict(os.environ), kind=sys.argv[1], pause=lambda seconds: None) as host:
        for name in sys.stdin.read().split():
            host.notify(name)
        host.settle()
        host.tick("sweep")
        for view in ({}, {"view": "data"}, {"view": "messages"}, {"view": "runbook"}):
            assert host.request("dashboard", params=view).status == 200
        print(host.request("status").body.decode())


if __name__ == "__main__":
    main()
