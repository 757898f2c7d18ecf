#!/bin/sh
# Deploy without azd: the resources, the code as it is committed, the event subscription.
#   infra/scripts/deploy.sh infra/prod.bicepparam westeurope
set -eu

parameters=${1:?"the .bicepparam file, such as infra/prod.bicepparam"}
location=${2:?"the region that keeps the record of the deployment, such as westeurope"}
parameters=$(CDPATH='' cd -- "$(dirname -- "$parameters")" && pwd)/$(basename -- "$parameters")
cd "$(dirname "$0")/../.."

# Resource Manager changes the case of the outputs' names.
outputs=$(az deployment sub create --name customerio-export-ingest --location "$location" \
  --template-file infra/main.bicep --parameters "$parameters" --query properties.outputs --output json | python3 -c '
import json, shlex, sys
for name, output in json.load(sys.stdin).items():
    print("export", name.upper() + "=" + shlex.quote(output["value"]))
')
eval "$outputs"

# Only what is committed and what the app needs; the packages are installed in Azure.
package=$(mktemp -d)
trap 'rm -rf "$package"' EXIT
git archive --format zip --output "$package/app.zip" HEAD \
  function_app.py host.json requirements.txt ingest docs/runbook.md
az functionapp deployment source config-zip --resource-group "$AZURE_RESOURCE_GROUP" --name "$FUNCTION_APP_NAME" \
  --src "$package/app.zip" --build-remote true --output none

infra/scripts/events.sh
