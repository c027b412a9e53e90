"""Redaction: rows a second on one core, and what of the personal data in planted rows it finds.

Rows of some 20 words: people's names in many contexts, structured kinds with valid check digits, many rows full of
numbers without any name, and hard negatives (products, places, weekdays, beginnings of sentences, capitals). No name of
the rows stands in the gazetteer; the script refuses to run otherwise. The rules were developed on other rows
(tests/data/personal/planted.py), which are measured in the same way and told apart.

python bench/redaction.py --json
"""

# ruff: noqa: SIM905 (long lists of words read better as a text)
from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROWS = 20_000
SEED = 17

GIVEN = (
    "Oluwatomisin Chukwuemelie Thandolwethu Nkosinathi Ayodejiwe Zsuzsika Wojciecha Grzegorza Yevhen Oleksandr "
    "Volodymyr Bohdanivka Svitlana Ruslana Dzhamilya Aigerim Nursultan Batbayar Tserendorj Xiaolong Jianyu Meiling "
    "Zhiwei Haruto Sakurako Takeshi Yukihiro Minjun Seoyeon Jihoon Hyunwoo Thuyet Phuong Sokha Chanthavy Somchai "
    "Kanokwan Budiarto Waleed Khadijah Abdulrahman Yasmeena Tariqul Shahriar Golnaz Farshid Bahareh Siavash Hovhannes "
    "Anahit Tigran Giorgi Ninotka Levantiko Ketevan Aurelijus Birute Gintaras Rasmina Juhanniko Päivikkä Sigurbjörn "
    "Þórdís Guðrún Caoimheen Fionnghuala Tadhgán Eilidhe Rhiannydd Llewelyna Gwynethe Iñaki Xoán Eskarne Nereazu "
    "Amaiur Quetzali Xochiquetzal Itzamara Tupaqa Kahealani Makoawe Leilanique Tawhiri Ngairetta Makenzo Jorvik "
    "Elowyn Zephyrine Calixtine Ondrina Brynhilda Torvaldo Ysolde Peregrino"
).split()
FAMILY = (
    "Okonkwoye Adebayowa Mthembuza Nkrumahson Wanjikuta Haileselas Tesfamichael Gebreyes Szczepaniakow Brzezickiew "
    "Krzyżanow Wiśniewskaja Kovalenkova Shevchukov Bondarenkyi Tymoshenkiv Abdurakhman Nazarbekov Batsaikhan "
    "Otgonbayar Zhangwei Ouyangli Takahashiro Nakamurane Yamaguchiya Kobayakawa Hwangbo Seokgu Nguyentran Phamvuong "
    "Srisawat Chaiyaporn Wijayakusuma Hartonosari Al-Mansouriya Khalilzadegan Hosseinpour Tehranifar Ghorbanian "
    "Petrosyantz Harutyunyants Kvaratskhel Beridzeli Kazlauskien Petrauskaite Bergströmqvist Lindholmsen "
    "Hämäläisniemi Korhosalo Þorvaldsdóttir Guðmundsbur O'Shaughnesey O'Rafferton McGillicutty MacFergusdale "
    "Llanfairson Etxeberriaga Zubizarretz Goikoetxandi Quispehuaman Mamaniqa Tlatoaniz Kealohanui Tūmatauenga "
    "Vandersteenhout Oosterwijkland Rautenstrauchner Schönwetterling Grünspanhauer Zwickelbauer Beaufortier "
    "Desrosiersel Lachapellet Montreuillon Castellanesi Bracciolinio Quattrocchiara Vasconcelhos Figueiredense "
    "Thistlewoodham Ravenscroftley Hollingbury Penhaligonne Trevanionish Wolstencraft Featherstonhow Umberleigh "
    "Quillfeather Ashdownley"
).split()
PARTICLES = ("van der", "von", "de la", "de", "al", "bin", "del", "van")

