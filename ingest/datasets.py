"""The datasets of the export: their columns, keys and recency, one declaration each.

Source: Customer.io's page "Azure blob storage", section "Parquet file schemas" (schema version 4); the spelling of the
file names and the v5 datasets from files of real exports.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """A column's logical type, by the vendor's words."""

    STRING = "STRING"
    INTEGER = "INTEGER"
    BOOLEAN = "BOOLEAN"
    TIMESTAMP = "TIMESTAMP"
    STRINGS = "LIST<STRING>"
    NUMBER = "NUMBER"
    """Not in the vendor's page: what an unknown floating-point or decimal column becomes."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a dataset."""

    name: str
    kind: Kind
    required: bool = False
    since: int = 1
    """The schema version that brought it. A table gets a column of a later version when a file brings one."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One dataset: the table it becomes, what identifies a row and what makes one newer."""

    name: str
    stems: tuple[str, ...]
    """What its files are called before `_v<version>`; the first is the canonical one."""
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    recency: str | None
    """The column by which the newest row wins, before version and sequence; None: version and sequence decide."""
    born: str | None = None
    """An instant that a row keeps for life as a rule. It makes looking for older rows cheap; nothing relies on it."""
    changes: bool = False
    """Whether `<stem>_v<version>_chngs_...` files exist."""
    lookup: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "lookup", {column.name: column for column in self.columns})

    @property
    def first_columns(self) -> tuple[Column, ...]:
        """What its table is made with."""
        return tuple(column for column in self.columns if column.since == 1)


LINEAGE: tuple[Column, ...] = (
    Column("_blob_name", Kind.STRING, required=True),
    Column("_version", Kind.INTEGER, required=True),
    Column("_sequence", Kind.INTEGER, required=True),
    Column("_sequence_end", Kind.INTEGER),
    Column("_row_number", Kind.INTEGER, required=True),
    Column("_loaded_at", Kind.TIMESTAMP, required=True),
)
"""What every data table says of a row's origin; `_row_number` counts from 1 within the file."""


def _columns(text: str) -> tuple[Column, ...]:
    """Read `name KIND [!] [vN]` lines: `!` is required, `vN` the schema version that brought the column."""
    found = []
    for line in text.strip().splitlines():
        name, kind, *marks = line.split()
        since = next((int(mark[1:]) for mark in marks if mark.startswith("v")), 1)
        found.append(Column(name, Kind(kind), required="!" in marks, since=since))
    return tuple(found)


DELIVERIES = Dataset(
    name="deliveries",
    stems=("deliveries",),
    key=("workspace_id", "delivery_id"),
    recency="seq_num",
    born="created_at",
    columns=_columns("""
        workspace_id INTEGER !
        delivery_id STRING !
        internal_customer_id STRING
        subject_id STRING
        event_id STRING
        delivery_type STRING !
        campaign_id INTEGER
        action_id INTEGER
        newsletter_id INTEGER
        content_id INTEGER
        trigger_id INTEGER
        created_at TIMESTAMP !
        transactional_message_id INTEGER
        seq_num INTEGER !
    """),
)

DELIVERY_CONTENT = Dataset(
    name="delivery_content",
    stems=("delivery_contents", "delivery_content"),
    key=("workspace_id", "delivery_id"),
    recency=None,
    columns=_columns("""
        workspace_id INTEGER !
        delivery_id STRING !
        campaign_id INTEGER
        action_id INTEGER
        newsletter_id INTEGER
        content_id INTEGER
        from STRING
        reply_to STRING
        bcc STRING
        recipient STRING !
        subject STRING
        body STRING !
        body_amp STRING
        body_plain STRING !
        preheader STRING
        url STRING
        method STRING
        headers STRING
        type STRING !
    """),
)

METRICS = Dataset(
    name="metrics",
    stems=("metrics",),
    key=("workspace_id", "event_id"),
    recency="seq_num",
    born="created_at",
    columns=_columns("""
        event_id STRING !
        workspace_id INTEGER !
        delivery_id STRING !
        metric STRING !
        created_at TIMESTAMP !
        reason STRING
        link_id INTEGER
        link_url STRING
        seq_num INTEGER !
        proxied BOOLEAN v5
        prefetched BOOLEAN v5
        machine BOOLEAN v5
        user_agent STRING v5
        email_client STRING v5
        inbox_domain STRING v5
        inbox_provider STRING v5
        mx_host STRING v5
    """),
)

OUTPUTS = Dataset(
    name="outputs",
    stems=("outputs",),
    key=("workspace_id", "output_id"),
    recency="seq_num",
    born="created_at",
    columns=_columns("""
        workspace_id INTEGER !
        output_id STRING !
        subject_name STRING !
        output_type STRING !
        action_id INTEGER !
        explanation STRING !
        delivery_id STRING
        draft BOOLEAN
        link_tracked BOOLEAN
        split_test_index INTEGER
        delay_ends_at TIMESTAMP
        branch_index INTEGER
        manual_segment_id INTEGER
        add_to_manual_segment BOOLEAN
        created_at TIMESTAMP !
        seq_num INTEGER !
    """),
)

SUBJECTS = Dataset(
    name="subjects",
    stems=("subjects",),
    key=("workspace_id", "subject_name"),
    recency="seq_num",
    born="created_at",
    columns=_columns("""
        workspace_id INTEGER !
        subject_name STRING !
        internal_customer_id STRING
        campaign_type STRING !
        campaign_id INTEGER !
        event_id STRING
        trigger_id INTEGER
        started_campaign_at TIMESTAMP !
        created_at TIMESTAMP !
        seq_num INTEGER !
    """),
)

PEOPLE = Dataset(
    name="people",
    stems=("people",),
    key=("workspace_id", "internal_customer_id"),
    recency="updated_at",
    changes=True,
    columns=_columns("""
        workspace_id INTEGER !
        customer_id STRING !
        internal_customer_id STRING !
        deleted BOOLEAN
        suppressed BOOLEAN
        created_at TIMESTAMP !
        updated_at TIMESTAMP !
        email_addr STRING
    """),
)

ATTRIBUTES = Dataset(
    name="attributes",
    stems=("attributes",),
    key=("workspace_id", "internal_customer_id", "attribute_name", "timestamp"),
    recency=None,
    born="timestamp",
    columns=_columns("""
        workspace_id INTEGER !
        internal_customer_id STRING !
        attribute_name STRING !
        attribute_value STRING !
        timestamp TIMESTAMP !
    """),
)

CAMPAIGNS = Dataset(
    name="campaigns",
    stems=("campaigns",),
    key=("workspace_id", "campaign_id"),
    recency="updated_at",
    columns=_columns("""
        workspace_id INTEGER !
        campaign_id INTEGER !
        name STRING
        created_at TIMESTAMP
        updated_at TIMESTAMP !
        version INTEGER
        topic_names LIST<STRING>
    """),
)

BROADCASTS = Dataset(
    name="broadcasts",
    stems=("broadcasts",),
    key=("workspace_id", "broadcast_id"),
    recency="updated_at",
    columns=_columns("""
        workspace_id INTEGER !
        broadcast_id INTEGER !
        name STRING
        created_at TIMESTAMP
        updated_at TIMESTAMP !
        topic_names LIST<STRING>
    """),
)

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        DELIVERIES,
        DELIVERY_CONTENT,
        METRICS,
        OUTPUTS,
        SUBJECTS,
        PEOPLE,
        ATTRIBUTES,
        CAMPAIGNS,
        BROADCASTS,
    )
}

BY_STEM: dict[str, Dataset] = {stem: dataset for dataset in DATASETS.values() for stem in dataset.stems}
