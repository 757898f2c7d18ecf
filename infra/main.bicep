metadata name = 'Customer.io export ingestor'
metadata description = 'All that the ingestor needs but the event subscription, which waits for the code: events.bicep.'

targetScope = 'subscription'

import { Settings } from 'modules/settings.bicep'

@description('Name of the environment; a part of every resource\'s name.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Where everything lies. It should be a region near the warehouse.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Name of the resource group.')
param resourceGroupName string = 'rg-${environmentName}'

param tags object = {}

@description('Where the Customer.io account lives: it decides which address may write exports.')
@allowed(['us', 'eu'])
param region string

@description('Customer.io\'s address in each region, should it ever change: see its page on Azure Blob Storage.')
param customerioAddresses object = {
  us: '34.71.192.245'
  eu: '34.118.255.179'
}

@description('The container Customer.io writes into.')
param container string = 'customerio'

@description('What the blob names begin with: the "Blob Path" in Customer.io, such as exports/.')
param prefix string = ''

@description('How long an export can be brought back after the sweep deleted it.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7

@description('Redundancy of the landing account.')
@allowed(['Standard_LRS', 'Standard_ZRS'])
param landingSku string = 'Standard_ZRS'

@description('`open`: no firewall. `service`: firewalls that know the app\'s subnet. `private`: private endpoints.')
@allowed(['open', 'service', 'private'])
param network string = 'service'

@description('The virtual network\'s range, /24 or larger.')
param addressPrefix string = '10.80.0.0/24'

@description('A NAT gateway for the function app, where Snowflake\'s network policy wants a fixed address; or empty.')
param natGatewayResourceId string = ''

@description('Public IPv4 addresses or ranges of operators: they reach the landing account and the Key Vault.')
param operatorAddresses string[] = []

@description('People who may put secrets into the Key Vault.')
param operators { principalId: string, principalType: 'User' | 'Group' | 'ServicePrincipal' }[] = []

@description('Whether the Key Vault outlasts its deletion whatever anybody does; off where things come and go.')
param purgeProtection bool = true

@description('Subnets that the warehouse reads the container from: SYSTEM$GET_SNOWFLAKE_PLATFORM_INFO() tells them.')
param warehouseSubnetIds string[] = []

@description('Object ids of the warehouse\'s service principals that read the container (SNOWFLAKE_LOAD=copy).')
param warehousePrincipalIds string[] = []

@description('Whether to define a role for the landing container. Else a built-in one that may write, too.')
param customRole bool = true

@description('App settings that differ from the code\'s defaults.')
param settings Settings

@description('Settings whose values lie in the Key Vault; see modules/settings.bicep.')
param fromVault array = ['SNOWFLAKE_PRIVATE_KEY']

@description('Memory of an instance, in megabytes.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('The most instances at once. A stream has one worker at a time: more than streams are of no use.')
@minValue(1)
@maxValue(1000)
param maximumInstanceCount int = 40

@description('E-mail addresses that get every alarm.')
param alertEmails string[] = []

@description('How many days logs and metrics are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int = 30

@description('The most gigabytes of telemetry taken in a day, as text; -1 for no limit.')
param dailyQuotaGb string = '-1'

var token = toLower(uniqueString(subscription().id, environmentName, location))
var name = 'customerio-${token}'
var allTags = union(tags, { 'azd-env-name': environmentName })
var closed = network != 'open'
var appSubnetIds = closed ? [subnets.outputs.functionsSubnetId] : []
var packagesContainer = 'packages'
var deadLetterContainer = 'dead-letters'
var poisonQueue = 'webjobs-blobtrigger-poison'

// Who may do what, where; modules/roles.bicep knows what the names stand for.
var landingRoleName = customRole ? 'landing' : 'Storage Blob Data Contributor'
var ofTheApp = map(
  [
    { why: 'Code, and locks of timers', scope: 'host', role: 'Storage Blob Data Owner' }
    { why: 'Events on their way', scope: 'host', role: 'Storage Queue Data Contributor' }
    { why: 'Notes of the host', scope: 'host', role: 'Storage Table Data Contributor' }
    { why: 'Lists, reads and deletes exports', scope: 'exports', role: landingRoleName }
    { why: 'Events that were given up on', scope: 'poison', role: 'Storage Queue Data Contributor' }
    { why: 'Snowflake\'s key', scope: 'vault', role: 'Key Vault Secrets User' }
    { why: 'Telemetry', scope: 'telemetry', role: 'Monitoring Metrics Publisher' }
  ],
  right => union(right, { principal: 'app', principalType: 'ServicePrincipal' })
)
var ofTheTopic = [
  {
    why: 'Events that could not be delivered'
    scope: 'deadLetters'
    principal: 'topic'
    principalType: 'ServicePrincipal'
    role: 'Storage Blob Data Contributor'
  }
]
var ofTheWarehouse = map(warehousePrincipalIds, principalId => {
  why: 'The warehouse reads the exports'
  scope: 'exports'
  principal: principalId
  principalType: 'ServicePrincipal'
  role: 'Storage Blob Data Reader'
})
var ofPeople = map(operators, operator => {
  why: 'Puts secrets into the Key Vault'
  scope: 'vault'
  principal: operator.principalId
  principalType: operator.principalType
  role: 'Key Vault Secrets Officer'
})

resource group 'Microsoft.Resources/resourceGroups@2024-03-01' = {
  name: resourceGroupName
  location: location
  tags: allTags
}

module identity 'br/public:avm/res/managed-identity/user-assigned-identity:0.6.0' = {
  name: 'identity'
  scope: group
  params: { name: 'id-${name}', location: location, tags: allTags }
}

module subnets 'modules/network.bicep' = {
  name: 'network'
  scope: group
  params: {
    mode: network
    name: 'vnet-${name}'
    location: location
    tags: allTags
    addressPrefix: addressPrefix
    natGatewayResourceId: natGatewayResourceId
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    name: name
    location: location
    tags: allTags
    retentionDays: retentionDays
    dailyQuotaGb: dailyQuotaGb
  }
}

@description('Where Customer.io writes. Its keys work, because a stored access policy behind a SAS needs them.')
module landing 'modules/storage.bicep' = {
  name: 'landing'
  scope: group
  params: {
    name: 'cioland${token}'
    location: location
    tags: allTags
    skuName: landingSku
    sharedKeys: true
    containers: [container]
    queues: [poisonQueue]
    softDeleteDays: softDeleteDays
    closed: closed
    addresses: concat([customerioAddresses[region]], operatorAddresses)
    subnetIds: concat(appSubnetIds, warehouseSubnetIds)
    services: ['blob', 'queue']
    endpointsSubnetId: subnets.outputs.endpointsSubnetId
    zoneIds: subnets.outputs.zoneIds
    auditWorkspaceId: monitoring.outputs.workspaceId
  }
}

@description('What the platform keeps: code, locks of timers, queues, and events that could not be delivered.')
module host 'modules/storage.bicep' = {
  name: 'host'
  scope: group
  params: {
    name: 'ciohost${token}'
    location: location
    tags: allTags
    skuName: 'Standard_LRS'
    sharedKeys: false
    containers: [packagesContainer, deadLetterContainer]
    queues: []
    softDeleteDays: softDeleteDays
    closed: closed
    addresses: []
    subnetIds: appSubnetIds
    services: ['blob', 'queue', 'table']
    endpointsSubnetId: subnets.outputs.endpointsSubnetId
    zoneIds: subnets.outputs.zoneIds
    auditWorkspaceId: ''
  }
}

module vault 'modules/vault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-cio-${token}'
    location: location
    tags: allTags
    purgeProtection: purgeProtection
    closed: closed
    addresses: operatorAddresses
    subnetIds: appSubnetIds
    endpointsSubnetId: subnets.outputs.endpointsSubnetId
    zoneIds: subnets.outputs.zoneIds
    workspaceId: monitoring.outputs.workspaceId
  }
}

@description('Tells of new blobs in the landing account; what it cannot deliver it writes into the host\'s.')
module topic 'br/public:avm/res/event-grid/system-topic:0.7.0' = {
  name: 'topic'
  scope: group
  params: {
    name: 'evgt-${name}'
    location: location
    tags: allTags
    source: landing.outputs.resourceId
    topicType: 'Microsoft.Storage.StorageAccounts'
    managedIdentities: { systemAssigned: true }
    diagnosticSettings: [
      {
        name: 'deliveries'
        workspaceResourceId: monitoring.outputs.workspaceId
        logCategoriesAndGroups: [{ category: 'DeliveryFailures' }]
        metricCategories: []
      }
    ]
  }
}

module landingRole 'modules/landing-role.bicep' = if (customRole) {
  name: 'landing-role'
  scope: group
  params: { roleName: 'Customer.io exports: list, read, delete (${token})' }
}

module rights 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    grants: concat(ofTheApp, ofTheTopic, ofTheWarehouse, ofPeople)
    scopes: {
      host: host.outputs.resourceId
      deadLetters: '${host.outputs.resourceId}/blobServices/default/containers/${deadLetterContainer}'
      exports: '${landing.outputs.resourceId}/blobServices/default/containers/${container}'
      poison: '${landing.outputs.resourceId}/queueServices/default/queues/${poisonQueue}'
      vault: vault.outputs.resourceId
      telemetry: monitoring.outputs.componentId
    }
    principals: {
      app: identity.outputs.principalId
      topic: topic.outputs.systemAssignedMIPrincipalId!
    }
    ownRoles: customRole ? { landing: landingRole!.outputs.roleId } : {}
  }
}

