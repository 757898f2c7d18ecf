"""What a listing takes of a container that keeps its files: seconds a page, and the memory of the process that lists."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from bench import container, ours
from bench.instance import peak_mb
from bench.results import Grid
from bench.stage import Stage
from ingest.arrivals import Fingerprint
from ingest.landing import AzureLanding
from ingest.settings import read_settings
from ingest.wiring import container_client
from local import azurite

BLOBS = (1_000, 10_000, 50_000)
ROUNDS = 3
CONTAINER = "listing"
HEADINGS = (
    "blobs",
    "pages",
    "seconds a listing",
    "seconds a page",
    "of ours, seconds",
    "one dataset, seconds",
    "peak MB",
)
_METADATA = "__azurite_db_blob__.json"
_NAME = "{stem}_v4_{workspace}_{sequence}.parquet"
_STEMS = ("deliveries", "delivery_contents", "metrics", "outputs", "subjects", "people", "attributes")


def measure(stage: Stage) -> Grid:
    """List containers of several sizes, each in a process of its own. Raises RuntimeError where a blob is missing."""
    rows = []
    for count in (stage.sized(count) for count in BLOBS):
        folder = stage.work / f"listing-{count}"
        with azurite.running(folder) as running:
            container.create(running, CONTAINER).upload_blob("one", b"")
        _multiply(folder / _METADATA, sorted(_name(number) for number in range(count)))
        with azurite.running(folder) as running:
            settings = ours.settings(running.connection_string, CONTAINER, stage.work / "none.duckdb")
            answer = ours.run([sys.executable, "-m", "bench.listing"], settings).output
        found = json.loads(answer.strip().splitlines()[-1])
        if found["files"] != count:
            raise RuntimeError(f"{found['files']} blobs were listed, not {count}")
        rows.append(_row(found))
        stage.say(" | ".join(rows[-1]))
    return Grid(HEADINGS, tuple(rows))


def _row(found: dict[str, float]) -> tuple[str, ...]:
    return (
        f"{found['files']:,}",
        f"{found['pages']}",
        f"{found['seconds']:.2f}",
        f"{found['seconds'] / found['pages']:.2f}",
        f"{found['client']:.2f}",
        f"{found['dataset']:.2f}",
        f"{found['peak_mb']:,.0f}",
    )


def _name(number: int) -> str:
    """Return the name of the file with this number: a hundred workspaces of seven datasets, in turn."""
    stream, sequence = number % 700, number // 700
    return _NAME.format(
        stem=_STEMS[stream % 7], workspace=111_500 + stream // 7, sequence=241_600_000_000_000_000 + sequence
    )


def _multiply(metadata: Path, names: Sequence[str]) -> None:
    """Put so many blobs like the one that is there in its place. Azurite takes minutes to be told of them one by one.

    All of its indexes are the order of the names, since nothing else differs.
    """
    document = json.loads(metadata.read_text(encoding="utf-8"))
    blobs = next(each for each in document["collections"] if each["name"] == "$BLOBS_COLLECTION$")
    (one,) = blobs["data"]
    blobs["data"] = [{**one, "name": name, "$loki": number} for number, name in enumerate(names, 1)]
    blobs["maxId"] = len(names)
    for index in blobs["binaryIndices"].values():
        index["values"] = list(range(len(names)))
    metadata.write_text(json.dumps(document), encoding="utf-8")


def main() -> None:
    """List as a sweep does, and one dataset as an event does; JSON on stdout."""
    landing = AzureLanding(container_client(read_settings(os.environ)), "")
    rounds = [_listed(landing) for _ in range(ROUNDS)]
    fastest = min(rounds, key=lambda each: each["seconds"])
    started = time.perf_counter()
    dataset = sum(map(len, landing.pages(["metrics_v"])))
    assert dataset
    print(json.dumps({**fastest, "dataset": time.perf_counter() - started, "peak_mb": peak_mb()}))


def _listed(landing: AzureLanding) -> dict[str, float]:
    """List everything; `client` are the seconds of this process's own processor."""
    started, worked = time.perf_counter(), time.process_time()
    listing, pages = Fingerprint(), 0
    for page in landing.pages():
        listing, pages = listing.plus(page), pages + 1
    seconds, client = time.perf_counter() - started, time.process_time() - worked
    return {"files": listing.files, "pages": pages, "seconds": seconds, "client": client}


if __name__ == "__main__":
    main()
