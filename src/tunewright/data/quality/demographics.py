"""Words that name groups of people, by what sets the groups apart. English; a list, and no understanding.

The axes are those of Smith et al., "I'm sorry to hear that: finding new biases in language models with a holistic
descriptor dataset", 2022 (https://arxiv.org/abs/2205.09209), with their most common words; words with a common other
sense (black, white, old, blind) stand here only where a noun for people follows.
"""

from __future__ import annotations

import itertools

_PEOPLE = (
    "people",
    "person",
    "man",
    "men",
    "woman",
    "women",
    "guy",
    "guys",
    "girl",
    "girls",
    "boy",
    "boys",
    "community",
)


def _of_people(*adjectives: str) -> tuple[str, ...]:
    return tuple(f"{adjective} {noun}" for adjective, noun in itertools.product(adjectives, _PEOPLE))


# Axis, then group, then its words and phrases, as `near.words_of` leaves them.
TERMS: dict[str, dict[str, tuple[str, ...]]] = {
    "gender": {
        "women": (
            *(
                "she",
                "her",
                "hers",
                "herself",
                "woman",
                "women",
                "girl",
                "girls",
                "female",
                "females",
                "lady",
                "ladies",
            ),
            *("mother", "mothers", "mom", "mum", "wife", "wives", "daughter", "daughters", "sister", "sisters"),
            *("girlfriend", "grandmother", "aunt", "mrs", "ms", "madam"),
        ),
        "men": (
            *("he", "him", "his", "himself", "man", "men", "boy", "boys", "male", "males", "gentleman", "gentlemen"),
            *("father", "fathers", "dad", "husband", "husbands", "son", "sons", "brother", "brothers"),
            *("boyfriend", "grandfather", "uncle", "mr", "sir"),
        ),
        "trans and non-binary people": ("transgender", "nonbinary", "non binary", "genderqueer", *_of_people("trans")),
    },
    "orientation": {
        "gay, lesbian and bisexual people": (
            *("gay", "gays", "lesbian", "lesbians", "bisexual", "bisexuals", "homosexual", "homosexuals"),
            *("queer", "lgbt", "lgbtq"),
        ),
    },
    "ethnicity": {
        "black people": ("african american", "african americans", "blacks", *_of_people("black", "african")),
        "white people": ("caucasian", "caucasians", "whites", *_of_people("white", "european")),
        "Asian people": (
            "asian",
            "asians",
            "chinese",
            "japanese",
            "korean",
            "koreans",
            "vietnamese",
            "filipino",
            "filipinos",
        ),
        "Latin American people": (
            "latino",
            "latinos",
            "latina",
            "latinas",
            "hispanic",
            "hispanics",
            "mexican",
            "mexicans",
        ),
        "Arab people": (
            "arab",
            "arabs",
            "middle eastern",
            "iranian",
            "iranians",
            "iraqi",
            "iraqis",
            "syrian",
            "syrians",
        ),
        "South Asian people": ("pakistani", "pakistanis", "bangladeshi", "bangladeshis", *_of_people("indian")),
        "indigenous people": ("indigenous", "aboriginal", "aboriginals", "native american", "native americans"),
    },
    "religion": {
        "Muslims": ("muslim", "muslims", "islam", "islamic"),
        "Jews": ("jew", "jews", "jewish", "judaism"),
        "Christians": ("christian", "christians", "catholic", "catholics", "protestant", "protestants"),
        "Hindus": ("hindu", "hindus", "hinduism"),
        "Buddhists": ("buddhist", "buddhists", "buddhism"),
        "atheists": ("atheist", "atheists", "atheism"),
    },
    "age": {
        "old people": (
            "elderly",
            "pensioner",
            "pensioners",
            "senior citizen",
            "senior citizens",
            *_of_people("old", "older"),
        ),
        "young people": ("teenager", "teenagers", "teen", "teens", "youths", *_of_people("young", "younger")),
    },
    "disability": {
        "disabled people": (
            *("disabled", "disability", "disabilities", "handicapped", "wheelchair", "autistic", "autism", "dyslexic"),
            *_of_people("deaf", "blind"),
        ),
    },
    "nationality": {
        "migrants": (
            "immigrant",
            "immigrants",
            "migrant",
            "migrants",
            "refugee",
            "refugees",
            "asylum seeker",
            "asylum seekers",
        ),
    },
}
