"""Stages: folders of this machine for internal ones, containers of Azurite for those with an azure:// address."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import format_datetime, formatdate
from pathlib import Path
from typing import Any

from fakesnow.expr import normalise_ident

from fakesnow_server.errors import SnowflakeError, no_such, syntax

NAME = r'(?:"[^"]+"|[\w$]+)'
LOCATION = re.compile(rf"@(?P<stage>~|(?:{NAME}\.){{0,2}}%?{NAME})(?:/(?P<path>.*))?", re.DOTALL)
AZURE = re.compile(r"azure://(?P<host>[^/]+)/(?P<container>[^/]+)/?(?P<prefix>.*)")
DOWNLOADS_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Stage:
    """A named stage; without `url` it is internal."""

    database: str
    schema: str
    name: str
    url: str = ""
    integration: str = ""
    file_format: str = ""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file on a stage: as results name it, as METADATA$FILENAME does, and what LIST tells."""

    shown: str
    metadata_name: str
    size: int
    md5: str
    modified: str


@dataclass(frozen=True, slots=True)
class LocalCopy:
    """A staged file on this machine, with the time of its last change as METADATA$FILE_LAST_MODIFIED tells it."""

    path: Path
    modified: dt.datetime


class Place:
    """A location on a stage: where its files lie and how they are named."""

    def __init__(self, root: str, shown: str) -> None:
        self.root = root
        self.shown = shown

    def list(self) -> Iterator[StagedFile]:
        """Give the files whose names start with this location."""
        raise NotImplementedError

    def fetch(self, names: list[str], into: Path) -> list[LocalCopy | None]:
        """Give local copies of the named files, None for those that are missing."""
        raise NotImplementedError

    def remove(self, metadata_name: str) -> None:
        """Delete a file."""
        raise NotImplementedError

    def of(self, relative: str) -> str:
        """Give the METADATA$FILENAME of a file named in FILES."""
        raise NotImplementedError


class Folder(Place):
    """A location on an internal stage."""

    def __init__(self, home: Path, root: str, shown: str) -> None:
        super().__init__(root, shown)
        self.home = home

    def of(self, relative: str) -> str:
        """Give the METADATA$FILENAME of a file named in FILES."""
        return f"{self.root.rstrip('/')}/{relative}" if self.root else relative

    def list(self) -> Iterator[StagedFile]:
        """Give the files whose names start with this location."""
        for path in sorted(self.home.rglob("*")):
            name = path.relative_to(self.home).as_posix()
            if path.is_file() and name.startswith(self.root):
                data = path.read_bytes()
                modified = formatdate(path.stat().st_mtime, usegmt=True)
                yield StagedFile(self.shown + name, name, len(data), hashlib.md5(data).hexdigest(), modified)

    def fetch(self, names: list[str], into: Path) -> list[LocalCopy | None]:
        """Give the files themselves."""
        paths = [self.home / name for name in names]
        return [LocalCopy(path, changed_at(path)) if path.is_file() else None for path in paths]

    def remove(self, metadata_name: str) -> None:
        """Delete a file."""
        (self.home / metadata_name).unlink(missing_ok=True)


class Container(Place):
    """A location on an external stage."""

    def __init__(self, client: Any, root: str, shown: str) -> None:
        super().__init__(root, shown)
        self.client = client

    def of(self, relative: str) -> str:
        """Give the METADATA$FILENAME of a file named in FILES: Snowflake puts no slash between path and name."""
        return self.root + relative

    def list(self) -> Iterator[StagedFile]:
        """Give the blobs whose names start with this location."""
        for blob in self.client.list_blobs(name_starts_with=self.root or None):
            md5 = bytes(blob.content_settings.content_md5 or b"").hex()
            modified = format_datetime(blob.last_modified, usegmt=True)
            yield StagedFile(self.shown + blob.name, blob.name, blob.size, md5, modified)

    def fetch(self, names: list[str], into: Path) -> list[LocalCopy | None]:
        """Download the named blobs, a few at once."""
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            return list(pool.map(self._download, names, (into / f"{at}.parquet" for at in range(len(names)))))

    def remove(self, metadata_name: str) -> None:
        """Delete a blob."""
        self.client.delete_blob(metadata_name)

    def _download(self, name: str, path: Path) -> LocalCopy | None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            blob = self.client.download_blob(name)
            path.write_bytes(blob.readall())
        except ResourceNotFoundError:
            return None
        return LocalCopy(path, blob.properties.last_modified.astimezone(dt.UTC).replace(tzinfo=None))


