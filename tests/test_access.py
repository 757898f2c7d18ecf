"""Hold the stored policy, the URL bound to it, and the examination of one to what Azurite and Azure answer."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlsplit
from xml.sax.saxutils import escape

import pytest
from azure.core.credentials import AccessToken, AzureSasCredential
from azure.storage.blob import (
    AccessPolicy,
    BlobClient,
    ContainerClient,
    ContainerSasPermissions,
    generate_container_sas,
)

from ingest import access
from ingest.access import POLICY, read_policy, renew, run_sas, sas_url, stored_policies
from ingest.errors import LandingUnavailable, SettingsError
from ingest.visitor import examine_url
from local import customerio
from local.azurite import ACCOUNT, KEY, Azurite

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
ALL = {"read": "r", "add": "a", "create": "c", "write": "w", "list": "l"}


@pytest.fixture
def client(azurite: Azurite, container: str) -> Iterator[ContainerClient]:
    with ContainerClient.from_connection_string(azurite.connection_string, container) as opened:
        yield opened


@pytest.fixture
def url(client: ContainerClient) -> str:
    renew(client, expires=NOW + DAY, start=NOW - DAY)
    return sas_url(client)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Let no test write a signature or the key anywhere, at whatever level."""
    caplog.set_level(logging.DEBUG)
    yield
    out, err = capfd.readouterr()
    logged = [record.getMessage() for phase in ("setup", "call") for record in caplog.get_records(phase)]
    for said in (*logged, out, err):
        assert "sig=" not in said.replace("sig=REDACTED", "")
        assert KEY not in said


def store(client: ContainerClient, letters: str, *, start: datetime = NOW - DAY, end: datetime = NOW + DAY) -> None:
    """Store Customer.io's policy as somebody in the portal might."""
    client.set_container_access_policy(signed_identifiers={POLICY: AccessPolicy(letters, expiry=end, start=start)})


def signature(url: str) -> str:
    return url.partition("sig=")[2].partition("&")[0]


def refusal(url: str, own: ContainerClient | None = None) -> LandingUnavailable:
    """Examine a URL that is refused, and see that the error gives nothing away."""
    with pytest.raises(LandingUnavailable) as caught:
        examine_url(url, own)
    error = caught.value
    chain, links = [error], 0
    while (link := chain[-1].__cause__ or chain[-1].__context__) and links < 10:
        chain.append(link)
        links += 1
    shown = "".join(traceback.format_exception(error)) + "".join(f"{each!r} {each}" for each in chain)
    assert error.hint
    for secret in (url, "sig=", *([signature(url)] if len(signature(url)) > 8 else [])):
        assert secret not in shown
    assert "String to sign" not in shown
    return error


# The policy


def test_without_a_policy_there_is_none(client: ContainerClient) -> None:
    assert read_policy(client) is None


def test_renew_creates_what_customerio_asks_for(client: ContainerClient) -> None:
    renew(client, expires=NOW + DAY, start=NOW)
    policy = read_policy(client)
    assert policy is not None
    assert (policy.name, policy.expires_at, policy.missing) == ("customerio", NOW + DAY, ())
    assert sorted(stored_policies(client)[POLICY].permission) == sorted("racwl")


def test_renewing_twice_is_renewing_once(client: ContainerClient) -> None:
    renew(client, expires=NOW + DAY, start=NOW)
    first = {name: vars(policy) for name, policy in stored_policies(client).items()}
    renew(client, expires=NOW + DAY, start=NOW)
    assert {name: vars(policy) for name, policy in stored_policies(client).items()} == first


@pytest.mark.parametrize("permission", ALL)
def test_each_missing_permission_is_read_and_mended(client: ContainerClient, permission: str) -> None:
    store(client, "".join(ALL.values()).replace(ALL[permission], ""))
    policy = read_policy(client)
    assert policy is not None
    assert policy.missing == (permission,)
    renew(client, expires=NOW + DAY)
    assert read_policy(client).missing == ()


def test_other_policies_and_public_access_stay(client: ContainerClient) -> None:
    others = {f"other{n}": AccessPolicy("r", expiry=NOW + n * DAY, start=NOW) for n in range(1, 5)}
    client.set_container_access_policy(signed_identifiers=others, public_access="blob")
    renew(client, expires=NOW + DAY)
    renew(client, expires=NOW + 2 * DAY)
    kept = stored_policies(client)
    assert set(kept) == {*others, POLICY}
    for n in range(1, 5):
        policy = kept[f"other{n}"]
        assert (policy.permission, policy.expiry) == ("r", (NOW + n * DAY).strftime("%Y-%m-%dT%H:%M:%SZ"))
    assert client.get_container_access_policy()["public_access"] == "blob"


