"""Wrap the ports of a drain so that something can happen at every step of it: a crash, a write, another worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ingest.arrivals import Arrival, Blob
from ingest.ports import Fetch, Fetched, Intake, Landing, Unfetched, Warehouse


class Crash(BaseException):
    """The process died here."""


class Steps:
    """Count the moments before and after every port call, and act at one of them.

    After a crash every further call crashes: the dead release nothing.
    """

    def __init__(self, at: int = -1, action: Callable[[], None] | None = None) -> None:
        self.count = 0
        self._at = at
        self._action = action
        self._dead = False

    def pass_one(self) -> None:
        if self._dead:
            raise Crash
        self.count += 1
        if self.count == self._at and self._action is not None:
            try:
                self._action()
            except Crash:
                self._dead = True
                raise


def crash() -> None:
    """Die."""
    raise Crash


class SteppedWarehouse:
    """A warehouse, each call of which is two steps: before it, and after it took effect."""

    def __init__(self, warehouse: Warehouse, steps: Steps) -> None:
        self._warehouse = warehouse
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._warehouse, name)

        def call(*arguments: Any, **named: Any) -> Any:
            self._steps.pass_one()
            answer = method(*arguments, **named)
            self._steps.pass_one()
            return answer

        return call


class SteppedLanding:
    """A landing container, each page of which is a step."""

    def __init__(self, landing: Landing, steps: Steps) -> None:
        self._landing = landing
        self._steps = steps

    def pages(self, beginnings: Sequence[str] = ()) -> Iterator[Sequence[Blob]]:
        self._steps.pass_one()
        for page in self._landing.pages(beginnings):
            yield page
            self._steps.pass_one()

    def download(self, blob: Blob, path: Path) -> None:
        self._landing.download(blob, path)


class SteppedIntake:
    """An intake that has fetched everything when `fetch` returns, so that a history runs the same way again."""

    def __init__(self, intake: Intake, steps: Steps) -> None:
        self._intake = intake
        self._steps = steps

    def fetch(self, batch: Sequence[Arrival]) -> Fetch:
        self._steps.pass_one()
        fetch = self._intake.fetch(batch)
        fetch.result()
        self._steps.pass_one()
        return SteppedFetch(fetch, self._steps)


class SteppedFetch(AbstractContextManager["SteppedFetch"]):
    """A fetch whose waiting is a step; leaving it is none, for temporary files outlive a crash as well as not."""

    def __init__(self, fetch: Fetch, steps: Steps) -> None:
        self._fetch = fetch
        self._steps = steps

    def result(self) -> Sequence[Fetched | Unfetched]:
        self._steps.pass_one()
        return self._fetch.result()

    def __exit__(self, *error: Any) -> None:
        self._fetch.__exit__(*error)
