"""Prove that names parse as Customer.io writes them, and that parse and format are inverses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.datasets import BY_STEM
from ingest.errors import NameRejected
from ingest.naming import UNCLASSIFIED, ExportName, Stream, beginnings, parse, stream_of

LARGEST = 2**63 - 1
NUMBERS = st.one_of(st.integers(0, 100), st.integers(2**53 - 2, 2**53 + 2), st.integers(0, LARGEST))
FOLDERS = st.one_of(
    st.sampled_from(
        ["", "exports/", "a/b/c/", "https:/account.blob.core.windows.net/x/", "//", "people_v4_1_1.parquet/"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).map(lambda folder: f"{folder}/"),
)


@st.composite
def export_names(draw: st.DrawFn) -> ExportName:
    stem = draw(st.sampled_from(sorted(BY_STEM)))
    sequence, end = draw(NUMBERS), draw(st.none() | NUMBERS)
    return ExportName(
        folder=draw(FOLDERS),
        stem=stem,
        version=draw(st.integers(1, 12) | st.integers(1, LARGEST)),
        workspace_id=draw(NUMBERS),
        sequence=sequence,
        sequence_end=end,
        changes=stem == "people" and draw(st.booleans()),
        digits=draw(padding(sequence)),
        digits_end=1 if end is None else draw(padding(end)),
    )


def padding(number: int) -> st.SearchStrategy[int]:
    """Draw 1 for a number as it is, or more digits than it has; zero itself has one digit either way."""
    return st.just(1) | st.integers(len(str(number)) + 1, len(str(number)) + 5)


@given(export_names())
def test_parse_undoes_format(name: ExportName) -> None:
    assert parse(name.format()) == name


@given(
    FOLDERS,
    st.sampled_from([*sorted(BY_STEM), "unheard_of"]),
    st.integers(0, 12),
    st.sampled_from(["", "chngs_"]),
    NUMBERS,
    st.from_regex(r"[0-9]{1,21}(_[0-9]{1,21})?", fullmatch=True),
)
def test_format_undoes_parse(
    folder: str, stem: str, version: int, changes: str, workspace: int, sequences: str
) -> None:
    text = f"{folder}{stem}_v{version}_{changes}{workspace}_{sequences}.parquet"
    too_large = any(int(part) > LARGEST for part in sequences.split("_"))
    if too_large or version == 0 or stem not in BY_STEM or (changes and stem != "people"):
        with pytest.raises(NameRejected):
            parse(text)
    else:
        assert parse(text).format() == text


@given(st.text(max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        assert parse(text).format() == text
    except NameRejected as refused:
        assert repr(text) in str(refused)
        assert stream_of(text) == UNCLASSIFIED


@pytest.mark.parametrize(
    ("text", "dataset", "parts"),
    [
        ("attributes_v4_111528_241600000000311123.parquet", "attributes", (4, 111528, 241600000000311123, None)),
        ("metrics_v4_111528_2416_9007199254740993.parquet", "metrics", (4, 111528, 2416, 9007199254740993)),
        ("delivery_contents_v1_7_1.parquet", "delivery_content", (1, 7, 1, None)),
        ("delivery_content_v1_7_1.parquet", "delivery_content", (1, 7, 1, None)),
        ("people_v4_chngs_7_5.parquet", "people", (4, 7, 5, None)),
        ("x/people_v10_0_05.parquet", "people", (10, 0, 5, None)),
        ("campaigns_v5_7_5.parquet", "campaigns", (5, 7, 5, None)),
        (f"outputs_v4_7_{LARGEST}.parquet", "outputs", (4, 7, LARGEST, None)),
    ],
)
def test_names_of_real_exports(text: str, dataset: str, parts: tuple[int, int, int, int | None]) -> None:
    name = parse(text)
    assert (name.dataset.name, name.stream) == (dataset, Stream(parts[1], dataset))
    assert (name.version, name.workspace_id, name.sequence, name.sequence_end) == parts
    assert name.changes == ("chngs" in text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not the name of an export"),
        ("deliveries_v4_1.parquet", "not the name"),
        ("deliveries_4_1_1.parquet", "not the name"),
        ("deliveries_v4_1_1_1_1.parquet", "not the name"),
        ("deliveries_v4_1_1.parquet.tmp", "not the name"),
        ("deliveries_v4_1_1 (1).parquet", "not the name"),
        ("Deliveries_v4_1_1.parquet", "not the name"),
        ("deliveries_v04_1_1.parquet", "not the name"),
        ("deliveries_v4_01_1.parquet", "not the name"),
        ("deliveries_v4_1_-1.parquet", "not the name"),
        ("deliveries_v4_1_1.5.parquet", "not the name"),
        ("deliveries_v4_1_1.parquet\n", "not the name"),
        ("deliveries_v4_1_\u0661.parquet", "not the name"),
        ("people_chngs_v4_1_1.parquet", "no contract"),
        ("events_v5_1_1.parquet", "'events', which has no contract"),
        ("deliveries_v4_chngs_1_1.parquet", "no _chngs_ files"),
        (f"deliveries_v4_1_{LARGEST + 1}.parquet", "beyond 2^63 - 1"),
        (f"deliveries_v4_{LARGEST + 1}_1.parquet", "beyond 2^63 - 1"),
        (f"deliveries_v{LARGEST + 1}_1_1.parquet", "beyond 2^63 - 1"),
        (f"deliveries_v4_1_1_{LARGEST + 1}.parquet", "beyond 2^63 - 1"),
    ],
)
def test_what_is_no_export_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(NameRejected) as refused:
        parse(text)
    assert reason in refused.value.what
    assert "The blob stays" in refused.value.hint
    assert stream_of(text) == UNCLASSIFIED


@given(export_names())
def test_every_name_begins_as_its_stream_says(name: ExportName) -> None:
    assert name.format().startswith(beginnings(name.stream, {name.folder, "elsewhere/"}))


def test_blobs_of_no_stream_may_begin_in_any_way() -> None:
    assert beginnings(UNCLASSIFIED, {"exports/"}) == ()
