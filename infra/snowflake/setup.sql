-- Snowflake account <organization>-<account>: what the Customer.io ingestor needs.
--
-- Run it from the top, as a user who has the roles that the parts ask for: SYSADMIN, SECURITYADMIN and, for the storage
-- integration, ACCOUNTADMIN. Fill in what stands in <angle brackets>. It may be run again at any time: nothing that is
-- there is replaced, and no data is touched. Afterwards `python -m ingest doctor` tells what is still missing.
--
-- The ingestor's role gets USAGE of one database, one schema and one virtual warehouse, and CREATE TABLE and CREATE
-- VIEW in the schema. It owns the tables it makes, and may read the landing container. It has nothing else.

-- SYSADMIN: compute. It sleeps after a minute without work, and no statement runs for longer than half an hour.
USE ROLE SYSADMIN;
CREATE WAREHOUSE IF NOT EXISTS CUSTOMERIO_INGEST
    WAREHOUSE_SIZE = XSMALL
    AUTO_SUSPEND = 60
    AUTO_RESUME = TRUE
    INITIALLY_SUSPENDED = TRUE
    STATEMENT_TIMEOUT_IN_SECONDS = 1800
    STATEMENT_QUEUED_TIMEOUT_IN_SECONDS = 600
    COMMENT = 'Loads Customer.io exports';

-- SYSADMIN: where the tables are. A schema with managed access keeps the granting of its tables to SYSADMIN and
-- SECURITYADMIN: the ingestor owns its tables and still cannot hand them on.
-- Whoever owns a database that is there already has to run this part instead of SYSADMIN.
USE ROLE SYSADMIN;
CREATE DATABASE IF NOT EXISTS CUSTOMERIO;
CREATE SCHEMA IF NOT EXISTS CUSTOMERIO.customerio WITH MANAGED ACCESS
    COMMENT = 'Customer.io exports, written by the ingestor';

-- SECURITYADMIN: the role of the ingestor, below SYSADMIN as every role of one's own should be.
USE ROLE SECURITYADMIN;
CREATE ROLE IF NOT EXISTS CUSTOMERIO_INGEST COMMENT = 'Loads Customer.io exports';
GRANT ROLE CUSTOMERIO_INGEST TO ROLE SYSADMIN;

USE ROLE SECURITYADMIN;
GRANT USAGE ON WAREHOUSE CUSTOMERIO_INGEST TO ROLE CUSTOMERIO_INGEST;

-- CREATE TABLE is for the checkpoint and the data tables, CREATE VIEW for ingest_freshness; temporary tables need no
-- more than USAGE.
USE ROLE SECURITYADMIN;
GRANT USAGE ON DATABASE CUSTOMERIO TO ROLE CUSTOMERIO_INGEST;
GRANT USAGE ON SCHEMA CUSTOMERIO.customerio TO ROLE CUSTOMERIO_INGEST;
GRANT CREATE TABLE ON SCHEMA CUSTOMERIO.customerio TO ROLE CUSTOMERIO_INGEST;
GRANT CREATE VIEW ON SCHEMA CUSTOMERIO.customerio TO ROLE CUSTOMERIO_INGEST;

-- SECURITYADMIN: the user, for programs only: it cannot have a password. Without secondary roles it may do what its one
-- role may, even if somebody grants it another.
USE ROLE SECURITYADMIN;
CREATE USER IF NOT EXISTS CUSTOMERIO_INGEST
    TYPE = SERVICE
    COMMENT = 'Loads Customer.io exports';
ALTER USER CUSTOMERIO_INGEST SET
    DEFAULT_ROLE = CUSTOMERIO_INGEST
    DEFAULT_SECONDARY_ROLES = ()
    DEFAULT_WAREHOUSE = CUSTOMERIO_INGEST
    DEFAULT_NAMESPACE = 'CUSTOMERIO.customerio';
GRANT ROLE CUSTOMERIO_INGEST TO USER CUSTOMERIO_INGEST;

-- SECURITYADMIN: sign-in by key pair. The key is the text of rsa_key.pub between its first and last line:
--   openssl genrsa 2048 | openssl pkcs8 -topk8 -inform PEM -out rsa_key.p8 -nocrypt
--   openssl rsa -in rsa_key.p8 -pubout -out rsa_key.pub
USE ROLE SECURITYADMIN;
ALTER USER CUSTOMERIO_INGEST SET RSA_PUBLIC_KEY = '<public key>';

-- Or:
--   SECURITYADMIN: sign-in by the function app's managed identity, <client id>; nothing to keep secret or to rotate.
--   SUBJECT is its object id (principal id) and not its client id, and its case matters:
--     az identity list --query "[?clientId=='<client id>' || principalId=='<client id>'].principalId" --output tsv
--   USE ROLE SECURITYADMIN;
--   ALTER USER CUSTOMERIO_INGEST SET WORKLOAD_IDENTITY = (
--       TYPE = AZURE
--       ISSUER = 'https://login.microsoftonline.com/<tenant id>/v2.0'
--       SUBJECT = '<object id>'
--   );

