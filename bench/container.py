"""The bench's container in Azurite: what the phases upload, and take away again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from azure.storage.blob import ContainerClient

from local.azurite import Azurite


def create(azurite: Azurite, name: str) -> ContainerClient:
    """Create a container."""
    client = ContainerClient.from_connection_string(azurite.connection_string, name)
    client.create_container()
    return client


def upload(container: ContainerClient, files: Sequence[Path]) -> None:
    """Write the files as blobs of their names."""

    def put(path: Path) -> None:
        with path.open("rb") as file:
            container.upload_blob(path.name, file, overwrite=True)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(put, files))


def take_away(container: ContainerClient, names: Sequence[str]) -> None:
    """Delete the blobs, those that are there."""
    there = {blob.name for blob in container.list_blobs()}
    for name in there.intersection(names):
        container.delete_blob(name)
