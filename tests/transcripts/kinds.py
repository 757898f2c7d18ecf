"""The kinds of batches, and of whatever else is asked of Snowflake: each drives the app and returns what was said."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import pyarrow as pa

from ingest.contract import Drift
from ingest.outcomes import BatchLoaded, BlobsDeleted, Discovered, FileRejected, FilesReopened, FileSuperseded
from ingest.outlook import Standing
from ingest.wiring import App, examine
from tests import factories
from tests.transcripts import Line, Scene


def first_load(scene: Scene) -> list[Line]:
    """The first load into an empty schema: one file, found by the timer of a fresh process."""
    scene.write(1)
    with scene.heard() as lines:
        scene.app().drain_everything()
    _told(scene, BatchLoaded)
    return lines


def one_changeset(scene: Scene) -> list[Line]:
    """One changeset, announced by its event to a process that has loaded before."""
    app = scene.warm()
    with scene.heard() as lines:
        app.drain_blob(scene.write(2))
    _told(scene, BatchLoaded, BatchLoaded)
    return lines


def several_files(scene: Scene) -> list[Line]:
    """Three changesets in one batch, found by the timer of a process that has loaded before."""
    app = scene.warm()
    for sequence in (2, 3, 4):
        scene.write(sequence)
    with scene.heard() as lines:
        app.drain_everything()
    assert [outcome.files for outcome in _told(scene, BatchLoaded, BatchLoaded)] == [1, 3]
    return lines


def added_column(scene: Scene) -> list[Line]:
    """Two changesets, the second of which has a column more than the table."""
    app = scene.warm()
    scene.write(2)
    name = scene.write(3, types={"Open Rate": pa.float64()})
    with scene.heard() as lines:
        app.drain_blob(name)
    _told(scene, BatchLoaded, BatchLoaded)
    return lines


def late_file(scene: Scene) -> list[Line]:
    """A changeset that comes after a later one was loaded: it is loaded, and wins nothing from newer rows."""
    app = scene.warm(1, 3)
    with scene.heard() as lines:
        app.drain_blob(scene.write(2))
    *_, loaded = _told(scene, BatchLoaded, BatchLoaded, BatchLoaded)
    assert loaded.late == (factories.name(sequence=2),)
    return lines


def one_bad_file(scene: Scene) -> list[Line]:
    """Three changesets, the second damaged behind its footer: COPY names it, it is rejected, the others load."""
    app = scene.warm()
    scene.write(2)
    bad = scene.write(3, factories.blotted(factories.parquet("deliveries")))
    name = scene.write(4)
    with scene.heard() as lines:
        app.drain_blob(name)
    assert [outcome.blob_name for outcome in _told(scene, FileRejected)] == [bad]
    assert [outcome.files for outcome in _told(scene, BatchLoaded, BatchLoaded)] == [1, 2]
    return lines


def rewritten_blob(scene: Scene) -> list[Line]:
    """A blob written anew after it was loaded: another arrival, and the newer bytes win."""
    app = scene.warm()
    with scene.heard() as lines:
        app.drain_blob(scene.write(1, factories.parquet("deliveries", [{"delivery_id": "rewritten"}])))
    _told(scene, BatchLoaded, BatchLoaded)
    return lines


def replaced_before_its_footer(scene: Scene) -> list[Line]:
    """A blob replaced between the listing and the look at its footer: superseded, and the newer one is loaded."""
    scene.warm()
    again: list[str] = []

    def replace(outcome: object) -> None:
        if isinstance(outcome, Discovered) and not again:
            again.append(scene.write(2, factories.parquet("deliveries", [{"delivery_id": "newer"}])))

    app = scene.app(replace)
    with scene.heard() as lines:
        app.drain_blob(scene.write(2))
    _told(scene, BatchLoaded, BatchLoaded)
    _told(scene, FileSuperseded)
    return lines


def replaced_before_its_copy(scene: Scene) -> list[Line]:
    """Two changesets, one replaced between the look at its footer and COPY, which tells by the time: superseded."""
    scene.warm()
    app = scene.app()
    scene.write(2)
    scene.write(3)
    replace_before_copy(scene, app, 2)
    with scene.heard() as lines:
        app.drain_blob(factories.name(sequence=2))
    assert [outcome.files for outcome in _told(scene, *[BatchLoaded] * 3)] == [1, 1, 1]
    _told(scene, FileSuperseded)
    return lines


def replace_before_copy(scene: Scene, app: App, sequence: int) -> None:
    """Write a file anew when the app is about to load it for the first time. Times of blobs are in seconds."""
    warehouse: Any = app.warehouse
    load, name = warehouse.load, factories.name(sequence=sequence)
    listed = scene.modified(name)

    def replace_and_load(*given: Any) -> Any:
        warehouse.load = load
        while scene.modified(name) == listed:
            scene.write(sequence)
        return load(*given)

    warehouse.load = replace_and_load


def empty_poll(scene: Scene) -> list[Line]:
    """A timer's look at a container with nothing new, by a fresh process: all of it is kept answers and descriptions."""
    scene.warm().sweep_once()
    with scene.heard() as lines:
        scene.app().sweep_once()
    return lines


