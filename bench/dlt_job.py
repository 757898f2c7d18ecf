"""What dlt does with the same blobs. Runs in dlt's own virtual environment: imports nothing of this project.

`python dlt_job.py drain <container> <database> <state folder>` loads what has arrived;
`python dlt_job.py warm <container> <database> <state folder> <folder> <pause> <name>...` writes blob after blob and loads
each. The connection string stands in EXPORT_STORAGE. JSON on stdout.

As dlt's documentation says: `filesystem | read_parquet(use_pyarrow)`, files by modification date (its incremental
cursor), write disposition merge with a primary key, `dedup_sort` on the recency column.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

import adlfs  # type: ignore[import-not-found]
import dlt  # type: ignore[import-not-found]
from dlt.sources.filesystem import filesystem, read_parquet  # type: ignore[import-not-found]

KEYS = {
    "deliveries": (["workspace_id", "delivery_id"], "seq_num"),
    "metrics": (["workspace_id", "event_id"], "seq_num"),
    "people": (["workspace_id", "internal_customer_id"], "updated_at"),
}
ROWS = 100_000
"""Rows in an Arrow batch; the default of 1,000 is many times slower."""


def pipeline(database: str, state: str) -> dlt.Pipeline:
    """Return the pipeline; its state lies in `state`."""
    destination = dlt.destinations.duckdb(database)
    return dlt.pipeline("bench", pipelines_dir=state, destination=destination, dataset_name="customerio")


def resources(container: str, datasets: list[str]) -> list[object]:
    """Return a resource per dataset: its files, read by pyarrow, merged by key, newest first."""
    storage = adlfs.AzureBlobFileSystem(connection_string=os.environ["EXPORT_STORAGE"], skip_instance_cache=True)
    found = []
    for name in datasets:
        key, recency = KEYS[name]
        files = filesystem(
            bucket_url=f"az://{container}",
            credentials=storage,
            file_glob=f"{name}_v4_*.parquet",
            incremental=dlt.sources.incremental("modification_date"),
        ).with_name(f"{name}_files")
        rows = (files | read_parquet(chunksize=ROWS, use_pyarrow=True)).with_name(name)
        rows.apply_hints(write_disposition="merge", primary_key=key, columns={recency: {"dedup_sort": "desc"}})
        found.append(rows)
    return found


def main(mode: str, container: str, database: str, state: str, *rest: str) -> None:
    """Do as the module says."""
    load = pipeline(database, state)
    if mode == "drain":
        load.run(resources(container, rest[0].split(",") if rest else list(KEYS)))
        return
    from azure.storage.blob import ContainerClient

    folder, pause, *names = rest
    uploads = ContainerClient.from_connection_string(os.environ["EXPORT_STORAGE"], container)
    answer = []
    for name in names:
        time.sleep(float(pause))
        uploads.upload_blob(name, (Path(folder) / name).read_bytes(), overwrite=True)
        event = time.perf_counter()
        load.run(resources(container, ["deliveries"]))
        spent = (time.perf_counter() - event) * 1000
        answer.append({"commit": spent, "return": spent})
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
