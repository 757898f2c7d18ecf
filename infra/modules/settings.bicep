metadata description = 'The app settings: every one of the code, what the platform needs for them, and nothing else.'

@export()
@sealed()
@description('What may differ from the code\'s defaults; the README says what each means.')
type Settings = {
  SWEEP_SCHEDULE: string?
  WAREHOUSE_SCHEMA: string?
  SNOWFLAKE_ACCOUNT: string
  SNOWFLAKE_HOST: string?
  SNOWFLAKE_USER: string?
  SNOWFLAKE_ROLE: string?
  SNOWFLAKE_WAREHOUSE: string?
  SNOWFLAKE_DATABASE: string?
  SNOWFLAKE_LOAD: ('copy' | 'put')?
  SNOWFLAKE_STAGE: string?
  SNOWFLAKE_INTEGRATION: string?
  SNOWFLAKE_SIGN_IN: ('key_pair' | 'workload_identity' | 'oauth')?
  DATASETS: string?
  BATCH_MAX_FILES: int?
  BATCH_MAX_BYTES: int?
  CADENCE_MINUTES: int?
  STALL_AFTER_MINUTES: int?
  DELETE_AFTER_HOURS: int?
  DRIFT: ('evolve' | 'reject')?
  TIME_BUDGET_SECONDS: int?
  TELEMETRY: string?
}

param settings Settings

@description('Settings whose values lie in the Key Vault: SNOWFLAKE_PRIVATE_KEY as the secret snowflake-private-key.')
@allowed(['SNOWFLAKE_PRIVATE_KEY', 'SNOWFLAKE_PRIVATE_KEY_PASSPHRASE', 'SNOWFLAKE_TOKEN', 'ALERT_URLS'])
param fromVault array

param vaultUri string
param identityClientId string
param landingEndpoints object
param container string
param prefix string
param hostEndpoints object
param telemetryConnectionString string

var load = settings.?SNOWFLAKE_LOAD ?? 'copy'
// What is uploaded lies on the instance's disk first, two batches for each function that runs: 0.8 GB have to do.
var batchBytes = { copy: 268435456, put: 67108864 }
var byIdentity = 'managedidentity'
// PYTHON_ENABLE_OPENTELEMETRY is not set: the app sends its telemetry itself, and with it the host would drop what else
// the worker logs, the text of exceptions among it.
var ofThePlatform = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: telemetryConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  AzureWebJobsStorage__blobServiceUri: hostEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: hostEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: hostEndpoints.table
  AzureWebJobsStorage__credential: byIdentity
  AzureWebJobsStorage__clientId: identityClientId
  EXPORT_STORAGE__queueServiceUri: landingEndpoints.queue
  EXPORT_STORAGE__credential: byIdentity
}
var ofTheCode = {
  EXPORT_STORAGE__blobServiceUri: landingEndpoints.blob
  EXPORT_STORAGE__clientId: identityClientId
  EXPORT_CONTAINER: container
  EXPORT_PREFIX: prefix
  BLOB_TRIGGER_SOURCE: 'EventGrid'
  SWEEP_SCHEDULE: settings.?SWEEP_SCHEDULE ?? '0 */5 * * * *'
  WAREHOUSE: 'snowflake'
  WAREHOUSE_SCHEMA: settings.?WAREHOUSE_SCHEMA ?? 'customerio'
  SNOWFLAKE_ACCOUNT: settings.SNOWFLAKE_ACCOUNT
  SNOWFLAKE_HOST: settings.?SNOWFLAKE_HOST ?? ''
  SNOWFLAKE_USER: settings.?SNOWFLAKE_USER ?? ''
  SNOWFLAKE_ROLE: settings.?SNOWFLAKE_ROLE ?? 'customerio_ingest'
  SNOWFLAKE_WAREHOUSE: settings.?SNOWFLAKE_WAREHOUSE ?? 'customerio_ingest'
  SNOWFLAKE_DATABASE: settings.?SNOWFLAKE_DATABASE ?? 'customerio'
  SNOWFLAKE_LOAD: load
  SNOWFLAKE_STAGE: settings.?SNOWFLAKE_STAGE ?? 'landing'
  SNOWFLAKE_INTEGRATION: settings.?SNOWFLAKE_INTEGRATION ?? 'customerio_landing'
  SNOWFLAKE_SIGN_IN: settings.?SNOWFLAKE_SIGN_IN ?? 'key_pair'
  MANAGED_IDENTITY_CLIENT_ID: identityClientId
  DATASETS: settings.?DATASETS ?? ''
  BATCH_MAX_FILES: string(settings.?BATCH_MAX_FILES ?? 500)
  BATCH_MAX_BYTES: string(settings.?BATCH_MAX_BYTES ?? batchBytes[load])
  CADENCE_MINUTES: string(settings.?CADENCE_MINUTES ?? 15)
  STALL_AFTER_MINUTES: string(settings.?STALL_AFTER_MINUTES ?? '')
  DELETE_AFTER_HOURS: string(settings.?DELETE_AFTER_HOURS ?? 72)
  DRIFT: settings.?DRIFT ?? 'evolve'
  TIME_BUDGET_SECONDS: string(settings.?TIME_BUDGET_SECONDS ?? 480)
  TELEMETRY: settings.?TELEMETRY ?? ''
}
var inTheVault = toObject(
  fromVault,
  name => name,
  name => '@Microsoft.KeyVault(SecretUri=${vaultUri}secrets/${toLower(replace(name, '_', '-'))})'
)

output values object = union(ofThePlatform, ofTheCode, inTheVault)