class Stages:
    """The stages that were created, and the implicit ones of tables and users."""

    def __init__(self, folder: Path, azurite: str | None) -> None:
        self._folder = folder
        self._azurite = azurite
        self._lock = threading.Lock()
        self._clients: dict[str, Any] = {}
        self._stages: dict[tuple[str, str, str], Stage] = {}

    def create(self, stage: Stage, *, replace: bool, unless_there: bool) -> str:
        """Record a stage and give Snowflake's line about it."""
        key = (stage.database, stage.schema, stage.name)
        with self._lock:
            if key in self._stages and not replace:
                if unless_there:
                    return f"{stage.name} already exists, statement succeeded."
                raise SnowflakeError(2002, "42710", f"SQL compilation error:\nObject '{stage.name}' already exists.")
            if replace:
                shutil.rmtree(self.home(stage), ignore_errors=True)
            self._stages[key] = stage
        return f"Stage area {stage.name} successfully created."

    def drop(self, key: tuple[str, str, str], *, if_there: bool) -> str:
        """Forget a stage and its files."""
        with self._lock:
            stage = self._stages.pop(key, None)
        if stage is None:
            if if_there:
                return "Drop statement executed successfully (object already dropped)."
            raise no_such("Stage", ".".join(key))
        shutil.rmtree(self.home(stage), ignore_errors=True)
        return f"{stage.name} successfully dropped."

    def all(self) -> list[Stage]:
        """Give all named stages."""
        return sorted(self._stages.values(), key=lambda stage: (stage.database, stage.schema, stage.name))

    def named(self, key: tuple[str, str, str]) -> Stage:
        """Give a named stage; raises 002003."""
        try:
            return self._stages[key]
        except KeyError:
            raise no_such("Stage", ".".join(key)) from None

    def home(self, stage: Stage) -> Path:
        """Give the folder of an internal stage."""
        return self._folder / stage.database / stage.schema / stage.name

    def place(self, location: str, database: str | None, schema: str | None, user: str) -> Place:
        """Find what `@stage/path`, `@%table/path` or `@~/path` means in a session."""
        found = LOCATION.fullmatch(location.strip())
        if not found:
            raise syntax(f"invalid stage location {location}")
        path = found["path"] or ""
        if found["stage"] == "~":
            return Folder(self._folder / "~" / user, path, "")
        key = full_name(found["stage"], database, schema)
        if key[2].startswith("%"):
            return Folder(self._folder / key[0] / key[1] / key[2], path, "")
        stage = self.named(key)
        return self._external(stage, path) if stage.url else Folder(self.home(stage), path, f"{stage.name.lower()}/")

    def _client(self, container: str) -> Any:
        """Give a container's client, one for all: connections are kept."""
        from azure.storage.blob import ContainerClient

        with self._lock:
            if container not in self._clients:
                self._clients[container] = ContainerClient.from_connection_string(self._azurite, container)
            return self._clients[container]

    def _external(self, stage: Stage, path: str) -> Place:
        found = AZURE.fullmatch(stage.url)
        if found is None:
            raise NotImplementedError(f"stages at {stage.url}")
        if self._azurite is None:
            raise NotImplementedError("external stages: start the server with --azurite")
        prefix = found["prefix"]
        root = prefix if not path else f"{prefix.rstrip('/')}/{path}" if prefix else path
        return Container(self._client(found["container"]), root, f"azure://{found['host']}/{found['container']}/")


def changed_at(path: Path) -> dt.datetime:
    """Give the time of a file's last change, in full seconds as stages tell it."""
    return dt.datetime.fromtimestamp(int(path.stat().st_mtime), dt.UTC).replace(tzinfo=None)


def full_name(text: str, database: str | None, schema: str | None) -> tuple[str, str, str]:
    """Complete a stage's or table's name from what the session uses."""
    parts = [normalise_ident(part) for part in re.findall(r'%?"[^"]+"|%?[\w$]+', text.replace('%"', '"%'))]
    name = [*[database or "", schema or "", ""][: 3 - len(parts)], *parts]
    if not all(name):
        text = "This session does not have a current database. Call 'USE DATABASE', or use a qualified name."
        raise SnowflakeError(90105, "22000", f"Cannot perform operation. {text}")
    return name[0], name[1], name[2]
