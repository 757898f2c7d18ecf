"""Where the stand-in is known not to do what Snowflake does: there a test has to fail, or the list is wrong."""

from __future__ import annotations

import os

import pytest

STAND_IN = os.environ.get("TEST_SNOWFLAKE_STAND_IN") == "1"


def lies(how: str, raises: type[Exception] = AssertionError) -> pytest.MarkDecorator:
    """Expect a test to fail on the stand-in, and only there."""
    return pytest.mark.xfail(STAND_IN, reason=f"the stand-in lies: {how}", raises=raises, strict=True)
