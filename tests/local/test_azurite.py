"""Hold the stand-in for Azure storage: it starts, ends with its parent, and treats a SAS as Azure does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.exceptions import HttpResponseError, ResourceExistsError
from azure.storage.blob import BlobClient, ContainerClient

from local import azurite as azurite_module
from local import customerio
from local.azurite import ROOT, Azurite, AzuriteUnavailable, PortTaken, is_running, running
from tests.local.eventually import eventually

BLOCK = "import sys\nfrom local.azurite import running\nwith running(in_memory=True) as a:\n    "


def printed(line: str) -> Azurite:
    """Read what the child process printed of its Azurite."""
    pid, blob_port = (int(word) for word in line.split())
    return Azurite(blob_port, 0, 0, pid, Path())


def client(azurite: Azurite, container: str) -> ContainerClient:
    return ContainerClient.from_connection_string(azurite.connection_string, container)


@pytest.fixture
def sas_url(azurite: Azurite, container: str) -> str:
    return customerio.grant(azurite.connection_string, container)


def test_two_at_once_get_their_own_ports(azurite: Azurite) -> None:
    with running(in_memory=True) as other:
        ports = {azurite.blob_port, azurite.queue_port, azurite.table_port}
        assert not ports & {other.blob_port, other.queue_port, other.table_port}
        assert is_running(other)
    assert not is_running(other)
    assert not other.folder.exists()


def test_data_outlives_a_stop_in_a_given_folder(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        customerio.ensure_container(first.connection_string, "kept")
        with client(first, "kept") as kept:
            kept.upload_blob("name", b"content")
    with running(tmp_path) as second, client(second, "kept") as kept:
        assert kept.download_blob("name").readall() == b"content"


def test_a_taken_port_is_named(azurite: Azurite) -> None:
    ports = (azurite.blob_port, azurite.queue_port, azurite.table_port)
    with pytest.raises(PortTaken, match=str(azurite.blob_port)), running(in_memory=True, ports=ports):
        pass


def test_lost_races_for_ports_are_run_again(azurite: Azurite, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = (azurite.blob_port, azurite.queue_port, azurite.table_port)
    free = azurite_module.free_ports()
    offers = iter([taken, free])
    monkeypatch.setattr(azurite_module, "free_ports", lambda: next(offers))
    with running(in_memory=True) as started:
        assert started.blob_port == free[0]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_a_killed_parent(end: signal.Signals) -> None:
    code = BLOCK + "print(a.pid, a.blob_port, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        started = printed(parent.stdout.readline())
        assert is_running(started)
        os.kill(parent.pid, end)
    assert eventually(lambda: not is_running(started))


def test_it_ends_when_the_block_raises() -> None:
    code = BLOCK + "print(a.pid, a.blob_port, flush=True); raise RuntimeError"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert not is_running(printed(done.stdout))


def test_without_node_the_error_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AzuriteUnavailable, match=r"Node\.js"), running(in_memory=True):
        pass


def test_without_node_modules_the_error_says_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(azurite_module, "ROOT", tmp_path)
    with pytest.raises(AzuriteUnavailable, match="make setup"), running(in_memory=True):
        pass


def test_start_stays_and_is_found_again(tmp_path: Path) -> None:
    started = azurite_module.start(tmp_path, azurite_module.free_ports())
    try:
        assert azurite_module.start(tmp_path) == started
        assert azurite_module.status(tmp_path) == started
    finally:
        assert azurite_module.stop(tmp_path)
    assert azurite_module.status(tmp_path) is None
    assert not azurite_module.stop(tmp_path)


def test_a_process_that_took_over_the_id_is_not_taken_for_azurite(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "import sys; sys.stdin.read()", "node_modules/.bin/azurite --blobPort 10 "]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as stranger:
        record = {"blob_port": 1, "queue_port": 2, "table_port": 3, "pid": stranger.pid, "folder": "x"}
        (tmp_path / "azurite.json").write_text(json.dumps(record))
        assert azurite_module.status(tmp_path) is None
        assert not azurite_module.stop(tmp_path)
        assert stranger.poll() is None


def test_exports_go_through_the_sas_and_may_overwrite(azurite: Azurite, container: str, sas_url: str) -> None:
    exporter = customerio.Exporter(sas_url, "/exports/daily/")
    first, second = exporter.write("a.parquet", b"1"), exporter.write("a.parquet", b"2")
    with client(azurite, container) as landed:
        (blob,) = landed.list_blobs()
        assert blob.name == "exports/daily/a.parquet"
        assert blob.etag == second != first
        assert landed.download_blob(blob.name).readall() == b"2"


def test_the_sas_cannot_delete(azurite: Azurite, container: str, sas_url: str) -> None:
    customerio.Exporter(sas_url).write("a.parquet", b"1")
    through_sas = ContainerClient.from_container_url(sas_url)
    with pytest.raises(HttpResponseError) as refused:
        through_sas.delete_blob("a.parquet")
    assert refused.value.status_code == 403
    assert [blob.name for blob in through_sas.list_blobs()] == ["a.parquet"]


def test_revoking_the_policy_stops_the_writes(azurite: Azurite, container: str, sas_url: str) -> None:
    exporter = customerio.Exporter(sas_url)
    exporter.write("a.parquet", b"1")
    customerio.revoke(azurite.connection_string, container)
    with pytest.raises(HttpResponseError) as refused:
        exporter.write("b.parquet", b"1")
    assert refused.value.status_code == 403
    with client(azurite, container) as landed:
        assert [blob.name for blob in landed.list_blobs()] == ["a.parquet"]


def test_a_policy_that_ran_out_is_refused(azurite: Azurite, container: str) -> None:
    past = datetime.now(UTC) - timedelta(minutes=1)
    exporter = customerio.Exporter(customerio.grant(azurite.connection_string, container, expires=past))
    with pytest.raises(HttpResponseError) as refused:
        exporter.write("a.parquet", b"1")
    assert refused.value.status_code == 403


def test_policies_do_not_disturb_each_other(azurite: Azurite, container: str, sas_url: str) -> None:
    customerio.grant(azurite.connection_string, container, "another")
    customerio.revoke(azurite.connection_string, container, "another")
    assert customerio.Exporter(sas_url).write("a.parquet", b"1")


def test_the_secret_stays_out_of_repr(sas_url: str) -> None:
    signature = sas_url.partition("sig=")[2]
    assert signature
    assert signature not in repr(customerio.Exporter(sas_url))


def test_the_emulator_refuses_what_azure_refuses(azurite: Azurite, container: str) -> None:
    blob = BlobClient.from_connection_string(azurite.connection_string, container, "a")
    etag = blob.upload_blob(b"1")["etag"]
    with pytest.raises(ResourceExistsError):
        blob.upload_blob(b"2")
    blob.upload_blob(b"2", overwrite=True)
    with pytest.raises(HttpResponseError) as refused:
        blob.delete_blob(if_match=etag)
    assert refused.value.status_code == 412
