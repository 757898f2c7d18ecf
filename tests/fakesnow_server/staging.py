"""The statements about stages: CREATE, DROP, DESC, SHOW, LIST, REMOVE and PUT."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fakesnow_server import answers, options
from fakesnow_server.answers import Answer
from fakesnow_server.errors import no_such, syntax
from fakesnow_server.stages import NAME, Folder, Place, Stage, full_name

if TYPE_CHECKING:
    from fakesnow_server.sessions import Session

CREATE = re.compile(
    r"CREATE\s+(?P<replace>OR\s+REPLACE\s+)?(TEMP(ORARY)?\s+)?STAGE\s+(?P<exists>IF\s+NOT\s+EXISTS\s+)?"
    rf"(?P<name>(?:{NAME}\.){{0,2}}{NAME})\s*(?P<options>.*)",
    re.IGNORECASE | re.DOTALL,
)
NAMED = re.compile(
    rf"\w+\s+STAGE\s+(?P<exists>IF\s+EXISTS\s+)?(?P<name>(?:{NAME}\.){{0,2}}{NAME})", re.IGNORECASE | re.DOTALL
)
AT_STAGE = re.compile(r"\w+\s+(?P<stage>'@[^']*'|@\S*)\s*(?P<options>.*)", re.IGNORECASE | re.DOTALL)
PUT = re.compile(
    r"PUT\s+(?P<source>'file://[^']+'|file://\S+)\s+(?P<stage>'@[^']*'|@\S+)\s*(?P<options>.*)",
    re.IGNORECASE | re.DOTALL,
)


def create_stage(session: Session, sql: str) -> Answer:
    """Record a stage."""
    session.commit()
    found = CREATE.fullmatch(sql)
    if not found:
        raise syntax("CREATE STAGE")
    given = options.read(found["options"])
    integration = str(given.get("STORAGE_INTEGRATION", "")).upper()
    if integration and integration not in session.warehouse.integrations:
        raise no_such("Integration", integration)
    database, schema, name = full_name(found["name"], session.connection.database, session.connection.schema)
    stage = Stage(database, schema, name, given.get("URL", ""), integration, format_text(given.get("FILE_FORMAT")))
    replace, exists = bool(found["replace"]), bool(found["exists"])
    return answers.done(session.warehouse.stages.create(stage, replace=replace, unless_there=exists), answers.DDL)


def format_text(given: Any) -> str:
    """Write a file format back as text."""
    return " ".join(f"{name} = {value}" for name, value in (given or {}).items())


def drop_stage(session: Session, sql: str) -> Answer:
    """Forget a stage."""
    session.commit()
    key, exists = named(session, sql)
    return answers.done(session.warehouse.stages.drop(key, if_there=exists), answers.DDL)


def describe_stage(session: Session, sql: str) -> Answer:
    """Tell a stage's properties."""
    stage = session.warehouse.stages.named(named(session, sql)[0])
    rows = [
        ["STAGE_FILE_FORMAT", "TYPE", "String", stage.file_format.rpartition(" ")[2] or "CSV", "CSV"],
        ["STAGE_LOCATION", "URL", "String", f'["{stage.url}"]' if stage.url else "", ""],
        ["STAGE_INTEGRATION", "STORAGE_INTEGRATION", "String", stage.integration, ""],
        ["DIRECTORY", "ENABLE", "Boolean", "false", "false"],
    ]
    columns = ["parent_property", "property", "property_type", "property_value", "property_default"]
    return answers.of_texts(columns, rows, answers.DESCRIBE)


def named(session: Session, sql: str) -> tuple[tuple[str, str, str], bool]:
    """Read the stage's name of a statement, and whether it says IF EXISTS."""
    found = NAMED.fullmatch(sql)
    if not found:
        raise syntax("no name of a stage")
    return full_name(found["name"], session.connection.database, session.connection.schema), bool(found["exists"])


def show_stages(session: Session, sql: str) -> Answer:
    """List the stages."""
    from fakesnow_server.catalog import CREATED, fits

    rows = [
        [CREATED, one.name, one.database, one.schema, one.url, "N", "N", session.role, ""]
        + ["westeurope" if one.url else None, "EXTERNAL" if one.url else "INTERNAL", "AZURE" if one.url else None]
        + [None, one.integration or None, None, "ROLE", "N"]
        for one in session.warehouse.stages.all()
        if fits(sql, one.name)
    ]
    columns = ["created_on", "name", "database_name", "schema_name", "url", "has_credentials", "has_encryption_key"]
    columns += ["owner", "comment", "region", "type", "cloud", "notification_channel", "storage_integration"]
    columns += ["endpoint", "owner_role_type", "directory_enabled"]
    return answers.of_texts(columns, rows, answers.SHOW)


def list_stage(session: Session, sql: str) -> Answer:
    """List the files on a stage."""
    place, given = at_stage(session, sql)
    pattern = given.get("PATTERN")
    rows = [
        [one.shown, one.size, one.md5, one.modified]
        for one in place.list()
        if pattern is None or re.fullmatch(pattern, one.metadata_name) or re.fullmatch(pattern, one.shown)
    ]
    answer = answers.of_texts(["name", "size", "md5", "last_modified"], rows)
    return answer if rows else Answer(answer.table.set_column(1, "size", pa.array([], pa.int64())), answer.rowtype)


def remove(session: Session, sql: str) -> Answer:
    """Delete files from a stage."""
    place, given = at_stage(session, sql)
    pattern = given.get("PATTERN")
    gone = [one for one in place.list() if pattern is None or re.fullmatch(pattern, one.metadata_name)]
    for one in gone:
        place.remove(one.metadata_name)
    return answers.of_texts(["name", "result"], [[one.shown, "removed"] for one in gone])


def at_stage(session: Session, sql: str) -> tuple[Place, dict[str, Any]]:
    """Read a statement that names a location on a stage first."""
    found = AT_STAGE.fullmatch(sql)
    if not found:
        raise syntax("no location on a stage")
    return placed(session, found["stage"]), options.read(found["options"])


def placed(session: Session, location: str) -> Place:
    """Find a location on a stage."""
    database, schema = session.connection.database, session.connection.schema
    return session.warehouse.stages.place(location.strip("'"), database, schema, session.user)


def put(session: Session, sql: str) -> Answer:
    """Tell the connector which folder of this machine the files go to."""
    found = PUT.fullmatch(sql)
    if not found:
        raise syntax("PUT")
    given = options.read(found["options"])
    place = placed(session, found["stage"])
    if not isinstance(place, Folder):
        raise syntax("PUT to an external stage")
    folder = place.home / place.root
    folder.mkdir(parents=True, exist_ok=True)
    upload = {
        "command": "UPLOAD",
        "src_locations": [found["source"].strip("'").removeprefix("file://")],
        "stageInfo": {"locationType": "LOCAL_FS", "location": str(folder), "creds": {}},
        "parallel": int(given.get("PARALLEL", 4)),
        "autoCompress": str(given.get("AUTO_COMPRESS", "TRUE")).upper() == "TRUE",
        "sourceCompression": str(given.get("SOURCE_COMPRESSION", "auto_detect")).lower(),
        "overwrite": str(given.get("OVERWRITE", "FALSE")).upper() == "TRUE",
    }
    return Answer(pa.table({}), [], answers.UNKNOWN, upload=upload)
