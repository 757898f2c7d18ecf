-- Snowflake account <organization>-<account>: mask personal data in what the Customer.io ingestor loads.
-- It needs Enterprise Edition or higher.
--
-- Run it as ACCOUNTADMIN once the ingestor has made its tables, and again when a dataset is taken for the first time: a
-- table that is not there is passed over. Masked columns show their values to sessions whose role is
-- CUSTOMERIO_INGEST and to members of CUSTOMERIO_INGEST_PII_READER;
-- to everybody else, administrators included, they show ***.
-- Other columns are masked by the same lines: people.customer_id where it is an address, metrics.reason, which may
-- quote one, and metrics.link_url.

-- It is not granted to SYSADMIN, so that administrators do not see personal data without meaning to.
USE ROLE ACCOUNTADMIN;
CREATE ROLE IF NOT EXISTS CUSTOMERIO_INGEST_PII_READER COMMENT = 'Sees personal data from Customer.io';
GRANT ROLE CUSTOMERIO_INGEST_READER TO ROLE CUSTOMERIO_INGEST_PII_READER;

-- What is not known to be allowed is masked: the policy begins as *** for all.
USE ROLE ACCOUNTADMIN;
USE SCHEMA CUSTOMERIO.customerio;
CREATE MASKING POLICY IF NOT EXISTS mask_pii AS (val VARCHAR) RETURNS VARCHAR -> '***';
ALTER MASKING POLICY mask_pii SET BODY ->
    CASE
        WHEN val IS NULL THEN NULL
        WHEN CURRENT_ROLE() = 'CUSTOMERIO_INGEST' OR IS_ROLE_IN_SESSION('CUSTOMERIO_INGEST_PII_READER') THEN val
        ELSE '***'
    END;

-- A column that carries the tag is masked. FORCE, so that this may be run again.
USE ROLE ACCOUNTADMIN;
USE SCHEMA CUSTOMERIO.customerio;
CREATE TAG IF NOT EXISTS pii ALLOWED_VALUES 'address', 'attribute', 'content'
    COMMENT = 'Personal data from Customer.io';
EXECUTE IMMEDIATE 'ALTER TAG pii SET MASKING POLICY mask_pii FORCE';

USE ROLE ACCOUNTADMIN;
USE SCHEMA CUSTOMERIO.customerio;
ALTER TABLE IF EXISTS people MODIFY COLUMN email_addr SET TAG pii = 'address';
ALTER TABLE IF EXISTS attributes MODIFY COLUMN attribute_value SET TAG pii = 'attribute';
ALTER TABLE IF EXISTS delivery_content MODIFY COLUMN recipient SET TAG pii = 'address';
ALTER TABLE IF EXISTS delivery_content MODIFY COLUMN bcc SET TAG pii = 'address';
ALTER TABLE IF EXISTS delivery_content MODIFY COLUMN subject SET TAG pii = 'content';
ALTER TABLE IF EXISTS delivery_content MODIFY COLUMN preheader SET TAG pii = 'content';
ALTER TABLE IF EXISTS delivery_content MODIFY COLUMN body SET TAG pii = 'content';
ALTER TABLE IF EXISTS delivery_content MODIFY COLUMN body_plain SET TAG pii = 'content';
ALTER TABLE IF EXISTS delivery_content MODIFY COLUMN body_amp SET TAG pii = 'content';
ALTER TABLE IF EXISTS delivery_content MODIFY COLUMN url SET TAG pii = 'content';
ALTER TABLE IF EXISTS delivery_content MODIFY COLUMN headers SET TAG pii = 'content';
