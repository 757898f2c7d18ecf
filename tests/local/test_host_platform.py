"""Hold the host over the real Azurite: events, listings, retries, poison, timers, HTTP and settings."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local import customerio
from local.azurite import ROOT, Azurite
from local.host import (
    AppRejected,
    Delivery,
    FunctionFailed,
    Host,
    SettingsError,
    load_settings,
    open_host,
    serving,
)
from local.host.blobs import POISON_QUEUE, RETRY_SECONDS, BlobTrigger
from local.host.engine import Function
from local.host.queues import endpoint, peek_messages
from local.host.settings import HostConfig, load_host_json, resolve
from tests.local.eventually import eventually

SAMPLE = Path(__file__).parent / "sample_app"


@pytest.fixture
def settings(azurite: Azurite, container: str) -> dict[str, str]:
    """Give the app settings of the sample over the real Azurite."""
    return {
        "EXPORT_STORAGE": azurite.connection_string,
        "EXPORT_CONTAINER": container,
        "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
        "SWEEP_SCHEDULE": "0 */15 * * * *",
    }


@pytest.fixture
def pauses() -> list[float]:
    """Collect the waits between attempts, which tests do not wait for."""
    return []


@pytest.fixture
def host(settings: dict[str, str], pauses: list[float]) -> Iterator[Host]:
    """Open the sample app."""
    with open_host(SAMPLE, settings, pause=pauses.append) as opened:
        yield opened


@pytest.fixture
def exporter(azurite: Azurite, container: str) -> customerio.Exporter:
    return customerio.Exporter(customerio.grant(azurite.connection_string, container), "exports")


def seen(host: Host) -> list[str]:
    """Give the blobs and messages that reached the sample's functions, sorted."""
    return sorted(entry.split()[0] for entry in host.request("status").json()["seen"])


def poisoned(azurite: Azurite, container: str) -> list[dict[str, Any]]:
    """Give this container's messages on the poison queue, which all containers of the account share."""
    found = [json.loads(text) for text in peek_messages(azurite.connection_string, POISON_QUEUE)]
    return [message for message in found if message["ContainerName"] == container]


def test_a_blob_written_through_the_sas_reaches_the_function(
    host: Host, exporter: customerio.Exporter, container: str
) -> None:
    exporter.write("a.parquet", b"1")
    exporter.write("b.parquet", b"1")
    deliveries = [future.result(30) for future in host.scan()]
    assert sorted(delivery.blob_name for delivery in deliveries) == ["exports/a.parquet", "exports/b.parquet"]
    assert seen(host) == [f"{container}/exports/a.parquet", f"{container}/exports/b.parquet"]


def test_a_listing_tells_of_a_blob_again_only_when_it_changed(host: Host, exporter: customerio.Exporter) -> None:
    exporter.write("a.parquet", b"1")
    assert len(host.scan()) == 1
    assert host.scan() == []
    exporter.write("a.parquet", b"2")
    assert len(host.scan()) == 1
    host.settle()
    assert len(seen(host)) == 2


def test_events_are_not_deduplicated(host: Host, container: str) -> None:
    for _ in range(2):
        (future,) = host.notify("exports/a.parquet")
        assert future.result(30) == Delivery("ingest_export", "exports/a.parquet", attempts=1)
    assert seen(host) == [f"{container}/exports/a.parquet"] * 2


def test_event_grid_does_not_tell_of_the_past(settings: dict[str, str], exporter: customerio.Exporter) -> None:
    exporter.write("before.parquet", b"1")
    with open_host(SAMPLE, settings | {"BLOB_TRIGGER_SOURCE": "EventGrid"}) as host:
        assert host.scan() == []
        exporter.write("after.parquet", b"1")
        assert [future.result(30).blob_name for future in host.scan()] == ["exports/after.parquet"]


