metadata description = 'The role of the function app on the landing container: what it does there, and no more.'

@description('Name of the role; a tenant has it once.')
param roleName string

var containers = 'Microsoft.Storage/storageAccounts/blobServices/containers'
var here = resourceGroup().id

resource role 'Microsoft.Authorization/roleDefinitions@2022-04-01' = {
  name: guid(here, 'customerio-landing')
  properties: {
    roleName: roleName
    description: 'Lists, reads and deletes the exports, and reads when the access policy of the container ends.'
    type: 'CustomRole'
    assignableScopes: [here]
    permissions: [
      {
        // getAcl tells the sweep when Customer.io's access expires; without it there would be no such alert.
        actions: ['${containers}/read', '${containers}/getAcl/action']
        dataActions: ['${containers}/blobs/read', '${containers}/blobs/delete']
      }
    ]
  }
}

@description('The role\'s resource id.')
output roleId string = role.id