ABOUT_PEOPLE = (
    "My name is {full} and I have been waiting for a reply about my refund for more than nine days now.",
    "Hello, this is {full} again, I still cannot log in to the portal even though I reset everything yesterday.",
    "Dear {full}, thank you for your message, we have looked into the delay and will get back to you soon.",
    "I spoke with {full} at the front desk last week and was promised that the repair would cost nothing.",
    "Please forward this to {full}, who handled the previous complaint and knows the history of the account well.",
    "Could somebody tell {given} that the meeting was moved to the afternoon because the room is being painted?",
    "{full} called this morning and asked whether the second parcel could be left with a neighbour next time.",
    "The contract was signed by {full} on behalf of the buyer, and the keys were handed over the same day.",
    "According to {full}, the heating failed twice in one night and nobody answered the emergency line.",
    "We met {full} and {other} at the trade fair, and both of them want a quote before the end of the quarter.",
    "Thanks for the quick help, everything works again and I could not be happier with the service.\nRegards,\n{full}",
    "The screen stays black after the update, what should I do next?\nBest,\n{given}",
    "From: {full}\nSubject: broken zipper\nThe zipper on the jacket broke after two days, can I exchange it?",
    "{full}'s account was locked after three attempts, please unlock it as soon as you can manage to.",
    "My wife {given} ordered the blue curtains in the wrong size and would like to swap them for longer ones.",
    "Dr. {family} told me to take the tablets twice a day, but the leaflet in the box says otherwise.",
    "Ms {family} would like an appointment in the morning, since she works late for the rest of the month.",
    "It was {full} who noticed that the totals on the second page did not match those on the first one.",
    "Our colleague {full} will visit the site tomorrow with the measuring tools and a copy of the plans.",
    "I am {full}, the tenant on the second floor, and the tap in the kitchen has been dripping since last night.",
    "Ask {given} or {othergiven} whether the samples arrived, they were both in the warehouse when the truck came.",
    "The nurse, {full}, was extremely kind and explained every step before she did anything at all.",
    "Payment reminder sent to {full}; no answer so far, so we will try to reach the customer by telephone.",
    "Yesterday {full} returned the drill with a broken handle and wanted the whole amount back in cash.",
    "Can you add {full} to the policy as a second driver and let me know how much more that would be?",
    "{initial}. {family} has confirmed the booking for two nights and asks for a quiet room away from the lift.",
    "The reviewer {full} wrote that the battery lasts for a day at most and that the strap itches a little.",
    "Sehr geehrte Frau {family}, vielen Dank für Ihre Nachricht, wir haben die Lieferung noch einmal geprüft.",
    "Sehr geehrter Herr {family}, leider ist das Gerät zurzeit nicht lieferbar, wir bitten um etwas Geduld.",
    "Guten Tag, mein Name ist {full} und ich warte seit zwei Wochen auf die Rechnung zu meiner Bestellung.",
    "Die Heizung fällt jede Nacht aus, bitte schicken Sie bald jemanden.\nMit freundlichen Grüßen\n{full}",
    "Ich habe gestern mit {full} gesprochen und sie hat mir die Rückerstattung fest zugesagt.",
    "Bonjour, je m'appelle {full} et je n'ai toujours pas reçu le colis que vous avez envoyé lundi.",
    "Le livreur n'est jamais passé et personne ne répond au téléphone depuis hier.\nCordialement,\n{full}",
    "Madame {family} souhaite annuler sa réservation pour le week-end et demande le remboursement de l'acompte.",
    "Bonjour Monsieur {family}, nous avons bien reçu votre demande et nous vous répondrons dans la semaine.",
    "Customer: {full}\nIssue: charged twice for the same subscription, wants the second payment to be returned.",
    "cc {full} and the finance team, so that everybody knows which invoice we are talking about here.",
    "{full} (34) lives alone and needs help with the forms, which are only available on paper at the moment.",
    "After the fall, {full} was taken to the clinic, where the wrist was put in plaster for six weeks.",
)
STRUCTURED = (
    ("email", "You can reach me at {value} at any time, I usually read my messages within an hour or two."),
    ("email", "the confirmation went to {value} instead of my new mailbox, please change that in the profile"),
    ("phone", "Please call me back on {value} after five in the afternoon, since I am at work before that."),
    ("phone", "mobile: {value}, but only for urgent matters, otherwise simply write to the usual address"),
    ("card", "I paid with the card {value} and was charged twice for one and the same pair of shoes."),
    ("iban", "Please transfer the money to {value} as soon as possible, the name on the account is the same."),
    ("national_id", "The form asks for the social security number, mine is {value}, is it safe to send it like this?"),
    ("ip", "The firewall blocked a request from {value} four times last night, could you have a look at the logs?"),
    ("mac", "The device with the address {value} does not show up in the list of the router after the restart."),
    ("birth_date", "The patient was born on {value} and has been coming to the practice for more than ten years."),
    ("birth_date", "date of birth: {value}, no known allergies, last visit in spring, next one is not yet planned"),
    ("secret", "I can still log in with the password: {value} although I changed it yesterday, please look into it."),
    ("secret", "Somebody pushed the key {value} to the public repository, it must be revoked at once."),
    ("url", "The link {value} was posted in the open channel, anyone who has it can see the whole folder."),
    ("address", "Please send the replacement to {value} because the old place is being renovated this month."),
    ("address", "We moved last week, the new address is {value}.\nEverything else on the account stays as it was."),
)
NUMBERS = (
    "Order {n} was split into {s} parcels with {s} items each, total weight {d} kg, shipped on 2024-0{m}-1{m}.",
    "Invoice {n}: {s} x {d} EUR, {s} x {d} EUR, discount {s} %, sum {d}, due in {s} days, reference {n}-{n}.",
    "Readings {d} {d} {d} {d} and {d} were taken at {s}:{t}, {s}:{t} and {s}:{t}, the mean over all is {d}.",
    "Part number A{n}-{s}B, lot {n}, revision {s}.{s}.{s}, tolerance {d} mm, torque {d} Nm, {s} per box.",
    "In 20{t} we sold {n} units, in 19{t} only {n}, so growth over {s} years was {d} percent per year.",
    "Score {s}:{s} after {t} minutes, {n} spectators, {s} yellow cards, lap {s} in {s}:{t}.{n} seconds.",
    "SELECT {n}, {d} FROM t{s} WHERE id = {n} AND x{s} > {d} LIMIT {t}; took {d} ms for {n} rows.",
    "Q{m} {n} Q{m} {n} Q{m} {n} YTD {n} FY{t} {n} EBIT {d} M USD {d} M",
)
NEGATIVES = (
    "Kubernetes and Terraform are installed on the Ubuntu server, but Grafana shows nothing since the last restart.",
    "The Samsung Galaxy is slower than the Google Pixel, and both cost more than last year in the Apple Store.",
    "On Monday and Thursday the office in Rotterdam is closed, from Wednesday in June we open on Saturdays, too.",
    "We flew from Lisbon to Nairobi via Frankfurt and spent three nights in Mombasa before going to Zanzibar.",
    "Unfortunately Nothing Works After The Latest Update, Please Fix The Login Page As Soon As Possible.",
    "PLEASE STOP SENDING ME EMAILS, I HAVE ASKED FOR THIS THREE TIMES AND NOTHING HAS HAPPENED YET.",
    "Lake Victoria, Mount Kenya and the Masai Mara National Reserve were the best parts of the whole journey.",
    "The Bluetooth speaker from Sonos connects to the Spotify app, while the one from Bose does not.",
    "Does the Premium Plan include the Mobile App, or is that only part of the Enterprise Edition?",
    "Microsoft Excel opens the file, LibreOffice Calc does not, and Google Sheets shows only the first tab.",
    "I studied at Stanford University and later worked at Goldman Sachs in London and at Deutsche Bank.",
    "The museum on Trafalgar Square is near Charing Cross, ten minutes on foot from Covent Garden.",
    "Christmas is over, Easter is in April, and the summer sale starts on the first Friday in July.",
    "The French and German versions are ready, the Japanese and Portuguese ones follow in early September.",
    "Why does the Nintendo Switch need an update before Mario Kart starts? The PlayStation is simpler.",
    "Error: Could not connect to PostgreSQL on Debian, see the Docker log and the Nginx configuration.",
    "Returns are accepted within fourteen days. Shoes must not have been worn. Refunds take about a week.",
    "Delivery to Switzerland, Norway and Iceland takes longer, and customs duties are paid by the customer.",
    "Bitte senden Sie mir die Rechnung für die Bestellung vom Montag noch einmal an meine neue Adresse.",
    "Die Lieferung nach Hamburg kommt am Dienstag, die Waschmaschine und der Trockner folgen im Oktober.",
    "Veuillez trouver la facture de la commande de mardi, la livraison à Bordeaux est prévue en juillet.",
    "Can I wear the North Face jacket in heavy rain, or should I rather take the one from Patagonia?",
    "Toyota Corolla, Honda Civic and Volkswagen Golf are in the same class, and a Ford Focus costs less.",
    "HTTP and SMTP are blocked, DNS works, VPN does not, and the CPU is at full load according to SNMP.",
    "May I ask when the new version comes out? Will it be free? Mark the answer as solved if it is.",
)
STREETS_ENGLISH = "Maple Birchwood Harbour Chestnut Kingsley Orchard Windmill Priory Quarry Larkspur".split()
ENDS_ENGLISH = "Street Road Avenue Lane Drive Close Terrace Boulevard Crescent Court".split()
STREETS_GERMAN = "Lindenstraße Ahornweg Bergstraße Schillerplatz Gartenweg Mozartallee Kirchgasse Uferstraße".split()
STREETS_FRENCH = ("rue des Lilas", "avenue de la Gare", "boulevard Voltaire", "place du Marché", "chemin des Vignes")


