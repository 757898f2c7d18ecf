-- The dashboard's page: the first look, and the messages that it asks for afterwards.

-- {"app":"customerio_ingest"}
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
    FROM customerio.ingest_files
    GROUP BY COALESCE(workspace_id, 0), COALESCE(dataset, 'unclassified')
) AS files
FULL OUTER JOIN (
    SELECT *
    FROM customerio.ingest_streams
    QUALIFY ROW_NUMBER() OVER (PARTITION BY workspace_id, dataset ORDER BY generation DESC) = 1
) AS streams
    ON streams.workspace_id = files.workspace_id AND streams.dataset = files.dataset
ORDER BY 1, 2;

-- {"app":"customerio_ingest"}
SELECT kind, subject, severity, opened_at, last_seen_at, notified_at, closed_at, since, detail, owed
FROM customerio.ingest_alerts
WHERE closed_at IS NULL OR owed <> '[]'
ORDER BY kind, subject;

-- {"app":"customerio_ingest","files":1}
SELECT listed.value:blob_name::VARCHAR AS blob_name, listed.value:etag::VARCHAR AS etag
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
LEFT JOIN customerio.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL;

-- {"app":"customerio_ingest"}
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
    FROM customerio.ingest_files
    GROUP BY COALESCE(workspace_id, 0), COALESCE(dataset, 'unclassified')
) AS files
FULL OUTER JOIN (
    SELECT *
    FROM customerio.ingest_streams
    QUALIFY ROW_NUMBER() OVER (PARTITION BY workspace_id, dataset ORDER BY generation DESC) = 1
) AS streams
    ON streams.workspace_id = files.workspace_id AND streams.dataset = files.dataset
ORDER BY 1, 2;

-- {"app":"customerio_ingest"}
SELECT kind, subject, severity, opened_at, last_seen_at, notified_at, closed_at, since, detail, owed
FROM customerio.ingest_alerts
WHERE closed_at IS NULL OR owed <> '[]'
ORDER BY kind, subject;

-- {"app":"customerio_ingest"}
SELECT
    COALESCE(workspace_id, 0) AS workspace_id,
    COALESCE(dataset, 'unclassified') AS dataset,
    DATEADD('minute', 15 * FLOOR(MINUTE(arrived_at) / 15), DATE_TRUNC('hour', arrived_at)) AS begins_at,
    COUNT(*) AS arrived,
    COUNT(loaded_at) AS loaded,
    COUNT_IF(late) AS late,
    COUNT_IF(status = 'rejected') AS rejected,
    COUNT_IF(status IN ('superseded', 'deleted') AND loaded_at IS NULL) AS superseded
FROM customerio.ingest_files
WHERE arrived_at >= '<midnight>'::TIMESTAMP_NTZ
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3;

-- {"app":"customerio_ingest"}
SELECT
    DATE_TRUNC('hour', loaded_at) AS begins_at,
    COUNT(*) AS files,
    SUM(rows_applied) AS rows_applied,
    PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY DATEDIFF('millisecond', arrived_at, loaded_at)) / 1000 AS median_seconds,
    PERCENTILE_CONT(0.95) WITHIN GROUP (ORDER BY DATEDIFF('millisecond', arrived_at, loaded_at)) / 1000 AS p95_seconds
FROM customerio.ingest_files
WHERE loaded_at >= '<midnight>'::TIMESTAMP_NTZ
GROUP BY 1
ORDER BY 1;

-- {"app":"customerio_ingest"}
SELECT blob_name, etag, workspace_id, dataset, bytes, status, arrived_at, attempts, error
FROM customerio.ingest_files
WHERE status = 'rejected'
ORDER BY arrived_at DESC, blob_name
LIMIT 200;

-- {"app":"customerio_ingest"}
-- answered with error 002003
SELECT
    metrics.workspace_id,
    TO_DATE(metrics.created_at) AS created_on,
    COALESCE(deliveries.delivery_type, 'unknown') AS channel,
    metrics.metric,
    COUNT(DISTINCT metrics.delivery_id) AS messages
FROM customerio.metrics AS metrics
LEFT JOIN customerio.deliveries AS deliveries
    ON deliveries.workspace_id = metrics.workspace_id AND deliveries.delivery_id = metrics.delivery_id
WHERE metrics.created_at >= '<midnight>'::TIMESTAMP_NTZ
GROUP BY 1, 2, 3, 4
ORDER BY 1, 2, 3, 4;
