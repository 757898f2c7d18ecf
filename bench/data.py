"""Write the bench's parquet files: the vendor's v4 columns, ids of full entropy, the same bytes for the same plan.

How the changesets are drawn: half of a file's rows are deliveries created in its 15 minutes, half are updates. An
update's delivery is chosen by age: 80 % exponentially with a mean of 12 hours, 15 % with a mean of 3 days, 5 %
evenly over all history ("opened" weeks after "sent"). `created_at` of a delivery never changes; its `seq_num`
rises. A key can come several times in one file and in many files.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import duckdb

WORKSPACE = 111528
SEQUENCE = 241_600_000_000_000_000
"""Where sequences start: beyond 2^53, like the vendor's."""
SEQ_NUM = 700_000_000_000
START = 1_735_689_600_000_000
"""2025-01-01 in microseconds: the first delivery."""
PER_CHANGESET = 2_500
"""New deliveries in 15 minutes, and as many updates."""
STEP = 900_000_000 // PER_CHANGESET
"""Microseconds from one delivery to the next."""
DAY = 86_400_000_000 // STEP
"""Deliveries in a day."""

_MACROS = """
CREATE MACRO bits(salt, i) AS unhex(md5(salt || i::VARCHAR));
CREATE MACRO chance(salt, i) AS (hash(salt || i::VARCHAR) >> 11) / 9007199254740992.0;
CREATE MACRO url_safe(b) AS replace(replace(to_base64(b), '+', '-'), '/', '_');
CREATE MACRO delivery_id(i) AS url_safe(unhex('640200') || bits('delivery', i));
CREATE MACRO crockford(n) AS '0123456789ABCDEFGHJKMNPQRSTVWXYZ'[1 + (n & 31)::INTEGER];
CREATE MACRO ulid(salt, i, us) AS
    '01' || crockford(us // 1000 >> 35) || crockford(us // 1000 >> 30) || crockford(us // 1000 >> 25)
    || crockford(us // 1000 >> 20) || crockford(us // 1000 >> 15) || crockford(us // 1000 >> 10)
    || crockford(us // 1000 >> 5) || crockford(us // 1000)
    || translate(to_base64(bits(salt, i))[1:16],
        'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/',
        '0123456789ABCDEFGHJKMNPQRSTVWXYZ0123456789ABCDEFGHJKMNPQRSTVWXYZ');
CREATE MACRO cio_id(i) AS printf('d9c1%08x', i);
"""

_DELIVERY = f"""
SELECT
    {WORKSPACE} AS workspace_id,
    delivery_id(i) AS delivery_id,
    cio_id(hash(i) % 300000) AS internal_customer_id,
    CASE WHEN i % 5 < 4 THEN ulid('subject', i, us) END AS subject_id,
    CASE WHEN i % 5 = 0 THEN ulid('trigger', i, us) END AS event_id,
    ['email', 'email', 'email', 'push', 'in_app', 'sms'][1 + i % 6] AS delivery_type,
    CASE WHEN i % 5 < 4 THEN 1 + hash(i // 7) % 60 END::BIGINT AS campaign_id,
    CASE WHEN i % 5 < 4 THEN 1 + hash(i // 7) % 60 * 8 + hash(i) % 8 END::BIGINT AS action_id,
    CASE WHEN i % 5 = 4 THEN 1 + i // 100000 END::BIGINT AS newsletter_id,
    CASE WHEN i % 5 = 4 THEN i % 2 END::BIGINT AS content_id,
    CASE WHEN i % 50 = 0 THEN 1 + i // 1000 END::BIGINT AS trigger_id,
    make_timestamp(us) AS created_at,
    CASE WHEN i % 40 = 0 THEN 1 + i % 12 END::BIGINT AS transactional_message_id,
    seq_num::BIGINT AS seq_num
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much data: rows, and files of 5,000 deliveries."""

    deliveries: int = 2_000_000
    metrics: int = 4_000_000
    people: int = 300_000
    waiting: int = 200
    single: int = 50
    delivery_files: int = 8
    metric_files: int = 16
    people_files: int = 2


@dataclass(frozen=True, slots=True)
class Export:
    """The files of a plan, in the order in which they are written."""

    initial: tuple[Path, ...]
    waiting: tuple[Path, ...]
    single: tuple[Path, ...]


def export(plan: Plan, folder: Path) -> Export:
    """Write the plan's files, or find them as an earlier run left them."""
    initial = [
        *_spread(plan.deliveries, plan.delivery_files, "deliveries_v4_{ws}_{seq}.parquet", deliveries),
        *_spread(plan.metrics, plan.metric_files, "metrics_v4_{ws}_{seq}_{end}.parquet", metrics),
        *_spread(plan.people, plan.people_files, "people_v4_{ws}_{seq}.parquet", people),
    ]
    changes = [
        (_changeset_name(number), changeset(plan.deliveries, number)) for number in range(plan.waiting + plan.single)
    ]
    write(initial + changes, folder, stamp=json.dumps(asdict(plan)))
    paths = [folder / name for name, _ in initial + changes]
    first, second = len(initial), len(initial) + plan.waiting
    return Export(tuple(paths[:first]), tuple(paths[first:second]), tuple(paths[second:]))


def history(rows: int, files: int, folder: Path) -> tuple[Path, ...]:
    """Write `rows` deliveries as so many files."""
    named = list(_spread(rows, files, "deliveries_v4_{ws}_{seq}.parquet", deliveries))
    write(named, folder, stamp=f"{rows} {files}")
    return tuple(folder / name for name, _ in named)


