"""Found a workspace: its typed campaigns with their workflows, its newsletters, links and senders."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from local.simulator.activity import DAY, HOUR, MINUTE

CAMPAIGN_TYPES = (
    "segment",
    "event",
    "triggered_broadcast",
    "form",
    "date",
    "relationship",
    "object",
    "webhook",
)
EVENT, BROADCAST = 1, 2
CHANNELS = ("email", "push", "in-app", "sms", "slack", "webhook", "whatsapp")
EMAIL, PUSH, IN_APP, SMS, SLACK, WEBHOOK, WHATSAPP = range(7)
STEPS = ("delay", "message", "split_test", "branch", "manual_segment_update")
DELAY, MESSAGE, SPLIT_TEST, BRANCH, SEGMENT_UPDATE = range(5)
NO_STEP = -1

CAMPAIGNS = 16
SURVIVAL = 0.85  # of those at one step, so many come to the next
_CHANNEL_SHARES = (0.62, 0.14, 0.09, 0.06, 0.02, 0.04, 0.03)
# Workflows as real ones are built: a message soon, then waiting, deciding, another message.
_WORKFLOWS = (
    (MESSAGE, DELAY, MESSAGE, NO_STEP, NO_STEP, NO_STEP),
    (DELAY, MESSAGE, BRANCH, DELAY, MESSAGE, SEGMENT_UPDATE),
    (SPLIT_TEST, MESSAGE, DELAY, MESSAGE, DELAY, MESSAGE),
    (MESSAGE, NO_STEP, NO_STEP, NO_STEP, NO_STEP, NO_STEP),
    (SEGMENT_UPDATE, MESSAGE, DELAY, BRANCH, MESSAGE, NO_STEP),
)
_WAITS = (10 * MINUTE, 30 * MINUTE, 2 * HOUR, 8 * HOUR, DAY, 3 * DAY)


@dataclass(frozen=True, slots=True)
class Workspace:
    """What marketers have set up; matrices are campaigns by steps."""

    workspace_id: int
    seed: int
    campaign_types: NDArray[np.int8]
    popularity: NDArray[np.float64]
    steps: NDArray[np.int8]
    channels: NDArray[np.int8]
    offsets: NDArray[np.int64]  # µs after the journey began
    waits: NDArray[np.int64]  # µs, of delays
    messages_per_journey: float

    def action_ids(self, campaign: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.int64]:
        """Number the workflow items of all campaigns."""
        return 100 + campaign * 10 + step


def found(seed: int, workspace_id: int) -> Workspace:
    """Set up a workspace, always the same for a seed."""
    rng = np.random.default_rng([seed, 1])
    campaign_types = (np.arange(CAMPAIGNS) % len(CAMPAIGN_TYPES)).astype(np.int8)
    popularity = 1 / (1 + rng.permutation(CAMPAIGNS))
    popularity /= popularity.sum()
    steps = np.array(_WORKFLOWS, dtype=np.int8)[rng.permutation(CAMPAIGNS) % len(_WORKFLOWS)]
    waits = np.where(steps == DELAY, np.array(_WAITS)[rng.integers(0, len(_WAITS), steps.shape)], 0)
    offsets = np.cumsum(waits, axis=1) - waits
    channels = rng.choice(len(CHANNELS), p=_CHANNEL_SHARES, size=steps.shape).astype(np.int8)
    # Every channel is in use somewhere, however the draw fell out; each workflow has a message among its first two.
    first_message = np.argmax(steps == MESSAGE, axis=1)
    channels[np.arange(len(CHANNELS)), first_message[: len(CHANNELS)]] = rng.permutation(len(CHANNELS))
    reached = SURVIVAL ** np.arange(steps.shape[1])
    messages = ((steps == MESSAGE) * reached).sum(axis=1)
    return Workspace(
        workspace_id=workspace_id,
        seed=seed,
        campaign_types=campaign_types,
        popularity=popularity,
        steps=steps,
        channels=channels,
        offsets=offsets.astype(np.int64),
        waits=waits.astype(np.int64),
        messages_per_journey=float((messages * popularity).sum()),
    )
