"""Prove that a container of 100,000 blobs is listed page by page, in constant memory."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from local.azurite import ROOT

BLOBS = 100_000


class Azure(BaseHTTPRequestHandler):
    """Answer List Blobs as Azure does, with made-up blobs: writing as many for real would take minutes."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query.lower())
        first, size = int(asked.get("marker", ["0"])[0]), int(asked.get("maxresults", ["5000"])[0])
        last = min(first + size, BLOBS)
        blobs = "".join(
            f"<Blob><Name>exports/metrics_v4_111528_{number:018d}.parquet</Name><Properties>"
            "<Last-Modified>Sun, 22 Nov 2026 05:00:00 GMT</Last-Modified><Etag>0x8DE2F5A1B2C3D4E</Etag>"
            "<Content-Length>123456</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
            for number in range(first, last)
        )
        marker = f"<NextMarker>{last}</NextMarker>" if last < BLOBS else "<NextMarker />"
        body = (
            '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ServiceEndpoint="http://x/" ContainerName="c">'
            f"<Blobs>{blobs}</Blobs>{marker}</EnumerationResults>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


LIST = """
import resource, sys
from azure.storage.blob import ContainerClient
from ingest.arrivals import Fingerprint
from ingest.landing import PAGE, AzureLanding
listing = Fingerprint()
for page in AzureLanding(ContainerClient(sys.argv[1], "exports"), "").pages():
    assert len(page) == PAGE
    listing = listing.plus(page)
    if listing.files in (10_000, 100_000):
        print(listing.files, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_a_hundred_thousand_blobs_take_no_more_memory_than_ten_thousand() -> None:
    """Ten times the blobs held on to would be some 60 MB more; a process of its own tells its peak."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Azure) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = [sys.executable, "-c", LIST, f"http://127.0.0.1:{server.server_port}/account"]
        done = subprocess.run(words, cwd=ROOT, check=True, capture_output=True, text=True)
        server.shutdown()
    (ten, early), (hundred, late) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (ten, hundred) == (10_000, BLOBS)
    assert late - early <= 10
