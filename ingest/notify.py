"""Messages to people through Apprise: Slack, Teams, mail, PagerDuty, webhooks and whatever else it knows."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from ingest.channels import Message
from ingest.errors import NotificationFailed, SettingsError

if TYPE_CHECKING:
    from apprise import Apprise

LIMIT = 10.0
"""Seconds that a sweep waits for one channel."""
PACE = 1.2
"""Seconds between two requests to a channel at the most; where Apprise knows nothing better, it would take 5.5."""
_SECRETIVE = ("oauthlib", "requests_oauthlib")
"""Loggers that write tokens at DEBUG."""
_sending = threading.local()


def parse_urls(text: str) -> tuple[str, ...]:
    """Split a text into Apprise's URLs, at white space and `;`: commas are part of URLs.

    Raises SettingsError for one that Apprise cannot take, by its place and scheme: the rest of it is secret.
    """
    urls = tuple(dict.fromkeys(part for part in re.split(r"[\s;]+", text) if part))
    for place, url in enumerate(urls, 1):
        _channel(url, place)
    return urls


class Nobody:
    """The notifier of an app without ALERT_URLS: alerts are kept and logged, and sent nowhere."""

    def channels(self) -> Sequence[str]:
        """Return none."""
        return ()

    def send(self, channel: str, message: Message) -> None:
        """Send nothing: no channel is ever owed anything."""


class AppriseNotifier:
    """The channels behind `ALERT_URLS`."""

    def __init__(self, urls: Sequence[str], *, limit: float = LIMIT) -> None:
        self._channels = dict(_channel(url, place) for place, url in enumerate(urls, 1))
        self._limit = limit
        self._under_way: dict[str, threading.Thread] = {}

    def channels(self) -> Sequence[str]:
        """Return the names of the channels, in the order of the setting."""
        return tuple(self._channels)

    def send(self, channel: str, message: Message) -> None:
        """Send a message through one channel, in a thread of its own: a channel that hangs is left behind.

        What is left behind may still arrive, and arrives again when it is sent again.
        """
        service, before = self._channels.get(channel), self._under_way.get(channel)
        if service is None:
            raise NotificationFailed(f"there is no channel {channel!r} in ALERT_URLS.")
        if before is not None and before.is_alive():
            raise _failed(channel, "still busy with an earlier message")
        answer: SimpleQueue[str] = SimpleQueue()
        thread = threading.Thread(target=_deliver, args=(service, message, answer), daemon=True)
        self._under_way[channel] = thread
        thread.start()
        try:
            kind = answer.get(timeout=self._limit)
        except Empty:
            kind = f"no answer within {self._limit:g} s"
        if kind:
            raise _failed(channel, kind)


def _deliver(service: Apprise, message: Message, answer: SimpleQueue[str]) -> None:
    """Answer with the kind of failure, or with nothing when the message was taken."""
    from apprise import NotifyFormat, NotifyType  # noqa: PLC0415  (slow, and only needed with ALERT_URLS)

    kinds = {"critical": NotifyType.FAILURE, "warning": NotifyType.WARNING, "fine": NotifyType.SUCCESS}
    _silence()  # again, for loggers that came with the channel's plugin
    said: list[str] = []
    _sending.said = said
    try:
        taken = service.notify(
            body=message.text,
            title=message.title,
            notify_type=kinds.get(message.severity, NotifyType.INFO),
            body_format=NotifyFormat.TEXT,
        )
    except Exception as error:  # noqa: BLE001  (a plugin may raise anything; its text may hold the URL)
        answer.put(type(error).__name__)
    else:
        answer.put("" if taken else _kind(" ".join(said)))


def _kind(said: str) -> str:
    """Tell the kind of failure from what Apprise logged, and nothing else of that: it holds addresses."""
    if code := re.search(r"\berror=(\d{3})\b|Socket Exception: \((\d{3}),", said):
        return f"it answered {code[1] or code[2]}"
    if "timed out" in said:
        return "it did not answer in time"
    return "it was not reached" if "onnection error" in said else "it refused"


def _failed(channel: str, kind: str) -> NotificationFailed:
    return NotificationFailed(
        f"the channel {channel!r} did not take a message: {kind}.",
        hint="It is sent again at the next round. If that goes on, mend the channel or its URL in ALERT_URLS.",
    )


def _channel(url: str, place: int) -> tuple[str, Apprise]:
    """Return a channel's name and what sends to it. Raises SettingsError without the URL."""
    from apprise import Apprise, AppriseAsset, OverflowMode  # noqa: PLC0415  (slow, and only needed with ALERT_URLS)

    _silence()
    # A redirected POST becomes a GET: the channel would say yes, and the message would be gone.
    asset = AppriseAsset(app_id="Customer.io ingest", async_mode=False, service_timeout=0, http_redirects=False)
    plugin = None if _several(url) else Apprise.instantiate(url, asset=asset)
    if plugin is None:
        raise _unusable(url, place)
    plugin.optional = False  # or else a failure would count as a success
    plugin.request_rate_per_sec = min(plugin.request_rate_per_sec, PACE)
    plugin.socket_connect_timeout = min(plugin.socket_connect_timeout, LIMIT)
    plugin.socket_read_timeout = min(plugin.socket_read_timeout, LIMIT)
    if "overflow=" not in url:
        plugin.overflow_mode = OverflowMode.SPLIT
    service = Apprise(asset=asset)
    service.add(plugin)
    return _name(url, plugin), service


def _name(url: str, plugin: Any) -> str:
    """Return the same name in every process, with too little of the URL in it to tell its secret."""
    scheme, schemes = _scheme(url), plugin.schemas()
    digest = hashlib.sha256(url.encode()).hexdigest()[:6]
    return f"{scheme if scheme in schemes else min(schemes, default='channel')}-{digest}"


def _scheme(url: str) -> str:
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]{0,20})://", url)
    return found[1].lower() if found else ""


def _several(url: str) -> bool:
    """Tell whether commas were taken for separators: Apprise would take the first URL and swallow the rest."""
    return url.endswith(",") or re.search(r",[A-Za-z][A-Za-z0-9+.-]*://", url) is not None


def _unusable(url: str, place: int) -> SettingsError:
    scheme = f"{_scheme(url)}://" if _scheme(url) else "without a scheme"
    return SettingsError(
        f"ALERT_URLS: Apprise cannot use URL number {place} ({scheme}).",
        hint="Separate URLs by spaces or `;`, and see https://appriseit.com for how each service's URL is written.",
    )


def _silence() -> None:
    """Keep secrets out of the logs: Apprise writes URLs, and the HTTP library under it the paths of requests."""
    apprise = logging.getLogger("apprise")
    apprise.setLevel(logging.DEBUG)
    apprise.addFilter(_overhear)
    for name in list(logging.Logger.manager.loggerDict):
        if name.startswith("urllib3."):  # a filter is not handed down from logger to logger
            logging.getLogger(name).addFilter(_of_others)
    for name in _SECRETIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _overhear(record: logging.LogRecord) -> bool:
    """Let no handler have the record; keep for `_kind` what it says of a failure while a message is sent."""
    if (said := getattr(_sending, "said", None)) is not None:
        text = record.getMessage()
        if record.levelno >= logging.WARNING or text.startswith("Socket Exception"):
            said.append(text)
    return False


def _of_others(record: logging.LogRecord) -> bool:  # noqa: ARG001  (a filter's signature)
    return not hasattr(_sending, "said")
