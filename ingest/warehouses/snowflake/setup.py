"""Write the SQL that an administrator runs in a Snowflake account."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ingest.warehouses.queries import load
from ingest.warehouses.snowflake.names import Names

_PACKAGE = "ingest.warehouses.snowflake"
_BEFORE = ("heading", "warehouse", "schema", "role", "warehouse_grant", "schema_grants", "user")
_SIGN_IN = ("key_pair", "workload_identity")
_AFTER = ("network", "reader")
_LANDING = ("integration", "consent", "firewall", "stage", "stage_grants")
_PUT = ("put_grants",)
_PII = ("heading", "pii_reader", "policy", "tag", "columns")


def script(names: Names) -> str:
    """Return the whole set-up; the way to sign in that the names do not choose stands there as a comment."""
    sections = _sections("setup.sql", names)
    chosen = sign_in_section(names)
    parts = [sections[name] for name in _BEFORE]
    parts.append(sections[chosen])
    parts += ["-- Or:\n" + _commented(sections[name]) for name in _SIGN_IN if name != chosen]
    parts += [sections[name] for name in _AFTER]
    parts += [sections[name] for name in (_LANDING if names.load == "copy" else _PUT)]
    return "\n\n".join(parts) + "\n"


def optional_pii(names: Names) -> str:
    """Return the masking of personal data."""
    sections = _sections("pii.sql", names)
    return "\n\n".join(sections[name] for name in _PII) + "\n"


def section(name: str, names: Names) -> str:
    """Return one part of the set-up, which may be run alone."""
    return _sections("setup.sql", names)[name]


def sign_in_section(names: Names) -> str:
    """Return the name of the section about how the user signs in."""
    return "key_pair" if names.identity is None else "workload_identity"


def _sections(file_name: str, names: Names) -> Mapping[str, str]:
    return load(
        _PACKAGE,
        file_name,
        account=names.account,
        user=_identifier(names.user),
        role=names.role,
        role_text=names.role.upper(),
        reader=names.reader,
        pii_reader=names.pii_reader,
        pii_reader_text=names.pii_reader.upper(),
        warehouse=names.warehouse,
        database=names.database,
        qualified_schema=names.qualified_schema,
        qualified_stage=names.qualified_stage,
        integration=names.integration,
        landing_url=names.landing_url.replace("'", "''"),
        identity=names.identity or "<client id>",
    )


def _identifier(name: str) -> str:
    """Quote a name only where it has to be: quoting would make its case matter."""
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_$]*", name) else '"' + name.replace('"', '""') + '"'


def _commented(text: str) -> str:
    return "\n".join(f"--   {line.removeprefix('-- ')}" for line in text.splitlines())
