"""Read app settings and host.json as the platform does, and resolve `%SETTING%` references."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REFERENCE = re.compile(r"%([^%\s]+)%")
LARGEST_CONCURRENCY = 64


class SettingsError(Exception):
    """A setting or host.json is missing or wrong; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class HostConfig:
    """What of host.json matters here, with the platform's defaults; concurrency is per process."""

    concurrency: int = 8
    blob_attempts: int = 5
    route_prefix: str = "api"


def load_settings(path: Path) -> dict[str, str]:
    """Read a `local.settings.json`: its `Values`, which are all text."""
    if not path.exists():
        raise SettingsError(f"{path.name} does not exist: copy {path.name}.example and fill in what it says")
    values = read_object(path).get("Values")
    if not isinstance(values, dict):
        raise SettingsError(
            f'{path.name}: no object "Values", for example {{"Values": {{"EXPORT_CONTAINER": "exports"}}}}'
        )
    wrong = sorted(name for name, value in values.items() if not isinstance(value, str))
    if wrong:
        raise SettingsError(f"{path.name}: settings are text, put quotes around {', '.join(wrong)}")
    return dict(values)


def load_host_json(app_dir: Path) -> HostConfig:
    """Read host.json, without which the platform starts nothing."""
    path = app_dir / "host.json"
    if not path.exists():
        raise SettingsError(
            'host.json does not exist beside function_app.py; it has to say at least {"version": "2.0"}'
        )
    document = read_object(path)
    if document.get("version") != "2.0":
        raise SettingsError('host.json: "version" has to be "2.0"')
    extensions = document.get("extensions", {})
    blobs, http = extensions.get("blobs", {}), extensions.get("http", {})
    default = HostConfig()
    concurrency = blobs.get("maxDegreeOfParallelism", default.concurrency)
    attempts = blobs.get("poisonBlobThreshold", default.blob_attempts)
    for name, value in (("maxDegreeOfParallelism", concurrency), ("poisonBlobThreshold", attempts)):
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise SettingsError(f"host.json: extensions.blobs.{name} has to be a number from 1, not {value!r}")
    prefix = str(http.get("routePrefix", default.route_prefix)).strip("/")
    return HostConfig(min(concurrency, LARGEST_CONCURRENCY), attempts, prefix)


def read_object(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SettingsError(f"{path.name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise SettingsError(f"{path.name} has to hold a JSON object")
    return document


def resolve(text: str, settings: Mapping[str, str], where: str) -> str:
    """Put settings in place of `%NAME%`; `where` names the binding for the error."""

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if not settings.get(name):
            raise SettingsError(f"{where} refers to %{name}%, and no app setting {name} is set")
        return settings[name]

    return REFERENCE.sub(value, text)


def connection(name: str, settings: Mapping[str, str], where: str) -> str:
    """Give the connection string that a binding's `connection` names."""
    if settings.get(name):
        return settings[name]
    if any(key.startswith(f"{name}__") for key in settings):
        raise SettingsError(f"{where}: on a laptop {name} has to be a connection string; {name}__* needs Azure")
    raise SettingsError(f"{where} connects through {name}, and no app setting {name} is set")
