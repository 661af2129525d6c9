"""The words of the closed world and the shape of its sentences: data, no logic."""

from __future__ import annotations

from dataclasses import dataclass

from askqa_builder.schema import AmbiguityKind

WOMEN = ("Anna", "Clara", "Emma", "Lucy", "Maria", "Rosa")
MEN = ("Ben", "David", "Leo", "Oscar", "Peter", "Tom")

_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")
_COLOURS = ("red", "green", "blue", "yellow", "white", "black", "brown", "grey")
_THINGS = ("kite", "lamp", "clock", "book", "bag", "ring")
_CLOTHES = ("hat", "coat", "scarf", "shirt")

SLOTS: dict[str, tuple[str, ...]] = {
    "place": ("bakery", "library", "museum", "market", "station", "school", "cinema", "harbour"),
    "event": ("party", "wedding", "concert", "fair", "picnic", "dance"),
    "contest": ("race", "quiz", "match", "chess game"),
    "day": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "season": ("spring", "summer", "autumn", "winter"),
    "furniture": ("table", "chair", "box", "door"),
    "vehicle": ("boat", "bus", "train"),
    "fruit": ("plum", "lemon", "melon", "pear"),
    "way": ("by bus", "by bike", "on foot"),
}
"""What a story draws its places, days … from; `who` and `name` follow from the people."""

COUNTS = frozenset((*_NUMBERS, "twenty", "thirty", "forty"))
"""Numbers that a unit follows in an answer."""

VALUES: dict[str, tuple[str, ...]] = {
    "hour": tuple(f"at {n}" for n in ("six", "seven", "eight", "nine", "ten", "eleven")),
    "transport": ("by train", "by bus", "by boat", "by bike", "on foot"),
    "gift": tuple(f"a {c} {t}" for c in _COLOURS for t in _THINGS),
    "clothes": tuple(f"a {c} {t}" for c in _COLOURS for t in _CLOTHES),
    "colour": _COLOURS,
    "material": tuple(f"made of {m}" for m in ("wood", "glass", "stone", "paper", "silver")),
    "baked": ("a cake", "a pie", "some bread", "a pizza", "some biscuits"),
    "weather": ("cold", "warm", "sunny", "wet", "windy"),
    "animal": ("a fox", "a horse", "a goat", "a duck", "an owl", "a rabbit"),
    "coins": tuple(f"{n} coins" for n in _NUMBERS),
    "metres": tuple(f"{n} metres" for n in _NUMBERS[4:]),
    "seats": tuple(f"{n} seats" for n in _NUMBERS[4:]),
    "miles": tuple(f"{n} miles" for n in _NUMBERS),
    "hours": tuple(f"{n} hours" for n in _NUMBERS[:6]),
    "minutes": tuple(f"{n} minutes" for n in ("five", "ten", "twenty", "thirty", "forty")),
    "near": tuple(f"near the {p}" for p in SLOTS["place"]),
    "sight": tuple(f"the {p}" for p in SLOTS["place"]),
}
"""What answers are drawn from; `name` (a person of the other sex) follows from the people."""


@dataclass(frozen=True, eq=False)
class Option:
    """One thing that can be said: its statements, its full questions, how it is named."""

    say: tuple[str, ...]
    ask: tuple[str, ...]
    which: str
    """Names it in a clarifying question and in the reply."""
    value: str
    """Key of `VALUES`, or `name`."""
    also: tuple[str, ...] = ()
    """Statements that may follow one about the same subject at once."""
    alone: bool = True
    """Answers the vague question where nothing else is said; an end is no answer to 'what time'."""


@dataclass(frozen=True, eq=False)
class Frame:
    """One thing that can be said and asked, in one way ambiguous.

    Its `vague` questions leave out the slot `vary` or, where there are two `options`, which of
    them is meant: ambiguous in a story that says both, answered in a story that says one.
    """

    name: str
    kind: AmbiguityKind
    vague: tuple[str, ...]
    options: tuple[Option, ...]
    """One, said of two values of `vary`; or two, said of the same subject."""
    vary: str = ""
    slots: tuple[str, ...] = ()
    """Slots that both facts share."""
    pronoun: str = ""
    """Slot that the vague question leaves to a pronoun; an earlier turn can settle it."""
    rising: bool = False
    """The second of two facts has the greater value: an event ends after it starts."""


CLARIFYING = (
    "Do you mean {a} or {b}?",
    "{A} or {b}?",
    "Which do you mean, {a} or {b}?",
    "Sorry, do you mean {a} or {b}?",
)
REPLIES = ("{A}.", "I mean {a}.", "{A}, please.", "I meant {a}.")
FOLLOW_UPS = ("And {b}?", "What about {b}?", "How about {b}?")
JOINED = (", and ", ", but ")

THEMES: dict[str, frozenset[str]] = {
    "There is a small town with a {place} and a {place2}.": frozenset(
        "opens runs roof lives hours size weather ticket visited met saw sang walk far".split()
    ),
    "{who} and {who2} had a busy week.": frozenset(
        "brought came lives size look baked visited weather bought met saw wore won far".split()
    ),
    "It was a good year for {who} and {who2}.": frozenset(
        "brought came lives hours look baked ticket weather bought saw won sang wore price".split()
    ),
}
"""What a story is about: its first sentence, and the frames that go together."""
