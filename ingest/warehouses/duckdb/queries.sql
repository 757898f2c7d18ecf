-- The checkpoint tables and what is asked of them. {schema} is the qualified schema; values are bound.

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS {schema}

-- name: create_files
CREATE TABLE IF NOT EXISTS {schema}.ingest_files (
    container VARCHAR NOT NULL,
    blob_name VARCHAR NOT NULL,
    etag VARCHAR NOT NULL,
    workspace_id BIGINT,
    dataset VARCHAR,
    version BIGINT,
    sequence BIGINT,
    sequence_end BIGINT,
    bytes BIGINT NOT NULL,
    status VARCHAR NOT NULL,
    late BOOLEAN NOT NULL,
    rows_read BIGINT,
    rows_applied BIGINT,
    arrived_at TIMESTAMP NOT NULL,
    loaded_at TIMESTAMP,
    deleted_at TIMESTAMP,
    attempts BIGINT NOT NULL,
    error VARCHAR,
    batch_id VARCHAR
)

-- name: create_streams
CREATE TABLE IF NOT EXISTS {schema}.ingest_streams (
    workspace_id BIGINT NOT NULL,
    dataset VARCHAR NOT NULL,
    generation BIGINT NOT NULL,
    lease_owner VARCHAR,
    lease_expires_at TIMESTAMP,
    last_version BIGINT,
    last_sequence BIGINT,
    last_arrived_at TIMESTAMP,
    last_loaded_at TIMESTAMP
)

-- name: create_alerts
CREATE TABLE IF NOT EXISTS {schema}.ingest_alerts (
    kind VARCHAR NOT NULL,
    subject VARCHAR NOT NULL,
    severity VARCHAR NOT NULL,
    opened_at TIMESTAMP NOT NULL,
    last_seen_at TIMESTAMP NOT NULL,
    notified_at TIMESTAMP,
    closed_at TIMESTAMP,
    since TIMESTAMP NOT NULL,
    detail VARCHAR NOT NULL,
    owed VARCHAR NOT NULL
)

-- name: note_undeclared
ALTER TABLE {schema}.ingest_files ADD COLUMN IF NOT EXISTS undeclared VARCHAR

-- name: count_takeovers
ALTER TABLE {schema}.ingest_streams ADD COLUMN IF NOT EXISTS takeovers BIGINT DEFAULT 0

-- What `python -m ingest status` says, as far as the tables know it: they cannot look into the container.

-- name: create_freshness
CREATE OR REPLACE VIEW {schema}.ingest_freshness AS
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
    coalesce(files.incomplete_since, files.last_arrived_at) AS complete_through,
    coalesce(
        greatest(0, epoch(make_timestamp(epoch_us(current_timestamp)) - files.oldest_pending_at)), 0
    )::DOUBLE AS lag_seconds,
    (
        SELECT count(*)
        FROM {schema}.ingest_alerts AS alerts
        WHERE alerts.closed_at IS NULL
            AND alerts.subject IN (
                files.dataset || ' of workspace ' || files.workspace_id, 'workspace ' || files.workspace_id
            )
    ) AS open_alerts
FROM (
    SELECT
        workspace_id,
        dataset,
        count(*) AS arrived,
        count(loaded_at) AS loaded,
        count(*) FILTER (status = 'pending') AS pending,
        count(*) FILTER (status = 'rejected') AS rejected,
        max(arrived_at) AS last_arrived_at,
        max(loaded_at) AS last_loaded_at,
        min(arrived_at) FILTER (status = 'pending') AS oldest_pending_at,
        min(arrived_at) FILTER (status IN ('pending', 'rejected')) AS incomplete_since
    FROM {schema}.ingest_files
    WHERE workspace_id IS NOT NULL
    GROUP BY workspace_id, dataset
) AS files
LEFT JOIN {schema}.ingest_streams AS streams USING (workspace_id, dataset)

-- name: unsettled
SELECT listed.blob_name, listed.etag
FROM listed
ANTI JOIN {schema}.ingest_files AS known
    ON known.container = listed.container AND known.blob_name = listed.blob_name AND known.etag = listed.etag

-- name: waiting
SELECT workspace_id, dataset
FROM {schema}.ingest_files
WHERE status = 'pending'
GROUP BY ALL
ORDER BY min(arrived_at), workspace_id, dataset

