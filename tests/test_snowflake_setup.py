"""Hold the set-up SQL of Snowflake against its grammar, its rules and the files in infra/snowflake.

`.venv/bin/python -m tests.test_snowflake_setup` writes those files anew.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from sqlfluff.core import Linter

from ingest.datasets import DATASETS
from ingest.warehouses import queries
from ingest.warehouses.snowflake.names import EXAMPLE, Names
from ingest.warehouses.snowflake.setup import optional_pii, script, section

INFRA = Path(__file__).parents[1] / "infra" / "snowflake"
WRITTEN = {"setup.sql": script(EXAMPLE), "pii.sql": optional_pii(EXAMPLE)}
MINE = Names(
    account="acme-prod",
    user="loader",
    role="loader_role",
    warehouse="loader_wh",
    database="crm",
    schema="cio",
    stage="lake",
    integration="lake_int",
    landing_url="azure://acme.blob.core.windows.net/exports/",
    identity="11111111-2222-3333-4444-555555555555",
    load="copy",
)
UPLOADING = replace(MINE, load="put")
SECTIONS = re.findall(
    r"^-- name: (\w+)$",
    (Path(queries.__file__).parent / "snowflake" / "setup.sql").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.fixture(scope="module")
def parse():
    """Give a function that tells what sqlfluff cannot parse of a text."""
    linter = Linter(dialect="snowflake")

    def found(text: str) -> list[str]:
        return [f"line {problem.line_no}: {problem.desc()}" for problem in linter.parse_string(text).violations]

    return found


def statements(text: str) -> list[str]:
    """Return the statements of a text in one line each, without comments."""
    code = re.sub(r"^--.*$", "", text, flags=re.MULTILINE)
    return [" ".join(part.split()) for part in code.split(";") if part.strip()]


def test_the_gate_refuses_what_is_no_sql(parse) -> None:
    assert parse("CREATE STAGEE x;")


@pytest.mark.parametrize("name", SECTIONS)
def test_every_section_parses_alone(name: str, parse) -> None:
    assert parse(section(name, EXAMPLE)) == []


@pytest.mark.parametrize("names", [EXAMPLE, MINE, UPLOADING], ids=["example", "mine", "uploading"])
def test_the_scripts_parse(names: Names, parse) -> None:
    assert parse(script(names)) == []
    assert parse(optional_pii(names)) == []


def test_the_notes_on_the_network_parse_when_somebody_wants_them(parse) -> None:
    wanted = [line.removeprefix("--   ") for line in section("network", MINE).splitlines() if line.startswith("--   ")]
    assert len(wanted) > 4
    assert parse("\n".join(wanted)) == []


@pytest.mark.parametrize("file_name", sorted(WRITTEN))
def test_the_files_for_people_are_what_the_templates_give(file_name: str) -> None:
    assert (INFRA / file_name).read_text(encoding="utf-8") == WRITTEN[file_name]


def test_the_sql_of_the_readme_parses_and_uses_the_same_names(parse) -> None:
    blocks = re.findall(r"```sql\n(.*?)```", (INFRA / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    assert [parse(block) for block in blocks] == [[]] * len(blocks)
    named = set(re.findall(r"\bCUSTOMERIO\w*", "".join(blocks)))
    assert named <= set(re.findall(r"\bCUSTOMERIO\w*", "".join(WRITTEN.values())))


@pytest.mark.parametrize("name", sorted(set(SECTIONS) - {"heading", "network"}))
def test_every_section_says_first_who_runs_it(name: str) -> None:
    assert re.fullmatch(r"USE ROLE (SYSADMIN|SECURITYADMIN|ACCOUNTADMIN)", statements(section(name, MINE))[0])


def test_no_line_is_too_long_to_read() -> None:
    assert [line for text in WRITTEN.values() for line in text.splitlines() if len(line) > 120] == []


def test_nothing_is_replaced_or_dropped_and_everything_is_made_only_where_missing() -> None:
    for statement in statements(script(MINE)) + statements(optional_pii(MINE)):
        assert not re.match(r"(CREATE OR REPLACE|DROP|TRUNCATE|DELETE|REVOKE)\b", statement), statement
        assert not statement.startswith("CREATE ") or " IF NOT EXISTS " in statement, statement


def test_the_role_gets_what_it_uses_and_nothing_more() -> None:
    granted = {
        statement.removesuffix(" TO ROLE loader_role")
        for statement in statements(script(MINE))
        if statement.endswith(" TO ROLE loader_role")
    }
    assert granted == {
        "GRANT USAGE ON WAREHOUSE loader_wh",
        "GRANT USAGE ON DATABASE crm",
        "GRANT USAGE ON SCHEMA crm.cio",
        "GRANT CREATE TABLE ON SCHEMA crm.cio",
        "GRANT CREATE VIEW ON SCHEMA crm.cio",
        "GRANT USAGE ON STAGE crm.cio.lake",
        "GRANT USAGE ON INTEGRATION lake_int",
    }


def test_analysts_may_read_and_nothing_else() -> None:
    granted = [statement for statement in statements(script(MINE)) if statement.endswith(" TO ROLE loader_role_reader")]
    assert {re.split(r" ON ", statement)[0] for statement in granted} == {"GRANT USAGE", "GRANT SELECT"}
    assert any(" ON FUTURE TABLES " in statement for statement in granted)


def test_uploading_needs_no_integration_but_leave_to_make_a_stage() -> None:
    text = script(UPLOADING)
    assert "INTEGRATION" not in text
    assert [line for line in text.splitlines() if "STAGE" in line] == [
        f"GRANT CREATE STAGE ON SCHEMA {UPLOADING.qualified_schema} TO ROLE {UPLOADING.role};"
    ]
    assert "CREATE STAGE" not in script(MINE).replace("CREATE STAGE IF NOT EXISTS", "")


def test_an_identity_signs_in_without_a_key_and_a_key_without_an_identity() -> None:
    def told(names: Names) -> tuple[bool, bool]:
        found = statements(script(names))
        return any("RSA_PUBLIC_KEY" in one for one in found), any("WORKLOAD_IDENTITY" in one for one in found)

    assert told(MINE) == (False, True)
    assert told(replace(MINE, identity=None)) == (True, False)


def test_the_other_way_to_sign_in_stands_there_as_a_comment() -> None:
    assert "--   ALTER USER loader SET RSA_PUBLIC_KEY" in script(MINE)
    assert "--   ALTER USER loader SET WORKLOAD_IDENTITY = (" in script(replace(MINE, identity=None))


def test_the_stage_begins_at_the_root_and_the_integration_allows_no_more() -> None:
    text = " ".join(statements(script(MINE)))
    assert text.count(f"URL = '{MINE.landing_url}'") == 2
    assert f"STORAGE_ALLOWED_LOCATIONS = ('{MINE.landing_url}')" in text


def test_a_user_who_has_to_be_quoted_is(parse) -> None:
    names = replace(MINE, user='svc-"loader"@acme.example')
    assert 'CREATE USER IF NOT EXISTS "svc-""loader""@acme.example"' in script(names)
    assert parse(section("user", names)) == []


def test_masked_columns_are_columns_of_texts() -> None:
    found = re.findall(r"ALTER TABLE IF EXISTS (\w+) MODIFY COLUMN (\w+) SET TAG pii = '(\w+)'", optional_pii(MINE))
    kinds = {(table, column): DATASETS[table].lookup[column].kind for table, column, _ in found}
    assert set(kinds.values()) == {"STRING"}
    assert all(DATASETS[table].lookup[column].since == 1 for table, column in kinds)
    assert {
        ("people", "email_addr"),
        ("attributes", "attribute_value"),
        ("delivery_content", "recipient"),
        ("delivery_content", "body"),
        ("delivery_content", "body_plain"),
        ("delivery_content", "body_amp"),
    } <= set(kinds)


def test_masked_columns_are_shown_to_the_ingestor_and_to_one_role_of_people() -> None:
    text = optional_pii(MINE)
    assert "CURRENT_ROLE() = 'LOADER_ROLE' OR IS_ROLE_IN_SESSION('LOADER_ROLE_PII_READER')" in text
    assert "GRANT ROLE loader_role_pii_reader" not in text


if __name__ == "__main__":
    for file_name, text in WRITTEN.items():
        (INFRA / file_name).write_text(text, encoding="utf-8")
