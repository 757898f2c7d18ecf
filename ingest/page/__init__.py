"""The dashboard's page. It follows; until then its answers are empty."""

from __future__ import annotations


def html() -> str:
    """Return the page."""
    return ""


def headers() -> dict[str, str]:
    """Return its headers."""
    return {"Content-Type": "text/html; charset=utf-8"}


def runbook() -> str:
    """Return the runbook."""
    return ""


def runbook_headers() -> dict[str, str]:
    """Return its headers."""
    return headers()
