using 'main.bicep'

// Replace the ids and addresses: these are documentation's.
var group = '/subscriptions/00000000-0000-0000-0000-000000000003/resourceGroups/deployment-infra-rg'
var snowflake = '${group}/providers/Microsoft.Network'

param environmentName = 'customerio-prod'
param location = 'westeurope'
param tags = { owner: 'data-platform', dataClass: 'personal' }
param region = 'eu'
param prefix = 'exports/'
param network = 'private'
param softDeleteDays = 14
param operatorAddresses = ['203.0.113.7']
param operators = [{ principalId: '00000000-0000-0000-0000-000000000001', principalType: 'Group' }]
param warehousePrincipalIds = ['00000000-0000-0000-0000-000000000002']
param warehouseSubnetIds = ['${snowflake}/virtualNetworks/deployment-vnet/subnets/snowflake']
param alertEmails = ['data-platform@example.com']
param retentionDays = 90
param settings = {
  SNOWFLAKE_ACCOUNT: 'myorg-account1'
  SNOWFLAKE_USER: 'customerio_ingest'
}
