-- `status` beside a file that nobody has noticed yet.

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
