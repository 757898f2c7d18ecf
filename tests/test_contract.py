"""Prove which footers fit a dataset, and what is said of those that do not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.contract import Drift, Field, Fit, Footer, Judgement, Reading, check, judge
from ingest.datasets import DATASETS, LINEAGE, Column, Dataset, Kind
from ingest.errors import ContractBroken

DELIVERIES = DATASETS["deliveries"]
TABLE = {column.name: column.kind for column in DELIVERIES.columns}


def field(name: str, kind: Kind | None = Kind.STRING, reading: Reading = Reading.CAST, **more: object) -> Field:
    return Field(name, kind, reading, str(more.pop("physical", "some type")), **more)  # type: ignore[arg-type]


def footer(dataset: Dataset = DELIVERIES, *more: Field, without: tuple[str, ...] = (), rows: int = 3) -> Footer:
    """Give the footer of a file as declared, but for some columns."""
    replaced = {each.name.lower() for each in more}
    columns = [
        field(column.name, column.kind)
        for column in dataset.columns
        if column.since == 1 and column.name not in (*without, *replaced)
    ]
    return Footer(rows, (*columns, *more))


def fit(found: Footer, dataset: Dataset = DELIVERIES, drift: Drift = Drift.EVOLVE, **table: Kind) -> Fit:
    return check(
        found,
        dataset,
        {**{column.name: column.kind for column in dataset.columns if column.since == 1}, **table},
        drift,
    )


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=str)
def test_every_dataset_takes_what_it_declares(dataset: Dataset) -> None:
    found = check(footer(dataset), dataset, {}, Drift.REJECT)
    assert (found.added, found.unknown, found.missing) == ((), (), ())
    assert found.fields.keys() == {column.name for column in dataset.columns if column.since == 1}


@pytest.mark.parametrize("dataset", DATASETS.values(), ids=str)
def test_every_declaration_is_sound(dataset: Dataset) -> None:
    names = [column.name for column in (*dataset.columns, *LINEAGE)]
    assert len(set(names)) == len(names)
    assert dataset.key[0] == "workspace_id"
    for name in (*dataset.key, *filter(None, (dataset.recency, dataset.born))):
        column = dataset.lookup[name]
        assert name == dataset.born or column.required, f"{name} decides and may be null"
        assert column.since == 1


@given(st.permutations(DELIVERIES.columns))
def test_columns_are_found_by_name_not_by_place(columns: list[Column]) -> None:
    found = fit(Footer(3, tuple(field(column.name.upper(), column.kind) for column in columns)))
    assert {name: each.name for name, each in found.fields.items()} == {name: name.upper() for name in TABLE}


@pytest.mark.parametrize(
    ("found", "column", "expected", "told"),
    [
        (footer(without=("delivery_id",)), "delivery_id", "required STRING", "no such column"),
        (footer(DELIVERIES, field("delivery_id", Kind.INTEGER, physical="int64")), "delivery_id", "STRING", "int64"),
        (footer(DELIVERIES, field("created_at", Kind.STRING, physical="string")), "created_at", "TIMESTAMP", "string"),
        (footer(DELIVERIES, field("campaign_id", Kind.NUMBER, physical="double")), "campaign_id", "INTEGER", "double"),
        (footer(DELIVERIES, field("seq_num", None, Reading.EMPTY)), "seq_num", "required INTEGER", "3 nulls in 3 rows"),
        (footer(DELIVERIES, field("SEQ_NUM", Kind.INTEGER), field("x"), field("X")), "X", "once", "twice"),
        (footer(DELIVERIES, field("_sequence", Kind.INTEGER)), "_sequence", "a meaning of its own", "some type"),
        (footer(DELIVERIES, field("_LOADED_AT", Kind.TIMESTAMP)), "_LOADED_AT", "a meaning of its own", "some type"),
        (
            footer(DELIVERIES, field("delivery_id", Kind.STRING, Reading.NESTED, physical="struct<a: int>")),
            "delivery_id",
            "STRING",
            "struct",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_does_not_fit_is_named(found: Footer, column: str, expected: str, told: str) -> None:
    with pytest.raises(ContractBroken) as broken:
        fit(found)
    text = str(broken.value)
    assert repr(column) in text
    before, _, after = text.partition(", found ")
    assert expected in before
    assert told in after
    assert "its blob is kept" in text


def test_a_nested_column_is_no_text_for_a_nullable_one_either() -> None:
    """It would be JSON text, which nobody declared."""
    with pytest.raises(ContractBroken, match="subject_id"):
        fit(footer(DELIVERIES, field("subject_id", Kind.STRING, Reading.NESTED, physical="struct<a: int>")))


def test_a_missing_nullable_column_becomes_nulls() -> None:
    found = fit(footer(without=("subject_id", "campaign_id")))
    assert found.missing == ("subject_id", "campaign_id")
    assert not {"subject_id", "campaign_id"} & found.fields.keys()


def test_a_null_column_fits_whatever_is_nullable() -> None:
    found = fit(footer(DELIVERIES, field("campaign_id", None, Reading.EMPTY)))
    assert found.fields["campaign_id"].reading is Reading.EMPTY


def test_no_rows_have_no_nulls() -> None:
    assert fit(footer(DELIVERIES, field("seq_num", None, Reading.EMPTY), rows=0)).rows == 0


@pytest.mark.parametrize("kind", list(Kind))
def test_an_unknown_column_is_added(kind: Kind) -> None:
    found = fit(footer(DELIVERIES, field("Brand New", kind)))
    assert (found.added, found.unknown) == ((Column("Brand New", kind),), ("Brand New",))
    assert not found.added[0].required
    assert found.fields["Brand New"].name == "Brand New"


def test_an_unknown_column_of_the_null_type_waits_for_a_type() -> None:
    found = fit(footer(DELIVERIES, field("new", None, Reading.EMPTY)))
    assert (found.added, found.unknown) == ((), ("new",))
    assert "new" not in found.fields


def test_an_unknown_column_is_refused_where_drift_is() -> None:
    with pytest.raises(ContractBroken, match=r"'new'.*DRIFT=reject") as broken:
        fit(footer(DELIVERIES, field("new")), drift=Drift.REJECT)
    assert "DRIFT=evolve" in broken.value.hint


def test_a_column_once_added_is_known_in_any_case_and_keeps_its_kind() -> None:
    found = fit(footer(DELIVERIES, field("NEW", Kind.INTEGER)), drift=Drift.REJECT, new=Kind.INTEGER)
    assert (found.added, found.unknown, found.fields["new"].name) == ((), (), "NEW")
    with pytest.raises(ContractBroken, match="'new'"):
        fit(footer(DELIVERIES, field("NEW", Kind.STRING)), new=Kind.INTEGER)


def test_columns_of_a_later_schema_version_are_added_when_they_come() -> None:
    metrics = DATASETS["metrics"]
    assert fit(footer(metrics), metrics).missing == ()
    found = fit(footer(metrics, field("proxied", Kind.BOOLEAN)), metrics, Drift.REJECT)
    assert (found.added, found.unknown) == ((Column("proxied", Kind.BOOLEAN),), ())
    assert fit(footer(metrics, field("proxied", Kind.BOOLEAN)), metrics, proxied=Kind.BOOLEAN).added == ()
    with pytest.raises(ContractBroken, match="'proxied'"):
        fit(footer(metrics, field("proxied", Kind.STRING)), metrics)


def test_files_of_one_signature_can_be_read_together() -> None:
    same = [fit(footer(rows=rows)).signature() for rows in (1, 2)]
    other = fit(footer(DELIVERIES, field("campaign_id", Kind.INTEGER, physical="int32"))).signature()
    assert same[0] == same[1] != other


# Every column's verdict


FIELDS = st.lists(
    st.builds(
        field,
        st.sampled_from(
            ["workspace_id", "Delivery_ID", "delivery_id", "campaign_id", "odd", "ODD", "_ingest_x", "known"]
        ),
        st.sampled_from([None, *Kind]),
        st.sampled_from(Reading),
    ),
    max_size=5,
)


@given(FIELDS, st.sets(st.sampled_from([column.name for column in DELIVERIES.columns])), st.sampled_from(Drift))
def test_a_file_fits_if_every_column_does_and_else_the_first_is_blamed(
    fields: list[Field], without: set[str], drift: Drift
) -> None:
    found = footer(DELIVERIES, *fields, without=tuple(without))
    table = {**TABLE, "known": Kind.STRING}
    verdicts = judge(found, DELIVERIES, table, drift)
    wrong = [verdict.error for verdict in verdicts if verdict.judgement is Judgement.BROKEN]
    try:
        check(found, DELIVERIES, table, drift)
    except ContractBroken as error:
        assert str(error) == str(wrong[0])
    else:
        assert wrong == []


@given(FIELDS)
def test_every_column_of_file_declaration_and_table_has_one_verdict(fields: list[Field]) -> None:
    found = footer(DELIVERIES, *fields)
    verdicts = judge(found, DELIVERIES, {**TABLE, "known": Kind.STRING}, Drift.EVOLVE)
    brought = [verdict.field for verdict in verdicts if verdict.field is not None]
    assert sorted(map(id, brought)) == sorted(map(id, found.fields))
    named = [verdict.column.name.lower() for verdict in verdicts]
    assert {*TABLE, "known"} <= set(named)


def test_nulls_that_a_footer_states_count_in_required_columns_only() -> None:
    stated = {"delivery_type": 3, "campaign_id": 2, "seq_num": None}
    verdicts = judge(footer(), DELIVERIES, TABLE, Drift.EVOLVE, stated)
    (broken,) = [verdict for verdict in verdicts if verdict.judgement is Judgement.BROKEN]
    assert str(broken.error).startswith(
        "column 'delivery_type': expected a required STRING without nulls, found 3 nulls."
    )
