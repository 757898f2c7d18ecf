"""Start and stop Azurite, the storage emulator that stands in for Azure on a laptop."""

from __future__ import annotations

import atexit
import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parent.parent
STATE = ROOT / ".local" / "azurite"
ACCOUNT = "devstoreaccount1"
# Azurite's well-known development key: public, the same on every machine, worth nothing outside an emulator.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
USUAL_PORTS = (10000, 10001, 10002)
START_SECONDS = 30.0
STOP_SECONDS = 10.0
PORT_TRIES = 5
# Loaded into Azurite's own process: its stdin is a pipe from us, and the kernel closes that however we die.
# Without the `unref` the open pipe would keep Azurite from ending when it is asked to.
END_WITH_PARENT = 'data:text/javascript,process.stdin.on("close",()=>process.exit()).resume().unref()'

Ports = tuple[int, int, int]


class AzuriteUnavailable(Exception):
    """Azurite could not be started; the message says what to do."""


class PortTaken(AzuriteUnavailable):
    """Another process took one of the ports first."""


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running Azurite: where it listens, its process (group) and where its data lies."""

    blob_port: int
    queue_port: int
    table_port: int
    pid: int
    folder: Path

    @property
    def blob_url(self) -> str:
        """Give the address of the blob service with the account."""
        return f"http://127.0.0.1:{self.blob_port}/{ACCOUNT}"

    @property
    def queue_url(self) -> str:
        """Give the address of the queue service with the account."""
        return f"http://127.0.0.1:{self.queue_port}/{ACCOUNT}"

    @property
    def table_url(self) -> str:
        """Give the address of the table service with the account."""
        return f"http://127.0.0.1:{self.table_port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """Give the connection string for all three services, with the public development key."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.blob_url};QueueEndpoint={self.queue_url};TableEndpoint={self.table_url};"
        )


@contextlib.contextmanager
def running(folder: Path | None = None, *, in_memory: bool = False, ports: Ports | None = None) -> Iterator[Azurite]:
    """Run Azurite until the block ends, or this process dies in whatever way.

    Data goes to `folder`, or to a temporary one that is removed at the end. Without `ports` (blob, queue,
    table) it takes free ones, and others again when another process was faster. Raises AzuriteUnavailable.
    """
    with contextlib.ExitStack() as stack:
        if folder is None:
            folder = Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="azurite-", ignore_cleanup_errors=True))
            )
        azurite, process = launch(folder, in_memory=in_memory, ports=ports, outlive=False)
        end = stack.callback(end_process, process)
        atexit.register(end, process)
        stack.callback(atexit.unregister, end)
        yield azurite


def launch(
    folder: Path, *, in_memory: bool, ports: Ports | None, outlive: bool
) -> tuple[Azurite, subprocess.Popen[bytes]]:
    """Start Azurite and wait until it listens; with `outlive` it stays when this process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "azurite.log"
    for attempt in range(1, PORT_TRIES + 1):
        chosen = ports or free_ports()
        with log.open("wb") as output:
            process = subprocess.Popen(
                command(folder, chosen, in_memory=in_memory, outlive=outlive),
                cwd=folder,
                stdin=subprocess.DEVNULL if outlive else subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_until_listening(process, chosen, log)
            return Azurite(*chosen, pid=process.pid, folder=folder), process
        except PortTaken:
            end_process(process)
            if ports or attempt == PORT_TRIES:
                raise
        except BaseException:
            end_process(process)
            raise
    raise AssertionError("unreachable")


def command(folder: Path, ports: Ports, *, in_memory: bool, outlive: bool) -> list[str]:
    """Give the command that starts the Azurite pinned in package.json."""
    node = shutil.which("node")
    script = ROOT / "node_modules" / ".bin" / "azurite"
    if node is None:
        raise AzuriteUnavailable("Azurite needs Node.js 20 or later and no `node` is on the PATH: install it")
    if not script.exists():
        raise AzuriteUnavailable("Azurite is not installed (no node_modules/.bin/azurite). Run: make setup")
    words = [node] + ([] if outlive else ["--import", END_WITH_PARENT])
    # Current SDKs speak a newer API version than Azurite knows and would get 400 with the check on.
    words += [str(script), "--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    for service, port in zip(("blob", "queue", "table"), ports, strict=True):
        words += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
    return words + (["--inMemoryPersistence"] if in_memory else ["--location", str(folder)])


def free_ports() -> Ports:
    """Give three ports that are free now; nobody holds them for us."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        blob, queue, table = (int(one.getsockname()[1]) for one in sockets)
        return blob, queue, table