-- name: with_rejected
SELECT DISTINCT workspace_id, dataset
FROM {schema}.ingest_files
WHERE status = 'rejected' AND version IS NOT NULL
ORDER BY ALL

-- name: stream
SELECT generation, lease_owner, lease_expires_at
FROM {schema}.ingest_streams
WHERE workspace_id = $workspace_id AND dataset = $dataset

-- name: open_stream
INSERT INTO {schema}.ingest_streams (workspace_id, dataset, generation)
VALUES ($workspace_id, $dataset, 0)

-- name: claim
UPDATE {schema}.ingest_streams
SET generation = generation + 1, lease_owner = $owner, lease_expires_at = $expires_at,
    takeovers = coalesce(takeovers, 0) + CASE WHEN lease_owner IS NULL THEN 0 ELSE 1 END
WHERE workspace_id = $workspace_id AND dataset = $dataset AND generation = $generation

-- name: renew
UPDATE {schema}.ingest_streams
SET lease_expires_at = $expires_at
WHERE workspace_id = $workspace_id AND dataset = $dataset AND generation = $generation AND lease_owner = $owner

-- name: release
UPDATE {schema}.ingest_streams
SET lease_owner = NULL, lease_expires_at = NULL
WHERE workspace_id = $workspace_id AND dataset = $dataset AND generation = $generation AND lease_owner = $owner

-- DuckDB notices two writers of a row by the columns they write: who guards writes the generation that a claim changes.

-- name: guard
UPDATE {schema}.ingest_streams
SET generation = generation, last_arrived_at = greatest(last_arrived_at, $arrived_at)
WHERE workspace_id = $workspace_id AND dataset = $dataset AND generation = $generation AND lease_owner = $owner

-- name: supersede
UPDATE {schema}.ingest_files AS known
SET status = 'superseded', error = 'replaced by a newer blob of the same name before it was loaded'
FROM listed
WHERE known.container = listed.container AND known.blob_name = listed.blob_name AND known.etag <> listed.etag
    AND known.status IN ('pending', 'rejected')

-- name: record
INSERT INTO {schema}.ingest_files (
    container, blob_name, etag, workspace_id, dataset, version, sequence, sequence_end, bytes, status, late,
    arrived_at, attempts, error
)
SELECT
    container, blob_name, etag, workspace_id, dataset, version, sequence, sequence_end, bytes, status, false,
    arrived_at, 0, error
FROM listed

-- name: pending
SELECT container, blob_name, etag, bytes, arrived_at, attempts
FROM {schema}.ingest_files
WHERE status = 'pending' AND workspace_id = $workspace_id AND dataset = $dataset
    AND (
        $version IS NULL
        OR (version, sequence, coalesce(sequence_end, -1), blob_name) > ($version, $sequence, $sequence_end, $blob_name)
    )
ORDER BY version, sequence, coalesce(sequence_end, -1), blob_name
LIMIT $limit

-- name: high_water
SELECT version, sequence, coalesce(sequence_end, -1), blob_name
FROM {schema}.ingest_files
WHERE workspace_id = $workspace_id AND dataset = $dataset AND loaded_at IS NOT NULL
ORDER BY ALL DESC
LIMIT 1

-- name: loaded_files
SELECT count(*)
FROM {schema}.ingest_files
WHERE dataset = $dataset AND loaded_at IS NOT NULL

-- name: settle
UPDATE {schema}.ingest_files
SET status = $status, error = $error, attempts = attempts + 1
WHERE container = $container AND blob_name = $blob_name AND etag = $etag AND status = 'pending'

-- name: reopen
UPDATE {schema}.ingest_files
SET status = 'pending', attempts = 0
WHERE status = 'rejected' AND workspace_id = $workspace_id AND dataset = $dataset
    AND ($blobs IS NULL OR list_contains($blobs, blob_name))

-- name: forget_oddities
DELETE FROM {schema}.ingest_files
WHERE status = 'rejected' AND version IS NULL AND ($blobs IS NULL OR list_contains($blobs, blob_name))

