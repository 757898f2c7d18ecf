"""Prove what is said of wrong settings, what is read from where, and that secrets stay secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ingest import settings as module
from ingest.contract import Drift
from ingest.datasets import DATASETS
from ingest.errors import SettingsError
from ingest.catalogue import CATALOGUE
from ingest.settings import Settings, TriggerSource, environment_of_process, read_settings
from ingest.wiring import build
from local.azurite import ACCOUNT, KEY

STORAGE = {"EXPORT_STORAGE": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=x.y"}
AZURE = {**STORAGE, "WEBSITE_INSTANCE_ID": "1"}


def refused(environment: dict[str, str], local_file: Path | None = None) -> SettingsError:
    with pytest.raises(SettingsError) as error:
        read_settings(environment, local_file)
    return error.value


def test_storage_is_all_that_must_be_set() -> None:
    settings = read_settings(STORAGE)
    assert (settings.container, settings.prefix, settings.warehouse) == ("customerio", "", "duckdb")
    assert settings.datasets == DATASETS.keys()
    assert (settings.drift, settings.trigger_source) == (Drift.EVOLVE, TriggerSource.EVENT_GRID)


def test_every_setting_is_read() -> None:
    values = {
        **STORAGE,
        "EXPORT_CONTAINER": "exports",
        "EXPORT_PREFIX": "a/b/",
        "BLOB_TRIGGER_SOURCE": "LogsAndContainerScan",
        "SWEEP_SCHEDULE": "0 0 * * * *",
        "WAREHOUSE_SCHEMA": "cio",
        "DUCKDB_PATH": "elsewhere.duckdb",
        "DUCKDB_MEMORY_LIMIT": "1GB",
        "DATASETS": "people, metrics",
        "BATCH_MAX_FILES": "7",
        "BATCH_MAX_BYTES": "8",
        "DRIFT": "reject",
        "VERIFY_STATISTICS": "false",
        "TIME_BUDGET_SECONDS": "9",
    }
    settings = read_settings(values)
    assert (settings.container, settings.prefix, settings.warehouse_schema) == ("exports", "a/b/", "cio")
    assert (settings.trigger_source, settings.sweep_schedule) == (TriggerSource.SCAN, "0 0 * * * *")
    assert (settings.duckdb_path, settings.duckdb_memory_limit) == (Path("elsewhere.duckdb"), "1GB")
    assert settings.datasets == {"people", "metrics"}
    assert (settings.batch_max_files, settings.batch_max_bytes) == (7, 8)
    assert (settings.drift, settings.verify_statistics, settings.time_budget_seconds) == (Drift.REJECT, False, 9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXPORT_STORAGE__blobServiceUri", "account.blob.core.windows.net"),
        ("EXPORT_CONTAINER", "Upper"),
        ("EXPORT_CONTAINER", "a--b"),
        ("EXPORT_CONTAINER", ""),
        ("BLOB_TRIGGER_SOURCE", "eventgrid"),
        ("WAREHOUSE", "oracle"),
        ("WAREHOUSE_SCHEMA", 'x"; DROP TABLE y; --'),
        ("WAREHOUSE_SCHEMA", ""),
        ("DUCKDB_MEMORY_LIMIT", "lots"),
        ("DATASETS", "people,peoples"),
        ("BATCH_MAX_FILES", "0"),
        ("BATCH_MAX_FILES", "1001"),
        ("BATCH_MAX_FILES", "many"),
        ("BATCH_MAX_BYTES", "0"),
        ("DRIFT", "ignore"),
        ("VERIFY_STATISTICS", "perhaps"),
        ("TIME_BUDGET_SECONDS", "4"),
    ],
)
def test_a_wrong_setting_is_named_explained_and_exemplified(name: str, value: str) -> None:
    text = str(refused({**STORAGE, name: value}))
    lead, _, example = text.partition("Example: ")
    assert lead.startswith(f"{name}: ")
    assert len(lead) > len(name) + 10
    assert example.startswith(f"{name}=")
    assert len(example) > len(name) + 1


def test_all_wrong_settings_are_told_at_once() -> None:
    lines = str(refused({**STORAGE, "DRIFT": "x", "BATCH_MAX_FILES": "x"})).splitlines()
    assert {line.partition(":")[0] for line in lines} == {"DRIFT", "BATCH_MAX_FILES"}


@pytest.mark.parametrize("environment", [{}, {"EXPORT_STORAGE": ""}, {"EXPORT_STORAGE__blobServiceUri": ""}])
def test_missing_storage_names_both_ways(environment: dict[str, str]) -> None:
    text = str(refused(environment))
    assert "EXPORT_STORAGE__blobServiceUri" in text
    assert "Example: EXPORT_STORAGE=" in text


def test_what_is_no_connection_string_is_told_without_showing_it() -> None:
    with pytest.raises(SettingsError, match="EXPORT_STORAGE") as error:
        build(read_settings({"EXPORT_STORAGE": "my-secret-key"}))
    assert "my-secret-key" not in str(error.value)
    assert "Example" in error.value.hint


@pytest.mark.parametrize("blank", ["", " "])
def test_blank_datasets_mean_all(blank: str) -> None:
    assert read_settings({**STORAGE, "DATASETS": blank}).datasets == DATASETS.keys()


def test_an_identity_needs_no_connection_string() -> None:
    settings = read_settings({"EXPORT_STORAGE__blobServiceUri": "https://a.blob.core.windows.net"})
    assert settings.connection_string is None
    assert settings.storage_uri == "https://a.blob.core.windows.net"


@pytest.mark.parametrize("short", ["UseDevelopmentStorage=true", "UseDevelopmentStorage=true;"])
def test_the_emulators_short_form_is_spelt_out(short: str) -> None:
    text = read_settings({"EXPORT_STORAGE": short}).connection_string or ""
    assert f"AccountName={ACCOUNT}" in text
    assert KEY in text


def test_secrets_show_nowhere() -> None:
    settings = read_settings(STORAGE)
    assert "c2VjcmV0" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert "c2VjcmV0" not in str(refused({**STORAGE, "DRIFT": "x"}))
    assert "c2VjcmV0" in (settings.connection_string or "")


def test_settings_do_not_change() -> None:
    with pytest.raises(ValueError, match="frozen"):
        read_settings(STORAGE).prefix = "other"  # type: ignore[misc]


def test_only_the_given_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_CONTAINER", "from-the-process")
    assert read_settings(STORAGE).container == "customerio"
    assert environment_of_process()["EXPORT_CONTAINER"] == "from-the-process"


# local.settings.json


def local_file(folder: Path, text: str) -> Path:
    path = folder / "local.settings.json"
    path.write_text(text)
    return path


def test_the_local_file_is_read_and_the_environment_goes_first(tmp_path: Path) -> None:
    values = {**STORAGE, "EXPORT_CONTAINER": "from-the-file", "BATCH_MAX_FILES": 7}
    path = local_file(tmp_path, json.dumps({"IsEncrypted": False, "Values": values}))
    settings = read_settings({"EXPORT_PREFIX": "p/"}, path)
    assert (settings.container, settings.batch_max_files, settings.prefix) == ("from-the-file", 7, "p/")
    assert read_settings({"EXPORT_CONTAINER": "from-outside"}, path).container == "from-outside"
    assert read_settings(STORAGE, tmp_path / "absent.json").container == "customerio"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"Values": 5}', '{"Values": ["x"]}', '{"Values": null}'])
def test_a_broken_local_file_is_named(tmp_path: Path, text: str) -> None:
    error = refused(STORAGE, local_file(tmp_path, text))
    assert "local.settings.json is not a settings file" in error.what
    assert "local.settings.json.example" in error.hint


# Azure

MOUNTS = """\
overlay / overlay rw 0 0
//account.file.core.windows.net/share /mounts/warehouse cifs rw,vers=3.1.1 0 0
tmpfs /mounts/warehouse/scratch tmpfs rw 0 0
/dev/sda1 /mounts/disk ext4 rw 0 0
account /mounts/nfs nfs4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "lasts"),
    [
        ("/mounts/warehouse/w.duckdb", True),
        ("/mounts/warehouse/deep/er/w.duckdb", True),
        ("/mounts/nfs/w.duckdb", True),
        ("/mounts/warehouse/scratch/w.duckdb", False),
        ("/mounts/warehouse2/w.duckdb", False),
        ("/mounts/warehouse/../w.duckdb", False),
        ("/mounts/disk/w.duckdb", False),
        ("/home/w.duckdb", False),
        ("w.duckdb", False),
    ],
)
def test_in_azure_the_file_has_to_lie_on_a_share(monkeypatch: pytest.MonkeyPatch, path: str, lasts: bool) -> None:
    monkeypatch.setattr(module, "_mounts", lambda: MOUNTS)
    assert read_settings({**STORAGE, "DUCKDB_PATH": path}), "elsewhere any path will do"
    for mark in ("WEBSITE_INSTANCE_ID", "WEBSITE_SITE_NAME"):
        environment = {**STORAGE, mark: "x", "DUCKDB_PATH": path}
        if lasts:
            assert read_settings(environment).duckdb_path == Path(path)
        else:
            error = refused(environment)
            assert error.what.startswith("DUCKDB_PATH: ")
            assert path in error.what
            assert "share" in error.hint


def test_a_local_file_does_not_make_it_azure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_mounts", lambda: MOUNTS)
    path = local_file(tmp_path, json.dumps({"Values": {"WEBSITE_SITE_NAME": "x"}}))
    assert read_settings(STORAGE, path)


def test_without_proc_nothing_is_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_mounts", lambda: "")
    assert "DUCKDB_PATH" in str(refused(AZURE))


def test_the_catalogue_names_every_setting() -> None:
    assert {setting.name for setting in CATALOGUE} == {field.alias for field in Settings.model_fields.values()}
    assert all(setting.meaning and setting.example for setting in CATALOGUE)
