"""Prove that a dead owner of a lease is known for dead, and nobody else is."""

from __future__ import annotations

import socket

import pytest

from ingest.warehouses.owners import gone, owner_of_this_process


def test_this_process_is_not_gone() -> None:
    assert not gone(owner_of_this_process())
    assert not gone(f"{owner_of_this_process()}/drain 1")


@pytest.mark.parametrize(
    "owner",
    [
        "",
        "somebody",
        "elsewhere/1/2",
        f"{socket.gethostname()}/x/5",
        f"{socket.gethostname()}/1",
        f"{socket.gethostname()}/1/",
    ],
)
def test_in_doubt_an_owner_is_not_gone(owner: str) -> None:
    assert not gone(owner)


def test_a_process_number_used_again_is_another_process() -> None:
    host, pid, started = owner_of_this_process().split("/")
    assert gone(f"{host}/{pid}/{int(started) + 1}/drain")
