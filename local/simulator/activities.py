"""Describe what happened: the datasets deliveries, metrics, outputs and subjects."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from local.simulator.columns import booleans, instants, integers, table, words
from local.simulator.identifiers import chance, cio_ids, delivery_ids, mix, ulids
from local.simulator.lifecycle import CLICKED, DRAFTED, METRICS
from local.simulator.population import Population
from local.simulator.records import Records
from local.simulator.workspace import (
    BRANCH,
    CAMPAIGN_TYPES,
    CHANNELS,
    DELAY,
    MESSAGE,
    SEGMENT_UPDATE,
    SPLIT_TEST,
    STEPS,
    Workspace,
)

Sequence = NDArray[np.int64]
_SUBJECT, _EVENT, _OUTPUT, _METRIC = 101, 103, 105, 107  # salts, so that equal numbers make different ids
_REASONS = (
    "550 5.1.1 The email account that you tried to reach does not exist",
    "mailbox full",
    "421 4.7.0 Try again later",
    "rate limited by the provider",
    "",
    "invalid device token",
)
_WITH_REASON = ("attempted", "bounced", "dropped", "deferred", "failed", "undeliverable", "suppressed")
_LINKS = (
    "https://shop.example.com/",
    "https://shop.example.com/sale?utm_source=customerio&utm_medium=email",
    "https://shop.example.com/a/ü/%F0%9F%8E%89",
    "https://example.com/unsubscribe#top",
    "https://shop.example.com/" + "long/" * 195,
)
_EXPLANATIONS = ("matched", "waiting", "The person matched the conditions of the branch", "time window open")


def deliveries(rows: Records, sequence: Sequence, workspace: Workspace, population: Population) -> pa.Table:
    """Make rows of deliveries; some fields are filled in once the delivery is on its way."""
    in_journey = rows["journey"] > 0
    complete = (rows["state"] > 0) | ~chance(rows["number"], 12, 3)
    return table(
        "deliveries",
        len(rows),
        {
            "workspace_id": workspace.workspace_id,
            "delivery_id": delivery_ids(rows["number"], workspace.seed),
            "internal_customer_id": cio_ids(rows["person"], ~population.gone[rows["person"]]),
            "subject_id": ulids(rows["journey_at"], rows["journey"], _SUBJECT, in_journey),
            "event_id": ulids(rows["journey_at"], rows["journey"], _EVENT, rows["triggered"] & complete),
            "delivery_type": words(CHANNELS, rows["channel"]),
            "campaign_id": integers(rows["campaign"], rows["campaign"] > 0),
            "action_id": integers(rows["action"], rows["action"] > 0),
            "newsletter_id": integers(rows["newsletter"], rows["newsletter"] > 0),
            "content_id": integers(rows["content"], (rows["content"] >= 0) & complete),
            "trigger_id": integers(rows["trigger"], (rows["trigger"] > 0) & complete),
            "created_at": instants(rows["created"]),
            "transactional_message_id": integers(rows["transactional"], (rows["transactional"] > 0) & complete),
            "seq_num": integers(sequence),
        },
    )


def metrics(rows: Records, sequence: Sequence, workspace: Workspace) -> pa.Table:
    """Make rows of metrics."""
    scattered = mix(rows["number"], 13)
    reasons = np.isin(rows["metric"], [METRICS.index(name) for name in _WITH_REASON])
    clicked = rows["metric"] == CLICKED
    link = (scattered >> np.uint64(9)) % np.uint64(len(_LINKS))
    return table(
        "metrics",
        len(rows),
        {
            "event_id": ulids(rows["created"], rows["number"], _METRIC),
            "workspace_id": workspace.workspace_id,
            "delivery_id": delivery_ids(rows["delivery"], workspace.seed),
            "metric": words(METRICS, rows["metric"]),
            "created_at": instants(rows["created"]),
            "reason": words(
                _REASONS,
                (scattered + rows["state"].astype(np.uint64)) % np.uint64(len(_REASONS)),
                reasons | (rows["state"] > 0),
            ),
            "link_id": integers(link.astype(np.int64) + 1, clicked),
            "link_url": words(_LINKS, link, clicked),
            "seq_num": integers(sequence),
        },
    )


def outputs(rows: Records, sequence: Sequence, workspace: Workspace) -> pa.Table:
    """Make rows of outputs; columns of other kinds of steps stay null."""
    step = rows["step"]
    scattered = (mix(rows["number"], 14) >> np.uint64(7)).astype(np.int64)
    message = step == MESSAGE
    return table(
        "outputs",
        len(rows),
        {
            "workspace_id": workspace.workspace_id,
            "output_id": ulids(rows["created"], rows["number"], _OUTPUT),
            "subject_name": ulids(rows["journey_at"], rows["journey"], _SUBJECT),
            "output_type": words(STEPS, step),
            "action_id": integers(rows["action"]),
            "explanation": words(_EXPLANATIONS, (scattered + rows["state"]) % len(_EXPLANATIONS)),
            "delivery_id": delivery_ids(rows["delivery"], workspace.seed, message),
            "draft": booleans(np.where(message, chance(rows["delivery"], DRAFTED, 30), -1)),
            "link_tracked": booleans(np.where(message, scattered % 5 > 0, -1)),
            "split_test_index": integers(scattered % 2, step == SPLIT_TEST),
            "delay_ends_at": instants(rows["delay_ends"] + rows["state"].astype(np.int64) * 60_000_000, step == DELAY),
            "branch_index": integers(scattered % 3, step == BRANCH),
            "manual_segment_id": integers(rows["action"] % 7 + 1, step == SEGMENT_UPDATE),
            "add_to_manual_segment": booleans(np.where(step == SEGMENT_UPDATE, scattered % 2, -1)),
            "created_at": instants(rows["created"]),
            "seq_num": integers(sequence),
        },
    )


def subjects(rows: Records, sequence: Sequence, workspace: Workspace, population: Population) -> pa.Table:
    """Make rows of subjects."""
    complete = (rows["state"] > 0) | ~chance(rows["number"], 11, 20)
    kind = workspace.campaign_types[rows["campaign"]]
    return table(
        "subjects",
        len(rows),
        {
            "workspace_id": workspace.workspace_id,
            "subject_name": ulids(rows["created"], rows["number"], _SUBJECT),
            "internal_customer_id": cio_ids(rows["person"], ~population.gone[rows["person"]]),
            "campaign_type": words(CAMPAIGN_TYPES, kind),
            "campaign_id": integers(rows["campaign"] + 1),
            "event_id": ulids(rows["created"], rows["number"], _EVENT, rows["triggered"] & complete),
            "trigger_id": integers(rows["trigger"], (rows["trigger"] > 0) & complete),
            "started_campaign_at": instants(
                rows["created"] - (rows["number"] % np.uint64(4)).astype(np.int64) * 500_000
            ),
            "created_at": instants(rows["created"]),
            "seq_num": integers(sequence),
        },
    )
