metadata description = 'The second stage: events of the landing container go to the blob trigger, once it is deployed.'

@description('Name of the deployed function app.')
param functionAppName string

param systemTopicName string

@description('The container Customer.io writes into.')
param container string

@description('What the blob names begin with.')
param prefix string = ''

@description('Storage account that keeps events which could not be delivered.')
param deadLetterAccount string

param deadLetterContainer string

var functionName = 'ingest_export'
var address = 'https://${app.properties.defaultHostName}'
var hook = '${address}/runtime/webhooks/blobs?functionName=Host.Functions.${functionName}'

resource app 'Microsoft.Web/sites@2024-04-01' existing = {
  name: functionAppName
}

resource host 'Microsoft.Web/sites/host@2024-04-01' existing = {
  parent: app
  name: 'default'
}

resource keeper 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: deadLetterAccount
}

resource topic 'Microsoft.EventGrid/systemTopics@2025-02-15' existing = {
  name: systemTopicName
}

// A resource of its own, not a module: a module's parameters, and the key among them, would stay in the history.
resource exports 'Microsoft.EventGrid/systemTopics/eventSubscriptions@2025-02-15' = {
  parent: topic
  name: 'exports'
  properties: {
    eventDeliverySchema: 'EventGridSchema'
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: '${hook}&code=${host.listKeys().systemKeys.blobs_extension}'
        maxEventsPerBatch: 1
      }
    }
    filter: {
      includedEventTypes: ['Microsoft.Storage.BlobCreated']
      subjectBeginsWith: '/blobServices/default/containers/${container}/blobs/${prefix}'
      subjectEndsWith: '.parquet'
      enableAdvancedFilteringOnArrays: true
      advancedFilters: [
        // A blob is whole after these; CreateFile comes before its first byte.
        {
          operatorType: 'StringIn'
          key: 'data.api'
          values: ['PutBlob', 'PutBlockList', 'CopyBlob', 'FlushWithClose']
        }
      ]
    }
    retryPolicy: {
      maxDeliveryAttempts: 30
      eventTimeToLiveInMinutes: 1440
    }
    deadLetterWithResourceIdentity: {
      identity: { type: 'SystemAssigned' }
      deadLetterDestination: {
        endpointType: 'StorageBlob'
        properties: {
          resourceId: keeper.id
          blobContainerName: deadLetterContainer
        }
      }
    }
  }
}

output subscriptionId string = exports.id
