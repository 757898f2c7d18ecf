"""Declare what real v4 files hold: columns in file order, required ones, keys and recency.

Kept apart from the ingestor's own contracts on purpose: a mistake there must not hide itself here.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pyarrow as pa

INTEGER = pa.int64()
STRING = pa.string()
BOOLEAN = pa.bool_()
TIMESTAMP = pa.timestamp("us", tz="UTC")

_TYPES: dict[str, pa.DataType] = {"i": INTEGER, "s": STRING, "b": BOOLEAN, "t": TIMESTAMP}


def _schema(columns: str) -> pa.Schema:
    """Read `name:type` pairs, where `!` behind the type says required."""
    fields = []
    for column in columns.split():
        name, _, kind = column.partition(":")
        fields.append(pa.field(name, _TYPES[kind[0]], nullable=not kind.endswith("!")))
    return pa.schema(fields)


SCHEMAS: Mapping[str, pa.Schema] = MappingProxyType(
    {
        "deliveries": _schema(
            "workspace_id:i! delivery_id:s! internal_customer_id:s subject_id:s event_id:s delivery_type:s! "
            "campaign_id:i action_id:i newsletter_id:i content_id:i trigger_id:i created_at:t! "
            "transactional_message_id:i seq_num:i!"
        ),
        "delivery_content": _schema(
            "workspace_id:i! delivery_id:s! campaign_id:i action_id:i newsletter_id:i content_id:i from:s reply_to:s "
            "bcc:s recipient:s! subject:s body:s! body_amp:s body_plain:s! preheader:s url:s method:s headers:s type:s!"
        ),
        "metrics": _schema(
            "event_id:s! workspace_id:i! delivery_id:s! metric:s! created_at:t! reason:s link_id:i link_url:s seq_num:i!"
        ),
        "outputs": _schema(
            "workspace_id:i! output_id:s! subject_name:s! output_type:s! action_id:i! explanation:s! delivery_id:s "
            "draft:b link_tracked:b split_test_index:i delay_ends_at:t branch_index:i manual_segment_id:i "
            "add_to_manual_segment:b created_at:t! seq_num:i!"
        ),
        "subjects": _schema(
            "workspace_id:i! subject_name:s! internal_customer_id:s campaign_type:s! campaign_id:i! event_id:s "
            "trigger_id:i started_campaign_at:t! created_at:t! seq_num:i!"
        ),
        "people": _schema(
            "workspace_id:i! customer_id:s! internal_customer_id:s! deleted:b suppressed:b created_at:t! updated_at:t! "
            "email_addr:s"
        ),
        "attributes": _schema(
            "workspace_id:i! internal_customer_id:s! attribute_name:s! attribute_value:s! timestamp:t!"
        ),
    }
)

DATASETS = tuple(SCHEMAS)

KEYS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "deliveries": ("workspace_id", "delivery_id"),
        "delivery_content": ("workspace_id", "delivery_id"),
        "metrics": ("workspace_id", "event_id"),
        "outputs": ("workspace_id", "output_id"),
        "subjects": ("workspace_id", "subject_name"),
        "people": ("workspace_id", "internal_customer_id"),
        "attributes": ("workspace_id", "internal_customer_id", "attribute_name", "timestamp"),
    }
)

# The newest row wins by these; `_sequence` is the file's. Ties go by file order, then by position.
RECENCY: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "deliveries": ("seq_num",),
        "delivery_content": ("_sequence",),
        "metrics": ("seq_num",),
        "outputs": ("seq_num",),
        "subjects": ("seq_num",),
        "people": ("updated_at", "_sequence"),
        "attributes": ("_sequence",),
    }
)

# What a later version of the export might add; none of these is a column of v5.
ADDED: "Mapping[str, pa.Field[Any]]" = MappingProxyType(
    {
        "deliveries": pa.field("message_name", STRING),
        "delivery_content": pa.field("rendered_in_ms", INTEGER),
        "metrics": pa.field("automated", BOOLEAN),
        "outputs": pa.field("attempt", INTEGER),
        "subjects": pa.field("ended_at", TIMESTAMP),
        "people": pa.field("phone_number", STRING),
        "attributes": pa.field("changed_by", STRING),
    }
)