module appSettings 'modules/settings.bicep' = {
  name: 'settings'
  scope: group
  params: {
    settings: settings
    fromVault: fromVault
    vaultUri: vault.outputs.uri
    identityClientId: identity.outputs.clientId
    landingEndpoints: landing.outputs.endpoints
    container: container
    prefix: prefix
    hostEndpoints: host.outputs.endpoints
    telemetryConnectionString: monitoring.outputs.connectionString
  }
}

module functionApp 'modules/app.bicep' = {
  name: 'app'
  scope: group
  // An app that comes before its rights would find its storage and its secrets shut.
  dependsOn: [rights]
  params: {
    name: 'func-${name}'
    location: location
    tags: allTags
    identityId: identity.outputs.resourceId
    packages: '${host.outputs.endpoints.blob}${packagesContainer}'
    subnetId: subnets.outputs.functionsSubnetId
    settings: appSettings.outputs.values
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts'
  scope: group
  params: {
    name: name
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    topicId: topic.outputs.resourceId
    emails: alertEmails
  }
}

module workbook 'modules/workbook.bicep' = {
  name: 'workbook'
  scope: group
  params: {
    name: 'Customer.io exports (${environmentName})'
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
  }
}

output AZURE_RESOURCE_GROUP string = group.name
output AZURE_TENANT_ID string = tenant().tenantId
output FUNCTION_APP_NAME string = functionApp.outputs.name
output FUNCTION_APP_URL string = functionApp.outputs.url
output KEY_VAULT_NAME string = vault.outputs.name
output LANDING_ACCOUNT string = landing.outputs.name
output LANDING_CONTAINER string = container
output LANDING_PREFIX string = prefix
output LANDING_URL string = '${landing.outputs.endpoints.blob}${container}'
output SYSTEM_TOPIC_NAME string = topic.outputs.name
output DEAD_LETTER_ACCOUNT string = host.outputs.name
output DEAD_LETTER_CONTAINER string = deadLetterContainer
@description('Who the app is for Snowflake: the subject of its workload identity.')
output IDENTITY_OBJECT_ID string = identity.outputs.principalId
output WORKBOOK_ID string = workbook.outputs.resourceId
