-- `replay` of a file that was rejected for a column nobody declared, after SCHEMA_DRIFT was set to evolve.

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_files;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_streams;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_alerts;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_freshness;

-- {"app":"customerio_ingest"}
SELECT DISTINCT workspace_id, dataset
FROM customerio.ingest_files
WHERE status = 'rejected' AND version IS NOT NULL
ORDER BY workspace_id, dataset;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
SELECT generation, lease_owner, lease_expires_at
FROM customerio.ingest_streams
WHERE workspace_id = ? AND dataset = ?
ORDER BY generation DESC
LIMIT 1;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
INSERT INTO customerio.ingest_streams (workspace_id, dataset, generation)
SELECT opened.workspace_id, opened.dataset, 0
FROM (SELECT ?::NUMBER(19, 0) AS workspace_id, ?::VARCHAR AS dataset) AS opened
WHERE NOT EXISTS (
    SELECT 1 FROM customerio.ingest_streams AS known
    WHERE known.workspace_id = opened.workspace_id AND known.dataset = opened.dataset
);

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
SELECT generation, lease_owner, lease_expires_at
FROM customerio.ingest_streams
WHERE workspace_id = ? AND dataset = ?
ORDER BY generation DESC
LIMIT 1;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
UPDATE customerio.ingest_streams
SET generation = generation + 1, lease_owner = ?, lease_expires_at = ?::TIMESTAMP_NTZ,
    takeovers = COALESCE(takeovers, 0) + IFF(lease_owner IS NULL, 0, 1)
