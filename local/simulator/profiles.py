"""Describe people: the datasets people and attributes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from local.simulator.columns import booleans, instants, numerals, table, text, words
from local.simulator.identifiers import Column, chance, cio_ids, mix
from local.simulator.records import Records
from local.simulator.workspace import Workspace

_FIRST = (
    "Ana",
    "Björn",
    "Chidi",
    "Dolores",
    "Emre",
    "Fatima",
    "Günther",
    "Hana",
    "Ines",
    "José",
    "Kwame",
    "Li",
)
_LAST = (
    "Silva",
    "Okafor",
    "Müller",
    "Tanaka",
    "Novak",
    "Haddad",
    "Larsen",
    "Moreau",
    "Rossi",
    "Kim",
    "O'Neil",
)
_LATIN_FIRST = (
    "ana",
    "bjorn",
    "chidi",
    "dolores",
    "emre",
    "fatima",
    "gunther",
    "hana",
    "ines",
    "jose",
    "kwame",
    "li",
)
_LATIN_LAST = (
    "silva",
    "okafor",
    "muller",
    "tanaka",
    "novak",
    "haddad",
    "larsen",
    "moreau",
    "rossi",
    "kim",
    "oneil",
)
_DOMAINS = ("example.com", "example.org", "mail.example.net", "example.co.uk")

# Attribute names are free text, values always strings: plain or JSON.
_ATTRIBUTES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("plan", ("free", "pro", "enterprise", "trial")),
    ("First Name", _FIRST),
    ("last_login", ("1767225600", "1769904000", "1772323200", "1775001600", "0")),
    ("address", ('{"city":"Köln","zip":"50667"}', '{"city":"Lagos","geo":{"lat":6.45,"lng":3.39}}', "{}")),
    ("Favourite Colour", ("teal", "Rot", "", "#ff8800")),
    ("tags", ('["vip","beta"]', "[]", '["churn risk, high"]')),
    ("score", ("0.75", "-3", "1e6", "100")),
    (
        "cio_subscription_preferences",
        ('{"topics":{"topic_1":true}}', '{"topics":{"topic_1":false,"topic_2":true}}'),
    ),
)
_FIRST_NAME = 1


def first_names(person: NDArray[np.int32]) -> Column:
    """Return the people's first names."""
    return words(_FIRST, mix(person, 3) % np.uint64(len(_FIRST)))


def emails(person: NDArray[np.int32], renamed: NDArray[np.int32]) -> Column:
    """Return addresses, which move to another provider with each renaming."""
    first = words(_LATIN_FIRST, mix(person, 3) % np.uint64(len(_FIRST)))
    last = words(_LATIN_LAST, mix(person, 4) % np.uint64(len(_LAST)))
    domain = words(_DOMAINS, (person + renamed) % len(_DOMAINS))
    return text(text(first, last, numerals(person), between="."), domain, between="@")


def people(rows: Records, workspace: Workspace) -> pa.Table:
    """Make rows of people; some are known by email alone, some have no creation date (1970-01-01)."""
    person = rows["person"]
    address = emails(person, rows["renamed"])
    unnamed = pa.array(chance(person, 6, 20))
    created = np.where(chance(person, 7, 40), 0, rows["created"])
    without_address = pa.array(chance(person, 8, 30))
    return table(
        "people",
        len(rows),
        {
            "workspace_id": workspace.workspace_id,
            "customer_id": pc.if_else(unnamed, address, text("user-", numerals(person + 1))),
            "internal_customer_id": cio_ids(person),
            "deleted": booleans(rows["deleted"]),
            "suppressed": booleans(rows["suppressed"]),
            "created_at": instants(created),
            "updated_at": instants(rows["at"]),
            "email_addr": pc.if_else(without_address, pa.scalar(None, pa.string()), address),
        },
    )


def attributes(rows: Records, workspace: Workspace) -> pa.Table:
    """Make rows of attributes, one change per row."""
    values = [value for _, some in _ATTRIBUTES for value in some]
    sizes = np.array([len(some) for _, some in _ATTRIBUTES])
    first = np.cumsum(sizes) - sizes
    name = rows["name"].astype(np.int64)
    drawn = mix(rows["person"].astype(np.int64) * 1009 + rows["change"], 9) % sizes[name].astype(np.uint64)
    true_name = (name == _FIRST_NAME) & (rows["change"] == 0)
    drawn = np.where(true_name, mix(rows["person"], 3) % np.uint64(len(_FIRST)), drawn)
    return table(
        "attributes",
        len(rows),
        {
            "workspace_id": workspace.workspace_id,
            "internal_customer_id": cio_ids(rows["person"]),
            "attribute_name": words([name for name, _ in _ATTRIBUTES], name),
            "attribute_value": words(values, first[name] + drawn.astype(np.int64)),
            "timestamp": instants(rows["at"]),
        },
    )
