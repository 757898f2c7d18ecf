"""Hold the error tree drawn in the module's docstring against its classes."""

from __future__ import annotations

import inspect
import re

from ingest import errors
from ingest.errors import IngestError


def drawn() -> dict[str, str]:
    """Read the drawing: each class and the one it hangs from."""
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"^([ │├└─]*)([A-Z]\w+)(?:  .*)?$", line)
        if found and (line.startswith("    ") and (path or found[2] == "IngestError")):
            depth = len(found[1])
            path = [(at, name) for at, name in path if at < depth]
            parents[found[2]] = path[-1][1] if path else "Exception"
            path.append((depth, found[2]))
    return parents


def test_the_tree_drawn_is_the_tree() -> None:
    classes = {
        name: found.__bases__[0].__name__
        for name, found in inspect.getmembers(errors, inspect.isclass)
        if found.__module__ == errors.__name__
    }
    assert drawn() == classes


def test_an_error_says_what_and_the_way_out() -> None:
    error = IngestError("this is wrong.", hint="Do that.")
    assert (str(error), error.what, error.hint) == ("this is wrong. Do that.", "this is wrong.", "Do that.")
    assert str(IngestError("this is wrong.")) == "this is wrong."


def test_every_error_has_a_docstring() -> None:
    for name in drawn():
        assert getattr(errors, name).__doc__, name