-- SECURITYADMIN, if wanted: let the user in from the function app's outbound addresses only. Behind a NAT gateway they
-- are few and stay. With Azure Private Link the rule is TYPE = AZURELINKID instead.
--   USE ROLE SYSADMIN;
--   CREATE NETWORK RULE IF NOT EXISTS CUSTOMERIO.customerio.INGESTOR_ADDRESSES
--       TYPE = IPV4 MODE = INGRESS VALUE_LIST = ('<outbound address>');
--   USE ROLE SECURITYADMIN;
--   CREATE NETWORK POLICY IF NOT EXISTS INGESTOR_ADDRESSES
--       ALLOWED_NETWORK_RULE_LIST = ('CUSTOMERIO.customerio.INGESTOR_ADDRESSES');
--   ALTER USER CUSTOMERIO_INGEST SET NETWORK_POLICY = INGESTOR_ADDRESSES;

-- SECURITYADMIN: a role for analysts, which reads the tables of today and of tomorrow and does nothing else.
-- It gets no virtual warehouse: its members have their own.
USE ROLE SECURITYADMIN;
CREATE ROLE IF NOT EXISTS CUSTOMERIO_INGEST_READER COMMENT = 'Reads what the Customer.io ingestor loads';
GRANT ROLE CUSTOMERIO_INGEST_READER TO ROLE SYSADMIN;
GRANT USAGE ON DATABASE CUSTOMERIO TO ROLE CUSTOMERIO_INGEST_READER;
GRANT USAGE ON SCHEMA CUSTOMERIO.customerio TO ROLE CUSTOMERIO_INGEST_READER;
GRANT SELECT ON ALL TABLES IN SCHEMA CUSTOMERIO.customerio TO ROLE CUSTOMERIO_INGEST_READER;
GRANT SELECT ON FUTURE TABLES IN SCHEMA CUSTOMERIO.customerio TO ROLE CUSTOMERIO_INGEST_READER;
GRANT SELECT ON ALL VIEWS IN SCHEMA CUSTOMERIO.customerio TO ROLE CUSTOMERIO_INGEST_READER;
GRANT SELECT ON FUTURE VIEWS IN SCHEMA CUSTOMERIO.customerio TO ROLE CUSTOMERIO_INGEST_READER;

-- ACCOUNTADMIN: Snowflake's own way into the landing container, without keys. Never replace it: a new one would have to
-- be consented to anew. SYSADMIN needs it to own the stage.
USE ROLE ACCOUNTADMIN;
CREATE STORAGE INTEGRATION IF NOT EXISTS CUSTOMERIO_LANDING
    TYPE = EXTERNAL_STAGE
    STORAGE_PROVIDER = 'AZURE'
    ENABLED = TRUE
    AZURE_TENANT_ID = '<tenant id>'
    STORAGE_ALLOWED_LOCATIONS = ('azure://<storage account>.blob.core.windows.net/<container>/');
GRANT USAGE ON INTEGRATION CUSTOMERIO_LANDING TO ROLE SYSADMIN;

-- ACCOUNTADMIN, and an administrator of Azure. Once:
--   1. Open AZURE_CONSENT_URL, which the statement below tells, and accept.
--   2. Find the enterprise application in Microsoft Entra ID, whose name is AZURE_MULTI_TENANT_APP_NAME up to its
--      underscore. It may take an hour or two to appear.
--   3. Give it the role "Storage Blob Data Reader" on the landing container:
--      az role assignment create --role "Storage Blob Data Reader" --assignee-principal-type ServicePrincipal
--          --assignee-object-id <object id of the enterprise application>
--          --scope <resource id of the storage account>/blobServices/default/containers/<container>
USE ROLE ACCOUNTADMIN;
DESC STORAGE INTEGRATION CUSTOMERIO_LANDING;

-- ACCOUNTADMIN, and an administrator of Azure: only if the landing account's firewall is on, let in every subnet that
-- the statement below tells:
--   az storage account network-rule add --account-name <storage account> --subnet "<subnet id>"
-- Where infra/ made the account, name the subnets in WAREHOUSE_SUBNETS instead: its templates set the whole firewall.
USE ROLE ACCOUNTADMIN;
SELECT SYSTEM$GET_SNOWFLAKE_PLATFORM_INFO();

-- SYSADMIN: the landing container as Snowflake sees it. It begins at the container's root, whatever prefix the exports
-- have, so that a file is called in Snowflake what its blob is called.
USE ROLE SYSADMIN;
CREATE STAGE IF NOT EXISTS CUSTOMERIO.customerio.LANDING
    URL = 'azure://<storage account>.blob.core.windows.net/<container>/'
    STORAGE_INTEGRATION = CUSTOMERIO_LANDING
    FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE BINARY_AS_TEXT = TRUE)
    COMMENT = 'The container that Customer.io exports into';
ALTER STAGE CUSTOMERIO.customerio.LANDING SET
    URL = 'azure://<storage account>.blob.core.windows.net/<container>/'
    STORAGE_INTEGRATION = CUSTOMERIO_LANDING;

-- USAGE of the integration is what Snowflake's pages on LIST and COPY INTO ask for beside USAGE of the stage; it opens
-- nothing that the stage does not.
USE ROLE SYSADMIN;
GRANT USAGE ON STAGE CUSTOMERIO.customerio.LANDING TO ROLE CUSTOMERIO_INGEST;
USE ROLE ACCOUNTADMIN;
GRANT USAGE ON INTEGRATION CUSTOMERIO_LANDING TO ROLE CUSTOMERIO_INGEST;
