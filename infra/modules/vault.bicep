metadata description = 'The Key Vault with what has to stay secret. People put it there; no template ever sees it.'

param name string
param location string
param tags object

@description('Whether a deleted vault stays for its ninety days whatever anybody does; once on, it stays on.')
param purgeProtection bool

@description('Whether the firewall is on.')
param closed bool

@description('Public IPv4 addresses or ranges that the firewall lets in.')
param addresses string[]

@description('Subnets that the firewall lets in.')
param subnetIds string[]

param endpointsSubnetId string
param zoneIds object

@description('The Log Analytics workspace that learns who read which secret.')
param workspaceId string

module vault 'br/public:avm/res/key-vault/vault:0.14.0' = {
  name: 'vault'
  params: {
    name: name
    location: location
    tags: tags
    sku: 'standard'
    enableRbacAuthorization: true
    enablePurgeProtection: purgeProtection
    enableVaultForDeployment: false
    enableVaultForDiskEncryption: false
    enableVaultForTemplateDeployment: false
    publicNetworkAccess: 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: closed ? 'Deny' : 'Allow'
      ipRules: map(addresses, address => { value: address })
      virtualNetworkRules: map(subnetIds, subnetId => { id: subnetId })
    }
    privateEndpoints: empty(endpointsSubnetId)
      ? []
      : [
          {
            subnetResourceId: endpointsSubnetId
            privateDnsZoneGroup: { privateDnsZoneGroupConfigs: [{ privateDnsZoneResourceId: zoneIds.vault }] }
          }
        ]
    diagnosticSettings: [
      {
        name: 'audit'
        workspaceResourceId: workspaceId
        logCategoriesAndGroups: [{ category: 'AuditEvent' }]
        metricCategories: []
      }
    ]
  }
}

output resourceId string = vault.outputs.resourceId
output name string = vault.outputs.name

@description('The vault\'s address, with a slash at its end.')
output uri string = vault.outputs.uri
