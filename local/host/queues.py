"""Put messages on a storage queue and look at them, over REST: no more of a queue is needed here."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from urllib.parse import quote
from xml.sax.saxutils import escape

from azure.storage.blob import AccountSasPermissions, ResourceTypes, Services, generate_account_sas

API_VERSION = "2021-12-02"
TIMEOUT_SECONDS = 10


def put_message(connection_string: str, queue: str, text: str) -> None:
    """Put a message on the queue, which is created when missing; base64, as the blob extension writes it."""
    send(connection_string, "PUT", queue)
    encoded = base64.b64encode(text.encode()).decode()
    body = f"<QueueMessage><MessageText>{escape(encoded)}</MessageText></QueueMessage>"
    send(connection_string, "POST", f"{queue}/messages", body.encode())


def peek_messages(connection_string: str, queue: str, count: int = 32) -> list[str]:
    """Give the texts of the first messages without taking them; none when the queue does not exist."""
    try:
        answer = send(connection_string, "GET", f"{queue}/messages", query=f"peekonly=true&numofmessages={count}")
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return []
        raise
    return [base64.b64decode(found.text or "").decode() for found in ET.fromstring(answer).iter("MessageText")]


def send(connection_string: str, method: str, path: str, body: bytes | None = None, query: str = "") -> bytes:
    """Send one request, signed for a few minutes with the account's key."""
    url, account, key = endpoint(connection_string)
    sas = generate_account_sas(
        account,
        key,
        ResourceTypes(service=True, container=True, object=True),
        AccountSasPermissions(read=True, write=True, list=True, add=True, create=True),
        datetime.now(UTC) + timedelta(minutes=5),
        services=Services(queue=True),
    )
    request = urllib.request.Request(
        f"{url}/{quote(path)}?{query}{'&' if query else ''}{sas}",
        data=body,
        method=method,
        headers={
            "x-ms-version": API_VERSION,
            "Content-Type": "application/xml",
            "Content-Length": str(len(body or b"")),
        },
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
        return bytes(answer.read())


def endpoint(connection_string: str) -> tuple[str, str, str]:
    """Give the queue service's address, the account and its key."""
    parts = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
    account, key = parts["AccountName"], parts["AccountKey"]
    protocol, suffix = (
        parts.get("DefaultEndpointsProtocol", "https"),
        parts.get("EndpointSuffix", "core.windows.net"),
    )
    url = parts.get("QueueEndpoint") or f"{protocol}://{account}.queue.{suffix}"
    return url.rstrip("/"), account, key