@dataclass(frozen=True, slots=True)
class Row:
    """A text, and the personal data in it: kind and place."""

    text: str
    planted: tuple[tuple[str, int, int], ...] = ()
    about: str = "people"


def planted_rows(count: int, seed: int) -> list[Row]:
    """So many rows, drawn with a seed: two fifths with names, a quarter structured, the rest without personal data."""
    source = random.Random(seed)
    makers: list[tuple[float, Callable[[random.Random], Row]]] = [
        (0.40, lambda r: people_row(r.choice(ABOUT_PEOPLE), r)),
        (0.25, lambda r: structured_row(*r.choice(STRUCTURED), r)),
        (0.20, number_row),
        (0.15, lambda r: Row(r.choice(NEGATIVES), about="negatives")),
    ]
    chosen = source.choices([make for _, make in makers], [share for share, _ in makers], k=count)
    return [make(source) for make in chosen]


def people_row(template: str, source: random.Random, given: list[str] = GIVEN, family: list[str] = FAMILY) -> Row:
    """A template's row with names drawn from two lists."""
    first, other = source.sample(given, 2)
    last, last_other = source.sample(family, 2)
    values = {
        "given": first,
        "othergiven": other,
        "family": last,
        "initial": first[0],
        "full": full_name(first, last, source),
        "other": f"{other} {last_other}",
    }
    return fill(template, values, dict.fromkeys(values, "name"), "people")