def test_a_container_that_comes_later_is_watched(settings: dict[str, str], azurite: Azurite, container: str) -> None:
    later = f"{container}-later"
    with open_host(SAMPLE, settings | {"EXPORT_CONTAINER": later}) as host:
        assert host.scan() == []
        customerio.ensure_container(azurite.connection_string, later)
        customerio.Exporter(customerio.grant(azurite.connection_string, later)).write("a.parquet", b"1")
        assert len(host.scan()) == 1
        host.settle()


def test_five_attempts_then_the_poison_queue(
    host: Host, exporter: customerio.Exporter, azurite: Azurite, container: str, pauses: list[float]
) -> None:
    etag = exporter.write("poison.parquet", b"1")
    exporter.write("good.parquet", b"1")
    bad = {future.result(30) for future in host.scan()} - {Delivery("ingest_export", "exports/good.parquet", 1)}
    error = "RuntimeError: this blob always fails"
    assert bad == {Delivery("ingest_export", "exports/poison.parquet", 5, poisoned=True, error=error)}
    assert pauses == [RETRY_SECONDS] * 4
    assert seen(host).count(f"{container}/exports/poison.parquet") == 5
    assert poisoned(azurite, container) == [
        {
            "Type": "BlobTrigger",
            "FunctionId": "Host.Functions.ingest_export",
            "BlobType": "BlockBlob",
            "ContainerName": container,
            "BlobName": "exports/poison.parquet",
            "ETag": etag,
        }
    ]


def test_a_blob_that_recovers_is_not_poisoned(
    settings: dict[str, str], azurite: Azurite, container: str, tmp_path: Path
) -> None:
    source = (SAMPLE / "function_app.py").read_text().replace('if "poison" in', "if len(seen) < 3 and")
    (tmp_path / "function_app.py").write_text(source.replace(" client.blob_name:", " True:"))
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    with open_host(tmp_path, settings, pause=lambda _: None) as host:
        (future,) = host.notify("a.parquet")
        assert future.result(30) == Delivery("ingest_export", "a.parquet", attempts=3)
    assert poisoned(azurite, container) == []


def test_closing_the_host_poisons_nothing(settings: dict[str, str], azurite: Azurite, container: str) -> None:
    with open_host(SAMPLE, settings) as host:
        (future,) = host.notify("poison.parquet")
        assert eventually(lambda: bool(seen(host)))
    assert future.result(0).poisoned is False
    assert future.result(0).attempts < 5
    assert poisoned(azurite, container) == []


def test_concurrency_is_bounded_by_host_json(settings: dict[str, str], tmp_path: Path) -> None:
    source = (SAMPLE / "function_app.py").read_text()
    source = source.replace('    seen.append(f"{client', '    gate.wait(10)\n    seen.append(f"{client')
    (tmp_path / "function_app.py").write_text(f"{source}\nimport threading\ngate = threading.Event()\n")
    config = {"version": "2.0", "extensions": {"blobs": {"maxDegreeOfParallelism": 3}}}
    (tmp_path / "host.json").write_text(json.dumps(config))
    with open_host(tmp_path, settings) as host:
        futures = [future for number in range(9) for future in host.notify(f"{number}.parquet")]
        # None has ended yet, and a pool starts its threads within the submission.
        running = [thread for thread in threading.enumerate() if thread.name.startswith("blob-trigger")]
        assert len(running) == 3
        app: Any = sys.modules["function_app"]
        app.gate.set()
        assert [future.result(30).attempts for future in futures] == [1] * 9


def test_timers_tick_on_request_and_by_schedule(settings: dict[str, str]) -> None:
    with open_host(SAMPLE, settings | {"SWEEP_SCHEDULE": "* * * * * *"}) as host:
        assert host.tick("sweep", past_due=True)
        assert host.request("status").json()["ticks"] == [True]
        with pytest.raises(LookupError, match="sweep"):
            host.tick("status")
        stop = threading.Event()
        runner = threading.Thread(target=host.run, args=(stop, 0.02))
        runner.start()
        try:
            assert eventually(lambda: host.request("status").json()["ticks"][:3] == [True, False, False])
        finally:
            stop.set()
            runner.join()