def test_a_sixth_policy_is_refused_clearly(client: ContainerClient) -> None:
    others = {f"other{n}": AccessPolicy("r", expiry=NOW + DAY, start=NOW) for n in range(5)}
    client.set_container_access_policy(signed_identifiers=others)
    with pytest.raises(LandingUnavailable, match="has 5 stored access policies") as caught:
        renew(client, expires=NOW + DAY)
    assert "other0, other1" in caught.value.hint
    assert set(stored_policies(client)) == set(others)


def test_the_fifth_of_five_is_renewed(client: ContainerClient) -> None:
    others = {f"other{n}": AccessPolicy("r", expiry=NOW + DAY, start=NOW) for n in range(4)}
    client.set_container_access_policy(signed_identifiers={**others, POLICY: AccessPolicy("r", expiry=NOW, start=NOW)})
    renew(client, expires=NOW + DAY)
    assert read_policy(client).missing == ()


def test_a_missing_container_is_named(azurite: Azurite) -> None:
    nowhere = ContainerClient.from_connection_string(azurite.connection_string, "nowhere")
    for attempt in (lambda: read_policy(nowhere), lambda: renew(nowhere, expires=NOW)):
        with pytest.raises(LandingUnavailable, match="'nowhere' does not exist"):
            attempt()


def test_who_may_not_read_policies_learns_the_role(url: str) -> None:
    with pytest.raises(LandingUnavailable, match="keeps its stored access policies") as caught:
        read_policy(ContainerClient.from_container_url(url))
    assert "Storage Blob Data Owner" in caught.value.hint
    assert "getAcl/action" in caught.value.hint
    assert signature(url) not in "".join(traceback.format_exception(caught.value))


def test_nobody_there_is_unavailable() -> None:
    absent = ContainerClient(f"http://127.0.0.1:9/{ACCOUNT}", "absent", credential=key_of(KEY), retry_total=0)
    with pytest.raises(LandingUnavailable, match="did not answer"):
        read_policy(absent)


# The URL


def key_of(key: str) -> dict[str, str]:
    return {"account_name": ACCOUNT, "account_key": key}


def in_azure() -> ContainerClient:
    return ContainerClient(
        "https://landing.blob.core.windows.net", "exports", credential={"account_name": "landing", "account_key": KEY}
    )


def test_the_url_is_bound_to_the_policy_and_https() -> None:
    parts = urlsplit(sas_url(in_azure()))
    fields = parse_qs(parts.query)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "https://landing.blob.core.windows.net/exports"
    assert set(fields) == {"sv", "sr", "si", "spr", "sig"}
    assert (fields["si"], fields["sr"], fields["spr"]) == ([POLICY], ["c"], ["https"])


def test_at_an_address_of_ones_own_the_account_signs_all_the_same() -> None:
    text = f"AccountName=landing;AccountKey={KEY};BlobEndpoint=https://files.example.com"
    with ContainerClient.from_connection_string(text, "exports") as own:
        assert signature(sas_url(own)) == signature(sas_url(in_azure()))
        assert sas_url(own).startswith("https://files.example.com/exports?")


@pytest.mark.parametrize(("region", "address"), [("us", "34.71.192.245"), ("eu", "34.118.255.179")])
def test_a_region_binds_the_url_to_its_address(region: str, address: str) -> None:
    assert parse_qs(urlsplit(sas_url(in_azure(), region=region)).query)["sip"] == [address]


def test_another_region_is_none_of_customerios() -> None:
    with pytest.raises(SettingsError, match="no region 'mars'"):
        sas_url(in_azure(), region="mars")


class Identity:
    """A credential of Entra."""

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        raise AssertionError


@pytest.mark.parametrize("credential", [Identity(), AzureSasCredential("sv=1&sig=nobody")])
def test_without_the_key_the_way_out_is_told(credential: object) -> None:
    keyless = ContainerClient("https://landing.blob.core.windows.net", "exports", credential=credential)
    with pytest.raises(SettingsError, match="account's key") as caught:
        run_sas(keyless, region=None, days=1, now=NOW)
    assert "show-connection-string" in caught.value.hint
    assert "python -m ingest sas" in caught.value.hint


