"""Parts of fakesnow that are replaced by others: a faster FLATTEN, and sums of whole numbers that stay whole."""

from __future__ import annotations

import contextlib
from pathlib import Path
from string import Template

import fakesnow.macros
import fakesnow.transforms
from sqlglot import Expr

FLATTEN = Template("""
CREATE OR REPLACE MACRO ${catalog}._fs_flatten(input) AS TABLE
SELECT hash(j)::UBIGINT AS SEQ, KEY, COALESCE(KEY, '[' || INDEX || ']') AS PATH, INDEX, VALUE, j AS THIS
FROM (
    SELECT
        j,
        NULL::VARCHAR AS KEY,
        unnest(range(json_array_length(j)::BIGINT)) AS INDEX,
        unnest(CASE WHEN json_type(j) = 'ARRAY' THEN CAST(j AS JSON[]) ELSE []::JSON[] END) AS VALUE
    FROM (SELECT TO_JSON(input) AS j)
    UNION ALL
    SELECT j, KEY, NULL, json_extract(j, '$$."' || KEY || '"')
    FROM (
        SELECT j, unnest(CASE WHEN json_type(j) = 'OBJECT' THEN json_keys(j) ELSE []::VARCHAR[] END) AS KEY
        FROM (SELECT TO_JSON(input) AS j)
    )
)
""")


def unchanged(expression: Expr) -> Expr:
    """Leave an expression as it is: fakesnow sums everything as DOUBLE, since Snowflake takes texts too."""
    return expression


def install() -> None:
    """Put the replacements in place, for databases and statements from now on."""
    with contextlib.suppress(OSError):
        Path(fakesnow.transforms.stage.LOCAL_BUCKET_PATH).rmdir()  # made at import; our stages lie elsewhere
    fakesnow.macros.FS_FLATTEN = FLATTEN
    fakesnow.transforms.numeric_agg_implicit_cast = unchanged
