"""The JSON that the connector reads."""

from __future__ import annotations

import uuid
from typing import Any

from fakesnow.transforms import SERVER_VERSION

from fakesnow_server import answers
from fakesnow_server.answers import Answer
from fakesnow_server.errors import SnowflakeError
from fakesnow_server.sessions import Session

VALID_SECONDS = 3600


Reply = dict[str, Any]


def success(session: Session, answer: Answer) -> Reply:
    """Write an answer with where the session stands."""
    data = answers.payload(answer) | {
        "queryId": str(uuid.uuid4()),
        "finalDatabaseName": session.connection.database,
        "finalSchemaName": session.connection.schema,
        "finalWarehouseName": session.warehouse_name,
        "finalRoleName": session.role,
    }
    return {"data": data, "success": True, "code": None, "message": None}


def failure(error: SnowflakeError) -> Reply:
    """Write an error as the connector reads it."""
    code = f"{error.errno:06d}"
    data = {"errorCode": code, "sqlState": error.sqlstate, "queryId": str(uuid.uuid4())}
    return {"data": data, "success": False, "code": code, "message": error.message}


def logged_in(session: Session) -> Reply:
    """Write the answer to a login."""
    parameters = [
        {"name": "AUTOCOMMIT", "value": session.autocommit},
        {"name": "CLIENT_SESSION_KEEP_ALIVE_HEARTBEAT_FREQUENCY", "value": VALID_SECONDS},
        {"name": "CLIENT_STAGE_ARRAY_BINDING_THRESHOLD", "value": 0},
        {"name": "CLIENT_TELEMETRY_ENABLED", "value": False},
        {"name": "TIMEZONE", "value": "UTC"},
    ]
    data = {
        "token": session.token,
        "masterToken": session.master_token,
        "validityInSeconds": VALID_SECONDS,
        "masterValidityInSeconds": 4 * VALID_SECONDS,
        "sessionId": session.id,
        "serverVersion": SERVER_VERSION,
        "parameters": parameters,
        "sessionInfo": {
            "databaseName": session.connection.database,
            "schemaName": session.connection.schema,
            "warehouseName": session.warehouse_name,
            "roleName": session.role,
        },
    }
    return {"data": data, "success": True, "code": None, "message": None}


def renewal(session: Session) -> Reply:
    """Renew a token: it stays the same."""
    data = {
        "sessionToken": session.token,
        "masterToken": session.master_token,
        "validityInSecondsST": VALID_SECONDS,
        "validityInSecondsMT": 4 * VALID_SECONDS,
        "sessionId": session.id,
    }
    return {"data": data, "success": True, "code": None, "message": None}
