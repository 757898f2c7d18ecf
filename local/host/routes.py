"""Match request paths against the route templates of HTTP functions."""

from __future__ import annotations

import re

from local.host.engine import Function

PART = re.compile(r"\{(?P<name>[A-Za-z_]\w*)(?P<rest>[*:?][^}]*)?\}")


def match_route(function: Function, path: str) -> dict[str, str] | None:
    """Give the route's values when the path (without the prefix) fits the function's template, else None."""
    template = str(function.trigger.get("route") or function.name).strip("/")
    pattern, at = "", 0
    for part in PART.finditer(template):
        pattern += re.escape(template[at : part.start()]) + f"(?P<{part['name']}>[^/]+)"
        at = part.end()
    found = re.fullmatch(pattern + re.escape(template[at:]), path.strip("/"), re.IGNORECASE)
    return found.groupdict() if found else None
