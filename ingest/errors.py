"""The errors of the ingestor, and who has to act on each.

    IngestError
    ├── SettingsError            a person mends a setting; nothing was started
    ├── Rejection                terminal, about one file: recorded, its blob kept, replayed after a fix
    │   ├── NameRejected         the blob's name is not one of an export
    │   ├── FileUnreadable       not parquet, cut short, damaged
    │   ├── ContractBroken       columns or values do not fit the dataset
    │   └── BlobGone             deleted before it was loaded
    ├── BlobReplaced             the blob has another ETag now: the newer one is an arrival of its own
    ├── BatchRefused             the warehouse could not take a batch, and cannot say which file is to blame
    │   └── FilesRefused         it can: these files, and why; the others may load
    ├── LeaseLost                another worker took over: roll back and leave
    ├── NotificationFailed       a channel did not take a message: it is sent again at the next round
    └── Retryable                nothing is wrong with the data: the next event, tick or drain tries again
        ├── LandingUnavailable
        │   └── DeletionRefused  the container can be read, but not deleted from
        └── WarehouseUnavailable
            └── WarehouseBusy    somebody else holds the database file

Terminal or retryable is decided where the vendor's error is caught. Unknown means retryable.
"""

from __future__ import annotations

from collections.abc import Mapping


class IngestError(Exception):
    """What went wrong, and the way out, fit for an operator to read."""

    def __init__(self, what: str, *, hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.what} {self.hint}".strip()


class SettingsError(IngestError):
    """A setting is missing or wrong."""


class Rejection(IngestError):
    """One file cannot be taken as it is."""


class NameRejected(Rejection):
    """The blob's name does not parse, or names a dataset nobody knows."""


class FileUnreadable(Rejection):
    """The bytes are not a whole parquet file."""


class ContractBroken(Rejection):
    """A column or value of the file does not fit its dataset."""


class BlobGone(Rejection):
    """The blob was deleted before it was loaded."""


class BlobReplaced(IngestError):
    """The blob was written again since it was listed."""


class BatchRefused(IngestError):
    """The warehouse refused the data of a batch without naming a file."""


class FilesRefused(BatchRefused):
    """The warehouse names the files of a batch that do not load; `blamed` has the reasons by blob name."""

    def __init__(self, blamed: Mapping[str, IngestError]) -> None:
        super().__init__(f"{len(blamed)} files do not load.")
        self.blamed = blamed


class LeaseLost(IngestError):
    """The lease on a stream is another worker's now."""


class NotificationFailed(IngestError):
    """A channel did not take a message."""


class Retryable(IngestError):
    """A later attempt may succeed without anybody's help."""


class LandingUnavailable(Retryable):
    """The landing container did not answer as it should."""


class DeletionRefused(LandingUnavailable):
    """The identity lacks the permission to delete blobs; ingestion goes on."""


class WarehouseUnavailable(Retryable):
    """The warehouse did not answer as it should."""


class WarehouseBusy(WarehouseUnavailable):
    """The warehouse is held by somebody else for longer than we may wait."""
