"""Hold both landings to the contract, and Azure's to what it says when the container does not answer."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from azure.core.credentials import AzureSasCredential
from azure.storage.blob import ContainerClient, ContainerSasPermissions, generate_container_sas

from ingest import landing as adapter
from ingest.arrivals import Blob
from ingest.errors import IngestError, LandingUnavailable
from ingest.landing import AzureLanding
from local import customerio
from local.azurite import ACCOUNT, KEY, Azurite
from tests import factories
from tests.landing_contract import LandingContract
from tests.memory_landing import MemoryLanding


class MemoryBox:
    """The container in memory."""

    def __init__(self) -> None:
        self.landing = MemoryLanding(page=3)
        self.write = self.landing.write
        self.delete = self.landing.delete

    def within(self, prefix: str) -> MemoryLanding:
        self.landing._prefix = prefix
        return self.landing


class AzureBox:
    """A container in Azurite."""

    def __init__(self, azurite: Azurite, container: str) -> None:
        self.client = ContainerClient.from_connection_string(
            azurite.connection_string, container, max_single_get_size=2**20, max_chunk_get_size=2**20
        )
        self.landing = self.within("")

    def within(self, prefix: str) -> AzureLanding:
        return AzureLanding(self.client, prefix)

    def write(self, name: str, content: bytes) -> str:
        return str(self.client.upload_blob(name, content, overwrite=True).get_blob_properties().etag).strip('"')

    def delete(self, name: str) -> None:
        self.client.delete_blob(name)


class TestMemoryLanding(LandingContract):
    @pytest.fixture
    def box(self) -> MemoryBox:
        return MemoryBox()


class TestAzureLanding(LandingContract):
    @pytest.fixture
    def box(self, azurite: Azurite, container: str, monkeypatch: pytest.MonkeyPatch) -> AzureBox:
        monkeypatch.setattr(adapter, "PAGE", 3)
        return AzureBox(azurite, container)


def unavailable(landing: AzureLanding, tmp_path: Path) -> list[IngestError]:
    """Do all that may be done, and give the errors."""
    blob = factories.blob("some.parquet")
    errors = []
    for attempt in (landing.check, lambda: list(landing.pages()), lambda: landing.download(blob, tmp_path / "copy")):
        with pytest.raises(IngestError) as caught:
            attempt()
        errors.append(caught.value)
    return errors


def whole_text(error: BaseException) -> str:
    return f"{error} {error.args!r}"


def test_a_missing_container_is_named(azurite: Azurite, tmp_path: Path) -> None:
    client = ContainerClient.from_connection_string(azurite.connection_string, "nowhere")
    listing = unavailable(AzureLanding(client, ""), tmp_path)[:2]
    for error in listing:
        assert isinstance(error, LandingUnavailable)
        assert "'nowhere' does not exist" in error.what
        assert "EXPORT_CONTAINER" in error.hint


def test_a_missing_container_is_no_files_fault(azurite: Azurite, tmp_path: Path) -> None:
    """A container deleted (or a wrong EXPORT_CONTAINER) must not have the files in the checkpoint rejected as gone."""
    client = ContainerClient.from_connection_string(azurite.connection_string, "nowhere")
    with pytest.raises(LandingUnavailable):
        AzureLanding(client, "").download(factories.blob("some.parquet"), tmp_path / "copy")


def test_a_wrong_key_is_refused_without_showing_it(azurite: Azurite, container: str, tmp_path: Path) -> None:
    key = "c2VjcmV0" * 10 + "c2VjcmV0"
    client = ContainerClient(azurite.blob_url, container, credential={"account_name": ACCOUNT, "account_key": key})
    for error in unavailable(AzureLanding(client, ""), tmp_path):
        assert isinstance(error, LandingUnavailable)
        assert "refuses us" in error.what
        assert "Storage Blob Data Contributor" in error.hint
        assert key not in whole_text(error)


def test_a_revoked_sas_is_refused_without_showing_it(azurite: Azurite, container: str, tmp_path: Path) -> None:
    url = customerio.grant(azurite.connection_string, container)
    customerio.revoke(azurite.connection_string, container)
    signature = url.partition("sig=")[2].partition("&")[0]
    assert signature
    for error in unavailable(AzureLanding(ContainerClient.from_container_url(url), ""), tmp_path):
        assert isinstance(error, LandingUnavailable)
        assert "refuses us" in error.what
        assert signature not in whole_text(error)
        assert "sig=" not in whole_text(error)


def test_nobody_there_is_unavailable(tmp_path: Path, container: str) -> None:
    client = ContainerClient(
        f"http://127.0.0.1:9/{ACCOUNT}",
        container,
        credential={"account_name": ACCOUNT, "account_key": KEY},
        retry_total=0,
    )
    for error in unavailable(AzureLanding(client, ""), tmp_path):
        assert isinstance(error, LandingUnavailable)
        assert container in error.what


def test_the_sdk_logs_no_signature_at_its_usual_level(
    azurite: Azurite, container: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    sas = generate_container_sas(
        ACCOUNT,
        container,
        account_key=KEY,
        permission=ContainerSasPermissions(read=True, list=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    client = ContainerClient(azurite.blob_url, container, credential=AzureSasCredential(sas))
    assert list(AzureLanding(client, "").pages()) in ([], [[]])
    signature = sas.partition("sig=")[2].partition("&")[0]
    assert signature not in caplog.text


def test_another_length_than_listed_is_tried_again(azurite: Azurite, container: str, tmp_path: Path) -> None:
    box = AzureBox(azurite, container)
    etag = box.write("a", b"12345")
    wrong = Blob(container, "a", etag, 6, factories.START)
    with pytest.raises(LandingUnavailable, match="another length"):
        box.landing.download(wrong, tmp_path / "copy")
