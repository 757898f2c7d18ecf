metadata description = 'Alarms that do not depend on the app being well, and the group of people they reach.'

param name string
param location string
param tags object

@description('The Log Analytics workspace with the app\'s telemetry.')
param workspaceId string

@description('The Event Grid system topic of the landing account.')
param topicId string

@description('E-mail addresses that get every alarm.')
param emails string[]

// Kinds of the app's alerts (ingest/alerts.py) that become alarms: all critical ones, and poisoned events.
var kinds = [
  { kind: 'exports-stalled', severity: 1, text: 'Customer.io has been silent for longer than is usual.' }
  { kind: 'files-not-loaded', severity: 1, text: 'Files have arrived, but are not loaded.' }
  { kind: 'files-rejected', severity: 1, text: 'Files were rejected: what they hold is missing in the tables.' }
  { kind: 'leases-expire', severity: 1, text: 'Workers die in the middle of a stream again and again.' }
  { kind: 'people-export-silent', severity: 1, text: 'The people export will soon not be resumed any more.' }
  { kind: 'access-policy-expires', severity: 1, text: 'Customer.io\'s access to the container is about to end.' }
  { kind: 'access-policy-lacks', severity: 1, text: 'Customer.io\'s access to the container lacks a permission.' }
  { kind: 'events-poisoned', severity: 2, text: 'The platform gave up on events; the sweep loads their blobs.' }
]
var alarms = [
  {
    name: 'no-heartbeat'
    severity: 0
    text: 'No sweep has finished for 45 minutes. Whatever else is wrong, nobody is looking.'
    query: loadTextContent('../queries/heartbeat.kql')
    window: 'PT45M'
    operator: 'LessThan'
    threshold: 1
  }
  {
    name: 'functions-fail'
    severity: 2
    text: 'Functions fail repeatedly. The sweep makes up for single failures.'
    query: loadTextContent('../queries/failures.kql')
    window: 'PT15M'
    operator: 'GreaterThan'
    threshold: 2
  }
]
var ofKinds = map(kinds, it => {
  name: it.kind
  severity: it.severity
  text: it.text
  query: replace(loadTextContent('../queries/alert.kql'), '{kind}', it.kind)
  window: 'PT30M'
  operator: 'GreaterThan'
  threshold: 0
})
var lost = [
  {
    metric: 'DeadLetteredCount'
    text: 'Event Grid gave up on events and put them into the dead-letter container. The sweep loads their blobs.'
  }
  {
    metric: 'DroppedEventCount'
    text: 'Event Grid dropped events, most likely because the key of the subscription is not good any more.'
  }
]

module people 'br/public:avm/res/insights/action-group:0.8.0' = {
  name: 'action-group'
  params: {
    name: 'ag-${name}'
    groupShortName: 'customerio'
    tags: tags
    emailReceivers: map(emails, address => { name: address, emailAddress: address, useCommonAlertSchema: true })
  }
}

module queries 'br/public:avm/res/insights/scheduled-query-rule:0.6.0' = [
  for alarm in concat(alarms, ofKinds): {
    name: 'alarm-${alarm.name}'
    params: {
      name: '${name}-${alarm.name}'
      location: location
      tags: tags
      alertDisplayName: 'Customer.io exports: ${alarm.name}'
      alertDescription: '${alarm.text} See docs/runbook.md.'
      severity: alarm.severity
      scopes: [workspaceId]
      evaluationFrequency: 'PT15M'
      windowSize: alarm.window
      autoMitigate: true
      // A new workspace has no telemetry yet.
      skipQueryValidation: true
      criterias: {
        allOf: [
          {
            query: alarm.query
            timeAggregation: 'Count'
            operator: alarm.operator
            threshold: alarm.threshold
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroupResourceIds: [people.outputs.resourceId] }
    }
  }
]

module metrics 'br/public:avm/res/insights/metric-alert:0.4.1' = [
  for it in lost: {
    name: 'alarm-${it.metric}'
    params: {
      name: '${name}-${it.metric}'
      tags: tags
      alertDescription: '${it.text} See docs/runbook.md.'
      severity: 2
      scopes: [topicId]
      evaluationFrequency: 'PT15M'
      windowSize: 'PT15M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allof: [
          {
            name: it.metric
            criterionType: 'StaticThresholdCriterion'
            metricNamespace: 'Microsoft.EventGrid/systemTopics'
            metricName: it.metric
            timeAggregation: 'Total'
            operator: 'GreaterThan'
            threshold: 0
          }
        ]
      }
      actions: [people.outputs.resourceId]
    }
  }
]
