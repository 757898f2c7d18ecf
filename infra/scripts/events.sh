#!/bin/sh
# Subscribe the deployed function to the events of the landing container: the second stage of a deployment.
# azd calls this after it has deployed (azure.yaml), deploy.sh does; the names come from the outputs of main.bicep.
set -eu

cd "$(dirname "$0")/.."
: "${AZURE_RESOURCE_GROUP:?}" "${FUNCTION_APP_NAME:?}" "${SYSTEM_TOPIC_NAME:?}"
: "${LANDING_CONTAINER:?}" "${DEAD_LETTER_ACCOUNT:?}" "${DEAD_LETTER_CONTAINER:?}"

# The key appears when the host has first loaded the blob extension, some time after the deployment.
tries=0
until [ "$(az functionapp keys list --resource-group "$AZURE_RESOURCE_GROUP" --name "$FUNCTION_APP_NAME" \
  --query "contains(keys(systemKeys || \`{}\`), 'blobs_extension')" --output tsv 2>/dev/null)" = true ]; do
  tries=$((tries + 1))
  if [ "$tries" -ge 40 ]; then
    echo "events: $FUNCTION_APP_NAME has no key blobs_extension after ten minutes. Was its code deployed?" >&2
    exit 1
  fi
  sleep 15
done

az deployment group create \
  --name events \
  --resource-group "$AZURE_RESOURCE_GROUP" \
  --template-file events.bicep \
  --parameters \
    functionAppName="$FUNCTION_APP_NAME" \
    systemTopicName="$SYSTEM_TOPIC_NAME" \
    container="$LANDING_CONTAINER" \
    prefix="${LANDING_PREFIX:-}" \
    deadLetterAccount="$DEAD_LETTER_ACCOUNT" \
    deadLetterContainer="$DEAD_LETTER_CONTAINER" \
  --output none
echo "events: $LANDING_CONTAINER of $SYSTEM_TOPIC_NAME goes to $FUNCTION_APP_NAME"
