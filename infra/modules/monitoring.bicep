metadata description = 'Where telemetry goes: Log Analytics with Application Insights on it, both by identity only.'

param name string
param location string
param tags object

@description('How long logs and metrics are kept; a month is free.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('The most gigabytes taken in a day, as text; -1 for no limit. Beyond it alerts are blind.')
param dailyQuotaGb string

module workspace 'br/public:avm/res/operational-insights/workspace:0.16.1' = {
  name: 'workspace'
  params: {
    name: 'log-${name}'
    location: location
    tags: tags
    dataRetention: retentionDays
    dailyQuotaGb: dailyQuotaGb
    features: { disableLocalAuth: true, enableLogAccessUsingOnlyResourcePermissions: true }
  }
}

module component 'br/public:avm/res/insights/component:0.8.0' = {
  name: 'component'
  params: {
    name: 'appi-${name}'
    location: location
    tags: tags
    workspaceResourceId: workspace.outputs.resourceId
    disableLocalAuth: true
    // The module's default would keep callers' addresses.
    disableIpMasking: false
  }
}

output workspaceId string = workspace.outputs.resourceId
output componentId string = component.outputs.resourceId

@description('Where to send telemetry; with local authentication off it opens nothing by itself.')
output connectionString string = component.outputs.connectionString