-- name: deletable
SELECT container, blob_name, etag, bytes, arrived_at
FROM {schema}.ingest_files
WHERE status IN ('loaded', 'superseded') AND container = $container AND coalesce(loaded_at, arrived_at) <= $before
ORDER BY coalesce(loaded_at, arrived_at), blob_name
LIMIT $limit

-- name: mark_deleted
UPDATE {schema}.ingest_files AS known
SET status = 'deleted', deleted_at = $now
FROM gone
WHERE known.container = gone.container AND known.blob_name = gone.blob_name AND known.etag = gone.etag
    AND known.status IN ('loaded', 'superseded')

-- name: rejected
SELECT blob_name, etag, workspace_id, dataset, bytes, status, arrived_at, attempts, error
FROM {schema}.ingest_files
WHERE status = 'rejected'
ORDER BY arrived_at DESC, blob_name
LIMIT $limit

-- name: history
SELECT
    etag, bytes, status, arrived_at, loaded_at, deleted_at, attempts, late, rows_read, rows_applied, batch_id, error
FROM {schema}.ingest_files
WHERE container = $container AND blob_name = $blob_name
ORDER BY arrived_at, status <> 'superseded', loaded_at, etag

-- name: commit_files
UPDATE {schema}.ingest_files AS known
SET status = 'loaded', late = done.late, rows_read = done.rows_read, rows_applied = done.rows_applied,
    loaded_at = $now, attempts = known.attempts + 1, error = NULL, batch_id = $batch_id, undeclared = done.undeclared
FROM done
WHERE known.container = done.container AND known.blob_name = done.blob_name AND known.etag = done.etag
    AND known.status = 'pending'

-- name: commit_stream
UPDATE {schema}.ingest_streams
SET generation = generation,
    last_version = CASE WHEN $advances THEN $version ELSE last_version END,
    last_sequence = CASE WHEN $advances THEN $sequence ELSE last_sequence END,
    last_loaded_at = $now,
    takeovers = 0,
    lease_expires_at = greatest(lease_expires_at, $expires_at)
WHERE workspace_id = $workspace_id AND dataset = $dataset AND generation = $generation AND lease_owner = $owner

-- name: recent
WITH known AS (
    SELECT
        coalesce(workspace_id, 0) AS workspace_id, coalesce(dataset, 'unclassified') AS dataset,
        version, sequence, sequence_end, status, late, arrived_at, loaded_at,
        undeclared, min(loaded_at) OVER (
            PARTITION BY coalesce(workspace_id, 0), coalesce(dataset, 'unclassified'), undeclared
        ) AS undeclared_since,
        max(version) OVER stream AS newest_version,
        min(loaded_at) OVER stream AS first_loaded_at,
        max(CASE WHEN arrived_at < $since THEN sequence END) OVER stream AS reached
    FROM {schema}.ingest_files
    WINDOW stream AS (PARTITION BY coalesce(workspace_id, 0), coalesce(dataset, 'unclassified'))
)
SELECT
    known.workspace_id,
    known.dataset,
    count(*) FILTER (status = 'rejected') AS rejected,
    min(arrived_at) FILTER (status = 'rejected') AS rejected_since,
    count(*) FILTER (late AND loaded_at >= $since) AS late,
    min(loaded_at) FILTER (late AND loaded_at >= $since) AS late_since,
    max(version) AS version,
    min(arrived_at) FILTER (version = newest_version) AS version_since,
    max(version) FILTER (version < newest_version) AS former_version,
    count(*) FILTER (sequence_end IS NOT NULL AND arrived_at >= $since AND first_loaded_at < $since) AS resent,
    count(*) FILTER (late AND arrived_at >= $since AND sequence < reached) AS restarted,
    coalesce(max(streams.takeovers), 0) AS takeovers,
    count(*) FILTER (status = 'pending') AS pending,
    min(arrived_at) FILTER (status = 'pending') AS oldest_pending_at,
    max(arrived_at) AS last_arrived_at,
    string_agg(DISTINCT undeclared, '; ') FILTER (
        undeclared <> '' AND undeclared_since >= $since AND first_loaded_at < $since
    ) AS undeclared
FROM known
LEFT JOIN {schema}.ingest_streams AS streams
    ON streams.workspace_id = known.workspace_id AND streams.dataset = known.dataset
GROUP BY known.workspace_id, known.dataset
ORDER BY known.workspace_id, known.dataset