def test_run_sas_gives_a_url_that_works_and_shows_it_nowhere_else(client: ContainerClient) -> None:
    answer = run_sas(client, region=None, days=access.DAYS, now=NOW)
    assert answer.expires_at == NOW + timedelta(days=730)
    assert read_policy(client).expires_at == answer.expires_at
    examine_url(answer.url, client)
    customerio.Exporter(answer.url).write("a.parquet", b"1")
    for said in (repr(answer), str(answer), *answer.notes):
        assert "sig=" not in said
        assert signature(answer.url) not in said
    assert any("34.71.192.245" in note and "34.118.255.179" in note for note in answer.notes)
    assert "sip=" not in answer.url


def test_run_sas_says_whom_a_bound_url_lets_in(client: ContainerClient) -> None:
    answer = run_sas(client, region="eu", days=30, now=NOW)
    assert any("34.118.255.179 only" in note for note in answer.notes)
    assert not any("34.71.192.245" in note for note in answer.notes)
    assert any((NOW + 30 * DAY).strftime("%Y-%m-%d") in note for note in answer.notes)


def test_a_renewal_keeps_an_issued_url_working(client: ContainerClient, url: str) -> None:
    store(client, "racwl", end=NOW - timedelta(hours=1))
    assert "expired" in refusal(url, client).what
    renew(client, expires=NOW + DAY, start=NOW - timedelta(minutes=5))
    examine_url(url, client)
    customerio.Exporter(url).write("a.parquet", b"1")
    assert sas_url(client) == url


# The examination, by Azurite


@pytest.mark.parametrize("names", [[], ["kept.parquet"]])
@pytest.mark.parametrize("letters", ["racwl", "rwl", "l", "cw"])
def test_nothing_is_left_behind(client: ContainerClient, url: str, names: list[str], letters: str) -> None:
    for name in names:
        client.upload_blob(name, b"1")
    etags = {blob.name: blob.etag for blob in client.list_blobs()}
    store(client, letters)
    if letters == "racwl":
        examine_url(url, client)
    else:
        refusal(url, client)
    found = client.list_blobs(include=["snapshots", "uncommittedblobs", "metadata"])
    assert {blob.name: blob.etag for blob in found} == etags
    assert sorted(etags) == names


@pytest.mark.parametrize("permission", ALL)
def test_each_missing_permission_is_named(client: ContainerClient, url: str, permission: str) -> None:
    store(client, "".join(ALL.values()).replace(ALL[permission], ""))
    error = refusal(url, client)
    assert error.what == f"Customer.io's URL lacks permissions: {permission}."
    assert "python -m ingest sas" in error.hint


@pytest.mark.parametrize("permission", ["read", "write", "list"])
def test_requests_alone_tell_these(client: ContainerClient, url: str, permission: str) -> None:
    store(client, "".join(ALL.values()).replace(ALL[permission], ""))
    assert refusal(url).what.endswith(f": {permission}.")


def test_several_missing_permissions_are_named_together(client: ContainerClient, url: str) -> None:
    store(client, "rl")
    assert refusal(url).what.endswith(": add, create, write.")


def test_a_removed_policy_is_told(azurite: Azurite, client: ContainerClient, url: str) -> None:
    customerio.revoke(azurite.connection_string, str(client.container_name))
    error = refusal(url, client)
    assert "'customerio' behind it does not exist" in error.what
    assert "removed" in refusal(url).what


def test_an_expired_policy_is_told(client: ContainerClient, url: str) -> None:
    store(client, "racwl", end=NOW - timedelta(hours=1))
    error = refusal(url, client)
    assert f"expired on {NOW - timedelta(hours=1):%Y-%m-%d %H:%M} UTC" in error.what
    assert "goes on working" in error.hint
    assert "expired" in refusal(url).what


def test_a_policy_of_tomorrow_is_told(client: ContainerClient, url: str) -> None:
    store(client, "racwl", start=NOW + DAY, end=NOW + 2 * DAY)
    assert f"not good before {NOW + DAY:%Y-%m-%d %H:%M} UTC" in refusal(url, client).what


def test_a_wrong_signature_is_told(client: ContainerClient, url: str) -> None:
    wrong = url.replace(signature(url), quote("d3Jvbmc" * 6 + "w=", safe=""))
    error = refusal(wrong, client)
    assert "key was rotated" in error.what
    assert "paste" in error.hint
    assert "signature is wrong" in refusal(wrong).what


