"""Look at a Snowflake account for what the ingestor needs; each finding brings the SQL that mends it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from ingest.errors import IngestError, WarehouseUnavailable
from ingest.warehouses.snowflake.faults import Trouble
from ingest.warehouses.snowflake.names import Names
from ingest.warehouses.snowflake.setup import section, sign_in_section

Row = dict[str, Any]
Query = Callable[[str], list[Row]]
Check = tuple[str, str, Callable[[], object]]
"""What is looked at, the words when it is fine, and what raises when it is not."""

_WHO = "SELECT CURRENT_USER() AS user_name, CURRENT_ROLE() AS role_name"


def checks(query: Query, names: Names) -> list[Check]:
    """Return what to look at, in the order in which an administrator would mend it.

    `query` runs one statement and returns its rows with lower-case keys. A check raises WarehouseUnavailable whose
    hint is the SQL that mends it; an error that may pass by itself is passed on as it is.
    """
    account = _Account(query, names)
    schema, stage = names.qualified_schema, names.qualified_stage
    found: list[Check] = [
        ("Snowflake sign-in", f"{names.user} can sign in to {names.account}", account.signs_in),
        ("Snowflake role", f"sessions have the role {names.role}", account.has_role),
        ("Snowflake warehouse", f"{names.warehouse} can be used", account.uses_warehouse),
        ("Snowflake schema", f"{schema} can be used", account.uses_schema),
        ("Snowflake tables", f"{names.role} may make tables and a view in {schema}", account.makes_tables),
    ]
    if names.load == "copy":
        found += [
            ("Snowflake stage", f"{stage} begins at the root of {names.landing_url}", account.sees_stage),
            ("Snowflake integration", f"{stage} has one, enabled as far as can be seen", account.sees_integration),
            ("Snowflake landing", f"{stage} can be listed", account.lists_container),
        ]
    else:
        found.append(("Snowflake stages", f"{names.role} may make stages in {schema}", account.makes_stages))
    return found


class _Account:
    """One account's answers; each statement is run once."""

    def __init__(self, query: Query, names: Names) -> None:
        self._query = query
        self._names = names
        self._answers: dict[str, list[Row] | IngestError] = {}

    def signs_in(self) -> None:
        """Raise unless somebody can sign in."""
        self._expect(_WHO, "Nobody can sign in.", "role", "user", sign_in_section(self._names))

    def has_role(self) -> None:
        """Raise unless the session has the role of the settings."""
        role = self._signed_in()["role_name"]
        if role != self._names.role.upper():
            raise self._missing(f"The session has the role {role}, not {self._names.role}.", "role", "user")

    def uses_warehouse(self) -> None:
        """Raise unless the virtual warehouse is there and usable."""
        self._signed_in()
        name = self._names.warehouse
        what = f"The virtual warehouse {name} is not there, or {self._names.role} may not use it."
        self._expect(f"USE WAREHOUSE {name}", what, "warehouse", "warehouse_grant")

    def uses_schema(self) -> None:
        """Raise unless database and schema are there and usable."""
        self._signed_in()
        name = self._names.qualified_schema
        what = f"The schema {name} is not there, or {self._names.role} may not use it or its database."
        self._expect(f"USE SCHEMA {name}", what, "schema", "schema_grants")

    def makes_tables(self) -> None:
        """Raise unless the role, or a role granted to it, may make tables and views in the schema."""
        for privilege, what in (("CREATE TABLE", "tables"), ("CREATE VIEW", "views")):
            if not self._may(privilege):
                lacks = f"{self._names.role} may not make {what} in {self._names.qualified_schema}."
                raise self._missing(lacks, "schema_grants")

    def makes_stages(self) -> None:
        """Raise unless the role, or a role granted to it, may make stages in the schema."""
        if not self._may("CREATE STAGE"):
            what = f"{self._names.role} may not make stages in {self._names.qualified_schema}."
            raise self._missing(what, "put_grants")

    def _may(self, privilege: str) -> bool:
        self._signed_in()
        schema = self._names.qualified_schema.upper()
        return any(
            grant["granted_on"] == "SCHEMA"
            and str(grant["name"]).replace('"', "").upper() == schema
            and grant["privilege"] in {privilege, "OWNERSHIP"}
            for grant in self._grants()
        )

    def sees_stage(self) -> None:
        """Raise unless the stage is there and begins at the container's root."""
        url, wanted = _location(self._stage().get("URL")), self._names.landing_url
        if url.rstrip("/") != wanted.rstrip("/"):
            what = f"The stage {self._names.qualified_stage} begins at {url or 'no container'}, not at {wanted}."
            raise self._missing(what, "integration", "stage")

    def sees_integration(self) -> None:
        """Raise if the stage has no storage integration, or one that is known to be switched off.

        The role may not be allowed to look at it; whether it works is then for the listing to tell.
        """
        name = self._stage_seen().get("STORAGE_INTEGRATION")
        if name is None:
            return
        if not name:
            what = f"The stage {self._names.qualified_stage} has no storage integration."
            raise self._missing(what, "integration", "consent", "stage")
        try:
            properties = _properties(self._ask(f"DESC INTEGRATION {name}"))
        except WarehouseUnavailable as error:
            if _may_pass(error):
                raise
            return
        if properties.get("ENABLED", "true").lower() == "false":
            mending = section("enable_integration", replace(self._names, integration=name))
            raise WarehouseUnavailable(f"The storage integration {name} is switched off.", hint=f"\n{mending}")

    def lists_container(self) -> None:
        """Raise unless Snowflake can list the container: one folder that nobody fills, for there may be many blobs."""
        self._stage_seen()
        what = f"Snowflake cannot list {self._names.landing_url} through the stage."
        statement = f"LIST @{self._names.qualified_stage}/doctor/"
        self._expect(statement, what, "stage_grants", "consent", "firewall")

    def _ask(self, statement: str) -> list[Row]:
        if statement not in self._answers:
            try:
                self._answers[statement] = self._query(statement)
            except IngestError as error:
                self._answers[statement] = error
        answer = self._answers[statement]
        if isinstance(answer, IngestError):
            raise answer
        return answer

    def _expect(self, statement: str, what: str, *sections: str) -> list[Row]:
        """Run a statement; when it fails for good, say what that means and how to mend it."""
        try:
            return self._ask(statement)
        except WarehouseUnavailable as error:
            if _may_pass(error):
                raise
            # Hints that send people to doctor are of no use here: this is doctor.
            told = error.what if "doctor" in error.hint else str(error)
            raise self._missing(f"{what} {told}", *sections) from error

    def _missing(self, what: str, *sections: str) -> WarehouseUnavailable:
        mending = "\n\n".join(section(name, self._names) for name in sections)
        return WarehouseUnavailable(what, hint=f"\n{mending}")

    def _signed_in(self) -> Row:
        try:
            return self._ask(_WHO)[0]
        except IngestError:
            raise WarehouseUnavailable("Not looked at, for nobody could sign in.") from None

    def _stage(self) -> dict[str, str]:
        """Return the stage's properties."""
        self._signed_in()
        name = self._names.qualified_stage
        what = f"The stage {name} is not there, or {self._names.role} may not use it."
        mending = ("integration", "consent", "stage", "stage_grants")
        return _properties(self._expect(f"DESC STAGE {name}", what, *mending))

    def _stage_seen(self) -> dict[str, str]:
        """Return the stage's properties for a check that comes after the one of the stage."""
        self._signed_in()
        try:
            return self._stage()
        except WarehouseUnavailable:
            raise WarehouseUnavailable("Not looked at, for the stage cannot be seen.") from None

    def _grants(self) -> Iterator[Row]:
        """Yield the grants of the role and of the roles granted to it."""
        roles, seen = [self._names.role.upper()], set[str]()
        while roles:
            role = roles.pop().replace('"', "")
            if role in seen:
                continue
            seen.add(role)
            what = f"The grants of {role} cannot be read."
            for grant in self._expect(f'SHOW GRANTS TO ROLE "{role}"', what, "role", "user", "schema_grants"):
                if grant["granted_on"] == "ROLE":
                    roles.append(str(grant["name"]))
                yield grant


def _may_pass(error: WarehouseUnavailable) -> bool:
    """Tell errors of the moment, which no SQL mends."""
    return isinstance(error, Trouble) and error.transient


def _properties(rows: list[Row]) -> dict[str, str]:
    return {str(row["property"]).upper(): str(row["property_value"] or "") for row in rows}


def _location(value: str | None) -> str:
    """Read a stage's URL, which Snowflake tells as a JSON list of one."""
    if not value or not value.startswith("["):
        return value or ""
    return str(next(iter(json.loads(value)), ""))
