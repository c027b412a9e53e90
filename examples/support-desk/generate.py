"""Makes the support desk's export: about 2,000 records as messy as real ones, the same bytes for the same seed.

    python generate.py --seed 17 --out data

Needs nothing but Python. Sentences come from `phrases_training.json` and `phrases_heldout.json`, which share no
template; README.md says what the desk's rules for a label are and what mess is planted.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import json
import random
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent

PRODUCTS = {
    "Lumo": "lamp",
    "Brewly": "coffee maker",
    "Vento": "fan",
    "Sonaro": "speaker",
    "Kettlo": "kettle",
    "Pixa": "camera",
    "Trekka": "watch",
    "Dusto": "vacuum",
    "Frosta": "fridge",
    "Glydo": "scooter",
    "Hearo": "headset",
    "Tappo": "keyboard",
}
# Uneven, as at any desk. (weight, chance of a product, of an order number, of a date)
INTENTS = {
    "delivery": (19, 0.7, 0.5, 0.3),
    "refund": (16, 0.7, 0.45, 0.35),
    "defect": (14, 0.8, 0.35, 0.35),
    "exchange": (13, 0.75, 0.45, 0.35),
    "billing": (11, 0.65, 0.5, 0.35),
    "cancel": (10, 0.65, 0.5, 0.3),
    "account": (8, 0.45, 0.3, 0.25),
    "other": (9, 0.6, 0.2, 0.3),
}
# Intents that a customer of each kind may say this is not about, in words that hold for any of their situations.
DECOYS = {
    "refund": ["exchange", "defect", "billing"],
    "exchange": ["refund", "defect", "billing"],
    "defect": ["refund", "exchange", "delivery"],
    "delivery": ["refund", "cancel", "billing"],
    "cancel": ["exchange", "defect"],
    "billing": ["refund", "exchange", "delivery", "cancel"],
    "account": ["refund", "delivery", "cancel", "billing"],
    "other": ["refund", "exchange", "billing"],
}
DECOY_SHARE = 0.08
# What a message says of its urgency: nothing, that it hurries, or that it does not. The desk notes the last as normal.
CUES = {"none": 45, "high": 35, "low": 20}
INTENT_SPELLINGS = {
    "refund": ["Refund", "REFUND", "Refund request", "money back"],
    "exchange": ["Exchange", "EXCHANGE", "Replacement", "swap"],
    "delivery": ["Delivery", "DELIVERY", "Shipping", "where is my order"],
    "defect": ["Defect", "DEFECT", "Faulty item", "repair"],
    "billing": ["Billing", "BILLING", "Invoice", "payment issue"],
    "cancel": ["Cancel", "CANCEL", "Cancellation", "cancel order"],
    "account": ["Account", "ACCOUNT", "Login", "my account"],
    "other": ["Other", "OTHER", "Misc", "general question"],
}
URGENCY_SPELLINGS = {
    "normal": ["Normal", "NORMAL", "medium", "P2"],
    "high": ["High", "HIGH", "urgent", "P1"],
}
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)

USABLE, CONFLICTS, EXACT_COPIES, NEAR_COPIES = 610, 6, 60, 40
NO_MESSAGE, NO_PRIORITY, UNTRIAGED, HELD_OUT = 12, 12, 1030, 200
WORDS = (7, 26)
FIRST_DAY, DAYS = datetime.date(2025, 1, 2), 420


@dataclass(frozen=True)
class Record:
    """One message and what an agent noted about it. None: the message does not say. `intent` None: never triaged."""

    message: str
    intent: str | None = None
    product: str | None = None
    order_id: str | None = None
    date: datetime.date | None = None
    urgency: str | None = None
    template: tuple[str, ...] = field(default=(), compare=False)

    def answer(self) -> dict[str, str | None]:
        """The record as the model shall give it."""
        return {
            "intent": self.intent,
            "product": self.product,
            "order_id": self.order_id,
            "date": self.date.isoformat() if self.date else None,
            "urgency": self.urgency,
        }


class Deck:
    """Draws the items of each list in random order, and none a second time before all were drawn once."""

    def __init__(self, dice: random.Random) -> None:
        self.dice = dice
        self._left: dict[tuple[str, ...], list[str]] = {}

    def draw(self, items: list[str]) -> str:
        """The next item of this list."""
        left = self._left.setdefault(tuple(items), [])
        if not left:
            left.extend(self.dice.sample(items, len(items)))
        return left.pop()


# --- One message ---------------------------------------------------------------------------------------------------


def write(intent: str, phrases: dict[str, Any], deck: Deck, *, tidy: bool) -> Record:
    """Makes a record of an intent: draws its facts, then sentences that state them, then how a person types."""
    dice = deck.dice
    _, with_product, with_order, with_date = INTENTS[intent]
    product = deck.draw(list(PRODUCTS)) if dice.random() < with_product else None
    order_id = f"{dice.choice('ABCDEFGHKLMNPRSTVWXZ')}{dice.randint(1000, 9999)}"
    day = FIRST_DAY + datetime.timedelta(days=dice.randrange(DAYS))
    cue = dice.choices(list(CUES), list(CUES.values()))[0]
    facts = Record(
        message="",
        intent=intent,
        product=product,
        order_id=order_id if dice.random() < with_order else None,
        date=day if dice.random() < with_date else None,
        urgency="high" if cue == "high" else "normal",
    )
    template = _frame(_core(facts, cue, phrases, deck), phrases, deck)
    text = " ".join(template)
    if dice.random() < (0.06 if tidy else 0.12):
        text = _misspell_words(text, dice)
    if text.isascii() and dice.random() < 0.08:
        text = text.lower()
    text = _fill(text, facts, phrases, deck)
    if dice.random() < (0.03 if tidy else 0.08):
        text = _odd_characters(text, dice)
    return replace(facts, message=text, template=tuple(template))


def _core(facts: Record, cue: str, phrases: dict[str, Any], deck: Deck) -> list[str]:
    """The sentences that carry the facts, in one of several orders."""
    dice = deck.dice
    own = phrases["intents"][facts.intent]
    request = deck.draw(own["requests"])
    details = phrases["details_other" if facts.intent == "other" else "details"]
    situation = ""
    if dice.random() < 0.6:
        topic = dice.choice(own["situations"])
        situation = deck.draw(phrases["situations"][topic])
    elif facts.product:
        situation = deck.draw(phrases["details"]["about"])
    detail = ""
    if facts.order_id and facts.date:
        if dice.random() < 0.75:
            detail = deck.draw(details["both"])
        else:
            detail = f"{deck.draw(details['order'])} {deck.draw(details['date'])}"
    elif facts.order_id or facts.date:
        detail = deck.draw(details["order" if facts.order_id else "date"])
    if dice.random() < DECOY_SHARE:
        # What the customer does not want, in the key words of another intent.
        decoy = deck.draw(phrases["decoys"][dice.choice(DECOYS[facts.intent or ""])])
        request = f"{decoy} {request}" if dice.random() < 0.6 else f"{request} {decoy}"
    orders = ((situation, detail, request), (detail, situation, request), (situation, request, detail))
    core = list(dice.choices([*orders, (request, situation, detail)], (40, 20, 30, 10))[0])
    if cue != "none":
        core.insert(dice.choice((0, len(core), len(core), len(core))), deck.draw(phrases["urgency"][cue]))
    return [part for part in core if part]


def _frame(core: list[str], phrases: dict[str, Any], deck: Deck) -> list[str]:
    """Puts an opening, a closing and by-talk around the core, so that a message has about 8 to 26 words."""
    words = sum(len(part.split()) for part in core)
    dice = deck.dice
    opening = words < 18 and (dice.random() < 0.15 or words < 7)
    closing = words < 20 and dice.random() < 0.12
    contact = dice.random() < 0.06
    filler = words < 9 and dice.random() < 0.3
    parts = [deck.draw(phrases["openings"])] if opening else []
    if filler:
        parts.append(deck.draw(phrases["fillers"]))
    parts += core
    if contact:
        parts.append(deck.draw(phrases["contacts"]))
    if closing:
        parts.append(deck.draw(phrases["closings"]))
    return parts


def _fill(text: str, facts: Record, phrases: dict[str, Any], deck: Deck) -> str:
    """Writes the facts into the slots, the way this customer writes them."""
    dice = deck.dice
    lower = text == text.lower()
    item = _product_as_typed(facts.product, dice) if facts.product else deck.draw(phrases["generic_items"])
    values = {
        "item": item.lower() if lower else item,
        "order": _order_as_typed(facts.order_id or "", dice),
        "date": _date_as_typed(facts.date, dice) if facts.date else "",
        "email": dice.choice(("anna.b", "t.miller82", "priya_s", "okafor", "lena-w", "sam.j")) + "@example.com",
        "phone": dice.choice(("+44 20 7946 0", "+44 161 496 0", "+44 113 496 0")) + f"{dice.randint(0, 999):03d}",
    }
    return re.sub(r"\{(\w+)\}", lambda slot: values[slot[1]], text)


def _product_as_typed(product: str, dice: random.Random) -> str:
    kind = PRODUCTS[product]
    style = dice.choices(("plain", "kind", "lower"), (65, 25, 10))[0]
    return {"plain": product, "kind": f"{product} {kind}", "lower": product.lower()}[style]


def _order_as_typed(order_id: str, dice: random.Random) -> str:
    return dice.choices((order_id, order_id.lower(), f"#{order_id}"), (72, 10, 18))[0]


def _date_as_typed(day: datetime.date, dice: random.Random) -> str:
    """The day as customers write it: always day before month where both are numbers, the year always given."""
    month = MONTHS[day.month - 1]
    styles = {
        f"{day.day} {month} {day.year}": 40,
        f"{day:%d/%m/%Y}": 35,
        day.isoformat(): 25,
    }
    return dice.choices(list(styles), list(styles.values()))[0]


def _misspell(word: str, dice: random.Random) -> str:
    """One slip of the finger behind the first letter: two letters swapped, one doubled, or one lost."""
    at = dice.randrange(1, len(word) - 1)
    slips = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1 :],
    )
    return dice.choice([slip for slip in slips if slip != word])


def _misspell_words(text: str, dice: random.Random) -> str:
    """Slips in one or two of the longer words; slots stay whole."""
    words = text.split(" ")
    long = [index for index, word in enumerate(words) if word.isalpha() and len(word) >= 5]
    for index in dice.sample(long, min(len(long), dice.choice((1, 1, 2)))):
        words[index] = _misspell(words[index], dice)
    return " ".join(words)


def _odd_characters(text: str, dice: random.Random) -> str:
    """What copying from mail programs and phones leaves behind: hard and narrow spaces, curly quotes, hidden marks."""
    spaces = [at for at, character in enumerate(text) if character == " "]
    at = dice.choice(spaces)
    odd = dice.choice(("\u00a0", "\u00a0", "\u202f", "  ", " \u200b", "\t"))
    return (text[:at] + odd + text[at + 1 :]).replace("'", "’")


# --- The whole export ----------------------------------------------------------------------------------------------


def training_records(phrases: dict[str, Any], seed: int) -> list[Record]:
    """All whole records of the export in random order, with the planted copies, conflicts and gaps."""
    dice = random.Random(f"{seed}/training")
    usable = _distinct(phrases, Deck(dice), USABLE + NO_PRIORITY + NO_MESSAGE + UNTRIAGED, tidy=False)
    no_message = [replace(usable.pop(), message="") for _ in range(NO_MESSAGE)]
    no_priority = [replace(usable.pop(), urgency=None) for _ in range(NO_PRIORITY)]
    untriaged = [Record(message=usable.pop().message) for _ in range(UNTRIAGED)]
    originals = dice.sample(usable, EXACT_COPIES + NEAR_COPIES + CONFLICTS)
    exact = originals[:EXACT_COPIES]
    near = [replace(record, message=_respaced(record.message, dice)) for record in originals[EXACT_COPIES:-CONFLICTS]]
    conflicting = [
        replace(record, intent=dice.choice([intent for intent in INTENTS if intent != record.intent]))
        for record in originals[-CONFLICTS:]
    ]
    records = usable + no_message + no_priority + untriaged + exact + near + conflicting
    dice.shuffle(records)
    return records


def heldout_records(phrases: dict[str, Any], seed: int) -> list[Record]:
    """The rows for the evaluation: other phrasings, fewer slips, every label right."""
    return _distinct(phrases, Deck(random.Random(f"{seed}/heldout")), HELD_OUT, tidy=True)


def _distinct(phrases: dict[str, Any], deck: Deck, count: int, *, tidy: bool) -> list[Record]:
    weights = [weight for weight, *_ in INTENTS.values()]
    seen: set[str] = set()
    records: list[Record] = []
    while len(records) < count:
        record = write(deck.dice.choices(list(INTENTS), weights)[0], phrases, deck, tidy=tidy)
        key = re.sub(r"[\s\u200b]+", " ", record.message).casefold()
        if key not in seen and WORDS[0] <= len(key.split()) <= WORDS[1]:
            seen.add(key)
            records.append(record)
    return records


def _respaced(message: str, dice: random.Random) -> str:
    """The same message sent again, with other spaces or other case."""
    style = dice.choice(("case", "spaces", "edges"))
    if style == "case":
        return message.upper() if message != message.upper() else message.lower()
    return message.replace(" ", "  ", 2) if style == "spaces" else f" {message} \n"


def _label_date(day: datetime.date, dice: random.Random) -> str:
    """The day as agents type it into a field: day first, in whatever form."""
    month = MONTHS[day.month - 1]
    return dice.choice(
        (
            f"{day:%d/%m/%Y}",
            f"{day:%d.%m.%Y}",
            day.isoformat(),
            f"{day.day} {month} {day.year}",
            f"{month[:3]} {day.day} {day.year}",
        )
    )


def _as_noted(record: Record, dice: random.Random) -> dict[str, str]:
    """The agent's fields in the desk's many spellings; empty where nothing was noted."""

    def spelt(value: str | None, spellings: list[str]) -> str:
        if value is None:
            return ""
        text = value if dice.random() < 0.6 else dice.choice(spellings)
        return f" {text} " if dice.random() < 0.03 else text

    product = record.product or ""
    return {
        "intent": spelt(record.intent, INTENT_SPELLINGS.get(record.intent or "", [])),
        "product": spelt(record.product, [product.upper(), product.lower(), f"{product} {PRODUCTS.get(product, '')}"]),
        "order": record.order_id or "",
        "date": _label_date(record.date, dice) if record.date else "",
        "urgency": spelt(record.urgency, URGENCY_SPELLINGS.get(record.urgency or "", [])),
    }


def tickets_csv(records: list[Record], dice: random.Random) -> str:
    """The ticket system's export, with two rows that have cells too many, and one whose encoding `generate` breaks."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    labels = ("Category", "Product", "Order no.", "Purchase date", "Priority")
    names = ("Ticket ID", "Created", "Customer message", *labels)
    writer.writerow(names)
    for number, record in enumerate(records, start=1):
        noted = _as_noted(record, dice)
        row = [f"T-{20000 + number}", _created(record, dice), record.message, *noted.values()]
        if number in (len(records) // 3, len(records) // 2):
            writer.writerow([f"T-{90000 + number}", "broken export row", "see attachment", *("?" for _ in names)])
        if number == len(records) // 4:
            writer.writerow([f"T-{90000 + number}", "", "Jörg, old system", *("" for _ in names[3:])])
        writer.writerow(row)
    return out.getvalue()


def portal_jsonl(records: list[Record], dice: random.Random) -> str:
    """The web portal's export, with two lines cut off in the middle."""
    lines = []
    for number, record in enumerate(records, start=1):
        noted = {name: value or None for name, value in _as_noted(record, dice).items()}
        triage = {
            "topic": noted["intent"],
            "article": noted["product"],
            "order_number": noted["order"],
            "order_date": noted["date"],
            "prio": noted["urgency"],
        }
        entry = {
            "id": 70000 + number,
            "received": _created(record, dice),
            "request": {"channel": "web", "body": record.message or None},
            "triage": triage if any(triage.values()) else None,
        }
        lines.append(json.dumps(entry, ensure_ascii=False))
        if number in (len(records) // 4, len(records) // 2):
            lines.append(lines[-1][: len(lines[-1]) // 2])
    return "\n".join(lines) + "\n"


def chats_jsonl(records: list[Record], dice: random.Random) -> str:
    """The chat tool's logs, the customer's first message first; a stray line and a cut one between them."""
    replies = (
        "Thank you, I will look into it.",
        "Sorry to hear that! One moment.",
        "Hello, let me check that for you.",
    )
    lines = []
    for number, record in enumerate(records, start=1):
        noted = {name: value or None for name, value in _as_noted(record, dice).items()}
        turns = [
            {"from": "customer", "text": record.message},
            {"from": "agent", "text": dice.choice(replies)},
            {"from": "customer", "text": "ok"},
        ]
        entry: dict[str, Any] = {"chat": f"c{5000 + number}", "turns": turns[: dice.choice((1, 2, 3))]}
        if any(noted.values()):
            entry["resolution"] = {
                "reason": noted["intent"],
                "item": noted["product"],
                "order": noted["order"],
                "bought": noted["date"],
                "urgency": noted["urgency"],
            }
        lines.append(json.dumps(entry, ensure_ascii=False))
        if number == len(records) // 3:
            lines.append("--- export resumed after connection loss ---")
        if number == len(records) // 2:
            lines.append(lines[-1][:60])
    return "\n".join(lines) + "\n"


def _created(record: Record, dice: random.Random) -> str:
    day = (record.date or FIRST_DAY) + datetime.timedelta(days=dice.randrange(1, 30))
    clock = f"{dice.randint(7, 21):02d}:{dice.randint(0, 59):02d}"
    return f"{day:%d/%m/%Y} {clock}" if dice.random() < 0.5 else f"{day.isoformat()}T{clock}:00"


def heldout_jsonl(records: list[Record]) -> str:
    """The evaluation rows, as the answers shall be."""
    return "".join(
        json.dumps({"message": record.message, **record.answer()}, ensure_ascii=False) + "\n" for record in records
    )


def phrases(name: str) -> dict[str, Any]:
    """The templates of `training` or `heldout`."""
    found: dict[str, Any] = json.loads((HERE / f"phrases_{name}.json").read_text(encoding="utf-8"))
    return found


def generate(seed: int, out: Path) -> None:
    """Writes the four files of the export into a folder."""
    records = training_records(phrases("training"), seed)
    dice = random.Random(f"{seed}/files")
    first, second = len(records) * 45 // 100, len(records) * 75 // 100
    files = {
        "tickets.csv": tickets_csv(records[:first], dice),
        "portal.jsonl": portal_jsonl(records[first:second], dice),
        "chats.jsonl": chats_jsonl(records[second:], dice),
        "heldout.jsonl": heldout_jsonl(heldout_records(phrases("heldout"), seed)),
    }
    out.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        # The ticket system puts a byte order mark in front, and once wrote an umlaut in another encoding.
        encoded = text.encode("utf-8-sig" if name == "tickets.csv" else "utf-8")
        (out / name).write_bytes(encoded.replace(b"J\xc3\xb6rg, old system", b"J\xf6rg, old system"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Makes the support desk's export.")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--out", type=Path, default=HERE / "data")
    arguments = parser.parse_args()
    generate(arguments.seed, arguments.out)
