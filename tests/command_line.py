"""Run the command line in this process, over a real Azurite and a DuckDB file of the test's own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from ingest import __main__ as command_line
from ingest.catalogue import CATALOGUE
from ingest.warehouses.duckdb.file import database_file
from tests.world import MEMORY
from local import customerio
from local.azurite import Azurite


@dataclass(frozen=True)
class Answer:
    """What a command said, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Both streams, without the line breaks of a narrow terminal."""
        return " ".join(f"{self.out} {self.err}".split())


Run = Callable[..., Answer]


@pytest.fixture
def exporter(azurite: Azurite, container: str) -> Iterator[customerio.Exporter]:
    opened = customerio.Exporter(customerio.grant(azurite.connection_string, container))
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "warehouse.duckdb"
    database_file(tmp_path / "warehouse.duckdb", memory_limit=MEMORY).close()


@pytest.fixture
def run(
    azurite: Azurite, container: str, path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    for setting in CATALOGUE:
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.chdir(path.parent)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("EXPORT_STORAGE", azurite.connection_string)
    monkeypatch.setenv("EXPORT_CONTAINER", container)
    monkeypatch.setenv("DUCKDB_PATH", str(path))

    def run(*words: str, **environment: str) -> Answer:
        with monkeypatch.context() as patched:
            for name, value in environment.items():
                patched.setenv(name, value)
            # They take their width from the environment when they are made.
            patched.setattr(command_line, "_out", Console())
            patched.setattr(command_line, "_err", Console(stderr=True))
            patched.setattr(sys, "argv", ["ingest", *words])
            capsys.readouterr()
            with pytest.raises(SystemExit) as ended:
                command_line.main()
        said = capsys.readouterr()
        return Answer(int(ended.value.code or 0), said.out, said.err)

    return run
