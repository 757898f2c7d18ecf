metadata description = 'The virtual network of the function app: with service endpoints, or with private endpoints.'

@description('`open`: no network. `service`: a subnet that storage and vault know. `private`: private endpoints, too.')
@allowed(['open', 'service', 'private'])
param mode string

@description('Name of the virtual network.')
param name string

param location string
param tags object

@description('The network\'s range; the function app gets its first quarter, the private endpoints an eighth.')
param addressPrefix string

@description('A NAT gateway that gives the function app a fixed address, for a network policy in Snowflake; or empty.')
param natGatewayResourceId string

var zoneNames = [
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.queue.${environment().suffixes.storage}'
  'privatelink.table.${environment().suffixes.storage}'
  'privatelink.vaultcore.azure.net'
]
var gateway = empty(natGatewayResourceId) ? {} : { natGatewayResourceId: natGatewayResourceId }
var subnet = union(functions, gateway)
var functions = {
  name: 'functions'
  addressPrefix: cidrSubnet(addressPrefix, 26, 0)
  delegation: 'Microsoft.App/environments'
  serviceEndpoints: ['Microsoft.Storage', 'Microsoft.KeyVault']
  networkSecurityGroupResourceId: rules!.outputs.resourceId
  // Snowflake and Azure Monitor lie outside, and new networks have no way out of their own.
  defaultOutboundAccess: empty(natGatewayResourceId)
}
var endpoints = {
  name: 'endpoints'
  addressPrefix: cidrSubnet(addressPrefix, 27, 2)
  privateEndpointNetworkPolicies: 'Enabled'
  networkSecurityGroupResourceId: rules!.outputs.resourceId
  defaultOutboundAccess: false
}

// Azure's own rules: nothing comes in from outside. Many a tenant takes no subnet without such a group.
module rules 'br/public:avm/res/network/network-security-group:0.5.3' = if (mode != 'open') {
  name: 'network-rules'
  params: { name: 'nsg-${name}', location: location, tags: tags }
}

module virtualNetwork 'br/public:avm/res/network/virtual-network:0.10.1' = if (mode != 'open') {
  name: 'virtual-network'
  params: {
    name: name
    location: location
    tags: tags
    addressPrefixes: [addressPrefix]
    subnets: [subnet, endpoints]
  }
}

module zones 'br/public:avm/res/network/private-dns-zone:0.8.1' = [
  for zone in zoneNames: if (mode == 'private') {
    name: 'zone-${uniqueString(zone)}'
    params: {
      name: zone
      tags: tags
      virtualNetworkLinks: [{ virtualNetworkResourceId: virtualNetwork!.outputs.resourceId }]
    }
  }
]

@description('The subnet of the function app; empty without a network.')
output functionsSubnetId string = mode == 'open' ? '' : virtualNetwork!.outputs.subnetResourceIds[0]

@description('The subnet of the private endpoints; empty without them.')
output endpointsSubnetId string = mode == 'private' ? virtualNetwork!.outputs.subnetResourceIds[1] : ''

@description('The private DNS zone of each service; empty without private endpoints.')
output zoneIds object = mode == 'private'
  ? {
      blob: zones[0]!.outputs.resourceId
      queue: zones[1]!.outputs.resourceId
      table: zones[2]!.outputs.resourceId
      vault: zones[3]!.outputs.resourceId
    }
  : {}
