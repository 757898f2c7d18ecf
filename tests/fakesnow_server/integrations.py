"""Storage integrations are remembered; grants and roles are accepted and mean nothing."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fakesnow_server import answers, options
from fakesnow_server.answers import Answer
from fakesnow_server.catalog import CREATED, fits
from fakesnow_server.errors import SnowflakeError, no_such, syntax

if TYPE_CHECKING:
    from fakesnow_server.sessions import Session


INTEGRATION = re.compile(
    r'.*?\bINTEGRATION\s+(?P<exists>IF\s+(NOT\s+)?EXISTS\s+)?(?P<name>"[^"]+"|[\w$]+)\s*(SET\s+)?(?P<options>.*)',
    re.IGNORECASE | re.DOTALL,
)


def accept(session: Session, sql: str) -> Answer:
    """Say yes to what has no meaning here; it commits what is open like any definition."""
    session.commit()
    return answers.done(type_id=answers.DDL)


def create_integration(session: Session, sql: str) -> Answer:
    """Remember a storage integration."""
    session.commit()
    name, given, exists = read_integration(sql)
    known = session.warehouse.integrations
    if name in known and not re.match(r"CREATE\s+OR\s+REPLACE", sql, re.IGNORECASE):
        if exists:
            return answers.done(f"{name} already exists, statement succeeded.", answers.DDL)
        raise SnowflakeError(2002, "42710", f"SQL compilation error:\nObject '{name}' already exists.")
    known[name] = given
    return answers.done(f"Integration {name} successfully created.", answers.DDL)


def alter_integration(session: Session, sql: str) -> Answer:
    """Change what is remembered of an integration."""
    session.commit()
    name, given, _ = read_integration(sql)
    integration(session, name).update(given)
    return answers.done(type_id=answers.DDL)


def drop_integration(session: Session, sql: str) -> Answer:
    """Forget an integration."""
    session.commit()
    name, _, exists = read_integration(sql)
    if not exists:
        integration(session, name)
    session.warehouse.integrations.pop(name, None)
    return answers.done(f"{name} successfully dropped.", answers.DDL)


def read_integration(sql: str) -> tuple[str, dict[str, str], bool]:
    """Read name and options of a statement about an integration."""
    found = INTEGRATION.fullmatch(sql)
    if not found:
        raise syntax("no name of an integration")
    name = found["name"]
    given = {key: ",".join(v) if isinstance(v, list) else str(v) for key, v in options.read(found["options"]).items()}
    return name[1:-1] if name.startswith('"') else name.upper(), given, bool(found["exists"])


def integration(session: Session, name: str) -> dict[str, str]:
    """Find an integration."""
    try:
        return session.warehouse.integrations[name]
    except KeyError:
        raise no_such("Integration", name) from None


def describe_integration(session: Session, sql: str) -> Answer:
    """Tell an integration's properties."""
    name, _, _ = read_integration(sql)
    given = integration(session, name)
    tenant = given.get("AZURE_TENANT_ID", "")
    rows = [
        ["ENABLED", "Boolean", given.get("ENABLED", "true").lower(), "false"],
        ["STORAGE_PROVIDER", "String", given.get("STORAGE_PROVIDER", "AZURE"), ""],
        ["STORAGE_ALLOWED_LOCATIONS", "List", given.get("STORAGE_ALLOWED_LOCATIONS", ""), "[]"],
        ["STORAGE_BLOCKED_LOCATIONS", "List", given.get("STORAGE_BLOCKED_LOCATIONS", ""), "[]"],
        ["AZURE_TENANT_ID", "String", tenant, ""],
        ["AZURE_CONSENT_URL", "String", f"https://login.microsoftonline.com/{tenant}/oauth2/authorize?client_id=1", ""],
        ["AZURE_MULTI_TENANT_APP_NAME", "String", "fakesnowsnowflakepacint_1700000000000", ""],
        ["COMMENT", "String", given.get("COMMENT", ""), ""],
    ]
    return answers.of_texts(["property", "property_type", "property_value", "property_default"], rows, answers.DESCRIBE)


def show_integrations(session: Session, sql: str) -> Answer:
    """List the integrations."""
    rows = [
        [name, "EXTERNAL_STAGE", "STORAGE", given.get("ENABLED", "true").lower(), given.get("COMMENT", ""), CREATED]
        for name, given in sorted(session.warehouse.integrations.items())
        if fits(sql, name)
    ]
    return answers.of_texts(["name", "type", "category", "enabled", "comment", "created_on"], rows, answers.SHOW)


def show_grants(session: Session, sql: str) -> Answer:
    """Tell that the role owns everything there is."""
    found = re.search(r"\b(?:ROLE|USER)\s+(\S+)", sql, re.IGNORECASE)
    grantee = found[1].strip('"').upper() if found else session.role
    kinds = [("DATABASE", session.connection.database), ("WAREHOUSE", session.warehouse_name)]
    schemas = "SELECT database_name || '.' || schema_name FROM duckdb_schemas() WHERE NOT internal"
    found_schemas = session.read([], lambda: session.duck.execute(schemas).fetchall())
    names = [("SCHEMA", name) for (name,) in found_schemas if "_fs_" not in name and not name.endswith(".main")]
    names += [("INTEGRATION", name) for name in session.warehouse.integrations]
    names += [("STAGE", f"{s.database}.{s.schema}.{s.name}") for s in session.warehouse.stages.all()]
    rows = [
        [CREATED, "OWNERSHIP" if kind != "WAREHOUSE" else "USAGE", kind, name, "ROLE", grantee, "true", "ACCOUNTADMIN"]
        for kind, name in [*kinds, *names]
        if name
    ]
    columns = ["created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name", "grant_option"]
    return answers.of_texts([*columns, "granted_by"], rows, answers.SHOW)
