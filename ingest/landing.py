"""The landing container in Azure Blob Storage, through one cached client."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.core.pipeline import PipelineResponse
from azure.storage.blob import ContainerClient

from ingest.arrivals import Blob
from ingest.errors import BlobGone, BlobReplaced, DeletionRefused, IngestError, LandingUnavailable

CHUNK = 8 * 1024 * 1024
"""Bytes asked for at once; what a download holds in memory is a few of these."""
BATCH = 256
"""Blobs deleted by one request, the most that Azure takes."""
_GONE = {HTTPStatus.ACCEPTED, HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED}
"""Deleted just now, before, or replaced by another: these bytes are gone."""
PAGE = 5000
"""Blobs listed at once, the most that Azure gives."""

# The SDK writes every request's headers at INFO: floods at best, signatures at worst.
logging.getLogger("azure.core.pipeline.policies.http_logging_policy").setLevel(logging.WARNING)


class AzureLanding:
    """The container Customer.io writes into."""

    def __init__(self, container: ContainerClient, prefix: str) -> None:
        self._container = container
        self._prefix = prefix

    def pages(self, beginnings: Sequence[str] = ()) -> Iterator[Sequence[Blob]]:
        """List the blobs under the prefix, or only those whose names begin so, a page at a time.

        The SDK's full listing spends a fifth of a millisecond on each blob, which is a second per page; its listing of
        names asks for the same answer, so the answer is read here.
        """
        answers: list[bytes] = []

        def keep(response: PipelineResponse[Any, Any]) -> None:
            answers[:] = [response.http_response.body()]

        try:
            for beginning in self._within_prefix(beginnings):
                listing = self._container.list_blob_names(
                    name_starts_with=beginning or None, results_per_page=PAGE, raw_response_hook=keep
                )
                for names in listing.by_page():
                    yield self._blobs(list(names), answers.pop())
        except AzureError as error:
            raise self._translated(error) from error

    def download(self, blob: Blob, path: Path) -> None:
        """Copy the blob at the ETag it was listed with into a file, chunk by chunk."""
        try:
            stream = self._container.download_blob(
                blob.name, etag=blob.etag, match_condition=MatchConditions.IfNotModified, max_concurrency=1
            )
            with path.open("wb") as file:
                for chunk in stream.chunks():
                    file.write(chunk)
        except ResourceModifiedError as error:
            raise self._replaced_or_gone(blob) from error
        except AzureError as error:
            raise self._translated(error, blob) from error
        if path.stat().st_size != blob.size:
            raise LandingUnavailable(f"{blob.name!r} came with another length than listed.", hint="It is tried again.")

    @property
    def container(self) -> str:
        """Its name."""
        return str(self._container.container_name)

    def delete(self, blobs: Sequence[Blob]) -> None:
        """Delete blobs that are still there at the ETag they were listed with, some hundreds by one request."""
        for first in range(0, len(blobs), BATCH):
            self._delete(blobs[first : first + BATCH])

    def _delete(self, blobs: Sequence[Blob]) -> None:
        conditions = [
            {"name": blob.name, "etag": blob.etag, "match_condition": MatchConditions.IfNotModified} for blob in blobs
        ]
        try:
            answers = [
                answer.status_code for answer in self._container.delete_blobs(*conditions, raise_on_any_failure=False)
            ]
        except AzureError as error:
            refused = getattr(error, "status_code", None) == HTTPStatus.FORBIDDEN
            raise (self._no_deleting() if refused else self._translated(error)) from error
        if HTTPStatus.FORBIDDEN in answers:
            raise self._no_deleting()
        if unexpected := set(answers) - _GONE:
            raise LandingUnavailable(
                f"the container {self.container!r} answered {min(unexpected)} to deletions.",
                hint="They are tried again.",
            )

    def _no_deleting(self) -> DeletionRefused:
        return DeletionRefused(
            f"the container {self.container!r} lets us delete nothing.",
            hint="Give the identity the role Storage Blob Data Contributor on it, or keep all: DELETE_AFTER_HOURS=0.",
        )

    def end_of(self, blob: Blob, length: int) -> bytes:
        """Return the last bytes of the blob at the ETag it was listed with."""
        length = min(length, blob.size)
        try:
            return self._container.download_blob(
                blob.name,
                offset=blob.size - length,
                length=length,
                etag=blob.etag,
                match_condition=MatchConditions.IfNotModified,
            ).readall()
        except ResourceModifiedError as error:
            raise self._replaced_or_gone(blob) from error
        except AzureError as error:
            raise self._translated(error, blob) from error

    def stand_by(self, blob: Blob) -> None:
        """Make sure that the blob is still there at the ETag it was listed with."""
        try:
            self._container.get_blob_client(blob.name).get_blob_properties(
                etag=blob.etag, match_condition=MatchConditions.IfNotModified
            )
        except ResourceModifiedError as error:
            raise self._replaced_or_gone(blob) from error
        except AzureError as error:
            raise self._translated(error, blob) from error

    def check(self) -> None:
        """Ask for one blob's name. Raises LandingUnavailable with what is in the way."""
        try:
            next(self._container.list_blobs(results_per_page=1).by_page(), None)
        except AzureError as error:
            raise self._translated(error) from error

    def _within_prefix(self, beginnings: Sequence[str]) -> Sequence[str]:
        if not beginnings or any(self._prefix.startswith(beginning) for beginning in beginnings):
            return [self._prefix]
        kept: list[str] = []
        for beginning in sorted(beginnings):
            if beginning.startswith(self._prefix) and not (kept and beginning.startswith(kept[-1])):
                kept.append(beginning)
        return kept

    def _blobs(self, names: Sequence[str], answer: bytes) -> list[Blob]:
        """Put the names of a page together with the properties in its answer."""
        found = ET.fromstring(answer.decode("utf-8-sig")).iter("Blob")  # noqa: S314  (our own account's answer)
        return [
            Blob(
                container=self._container.container_name,
                name=name,
                etag=(element.findtext("Properties/Etag") or "").strip('"'),
                size=int(element.findtext("Properties/Content-Length") or 0),
                modified=parsedate_to_datetime(element.findtext("Properties/Last-Modified") or ""),
            )
            for name, element in zip(names, found, strict=True)
        ]

    def _replaced_or_gone(self, blob: Blob) -> IngestError:
        """Tell why the ETag no longer matches: a condition upon a blob that is gone fails in the same way."""
        try:
            there = self._container.get_blob_client(blob.name).exists()
        except AzureError as error:
            return self._translated(error)
        return BlobReplaced(f"{blob.name!r} was replaced since it was listed.") if there else _gone(blob)

    def _translated(self, error: AzureError, blob: Blob | None = None) -> IngestError:
        """Tell terminal from retryable. Messages carry no URL: it may hold a signature."""
        name = self._container.container_name
        if isinstance(error, ResourceNotFoundError):
            if blob is not None and getattr(error, "error_code", None) != "ContainerNotFound":
                return _gone(blob)
            return LandingUnavailable(
                f"the container {name!r} does not exist.", hint="Create it, or set EXPORT_CONTAINER to the right name."
            )
        code = getattr(error, "error_code", None) or getattr(error, "status_code", None) or type(error).__name__
        if isinstance(error, ClientAuthenticationError) or getattr(error, "status_code", None) == HTTPStatus.FORBIDDEN:
            return LandingUnavailable(
                f"the container {name!r} refuses us ({code}).",
                hint="Give the identity the role Storage Blob Data Contributor on it, or mend EXPORT_STORAGE.",
            )
        return LandingUnavailable(f"the container {name!r} did not answer as it should ({code}).", hint="")


def _gone(blob: Blob) -> BlobGone:
    return BlobGone(
        f"{blob.name!r} was deleted before it was loaded.",
        hint="Have it exported again, and look for a lifecycle rule that deletes too early.",
    )
