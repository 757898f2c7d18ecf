"""Start the stand-in for Snowflake: python tests/fakesnow_server/server.py --port PORT."""

from __future__ import annotations

import argparse
import ctypes
import importlib
import os
import signal
import sys
import tempfile
import threading
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:] = [str(HERE.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != HERE)]

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of prctl(2)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one; the ready line tells which")
    parser.add_argument(
        "--azurite", metavar="CONNECTION_STRING", help="answers azure:// stages, whatever their account"
    )
    parser.add_argument("--transcript", type=Path, metavar="FILE", help="gets a JSON line per statement")
    parser.add_argument("--idle-transaction", type=float, default=10.0, metavar="SECONDS", help=PATIENCE_HELP)
    parser.add_argument("--detached-transaction", type=float, default=0.3, metavar="SECONDS", help=DETACHED_HELP)
    return parser.parse_args()


PATIENCE_HELP = "a transaction that blocks another one and is idle for so long is rolled back (Snowflake: 300)"
DETACHED_HELP = "the same for one whose client has no connection any more (Snowflake: 300)"


def end_with_parent() -> None:
    """Ask the kernel for a SIGTERM when the parent dies; a no-op where there is no prctl."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGTERM)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    given = arguments()
    end_with_parent()
    warnings.filterwarnings("ignore", "Arrow output on a DB-API result")
    from fakesnow_server import mending
    from fakesnow_server.sessions import Patience, Sessions, Warehouse
    from fakesnow_server.stages import Stages
    from fakesnow_server.transcript import Transcript
    from fakesnow_server.web import Server

    mending.install()
    with tempfile.TemporaryDirectory(prefix="fakesnow_stages_") as folder:
        patience = Patience(given.idle_transaction, given.detached_transaction)
        warehouse = Warehouse(Stages(Path(folder), given.azurite), patience)
        server = Server(given.port, Sessions(warehouse), Transcript(given.transcript))
        ended = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: ended.set())
        if given.azurite:
            threading.Thread(target=importlib.import_module, args=["azure.storage.blob"], daemon=True).start()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        print(f"ready on http://127.0.0.1:{server.server_port} pid {os.getpid()}", flush=True)
        ended.wait()
        server.socket.close()


if __name__ == "__main__":
    main()
    os._exit(0)
