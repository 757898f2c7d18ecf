"""Play Customer.io's side of the export: a SAS bound to a stored access policy, and uploads through it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient

from ingest.access import POLICY, SKEW, renew, sas_url, stored_policies

TEN_YEARS = timedelta(days=3650)


def ensure_container(connection_string: str, container: str) -> None:
    """Create the container unless it is there."""
    with ContainerClient.from_connection_string(connection_string, container) as client:
        try:
            client.create_container()
        except ResourceExistsError:
            return


def grant(
    connection_string: str,
    container: str,
    policy_id: str = POLICY,
    *,
    expires: datetime | None = None,
) -> str:
    """Store an access policy and give the SAS URL bound to it, as a person does in the portal.

    The URL is a secret: whoever holds it writes to the container until the policy is revoked or runs out
    (`expires`, by default in ten years). Other policies of the container stay.
    """
    now = datetime.now(UTC)
    with ContainerClient.from_connection_string(connection_string, container) as client:
        renew(client, expires=expires or now + TEN_YEARS, start=now - SKEW, name=policy_id)
        return sas_url(client, name=policy_id)


def revoke(connection_string: str, container: str, policy_id: str = POLICY) -> None:
    """Remove the stored policy: every SAS bound to it stops working."""
    with ContainerClient.from_connection_string(connection_string, container) as client:
        policies = stored_policies(client)
        policies.pop(policy_id, None)
        client.set_container_access_policy(signed_identifiers=policies)


class Exporter:
    """Upload files as Customer.io does: through the SAS only, under a blob path, overwriting equal names."""

    def __init__(self, sas_url: str, prefix: str = "") -> None:
        self._client = ContainerClient.from_container_url(sas_url)
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    def __repr__(self) -> str:
        # The URL carries the signature, so it stays out.
        return f"Exporter(container={self._client.container_name!r}, prefix={self._prefix!r})"

    def write(self, name: str, content: bytes) -> str:
        """Upload a file and give its ETag, without the quotes of HTTP."""
        blob = self._client.get_blob_client(self._prefix + name)
        return str(blob.upload_blob(content, overwrite=True)["etag"]).strip('"')

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