def wait_until_listening(process: subprocess.Popen[bytes], ports: Ports, log: Path) -> None:
    """Return when this very Azurite says that it listens on all ports, within START_SECONDS.

    A port that answers is no proof: it could be a stranger's, so only what our own process wrote counts.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        status = process.poll()
        said = log.read_text(errors="replace")
        if "EADDRINUSE" in said:
            raise PortTaken(f"one of Azurite's ports {ports} is taken by another process")
        if status is not None:
            raise AzuriteUnavailable(f"Azurite ended with status {status}: {said.strip()[-500:]}")
        if all(f"successfully listening at http://127.0.0.1:{port}" in said for port in ports):
            return
        time.sleep(0.02)
    raise AzuriteUnavailable(f"Azurite did not answer within {START_SECONDS:.0f} s; see {log.name} in its folder")


def end_process(process: subprocess.Popen[bytes]) -> None:
    """End a child and its group: asked first, so that it saves its data, then forced."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


LEFT_RUNNING: list[subprocess.Popen[bytes]] = []
"""What `start` leaves running: Python warns of children that live on when their Popen is dropped."""


def start(state: Path = STATE, ports: Ports | None = None) -> Azurite:
    """Start an Azurite that stays, or give the one that is running already.

    Without `ports` it takes the usual ones (10000 to 10002), or free ones where those are taken.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = status(state)
        if found is not None:
            return found
        try:
            azurite, process = launch(state / "data", in_memory=False, ports=ports or USUAL_PORTS, outlive=True)
        except PortTaken:
            if ports:
                raise
            azurite, process = launch(state / "data", in_memory=False, ports=None, outlive=True)
        LEFT_RUNNING.append(process)
        record = asdict(azurite) | {"folder": str(azurite.folder)}
        (state / "azurite.json").write_text(json.dumps(record))
        return azurite


def status(state: Path = STATE) -> Azurite | None:
    """Give the Azurite that `start` left running, or None."""
    try:
        record = json.loads((state / "azurite.json").read_text())
        azurite = Azurite(**record | {"folder": Path(record["folder"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return azurite if is_running(azurite) else None


def stop(state: Path = STATE) -> bool:
    """Stop the Azurite that `start` left running; say whether there was one."""
    azurite = status(state)
    if azurite is not None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(azurite.pid, signal.SIGTERM)
        deadline = time.monotonic() + STOP_SECONDS
        while is_running(azurite) and time.monotonic() < deadline:
            time.sleep(0.05)
        if is_running(azurite):
            os.killpg(azurite.pid, signal.SIGKILL)
    (state / "azurite.json").unlink(missing_ok=True)
    return azurite is not None


def is_running(azurite: Azurite) -> bool:
    """Say whether that very Azurite lives: process ids are used again, and a stranger must not be stopped."""
    words = ["ps", "-ww", "-o", "stat=,command=", "-p", str(azurite.pid)]
    seen = subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
    return "azurite" in seen and f"--blobPort {azurite.blob_port} " in seen and not seen.startswith("Z")


cli = typer.Typer(help="Start and stop the Azurite of this project.", no_args_is_help=True)


@cli.command("start")
def start_command(
    blob_port: Annotated[int | None, typer.Option(help="Blob port; queue and table take the next two.")] = None,
) -> None:
    """Start Azurite, or find the one that is running."""
    try:
        azurite = start(ports=(blob_port, blob_port + 1, blob_port + 2) if blob_port else None)
    except AzuriteUnavailable as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(azurite.connection_string)


@cli.command("stop")
def stop_command() -> None:
    """Stop Azurite."""
    typer.echo("Azurite stopped." if stop() else "Azurite was not running.")


@cli.command("status")
def status_command() -> None:
    """Say whether Azurite runs, and where; exit status 1 when it does not."""
    azurite = status()
    if azurite is None:
        typer.echo("Azurite is not running.")
        raise typer.Exit(1)
    typer.echo(f"Azurite runs as process {azurite.pid}; blobs at {azurite.blob_url}")


if __name__ == "__main__":
    cli()
