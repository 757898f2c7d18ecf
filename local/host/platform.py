"""Be the Functions host of a laptop: settings, host.json, and the triggers of one app over Azurite."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.core.exceptions import AzureError

from local.host.blobs import BlobDispatcher, BlobTrigger, Delivery
from local.host.engine import FunctionFailed, HttpReply
from local.host.schedule import Schedule, ScheduleError
from local.host.settings import HostConfig, SettingsError, load_host_json, resolve
from local.host.worker import Worker, open_worker

POLL_SECONDS = 1.0
log = logging.getLogger(__name__)


class Host:
    """Run one indexed app: blobs, timers, HTTP. Not enforced: functionTimeout, function keys, scale-out."""

    def __init__(
        self,
        worker: Worker,
        settings: Mapping[str, str],
        config: HostConfig,
        pause: Callable[[float], Any],
    ) -> None:
        self.worker, self.config = worker, config
        triggers = [BlobTrigger.of(function, settings) for function in worker.of_type("blobTrigger")]
        self.schedules = {
            function.name: schedule_of(function.name, str(function.trigger["schedule"]), settings)
            for function in worker.of_type("timerTrigger")
        }
        self._ticking = {name: threading.Lock() for name in self.schedules}
        self._blobs = BlobDispatcher(worker, triggers, config, pause)

    def notify(self, name: str, function: str | None = None) -> list[Future[Delivery]]:
        """Take a BlobCreated event for a blob of the watched container."""
        return self._blobs.notify(name, function)

    def scan(self) -> list[Future[Delivery]]:
        """List the watched containers once and invoke for what is new or changed."""
        return self._blobs.scan()

    def settle(self, timeout: float = 60) -> None:
        """Wait until no blob invocation is open."""
        self._blobs.settle(timeout)

    def tick(self, function: str, *, past_due: bool = False) -> bool:
        """Run a timer function now; say False when it runs already, since the platform runs one at a time.

        Raises FunctionFailed when the function raises.
        """
        lock = self._ticking.get(function)
        if lock is None:
            raise LookupError(
                f"no timer function {function!r} (there is: {', '.join(sorted(self._ticking)) or 'none'})"
            )
        if not lock.acquire(blocking=False):
            return False
        try:
            self.worker.invoke_timer(function, past_due=past_due)
        finally:
            lock.release()
        return True

    def request(
        self,
        route: str,
        method: str = "GET",
        params: Mapping[str, str] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> HttpReply:
        """Answer an HTTP request to a route, without its prefix. The function key is not checked."""
        return self.worker.invoke_http(route, method, params, headers=headers, body=body)

    def run(self, stop: threading.Event, poll_seconds: float = POLL_SECONDS) -> None:
        """Watch the containers and keep the timers until `stop` is set."""
        due = {name: schedule.next_after(datetime.now(UTC)) for name, schedule in self.schedules.items()}
        for function in self.worker.of_type("timerTrigger"):
            if function.trigger.get("runOnStartup"):
                due[function.name] = datetime.now(UTC)
        with ThreadPoolExecutor(max(1, len(due)), thread_name_prefix="timer") as timers:
            while not stop.is_set():
                now = datetime.now(UTC)
                for name in [name for name, moment in due.items() if moment <= now]:
                    due[name] = self.schedules[name].next_after(now)
                    timers.submit(self._tick_quietly, name)
                try:
                    self.scan()
                except AzureError as error:
                    log.warning("the container could not be listed: %s", type(error).__name__)
                # A listing of thousands takes a while: leave the machine to the work.
                stop.wait(max(poll_seconds, 2 * (datetime.now(UTC) - now).total_seconds()))

    def close(self) -> None:
        """Start nothing more and wait for the invocations that run."""
        self._blobs.close()

    def _tick_quietly(self, name: str) -> None:
        try:
            if not self.tick(name):
                log.info("%s still runs; this tick is left out", name)
        except FunctionFailed as failed:
            log.error("%s failed: %s", name, failed)


def schedule_of(function: str, text: str, settings: Mapping[str, str]) -> Schedule:
    """Resolve and read a timer's schedule; raise SettingsError when it is missing or wrong."""
    try:
        return Schedule.parse(resolve(text, settings, f"the schedule of {function}"))
    except ScheduleError as error:
        raise SettingsError(f"the schedule of {function}: {error}") from error


@contextlib.contextmanager
def open_host(
    app_dir: Path,
    settings: Mapping[str, str],
    *,
    kind: str | None = None,
    pause: Callable[[float], Any] | None = None,
) -> Iterator[Host]:
    """Open the app as the platform would, with nothing running yet; `pause` waits between attempts.

    The default pause ends early when the host closes. Raises SettingsError and AppRejected.
    """
    config = load_host_json(app_dir)
    closing = threading.Event()
    with open_worker(app_dir, settings, kind, route_prefix=config.route_prefix) as worker:
        host = Host(worker, settings, config, pause or closing.wait)
        try:
            yield host
        finally:
            closing.set()
            host.close()
