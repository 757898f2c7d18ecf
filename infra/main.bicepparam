using 'main.bicep'

// For azd: what is set with `azd env set`. dev.bicepparam and prod.bicepparam are examples for `az`.
var operator = readEnvironmentVariable('OPERATOR_ID', '')

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME')
param location = readEnvironmentVariable('AZURE_LOCATION')
param region = readEnvironmentVariable('CUSTOMERIO_REGION', 'us')
param container = readEnvironmentVariable('EXPORT_CONTAINER', 'customerio')
param prefix = readEnvironmentVariable('EXPORT_PREFIX', '')
param network = readEnvironmentVariable('NETWORK', 'service')
param natGatewayResourceId = readEnvironmentVariable('NAT_GATEWAY_ID', '')
// Lists have spaces between.
param operatorAddresses = filter(split(readEnvironmentVariable('OPERATOR_ADDRESSES', ''), ' '), it => !empty(it))
param warehouseSubnetIds = filter(split(readEnvironmentVariable('WAREHOUSE_SUBNETS', ''), ' '), it => !empty(it))
param warehousePrincipalIds = filter(split(readEnvironmentVariable('WAREHOUSE_PRINCIPALS', ''), ' '), it => !empty(it))
param alertEmails = filter(split(readEnvironmentVariable('ALERT_EMAILS', ''), ' '), it => !empty(it))
param fromVault = filter(split(readEnvironmentVariable('FROM_VAULT', 'SNOWFLAKE_PRIVATE_KEY'), ' '), it => !empty(it))
param customRole = bool(readEnvironmentVariable('CUSTOM_ROLE', 'true'))
param operators = empty(operator)
  ? []
  : [{ principalId: operator, principalType: readEnvironmentVariable('OPERATOR_TYPE', 'User') }]
param settings = {
  SNOWFLAKE_ACCOUNT: readEnvironmentVariable('SNOWFLAKE_ACCOUNT')
  SNOWFLAKE_USER: readEnvironmentVariable('SNOWFLAKE_USER', 'customerio_ingest')
  SNOWFLAKE_LOAD: readEnvironmentVariable('SNOWFLAKE_LOAD', 'copy')
  SNOWFLAKE_SIGN_IN: readEnvironmentVariable('SNOWFLAKE_SIGN_IN', 'key_pair')
  DELETE_AFTER_HOURS: int(readEnvironmentVariable('DELETE_AFTER_HOURS', '72'))
}