def full_name(first: str, last: str, source: random.Random) -> str:
    """A whole name: plain, with a particle, an initial, or hyphens."""
    shape = source.random()
    if shape < 0.12:
        return f"{first} {source.choice(PARTICLES)} {last}"
    if shape < 0.20:
        return f"{first} {source.choice('ABCDEFGHJKLMNPRSTW')}. {last}"
    return f"{first} {last}"


def fill(template: str, values: dict[str, str], kinds: dict[str, str], about: str) -> Row:
    """A template with values in it, and where they stand. An initial and the name behind it are one place."""
    text, planted = "", []
    for literal, field in re.findall(r"([^{]*)(?:\{(\w+)\})?", template):
        if field and literal == ". " and planted and template.startswith("{initial}"):
            start = planted.pop()[1]
            text += literal + values[field]
            planted.append((kinds[field], start, len(text)))
            continue
        text += literal
        if field:
            planted.append((kinds[field], len(text), len(text) + len(values[field])))
            text += values[field]
    return Row(text, tuple(planted), about)


def structured_row(kind: str, template: str, source: random.Random) -> Row:
    """A row with one value of a kind that has a form."""
    return fill(template, {"value": VALUES[kind](source)}, {"value": kind}, "structured")


def number_row(source: random.Random) -> Row:
    """A row full of numbers, none of them a person's."""
    draw = {
        "n": lambda: str(source.randrange(100, 99_999)),
        "s": lambda: str(source.randrange(1, 10)),
        "m": lambda: str(source.randrange(1, 5)),
        "t": lambda: str(source.randrange(10, 60)),
        "d": lambda: f"{source.uniform(1, 999):.2f}",
    }
    return Row(re.sub(r"\{(\w)\}", lambda found: draw[found[1]](), source.choice(NUMBERS)), about="numbers")


