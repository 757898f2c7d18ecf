"""Write what deliveries say: the delivery_content dataset, with bodies of a few hundred bytes."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from local.simulator.columns import integers, numerals, table, text, words
from local.simulator.identifiers import Column, chance, delivery_ids, mix
from local.simulator.population import Population
from local.simulator.profiles import emails, first_names
from local.simulator.records import Records
from local.simulator.workspace import CHANNELS, EMAIL, PUSH, SMS, WEBHOOK, WHATSAPP, Workspace

_SUBJECTS = (
    "Your week in review",
    "We saved your basket",
    "Welcome aboard",
    "Ein Gruß zum Wochenende 🎉",
    "Receipt",
)
_TEXTS = (
    "here is what happened in your account this week, and three things that others found worth a look.",
    "the things you chose are still there. They go back on the shelf tomorrow evening.",
    "good to have you. Set up your first project, invite a colleague, and the rest explains itself.",
    'schöne Grüße aus Köln: zwei neue Funktionen, ein Rezept und ein Rätsel, "nur für dich".',
    "thank you for your order. You find the receipt below;\nkeep it for your records.",
)
_HTML = tuple(
    '<!DOCTYPE html><html><head><meta charset="utf-8"></head><body style="font-family:sans-serif"><p>Hi {}, '
    f'{said}</p><p><a href="https://shop.example.com/x?utm_source=customerio">Have a look</a></p></body></html>'
    for said in _TEXTS
)
_AMP = (
    '<!doctype html><html ⚡4email><head><script async src="https://cdn.ampproject.org/v0.js"></script></head></html>'
)
_SENDERS = ("news@mail.example.com", "Ana from Example <ana@mail.example.com>", "no-reply@mail.example.com")
_HOOK = "https://hooks.example.com/orders"


def contents(rows: Records, workspace: Workspace, population: Population) -> pa.Table:
    """Make the rows of delivery_content."""
    channel = rows["channel"]
    email, webhook = channel == EMAIL, channel == WEBHOOK
    person = rows["person"]
    theme = ((rows["campaign"] + rows["newsletter"] + rows["transactional"]) % len(_TEXTS)).astype(np.int64)
    name = first_names(person)
    before, after = (words([html.split("{}")[part] for html in _HTML], theme) for part in (0, 1))
    plain = text(text("Hi ", name, ", "), words(_TEXTS, theme))
    html = text(before, name, after)
    rendered_again = pa.array(rows["state"] > 0)
    plain = pc.if_else(rendered_again, text(plain, " (corrected)"), plain)
    return table(
        "delivery_content",
        len(rows),
        {
            "workspace_id": workspace.workspace_id,
            "delivery_id": delivery_ids(rows["number"], workspace.seed),
            "campaign_id": integers(rows["campaign"], rows["campaign"] > 0),
            "action_id": integers(rows["action"], rows["action"] > 0),
            "newsletter_id": integers(rows["newsletter"], rows["newsletter"] > 0),
            "content_id": integers(np.maximum(rows["content"], 0), rows["newsletter"] > 0),
            "from": words(_SENDERS, theme % len(_SENDERS), email),
            "reply_to": words(("help@example.com", ""), theme % 2, email & (theme > 0)),
            "bcc": words(("archive@example.com",), theme * 0, email & chance(rows["number"], 21, 50)),
            "recipient": _recipients(rows, population),
            "subject": words(_SUBJECTS, theme, email),
            "body": pc.if_else(pa.array(email), html, plain),
            "body_amp": pc.if_else(pa.array(email & (theme == 2)), _AMP, pa.scalar(None, pa.string())),
            "body_plain": plain,
            "preheader": words(("Only until Sunday", "", "Three minutes"), theme % 3, email & (theme > 1)),
            "url": words((_HOOK,), theme * 0, webhook),
            "method": words(("POST", "PUT"), theme % 2, webhook),
            "headers": words(('{"Content-Type":"application/json"}',), theme * 0, webhook),
            "type": words(CHANNELS, channel),
        },
    )


def _recipients(rows: Records, population: Population) -> Column:
    """Address by email, telephone, or device; people who are gone stay anonymous."""
    person, channel = rows["person"], rows["channel"]
    address = emails(person, population.renamed[person])
    phone = text("+1555", numerals(1_000_000 + person % 9_000_000))
    device = text("device-", numerals((mix(person, 5) >> np.uint64(20)).astype(np.int64)))
    address = pc.if_else(pa.array((channel == SMS) | (channel == WHATSAPP)), phone, address)
    address = pc.if_else(pa.array(channel == PUSH), device, address)
    address = pc.if_else(pa.array(channel == WEBHOOK), _HOOK, address)
    recipient: Column = pc.if_else(pa.array(population.gone[person]), "anonymized", address)
    return recipient
