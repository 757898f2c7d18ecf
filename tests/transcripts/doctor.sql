-- `doctor`.

-- {"app":"customerio_ingest","at":"doctor"}
SELECT CURRENT_USER() AS user_name, CURRENT_ROLE() AS role_name;

-- {"app":"customerio_ingest","at":"doctor"}
USE WAREHOUSE customerio_ingest;

-- {"app":"customerio_ingest","at":"doctor"}
USE SCHEMA tests.customerio;

-- {"app":"customerio_ingest","at":"doctor"}
SHOW GRANTS TO ROLE "CUSTOMERIO_INGEST";

-- {"app":"customerio_ingest","at":"doctor"}
DESC STAGE tests.customerio.landing;

-- {"app":"customerio_ingest","at":"doctor"}
LIST @tests.customerio.landing/doctor/;

-- {"app":"customerio_ingest"}
-- answered with error 002003
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
