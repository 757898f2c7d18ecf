-- `inspect` of a file that nobody has noticed yet.

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT
    etag, bytes, status, arrived_at, loaded_at, deleted_at, attempts, late, rows_read, rows_applied, batch_id, error
FROM customerio.ingest_files
WHERE container = ? AND blob_name = ?
ORDER BY arrived_at, status <> 'superseded', loaded_at, etag;

-- {"app":"customerio_ingest","table":"deliveries"}
DESCRIBE TABLE customerio.deliveries;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_files;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_streams;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_alerts;

-- {"app":"customerio_ingest","at":"prepare"}
DESCRIBE TABLE customerio.ingest_freshness;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT container, blob_name, etag, bytes, arrived_at, attempts
FROM customerio.ingest_files
WHERE status = 'pending' AND workspace_id = ? AND dataset = ?
ORDER BY version, sequence, COALESCE(sequence_end, -1), blob_name
LIMIT 10001;

-- {"app":"customerio_ingest","files":1}
SELECT listed.value:blob_name::VARCHAR AS blob_name, listed.value:etag::VARCHAR AS etag
FROM TABLE(FLATTEN(INPUT => PARSE_JSON(?))) AS listed
LEFT JOIN customerio.ingest_files AS known
    ON known.container = listed.value:container::VARCHAR
    AND known.blob_name = listed.value:blob_name::VARCHAR
    AND known.etag = listed.value:etag::VARCHAR
WHERE known.blob_name IS NULL;

-- {"app":"customerio_ingest","stream":"deliveries of workspace 1"}
SELECT version, sequence, COALESCE(sequence_end, -1) AS sequence_end, blob_name
FROM customerio.ingest_files
WHERE workspace_id = ? AND dataset = ? AND loaded_at IS NOT NULL
ORDER BY version DESC, sequence DESC, COALESCE(sequence_end, -1) DESC, blob_name DESC
LIMIT 1;
