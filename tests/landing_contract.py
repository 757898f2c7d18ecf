"""Hold Azure's container and the one in memory to one behaviour: what the convergence tests rest on."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pytest

from ingest.errors import BlobGone, BlobReplaced
from ingest.ports import Landing


class Container(Protocol):
    """A landing container, and what Customer.io and people do to it."""

    landing: Landing

    def write(self, name: str, content: bytes) -> str:
        """Write a blob and give its ETag."""
        ...

    def delete(self, name: str) -> None:
        """Delete a blob."""
        ...

    def within(self, prefix: str) -> Landing:
        """Give the landing with an `EXPORT_PREFIX`."""
        ...


def names(landing: Landing, *beginnings: str) -> list[str]:
    return [blob.name for page in landing.pages(beginnings) for blob in page]


class LandingContract:
    """What a landing container does; the fixture `box` is the adapter's."""

    def test_an_empty_container_lists_nothing(self, box: Container) -> None:
        assert names(box.landing) == []

    def test_blobs_are_listed_with_their_properties(self, box: Container) -> None:
        etag = box.write("a/b.parquet", b"12345")
        ((blob,),) = [page for page in box.landing.pages() if page]
        assert (blob.name, blob.etag, blob.size) == ("a/b.parquet", etag, 5)
        assert blob.container
        assert blob.modified.utcoffset() is not None

    def test_a_listing_has_pages(self, box: Container) -> None:
        written = [f"{number}.parquet" for number in range(7)]
        for name in written:
            box.write(name, b"x")
        pages = [page for page in box.landing.pages() if page]
        assert len(pages) > 1
        assert [blob.name for page in pages for blob in page] == written

    @pytest.mark.parametrize(
        "name",
        [
            "a b+ü.parquet",
            "https:/account.blob.core.windows.net/x/people_v4_1_1.parquet",
            "a&b<c>'\".parquet",
            "%41#?.x",
        ],
    )
    def test_names_of_any_kind_are_listed_and_downloaded(self, box: Container, name: str, tmp_path: Path) -> None:
        box.write(name, b"content")
        (blob,) = [blob for page in box.landing.pages() for blob in page]
        assert blob.name == name
        box.landing.download(blob, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"content"

    def test_a_prefix_hides_what_is_outside(self, box: Container) -> None:
        for name in ("a/1", "a/2", "ab", "b/1"):
            box.write(name, b"x")
        assert names(box.within("a/")) == ["a/1", "a/2"]

    @pytest.mark.parametrize(
        ("prefix", "beginnings", "found"),
        [
            ("", ["x/people_v", "people_v"], {"people_v1", "people_v2", "x/people_v1"}),
            ("", ["metrics_v"], {"metrics_v1"}),
            ("", ["nothing"], set()),
            ("x/", ["x/people_v"], {"x/people_v1"}),
            ("x/", ["people_v"], set()),
            ("x/", ["people_v", "x/people_v"], {"x/people_v1"}),
            ("x/people_v", ["x/peo"], {"x/people_v1"}),
            ("", ["people_v", "people_v1"], {"people_v1", "people_v2"}),
        ],
    )
    def test_only_what_begins_so_is_listed_and_once(
        self, box: Container, prefix: str, beginnings: list[str], found: set[str]
    ) -> None:
        for name in ("people_v1", "people_v2", "metrics_v1", "x/people_v1", "x/metrics_v1"):
            box.write(name, b"x")
        listed = names(box.within(prefix), *beginnings)
        assert set(listed) == found
        assert len(listed) == len(found)

    @pytest.mark.parametrize("size", [0, 1, 9 * 1024 * 1024 + 1])
    def test_a_download_is_the_whole_blob(self, box: Container, size: int, tmp_path: Path) -> None:
        content = bytes(range(256)) * (size // 256) + bytes(size % 256)
        box.write("a", content)
        (blob,) = [blob for page in box.landing.pages() for blob in page]
        box.landing.download(blob, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == content

    @pytest.mark.parametrize("length", [1, 8, 1000, 70_000])
    def test_the_end_of_a_blob_is_read_alone(self, box: Container, length: int) -> None:
        content = bytes(range(250)) * 20
        box.write("a", content)
        (blob,) = [blob for page in box.landing.pages() for blob in page]
        assert box.landing.end_of(blob, length) == content[-length:]

    def test_the_same_content_again_is_another_etag(self, box: Container) -> None:
        assert box.write("a", b"x") != box.write("a", b"x")

    def test_a_replaced_blob_is_not_downloaded(self, box: Container, tmp_path: Path) -> None:
        box.write("a", b"old")
        (blob,) = [blob for page in box.landing.pages() for blob in page]
        box.write("a", b"new")
        with pytest.raises(BlobReplaced, match="'a'"):
            box.landing.download(blob, tmp_path / "copy")
        with pytest.raises(BlobReplaced, match="'a'"):
            box.landing.end_of(blob, 2)
        with pytest.raises(BlobReplaced, match="'a'"):
            box.landing.stand_by(blob)

    def test_a_deleted_blob_is_gone(self, box: Container, tmp_path: Path) -> None:
        box.write("a", b"old")
        (blob,) = [blob for page in box.landing.pages() for blob in page]
        box.delete("a")
        with pytest.raises(BlobGone, match="'a'"):
            box.landing.download(blob, tmp_path / "copy")
        with pytest.raises(BlobGone, match="'a'"):
            box.landing.end_of(blob, 2)
        with pytest.raises(BlobGone, match="'a'"):
            box.landing.stand_by(blob)

    def test_a_blob_that_is_as_it_was_is_stood_by(self, box: Container) -> None:
        box.write("a", b"x")
        (blob,) = [blob for page in box.landing.pages() for blob in page]
        box.landing.stand_by(blob)
