"""Stand between a client and a server: count what passes, and how often the client waits for an answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

_CHUNK = 1 << 16


@dataclass(slots=True)
class Meter:
    """A port of 127.0.0.1 that passes everything on to another one. `bytes` counts both directions."""

    target: int
    port: int = 0
    round_trips: int = 0
    bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def reset(self) -> None:
        """Count from nothing again."""
        with self._lock:
            self.round_trips = self.bytes = 0

    def serve(self, listener: socket.socket) -> None:
        """Pass connections on until the listener is closed."""
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            line = _Line(self, client, server)
            threading.Thread(target=line.ask, daemon=True).start()
            threading.Thread(target=line.answer, daemon=True).start()

    def passed(self, size: int, *, asked: bool) -> None:
        """Count bytes, and the beginning of a question."""
        with self._lock:
            self.bytes += size
            self.round_trips += asked


class _Line:
    """One connection. A question begins where the client speaks first, or again after an answer."""

    def __init__(self, meter: Meter, client: socket.socket, server: socket.socket) -> None:
        self._meter = meter
        self._client = client
        self._server = server
        self._answered = True

    def ask(self) -> None:
        """Pass on what the client says."""
        for chunk in _chunks(self._client):
            self._meter.passed(len(chunk), asked=self._answered)
            self._answered = False
            self._server.sendall(chunk)
        _end(self._server)

    def answer(self) -> None:
        """Pass on what the server says."""
        for chunk in _chunks(self._server):
            self._meter.passed(len(chunk), asked=False)
            self._answered = True
            self._client.sendall(chunk)
        _end(self._client)


@contextmanager
def metered(target: int) -> Iterator[Meter]:
    """Listen until the context is left."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        meter = Meter(target, port=listener.getsockname()[1])
        threading.Thread(target=meter.serve, args=[listener], daemon=True).start()
        try:
            yield meter
        finally:
            with contextlib.suppress(OSError):  # wakes the thread that waits for a connection
                listener.shutdown(socket.SHUT_RDWR)


def _chunks(source: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while chunk := source.recv(_CHUNK):
            yield chunk


def _end(target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