WHERE workspace_id = ? AND dataset = ? AND generation = ?;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
BEGIN;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
DELETE FROM customerio.ingest_files
WHERE status = 'rejected' AND version IS NULL;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
UPDATE customerio.ingest_streams
SET last_arrived_at = GREATEST_IGNORE_NULLS(last_arrived_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
COMMIT;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
UPDATE customerio.ingest_streams
SET lease_owner = NULL, lease_expires_at = NULL
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
SELECT generation, lease_owner, lease_expires_at
FROM customerio.ingest_streams
WHERE workspace_id = ? AND dataset = ?
ORDER BY generation DESC
LIMIT 1;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
UPDATE customerio.ingest_streams
SET generation = generation + 1, lease_owner = ?, lease_expires_at = ?::TIMESTAMP_NTZ,
    takeovers = COALESCE(takeovers, 0) + IFF(lease_owner IS NULL, 0, 1)
WHERE workspace_id = ? AND dataset = ? AND generation = ?;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
SELECT container, blob_name, etag, bytes, arrived_at, attempts
FROM customerio.ingest_files
WHERE status = 'pending' AND workspace_id = ? AND dataset = ?
ORDER BY version, sequence, COALESCE(sequence_end, -1), blob_name
LIMIT 500;

-- {"app":"customerio_ingest","stream":"unclassified of workspace 0"}
UPDATE customerio.ingest_streams
SET lease_owner = NULL, lease_expires_at = NULL
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT generation, lease_owner, lease_expires_at
FROM customerio.ingest_streams
WHERE workspace_id = ? AND dataset = ?
ORDER BY generation DESC
LIMIT 1;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_streams
SET generation = generation + 1, lease_owner = ?, lease_expires_at = ?::TIMESTAMP_NTZ,
    takeovers = COALESCE(takeovers, 0) + IFF(lease_owner IS NULL, 0, 1)
WHERE workspace_id = ? AND dataset = ? AND generation = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
BEGIN;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_files
SET status = 'pending', attempts = 0
WHERE status = 'rejected' AND workspace_id = ? AND dataset = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_streams
SET last_arrived_at = GREATEST_IGNORE_NULLS(last_arrived_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
COMMIT;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_streams
SET lease_owner = NULL, lease_expires_at = NULL
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT generation, lease_owner, lease_expires_at
FROM customerio.ingest_streams
WHERE workspace_id = ? AND dataset = ?
ORDER BY generation DESC
LIMIT 1;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_streams
SET generation = generation + 1, lease_owner = ?, lease_expires_at = ?::TIMESTAMP_NTZ,
    takeovers = COALESCE(takeovers, 0) + IFF(lease_owner IS NULL, 0, 1)
WHERE workspace_id = ? AND dataset = ? AND generation = ?;

-- {"app":"customerio_ingest","files":2}
SELECT listed.value:blob_name::VARCHAR AS blob_name, listed.value:etag::VARCHAR AS etag
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
LEFT JOIN customerio.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT container, blob_name, etag, bytes, arrived_at, attempts
FROM customerio.ingest_files
WHERE status = 'pending' AND workspace_id = ? AND dataset = ?
ORDER BY version, sequence, COALESCE(sequence_end, -1), blob_name
LIMIT 500;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT known.container, known.blob_name, known.etag, known.bytes, known.arrived_at, known.attempts
FROM customerio.ingest_files AS known
CROSS JOIN (
    SELECT
        ?::NUMBER(19, 0) AS version, ?::NUMBER(19, 0) AS sequence, ?::NUMBER(19, 0) AS sequence_end,
        ?::VARCHAR AS blob_name
) AS reached
WHERE known.status = 'pending' AND known.workspace_id = ? AND known.dataset = ?
    AND (
        known.version > reached.version
        OR (known.version = reached.version AND known.sequence > reached.sequence)
        OR (
            known.version = reached.version AND known.sequence = reached.sequence
            AND COALESCE(known.sequence_end, -1) > reached.sequence_end
        )
        OR (
            known.version = reached.version AND known.sequence = reached.sequence
            AND COALESCE(known.sequence_end, -1) = reached.sequence_end AND known.blob_name > reached.blob_name
        )
    )
ORDER BY known.version, known.sequence, COALESCE(known.sequence_end, -1), known.blob_name
LIMIT 500;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT version, sequence, COALESCE(sequence_end, -1) AS sequence_end, blob_name
FROM customerio.ingest_files
WHERE workspace_id = ? AND dataset = ? AND loaded_at IS NOT NULL
ORDER BY version DESC, sequence DESC, COALESCE(sequence_end, -1) DESC, blob_name DESC
LIMIT 1;

-- {"app":"customerio_ingest","table":"deliveries"}
DESCRIBE TABLE customerio.deliveries;

-- {"app":"customerio_ingest","table":"deliveries"}
ALTER TABLE customerio.deliveries ADD COLUMN IF NOT EXISTS "EXTRA" VARCHAR;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
DESCRIBE TABLE customerio.deliveries;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
CREATE OR REPLACE TEMPORARY TABLE customerio.ingest_stage_deliveries ("WORKSPACE_ID" NUMBER(19, 0) NOT NULL, "DELIVERY_ID" VARCHAR NOT NULL, "INTERNAL_CUSTOMER_ID" VARCHAR, "SUBJECT_ID" VARCHAR, "EVENT_ID" VARCHAR, "DELIVERY_TYPE" VARCHAR NOT NULL, "CAMPAIGN_ID" NUMBER(19, 0), "ACTION_ID" NUMBER(19, 0), "NEWSLETTER_ID" NUMBER(19, 0), "CONTENT_ID" NUMBER(19, 0), "TRIGGER_ID" NUMBER(19, 0), "CREATED_AT" TIMESTAMP_NTZ(6) NOT NULL, "TRANSACTIONAL_MESSAGE_ID" NUMBER(19, 0), "SEQ_NUM" NUMBER(19, 0) NOT NULL, "EXTRA" VARCHAR, "_INGEST_FILE" VARCHAR, "_INGEST_ROW" NUMBER(19, 0), "_INGEST_MODIFIED" TIMESTAMP_NTZ(6));

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
COPY INTO customerio.ingest_stage_deliveries (
    "WORKSPACE_ID", "DELIVERY_ID", "INTERNAL_CUSTOMER_ID", "SUBJECT_ID", "EVENT_ID", "DELIVERY_TYPE", "CAMPAIGN_ID", "ACTION_ID", "NEWSLETTER_ID", "CONTENT_ID", "TRIGGER_ID", "CREATED_AT", "TRANSACTIONAL_MESSAGE_ID", "SEQ_NUM", "EXTRA", _ingest_file, _ingest_row, _ingest_modified
)
FROM (
    SELECT
        $1:"workspace_id"::NUMBER(19, 0),
        $1:"delivery_id"::VARCHAR,
        $1:"internal_customer_id"::VARCHAR,
        $1:"subject_id"::VARCHAR,
        $1:"event_id"::VARCHAR,
        $1:"delivery_type"::VARCHAR,
        $1:"campaign_id"::NUMBER(19, 0),
        $1:"action_id"::NUMBER(19, 0),
        $1:"newsletter_id"::NUMBER(19, 0),
        $1:"content_id"::NUMBER(19, 0),
        $1:"trigger_id"::NUMBER(19, 0),
        $1:"created_at"::TIMESTAMP_NTZ(6),
        $1:"transactional_message_id"::NUMBER(19, 0),
        $1:"seq_num"::NUMBER(19, 0),
        $1:"extra"::VARCHAR,
        METADATA$FILENAME,
        METADATA$FILE_ROW_NUMBER,
        METADATA$FILE_LAST_MODIFIED
    FROM @customerio.landing
)
FILES = ('deliveries_v4_1_2.parquet')
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = TRUE NULL_IF = ('no text is this'))
ON_ERROR = SKIP_FILE FORCE = TRUE;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
SELECT _ingest_file, COUNT(*), MAX(_ingest_modified) FROM customerio.ingest_stage_deliveries GROUP BY _ingest_file;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
BEGIN;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
MERGE INTO customerio.deliveries AS stored
USING (
    SELECT
        staged."WORKSPACE_ID",
        staged."DELIVERY_ID",
        staged."INTERNAL_CUSTOMER_ID",
        staged."SUBJECT_ID",
        staged."EVENT_ID",
        staged."DELIVERY_TYPE",
        staged."CAMPAIGN_ID",
        staged."ACTION_ID",
        staged."NEWSLETTER_ID",
        staged."CONTENT_ID",
        staged."TRIGGER_ID",
        staged."CREATED_AT",
        staged."TRANSACTIONAL_MESSAGE_ID",
        staged."SEQ_NUM",
        staged."EXTRA",
        files.blob_name AS _blob_name,
        files.version AS _version,
        files.sequence AS _sequence,
        files.sequence_end AS _sequence_end,
        staged._ingest_row AS _row_number,
        ?::TIMESTAMP_NTZ AS _loaded_at
    FROM customerio.ingest_stage_deliveries AS staged
    JOIN (
    SELECT
        file.value:path::VARCHAR AS path,
        file.value:container::VARCHAR AS container,
        file.value:blob_name::VARCHAR AS blob_name,
        file.value:etag::VARCHAR AS etag,
        file.value:version::NUMBER(19, 0) AS version,
        file.value:sequence::NUMBER(19, 0) AS sequence,
        file.value:sequence_end::NUMBER(19, 0) AS sequence_end,
        file.value:late::BOOLEAN AS late,
        file.value:rows_read::NUMBER(19, 0) AS rows_read,
        file.value:undeclared::VARCHAR AS undeclared
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS file
    ) AS files ON files.path = staged._ingest_file
    QUALIFY ROW_NUMBER() OVER (
        PARTITION BY staged."WORKSPACE_ID", staged."DELIVERY_ID"
        ORDER BY staged."SEQ_NUM" DESC, files.version DESC, files.sequence DESC, COALESCE(files.sequence_end, -1) DESC, files.blob_name DESC, staged._ingest_row DESC
    ) = 1
) AS incoming
ON stored."WORKSPACE_ID" = incoming."WORKSPACE_ID" AND stored."DELIVERY_ID" = incoming."DELIVERY_ID"
WHEN MATCHED AND (incoming."SEQ_NUM" > stored."SEQ_NUM" OR (incoming."SEQ_NUM" = stored."SEQ_NUM" AND (incoming._version > stored._version OR (incoming._version = stored._version AND (incoming._sequence > stored._sequence OR (incoming._sequence = stored._sequence AND (COALESCE(incoming._sequence_end, -1) > COALESCE(stored._sequence_end, -1) OR (COALESCE(incoming._sequence_end, -1) = COALESCE(stored._sequence_end, -1) AND (incoming._blob_name >= stored._blob_name))))))))) THEN UPDATE SET
    stored."WORKSPACE_ID" = incoming."WORKSPACE_ID",
    stored."DELIVERY_ID" = incoming."DELIVERY_ID",
    stored."INTERNAL_CUSTOMER_ID" = incoming."INTERNAL_CUSTOMER_ID",
    stored."SUBJECT_ID" = incoming."SUBJECT_ID",
    stored."EVENT_ID" = incoming."EVENT_ID",
    stored."DELIVERY_TYPE" = incoming."DELIVERY_TYPE",
    stored."CAMPAIGN_ID" = incoming."CAMPAIGN_ID",
    stored."ACTION_ID" = incoming."ACTION_ID",
    stored."NEWSLETTER_ID" = incoming."NEWSLETTER_ID",
    stored."CONTENT_ID" = incoming."CONTENT_ID",
    stored."TRIGGER_ID" = incoming."TRIGGER_ID",
    stored."CREATED_AT" = incoming."CREATED_AT",
    stored."TRANSACTIONAL_MESSAGE_ID" = incoming."TRANSACTIONAL_MESSAGE_ID",
    stored."SEQ_NUM" = incoming."SEQ_NUM",
    stored."EXTRA" = incoming."EXTRA",
    stored._blob_name = incoming._blob_name,
    stored._version = incoming._version,
    stored._sequence = incoming._sequence,
    stored._sequence_end = incoming._sequence_end,
    stored._row_number = incoming._row_number,
    stored._loaded_at = incoming._loaded_at
WHEN NOT MATCHED THEN INSERT (
    "WORKSPACE_ID", "DELIVERY_ID", "INTERNAL_CUSTOMER_ID", "SUBJECT_ID", "EVENT_ID", "DELIVERY_TYPE", "CAMPAIGN_ID", "ACTION_ID", "NEWSLETTER_ID", "CONTENT_ID", "TRIGGER_ID", "CREATED_AT", "TRANSACTIONAL_MESSAGE_ID", "SEQ_NUM", "EXTRA", _blob_name, _version, _sequence, _sequence_end, _row_number, _loaded_at
) VALUES (
    incoming."WORKSPACE_ID", incoming."DELIVERY_ID", incoming."INTERNAL_CUSTOMER_ID", incoming."SUBJECT_ID", incoming."EVENT_ID", incoming."DELIVERY_TYPE", incoming."CAMPAIGN_ID", incoming."ACTION_ID", incoming."NEWSLETTER_ID", incoming."CONTENT_ID", incoming."TRIGGER_ID", incoming."CREATED_AT", incoming."TRANSACTIONAL_MESSAGE_ID", incoming."SEQ_NUM", incoming."EXTRA", incoming._blob_name, incoming._version, incoming._sequence, incoming._sequence_end, incoming._row_number, incoming._loaded_at
);

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
UPDATE customerio.ingest_files AS known
SET status = 'loaded', late = done.late, rows_read = done.rows_read, rows_applied = done.rows_applied,
    loaded_at = ?::TIMESTAMP_NTZ, attempts = known.attempts + 1, error = NULL, batch_id = ?,
    undeclared = done.undeclared
FROM (
    SELECT files.container, files.blob_name, files.etag, files.late, files.rows_read, files.undeclared,
        COUNT(stored._blob_name) AS rows_applied
    FROM (
    SELECT
        file.value:path::VARCHAR AS path,
        file.value:container::VARCHAR AS container,
        file.value:blob_name::VARCHAR AS blob_name,
        file.value:etag::VARCHAR AS etag,
        file.value:version::NUMBER(19, 0) AS version,
        file.value:sequence::NUMBER(19, 0) AS sequence,
        file.value:sequence_end::NUMBER(19, 0) AS sequence_end,
        file.value:late::BOOLEAN AS late,
        file.value:rows_read::NUMBER(19, 0) AS rows_read,
        file.value:undeclared::VARCHAR AS undeclared
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS file
    ) AS files
    LEFT JOIN customerio.ingest_stage_deliveries AS staged ON staged._ingest_file = files.path
    LEFT JOIN customerio.deliveries AS stored
        ON stored."WORKSPACE_ID" = staged."WORKSPACE_ID" AND stored."DELIVERY_ID" = staged."DELIVERY_ID"
        AND stored._blob_name = files.blob_name AND stored._row_number = staged._ingest_row
        AND stored._loaded_at = ?::TIMESTAMP_NTZ
    GROUP BY files.container, files.blob_name, files.etag, files.late, files.rows_read, files.undeclared
) AS done
WHERE known.container = done.container AND known.blob_name = done.blob_name AND known.etag = done.etag
    AND known.status = 'pending';

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
UPDATE customerio.ingest_streams
SET last_version = IFF(?::BOOLEAN, ?::NUMBER(19, 0), last_version),
    last_sequence = IFF(?::BOOLEAN, ?::NUMBER(19, 0), last_sequence),
    last_loaded_at = ?::TIMESTAMP_NTZ,
    takeovers = 0,
    lease_expires_at = GREATEST(lease_expires_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
SELECT blob_name, rows_read, rows_applied
FROM customerio.ingest_files
WHERE batch_id = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
COMMIT;

-- {"app":"customerio_ingest","files":2}
SELECT listed.value:blob_name::VARCHAR AS blob_name, listed.value:etag::VARCHAR AS etag
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
LEFT JOIN customerio.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT container, blob_name, etag, bytes, arrived_at, attempts
FROM customerio.ingest_files
WHERE status = 'pending' AND workspace_id = ? AND dataset = ?
ORDER BY version, sequence, COALESCE(sequence_end, -1), blob_name
LIMIT 500;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_streams
SET lease_owner = NULL, lease_expires_at = NULL
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","files":2}
SELECT listed.value:blob_name::VARCHAR AS blob_name, listed.value:etag::VARCHAR AS etag
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
LEFT JOIN customerio.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL;
