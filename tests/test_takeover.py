"""Prove how workers give way to one another: held, lost, renewed and released leases, and time that runs out."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

from ingest.arrivals import Lease
from ingest.outcomes import (
    OutOfTime,
    StreamHeld,
    StreamLost,
)
from tests import factories
from tests.world import DELIVERIES, World


def test_time_running_out_leaves_the_rest_for_the_next(world: World) -> None:
    for sequence in (1, 2, 3):
        world.write(sequence)
    tally = world.worker().everything(world.clock.moment)
    assert (tally.files, tally.unfinished) == (0, {DELIVERIES})
    assert world.told(OutOfTime) == [OutOfTime(DELIVERIES)]
    assert world.drain().files == 3


def test_a_held_stream_is_left_to_its_holder(world: World) -> None:
    world.write(1)
    world.write(1, {}, dataset="metrics")
    world.warehouse.prepare()
    lease = world.warehouse.claim(DELIVERIES, "another", world.clock.now(), factories.TERM)
    tally = world.drain()
    assert tally.held == {DELIVERIES}
    assert world.told(StreamHeld) == [StreamHeld(DELIVERIES, "another")]
    assert world.statuses() == {factories.name("metrics"): "loaded"}
    world.warehouse.release(lease)
    assert world.drain().files == 1


def test_waiting_ends_when_the_holders_lease_runs_out(world: World) -> None:
    world.write(1)
    world.warehouse.prepare()
    world.warehouse.claim(DELIVERIES, "another", world.clock.now(), factories.TERM)
    tally = world.worker().settled(world.deadline(), timedelta(minutes=10))
    assert (tally.files, tally.held) == (1, frozenset())


def test_waiting_ends_when_patience_does(world: World) -> None:
    world.write(1)
    world.warehouse.prepare()
    world.warehouse.claim(DELIVERIES, "another", world.clock.now(), timedelta(days=1))
    tally = world.worker().settled(world.deadline(), timedelta(seconds=30))
    assert (tally.files, tally.held) == (0, {DELIVERIES})


def test_a_lost_lease_is_told_and_leaves_everything_to_the_successor(world: World) -> None:
    world.write(1)
    real = world.warehouse

    class Overtaken:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def load(self, lease: Lease, *arguments: Any) -> Any:
            later = world.clock.now() + factories.TERM * 2
            assert isinstance(real.claim(lease.stream, "successor", later, factories.TERM), Lease)
            return real.load(lease, *arguments)

    world.warehouse = Overtaken()
    tally = world.drain()
    assert (tally.files, tally.unfinished) == (0, {DELIVERIES})
    assert world.told(StreamLost) == [StreamLost(DELIVERIES)]
    world.warehouse = real
    assert world.drain().held == {DELIVERIES}, "the loser must not release what is the successor's"


def test_what_comes_between_the_last_listing_and_the_release_is_seen(world: World) -> None:
    world.write(1)
    real = world.warehouse

    class Releasing:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def release(self, lease: Lease) -> None:
            if lease.stream == DELIVERIES and len(world.landing.names) == 1:
                world.write(2)
            real.release(lease)

    world.warehouse = Releasing()
    assert world.drain().files == 2


def test_a_long_load_renews_its_lease(world: World) -> None:
    """The load waits for the renewal, so it ends at once when there is one and fails when there is none."""
    world.write(1)
    real, renewed = world.warehouse, threading.Event()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def renew(self, *arguments: Any) -> None:
            real.renew(*arguments)
            renewed.set()

        def load(self, *arguments: Any) -> Any:
            assert renewed.wait(20), "the lease was not renewed"
            return real.load(*arguments)

    world.warehouse = Slow()
    assert world.drain(lease=timedelta(milliseconds=90)).files == 1
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("renew")]
