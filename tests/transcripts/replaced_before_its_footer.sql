-- A blob replaced between the listing and the look at its footer: superseded, and the newer one is loaded.

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_files;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_streams;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_alerts;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_freshness;

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
BEGIN;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_files AS known
SET status = 'superseded', error = 'replaced by a newer blob of the same name before it was loaded'
FROM (
    SELECT
        listed.value:container::VARCHAR AS container,
        listed.value:blob_name::VARCHAR AS blob_name,
        listed.value:etag::VARCHAR AS etag
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
) AS newer
WHERE known.container = newer.container AND known.blob_name = newer.blob_name AND known.etag <> newer.etag
    AND known.status IN ('pending', 'rejected');

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
INSERT INTO customerio.ingest_files (
    container, blob_name, etag, workspace_id, dataset, version, sequence, sequence_end, bytes, status, late,
    arrived_at, attempts, error
)
SELECT
    listed.value:container::VARCHAR,
    listed.value:blob_name::VARCHAR,
    listed.value:etag::VARCHAR,
    listed.value:workspace_id::NUMBER(19, 0),
    listed.value:dataset::VARCHAR,
    listed.value:version::NUMBER(19, 0),
    listed.value:sequence::NUMBER(19, 0),
    listed.value:sequence_end::NUMBER(19, 0),
    listed.value:bytes::NUMBER(19, 0),
    listed.value:status::VARCHAR,
    FALSE,
    listed.value:arrived_at::TIMESTAMP_NTZ,
    0,
    listed.value:error::VARCHAR
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
LEFT JOIN customerio.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_streams
SET last_arrived_at = GREATEST_IGNORE_NULLS(last_arrived_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
COMMIT;

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
BEGIN;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_files
SET status = ?, error = ?, attempts = attempts + 1
WHERE container = ? AND blob_name = ? AND etag = ? AND status = 'pending';

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_streams
SET last_arrived_at = GREATEST_IGNORE_NULLS(last_arrived_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
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
BEGIN;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_files AS known
SET status = 'superseded', error = 'replaced by a newer blob of the same name before it was loaded'
FROM (
    SELECT
        listed.value:container::VARCHAR AS container,
        listed.value:blob_name::VARCHAR AS blob_name,
        listed.value:etag::VARCHAR AS etag
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
) AS newer
WHERE known.container = newer.container AND known.blob_name = newer.blob_name AND known.etag <> newer.etag
    AND known.status IN ('pending', 'rejected');

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
INSERT INTO customerio.ingest_files (
    container, blob_name, etag, workspace_id, dataset, version, sequence, sequence_end, bytes, status, late,
    arrived_at, attempts, error
)
SELECT
    listed.value:container::VARCHAR,
    listed.value:blob_name::VARCHAR,
    listed.value:etag::VARCHAR,
    listed.value:workspace_id::NUMBER(19, 0),
    listed.value:dataset::VARCHAR,
    listed.value:version::NUMBER(19, 0),
    listed.value:sequence::NUMBER(19, 0),
    listed.value:sequence_end::NUMBER(19, 0),
    listed.value:bytes::NUMBER(19, 0),
    listed.value:status::VARCHAR,
    FALSE,
    listed.value:arrived_at::TIMESTAMP_NTZ,
    0,
    listed.value:error::VARCHAR
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
LEFT JOIN customerio.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
UPDATE customerio.ingest_streams
SET last_arrived_at = GREATEST_IGNORE_NULLS(last_arrived_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
COMMIT;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT container, blob_name, etag, bytes, arrived_at, attempts
FROM customerio.ingest_files
WHERE status = 'pending' AND workspace_id = ? AND dataset = ?
ORDER BY version, sequence, COALESCE(sequence_end, -1), blob_name
LIMIT 501;

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
LIMIT 501;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT version, sequence, COALESCE(sequence_end, -1) AS sequence_end, blob_name
FROM customerio.ingest_files
WHERE workspace_id = ? AND dataset = ? AND loaded_at IS NOT NULL
ORDER BY version DESC, sequence DESC, COALESCE(sequence_end, -1) DESC, blob_name DESC
LIMIT 1;

-- {"app":"customerio_ingest","table":"deliveries"}
DESCRIBE TABLE customerio.deliveries;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
DESCRIBE TABLE customerio.deliveries;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
CREATE OR REPLACE TEMPORARY TABLE customerio.ingest_stage_deliveries ("WORKSPACE_ID" NUMBER(19, 0) NOT NULL, "DELIVERY_ID" VARCHAR NOT NULL, "INTERNAL_CUSTOMER_ID" VARCHAR, "SUBJECT_ID" VARCHAR, "EVENT_ID" VARCHAR, "DELIVERY_TYPE" VARCHAR NOT NULL, "CAMPAIGN_ID" NUMBER(19, 0), "ACTION_ID" NUMBER(19, 0), "NEWSLETTER_ID" NUMBER(19, 0), "CONTENT_ID" NUMBER(19, 0), "TRIGGER_ID" NUMBER(19, 0), "CREATED_AT" TIMESTAMP_NTZ(6) NOT NULL, "TRANSACTIONAL_MESSAGE_ID" NUMBER(19, 0), "SEQ_NUM" NUMBER(19, 0) NOT NULL, "_INGEST_FILE" VARCHAR, "_INGEST_ROW" NUMBER(19, 0), "_INGEST_MODIFIED" TIMESTAMP_NTZ(6));

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1","batch":"<batch>","files":1}
COPY INTO customerio.ingest_stage_deliveries (
    "WORKSPACE_ID", "DELIVERY_ID", "INTERNAL_CUSTOMER_ID", "SUBJECT_ID", "EVENT_ID", "DELIVERY_TYPE", "CAMPAIGN_ID", "ACTION_ID", "NEWSLETTER_ID", "CONTENT_ID", "TRIGGER_ID", "CREATED_AT", "TRANSACTIONAL_MESSAGE_ID", "SEQ_NUM", _ingest_file, _ingest_row, _ingest_modified
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
    stored._blob_name = incoming._blob_name,
    stored._version = incoming._version,
    stored._sequence = incoming._sequence,
    stored._sequence_end = incoming._sequence_end,
    stored._row_number = incoming._row_number,
    stored._loaded_at = incoming._loaded_at
WHEN NOT MATCHED THEN INSERT (
    "WORKSPACE_ID", "DELIVERY_ID", "INTERNAL_CUSTOMER_ID", "SUBJECT_ID", "EVENT_ID", "DELIVERY_TYPE", "CAMPAIGN_ID", "ACTION_ID", "NEWSLETTER_ID", "CONTENT_ID", "TRIGGER_ID", "CREATED_AT", "TRANSACTIONAL_MESSAGE_ID", "SEQ_NUM", _blob_name, _version, _sequence, _sequence_end, _row_number, _loaded_at
) VALUES (
    incoming."WORKSPACE_ID", incoming."DELIVERY_ID", incoming."INTERNAL_CUSTOMER_ID", incoming."SUBJECT_ID", incoming."EVENT_ID", incoming."DELIVERY_TYPE", incoming."CAMPAIGN_ID", incoming."ACTION_ID", incoming."NEWSLETTER_ID", incoming."CONTENT_ID", incoming."TRIGGER_ID", incoming."CREATED_AT", incoming."TRANSACTIONAL_MESSAGE_ID", incoming."SEQ_NUM", incoming._blob_name, incoming._version, incoming._sequence, incoming._sequence_end, incoming._row_number, incoming._loaded_at
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
LIMIT 501;

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

-- {"app":"customerio_ingest"}
SELECT
    COUNT(*) AS files,
    BITXOR_AGG(MD5_NUMBER_LOWER64(container || '/' || blob_name || '@' || etag)) AS digest,
    COUNT_IF(status = 'pending') AS pending
FROM (
    SELECT container, blob_name, etag, status
    FROM customerio.ingest_files
    WHERE status <> 'deleted'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY container, blob_name ORDER BY status = 'superseded', arrived_at DESC) = 1
);

-- {"app":"customerio_ingest"}
SELECT container, blob_name, etag, bytes, arrived_at
FROM customerio.ingest_files
WHERE status IN ('loaded', 'superseded') AND container = '<container>'
    AND COALESCE(loaded_at, arrived_at) <= '<midnight>'::TIMESTAMP_NTZ
ORDER BY COALESCE(loaded_at, arrived_at), blob_name
LIMIT 1000;

-- {"app":"customerio_ingest"}
WITH known AS (
    SELECT
        COALESCE(files.workspace_id, 0) AS workspace_id, COALESCE(files.dataset, 'unclassified') AS dataset,
        files.version, files.sequence, files.sequence_end, files.status, files.late, files.arrived_at, files.loaded_at,
        files.undeclared, day.since,
        MIN(files.loaded_at) OVER (PARTITION BY files.workspace_id, files.dataset, files.undeclared) AS undeclared_since,
        MAX(files.version) OVER (PARTITION BY files.workspace_id, files.dataset) AS newest_version,
        MIN(files.loaded_at) OVER (PARTITION BY files.workspace_id, files.dataset) AS first_loaded_at,
        MAX(IFF(files.arrived_at < day.since, files.sequence, NULL))
            OVER (PARTITION BY files.workspace_id, files.dataset) AS reached
    FROM customerio.ingest_files AS files
    CROSS JOIN (SELECT '<midnight>'::TIMESTAMP_NTZ AS since) AS day
), streams AS (
    SELECT workspace_id, dataset, MAX(takeovers) AS takeovers
    FROM customerio.ingest_streams
    GROUP BY workspace_id, dataset
)
SELECT
    known.workspace_id,
    known.dataset,
    COUNT_IF(known.status = 'rejected') AS rejected,
    MIN(IFF(known.status = 'rejected', known.arrived_at, NULL)) AS rejected_since,
    COUNT_IF(known.late AND known.loaded_at >= known.since) AS late,
    MIN(IFF(known.late AND known.loaded_at >= known.since, known.loaded_at, NULL)) AS late_since,
    MAX(known.version) AS version,
    MIN(IFF(known.version = known.newest_version, known.arrived_at, NULL)) AS version_since,
    MAX(IFF(known.version < known.newest_version, known.version, NULL)) AS former_version,
    COUNT_IF(
        known.sequence_end IS NOT NULL AND known.arrived_at >= known.since AND known.first_loaded_at < known.since
    ) AS resent,
    COUNT_IF(known.late AND known.arrived_at >= known.since AND known.sequence < known.reached) AS restarted,
    COALESCE(MAX(streams.takeovers), 0) AS takeovers,
    COUNT_IF(known.status = 'pending') AS pending,
    MIN(IFF(known.status = 'pending', known.arrived_at, NULL)) AS oldest_pending_at,
    MAX(known.arrived_at) AS last_arrived_at,
    LISTAGG(
        DISTINCT IFF(
            known.undeclared <> '' AND known.undeclared_since >= known.since AND known.first_loaded_at < known.since,
            known.undeclared, NULL
        ), '; '
    ) AS undeclared
FROM known
LEFT JOIN streams ON streams.workspace_id = known.workspace_id AND streams.dataset = known.dataset
GROUP BY known.workspace_id, known.dataset
ORDER BY known.workspace_id, known.dataset;

-- {"app":"customerio_ingest"}
SELECT DISTINCT workspace_id, dataset, DATE_TRUNC('minute', arrived_at) AS arrived_at
FROM customerio.ingest_files
WHERE arrived_at >= '<midnight>'::TIMESTAMP_NTZ AND workspace_id IS NOT NULL
ORDER BY 1, 2, 3;

-- {"app":"customerio_ingest"}
SELECT kind, subject, severity, opened_at, last_seen_at, notified_at, closed_at, since, detail, owed
FROM customerio.ingest_alerts
WHERE closed_at IS NULL OR owed <> '[]'
ORDER BY kind, subject;