def test_a_timer_runs_once_at_a_time(settings: dict[str, str], tmp_path: Path) -> None:
    source = (SAMPLE / "function_app.py").read_text()
    source = source.replace("    ticks.append(", "    entered.set()\n    leave.wait(10)\n    ticks.append(")
    source += "\nimport threading\nentered, leave = threading.Event(), threading.Event()\n"
    (tmp_path / "function_app.py").write_text(source)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    with open_host(tmp_path, settings) as host:
        app: Any = sys.modules["function_app"]
        first = threading.Thread(target=host.tick, args=("sweep",))
        first.start()
        assert app.entered.wait(10)
        assert host.tick("sweep") is False
        app.leave.set()
        first.join()
        assert host.tick("sweep") is True
        assert app.ticks == [False, False]


def test_a_timer_that_raises_tells_its_caller(settings: dict[str, str], tmp_path: Path) -> None:
    source = (SAMPLE / "function_app.py").read_text().replace("    ticks.append(", "    raise ValueError(")
    (tmp_path / "function_app.py").write_text(source)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    with open_host(tmp_path, settings) as host, pytest.raises(FunctionFailed, match="ValueError"):
        host.tick("sweep")


def get(address: str) -> bytes:
    """Fetch a page."""
    with urllib.request.urlopen(address, timeout=10) as answer:
        return bytes(answer.read())


