"""Prove that local copies come in order and go away, whatever happens."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingest.arrivals import Arrival
from ingest.errors import BlobGone, BlobReplaced, FileUnreadable
from ingest.intake import Footers, LocalCopies
from ingest.naming import parse
from ingest.ports import Fetched, Unfetched
from tests import factories
from tests.memory_landing import MemoryLanding


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def listed(landing: MemoryLanding) -> list[Arrival]:
    return [Arrival(blob, parse(blob.name)) for page in landing.pages() for blob in page]


def test_files_come_in_the_order_asked_for_with_their_footers(folder: Path) -> None:
    landing = MemoryLanding()
    for sequence in range(1, 8):
        landing.write(factories.name(sequence=sequence), factories.parquet("deliveries", [{}] * sequence))
    arrivals = listed(landing)[::-1]
    with LocalCopies(landing).fetch(arrivals) as fetch:
        results = fetch.result()
        assert [result.arrival for result in results] == arrivals
        assert all(isinstance(result, Fetched) and result.path.is_file() for result in results)
        assert [result.footer.rows for result in results if isinstance(result, Fetched)] == [7, 6, 5, 4, 3, 2, 1]
    assert list(folder.iterdir()) == []


def test_a_file_that_cannot_be_fetched_is_a_result_of_its_own(folder: Path) -> None:
    landing = MemoryLanding()
    for sequence, content in ((1, b"broken"), (2, factories.parquet("deliveries")), (3, b"gone")):
        landing.write(factories.name(sequence=sequence), content)
    arrivals = listed(landing)
    landing.delete(factories.name(sequence=3))
    with LocalCopies(landing).fetch(arrivals) as fetch:
        broken, good, gone = fetch.result()
    assert isinstance(broken, Unfetched)
    assert isinstance(broken.error, FileUnreadable)
    assert isinstance(good, Fetched)
    assert isinstance(gone, Unfetched)
    assert isinstance(gone.error, BlobGone)


def test_the_folder_goes_when_the_load_fails(folder: Path) -> None:
    landing = MemoryLanding()
    landing.write(factories.name(), factories.parquet("deliveries"))
    with pytest.raises(KeyboardInterrupt), LocalCopies(landing).fetch(listed(landing)) as fetch:
        fetch.result()
        assert len(list(folder.iterdir())) == 1
        raise KeyboardInterrupt
    assert list(folder.iterdir()) == []


def test_the_folder_goes_when_nobody_waited(folder: Path) -> None:
    landing = MemoryLanding()
    for sequence in range(1, 30):
        landing.write(factories.name(sequence=sequence), factories.parquet("deliveries"))
    with LocalCopies(landing).fetch(listed(landing)):
        pass
    assert list(folder.iterdir()) == []


def test_what_nobody_foresaw_is_raised_and_the_folder_goes(folder: Path) -> None:
    class Broken(MemoryLanding):
        def download(self, blob: object, path: Path) -> None:
            raise ZeroDivisionError

    landing = Broken()
    landing.write(factories.name(), b"x")
    with pytest.raises(ZeroDivisionError), LocalCopies(landing).fetch(listed(landing)) as fetch:
        fetch.result()
    assert list(folder.iterdir()) == []


def test_an_empty_batch_is_no_trouble(folder: Path) -> None:
    with LocalCopies(MemoryLanding()).fetch([]) as fetch:
        assert list(fetch.result()) == []
    assert list(folder.iterdir()) == []


def test_footers_are_all_that_is_read(folder: Path) -> None:
    landing = MemoryLanding()
    sizes = {}
    for sequence, rows in ((1, 1), (2, 20_000), (3, 0)):
        content = factories.parquet("deliveries", [{"delivery_id": f"{number}"} for number in range(rows)])
        landing.write(factories.name(sequence=sequence), content)
        sizes[sequence] = len(content)
    with Footers(landing).fetch(listed(landing)) as fetch:
        results = fetch.result()
    assert [result.footer.rows for result in results if isinstance(result, Fetched)] == [1, 20_000, 0]
    assert [str(result.path) for result in results if isinstance(result, Fetched)] == landing.names
    assert landing.downloads == 0
    assert sizes[2] > 3 * 65_536
    assert max(landing.lengths) <= 65_536
    assert list(folder.iterdir()) == []


def test_a_footer_longer_than_the_guess_is_asked_for_again() -> None:
    landing = MemoryLanding()
    types = {f"column_{number}": factories.pa.int64() for number in range(2_000)}
    landing.write(factories.name(), factories.parquet("deliveries", types=types))
    with Footers(landing).fetch(listed(landing)) as fetch:
        (result,) = fetch.result()
    assert isinstance(result, Fetched)
    assert len(result.footer.fields) > 2_000
    assert len(landing.lengths) == 2


@pytest.mark.parametrize(
    "content",
    [b"", b"PAR1", b"no parquet at all", b"x" * 70_000 + b"\xff\xff\xff\x7fPAR1", b"x" * 99 + b"\x50\x00\x00\x00PAR1"],
    ids=["empty", "magic only", "text", "a footer of 2 GB", "a footer of nothing"],
)
def test_what_has_no_footer_is_unreadable_without_its_bytes(content: bytes) -> None:
    landing = MemoryLanding()
    landing.write(factories.name(), content)
    with Footers(landing).fetch(listed(landing)) as fetch:
        (result,) = fetch.result()
    assert isinstance(result, Unfetched)
    assert isinstance(result.error, FileUnreadable)


def test_a_footer_is_of_the_listed_bytes() -> None:
    landing = MemoryLanding()
    for sequence in (1, 2):
        landing.write(factories.name(sequence=sequence), factories.parquet("deliveries"))
    arrivals = listed(landing)
    landing.write(factories.name(sequence=1), factories.parquet("deliveries", [{}, {}]))
    landing.delete(factories.name(sequence=2))
    with Footers(landing).fetch(arrivals) as fetch:
        replaced, gone = fetch.result()
    assert isinstance(replaced, Unfetched)
    assert isinstance(replaced.error, BlobReplaced)
    assert isinstance(gone, Unfetched)
    assert isinstance(gone.error, BlobGone)