def _digits(source: random.Random, count: int) -> str:
    return "".join(str(source.randrange(10)) for _ in range(count))


def _luhn_digit(digits: str) -> str:
    total = sum(sum(divmod(int(digit) * (2 - at % 2), 10)) for at, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def card(source: random.Random) -> str:
    """A card's number of 16 digits whose last one checks."""
    digits = source.choice(("4", "51", "55", "2221")) + _digits(source, 15)
    digits = digits[:15] + _luhn_digit(digits[:15])
    return source.choice(("", " ", "-")).join(digits[at : at + 4] for at in range(0, 16, 4))


def iban(source: random.Random) -> str:
    """An account's number of Germany or the Netherlands whose check digits check."""
    country, body = source.choice((("DE", _digits(source, 18)), ("NL", "INGB" + _digits(source, 10))))
    number = int("".join(str(int(letter, 36)) for letter in body + country + "00"))
    compact = f"{country}{98 - number % 97:02d}{body}"
    return compact if source.random() < 0.5 else " ".join(compact[at : at + 4] for at in range(0, len(compact), 4))


def phone(source: random.Random) -> str:
    """A telephone number with its country's code."""
    return source.choice(
        (
            f"+1 {source.choice((202, 212, 312, 415, 617))} 555 {_digits(source, 4)}",
            f"+1-{source.choice((202, 212, 312, 415, 617))}-555-{_digits(source, 4)}",
            f"+44 20 7946 0{_digits(source, 3)}",
            f"+49 30 {_digits(source, 1)}2345{_digits(source, 2)}",
            f"+33 1 4{_digits(source, 1)} {_digits(source, 2)} {_digits(source, 2)} {_digits(source, 2)}",
        )
    )


def national_id(source: random.Random) -> str:
    """A social security number as one may be issued."""
    return f"{source.randrange(1, 665):03d}-{source.randrange(1, 99):02d}-{source.randrange(1, 9999):04d}"


def birth_date(source: random.Random) -> str:
    """A date, in one of four forms."""
    year, month, day = source.randrange(1940, 2006), source.randrange(1, 13), source.randrange(1, 29)
    name = "January February March April May June July August September October November December".split()[month - 1]
    return source.choice(
        (
            f"{year}-{month:02d}-{day:02d}",
            f"{day:02d}.{month:02d}.{year}",
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
        )
    )


def secret(source: random.Random) -> str:
    """A key or a password that no dictionary has."""
    letters = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
    made = "".join(source.choices(letters, k=36))
    return source.choice((f"ghp_{made}", f"sk-{made}", f"AKIA{made[:16].upper()}", f"hf_{made}"))


def url(source: random.Random) -> str:
    """An address on the web that carries a token, a signature or a password."""
    made = "".join(source.choices("abcdef0123456789", k=24))
    return source.choice(
        (
            f"https://files.example.com/report.pdf?user=7&token={made}",
            f"https://bucket.s3.amazonaws.com/a/b.csv?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature={made}",
            f"https://account.blob.core.windows.net/c/d.zip?sv=2022-11-02&sig={made}%3D",
            f"https://deploy:{made[:10]}@git.example.org/team/tool.git",
            f"https://hooks.slack.com/services/T{made[:8].upper()}/B{made[8:16].upper()}/{made}",
        )
    )


def address(source: random.Random) -> str:
    """A street address of the United States, the United Kingdom, Germany or France."""
    number, street = source.randrange(1, 240), source.choice(STREETS_ENGLISH)
    end = source.choice(ENDS_ENGLISH)
    return source.choice(
        (
            f"{number} {street} {end}, Springfield, IL 6{_digits(source, 4)}",
            f"{number} {street} {end}, Apt {source.randrange(1, 40)}, Denver, CO 80{_digits(source, 3)}",
            f"{number} {street} {end}, Leeds LS{source.randrange(1, 9)} {source.randrange(1, 9)}AB",
            f"{source.choice(STREETS_GERMAN)} {number}, 5{_digits(source, 4)} Köln",
            f"{number} {source.choice(STREETS_FRENCH)}, 3{_digits(source, 4)} Toulouse",
        )
    )


VALUES: dict[str, Callable[[random.Random], str]] = {
    "email": lambda source: (
        f"{source.choice(GIVEN).lower()}.{_digits(source, 2)}@mail{source.randrange(9)}.example.org"
    ),
    "phone": phone,
    "card": card,
    "iban": iban,
    "national_id": national_id,
    "ip": lambda source: ".".join(str(source.randrange(1, 255)) for _ in range(4)),
    "mac": lambda source: ":".join(f"{source.randrange(256):02x}" for _ in range(6)),
    "birth_date": birth_date,
    "secret": secret,
    "url": url,
    "address": address,
}


def check_names(given: list[str], family: list[str]) -> None:
    """Raises where a name of the rows, or a part of one, stands in the gazetteer."""
    from tunewright.data.personal.lexicon import fold_word, gazetteer

    parts = {part for name in (*given, *family) for part in (name, *re.split(r"-", name))}
    known = sorted(part for part in parts if fold_word(part) in gazetteer())
    if known:
        raise SystemExit(f"These names stand in the gazetteer, so that finding them proves nothing: {', '.join(known)}")


def replaced(before: str, after: str) -> Iterator[tuple[str, int, int]]:
    """What was replaced by which tag: kind and place in the text as it was."""
    parts = re.split(r"\[([A-Z_]+)\]", after)
    pattern = "".join(re.escape(part) if at % 2 == 0 else "(.+?)" for at, part in enumerate(parts))
    match = re.fullmatch(pattern, before, re.DOTALL)
    if match is None:
        raise AssertionError(f"What is left of a text is not what stood there: {before!r}, {after!r}")
    for number, kind in enumerate(parts[1::2], start=1):
        yield kind.lower(), *match.span(number)


# A kind, what stood there, and the whole text.
Example = tuple[str, str, str]


def compare(rows: list[Row], after: list[str]) -> tuple[dict[str, Any], list[Example], list[Example]]:
    """Recall by planted place (found if all of it is gone), precision by replaced place (right if it was planted).

    Returns:
        The figures, what was missed, and what was replaced though nothing was planted there.
    """
    planted = {"name": 0, "structured": 0}
    found = {"name": 0, "structured": 0}
    hits, right, name_hits, name_right, number_hits = 0, 0, 0, 0, 0
    missed: list[Example] = []
    wrong: list[Example] = []
    for row, text in zip(rows, after, strict=True):
        places = list(replaced(row.text, text))
        for kind, start, end in row.planted:
            group = "name" if kind == "name" else "structured"
            planted[group] += 1
            gone = sum(max(0, min(end, stop) - max(start, begin)) for _, begin, stop in places)
            found[group] += gone == end - start
            if gone < end - start:
                missed.append((kind, row.text[start:end], row.text))
        for kind, begin, stop in places:
            is_right = any(begin < end and start < stop for _, start, end in row.planted)
            hits, right = hits + 1, right + is_right
            if kind == "name":
                name_hits, name_right = name_hits + 1, name_right + is_right
                number_hits += row.about == "numbers" or any(map(str.isdigit, row.text[begin:stop]))
            if not is_right:
                wrong.append((kind, row.text[begin:stop], row.text))
    figures = {
        "structured_recall": found["structured"] / planted["structured"] if planted["structured"] else None,
        "name_recall": found["name"] / max(planted["name"], 1),
        "name_precision": name_right / max(name_hits, 1),
        "precision": right / max(hits, 1),
        "number_hits": number_hits,
        "planted": planted,
    }
    return figures, missed, wrong


def redacted(rows: list[Row]) -> tuple[list[str], float]:
    """The rows as the step `redact` leaves them, and how many it does in a second of one core's time."""
    import polars as pl

    from tunewright.data.frame import LINE, ROW_ID, SOURCE
    from tunewright.data.steps.redact import Config, apply

    count = len(rows)
    frame = pl.DataFrame(
        {
            ROW_ID: [f"r{number}" for number in range(count)],
            SOURCE: ["rows"] * count,
            LINE: list(range(1, count + 1)),
            "text": [row.text for row in rows],
        }
    )
    config = Config(columns=("text",))
    apply(frame.head(200), config)  # the lists are read once
    started = time.process_time()
    result = apply(frame, config)
    seconds = time.process_time() - started
    return result.frame["text"].to_list(), count / seconds


def measure(rows: int = ROWS, seed: int = SEED) -> dict[str, Any]:
    """Rows a second on one core, recall, precision, and names found where there are only numbers."""
    return _figures(*_measured(rows, seed))


def measure_development() -> dict[str, Any]:
    """The same of the rows that the rules were developed on."""
    return _figures(*_measured_development())


def _measured(rows: int, seed: int) -> tuple[list[Row], list[str], float]:
    check_names(GIVEN, FAMILY)
    made = planted_rows(rows, seed)
    return made, *redacted(made)


def _measured_development() -> tuple[list[Row], list[str], float]:
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.data.personal import planted

    check_names(planted.GIVEN, planted.FAMILY)
    source = random.Random(SEED)
    made = [
        people_row(template, source, planted.GIVEN, planted.FAMILY)
        for template in planted.ABOUT_PEOPLE
        for _ in range(20)
    ]
    made += [Row(text, about="negatives") for text in planted.NEGATIVES]
    return made, *redacted(made)


def _figures(rows: list[Row], after: list[str], pace: float) -> dict[str, Any]:
    words = sum(len(row.text.split()) for row in rows) / len(rows)
    return {"rows": len(rows), "words_a_row": words, "rows_per_s_per_core": pace, **compare(rows, after)[0]}


def main() -> None:
    """Measures both sets of rows, and prints one JSON document or a line a figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--development", action="store_true", help="Only the rows that the rules were developed on.")
    parser.add_argument("--show", type=int, default=0, metavar="N", help="So many of what was missed or wrongly found.")
    options = parser.parse_args()
    developed = _measured_development()
    measured = developed if options.development else _measured(options.rows, options.seed)
    found = _figures(*measured)
    missed, wrong = compare(*measured[:2])[1:]
    if not options.development:
        found["development"] = _figures(*developed)
    if options.json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for name, value in found.items():
        print(f"{name:<20} {value:,.4g}" if isinstance(value, int | float) else f"{name:<20} {value}")
    for name, examples in (("missed", missed), ("wrong", wrong)):
        for kind, value, text in examples[: options.show]:
            print(f"{name}: {kind} {value!r} in {text!r}")


if __name__ == "__main__":
    main()
