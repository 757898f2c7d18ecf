"""Turn blobs into invocations: bounded, tried again, and set aside on the poison queue in the end."""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import ContainerClient

from local.host.engine import WHOLE_BLOB, AppRejected, Function, FunctionFailed
from local.host.queues import put_message
from local.host.settings import HostConfig, connection, resolve
from local.host.worker import Worker

POISON_QUEUE = "webjobs-blobtrigger-poison"
RETRY_SECONDS = 4.0
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class BlobTrigger:
    """A blob function with its binding resolved: which blobs of which container start it."""

    function: str
    container: str
    pattern: re.Pattern[str]
    connection_string: str
    from_events: bool

    @classmethod
    def of(cls, function: Function, settings: Mapping[str, str]) -> BlobTrigger:
        """Resolve the binding.

        Raises AppRejected for a binding that carries whole blobs, SettingsError for a setting that is
        missing.
        """
        binding = function.trigger
        if not function.by_reference:
            raise AppRejected(f"{function.name}: {WHOLE_BLOB}")
        path = resolve(str(binding["path"]), settings, f"the blob path of {function.name}")
        container, _, rest = path.partition("/")
        pieces = re.split(r"\{[^{}]+\}", rest or "{name}")
        pattern = re.compile("(.+)".join(re.escape(piece) for piece in pieces))
        text = connection(str(binding["connection"]), settings, f"the blob trigger of {function.name}")
        return cls(function.name, container, pattern, text, binding.get("source") == "EventGrid")


@dataclass(frozen=True, slots=True)
class Delivery:
    """How an invocation for a blob ended: after how many attempts, and with which error."""

    function: str
    blob_name: str
    attempts: int
    poisoned: bool = False
    error: str | None = None


class BlobDispatcher:
    """Own the thread pool and what was seen of the containers.

    `pause` waits the given seconds and says True when the host closes meanwhile. A blob that waits for its
    next attempt keeps its thread, where in Azure it would be a hidden message: with many failing blobs this
    is slower.
    """

    def __init__(
        self,
        worker: Worker,
        triggers: Iterable[BlobTrigger],
        config: HostConfig,
        pause: Callable[[float], Any],
    ) -> None:
        self._worker, self._config, self._pause = worker, config, pause
        self._triggers = list(triggers)
        self._pool = ThreadPoolExecutor(config.concurrency, thread_name_prefix="blob-trigger")
        self._seen: dict[str, dict[str, str]] = {}
        self._open: set[Future[Delivery]] = set()
        self._lock = threading.Lock()

    def notify(self, name: str, function: str | None = None) -> list[Future[Delivery]]:
        """Take a BlobCreated event: one invocation per function whose path fits, however often it comes."""
        wanted = [trigger for trigger in self._triggers if function in (None, trigger.function)]
        return [self._submit(trigger, name) for trigger in wanted if trigger.pattern.fullmatch(name)]

    def scan(self) -> list[Future[Delivery]]:
        """List the containers once; invoke for each blob that is new or has another ETag than before.

        The first listing raises nothing for a trigger fed by events: Event Grid does not tell of the past
        either.
        """
        found = []
        for trigger in self._triggers:
            listed = self._list(trigger)
            before = self._seen.get(trigger.function)
            self._seen[trigger.function] = listed
            if before is None and trigger.from_events:
                continue
            fresh = [name for name, etag in listed.items() if (before or {}).get(name) != etag]
            found += [self._submit(trigger, name) for name in fresh if trigger.pattern.fullmatch(name)]
        return found

    def settle(self, timeout: float = 60) -> None:
        """Wait until every invocation has ended; raise TimeoutError after `timeout` seconds."""
        with self._lock:
            pending = set(self._open)
        if wait(pending, timeout).not_done:
            raise TimeoutError(f"blob invocations still run after {timeout:.0f} s")

    def close(self) -> None:
        """Start no more invocations and wait for those that run."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _submit(self, trigger: BlobTrigger, name: str) -> Future[Delivery]:
        future = self._pool.submit(self._deliver, trigger, name)
        with self._lock:
            self._open.add(future)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: Future[Delivery]) -> None:
        with self._lock:
            self._open.discard(future)
        failure = None if future.cancelled() else future.exception()
        if failure is not None:
            log.error("a blob invocation could not be made: %s", failure)

    def _deliver(self, trigger: BlobTrigger, name: str) -> Delivery:
        error = ""
        for attempt in range(1, self._config.blob_attempts + 1):
            if attempt > 1 and self._pause(RETRY_SECONDS):
                # The host closes. In Azure the message would come back to another instance: no poison yet.
                return Delivery(trigger.function, name, attempt - 1, error=error)
            try:
                self._worker.invoke_blob(trigger.function, trigger.container, name)
            except FunctionFailed as failed:
                error = str(failed)
                log.warning(
                    "%s failed, attempt %d of %d: %s",
                    trigger.function,
                    attempt,
                    self._config.blob_attempts,
                    error,
                )
            else:
                return Delivery(trigger.function, name, attempt)
        put_message(trigger.connection_string, POISON_QUEUE, poison_message(trigger, name, etag_of(trigger, name)))
        log.error("%s gave up on a blob; it is on the queue %s", trigger.function, POISON_QUEUE)
        return Delivery(trigger.function, name, self._config.blob_attempts, poisoned=True, error=error)

    def _list(self, trigger: BlobTrigger) -> dict[str, str]:
        with ContainerClient.from_connection_string(trigger.connection_string, trigger.container) as client:
            try:
                return {str(blob.name): str(blob.etag).strip('"') for blob in client.list_blobs()}
            except ResourceNotFoundError:
                # The container may be created after the host has started.
                return {}


def etag_of(trigger: BlobTrigger, name: str) -> str:
    """Give the blob's ETag without quotes, or nothing when the blob is gone."""
    with ContainerClient.from_connection_string(trigger.connection_string, trigger.container) as client:
        try:
            return str(client.get_blob_client(name).get_blob_properties().etag).strip('"')
        except ResourceNotFoundError:
            return ""


def poison_message(trigger: BlobTrigger, name: str, etag: str) -> str:
    """Write the message in the shape of the blob extension (BlobTriggerMessage in azure-sdk-for-net)."""
    return json.dumps(
        {
            "Type": "BlobTrigger",
            "FunctionId": f"Host.Functions.{trigger.function}",
            "BlobType": "BlockBlob",
            "ContainerName": trigger.container,
            "BlobName": name,
            "ETag": etag,
        }
    )
