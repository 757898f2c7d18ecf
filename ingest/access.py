"""The shared access signature that Customer.io writes with: its stored policy and its URL."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar

from azure.core.exceptions import AzureError
from azure.storage.blob import AccessPolicy as StoredPolicy
from azure.storage.blob import ContainerClient, generate_container_sas

from ingest.channels import AccessPolicy
from ingest.errors import LandingUnavailable, SettingsError

POLICY = "customerio"
DAYS = 730
"""Two years: a renewal needs no new URL, so nothing is gained by more, and a forgotten URL ends by itself."""
SKEW = timedelta(minutes=5)
"""How far back a policy starts, so that a clock behind ours does not refuse the first upload."""


class Region(StrEnum):
    """Where a Customer.io account lives."""

    US = "us"
    EU = "eu"


ADDRESSES = {"us": "34.71.192.245", "eu": "34.118.255.179"}
"""Where Customer.io comes from, one address for each region: "Requirements" of its page on Azure Blob Storage."""
PERMISSIONS = {"read": "r", "add": "a", "create": "c", "write": "w", "list": "l"}
"""What the same page asks for, by name, with Azure's letters in Azure's order."""
MOST_POLICIES = 5

BOTH = " and ".join(f"{address} ({region})" for region, address in ADDRESSES.items())
RENEW = "Run `python -m ingest sas`: it renews the policy, and the URL in Customer.io goes on working."
PASTE = "Print a new one with `python -m ingest sas` and paste it into Customer.io."
_T = TypeVar("_T")

# At DEBUG it writes the address of every request, and the signature is in there.
logging.getLogger("urllib3.connectionpool").addFilter(lambda record: "sig=" not in record.getMessage())


@dataclass(frozen=True, slots=True)
class SasAnswer:
    """A URL for Customer.io, which is a secret, and what a person has to know about it."""

    url: str = field(repr=False)
    expires_at: datetime
    region: str | None

    @property
    def notes(self) -> tuple[str, ...]:
        """Say what to do with the URL, in sentences without a secret."""
        paste = "Paste the URL into Customer.io under Data & Integrations > Integrations > Azure Blob Storage."
        end = f"It is good until {self.expires_at:%Y-%m-%d}, and longer after another `python -m ingest sas`."
        bound = f"It is good from {ADDRESSES[self.region]} only, Customer.io's address." if self.region else ""
        free = f"It is good from any address; --region binds it to one of Customer.io's: {BOTH}."
        return (paste, "A new policy needs up to 30 seconds to take effect.", end, bound or free)


def run_sas(client: ContainerClient, *, region: str | None, days: int, now: datetime) -> SasAnswer:
    """Create or renew the policy and return the URL bound to it. Raises SettingsError before anything was changed."""
    url, expires = sas_url(client, region=region), now + timedelta(days=days)
    renew(client, expires=expires, start=now - SKEW)
    return SasAnswer(url, expires, region)


def sas_url(client: ContainerClient, *, region: str | None = None, name: str = POLICY) -> str:
    """Return the URL bound to the policy, over https and from the region's address only. It is a secret."""
    if region is not None and region not in ADDRESSES:
        raise SettingsError(f"Customer.io has no region {region!r}.", hint=f"Take one of {', '.join(ADDRESSES)}.")
    key = getattr(client.credential, "account_key", None)
    if not isinstance(key, str):
        raise SettingsError(
            "EXPORT_STORAGE: a URL that outlives a week is signed with the account's key, and there is none here.",
            hint='Who may list the keys sets it for this one command: EXPORT_STORAGE="$(az storage account '
            'show-connection-string --name <account> --query connectionString --output tsv)" python -m ingest sas',
        )
    signature = generate_container_sas(
        str(client.account_name),
        str(client.container_name),
        account_key=key,
        policy_id=name,
        ip=ADDRESSES[region] if region else None,
        protocol="https" if client.scheme == "https" else None,  # the emulator speaks http only
    )
    return f"{client.url}?{signature}"