def own_terms(client: ContainerClient, letters: ContainerSasPermissions, end: datetime) -> str:
    """Give a URL without a policy."""
    name = str(client.container_name)
    return f"{client.url}?{generate_container_sas(ACCOUNT, name, account_key=KEY, permission=letters, expiry=end)}"


def test_a_url_with_terms_of_its_own_is_examined(client: ContainerClient) -> None:
    everything = ContainerSasPermissions(read=True, add=True, create=True, write=True, list=True)
    examine_url(own_terms(client, everything, NOW + DAY), client)
    expired = refusal(own_terms(client, everything, NOW - DAY))
    assert "expired on" in expired.what
    assert "paste" in expired.hint
    no_add = ContainerSasPermissions(read=True, create=True, write=True, list=True)
    assert refusal(own_terms(client, no_add, NOW + DAY)).what.endswith(": add.")


def test_a_url_for_another_container_is_told(azurite: Azurite, client: ContainerClient) -> None:
    customerio.ensure_container(azurite.connection_string, "elsewhere")
    error = refusal(customerio.grant(azurite.connection_string, "elsewhere"), client)
    assert "'elsewhere'" in error.what


def test_addresses_that_are_not_customerios_are_told(client: ContainerClient) -> None:
    renew(client, expires=NOW + DAY)
    name = str(client.container_name)
    sas = generate_container_sas(ACCOUNT, name, account_key=KEY, policy_id=POLICY, ip="203.0.113.7")
    assert "other addresses" in refusal(f"{client.url}?{sas}").what


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "hello",
        "https://landing.blob.core.windows.net/exports",
        "https://landing.blob.core.windows.net/?sv=1&sig=c2VjcmV0c2VjcmV0",
        "http://landing.blob.core.windows.net/exports?sv=1&si=customerio&sr=c&sig=c2VjcmV0c2VjcmV0",
        "https://landing.blob.core.windows.net/exports/a?sv=1&sr=b&sig=c2VjcmV0c2VjcmV0",
        "https://[landing/exports?sig=c2VjcmV0c2VjcmV0",
        "ftp://landing/exports?sig=c2VjcmV0c2VjcmV0",
        f"https://landing{'g' * 99}.example.com/exports?sig=c2VjcmV0c2VjcmV0",
        "https:///exports?sig=c2VjcmV0c2VjcmV0",
    ],
)
def test_what_is_no_container_url_is_told_without_asking_anybody(text: str) -> None:
    with pytest.raises(LandingUnavailable, match="not the https SAS URL of a container") as caught:
        examine_url(text)
    shown = "".join(traceback.format_exception(caught.value))
    assert "c2VjcmV0" not in shown
    assert "landing" not in str(caught.value)


def test_nobody_answering_is_told(url: str) -> None:
    parts = urlsplit(url)
    error = refusal(url.replace(str(parts.port), "9"))
    assert "nobody answers" in error.what


# The examination, by Azure's own words: Azurite does not know these

Answer = Callable[[BaseHTTPRequestHandler], tuple[int, str, str]]


@contextmanager
def answering(status: int, code: str, detail: str = "", message: str = "No.", body: str = "") -> Iterator[str]:
    """Serve one answer to every request, and give a URL that leads there."""
    inner = f"<AuthenticationErrorDetail>{escape(detail)}</AuthenticationErrorDetail>" if detail else ""
    content = (
        body
        or '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{code}</Code><Message>{message}\nRequestId:1\nTime:2026</Message>{inner}</Error>"
    ).encode()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("x-ms-error-code", code)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_PUT = answer

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield (
                f"http://127.0.0.1:{server.server_address[1]}/landing/exports"
                "?sv=2025-01-05&si=customerio&sr=c&sip=34.71.192.245&sig=c2VjcmV0c2VjcmV0c2VjcmV0"
            )
        finally:
            server.shutdown()
            thread.join()


FAILED = "Server failed to authenticate the request. Make sure the value of Authorization header is formed correctly."
FRAME = "Signature not valid in the specified time frame: Start [{}] - Expiry [{}] - Current [Fri, 10 Jul 2020 10:16:22 GMT]"
PAST, FUTURE = "Thu, 09 Jul 2020 10:11:03 GMT", "Thu, 09 Jul 2099 18:11:03 GMT"


