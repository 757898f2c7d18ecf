metadata description = 'A storage account: TLS 1.2, no public blobs, soft delete, a firewall where there is a network.'

param name string
param location string
param tags object

@description('Local redundancy is enough for what can be exported or deployed again.')
@allowed(['Standard_LRS', 'Standard_ZRS'])
param skuName string

@description('Whether the account\'s keys work. Only Customer.io\'s SAS, bound to a stored access policy, needs them.')
param sharedKeys bool

param containers string[]
param queues string[]

@description('How many days a deleted blob or container can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int

@description('Whether the firewall is on.')
param closed bool

@description('Public IPv4 addresses or ranges that the firewall lets in.')
param addresses string[]

@description('Subnets that the firewall lets in.')
param subnetIds string[]

@description('Services that get a private endpoint, where there is a subnet for it.')
param services string[]

param endpointsSubnetId string
param zoneIds object

@description('The Log Analytics workspace that takes the log of writes and deletes; empty for none.')
param auditWorkspaceId string

module account 'br/public:avm/res/storage/storage-account:0.33.0' = {
  name: '${name}-account'
  params: {
    name: name
    location: location
    tags: tags
    skuName: skuName
    allowSharedKeyAccess: sharedKeys
    allowBlobPublicAccess: false
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    // The exception is for Event Grid, which reads nothing here but writes dead letters by its own identity.
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: closed ? 'Deny' : 'Allow'
      ipRules: map(addresses, address => { value: address, action: 'Allow' })
      virtualNetworkRules: map(subnetIds, subnetId => { id: subnetId, action: 'Allow' })
    }
    // Said outright: next to private endpoints the module would close the way in for Customer.io.
    publicNetworkAccess: 'Enabled'
    privateEndpoints: empty(endpointsSubnetId)
      ? []
      : map(services, service => {
          service: service
          subnetResourceId: endpointsSubnetId
          privateDnsZoneGroup: {
            privateDnsZoneGroupConfigs: [{ privateDnsZoneResourceId: zoneIds[service] }]
          }
        })
    blobServices: {
      deleteRetentionPolicyEnabled: true
      deleteRetentionPolicyDays: softDeleteDays
      containerDeleteRetentionPolicyEnabled: true
      containerDeleteRetentionPolicyDays: softDeleteDays
      containers: map(containers, container => { name: container, publicAccess: 'None' })
      diagnosticSettings: empty(auditWorkspaceId)
        ? []
        : [
            {
              name: 'audit'
              workspaceResourceId: auditWorkspaceId
              logCategoriesAndGroups: [{ category: 'StorageWrite' }, { category: 'StorageDelete' }]
              metricCategories: []
            }
          ]
    }
    queueServices: { queues: map(queues, queue => { name: queue }) }
  }
}

output resourceId string = account.outputs.resourceId
output name string = account.outputs.name

@description('Addresses of the services, each with a slash at its end.')
output endpoints object = account.outputs.serviceEndpoints