def read_policy(client: ContainerClient, name: str = POLICY) -> AccessPolicy | None:
    """Return the stored policy of a name, or nothing. Raises LandingUnavailable, also where we may not look."""
    policy = stored_policies(client).get(name)
    return AccessPolicy(name, instant_of(policy.expiry), not_in(policy.permission)) if policy else None


def stored_policies(client: ContainerClient) -> dict[str, StoredPolicy]:
    """Return the container's policies by their names. Raises LandingUnavailable."""
    return _access(client)[0]


def renew(client: ContainerClient, *, expires: datetime, start: datetime | None = None, name: str = POLICY) -> None:
    """Give the policy Customer.io's permissions and a new end; the container's other policies stay.

    Raises LandingUnavailable. What somebody else changes between our reading and our writing is lost.
    """
    policies, public = _access(client)
    if name not in policies and len(policies) >= MOST_POLICIES:
        raise LandingUnavailable(
            f"the container {client.container_name!r} has {len(policies)} stored access policies, and holds no more.",
            hint=f"Remove one that nobody needs: {', '.join(sorted(policies))}.",
        )
    policies[name] = StoredPolicy("".join(PERMISSIONS.values()), expiry=expires, start=start)
    # Left out, public access would be switched off: it is not ours to change.
    answer = attempt(lambda: client.set_container_access_policy(signed_identifiers=policies, public_access=public))
    if isinstance(answer, AzureError):
        raise _closed(client, answer)


def _access(client: ContainerClient) -> tuple[dict[str, StoredPolicy], str | None]:
    """Return the container's policies and how public it is."""
    answer = attempt(client.get_container_access_policy)
    if isinstance(answer, AzureError):
        raise _closed(client, answer)
    policies = {item.id: item.access_policy or StoredPolicy() for item in answer["signed_identifiers"]}
    return policies, answer["public_access"]


def _closed(client: ContainerClient, error: AzureError) -> LandingUnavailable:
    """Tell why the container's policies can be neither read nor written."""
    code, container = code_of(error), f"the container {client.container_name!r}"
    if code == "ContainerNotFound":
        return LandingUnavailable(f"{container} does not exist.", hint="Create it, or mend EXPORT_CONTAINER.")
    # Azure answered an identity without the permission with 404 before August 2025.
    if getattr(error, "status_code", None) in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND}:
        return LandingUnavailable(
            f"{container} keeps its stored access policies from us ({code}).",
            hint="Give the identity the role Storage Blob Data Owner on it, or one with the action Microsoft.Storage/"
            "storageAccounts/blobServices/containers/getAcl/action (and setAcl/action). No SAS suffices.",
        )
    return LandingUnavailable(f"{container} did not answer as it should ({code}).")


def attempt(request: Callable[[], _T]) -> _T | AzureError:
    """Return the SDK's error rather than raise it: chained to ours it would show addresses and what was signed."""
    try:
        return request()
    except AzureError as error:
        return error


def code_of(error: AzureError) -> str:
    """Return Azure's code of an error, or what comes nearest to one."""
    code = getattr(error, "error_code", None) or getattr(error, "status_code", None) or type(error).__name__
    return str(getattr(code, "value", code))


def not_in(letters: object) -> tuple[str, ...]:
    """Return the permissions that Customer.io needs and the letters do not give, by name."""
    return tuple(permission for permission, letter in PERMISSIONS.items() if letter not in str(letters or ""))


def instant_of(value: object) -> datetime | None:
    """Read an instant as policies, signatures (a bare date as well) and answers write it."""
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        with contextlib.suppress(ValueError):
            moment = read(str(value))
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None


class ContainerAccess:
    """The stored access policies of the landing container, as the sweep looks at them."""

    def __init__(self, client: ContainerClient) -> None:
        self._client = client

    def policies(self) -> Sequence[AccessPolicy]:
        """Return the policy behind Customer.io's SAS, or nothing. Raises LandingUnavailable."""
        found = read_policy(self._client)
        return () if found is None else (found,)
