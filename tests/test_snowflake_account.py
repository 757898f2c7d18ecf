"""Let the checks of a Snowflake account meet accounts that lack one thing each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlfluff.core import Linter

from ingest.doctor import look
from ingest.errors import SettingsError, WarehouseUnavailable
from ingest.warehouses.snowflake.account import checks
from ingest.warehouses.snowflake.faults import Trouble
from ingest.warehouses.snowflake.names import Names
from ingest.warehouses.snowflake.setup import section

NAMES = Names(
    account="acme-prod",
    user="loader",
    role="loader_role",
    warehouse="loader_wh",
    database="crm",
    schema="cio",
    stage="lake",
    integration="lake_int",
    landing_url="azure://acme.blob.core.windows.net/exports/",
    identity=None,
    load="copy",
)
WHO, WAREHOUSE, SCHEMA = r"SELECT CURRENT_USER", r"USE WAREHOUSE loader_wh", r"USE SCHEMA crm\.cio"
GRANTS, STAGE = r'SHOW GRANTS TO ROLE "LOADER_ROLE"', r"DESC STAGE crm\.cio\.lake"
INTEGRATION, LIST = r"DESC INTEGRATION LAKE_INT", r"LIST @crm\.cio\.lake/"

Answers = dict[str, list[dict[str, Any]] | Exception]


def grant(privilege: str, kind: str, name: str) -> dict[str, Any]:
    return {"privilege": privilege, "granted_on": kind, "name": name, "grantee_name": "LOADER_ROLE"}


def stage(url: str = '["azure://acme.blob.core.windows.net/exports/"]', integration: str | None = "LAKE_INT"):
    return [
        {"parent_property": "STAGE_FILE_FORMAT", "property": "TYPE", "property_value": "PARQUET"},
        {"parent_property": "STAGE_LOCATION", "property": "URL", "property_value": url},
        {"parent_property": "STAGE_INTEGRATION", "property": "STORAGE_INTEGRATION", "property_value": integration},
    ]


def refused(number: int, hint: str = "Ask `python -m ingest doctor`.") -> Trouble:
    what = f"Snowflake failed with error {number:06d} to look at the account."
    return Trouble(what, hint=hint, number=number, transient=False)


def sound() -> Answers:
    """Return the answers of an account that lacks nothing."""
    return {
        WHO: [{"user_name": "LOADER", "role_name": "LOADER_ROLE"}],
        WAREHOUSE: [{"status": "Statement executed successfully."}],
        SCHEMA: [{"status": "Statement executed successfully."}],
        GRANTS: [
            grant("USAGE", "DATABASE", "CRM"),
            grant("USAGE", "SCHEMA", "CRM.CIO"),
            grant("CREATE TABLE", "SCHEMA", "CRM.CIO"),
            grant("CREATE VIEW", "SCHEMA", "CRM.CIO"),
        ],
        STAGE: stage(),
        INTEGRATION: [{"property": "ENABLED", "property_type": "Boolean", "property_value": "true"}],
        LIST: [],
    }


class Account:
    """An account made of answers; the statements it got are kept."""

    def __init__(self, **broken: Any) -> None:
        self.answers = sound() | {globals()[name.upper()]: answer for name, answer in broken.items()}
        self.asked: list[str] = []

    def query(self, statement: str) -> list[dict[str, Any]]:
        self.asked.append(statement)
        answer = next(answer for pattern, answer in self.answers.items() if re.match(pattern, statement))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def findings(self, names: Names = NAMES) -> dict[str, str]:
        """Look at everything and return what is not fine."""
        looked = [look(*check) for check in checks(self.query, names)]
        return {finding.subject.removeprefix("Snowflake "): finding.text for finding in looked if not finding.fine}

    def trouble(self, subject: str, names: Names = NAMES) -> WarehouseUnavailable:
        """Return the error of one check."""
        callables: dict[str, Callable[[], object]] = {name: check for name, _, check in checks(self.query, names)}
        with pytest.raises(WarehouseUnavailable) as caught:
            callables[f"Snowflake {subject}"]()
        return caught.value


def mended_by(*sections: str, names: Names = NAMES) -> str:
    return "\n\n".join(section(name, names) for name in sections)


def test_nothing_is_found_where_nothing_is_missing() -> None:
    account = Account()
    assert account.findings() == {}
    assert len(account.asked) == len(set(account.asked)) == 7


def test_what_is_asked_is_sql() -> None:
    account, linter = Account(), Linter(dialect="snowflake")
    account.findings()
    assert {statement: linter.parse_string(statement).violations for statement in account.asked} == dict.fromkeys(
        account.asked, []
    )


def test_what_is_fine_is_said_with_the_names_of_the_settings() -> None:
    said = " ".join(f"{subject}: {text}" for subject, text, _ in checks(Account().query, NAMES))
    for name in ("loader", "acme-prod", "loader_role", "loader_wh", "crm.cio", "crm.cio.lake", NAMES.landing_url):
        assert name in said


def test_uploading_needs_no_stage_and_none_is_looked_at() -> None:
    grants = [grant(f"CREATE {kind}", "SCHEMA", "CRM.CIO") for kind in ("TABLE", "VIEW", "STAGE")]
    account = Account(stage=refused(2003), list=refused(3167), grants=grants)
    assert account.findings(replace(NAMES, load="put")) == {}
    assert not any("lake" in statement for statement in account.asked)


def test_a_schema_without_leave_to_make_stages_is_found() -> None:
    names = replace(NAMES, load="put")
    error = Account().trouble("stages", names)
    assert error.what == "loader_role may not make stages in crm.cio."
    assert error.hint.strip() == mended_by("put_grants", names=names)


@pytest.mark.parametrize(("identity", "way"), [(None, "key_pair"), ("1111-2222", "workload_identity")])
def test_a_sign_in_that_fails_shows_how_to_make_the_user(identity: str | None, way: str) -> None:
    names = replace(NAMES, identity=identity)
    error = Account(who=refused(390144)).trouble("sign-in", names)
    assert "error 390144" in error.what
    assert error.hint.strip() == mended_by("role", "user", way, names=names)
    assert "ALTER USER loader SET" in error.hint


def test_a_sign_in_refused_for_its_address_says_so() -> None:
    hint = "Snowflake's network policy refuses this address."
    assert hint in Account(who=refused(390422, hint)).trouble("sign-in").what


def test_nothing_else_is_tried_after_a_sign_in_that_fails() -> None:
    account = Account(who=refused(390144))
    found = account.findings()
    assert set(found) == {"sign-in", "role", "warehouse", "schema", "tables", "stage", "integration", "landing"}
    assert {text for subject, text in found.items() if subject != "sign-in"} == {
        "Not looked at, for nobody could sign in."
    }
    assert len(account.asked) == 1


def test_a_setting_that_is_wrong_stays_a_wrong_setting() -> None:
    wrong = SettingsError("SNOWFLAKE_PRIVATE_KEY_FILE: it cannot be read.", hint="Make one.")
    assert Account(who=wrong).findings()["sign-in"] == str(wrong)


@pytest.mark.parametrize("role", [None, "PUBLIC"])
def test_another_role_is_found(role: str | None) -> None:
    error = Account(who=[{"user_name": "LOADER", "role_name": role}]).trouble("role")
    assert error.what == f"The session has the role {role}, not loader_role."
    assert error.hint.strip() == mended_by("role", "user")
    assert "GRANT ROLE loader_role TO USER loader;" in error.hint


def test_a_virtual_warehouse_out_of_reach_is_found() -> None:
    error = Account(warehouse=refused(2043)).trouble("warehouse")
    assert error.what.startswith("The virtual warehouse loader_wh is not there, or loader_role may not use it.")
    assert "error 002043" in error.what
    assert error.hint.strip() == mended_by("warehouse", "warehouse_grant")
    assert "GRANT USAGE ON WAREHOUSE loader_wh TO ROLE loader_role;" in error.hint


def test_a_schema_out_of_reach_is_found() -> None:
    error = Account(schema=refused(2043)).trouble("schema")
    assert error.hint.strip() == mended_by("schema", "schema_grants")
    assert "CREATE SCHEMA IF NOT EXISTS crm.cio" in error.hint
    assert "GRANT USAGE ON SCHEMA crm.cio TO ROLE loader_role;" in error.hint


@pytest.mark.parametrize(
    "grants",
    [
        [],
        [grant("USAGE", "SCHEMA", "CRM.CIO")],
        [grant("CREATE TABLE", "SCHEMA", "CRM.OTHER")],
        [grant("OWNERSHIP", "DATABASE", "CRM")],
    ],
)
def test_a_schema_without_leave_to_make_tables_is_found(grants: list[dict[str, Any]]) -> None:
    error = Account(grants=grants).trouble("tables")
    assert error.what == "loader_role may not make tables in crm.cio."
    assert "GRANT CREATE TABLE ON SCHEMA crm.cio TO ROLE loader_role;" in error.hint


@pytest.mark.parametrize(
    "name", ["CRM.CIO", '"CRM"."CIO"', "crm.cio"], ids=["plain", "quoted", "as the settings have it"]
)
@pytest.mark.parametrize("privileges", [["CREATE TABLE", "CREATE VIEW"], ["OWNERSHIP"]])
def test_leave_to_make_tables_is_seen_however_it_is_written(privileges: list[str], name: str) -> None:
    assert Account(grants=[grant(privilege, "SCHEMA", name) for privilege in privileges]).findings() == {}


def test_a_schema_without_leave_to_make_views_is_found() -> None:
    error = Account(grants=[grant("CREATE TABLE", "SCHEMA", "CRM.CIO")]).trouble("tables")
    assert error.what == "loader_role may not make views in crm.cio."
    assert "GRANT CREATE VIEW ON SCHEMA crm.cio TO ROLE loader_role;" in error.hint


def test_leave_to_make_tables_may_come_from_another_role() -> None:
    account = Account(grants=[grant("USAGE", "ROLE", "MAKERS"), grant("USAGE", "ROLE", "LOADER_ROLE")])
    account.answers['SHOW GRANTS TO ROLE "MAKERS"'] = [
        grant("USAGE", "ROLE", "LOADER_ROLE"),
        grant("CREATE TABLE", "SCHEMA", "CRM.CIO"),
        grant("CREATE VIEW", "SCHEMA", "CRM.CIO"),
    ]
    assert account.findings() == {}


def test_grants_that_cannot_be_read_are_a_finding() -> None:
    assert Account(grants=refused(3001)).trouble("tables").what.startswith("The grants of LOADER_ROLE cannot be read.")


def test_a_stage_out_of_reach_is_found_and_shows_how_to_make_it() -> None:
    error = Account(stage=refused(2003)).trouble("stage")
    assert error.what.startswith("The stage crm.cio.lake is not there, or loader_role may not use it.")
    assert error.hint.strip() == mended_by("integration", "consent", "stage", "stage_grants")
    assert "GRANT USAGE ON STAGE crm.cio.lake TO ROLE loader_role;" in error.hint


def test_nothing_else_is_tried_of_a_stage_out_of_reach() -> None:
    found = Account(stage=refused(2003)).findings()
    assert set(found) == {"stage", "integration", "landing"}
    assert found["integration"] == found["landing"] == "Not looked at, for the stage cannot be seen."


@pytest.mark.parametrize(
    "url",
    [
        '["azure://acme.blob.core.windows.net/exports/"]',
        '["azure://acme.blob.core.windows.net/exports"]',
        "azure://acme.blob.core.windows.net/exports/",
    ],
)
def test_a_stage_at_the_root_is_fine_however_its_address_is_written(url: str) -> None:
    assert Account(stage=stage(url)).findings() == {}


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ('["azure://acme.blob.core.windows.net/exports/daily/"]', "azure://acme.blob.core.windows.net/exports/daily/"),
        ('["azure://other.blob.core.windows.net/exports/"]', "azure://other.blob.core.windows.net/exports/"),
        ("", "no container"),
        ("[]", "no container"),
    ],
)
def test_a_stage_elsewhere_is_found(url: str, told: str) -> None:
    error = Account(stage=stage(url)).trouble("stage")
    assert error.what == f"The stage crm.cio.lake begins at {told}, not at {NAMES.landing_url}."
    assert "ALTER STAGE crm.cio.lake SET\n    URL = 'azure://acme.blob.core.windows.net/exports/'" in error.hint


@pytest.mark.parametrize("integration", ["", None])
def test_a_stage_without_integration_is_found(integration: str | None) -> None:
    error = Account(stage=stage(integration=integration)).trouble("integration")
    assert error.what == "The stage crm.cio.lake has no storage integration."
    assert error.hint.strip() == mended_by("integration", "consent", "stage")


def test_a_stage_that_does_not_tell_its_integration_is_no_finding() -> None:
    assert Account(stage=stage()[:2]).findings() == {}


def test_an_integration_that_is_switched_off_is_found_by_its_own_name() -> None:
    account = Account(stage=stage(integration="SHARED_INT"))
    account.answers["DESC INTEGRATION SHARED_INT"] = [{"property": "ENABLED", "property_value": "false"}]
    error = account.trouble("integration")
    assert error.what == "The storage integration SHARED_INT is switched off."
    assert "ALTER STORAGE INTEGRATION SHARED_INT SET ENABLED = TRUE;" in error.hint


def test_an_integration_that_the_role_may_not_look_at_is_no_finding() -> None:
    assert Account(integration=refused(2003)).findings() == {}


def test_a_container_that_cannot_be_listed_shows_consent_and_firewall() -> None:
    error = Account(list=refused(3167, "The storage integration cannot be used.")).trouble("landing")
    assert error.what.startswith(f"Snowflake cannot list {NAMES.landing_url} through the stage. Snowflake failed with")
    assert error.hint.strip() == mended_by("stage_grants", "consent", "firewall")
    assert "Storage Blob Data Reader" in error.hint
    assert "DESC STORAGE INTEGRATION lake_int;" in error.hint


@pytest.mark.parametrize(
    ("subject", "statement"),
    [
        ("sign-in", "who"),
        ("warehouse", "warehouse"),
        ("schema", "schema"),
        ("tables", "grants"),
        ("stage", "stage"),
        ("integration", "integration"),
        ("landing", "list"),
    ],
)
def test_trouble_of_the_moment_asks_nobody_to_run_sql(subject: str, statement: str) -> None:
    passing = Trouble("Snowflake did not answer when asked to look at the account.")
    assert Account(**{statement: passing}).trouble(subject) is passing


def test_an_error_of_no_known_kind_is_told_with_the_sql() -> None:
    error = Account(list=WarehouseUnavailable("No answer.")).trouble("landing")
    assert error.what.endswith("through the stage. No answer.")
    assert error.hint
