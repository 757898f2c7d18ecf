"""The settings as the documents tell them: names, meanings, examples. The README and the errors are made of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, for the documents: its name, what it means and an example."""

    name: str
    meaning: str
    example: str


CATALOGUE: tuple[Setting, ...] = (
    Setting("EXPORT_STORAGE", "connection string of the landing account", "UseDevelopmentStorage=true"),
    Setting(
        "EXPORT_STORAGE__blobServiceUri",
        "address of the landing account's blob service, where a managed identity signs in instead",
        "https://<account>.blob.core.windows.net",
    ),
    Setting("EXPORT_STORAGE__clientId", "client id of a user-assigned identity", "<client id>"),
    Setting("EXPORT_CONTAINER", "the container Customer.io writes into", "customerio"),
    Setting("EXPORT_PREFIX", 'what the blob names begin with: the "Blob Path" in Customer.io', "exports/"),
    Setting("BLOB_TRIGGER_SOURCE", "`EventGrid`, or `LogsAndContainerScan` for polling", "EventGrid"),
    Setting("SWEEP_SCHEDULE", "when the timer sweeps (NCRONTAB, six fields)", "0 */5 * * * *"),
    Setting("WAREHOUSE", "`duckdb` or `snowflake`", "duckdb"),
    Setting("WAREHOUSE_SCHEMA", "the schema of all tables", "customerio"),
    Setting("DUCKDB_PATH", "the database file; in Azure it has to lie on a mounted share", "warehouse.duckdb"),
    Setting("DUCKDB_MEMORY_LIMIT", "how much DuckDB itself may take", "224MB"),
    Setting("SNOWFLAKE_ACCOUNT", "the account's identifier", "myorg-account1"),
    Setting(
        "SNOWFLAKE_HOST",
        "another address of it, such as a private link's",
        "https://myorg-account1.privatelink.snowflakecomputing.com",
    ),
    Setting("SNOWFLAKE_USER", "the service user (for workload identity it may be left out)", "customerio_ingest"),
    Setting("SNOWFLAKE_ROLE", "the role to work with", "customerio_ingest"),
    Setting("SNOWFLAKE_WAREHOUSE", "the virtual warehouse that loads and merges", "customerio_ingest"),
    Setting("SNOWFLAKE_DATABASE", "the database of the schema", "customerio"),
    Setting("SNOWFLAKE_LOAD", "`copy`: Snowflake reads the container; `put`: the files are uploaded to it", "copy"),
    Setting("SNOWFLAKE_STAGE", "the external stage at the container's root (`copy`)", "landing"),
    Setting("SNOWFLAKE_INTEGRATION", "the storage integration behind it (`copy`)", "customerio_landing"),
    Setting("SNOWFLAKE_SIGN_IN", "`key_pair`, `workload_identity` or `oauth`", "key_pair"),
    Setting(
        "SNOWFLAKE_PRIVATE_KEY", "the private key, PEM: a Key Vault reference", "@Microsoft.KeyVault(SecretUri=<uri>)"
    ),
    Setting("SNOWFLAKE_PRIVATE_KEY_FILE", "or a file with it", "rsa_key.p8"),
    Setting(
        "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE",
        "what the key is encrypted with, if it is",
        "@Microsoft.KeyVault(SecretUri=<uri>)",
    ),
    Setting("SNOWFLAKE_TOKEN", "an OAuth access token (`oauth`)", "@Microsoft.KeyVault(SecretUri=<uri>)"),
    Setting(
        "MANAGED_IDENTITY_CLIENT_ID",
        "client id of the identity that signs in to Snowflake (`workload_identity`)",
        "<client id>",
    ),
    Setting("DATASETS", "the datasets to take, with commas; empty takes all", "deliveries,metrics,people"),
    Setting("BATCH_MAX_FILES", "files committed together at the most (1 to 1000)", "500"),
    Setting("BATCH_MAX_BYTES", "parquet bytes committed together; a larger file goes alone", "268435456"),
    Setting("CADENCE_MINUTES", "how often Customer.io exports at the most", "15"),
    Setting("STALL_AFTER_MINUTES", "a silence that is always told; empty leaves it to what is usual", "1440"),
    Setting("ALERT_URLS", "where alerts go, with spaces between: Apprise URLs", "mailto://user:password@example.com"),
    Setting("DELETE_AFTER_HOURS", "how long a blob stays after it was loaded; 0 keeps all", "72"),
    Setting("DRIFT", "columns nobody declared: `evolve` adds them, `reject` refuses the file", "evolve"),
    Setting(
        "VERIFY_STATISTICS", "refuse a file whose values leave the bounds its own footer states (`duckdb`)", "true"
    ),
    Setting("TIME_BUDGET_SECONDS", "how long one invocation works before it leaves the rest to the next", "480"),
    Setting(
        "TELEMETRY",
        "where traces, metrics and logs go: `otlp`, `azure_monitor`, `console`, `none`, with commas; "
        "empty leaves it to OpenTelemetry's own variables",
        "otlp",
    ),
)
