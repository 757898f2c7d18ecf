metadata description = 'The function app on Flex Consumption: Python, a user-assigned identity, no keys.'

param name string
param location string
param tags object

@description('Resource id of the identity that the app has, deploys with and reads the Key Vault with.')
param identityId string

@description('Address of the container that code is deployed to.')
param packages string

@description('The subnet of the app; empty without a network.')
param subnetId string

@description('Every app setting.')
param settings object

@allowed([512, 2048, 4096])
param instanceMemoryMB int

@minValue(1)
@maxValue(1000)
param maximumInstanceCount int

module plan 'br/public:avm/res/web/serverfarm:0.7.0' = {
  name: 'plan'
  params: {
    name: 'plan-${name}'
    location: location
    tags: tags
    skuName: 'FC1'
    reserved: true
  }
}

module site 'br/public:avm/res/web/site:0.24.0' = {
  name: 'site'
  params: {
    name: name
    location: location
    tags: union(tags, { 'azd-service-name': 'ingest' })
    kind: 'functionapp,linux'
    serverFarmResourceId: plan.outputs.resourceId
    managedIdentities: { userAssignedResourceIds: [identityId] }
    keyVaultAccessIdentityResourceId: identityId
    virtualNetworkSubnetResourceId: empty(subnetId) ? null : subnetId
    httpsOnly: true
    // Event Grid delivers from outside. What it calls wants the extension's key, the other functions want theirs.
    publicNetworkAccess: 'Enabled'
    clientAffinityEnabled: false
    siteConfig: { alwaysOn: false }
    basicPublishingCredentialsPolicies: [
      { name: 'ftp', allow: false }
      { name: 'scm', allow: false }
    ]
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packages
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identityId
          }
        }
      }
      runtime: { name: 'python', version: '3.13' }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
      }
    }
    configs: [
      {
        name: 'appsettings'
        // What is not in this folder is not in the app: nothing set by hand outlives the next deployment.
        retainCurrentAppSettings: false
        properties: settings
      }
    ]
  }
}

output name string = site.outputs.name
output url string = 'https://${site.outputs.defaultHostname}'