def sweep(scene: Scene) -> list[Line]:
    """A timer's round that deletes a blob loaded long ago, and opens an alert about a rejected file."""
    app = scene.warm()
    scene.write(2, b"broken")
    app.sweep._retention = timedelta(days=-2)  # as if it were the day after tomorrow
    with scene.heard() as lines:
        app.sweep_once()
    _told(scene, BlobsDeleted)
    return lines


def put(scene: Scene) -> list[Line]:
    """Two changesets with SNOWFLAKE_LOAD=put: the files go to the stage of the staging table first."""
    app = scene.warm()
    scene.write(2)
    with scene.heard() as lines:
        app.drain_blob(scene.write(3))
    _told(scene, BatchLoaded, BatchLoaded)
    return lines


def replay(scene: Scene) -> list[Line]:
    """`replay` of a file that was rejected for a column nobody declared, after SCHEMA_DRIFT was set to evolve."""
    scene.warm()
    scene.app(drift=Drift.REJECT).drain_blob(scene.write(2, types={"extra": pa.string()}))
    _told(scene, FileRejected)
    with scene.heard() as lines:
        scene.app().replay(None)
    _told(scene, FilesReopened)
    _told(scene, BatchLoaded, BatchLoaded)
    return lines


def status(scene: Scene) -> list[Line]:
    """`status` beside a file that nobody has noticed yet."""
    scene.warm()
    scene.write(2)
    with scene.heard() as lines:
        assert len(scene.app().status().unseen) == 1
    return lines


def dashboard(scene: Scene) -> list[Line]:
    """The dashboard's page: the first look, and the messages that it asks for afterwards."""
    scene.warm()
    app = scene.app()
    with scene.heard() as lines:
        assert len(app.overview()["strips"]) == 1
        assert app.messages()["counts"] == []
    return lines


def inspect(scene: Scene) -> list[Line]:
    """`inspect` of a file that nobody has noticed yet."""
    scene.warm()
    name = scene.write(2)
    with scene.heard() as lines:
        assert scene.app().inspect(name).outlook.standing is Standing.NEW
    return lines


def doctor(scene: Scene) -> list[Line]:
    """`doctor`."""
    app = scene.app()
    with scene.heard() as lines:
        examine(app)
    return lines


KINDS: Mapping[str, Callable[[Scene], list[Line]]] = {
    kind.__name__: kind
    for kind in (
        first_load,
        one_changeset,
        several_files,
        added_column,
        late_file,
        one_bad_file,
        rewritten_blob,
        replaced_before_its_footer,
        replaced_before_its_copy,
        empty_poll,
        sweep,
        put,
        replay,
        status,
        dashboard,
        inspect,
        doctor,
    )
}
SETTINGS: Mapping[str, Mapping[str, str]] = {"put": {"SNOWFLAKE_LOAD": "put"}}


def _told(scene: Scene, *kinds: type[Any]) -> list[Any]:
    """Return the outcomes of a kind, after making sure that there are as many as that."""
    found = [outcome for outcome in scene.outcomes if isinstance(outcome, kinds[0])]
    assert len(found) == len(kinds), scene.outcomes
    return found
