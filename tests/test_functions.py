"""Drive the real `function_app.py` as the platform would: events, the timer, the status, over a real Azurite."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.catalogue import CATALOGUE
from ingest.settings import Settings
from ingest.warehouses.duckdb.file import database_file
from local import customerio
from local.azurite import ROOT, Azurite
from local.host import Host, open_host
from local.simulator import ExportFile, Misbehaviour, Simulator
from tests import factories
from tests.world import MEMORY
from tests.verdict import assert_checkpoint_equals, assert_tables_equal, query

ENGINES = ["direct", *(["runtime"] if importlib.util.find_spec("azure_functions_runtime") else [])]


@pytest.fixture(params=ENGINES)
def host(
    request: pytest.FixtureRequest, azurite: Azurite, container: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Host]:
    for setting in CATALOGUE:
        monkeypatch.delenv(setting.name, raising=False)
    settings = {
        "AzureWebJobsStorage": azurite.connection_string,
        "EXPORT_STORAGE": azurite.connection_string,
        "EXPORT_CONTAINER": container,
        "BLOB_TRIGGER_SOURCE": "EventGrid",
        "DUCKDB_PATH": str(path),
    }
    with open_host(ROOT, settings, kind=request.param, pause=lambda seconds: None) as opened:
        yield opened
    database_file(path, memory_limit=MEMORY).close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse.duckdb"


@pytest.fixture
def exporter(azurite: Azurite, container: str) -> Iterator[customerio.Exporter]:
    opened = customerio.Exporter(customerio.grant(azurite.connection_string, container), prefix="exports")
    yield opened
    opened.close()


def released(path: Path) -> Path:
    """Let go of the database file, so that it can be looked at."""
    database_file(path, memory_limit=MEMORY).close()
    return path


def test_every_function_has_its_trigger(host: Host) -> None:
    functions = host.worker.functions
    assert {name: function.trigger_type for name, function in functions.items()} == {
        "ingest_export": "blobTrigger",
        "sweep": "timerTrigger",
        "status": "httpTrigger",
        "dashboard": "httpTrigger",
    }
    trigger = functions["ingest_export"].trigger
    assert trigger["path"] == "%EXPORT_CONTAINER%/{name}"
    assert (trigger["connection"], trigger["source"]) == ("EXPORT_STORAGE", "EventGrid")
    assert functions["ingest_export"].by_reference, "the binding must not carry the payload"
    assert functions["sweep"].trigger["schedule"] == Settings.model_fields["sweep_schedule"].default


def test_events_bring_the_exports_in_and_the_sweep_what_no_event_brought(
    host: Host, exporter: customerio.Exporter, path: Path
) -> None:
    simulator = Simulator(
        seed=3, people=30, history_days=1, deliveries_per_day=60, prefix="", misbehaviour=frozenset(Misbehaviour)
    )
    written: list[tuple[ExportFile, str]] = []
    names = []
    for sync in simulator.run(0.5):
        for file in sync.files:
            written.append((file, exporter.write(file.name, file.content())))
            names.append(f"exports/{file.name}")
            if len(names) % 3:
                host.notify(names[-1])
    host.settle()
    host.tick("sweep")
    assert_tables_equal(released(path), simulator.truth())
    under = [(prefixed(file), etag) for file, etag in written]
    assert_checkpoint_equals(path, under)


def prefixed(file: ExportFile) -> ExportFile:
    return dataclasses.replace(file, name=f"exports/{file.name}")


def test_an_event_drains_its_stream_only_and_says_nothing_of_rows(
    host: Host, exporter: customerio.Exporter, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "ingest")
    exporter.write("deliveries_v4_1_1.parquet", factories.parquet("deliveries", [{"subject_id": "whisper"}]))
    exporter.write("metrics_v4_1_1.parquet", factories.parquet("metrics"))
    (delivery,) = [each.result() for each in host.notify("exports/deliveries_v4_1_1.parquet")]
    assert delivery.error is None
    found = query(released(path), "SELECT blob_name, status FROM customerio.ingest_files")
    assert found == [{"blob_name": "exports/deliveries_v4_1_1.parquet", "status": "loaded"}]
    assert "whisper" not in caplog.text
    assert "AccountKey" not in caplog.text
    assert "sig=" not in caplog.text


@pytest.mark.parametrize(
    "name", ["deliveries_v4_1_9.parquet", "what is this.txt", "events_v4_1_1.parquet", "ü/%41.parquet"]
)
def test_an_event_for_a_blob_that_is_not_there_does_no_harm(
    host: Host, exporter: customerio.Exporter, path: Path, name: str
) -> None:
    exporter.write("deliveries_v4_1_1.parquet", factories.parquet("deliveries"))
    (delivery,) = [each.result() for each in host.notify(f"exports/{name}")]
    assert delivery.error is None
    host.tick("sweep")
    found = query(released(path), "SELECT blob_name, status FROM customerio.ingest_files")
    assert found == [{"blob_name": "exports/deliveries_v4_1_1.parquet", "status": "loaded"}]


def test_status_answers_json_at_any_time(host: Host, exporter: customerio.Exporter) -> None:
    empty = host.request("status")
    assert (empty.status, empty.json()["streams"]) == (200, [])
    exporter.write("people_v4_1_7.parquet", factories.parquet("people"))
    waiting = host.request("status").json()["streams"]
    assert [(each["dataset"], each["pending"], each["loaded"]) for each in waiting] == [("people", 1, 0)]
    host.tick("sweep")
    (loaded,) = host.request("status").json()["streams"]
    assert (loaded["pending"], loaded["loaded"], loaded["last_sequence"], loaded["lag_seconds"]) == (0, 1, 7, 0.0)
    assert host.request("status", "POST").status == 405


def test_status_says_what_is_in_the_way(host: Host, path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    answer = host.request("status")
    assert answer.status == 503
    assert "cannot be opened" in answer.json()["trouble"]


def test_the_dashboard_is_a_page_and_two_documents(host: Host, exporter: customerio.Exporter) -> None:
    exporter.write("people_v4_1_7.parquet", factories.parquet("people"))
    exporter.write("odd <b>name</b>.txt", b"x")
    host.tick("sweep")
    page = host.request("dashboard")
    assert page.status == 200
    headers = {name.lower(): value for name, value in page.headers.items()}
    assert headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in headers["content-security-policy"]
    assert b"people_v4" not in page.body, "the page itself holds no data"
    answer = host.request("dashboard", params={"view": "data"}).json()
    (people,) = [strip for strip in answer["strips"] if strip["dataset"] == "people"]
    assert people["loaded"][-1] + people["loaded"][-2] == 1
    assert answer["rejected"]["total"] == 1
    assert "<b>" in answer["rejected"]["files"][0]["blob_name"]
    assert answer["status"]["complete_through"] is not None
    assert host.request("dashboard", params={"view": "messages"}).json()["counts"] == []
    assert b"exports-stalled" in host.request("dashboard", params={"view": "runbook"}).body
    assert host.request("dashboard", params={"view": "another"}).status == 404


def test_http_functions_ask_for_a_key(host: Host) -> None:
    """The laptop's host does not check keys; the platform does what the binding says."""
    functions = [it for it in host.worker.functions.values() if it.trigger_type == "httpTrigger"]
    assert {function.trigger["authLevel"].lower() for function in functions} == {"function"}


def test_the_dashboard_says_what_is_in_the_way(host: Host, path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    for view in ("data", "messages"):
        answer = host.request("dashboard", params={"view": view})
        assert answer.status == 503
        assert "cannot be opened" in answer.json()["trouble"]


def test_host_json_is_what_the_platform_reads() -> None:
    document = json.loads((ROOT / "host.json").read_text())
    assert document["version"] == "2.0"
    assert document["extensionBundle"]["id"] == "Microsoft.Azure.Functions.ExtensionBundle"


def test_every_setting_that_a_binding_refers_to_is_in_the_example(host: Host) -> None:
    example = json.loads((ROOT / "local.settings.json.example").read_text())["Values"]
    bindings = json.dumps([function.bindings for function in host.worker.functions.values()])
    referred = set(re.findall(r"%([A-Za-z_]+)%", bindings)) | {"EXPORT_STORAGE", "BLOB_TRIGGER_SOURCE"}
    assert "EXPORT_CONTAINER" in referred
    assert referred <= example.keys()
    assert {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"} <= example.keys()


def test_bindings_stay_bindings() -> None:
    assert len((ROOT / "function_app.py").read_text().splitlines()) < 60
