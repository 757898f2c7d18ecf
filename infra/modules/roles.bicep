metadata description = 'All role assignments, by one loop; each is named for its scope, principal and role.'

@export()
@description('One right: who may do what, and where.')
type Grant = {
  @description('What the right is for.')
  why: string

  @description('Where: a name of `scopes`, the narrowest that does.')
  scope: string

  @description('Who: a name of `principals`, or an object id.')
  principal: string

  principalType: 'ServicePrincipal' | 'User' | 'Group'

  @description('What: a name of roles.json or of `ownRoles`.')
  role: string
}

param grants Grant[]

@description('Resource ids by the names that the grants use.')
param scopes object

@description('Object ids by the names that the grants use.')
param principals object

@description('Resource ids of roles that are not built in, by name.')
param ownRoles object

var roleIds = union(loadJsonContent('../roles.json'), ownRoles)
var principalIds = map(grants, it => contains(principals, it.principal) ? principals[it.principal] : it.principal)

module assignment 'br/public:avm/ptn/authorization/resource-role-assignment:0.1.2' = [
  for (grant, index) in grants: {
    name: 'grant-${guid(scopes[grant.scope], principalIds[index], roleIds[grant.role])}'
    params: {
      name: guid(scopes[grant.scope], principalIds[index], roleIds[grant.role])
      resourceId: scopes[grant.scope]
      principalId: principalIds[index]
      principalType: grant.principalType
      roleDefinitionId: roleIds[grant.role]
      description: grant.why
    }
  }
]
