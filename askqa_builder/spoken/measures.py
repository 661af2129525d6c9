"""Readers of money and of units of measure."""

from __future__ import annotations

import re

from askqa_builder.spoken import words
from askqa_builder.spoken.context import NUM, Edit, word_after, word_before
from askqa_builder.spoken.lexicon import CURRENCIES, DOLLARS, SCALES, UNITS

Match = re.Match[str]

UNIT = "|".join(
    re.escape(unit).replace(r"\ ", r"\.?\s").replace("μ", "[μµ]")
    for unit in sorted(UNITS, key=len, reverse=True)
)
"""Any symbol of `UNITS`, longest first."""

MONEY = re.compile(
    rf"(?P<of>{'|'.join(map(re.escape, sorted(DOLLARS, key=len, reverse=True)))})?\s?"
    rf"(?P<sign>[$£€¥₹₩])\s?(?P<low>{NUM})"
    rf"(?:(?P<dash>\s?[-–—]\s?)(?:(?:US)?(?P=sign))?(?P<high>{NUM}))?"
    rf"(?:(?P<suffix>bn|mn|tn|trn|[kKmMbBT])(?![\w]))?"
    r"(?P<scale>[\s-](?:hundred|thousand|million|billion|trillion)\b)?"
)
TRAILING_MONEY = re.compile(rf"(?P<low>{NUM})\s?(?P<sign>[€£¢])(?![\d])")
CASH_IN_WORDS = re.compile(r"(?P<low>\d[\d,]*\.\d\d)\s(?P<name>euros|dollars)\b")
UNIT_ALONE = re.compile(
    rf"(?P<what>{UNIT})(?:(?P<power>[23²³])?(?P<per>/(?P<by>{UNIT})(?P<root>[23²³])?)"
    r"|(?P<square>[2²3³]))(?!\w)"
)
UNIT_PER = re.compile(rf"/(?P<by>{UNIT})(?P<root>[23²³])?(?!\w)")
FEET_AND_INCHES = re.compile(r"(\d)['′’]\s?(\d{1,2}(?:\.\d+)?)[\"″”](?!\w)")

_NAMED = re.compile(r"\s(?:(?:US|U\.S\.|Canadian|Australian) )?(?:dollars|pounds|euros|yen)\b")
_BEFORE_COUNTED = re.compile(r"\s(?=(?:euro|dollar|cent)s?\b)")
_ASIDE = re.compile(r"\s\([^()]{0,80}\)")
_MEASURE_STOP = frozenset(
    "a an the in of on at by to for from with and or but as is was are were be been has have had "
    "that which who than per into through over under above below along across between around east "
    "west north south away long wide high tall deep thick apart off up down out back ago later "
    "each every it they he she we you if when while where including until about during within "
    "worth more less or annually total in would will can could may might must so not".split()
)
_POWERS = {"2": "square", "²": "square", "3": "cubic", "³": "cubic"}
_RAISED = {"2": "squared", "²": "squared", "3": "cubed", "³": "cubed"}
_WINDS = {"N": "north", "S": "south", "E": "east", "W": "west"}
_HEAT = {"C": "Celsius", "F": "Fahrenheit", "K": "Kelvin"}


def read_money(found: Match) -> list[Edit] | None:
    """$3.5 million "three point five | million dollars", $1.25 "one dollar twenty-five"."""
    text, sign, scale = found.string, found["sign"], found["scale"]
    one, many, coin, coins = CURRENCIES[sign]
    if sign == "$" and found["of"]:
        one, many = (f"{DOLLARS[found['of']]} {name}" for name in (one, many))
    if _NAMED.match(text, found.end()):
        one = many = ""
    if is_attributive(text, found.start(), found.end()):
        many = one
    start, stop = found.start(), found.end("low")
    low, high = found["low"], found["high"]
    big = SCALES[found["suffix"]] if found["suffix"] else ""
    if not (scale or big or high):
        return [Edit(start, stop, _cash(low, one, many, coin, coins))]
    edits = [Edit(start, stop, words.number(low))]
    if high:
        edits.append(Edit(found.start("dash"), found.end("dash"), " to "))
        edits.append(Edit(found.end("dash"), found.end("high"), words.number(high)))
    place = found.end("suffix") if big else edits[-1].end
    last = " ".join(filter(None, (edits[-1].spoken, big, "" if scale else many)))
    edits[-1] = Edit(edits[-1].start, place, last)
    if scale:
        name = scale[1:]
        edits.append(Edit(found.end() - len(name), found.end(), f"{name} {many}".rstrip()))
    return edits