-- name: arrivals
SELECT DISTINCT workspace_id, dataset, date_trunc('minute', arrived_at) AS arrived_at
FROM {schema}.ingest_files
WHERE arrived_at >= $since AND workspace_id IS NOT NULL
ORDER BY ALL

-- name: alerts
SELECT kind, subject, severity, opened_at, last_seen_at, notified_at, closed_at, since, detail, owed
FROM {schema}.ingest_alerts
WHERE closed_at IS NULL OR owed <> '[]'
ORDER BY kind, subject

-- name: forget_alerts
DELETE FROM {schema}.ingest_alerts AS known
USING written
WHERE known.kind = written.kind AND known.subject = written.subject

-- name: write_alerts
INSERT INTO {schema}.ingest_alerts (
    kind, subject, severity, opened_at, last_seen_at, notified_at, closed_at, since, detail, owed
)
SELECT kind, subject, severity, opened_at, last_seen_at, notified_at, closed_at, since, detail, owed
FROM written

-- name: facts
SELECT
    coalesce(files.workspace_id, streams.workspace_id) AS workspace_id,
    coalesce(files.dataset, streams.dataset) AS dataset,
    coalesce(files.arrived, 0) AS arrived,
    coalesce(files.loaded, 0) AS loaded,
    coalesce(files.pending, 0) AS pending,
    coalesce(files.rejected, 0) AS rejected,
    coalesce(files.superseded, 0) AS superseded,
    coalesce(files.late, 0) AS late,
    coalesce(files.rows_applied, 0) AS rows_applied,
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
        coalesce(workspace_id, 0) AS workspace_id,
        coalesce(dataset, 'unclassified') AS dataset,
        count(*) AS arrived,
        count(*) FILTER (loaded_at IS NOT NULL) AS loaded,
        count(*) FILTER (status = 'pending') AS pending,
        count(*) FILTER (status = 'rejected') AS rejected,
        count(*) FILTER (status IN ('superseded', 'deleted') AND loaded_at IS NULL) AS superseded,
        count(*) FILTER (late) AS late,
        sum(rows_applied)::BIGINT AS rows_applied,
        min(arrived_at) FILTER (status = 'pending') AS oldest_pending_at,
        min(arrived_at) FILTER (status IN ('pending', 'rejected')) AS incomplete_since
    FROM {schema}.ingest_files
    GROUP BY ALL
) AS files
FULL JOIN {schema}.ingest_streams AS streams USING (workspace_id, dataset)
ORDER BY workspace_id, dataset

-- name: cells
SELECT
    coalesce(workspace_id, 0) AS workspace_id,
    coalesce(dataset, 'unclassified') AS dataset,
    time_bucket(INTERVAL 15 MINUTE, arrived_at) AS begin,
    count(*) AS arrived,
    count(loaded_at) AS loaded,
    count(*) FILTER (late) AS late,
    count(*) FILTER (status = 'rejected') AS rejected,
    count(*) FILTER (status IN ('superseded', 'deleted') AND loaded_at IS NULL) AS superseded
FROM {schema}.ingest_files
WHERE arrived_at >= $since
GROUP BY ALL
ORDER BY ALL

-- name: hours
SELECT
    date_trunc('hour', loaded_at) AS begin,
    count(*) AS files,
    sum(rows_applied) AS rows_applied,
    quantile_cont(epoch(loaded_at - arrived_at), 0.5) AS median_seconds,
    quantile_cont(epoch(loaded_at - arrived_at), 0.95) AS p95_seconds
FROM {schema}.ingest_files
WHERE loaded_at >= $since
GROUP BY ALL
ORDER BY ALL

-- name: messages
SELECT
    metrics.workspace_id,
    metrics.created_at::DATE AS day,
    coalesce(deliveries.delivery_type, 'unknown') AS channel,
    metrics.metric,
    count(DISTINCT metrics.delivery_id) AS messages
FROM {schema}.metrics AS metrics
LEFT JOIN {schema}.deliveries AS deliveries
    ON deliveries.workspace_id = metrics.workspace_id AND deliveries.delivery_id = metrics.delivery_id
WHERE metrics.created_at >= $since
GROUP BY ALL
ORDER BY ALL
