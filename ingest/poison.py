"""The queue of the blob trigger's messages that the platform gave up on, in Azure Queue Storage.

The trigger's extension puts them into the storage account of the blob, not into that of the host
(azure-sdk-for-net, SharedBlobQueueListenerFactory.cs; azure-functions-host#2794), as base64 of a JSON object
(BlobTriggerMessage.cs) whose `FunctionId` ends with the function's name.
"""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceNotFoundError
from azure.storage.queue import ExponentialRetry, QueueClient, QueueMessage

from ingest.channels import Poison
from ingest.errors import LandingUnavailable
from ingest.settings import AZURITE

QUEUE = "webjobs-blobtrigger-poison"
FUNCTION = "ingest_export"
CONNECTIONS = ("EXPORT_STORAGE", "AzureWebJobsStorage")
"""Settings of the account with the queue: the trigger's, else the host's."""
HIDDEN_SECONDS = 300
PAGE = 32
"""Messages looked at by one request, the most that Azure gives."""

# The SDK writes every request's headers at INFO: floods at best, signatures at worst.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)


class AzurePoisonQueue:
    """The poisoned messages about exports. Those of other functions that use the same queue are left to them."""

    def __init__(self, queue: QueueClient) -> None:
        self._queue = queue

    def take(self, limit: int) -> Sequence[Poison]:
        """Return some messages and hide them for five minutes; those that cannot be read come with empty names.

        The queue's front is looked at first, because taking a message counts against it: behind a full page of
        other functions' messages nothing is found.
        """
        try:
            seen = [_read(message) for message in self._queue.peek_messages(max_messages=PAGE)]
            ours = [place for place, poison in enumerate(seen, 1) if poison is not None][:limit]
            return self._receive(ours[-1], limit) if ours else ()
        except ResourceNotFoundError:
            return ()
        except AzureError as error:
            raise self._translated(error) from error

    def clear(self, messages: Sequence[Poison]) -> None:
        """Remove messages; one that is gone or that somebody else took meanwhile is no trouble."""
        for message in messages:
            try:
                self._queue.delete_message(*message.receipt)
            except AzureError as error:
                if not _taken_by_others(error):
                    raise self._translated(error) from error

    def _receive(self, count: int, limit: int) -> Sequence[Poison]:
        """Take messages off the front, and put those back that are none of ours."""
        taken: list[Poison] = []
        for message in list(
            self._queue.receive_messages(messages_per_page=count, max_messages=count, visibility_timeout=HIDDEN_SECONDS)
        ):
            poison = _read(message)
            if poison is not None and len(taken) < limit:
                taken.append(poison)
            else:
                self._put_back(message)
        return taken

    def _put_back(self, message: QueueMessage) -> None:
        try:
            self._queue.update_message(message.id, message.pop_receipt, visibility_timeout=0)
        except AzureError as error:
            if not _taken_by_others(error):
                raise

    def _translated(self, error: AzureError) -> LandingUnavailable:
        """Say what is in the way. Messages carry no URL: it may hold a signature."""
        status = getattr(error, "status_code", None)
        code = getattr(error, "error_code", None) or status or type(error).__name__
        if isinstance(error, ClientAuthenticationError) or status == HTTPStatus.FORBIDDEN:
            return LandingUnavailable(
                f"the queue {QUEUE!r} refuses us ({code}).",
                hint="Give the identity the role Storage Queue Data Contributor on its storage account.",
            )
        return LandingUnavailable(f"the queue {QUEUE!r} did not answer as it should ({code}).")


def queue_client(environment: Mapping[str, str], connections: Sequence[str] = CONNECTIONS) -> QueueClient | None:
    """Return the queue in the first account that the settings name, by connection string or by identity; else None."""
    options: dict[str, Any] = {
        # A queue that does not answer is told as such in a quarter of a minute, not in minutes.
        "connection_timeout": 5,
        "retry_policy": ExponentialRetry(initial_backoff=1, increment_base=2, retry_total=2),
    }
    for name in connections:
        text = environment.get(name, "").strip()
        if text.rstrip(";") == "UseDevelopmentStorage=true":
            text = AZURITE
        if text:
            try:
                return QueueClient.from_connection_string(text, QUEUE, **options)
            except ValueError:  # of the blobs only
                continue
        if uri := _service_uri(environment, name):
            from azure.identity import DefaultAzureCredential  # noqa: PLC0415  (a quarter of a second where it is not needed)

            credential = DefaultAzureCredential(managed_identity_client_id=environment.get(f"{name}__clientId") or None)
            return QueueClient(uri, QUEUE, credential=credential, **options)
    return None


def _service_uri(environment: Mapping[str, str], name: str) -> str:
    """Return the address of a connection's queues, read as the host reads it."""
    if account := environment.get(f"{name}__accountName"):
        return f"https://{account}.queue.core.windows.net"
    blobs = environment.get(f"{name}__blobServiceUri", "")
    beside = blobs.replace(".blob.", ".queue.", 1) if ".blob." in blobs else ""
    return environment.get(f"{name}__queueServiceUri") or beside


def _read(message: QueueMessage) -> Poison | None:
    """Read a message; None if another function's. What cannot be read has empty names, to be counted and cleared."""
    receipt = (str(message.id), str(message.pop_receipt or ""))
    facts = _facts(str(message.content))
    function = facts.get("FunctionId")
    if not isinstance(function, str):
        return Poison("", "", receipt)
    if function.rpartition(".")[2].casefold() != FUNCTION:
        return None
    container, blob = facts.get("ContainerName"), facts.get("BlobName")
    if not (isinstance(container, str) and isinstance(blob, str)):
        return Poison("", "", receipt)
    return Poison(container, blob, receipt)


def _facts(text: str) -> Mapping[str, Any]:
    """Return the JSON object in a text or in its base64, else nothing."""
    for decode in (str.encode, _from_base64):
        try:
            facts = json.loads(decode(text))
        except (ValueError, RecursionError):
            continue
        if isinstance(facts, dict):
            return facts
    return {}


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _taken_by_others(error: AzureError) -> bool:
    return isinstance(error, ResourceNotFoundError) or getattr(error, "error_code", None) == "PopReceiptMismatch"
