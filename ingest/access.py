"""The shared access signature that Customer.io writes with: its stored policy, its URL, and what a 403 means."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
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

_BOTH = " and ".join(f"{address} ({region})" for region, address in ADDRESSES.items())
_RENEW = "Run `python -m ingest sas`: it renews the policy, and the URL in Customer.io goes on working."
_PASTE = "Print a new one with `python -m ingest sas` and paste it into Customer.io."
_ALLOWED = {HTTPStatus.NOT_FOUND, HTTPStatus.PRECONDITION_FAILED}
_LACKING = {"AuthorizationPermissionMismatch", "UnauthorizedBlobOverwrite"}
_REFUSALS: Mapping[str, tuple[str, str]] = {
    "ContainerNotFound": ("its container does not exist", "Create it, or print a URL for the right one."),
    "KeyBasedAuthenticationNotPermitted": (
        "the account takes no shared keys, nor what they signed",
        'Switch "Allow storage account key access" on for the landing account: Customer.io can sign in by SAS only.',
    ),
    "AuthorizationFailure": (
        "the account's network rules keep this machine out",
        f"Let {_BOTH} in by the account's firewall, and for this examination this machine.",
    ),
}
"""https://learn.microsoft.com/rest/api/storageservices/sas-error-codes"""
_SAME = MatchConditions.IfNotModified
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
        free = f"It is good from any address; --region binds it to one of Customer.io's: {_BOTH}."
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
    return AccessPolicy(name, _instant(policy.expiry), _not_in(policy.permission)) if policy else None


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
    answer = _attempt(lambda: client.set_container_access_policy(signed_identifiers=policies, public_access=public))
    if isinstance(answer, AzureError):
        raise _closed(client, answer)


def _access(client: ContainerClient) -> tuple[dict[str, StoredPolicy], str | None]:
    """Return the container's policies and how public it is."""
    answer = _attempt(client.get_container_access_policy)
    if isinstance(answer, AzureError):
        raise _closed(client, answer)
    policies = {item.id: item.access_policy or StoredPolicy() for item in answer["signed_identifiers"]}
    return policies, answer["public_access"]


def _closed(client: ContainerClient, error: AzureError) -> LandingUnavailable:
    """Tell why the container's policies can be neither read nor written."""
    code, container = _code(error), f"the container {client.container_name!r}"
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


def examine_url(url: str, own: ContainerClient | None = None) -> None:
    """Try what Customer.io does with a URL, changing nothing. Raises LandingUnavailable, which explains a 403.

    Each request needs one permission and then fails for want of the blob. Who may write may create and add as well:
    whether these two are missing only the policy tells, and that our own client has to read.
    """
    fields, visitor = _visitor(url)
    with visitor:
        _compare(fields, visitor, own)
        missing = _tried(fields, visitor, own)
    policy = (_known(fields, own) or {}).get(fields.get("si", ""))
    if letters := fields.get("sp") or (policy and policy.permission):
        missing.update(_not_in(letters))
    if missing:
        mend = _RENEW if fields.get("si") == POLICY else _PASTE
        lacking = ", ".join(permission for permission in PERMISSIONS if permission in missing)
        raise LandingUnavailable(f"Customer.io's URL lacks permissions: {lacking}.", hint=mend)


def _visitor(url: str) -> tuple[Mapping[str, str], ContainerClient]:
    """Return the fields of a URL's signature, and a client that has nothing but the URL."""
    try:
        parts = urlsplit(url.strip())
        fields = dict(parse_qsl(parts.query))
        (parts.hostname or "").encode("idna")  # what is no host's name fails here, and not within the SDK
        safe = parts.scheme == "https" or parts.hostname in {"127.0.0.1", "localhost"}  # the emulator
        if safe and parts.path.strip("/") and "sig" in fields and fields.get("sr") != "b":
            return fields, ContainerClient.from_container_url(url.strip(), retry_total=0, connection_timeout=5)
    except ValueError:
        pass  # its words may hold the URL
    raise _refused("it is not the https SAS URL of a container", f"Copy all of it, from https:// to the end. {_PASTE}")


def _compare(fields: Mapping[str, str], visitor: ContainerClient, own: ContainerClient | None) -> None:
    """Compare where the URL leads with the container that is read, and whom it lets in with Customer.io's addresses."""
    theirs, ours = ((each.account_name, each.container_name) for each in (visitor, own or visitor))
    if theirs[1] != ours[1] or (theirs[0] and ours[0] and theirs[0] != ours[0]):
        raise _refused(f"it leads to the container {theirs[1]!r} of {theirs[0]!r}, where nobody reads", _PASTE)
    if (allowed := fields.get("sip")) and "-" not in allowed and allowed not in ADDRESSES.values():
        raise _refused("it lets in other addresses than Customer.io's", _PASTE)


