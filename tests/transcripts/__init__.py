"""Let the real app work against the stand-in for Snowflake, and read what it said there, as people would read it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from azure.storage.blob import ContainerClient

from ingest.drain import Drain
from ingest.outcomes import Outcome
from ingest.wiring import App, build
from tests import factories
from tests.stand_in import StandIn

FOLDER = Path(__file__).parent
_LEASE = timedelta(hours=1)
"""So long that nobody renews it meanwhile: on a busy machine that would put a statement into some transcripts."""
_VOLATILE = (
    (re.compile(r'"batch":"\w+"'), '"batch":"<batch>"'),
    (re.compile(r"file://\S+/"), "file://<folder>/"),
    (re.compile(r"(?<=container = ')[a-z0-9-]+(?=')"), "<container>"),
    (re.compile(r"'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}'(?=::TIMESTAMP_NTZ)"), "'<midnight>'"),
)
_FILES = re.compile(r"FILES = \([^)]*\)")


@dataclass(frozen=True, slots=True)
class Line:
    """A statement as it was received."""

    sql: str
    tag: str
    session: int
    error: str | None

    @property
    def said(self) -> dict[str, Any]:
        """What the query tag says."""
        return dict(json.loads(self.tag))

    @property
    def whatever_files(self) -> str:
        """The statement without the names of the files."""
        return _FILES.sub("FILES = (...)", steady(self.sql))


class Scene:
    """An account with an empty schema, a container, and apps of one setting at work between them."""

    def __init__(self, server: StandIn, container: str, **settings: str) -> None:
        self.server = server
        self.settings = server.settings(container, **settings)
        self.outcomes: list[Outcome] = []
        self._blobs = ContainerClient.from_connection_string(server.azurite.connection_string, container)
        self._apps: list[App] = []
        server.prepare(self.settings)

    def app(self, act: Callable[[Outcome], None] = lambda outcome: None, **changes: Any) -> App:
        """Build the app as a fresh process does; `act` is called with every outcome, `changes` are fields."""

        def emit(outcome: Outcome) -> None:
            self.outcomes.append(outcome)
            act(outcome)

        built = build(self.settings.model_copy(update=changes), emit)
        parts = built.drain._parts
        app = replace(built, drain=Drain(replace(parts, limits=replace(parts.limits, lease=_LEASE))))
        self._apps.append(app)
        return app

    def warm(self, *sequences: int) -> App:
        """Return an app that has loaded one file, and some others each in a batch of its own."""
        app = self.app()
        for sequence in sequences or (1,):
            self.write(sequence)
            app.drain_everything()
        return app

    def write(self, sequence: int, content: bytes | None = None, **parts: Any) -> str:
        """Write a file of deliveries as Customer.io does; return its name."""
        name = factories.name(sequence=sequence)
        rows = ({"delivery_id": f"{sequence}"}, {"delivery_id": "everywhere", "seq_num": sequence})
        self._blobs.upload_blob(name, content or factories.parquet("deliveries", rows, **parts), overwrite=True)
        return name

    def write_many(self, sequences: Sequence[int], content: bytes) -> str:
        """Write one content as many files; return the name of the last."""
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda sequence: self.write(sequence, content), sequences))[-1]

    def modified(self, name: str) -> Any:
        """Return when a blob was written, to the second."""
        return self._blobs.get_blob_client(name).get_blob_properties().last_modified

    @contextmanager
    def heard(self) -> Iterator[list[Line]]:
        """Give a list that holds, when the context is left, what was said within it."""
        before, lines = len(self._transcript()), list[Line]()
        yield lines
        lines += [
            Line(line["sql"], line["query_tag"], line["session"], line["error"])
            for line in map(json.loads, self._transcript()[before:])
        ]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the schema something."""
        with self.server.connect(self.settings) as connection, connection.cursor() as cursor:
            return list(cursor.execute(query).fetchall())

    def close(self) -> None:
        """Close the apps' sessions."""
        for app in self._apps:
            app.warehouse.close()
        self._blobs.close()

    def _transcript(self) -> list[str]:
        return self.server.transcript.read_text(encoding="utf-8").splitlines()


def steady(text: str) -> str:
    """Put placeholders for what differs from run to run."""
    for pattern, instead in _VOLATILE:
        text = pattern.sub(instead, text)
    return text


def readable(heading: str, lines: Sequence[Line]) -> str:
    """Return statements as a text for people, each with its query tag above it."""
    parts = ["".join(f"-- {line}\n" for line in heading.splitlines())]
    for line in lines:
        answer = "" if line.error is None else f"\n-- answered with error {line.error[:6]}"
        parts.append(f"-- {steady(line.tag)}{answer}\n{steady(line.sql)};\n")
    return "\n".join(parts)
