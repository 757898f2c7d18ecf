-- A timer's look at a container with nothing new, by a fresh process: all of it is kept answers and descriptions.

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

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_files;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_streams;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_alerts;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_freshness;

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
