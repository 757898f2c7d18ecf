-- A timer's round that deletes a blob loaded long ago, and opens an alert about a rejected file.

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
SELECT workspace_id, dataset
FROM customerio.ingest_files
WHERE status = 'pending'
GROUP BY workspace_id, dataset
ORDER BY MIN(arrived_at), workspace_id, dataset;

-- {"app":"customerio_ingest","files":2}
SELECT listed.value:blob_name::VARCHAR AS blob_name, listed.value:etag::VARCHAR AS etag
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
LEFT JOIN customerio.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL;

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

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
SELECT generation, lease_owner, lease_expires_at
FROM customerio.ingest_streams
WHERE workspace_id = ? AND dataset = ?
ORDER BY generation DESC
LIMIT 1;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
INSERT INTO customerio.ingest_streams (workspace_id, dataset, generation)
SELECT opened.workspace_id, opened.dataset, 0
FROM (SELECT ?::NUMBER(19, 0) AS workspace_id, ?::VARCHAR AS dataset) AS opened
WHERE NOT EXISTS (
    SELECT 1 FROM customerio.ingest_streams AS known
    WHERE known.workspace_id = opened.workspace_id AND known.dataset = opened.dataset
);

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
SELECT generation, lease_owner, lease_expires_at
FROM customerio.ingest_streams
WHERE workspace_id = ? AND dataset = ?
ORDER BY generation DESC
LIMIT 1;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
UPDATE customerio.ingest_streams
SET generation = generation + 1, lease_owner = ?, lease_expires_at = ?::TIMESTAMP_NTZ,
    takeovers = COALESCE(takeovers, 0) + IFF(lease_owner IS NULL, 0, 1)
WHERE workspace_id = ? AND dataset = ? AND generation = ?;

-- {"app":"customerio_ingest"}
SELECT container, blob_name, etag, bytes, arrived_at
FROM customerio.ingest_files
WHERE status IN ('loaded', 'superseded') AND container = '<container>'
    AND COALESCE(loaded_at, arrived_at) <= '<midnight>'::TIMESTAMP_NTZ
ORDER BY COALESCE(loaded_at, arrived_at), blob_name
LIMIT 1000;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
BEGIN;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
UPDATE customerio.ingest_files AS known
SET status = 'deleted', deleted_at = ?::TIMESTAMP_NTZ
FROM (
    SELECT
        listed.value:container::VARCHAR AS container,
        listed.value:blob_name::VARCHAR AS blob_name,
        listed.value:etag::VARCHAR AS etag
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
) AS gone
WHERE known.container = gone.container AND known.blob_name = gone.blob_name AND known.etag = gone.etag
    AND known.status IN ('loaded', 'superseded');

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
UPDATE customerio.ingest_streams
SET last_arrived_at = GREATEST_IGNORE_NULLS(last_arrived_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
COMMIT;

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

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
BEGIN;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
DELETE FROM customerio.ingest_alerts AS known
USING (
    SELECT listed.value:kind::VARCHAR AS kind, listed.value:subject::VARCHAR AS subject
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
) AS written
WHERE known.kind = written.kind AND known.subject = written.subject;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
INSERT INTO customerio.ingest_alerts (
    kind, subject, severity, opened_at, last_seen_at, notified_at, closed_at, since, detail, owed
)
SELECT
    listed.value:kind::VARCHAR,
    listed.value:subject::VARCHAR,
    listed.value:severity::VARCHAR,
    listed.value:opened_at::TIMESTAMP_NTZ,
    listed.value:last_seen_at::TIMESTAMP_NTZ,
    listed.value:notified_at::TIMESTAMP_NTZ,
    listed.value:closed_at::TIMESTAMP_NTZ,
    listed.value:since::TIMESTAMP_NTZ,
    listed.value:detail::VARCHAR,
    listed.value:owed::VARCHAR
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
UPDATE customerio.ingest_streams
SET last_arrived_at = GREATEST_IGNORE_NULLS(last_arrived_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
COMMIT;

-- {"app":"customerio_ingest","stream":"sweep of workspace 0"}
UPDATE customerio.ingest_streams
SET lease_owner = NULL, lease_expires_at = NULL
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?;
