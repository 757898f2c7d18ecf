"""Name what a language worker is to the host: functions it indexed, and a call that carries a payload."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

WHOLE_BLOB = (
    "its binding makes the platform send the whole blob; annotate the argument as "
    "azurefunctions.extensions.bindings.blob.BlobClient"
)


class AppRejected(Exception):
    """The platform would index no function of this app; the message is the worker's reason."""


class FunctionFailed(Exception):
    """The function raised; the message is what the platform would log, `stack` the traceback as text."""

    def __init__(self, message: str, stack: str = "") -> None:
        super().__init__(message)
        self.stack = stack


@dataclass(frozen=True, slots=True)
class Function:
    """A function as the platform indexed it; `bindings` are those of function.json."""

    name: str
    bindings: tuple[Mapping[str, Any], ...]

    @classmethod
    def from_raw(cls, name: str, raw_bindings: Sequence[str]) -> Function:
        """Read the JSON texts in which both engines describe bindings."""
        return cls(name, tuple(json.loads(text) for text in raw_bindings))

    @property
    def trigger(self) -> Mapping[str, Any]:
        """Give the binding that starts the function."""
        return next(binding for binding in self.bindings if str(binding["type"]).endswith("Trigger"))

    @property
    def trigger_type(self) -> str:
        """Give `blobTrigger`, `timerTrigger`, `httpTrigger` or another of the platform's names."""
        return str(self.trigger["type"])

    @property
    def by_reference(self) -> bool:
        """Say whether the platform sends a reference to the blob in place of its content."""
        return bool(self.trigger.get("properties", {}).get("SupportsDeferredBinding"))


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer of an HTTP function."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reference:
    """Point at a blob: all that crosses from host to worker with an SDK-type binding, no payload."""

    connection: str
    container: str
    name: str
    version: str = "1.0"
    source: str = "AzureStorageBlobs"
    content_type: str = "application/json"

    @property
    def content(self) -> str:
        """Give the JSON text that the blob extension of the platform sends."""
        named = {"Connection": self.connection, "ContainerName": self.container, "BlobName": self.name}
        return json.dumps(named)


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request as the platform hands it to the worker."""

    method: str
    url: str
    query: Mapping[str, str] = field(default_factory=dict)
    route: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class JsonText:
    """A JSON document, as timers get it."""

    text: str


Payload = Reference | HttpCall | JsonText | str
"""What may be handed to a function; a plain `str` is a queue message."""


class Engine(Protocol):
    """A language worker. Calls may come from several threads at once."""

    functions: Mapping[str, Function]

    def call(self, function: Function, payload: Payload, invocation_id: str) -> HttpReply | None:
        """Run one invocation to its end; raise FunctionFailed when the function raises."""

    def close(self) -> None:
        """Let go of threads and global state."""


def load_engine(app_dir: Path, kind: str) -> Engine:
    """Make the engine of that kind (`runtime` or `direct`) index the app.

    Raises AppRejected when the platform would find no functions. The imports are late because `runtime` needs
    a package that exists for Python 3.13 and later only.
    """
    if kind == "runtime":
        from local.host.runtime import RuntimeEngine

        return RuntimeEngine(app_dir)
    from local.host.direct import DirectEngine

    return DirectEngine(app_dir)


def new_invocation_id() -> str:
    """Give an id in the platform's form."""
    return str(uuid.uuid4())


def trace_parent(invocation_id: str) -> str:
    """Begin a trace for an invocation, as the host does: its id is the invocation's."""
    digits = uuid.UUID(invocation_id).hex
    return f"00-{digits}-{digits[16:]}-01"
