# Subscribe the deployed function to the events of the landing container: events.sh for PowerShell.
$ErrorActionPreference = 'Stop'

Set-Location (Join-Path $PSScriptRoot '..')
$names = 'AZURE_RESOURCE_GROUP', 'FUNCTION_APP_NAME', 'SYSTEM_TOPIC_NAME', 'LANDING_CONTAINER',
    'DEAD_LETTER_ACCOUNT', 'DEAD_LETTER_CONTAINER'
foreach ($name in $names) {
    if (-not [Environment]::GetEnvironmentVariable($name)) { throw "events: $name is not set." }
}

# The key appears when the host has first loaded the blob extension, some time after the deployment.
for ($tries = 0; $tries -lt 40; $tries++) {
    $keys = az functionapp keys list --resource-group $env:AZURE_RESOURCE_GROUP --name $env:FUNCTION_APP_NAME `
        --output json 2>$null
    if ($keys -and ($keys | ConvertFrom-Json).systemKeys.blobs_extension) { break }
    Start-Sleep -Seconds 15
}
if ($tries -ge 40) {
    throw "events: $env:FUNCTION_APP_NAME has no key blobs_extension after ten minutes. Was its code deployed?"
}

az deployment group create `
    --name events `
    --resource-group $env:AZURE_RESOURCE_GROUP `
    --template-file events.bicep `
    --parameters `
        functionAppName=$env:FUNCTION_APP_NAME `
        systemTopicName=$env:SYSTEM_TOPIC_NAME `
        container=$env:LANDING_CONTAINER `
        prefix=$env:LANDING_PREFIX `
        deadLetterAccount=$env:DEAD_LETTER_ACCOUNT `
        deadLetterContainer=$env:DEAD_LETTER_CONTAINER `
    --output none
if ($LASTEXITCODE -ne 0) { throw 'events: the deployment failed.' }
Write-Output "events: $env:LANDING_CONTAINER of $env:SYSTEM_TOPIC_NAME goes to $env:FUNCTION_APP_NAME"
