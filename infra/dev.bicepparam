using 'main.bicep'

// To try it out: no network, files uploaded to the warehouse, exports kept.
param environmentName = 'customerio-dev'
param location = 'westeurope'
param region = 'eu'
param network = 'open'
param purgeProtection = false
param landingSku = 'Standard_LRS'
param maximumInstanceCount = 10
param dailyQuotaGb = '1'
param settings = {
  SNOWFLAKE_ACCOUNT: 'myorg-account1'
  SNOWFLAKE_USER: 'customerio_ingest_dev'
  SNOWFLAKE_DATABASE: 'customerio_dev'
  SNOWFLAKE_LOAD: 'put'
  DELETE_AFTER_HOURS: 0
}
