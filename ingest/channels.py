"""What the sweep needs of the world beside container and warehouse: channels, poisoned events, Customer.io's access."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """What people are told. `severity` is `critical`, `warning` or `fine` (a recovery)."""

    title: str
    text: str
    severity: str


class Notifier(Protocol):
    """Where messages go. A channel's name is stable and holds no secret."""

    def channels(self) -> Sequence[str]:
        """Return the names of the channels, in the order of the setting."""
        ...

    def send(self, channel: str, message: Message) -> None:
        """Send a message through one channel. Raises NotificationFailed."""
        ...


@dataclass(frozen=True, slots=True)
class Poison:
    """A message that the platform gave up on: the blob its event named, and what clears it."""

    container: str
    blob_name: str
    receipt: tuple[str, str]
    """Message id and pop receipt."""


class PoisonQueue(Protocol):
    """The messages about blobs that the functions failed on again and again."""

    def take(self, limit: int) -> Sequence[Poison]:
        """Return some messages and hide them for a while; none where there is no queue. Raises LandingUnavailable."""
        ...

    def clear(self, messages: Sequence[Poison]) -> None:
        """Remove messages that were dealt with."""
        ...


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """The stored access policy behind Customer.io's SAS. `missing` are permissions it lacks, by name."""

    name: str
    expires_at: datetime | None
    missing: tuple[str, ...]


class Access(Protocol):
    """The right that Customer.io writes with."""

    def policies(self) -> Sequence[AccessPolicy]:
        """Return the stored access policy behind its SAS, or nothing. Raises LandingUnavailable."""
        ...