@pytest.mark.parametrize(
    ("detail", "what"),
    [
        (FRAME.format(PAST, PAST), "it expired on 2020-07-09 10:11 UTC"),
        (FRAME.format(FUTURE, FUTURE), "it is not good before 2099-07-09 18:11 UTC"),
        (f"Signed expiry time [{PAST}] has to be after signed start time [{FUTURE}]", "expired on 2020-07-09 10:11"),
        ("SAS identifier cannot be found for specified signed identifier", "'customerio' behind it does not exist"),
        ("Signature did not match. String to sign used was expiry time [x] /blob/landing/exports", "key was rotated"),
        ("Signature fields not well formed.", "not copied whole"),
        ("Something new", "its signature is wrong, or its policy expired or was removed"),
        ("", "its signature is wrong, or its policy expired or was removed"),
    ],
)
def test_azures_detail_of_a_failed_authentication_is_explained(detail: str, what: str) -> None:
    with answering(403, "AuthenticationFailed", detail, FAILED) as url:
        assert what in refusal(url).what


@pytest.mark.parametrize(
    ("status", "code", "what", "hint"),
    [
        (403, "AuthorizationSourceIPMismatch", "lets in 34.71.192.245 only", "as it should be"),
        (403, "KeyBasedAuthenticationNotPermitted", "takes no shared keys", "Allow storage account key access"),
        (403, "AuthorizationFailure", "network rules", "34.118.255.179 (eu)"),
        (404, "ContainerNotFound", "container does not exist", "Create it"),
        (403, "AuthorizationPermissionMismatch", "lacks permissions: read, add, create, write, list", "renews"),
        (503, "ServerBusy", "answers ServerBusy", "again"),
        (403, "AccountIsDisabled", "answers AccountIsDisabled", "look the code up"),
    ],
)
def test_azures_codes_are_explained(status: int, code: str, what: str, hint: str) -> None:
    with answering(status, code) as url:
        error = refusal(url)
    assert what in error.what
    assert hint in error.hint


def test_keys_that_are_switched_off_leave_policies_unknown() -> None:
    with answering(403, "KeyBasedAuthenticationNotPermitted") as url:
        own = ContainerClient(url.partition("/exports")[0], "exports", credential=key_of(KEY), retry_total=0)
        with pytest.raises(LandingUnavailable, match="KeyBasedAuthenticationNotPermitted"):
            read_policy(own)
        assert "takes no shared keys" in refusal(url).what


def test_an_identity_of_older_days_is_answered_404() -> None:
    with answering(404, "ResourceNotFound") as url:
        own = ContainerClient(url.partition("/exports")[0], "exports", credential=key_of(KEY), retry_total=0)
        with pytest.raises(LandingUnavailable, match="keeps its stored access policies"):
            read_policy(own)


def test_the_http_library_writes_no_signature_even_when_asked_to(
    azurite: Azurite, url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "urllib3.connectionpool")
    examine_url(url)
    BlobClient.from_connection_string(azurite.connection_string, "nowhere", "a").exists()
    said = [record.getMessage() for record in caplog.records if record.name == "urllib3.connectionpool"]
    assert any("/nowhere/a" in line for line in said)
    assert not any("sig=" in line for line in said)


@pytest.mark.parametrize(
    ("stored", "expires", "missing"),
    [
        ("", None, tuple(ALL)),
        ("<AccessPolicy />", None, tuple(ALL)),
        ("<AccessPolicy><Permission>racwdl</Permission></AccessPolicy>", None, ()),
        (
            "<AccessPolicy><Start>2026-11-01</Start><Expiry>2028-11-21T05:00:00.0000000Z</Expiry>"
            "<Permission>rcwl</Permission></AccessPolicy>",
            datetime(2028, 11, 21, 5, tzinfo=UTC),
            ("add",),
        ),
        ("<AccessPolicy><Expiry>2028-11-21</Expiry></AccessPolicy>", datetime(2028, 11, 21, tzinfo=UTC), tuple(ALL)),
    ],
)
def test_a_policy_is_read_as_azure_and_the_portal_write_it(
    stored: str, expires: datetime | None, missing: tuple[str, ...]
) -> None:
    identifier = f"<SignedIdentifier><Id>customerio</Id>{stored}</SignedIdentifier>"
    body = f'<?xml version="1.0" encoding="utf-8"?><SignedIdentifiers>{identifier}</SignedIdentifiers>'
    with answering(200, "", body=body) as url:
        own = ContainerClient(url.partition("/exports")[0], "exports", credential=key_of(KEY), retry_total=0)
        policy = read_policy(own)
    assert policy is not None
    assert (policy.expires_at, policy.missing) == (expires, missing)
