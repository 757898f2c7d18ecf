-- The checkpoint tables and what is asked of them. {schema} is the schema in the session's database; values are bound.
-- Snowflake enforces no unique keys. A stream that two workers opened at once may have two rows: what is true of it stands
-- in the rows with the highest generation, and whoever writes about it changes all of these.
-- The text of `settled` never changes, so that Snowflake answers from its result cache while the table stays as it is: no
-- virtual warehouse wakes.

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS {schema}

-- name: create_files
CREATE TABLE IF NOT EXISTS {schema}.ingest_files (
    container VARCHAR NOT NULL,
    blob_name VARCHAR NOT NULL,
    etag VARCHAR NOT NULL,
    workspace_id NUMBER(19, 0),
    dataset VARCHAR,
    version NUMBER(19, 0),
    sequence NUMBER(19, 0),
    sequence_end NUMBER(19, 0),
    bytes NUMBER(19, 0) NOT NULL,
    status VARCHAR NOT NULL,
    late BOOLEAN NOT NULL,
    rows_read NUMBER(19, 0),
    rows_applied NUMBER(19, 0),
    arrived_at TIMESTAMP_NTZ(6) NOT NULL,
    loaded_at TIMESTAMP_NTZ(6),
    deleted_at TIMESTAMP_NTZ(6),
    attempts NUMBER(19, 0) NOT NULL,
    error VARCHAR,
    batch_id VARCHAR
)

-- name: create_streams
CREATE TABLE IF NOT EXISTS {schema}.ingest_streams (
    workspace_id NUMBER(19, 0) NOT NULL,
    dataset VARCHAR NOT NULL,
    generation NUMBER(19, 0) NOT NULL,
    lease_owner VARCHAR,
    lease_expires_at TIMESTAMP_NTZ(6),
    last_version NUMBER(19, 0),
    last_sequence NUMBER(19, 0),
    last_arrived_at TIMESTAMP_NTZ(6),
    last_loaded_at TIMESTAMP_NTZ(6)
)

-- name: create_alerts
CREATE TABLE IF NOT EXISTS {schema}.ingest_alerts (
    kind VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    opened_at TIMESTAMP_NTZ(6) NOT NULL,
    last_seen_at TIMESTAMP_NTZ(6) NOT NULL,
    notified_at TIMESTAMP_NTZ(6),
    closed_at TIMESTAMP_NTZ(6),
    since TIMESTAMP_NTZ(6) NOT NULL,
    detail VARCHAR NOT NULL,
    owed VARCHAR NOT NULL
)

-- name: note_undeclared
ALTER TABLE {schema}.ingest_files ADD COLUMN IF NOT EXISTS undeclared VARCHAR

-- name: count_takeovers
ALTER TABLE {schema}.ingest_streams ADD COLUMN IF NOT EXISTS takeovers NUMBER(19, 0) DEFAULT 0

-- What `python -m ingest status` says, as far as the tables know it: they cannot look into the container.

-- name: create_freshness
CREATE OR REPLACE VIEW {schema}.ingest_freshness COPY GRANTS AS
SELECT
    files.workspace_id,
    files.dataset,
    files.arrived,
    files.loaded,
    files.pending,
    files.rejected,
    streams.last_version,
    streams.last_sequence,
    files.last_arrived_at,
    files.last_loaded_at,
    COALESCE(files.incomplete_since, files.last_arrived_at) AS complete_through,
    COALESCE(GREATEST(0, DATEDIFF('second', files.oldest_pending_at, SYSDATE())), 0) AS lag_seconds,
    COALESCE(alerts.open_alerts, 0) AS open_alerts
FROM (
    SELECT
        workspace_id,
        dataset,
        COUNT(*) AS arrived,
        COUNT(loaded_at) AS loaded,
        COUNT_IF(status = 'pending') AS pending,
        COUNT_IF(status = 'rejected') AS rejected,
        MAX(arrived_at) AS last_arrived_at,
        MAX(loaded_at) AS last_loaded_at,
        MIN(IFF(status = 'pending', arrived_at, NULL)) AS oldest_pending_at,
        MIN(IFF(status IN ('pending', 'rejected'), arrived_at, NULL)) AS incomplete_since
    FROM {schema}.ingest_files
    WHERE workspace_id IS NOT NULL
    GROUP BY workspace_id, dataset
) AS files
LEFT JOIN (
    SELECT workspace_id, dataset, last_version, last_sequence
    FROM {schema}.ingest_streams
    QUALIFY ROW_NUMBER() OVER (PARTITION BY workspace_id, dataset ORDER BY generation DESC) = 1
) AS streams
    ON streams.workspace_id = files.workspace_id AND streams.dataset = files.dataset