def changesets(history_rows: int, count: int, folder: Path, *, tail: bool) -> tuple[Path, ...]:
    """Write changesets upon a history; without `tail` no update is older than its age's exponential makes it."""
    named = [(_changeset_name(number), changeset(history_rows, number, tail=tail)) for number in range(count)]
    write(named, folder, stamp=f"{history_rows} {count} {tail}")
    return tuple(folder / name for name, _ in named)


def _changeset_name(number: int) -> str:
    return f"deliveries_v4_{WORKSPACE}_{SEQUENCE + 1_000_000 + 1_000 * number}.parquet"


def deliveries(low: int, high: int) -> str:
    """Return a query for the deliveries created first, `low` to `high`."""
    return (
        f"{_DELIVERY} FROM (SELECT i, {START} + i * {STEP} AS us, {SEQ_NUM} + i AS seq_num "
        f"FROM range({low}, {high}) AS rows(i))"
    )


def changeset(history: int, number: int, *, tail: bool = True) -> str:
    """Return a query for a changeset: new deliveries and updates of older ones, by rising seq_num."""
    first = history + number * PER_CHANGESET
    seq_num = SEQ_NUM + 1_000_000_000 + number * 10_000
    recent = 0.95 if tail else 1.0
    age = (
        "CASE WHEN chance('kind', key) < 0.80 THEN -ln(1 - chance('age', key)) * "
        f"{DAY // 2} WHEN chance('kind', key) < {recent} THEN -ln(1 - chance('age', key)) * {DAY * 3} "
        f"ELSE chance('age', key) * {first} END"
    )
    return f"""{_DELIVERY} FROM (
        SELECT i, {START} + i * {STEP} AS us, {seq_num} + position AS seq_num FROM (
            SELECT {first} + n AS i, 2 * n AS position FROM range({PER_CHANGESET}) AS fresh(n)
            UNION ALL
            SELECT {first} - 1 - floor({age})::BIGINT % {first}, 2 * n + 1
            FROM (SELECT n, {number} * 1000000 + n AS key FROM range({PER_CHANGESET}) AS updates(n))
        )
    ) ORDER BY seq_num"""


def metrics(low: int, high: int) -> str:
    """Return a query for the metrics `low` to `high`: two of each delivery in turn."""
    return f"""
    SELECT
        ulid('metric', i, us) AS event_id,
        {WORKSPACE} AS workspace_id,
        delivery_id(i // 2) AS delivery_id,
        ['sent', 'delivered', 'sent', 'opened', 'sent', 'clicked', 'sent', 'bounced'][1 + i % 8] AS metric,
        make_timestamp(us) AS created_at,
        CASE WHEN i % 8 = 7 THEN 'mailbox full' END AS reason,
        CASE WHEN i % 8 = 5 THEN 1 + hash(i) % 500 END::BIGINT AS link_id,
        CASE WHEN i % 8 = 5 THEN 'https://shop.example.com/offers/' || (hash(i) % 500) || '?utm=' || md5(i::VARCHAR)
            END AS link_url,
        ({SEQ_NUM} + i)::BIGINT AS seq_num
    FROM (SELECT i, {START} + i // 2 * {STEP} + (i % 2) * 40000000 AS us FROM range({low}, {high}) AS rows(i))"""


def people(low: int, high: int) -> str:
    """Return a query for the people `low` to `high`."""
    return f"""
    SELECT
        {WORKSPACE} AS workspace_id,
        left(md5('customer' || i), 24) AS customer_id,
        cio_id(i) AS internal_customer_id,
        CASE WHEN i % 100 = 0 THEN false END AS deleted,
        CASE WHEN i % 100 = 1 THEN true END AS suppressed,
        make_timestamp({START} - i * 1000000) AS created_at,
        make_timestamp({START} + (hash(i) % 864000)::BIGINT * 1000000) AS updated_at,
        left(md5('mail' || i), 10) || '@example.com' AS email_addr
    FROM range({low}, {high}) AS rows(i)"""


def _spread(rows: int, files: int, pattern: str, query: Callable[[int, int], str]) -> Iterator[tuple[str, str]]:
    for number in range(files):
        low, high = rows * number // files, rows * (number + 1) // files
        sequence = SEQUENCE + number * 1_000
        yield pattern.format(ws=WORKSPACE, seq=sequence, end=sequence + 999), query(low, high)


def write(files: Sequence[tuple[str, str]], folder: Path, *, stamp: str) -> None:
    """Write each query's rows into its file, unless all lie there by the same queries."""
    done = folder / "done.txt"
    stamp = f"{stamp} {_digest(files)}"
    if done.exists() and done.read_text() == stamp:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with duckdb.connect(config={"threads": 1}) as root, ThreadPoolExecutor(2) as pool:
        root.execute(_MACROS)

        def write(file: tuple[str, str]) -> None:
            name, query = file
            with root.cursor() as cursor:
                cursor.execute(f"COPY ({query}) TO '{folder / name}' (FORMAT parquet, COMPRESSION snappy)")

        list(pool.map(write, files))
    done.write_text(stamp)


def _digest(files: Sequence[tuple[str, str]]) -> str:
    """Return what changes when any query or macro does."""
    return hashlib.sha256(repr((_MACROS, list(files))).encode()).hexdigest()
