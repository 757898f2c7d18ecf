-- A timer's look at a container with nothing new, by a fresh process: one statement, which needs no warehouse.

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