LEFT JOIN (
    SELECT named.workspace_id, named.dataset, COUNT(*) AS open_alerts
    FROM (SELECT DISTINCT workspace_id, dataset FROM {schema}.ingest_files WHERE workspace_id IS NOT NULL) AS named
    JOIN {schema}.ingest_alerts AS known
        ON known.closed_at IS NULL
        AND (
            known.subject = named.dataset || ' of workspace ' || named.workspace_id
            OR known.subject = 'workspace ' || named.workspace_id
        )
    GROUP BY named.workspace_id, named.dataset
) AS alerts
    ON alerts.workspace_id = files.workspace_id AND alerts.dataset = files.dataset

-- name: settled
SELECT
    COUNT(*) AS files,
    BITXOR_AGG(MD5_NUMBER_LOWER64(container || '/' || blob_name || '@' || etag)) AS digest,
    COUNT_IF(status = 'pending') AS pending
FROM (
    SELECT container, blob_name, etag, status
    FROM {schema}.ingest_files
    WHERE status <> 'deleted'
    QUALIFY ROW_NUMBER() OVER (PARTITION BY container, blob_name ORDER BY status = 'superseded', arrived_at DESC) = 1
)

-- name: unsettled
SELECT listed.value:blob_name::VARCHAR AS blob_name, listed.value:etag::VARCHAR AS etag
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
LEFT JOIN {schema}.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL

-- name: waiting
SELECT workspace_id, dataset
FROM {schema}.ingest_files
WHERE status = 'pending'
GROUP BY workspace_id, dataset
ORDER BY MIN(arrived_at), workspace_id, dataset

-- name: with_rejected
SELECT DISTINCT workspace_id, dataset
FROM {schema}.ingest_files
WHERE status = 'rejected' AND version IS NOT NULL
ORDER BY workspace_id, dataset

-- name: stream
SELECT generation, lease_owner, lease_expires_at
FROM {schema}.ingest_streams
WHERE workspace_id = ? AND dataset = ?
ORDER BY generation DESC
LIMIT 1

-- name: open_stream
INSERT INTO {schema}.ingest_streams (workspace_id, dataset, generation)
SELECT opened.workspace_id, opened.dataset, 0
FROM (SELECT ?::NUMBER(19, 0) AS workspace_id, ?::VARCHAR AS dataset) AS opened
WHERE NOT EXISTS (
    SELECT 1 FROM {schema}.ingest_streams AS known
    WHERE known.workspace_id = opened.workspace_id AND known.dataset = opened.dataset
)

-- name: claim
UPDATE {schema}.ingest_streams
SET generation = generation + 1, lease_owner = ?, lease_expires_at = ?::TIMESTAMP_NTZ,
    takeovers = COALESCE(takeovers, 0) + IFF(lease_owner IS NULL, 0, 1)
WHERE workspace_id = ? AND dataset = ? AND generation = ?

-- name: renew
UPDATE {schema}.ingest_streams
SET lease_expires_at = ?::TIMESTAMP_NTZ
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?

-- name: release
UPDATE {schema}.ingest_streams
SET lease_owner = NULL, lease_expires_at = NULL
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?

