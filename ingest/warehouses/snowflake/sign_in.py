"""How to sign in to Snowflake, without passwords: what `snowflake.connector.connect` is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_never
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ingest.errors import SettingsError
from ingest.settings import Settings, SignIn

_EXAMPLE = "Make one with: openssl genrsa 2048 | openssl pkcs8 -topk8 -inform PEM -out rsa_key.p8 -nocrypt"


def arguments(settings: Settings) -> dict[str, Any]:
    """Return the address and the credentials.

    Raises SettingsError when a setting is missing, or the private key cannot be read.
    """
    _refuse_half_of_it(settings)
    where: dict[str, Any] = {"account": settings.snowflake_account}
    if settings.snowflake_host is not None:
        address = urlsplit(settings.snowflake_host)
        where |= {"host": address.hostname, "protocol": address.scheme}
        where |= {"port": address.port} if address.port else {}
    return where | _credentials(settings)


def _refuse_half_of_it(settings: Settings) -> None:
    chosen = settings.snowflake_sign_in
    keys = (settings.snowflake_private_key, settings.snowflake_private_key_file)
    if settings.snowflake_account is None:
        raise SettingsError("SNOWFLAKE_ACCOUNT: WAREHOUSE=snowflake needs it.", hint="Example: myorg-account1")
    if settings.snowflake_user is None and chosen is SignIn.KEY_PAIR:
        raise SettingsError("SNOWFLAKE_USER: SNOWFLAKE_SIGN_IN=key_pair needs it.", hint="Example: customerio_ingest")
    if chosen is SignIn.KEY_PAIR and sum(key is not None for key in keys) != 1:
        raise SettingsError(
            "SNOWFLAKE_PRIVATE_KEY: SNOWFLAKE_SIGN_IN=key_pair needs either it or SNOWFLAKE_PRIVATE_KEY_FILE.",
            hint=_EXAMPLE,
        )
    if chosen is SignIn.OAUTH and settings.snowflake_token is None:
        raise SettingsError(
            "SNOWFLAKE_TOKEN: SNOWFLAKE_SIGN_IN=oauth needs it.", hint="Example: a Key Vault reference to the token"
        )


def _credentials(settings: Settings) -> dict[str, Any]:
    user = {} if settings.snowflake_user is None else {"user": settings.snowflake_user}
    match settings.snowflake_sign_in:
        case SignIn.KEY_PAIR:
            return {**user, "authenticator": "SNOWFLAKE_JWT", "private_key": _private_key(settings)}
        case SignIn.WORKLOAD_IDENTITY:
            # The connector itself reads MANAGED_IDENTITY_CLIENT_ID, and the platform's IDENTITY_ENDPOINT.
            return {**user, "authenticator": "WORKLOAD_IDENTITY", "workload_identity_provider": "AZURE"}
        case SignIn.OAUTH:
            assert settings.snowflake_token is not None
            return {**user, "authenticator": "oauth", "token": settings.snowflake_token.get_secret_value()}
        case _:
            assert_never(settings.snowflake_sign_in)


def _private_key(settings: Settings) -> bytes:
    """Return the key in the form the connector takes: DER, PKCS8, not encrypted."""
    name, text = _pem(settings)
    passphrase = settings.snowflake_passphrase
    try:
        key = load_pem_private_key(text, None if passphrase is None else passphrase.get_secret_value().encode())
        return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        # The cause may quote the key, so it is not kept.
        raise SettingsError(
            f"{name}: it is no private key in PEM form, or SNOWFLAKE_PRIVATE_KEY_PASSPHRASE does not open it.",
            hint=_EXAMPLE,
        ) from None


def _pem(settings: Settings) -> tuple[str, bytes]:
    """Return the setting's name and the key's text; app settings may hold it in one line."""
    if settings.snowflake_private_key is not None:
        text = settings.snowflake_private_key.get_secret_value()
        return "SNOWFLAKE_PRIVATE_KEY", text.replace("\\n", "\n").strip().encode()
    path = settings.snowflake_private_key_file or Path()
    try:
        return "SNOWFLAKE_PRIVATE_KEY_FILE", path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"SNOWFLAKE_PRIVATE_KEY_FILE: {path} cannot be read ({type(error).__name__}).", hint=_EXAMPLE
        ) from None