def read_trailing_money(found: Match) -> list[Edit] | None:
    """30¢, 5 €."""
    if found["sign"] == "¢":
        name = "cent" if found["low"] == "1" else "cents"
    else:
        name = CURRENCIES[found["sign"]][found["low"] != "1"]
    return [
        Edit(found.start(), found.end("low"), words.number(found["low"])),
        Edit(found.end("low"), found.end(), f" {name}"),
    ]


def read_cash_in_words(found: Match) -> list[Edit] | None:
    """4.50 euros: "four | euros fifty"."""
    name = found["name"]
    said = _cash(found["low"], name.removesuffix("s"), name, "cent", "cents")
    amount, counted = _BEFORE_COUNTED.split(said, maxsplit=1)
    return [
        Edit(found.start(), found.end("low"), amount),
        Edit(found.start("name"), found.end(), counted),
    ]


def read_unit_alone(found: Match) -> list[Edit] | None:
    """Per km2, in km/h."""
    many = word_before(found.string, found.start()) not in ("per", "a", "each")
    if found["square"]:
        return [Edit(found.start(), found.end(), _sized(found["what"], found["square"], many))]
    return [Edit(found.start(), found.end(), unit(found, many))]


def read_unit_per(found: Match) -> list[Edit] | None:
    """$15,887/m²."""
    before = found.string[found.start() - 1 : found.start()]
    if not (found["root"] or before.isdigit() or before in CURRENCIES):
        return None
    return [Edit(found.start(), found.end(), f" per {_sized(found['by'], found['root'], False)}")]


def read_feet_and_inches(found: Match) -> list[Edit] | None:
    """5'11"."""
    feet = words.cardinal(int(found[1]))
    return [Edit(found.start(), found.end(), f"{feet} foot {words.number(found[2])}")]


def is_attributive(text: str, start: int, stop: int) -> bool:
    """ "a 5 km run", "a $50 million deal": the unit is singular before the noun it describes."""
    if text[stop : stop + 1] == "-":
        return True
    before = word_before(text, start).lower()
    aside = _ASIDE.match(text, stop)
    if aside and before in ("a", "an"):  # a 68,732 km (42,708 mi) road network
        stop = aside.end()
    after = word_after(text, stop)
    if not after.isalpha() or after.lower() in _MEASURE_STOP or after.endswith("ly"):
        return False
    if text[stop:].lstrip()[:1] != after[:1]:
        return False
    return before in (
        "a",
        "an",
        "the",
        "its",
        "his",
        "her",
        "their",
        "this",
    )


def _cash(amount: str, one: str, many: str, coin: str, coins: str) -> str:
    whole, _, rest = amount.partition(".")
    pieces = int(rest) if len(rest) == 2 and coin else 0
    if rest and (len(rest) != 2 or not coin):
        return f"{words.number(amount)} {many}".rstrip()
    name = one if whole.replace(",", "") == "1" else many
    said = f"{words.number(whole)} {name}".rstrip() if whole.strip("0") else ""
    if not pieces:
        return said or f"zero {many}"
    small = f"{words.cardinal(pieces)} {coin if pieces == 1 else coins}"
    if not said:
        return small
    return f"{said} and {small}" if pieces < 10 else f"{said} {words.cardinal(pieces)}"


def degrees(tail: Match, many: bool) -> str:
    """What follows the number in 5 °C, 41°42′N."""
    said = "degrees" if many else "degree"
    if tail["scale"]:
        return f"{said} {_HEAT[tail['scale']]}"
    if tail["minutes"]:
        minutes, *seconds = re.findall(r"[\d.]+", tail["minutes"])
        said += f" {words.number(minutes)} minutes"
        said += f" {words.number(seconds[0])} seconds" if seconds else ""
    return f"{said} {_WINDS[tail['wind']]}" if tail["wind"] else said


def unit(tail: Match, many: bool) -> str:
    said = ""
    if tail["what"]:
        said = _sized(tail["what"], tail["power"], many)
    if tail["per"]:
        said += f" per {_sized(tail['by'], tail['root'], False)}"
    return said.strip()


def _sized(unit: str, power: str | None, many: bool) -> str:
    name = UNITS[re.sub(r"\.?\s", " ", unit).replace("µ", "μ")][many]
    if not power:
        return name
    return f"{name} {_RAISED[power]}" if unit == "s" else f"{_POWERS[power]} {name}"