-- name: guard
UPDATE {schema}.ingest_streams
SET last_arrived_at = GREATEST_IGNORE_NULLS(last_arrived_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?

-- name: supersede
UPDATE {schema}.ingest_files AS known
SET status = 'superseded', error = 'replaced by a newer blob of the same name before it was loaded'
FROM (
    SELECT
        listed.value:container::VARCHAR AS container,
        listed.value:blob_name::VARCHAR AS blob_name,
        listed.value:etag::VARCHAR AS etag
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
) AS newer
WHERE known.container = newer.container AND known.blob_name = newer.blob_name AND known.etag <> newer.etag
    AND known.status IN ('pending', 'rejected')

-- name: record
INSERT INTO {schema}.ingest_files (
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
LEFT JOIN {schema}.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL

-- name: pending
SELECT container, blob_name, etag, bytes, arrived_at, attempts
FROM {schema}.ingest_files
WHERE status = 'pending' AND workspace_id = ? AND dataset = ?
ORDER BY version, sequence, COALESCE(sequence_end, -1), blob_name
LIMIT {limit}

-- name: pending_after
SELECT known.container, known.blob_name, known.etag, known.bytes, known.arrived_at, known.attempts
FROM {schema}.ingest_files AS known
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
LIMIT {limit}

-- name: high_water
SELECT version, sequence, COALESCE(sequence_end, -1) AS sequence_end, blob_name
FROM {schema}.ingest_files
WHERE workspace_id = ? AND dataset = ? AND loaded_at IS NOT NULL
ORDER BY version DESC, sequence DESC, COALESCE(sequence_end, -1) DESC, blob_name DESC
LIMIT 1

-- name: settle
UPDATE {schema}.ingest_files
SET status = ?, error = ?, attempts = attempts + 1
WHERE container = ? AND blob_name = ? AND etag = ? AND status = 'pending'

-- name: reopen
UPDATE {schema}.ingest_files
SET status = 'pending', attempts = 0
WHERE status = 'rejected' AND workspace_id = ? AND dataset = ?

-- name: reopen_named
UPDATE {schema}.ingest_files
SET status = 'pending', attempts = 0
WHERE status = 'rejected' AND workspace_id = ? AND dataset = ?
    AND ARRAY_CONTAINS(blob_name::VARIANT, PARSE_JSON(?)::ARRAY)

-- name: forget_oddities
DELETE FROM {schema}.ingest_files
WHERE status = 'rejected' AND version IS NULL

-- name: forget_oddities_named
DELETE FROM {schema}.ingest_files
WHERE status = 'rejected' AND version IS NULL AND ARRAY_CONTAINS(blob_name::VARIANT, PARSE_JSON(?)::ARRAY)

-- name: deletable
SELECT container, blob_name, etag, bytes, arrived_at
FROM {schema}.ingest_files
WHERE status IN ('loaded', 'superseded') AND container = '{container}'
    AND COALESCE(loaded_at, arrived_at) <= '{before}'::TIMESTAMP_NTZ
ORDER BY COALESCE(loaded_at, arrived_at), blob_name
LIMIT {limit}

-- name: mark_deleted
UPDATE {schema}.ingest_files AS known
SET status = 'deleted', deleted_at = ?::TIMESTAMP_NTZ
FROM (
    SELECT
        listed.value:container::VARCHAR AS container,
        listed.value:blob_name::VARCHAR AS blob_name,
        listed.value:etag::VARCHAR AS etag
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
) AS gone
WHERE known.container = gone.container AND known.blob_name = gone.blob_name AND known.etag = gone.etag
    AND known.status IN ('loaded', 'superseded')

-- name: rejected
SELECT blob_name, etag, workspace_id, dataset, bytes, status, arrived_at, attempts, error
FROM {schema}.ingest_files
WHERE status = 'rejected'
ORDER BY arrived_at DESC, blob_name
LIMIT {limit}

-- name: history
SELECT
    etag, bytes, status, arrived_at, loaded_at, deleted_at, attempts, late, rows_read, rows_applied, batch_id, error
FROM {schema}.ingest_files
WHERE container = ? AND blob_name = ?
ORDER BY arrived_at, status <> 'superseded', loaded_at, etag

-- name: commit_stream
UPDATE {schema}.ingest_streams
SET last_version = IFF(?::BOOLEAN, ?::NUMBER(19, 0), last_version),
    last_sequence = IFF(?::BOOLEAN, ?::NUMBER(19, 0), last_sequence),
    last_loaded_at = ?::TIMESTAMP_NTZ,
    takeovers = 0,
    lease_expires_at = GREATEST(lease_expires_at, ?::TIMESTAMP_NTZ)
WHERE workspace_id = ? AND dataset = ? AND generation = ? AND lease_owner = ?

-- name: committed
SELECT blob_name, rows_read, rows_applied
FROM {schema}.ingest_files
WHERE batch_id = ?

-- name: recent
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
    FROM {schema}.ingest_files AS files
    CROSS JOIN (SELECT '{since}'::TIMESTAMP_NTZ AS since) AS day
), streams AS (
    SELECT workspace_id, dataset, MAX(takeovers) AS takeovers
    FROM {schema}.ingest_streams
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
ORDER BY known.workspace_id, known.dataset

-- name: arrivals
SELECT DISTINCT workspace_id, dataset, DATE_TRUNC('minute', arrived_at) AS arrived_at
FROM {schema}.ingest_files
WHERE arrived_at >= '{since}'::TIMESTAMP_NTZ AND workspace_id IS NOT NULL
ORDER BY 1, 2, 3

-- name: alerts
SELECT kind, subject, severity, opened_at, last_seen_at, notified_at, closed_at, since, detail, owed
FROM {schema}.ingest_alerts
WHERE closed_at IS NULL OR owed <> '[]'
ORDER BY kind, subject

-- name: forget_alerts
DELETE FROM {schema}.ingest_alerts AS known
USING (
    SELECT listed.value:kind::VARCHAR AS kind, listed.value:subject::VARCHAR AS subject
    FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
) AS written
WHERE known.kind = written.kind AND known.subject = written.subject

-- name: write_alerts
INSERT INTO {schema}.ingest_alerts (
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
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed

-- name: facts
SELECT
    COALESCE(files.workspace_id, streams.workspace_id) AS workspace_id,
    COALESCE(files.dataset, streams.dataset) AS dataset,
    COALESCE(files.arrived, 0) AS arrived,
    COALESCE(files.loaded, 0) AS loaded,
    COALESCE(files.pending, 0) AS pending,
    COALESCE(files.rejected, 0) AS rejected,
    COALESCE(files.superseded, 0) AS superseded,
    COALESCE(files.late, 0) AS late,
    COALESCE(files.rows_applied, 0) AS rows_applied,
    streams.last_version,
    streams.last_sequence,
    streams.last_arrived_at,
    streams.last_loaded_at,
    files.oldest_pending_at,
    files.incomplete_since,
    streams.lease_owner,
    streams.lease_expires_at
FROM (
    SELECT
        COALESCE(workspace_id, 0) AS workspace_id,
        COALESCE(dataset, 'unclassified') AS dataset,
        COUNT(*) AS arrived,
        COUNT_IF(loaded_at IS NOT NULL) AS loaded,
        COUNT_IF(status = 'pending') AS pending,
        COUNT_IF(status = 'rejected') AS rejected,
        COUNT_IF(status IN ('superseded', 'deleted') AND loaded_at IS NULL) AS superseded,
        COUNT_IF(late) AS late,
        SUM(rows_applied) AS rows_applied,
        MIN(IFF(status = 'pending', arrived_at, NULL)) AS oldest_pending_at,
        MIN(IFF(status IN ('pending', 'rejected'), arrived_at, NULL)) AS incomplete_since
    FROM {schema}.ingest_files
    GROUP BY COALESCE(workspace_id, 0), COALESCE(dataset, 'unclassified')
) AS files
FULL OUTER JOIN (
    SELECT *
    FROM {schema}.ingest_streams
    QUALIFY ROW_NUMBER() OVER (PARTITION BY workspace_id, dataset ORDER BY generation DESC) = 1
) AS streams
    ON streams.workspace_id = files.workspace_id AND streams.dataset = files.dataset
ORDER BY 1, 2

-- name: cells
SELECT
    COALESCE(workspace_id, 0) AS workspace_id,
    COALESCE(dataset, 'unclassified') AS dataset,
    DATEADD('minute', 15 * FLOOR(MINUTE(arrived_at) / 15), DATE_TRUNC('hour', arrived_at)) AS begins_at,
    COUNT(*) AS arrived,
    COUNT(loaded_at) AS loaded,
    COUNT_IF(late) AS late,
    COUNT_IF(status = 'rejected') AS rejected,
    COUNT_IF(status IN ('superseded', 'deleted') AND loaded_at IS NULL) AS superseded
FROM {schema}.ingest_files
WHERE arrived_at >= '{since}'::TIMESTAMP_NTZ
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3

-- name: hours
SELECT
    DATE_TRUNC('hour', loaded_at) AS begins_at,
    COUNT(*) AS files,
    SUM(rows_applied) AS rows_applied,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY DATEDIFF('millisecond', arrived_at, loaded_at)) / 1000 AS median_seconds,
    PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY DATEDIFF('millisecond', arrived_at, loaded_at)) / 1000 AS p95_seconds
FROM {schema}.ingest_files
WHERE loaded_at >= '{since}'::TIMESTAMP_NTZ
GROUP BY 1
ORDER BY 1

-- name: messages
SELECT
    metrics.workspace_id,
    TO_DATE(metrics.created_at) AS created_on,
    COALESCE(deliveries.delivery_type, 'unknown') AS channel,
    metrics.metric,
    COUNT(DISTINCT metrics.delivery_id) AS messages
FROM {schema}.metrics AS metrics
LEFT JOIN {schema}.deliveries AS deliveries
    ON deliveries.workspace_id = metrics.workspace_id AND deliveries.delivery_id = metrics.delivery_id
WHERE metrics.created_at >= '{since}'::TIMESTAMP_NTZ
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4