def _tried(fields: Mapping[str, str], visitor: ContainerClient, own: ContainerClient | None) -> set[str]:
    """Return the permissions for want of which a request was refused."""
    blob = visitor.get_blob_client(f"ingest-doctor-{uuid4().hex}")
    attempts: Mapping[str, Callable[[], object]] = {
        "list": lambda: next(visitor.list_blobs(results_per_page=1).by_page(), None),
        "read": blob.download_blob,
        "write": lambda: blob.set_blob_metadata({}),
        "create": lambda: blob.upload_blob(b"", overwrite=True, etag="0x0", match_condition=_SAME),
        "add": lambda: blob.append_block(b"0"),
    }
    missing = set()
    for permission, request in attempts.items():
        answer = _attempt(request)
        if not isinstance(answer, AzureError):
            continue
        if (code := _code(answer)) in _LACKING:
            missing.add(permission)
        elif code == "ContainerNotFound" or getattr(answer, "status_code", None) not in _ALLOWED:
            raise _explained(answer, fields, own)
    return missing


def _explained(error: AzureError, fields: Mapping[str, str], own: ContainerClient | None) -> LandingUnavailable:
    """Tell what an answer means that is not about one permission."""
    code = _code(error)
    if not isinstance(error, HttpResponseError) or error.response is None:
        return _refused("nobody answers there", "Look at the account's name, its private endpoints and the DNS.")
    if code == "AuthorizationSourceIPMismatch":
        why = f"it lets in {fields.get('sip', 'other addresses')} only, and cannot be examined from here"
        return _refused(why, f"That is as it should be where it is the address of Customer.io's region: {_BOTH}.")
    # The emulator gives the code of a firewall, but these words.
    if code == "AuthenticationFailed" or "failed to authenticate" in str(error):
        return _unauthenticated(error, fields, own)
    return _refused(*_REFUSALS.get(code, (f"the account answers {code}", "Try again, or look the code up.")))


def _unauthenticated(error: AzureError, fields: Mapping[str, str], own: ContainerClient | None) -> LandingUnavailable:
    """Tell a wrong signature, a policy that is gone and a time that is over apart, by Azure's words or the policy."""
    name, known = fields.get("si", ""), _known(fields, own)
    mend = _RENEW if name == POLICY else _PASTE
    detail = str((getattr(error, "additional_info", None) or {}).get("authenticationerrordetail") or "")
    wrong = "its signature is wrong: the account's key was rotated since, or the URL was not copied whole"
    if "did not match" in detail or "well formed" in detail:
        return _refused(wrong, _PASTE)
    if "cannot be found" in detail or (known is not None and name not in known):
        return _refused(f"the stored access policy {name!r} behind it does not exist (any more)", mend)
    start, end = _term(detail, fields, (known or {}).get(name))
    now = _instant(getattr(error, "response").headers.get("Date", ""))  # noqa: B009
    if now and start and now < start:
        return _refused(f"it is not good before {start:%Y-%m-%d %H:%M} UTC", mend)
    if now and end and now >= end:
        return _refused(f"it expired on {end:%Y-%m-%d %H:%M} UTC", mend)
    return _refused(wrong if known else "its signature is wrong, or its policy expired or was removed", _PASTE)


def _term(detail: str, fields: Mapping[str, str], policy: StoredPolicy | None) -> tuple[datetime | None, ...]:
    """Return from when and until when a URL is good: as Azure, the URL or its policy says."""
    if stated := re.search(r"Start \[(.*?)\] - Expiry \[(.*?)\]", detail):
        return _instant(stated[1]), _instant(stated[2])
    if stated := re.search(r"expiry time \[(.*?)\]", detail):
        return None, _instant(stated[1])
    of_policy = (policy.start, policy.expiry) if policy else (None, None)
    return tuple(_instant(fields.get(name) or stored) for name, stored in zip(("st", "se"), of_policy, strict=True))


def _known(fields: Mapping[str, str], own: ContainerClient | None) -> Mapping[str, StoredPolicy] | None:
    """Return the container's policies where the URL names one and our own client may read them."""
    with contextlib.suppress(LandingUnavailable):
        return stored_policies(own) if own and "si" in fields else None
    return None


def _refused(why: str, hint: str) -> LandingUnavailable:
    return LandingUnavailable(f"Customer.io's URL is refused: {why}.", hint=hint)


def _attempt(request: Callable[[], _T]) -> _T | AzureError:
    """Return the SDK's error rather than raise it: chained to ours it would show addresses and what was signed."""
    try:
        return request()
    except AzureError as error:
        return error


def _code(error: AzureError) -> str:
    code = getattr(error, "error_code", None) or getattr(error, "status_code", None) or type(error).__name__
    return str(getattr(code, "value", code))


def _not_in(letters: object) -> tuple[str, ...]:
    return tuple(permission for permission, letter in PERMISSIONS.items() if letter not in str(letters or ""))


def _instant(value: object) -> datetime | None:
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
