"""The dashboard's page: documents that carry their own style and scripts, and headers that let in nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from html import escape
from pathlib import Path

import markdown

HERE = Path(__file__).parent
RUNBOOK = HERE.parents[1] / "docs" / "runbook.md"

_STYLE = re.compile(r'<link rel="stylesheet" href="([\w./]+)">')
_SCRIPT = re.compile(r'<script src="([\w./]+)"></script>')


@cache
def html() -> str:
    """Return the dashboard as one document. It holds no data: its script asks for that with the key of its address."""
    return _whole("page.html")


@cache
def headers() -> dict[str, str]:
    """Return the headers that `html` is sent with."""
    return _headers(html())


@cache
def runbook() -> str:
    """Return the runbook as a document whose sections are found by the kind of alert."""
    return rendered(RUNBOOK)


@cache
def runbook_headers() -> dict[str, str]:
    """Return the headers that `runbook` is sent with."""
    return _headers(runbook())


def rendered(source: Path) -> str:
    """Render a runbook, or say that it is missing."""
    if not source.is_file():
        body = "<h1>Runbook</h1><p>It was not deployed with this app: see docs/runbook.md in the repository.</p>"
        return _whole("runbook.html").replace("<!-- runbook -->", body)
    reader = markdown.Markdown(extensions=["sane_lists", "tables", "toc"])
    body = reader.convert(source.read_text(encoding="utf-8"))
    kinds = [each["id"] for top in reader.toc_tokens for each in top["children"]]  # type: ignore[attr-defined]
    links = "".join(f'<li><a href="#{escape(kind)}">{escape(kind)}</a></li>' for kind in kinds)
    body = body.replace("</h1>", f'</h1>\n<nav aria-label="Kinds of alert"><ul>{links}</ul></nav>', 1)
    return _whole("runbook.html").replace("<!-- runbook -->", body)


def _whole(name: str) -> str:
    """Put the files that a document refers to into it. They are files so that each can be read, checked and tested."""
    text = _STYLE.sub(lambda found: f"<style>{_read(found[1])}</style>", _read(name))
    return _SCRIPT.sub(lambda found: f"<script>{_read(found[1])}</script>", text)


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _headers(document: str) -> dict[str, str]:
    policy = [
        "default-src 'none'",
        f"script-src {_hashes('script', document)}",
        f"style-src {_hashes('style', document)}",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    return {
        "Content-Security-Policy": "; ".join(policy),
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "no-store",
        "Cross-Origin-Opener-Policy": "same-origin",
    }


def _hashes(element: str, document: str) -> str:
    """Name what stands in a document's elements of one kind, as a browser that meets them does."""
    found = re.findall(rf"<{element}>(.*?)</{element}>", document, re.DOTALL)
    digests = (hashlib.sha256(each.encode()).digest() for each in found)
    return " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests) or "'none'"
