"""An inspection as JSON values. Instants are ISO 8601 in UTC, sizes are in bytes; no value of a row is among them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ingest.contract import Field, Judgement, Verdict
from ingest.datasets import Dataset
from ingest.facts import FileHistory
from ingest.inspection import Anatomy, Inspection
from ingest.naming import ExportName


def document(inspection: Inspection) -> dict[str, Any]:
    """Return what was found out about a blob."""
    blob, anatomy, outlook = inspection.blob, inspection.anatomy, inspection.outlook
    groups = anatomy.row_groups if anatomy is not None else ()
    return {
        "version": 1,
        "blob_name": inspection.blob_name,
        "name": None if inspection.name is None else _name(inspection.name),
        "odd": inspection.odd or None,
        "blob": None
        if blob is None
        else {
            "container": blob.container or None,
            "etag": blob.etag or None,
            "bytes": blob.size,
            "last_modified": _instant(blob.modified),
        },
        "footer": None if anatomy is None else _footer(anatomy),
        "unreadable": inspection.unreadable or None,
        "columns": [] if anatomy is None else _columns(inspection, anatomy),
        "row_groups": [{"rows": each.rows, "bytes": each.size, "nulls": dict(each.nulls)} for each in groups],
        "history": [_past(each) for each in inspection.history],
        "outlook": {
            "standing": outlook.standing.value,
            "text": outlook.text,
            "command": outlook.command or None,
            "needs_a_person": outlook.needs_person,
        },
    }


def _name(name: ExportName) -> dict[str, Any]:
    return {
        "folder": name.folder,
        "dataset": name.dataset.name,
        "version": name.version,
        "workspace_id": name.workspace_id,
        "sequence": name.sequence,
        "sequence_end": name.sequence_end,
        "changes": name.changes,
    }


def _footer(anatomy: Anatomy) -> dict[str, Any]:
    return {
        "rows": anatomy.footer.rows,
        "created_by": anatomy.created_by or None,
        "format_version": anatomy.format_version or None,
        "compression": list(anatomy.compression),
        "trouble": anatomy.trouble or None,
    }


def _columns(inspection: Inspection, anatomy: Anatomy) -> list[dict[str, Any]]:
    if inspection.name is None:
        return [{"name": field.name, **_found(field, anatomy)} for field in anatomy.footer.fields]
    dataset = inspection.name.dataset
    return [
        {
            "name": verdict.column.name,
            **_declared(verdict, dataset),
            **_found(verdict.field, anatomy),
            "verdict": verdict.judgement.value,
            "reason": None if verdict.error is None else verdict.error.what,
        }
        for verdict in inspection.verdicts
    ]


def _declared(verdict: Verdict, dataset: Dataset) -> dict[str, Any]:
    column = verdict.column
    unheard_of = not verdict.declared and verdict.judgement not in (Judgement.FITS, Judgement.MISSING)
    return {
        "kind": None if unheard_of else column.kind.value,
        "declared": verdict.declared,
        "required": column.required,
        "key": verdict.declared and column.name in dataset.key,
        "recency": verdict.declared and column.name == dataset.recency,
    }


def _found(field: Field | None, anatomy: Anatomy) -> dict[str, Any]:
    if field is None:
        return {"physical": None, "logical": None, "nulls": None}
    physical = anatomy.physical.get(field.name)
    return {"physical": physical, "logical": field.physical, "nulls": anatomy.nulls(field.name)}


def _past(past: FileHistory) -> dict[str, Any]:
    return {
        "etag": past.etag,
        "bytes": past.size,
        "status": past.status.value,
        "arrived_at": _instant(past.arrived_at),
        "loaded_at": _instant(past.loaded_at),
        "deleted_at": _instant(past.deleted_at),
        "attempts": past.attempts,
        "late": past.late,
        "rows_read": past.rows_read,
        "rows_applied": past.rows_applied,
        "batch_id": past.batch_id,
        "error": past.error or None,
    }


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
