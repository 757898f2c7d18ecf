"""Prove how the app signs in to Snowflake: three ways, none with a password, and clear words when something is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from ingest.errors import SettingsError
from ingest.settings import read_settings
from ingest.warehouses.snowflake import names_of
from ingest.warehouses.snowflake.sign_in import arguments
from tests.stand_in import StandIn, opened

BASE = {"EXPORT_STORAGE": "UseDevelopmentStorage=true", "WAREHOUSE": "snowflake", "SNOWFLAKE_ACCOUNT": "org-acc"}
KEY_PAIR = {**BASE, "SNOWFLAKE_USER": "loader"}


@pytest.fixture(scope="module")
def key() -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def pem(key: RSAPrivateKey, passphrase: str | None = None) -> str:
    encryption = NoEncryption() if passphrase is None else BestAvailableEncryption(passphrase.encode())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


@pytest.mark.parametrize("written", [str, lambda text: text.replace("\n", "\\n")], ids=["lines", "one line"])
def test_a_key_comes_from_a_setting(key: RSAPrivateKey, written: Callable[[str], str]) -> None:
    """Key Vault references give the text; app settings may hold it in one line."""
    given = arguments(read_settings({**KEY_PAIR, "SNOWFLAKE_PRIVATE_KEY": written(pem(key))}))
    assert (given["authenticator"], given["user"], given["account"]) == ("SNOWFLAKE_JWT", "loader", "org-acc")
    loaded = load_der_private_key(given["private_key"], None)
    assert isinstance(loaded, RSAPrivateKey)
    assert loaded.private_numbers() == key.private_numbers()
    assert "password" not in given


def test_a_key_comes_from_a_file_and_may_be_encrypted(key: RSAPrivateKey, tmp_path: Path) -> None:
    path = tmp_path / "key.p8"
    path.write_text(pem(key, "opens"))
    values = {**KEY_PAIR, "SNOWFLAKE_PRIVATE_KEY_FILE": str(path)}
    assert arguments(read_settings({**values, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "opens"}))["private_key"]
    with pytest.raises(SettingsError, match="SNOWFLAKE_PRIVATE_KEY_PASSPHRASE") as refused:
        arguments(read_settings({**values, "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE": "does not"}))
    assert "does not open" in str(refused.value)


def test_a_managed_identity_needs_no_user() -> None:
    values = {**BASE, "SNOWFLAKE_SIGN_IN": "workload_identity", "MANAGED_IDENTITY_CLIENT_ID": "an id"}
    given = arguments(read_settings(values))
    assert given == {
        "account": "org-acc",
        "authenticator": "WORKLOAD_IDENTITY",
        "workload_identity_provider": "AZURE",
    }
    assert names_of(read_settings(values)).identity == "an id"


def test_an_oauth_token_is_passed_on() -> None:
    given = arguments(read_settings({**BASE, "SNOWFLAKE_SIGN_IN": "oauth", "SNOWFLAKE_TOKEN": "token"}))
    assert (given["authenticator"], given["token"]) == ("oauth", "token")


def test_another_address_is_taken_apart() -> None:
    values = {**BASE, "SNOWFLAKE_SIGN_IN": "oauth", "SNOWFLAKE_TOKEN": "t", "SNOWFLAKE_HOST": "http://host:123"}
    given = arguments(read_settings(values))
    assert (given["host"], given["port"], given["protocol"]) == ("host", 123, "http")


@pytest.mark.parametrize(
    ("without", "named"),
    [
        ({"SNOWFLAKE_ACCOUNT": ""}, "SNOWFLAKE_ACCOUNT"),
        ({"SNOWFLAKE_USER": ""}, "SNOWFLAKE_USER"),
        ({"SNOWFLAKE_PRIVATE_KEY": ""}, "SNOWFLAKE_PRIVATE_KEY"),
        ({"SNOWFLAKE_PRIVATE_KEY_FILE": "key.p8"}, "SNOWFLAKE_PRIVATE_KEY"),
        ({"SNOWFLAKE_PRIVATE_KEY": "secret nonsense"}, "SNOWFLAKE_PRIVATE_KEY"),
        ({"SNOWFLAKE_PRIVATE_KEY": "", "SNOWFLAKE_PRIVATE_KEY_FILE": "/not/there.p8"}, "SNOWFLAKE_PRIVATE_KEY_FILE"),
        ({"SNOWFLAKE_SIGN_IN": "oauth"}, "SNOWFLAKE_TOKEN"),
    ],
)
def test_what_is_missing_is_named(key: RSAPrivateKey, without: dict[str, str], named: str) -> None:
    values = {**KEY_PAIR, "SNOWFLAKE_PRIVATE_KEY": pem(key), **without}
    with pytest.raises(SettingsError, match=named) as refused:
        opened(read_settings(values))
    assert "secret" not in str(refused.value)


def test_a_password_is_no_setting() -> None:
    assert not any("PASSWORD" in str(field.alias) for field in type(read_settings(BASE)).model_fields.values())


@pytest.mark.parametrize("way", ["key_pair", "oauth"])
def test_the_connector_takes_what_it_is_given(stand_in: StandIn, container: str, key: RSAPrivateKey, way: str) -> None:
    """The stand-in checks nothing, but the connector makes its token of the key."""
    more = {"SNOWFLAKE_PRIVATE_KEY": pem(key)} if way == "key_pair" else {}
    settings = stand_in.settings(container, SNOWFLAKE_SIGN_IN=way, **more)
    stand_in.prepare(settings)
    warehouse = opened(settings)
    warehouse.prepare()
    assert warehouse.waiting() == []
    warehouse.close()