def call(port: int, path: str, method: str = "GET", body: bytes | None = None) -> tuple[int, bytes]:
    """Send a request over the wire."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/{path}", data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_http_over_the_wire(host: Host) -> None:
    with serving(host, 0) as port:
        status, body = call(port, "api/status?stream=7%2Fpeople&code=secret")
        assert (status, json.loads(body)["stream"]) == (200, "7/people")
        assert call(port, "api/echo/a%20b", "POST", b"hi") == (201, b"a b:hi")
        assert call(port, "api/echo/a", "GET")[0] == 405
        assert call(port, "status")[0] == 404
        assert call(port, "admin/functions/sweep", "POST", b"{}")[0] == 202
        assert call(port, "admin/functions/status", "POST", b"{}")[0] == 404
    assert host.request("status").json()["ticks"] == [False]


def test_event_grid_events_over_the_wire(host: Host, container: str) -> None:
    subject = f"/blobServices/default/containers/{container}/blobs/exports/blobs/a.parquet"
    event = [{"eventType": "Microsoft.Storage.BlobCreated", "subject": subject, "data": {"api": "PutBlob"}}]
    path = "runtime/webhooks/blobs?functionName=Host.Functions.ingest_export"
    with serving(host, 0) as port:
        assert call(port, path, "POST", json.dumps(event).encode())[0] == 202
        assert call(port, path, "POST", b"not json")[0] == 400
        assert call(port, path.replace("ingest", "other"), "POST", json.dumps(event).encode())[0] == 404
    host.settle()
    assert seen(host) == [f"{container}/exports/blobs/a.parquet"]


@pytest.mark.parametrize("name", ["EXPORT_CONTAINER", "SWEEP_SCHEDULE", "EXPORT_STORAGE"])
def test_a_missing_setting_is_named(settings: dict[str, str], name: str) -> None:
    settings.pop(name)
    with pytest.raises(SettingsError, match=f"no app setting {name} is set"), open_host(SAMPLE, settings):
        pass


def test_a_connection_by_identity_needs_azure(settings: dict[str, str]) -> None:
    settings.pop("EXPORT_STORAGE")
    settings["EXPORT_STORAGE__blobServiceUri"] = "https://account.blob.core.windows.net"
    with pytest.raises(SettingsError, match="connection string"), open_host(SAMPLE, settings):
        pass


def test_a_wrong_schedule_is_named(settings: dict[str, str]) -> None:
    settings["SWEEP_SCHEDULE"] = "every quarter"
    with (
        pytest.raises(SettingsError, match="the schedule of sweep: 'every quarter'"),
        open_host(SAMPLE, settings),
    ):
        pass


def test_a_binding_that_carries_whole_blobs_stops_the_start(settings: dict[str, str], tmp_path: Path) -> None:
    source = (SAMPLE / "function_app.py").read_text().replace("blob.BlobClient", "func.InputStream")
    (tmp_path / "function_app.py").write_text(source)
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    with pytest.raises(AppRejected, match="whole blob"), open_host(tmp_path, settings):
        pass


def test_settings_are_put_in_place_of_references() -> None:
    assert resolve("%A%/%B%/{name}", {"A": "x", "B": "y"}, "path") == "x/y/{name}"
    assert resolve("100%/{name}", {}, "path") == "100%/{name}"


@pytest.mark.parametrize(
    ("path", "name", "fits"),
    [
        ("c/{name}", "a/b.parquet", True),
        ("c/exports/{name}.parquet", "exports/a.parquet", True),
        ("c/exports/{name}.parquet", "other/a.parquet", False),
        ("c/{a}_v{b}.parquet", "x_v4.parquet", True),
        ("c/{name}.parquet", "a_parquet", False),
        ("c", "a", True),
    ],
)
def test_blob_paths_choose_blobs(path: str, name: str, fits: bool) -> None:
    binding = {
        "type": "blobTrigger",
        "path": path,
        "connection": "X",
        "properties": {"SupportsDeferredBinding": True},
    }
    trigger = BlobTrigger.of(Function("f", (binding,)), {"X": "connection"})
    assert trigger.container == "c"
    assert bool(trigger.pattern.fullmatch(name)) is fits


def test_host_json_is_read() -> None:
    assert load_host_json(SAMPLE) == HostConfig(concurrency=4, blob_attempts=5, route_prefix="api")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "{}",
        '{"version": "1.0"}',
        '{"version": "2.0", "extensions": {"blobs": {"poisonBlobThreshold": 0}}}',
    ],
)
def test_a_wrong_host_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "host.json").write_text(text)
    with pytest.raises(SettingsError, match=r"host\.json"):
        load_host_json(tmp_path)


def test_without_host_json_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"host\.json does not exist"):
        load_host_json(tmp_path)


def test_local_settings_are_read(tmp_path: Path) -> None:
    file = tmp_path / "local.settings.json"
    with pytest.raises(SettingsError, match="does not exist"):
        load_settings(file)
    file.write_text('{"IsEncrypted": false, "Values": {"A": "1"}}')
    assert load_settings(file) == {"A": "1"}
    file.write_text('{"Values": {"A": 1}}')
    with pytest.raises(SettingsError, match="quotes around A"):
        load_settings(file)


def test_the_command_serves_until_it_is_told_to_end(
    settings: dict[str, str], exporter: customerio.Exporter, tmp_path: Path
) -> None:
    (tmp_path / "local.settings.json").write_text(json.dumps({"Values": settings}))
    words = ["--app-dir", str(SAMPLE), "--settings", str(tmp_path / "local.settings.json"), "--port", "0"]
    exporter.write("a.parquet", b"1")
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "local.host", *words, "--poll-seconds", "0.05"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        while "Ctrl-C" not in (line := process.stdout.readline()):
            assert line
            lines.append(line)
        (address,) = [line.split()[-1] for line in lines if line.startswith("status:")]
        try:
            assert eventually(lambda: bool(json.loads(get(address))["seen"]))
        finally:
            process.terminate()
    assert process.returncode == 0


def test_the_command_says_why_it_does_not_start(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "local.host", "--app-dir", str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "local.settings.json does not exist" in done.stderr


def test_the_queue_of_an_account_is_found_without_its_endpoint() -> None:
    given = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=a2V5;EndpointSuffix=core.windows.net"
    assert endpoint(given) == ("https://a.queue.core.windows.net", "a", "a2V5")
