"""What `inspect` shows on a terminal: the document about one file, part by part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

_SHOWN = 20
"""Row groups beyond which they are summed up."""
_COLOURS = {"fits": "green", "added": "yellow", "void": "yellow", "missing": "yellow", "broken": "red"}
_VERDICTS = {
    "fits": "fits",
    "missing": "not in the file: nulls",
    "added": "new: the table gets it",
    "void": "new, without a type or a value: left aside",
}


def show(console: Console, found: dict[str, Any]) -> None:
    """Show a document part by part. Nothing is cut: what does not fit a line goes on in the next."""
    console.print(f"[bold]{_plain(found['blob_name'])}[/]", highlight=False)
    _show_name(console, found)
    _show_blob(console, found["blob"])
    if found["footer"] is not None:
        _show_footer(console, found)
        _show_columns(console, found["columns"])
        _show_row_groups(console, found["row_groups"])
    elif found["unreadable"]:
        _part(console, "footer", [f"[red]{_plain(found['unreadable'])}[/]"])
    _show_history(console, found["history"])
    outlook = found["outlook"]
    colour = "red" if outlook["needs_a_person"] else "green"
    command = [f"Run: {_plain(outlook['command'])}"] if outlook["command"] else []
    _part(console, "now", [f"[{colour}]{_plain(outlook['text'])}[/]", *command])


def _show_name(console: Console, found: dict[str, Any]) -> None:
    name = found["name"]
    if name is None:
        _part(console, "name", [f"[red]{_plain(found['odd'])}[/]"])
        return
    parts = [
        f"{name['dataset']}{' (_chngs_)' if name['changes'] else ''} of workspace {name['workspace_id']}",
        f"version {name['version']}",
        f"sequence {name['sequence']}",
        *([f"second sequence {name['sequence_end']}"] if name["sequence_end"] is not None else []),
        *([f"in {_plain(name['folder'])}"] if name["folder"] else []),
    ]
    _part(console, "name", [", ".join(parts)])


def _show_blob(console: Console, blob: dict[str, Any] | None) -> None:
    if blob is None:
        _part(console, "blob", ["[yellow]not in the container[/]"])
        return
    etag = f", ETag {_plain(blob['etag'])}" if blob["etag"] else ""
    where = "" if blob["container"] else "a local file: "
    _part(console, "blob", [f"{where}{blob['bytes']:,} bytes{etag}, last modified {_moment(blob['last_modified'])}"])


def _show_footer(console: Console, found: dict[str, Any]) -> None:
    footer = found["footer"]
    lines = [f"{footer['rows']:,} rows in {len(found['row_groups']):,} row groups"]
    if footer["trouble"]:
        lines = [f"{footer['rows']:,} rows", f"[yellow]{_plain(footer['trouble'])}[/]"]
    facts = [
        *([f"parquet {_plain(footer['format_version'])}"] if footer["format_version"] else []),
        *([_plain(", ".join(footer["compression"]))] if footer["compression"] else []),
        *([f"written by {_plain(footer['created_by'])}"] if footer["created_by"] else []),
    ]
    _part(console, "footer", [*lines, *([", ".join(facts)] if facts else [])])


def _show_columns(console: Console, columns: Sequence[dict[str, Any]]) -> None:
    _part(console, "columns", [_column(column) for column in columns] or ["none"])


def _column(column: dict[str, Any]) -> str:
    verdict = column.get("verdict")
    found = " ".join(word for word in (column["logical"], f"({column['physical']})") if column["physical"] and word)
    nulls = "nulls not stated" if column["nulls"] is None else f"{column['nulls']:,} nulls"
    brought = f"{_plain(found or column['logical'])}, {nulls}" if column["logical"] else ""
    if verdict is None:
        return f"{_plain(column['name'])}: {brought}"
    marks = [
        *([column["kind"] + ("" if column["declared"] else ", not declared")] if column["kind"] else ["not declared"]),
        *(mark for mark in ("required", "key", "recency") if column[mark]),
    ]
    reason = (column["reason"] or "").removeprefix(f"column {column['name']!r}: ")
    said = f"[{_COLOURS[verdict]}]{_plain(reason or _VERDICTS[verdict])}[/]"
    return "; ".join(part for part in (f"{_plain(column['name'])}: {', '.join(marks)}", brought, said) if part)


def _show_row_groups(console: Console, groups: Sequence[dict[str, Any]]) -> None:
    if len(groups) > _SHOWN:
        rows, size = [group["rows"] for group in groups], sum(group["bytes"] for group in groups)
        text = f"{len(groups):,} of {min(rows):,} to {max(rows):,} rows, {sum(rows):,} rows and {size:,} bytes together"
        _part(console, "row groups", [text])
        return
    _part(console, "row groups", [_row_group(number, group) for number, group in enumerate(groups)] or ["none"])


def _row_group(number: int, group: dict[str, Any]) -> str:
    nulls = [f"{_plain(name)} {count:,}" for name, count in group["nulls"].items() if count]
    unstated = [_plain(name) for name, count in group["nulls"].items() if count is None]
    parts = [
        f"{number}: {group['rows']:,} rows, {group['bytes']:,} bytes",
        f"nulls: {', '.join(nulls) if nulls else 'none'}" if len(unstated) < len(group["nulls"]) else "",
        f"nulls not stated: {', '.join(unstated)}" if unstated else "",
    ]
    return "; ".join(part for part in parts if part)


def _show_history(console: Console, history: Sequence[dict[str, Any]]) -> None:
    _part(console, "checkpoint", [_past(past) for past in history] or ["nothing is recorded of this name"])


def _past(past: dict[str, Any]) -> str:
    facts = [
        f"ETag {_plain(past['etag'])}: {past['status']}{', late' if past['late'] else ''}",
        f"{past['bytes']:,} bytes, arrived {_moment(past['arrived_at'])}, {past['attempts']} attempts",
        *(f"{word} {_moment(past[f'{word}_at'])}" for word in ("loaded", "deleted") if past[f"{word}_at"]),
        *([f"{past['rows_read']:,} rows read"] if past["rows_read"] is not None else []),
        *([f"{past['rows_applied']:,} applied"] if past["rows_applied"] is not None else []),
        *([f"batch {past['batch_id']}"] if past["batch_id"] else []),
        *([_plain(past["error"])] if past["error"] else []),
    ]
    return ", ".join(facts)


def _part(console: Console, heading: str, lines: Sequence[str]) -> None:
    console.print(f"\n[bold]{heading}[/]")
    for line in lines:
        console.print(Padding(line, (0, 0, 0, 2), expand=False), highlight=False)


def _plain(text: str) -> str:
    """Return a text from outside as it can be shown: without what a terminal or the markup would obey."""
    shown = (char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)
    return escape("".join(shown))


def _moment(instant: str) -> str:
    return f"{instant[:19].replace('T', ' ')} UTC"
