"""Try a SAS URL as Customer.io will use it, and say what a refusal means."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError
from azure.storage.blob import AccessPolicy as StoredPolicy
from azure.storage.blob import ContainerClient

from ingest.access import (
    ADDRESSES,
    BOTH,
    PASTE,
    PERMISSIONS,
    POLICY,
    RENEW,
    attempt,
    code_of,
    instant_of,
    not_in,
    stored_policies,
)
from ingest.errors import LandingUnavailable

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
        f"Let {BOTH} in by the account's firewall, and for this examination this machine.",
    ),
}
"""https://learn.microsoft.com/rest/api/storageservices/sas-error-codes"""
_SAME = MatchConditions.IfNotModified


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
        missing.update(not_in(letters))
    if missing:
        mend = RENEW if fields.get("si") == POLICY else PASTE
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
    raise _refused("it is not the https SAS URL of a container", f"Copy all of it, from https:// to the end. {PASTE}")


def _compare(fields: Mapping[str, str], visitor: ContainerClient, own: ContainerClient | None) -> None:
    """Compare where the URL leads with the container that is read, and whom it lets in with Customer.io's addresses."""
    theirs, ours = ((each.account_name, each.container_name) for each in (visitor, own or visitor))
    if theirs[1] != ours[1] or (theirs[0] and ours[0] and theirs[0] != ours[0]):
        raise _refused(f"it leads to the container {theirs[1]!r} of {theirs[0]!r}, where nobody reads", PASTE)
    if (allowed := fields.get("sip")) and "-" not in allowed and allowed not in ADDRESSES.values():
        raise _refused("it lets in other addresses than Customer.io's", PASTE)


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
        answer = attempt(request)
        if not isinstance(answer, AzureError):
            continue
        if (code := code_of(answer)) in _LACKING:
            missing.add(permission)
        elif code == "ContainerNotFound" or getattr(answer, "status_code", None) not in _ALLOWED:
            raise _explained(answer, fields, own)
    return missing


def _explained(error: AzureError, fields: Mapping[str, str], own: ContainerClient | None) -> LandingUnavailable:
    """Tell what an answer means that is not about one permission."""
    code = code_of(error)
    if not isinstance(error, HttpResponseError) or error.response is None:
        return _refused("nobody answers there", "Look at the account's name, its private endpoints and the DNS.")
    if code == "AuthorizationSourceIPMismatch":
        why = f"it lets in {fields.get('sip', 'other addresses')} only, and cannot be examined from here"
        return _refused(why, f"That is as it should be where it is the address of Customer.io's region: {BOTH}.")
    # The emulator gives the code of a firewall, but these words.
    if code == "AuthenticationFailed" or "failed to authenticate" in str(error):
        return _unauthenticated(error, fields, own)
    return _refused(*_REFUSALS.get(code, (f"the account answers {code}", "Try again, or look the code up.")))


def _unauthenticated(error: AzureError, fields: Mapping[str, str], own: ContainerClient | None) -> LandingUnavailable:
    """Tell a wrong signature, a policy that is gone and a time that is over apart, by Azure's words or the policy."""
    name, known = fields.get("si", ""), _known(fields, own)
    mend = RENEW if name == POLICY else PASTE
    detail = str((getattr(error, "additional_info", None) or {}).get("authenticationerrordetail") or "")
    wrong = "its signature is wrong: the account's key was rotated since, or the URL was not copied whole"
    if "did not match" in detail or "well formed" in detail:
        return _refused(wrong, PASTE)
    if "cannot be found" in detail or (known is not None and name not in known):
        return _refused(f"the stored access policy {name!r} behind it does not exist (any more)", mend)
    start, end = _term(detail, fields, (known or {}).get(name))
    now = instant_of(getattr(error, "response").headers.get("Date", ""))  # noqa: B009
    if now and start and now < start:
        return _refused(f"it is not good before {start:%Y-%m-%d %H:%M} UTC", mend)
    if now and end and now >= end:
        return _refused(f"it expired on {end:%Y-%m-%d %H:%M} UTC", mend)
    return _refused(wrong if known else "its signature is wrong, or its policy expired or was removed", PASTE)


def _term(detail: str, fields: Mapping[str, str], policy: StoredPolicy | None) -> tuple[datetime | None, ...]:
    """Return from when and until when a URL is good: as Azure, the URL or its policy says."""
    if stated := re.search(r"Start \[(.*?)\] - Expiry \[(.*?)\]", detail):
        return instant_of(stated[1]), instant_of(stated[2])
    if stated := re.search(r"expiry time \[(.*?)\]", detail):
        return None, instant_of(stated[1])
    of_policy = (policy.start, policy.expiry) if policy else (None, None)
    return tuple(instant_of(fields.get(name) or stored) for name, stored in zip(("st", "se"), of_policy, strict=True))


def _known(fields: Mapping[str, str], own: ContainerClient | None) -> Mapping[str, StoredPolicy] | None:
    """Return the container's policies where the URL names one and our own client may read them."""
    with contextlib.suppress(LandingUnavailable):
        return stored_policies(own) if own and "si" in fields else None
    return None


def _refused(why: str, hint: str) -> LandingUnavailable:
    return LandingUnavailable(f"Customer.io's URL is refused: {why}.", hint=hint)
