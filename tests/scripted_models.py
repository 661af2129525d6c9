"""Models by script, for the loopback server: they read the prompt that they get, and nothing else.

`write_stories` makes passages of a form that `good_model` understands: every kind of ambiguity
occurs once in each, and three questions have one answer. `Injected` obeys what a passage says, but
only where it finds it outside the markers.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openai_server import Act, Call, say

SYLLABLES = (
    "ba be bo da de do ka ke ko la le lo ma me mo na ne no ra re ro ta te to va ve vo".split()
)
PLACES = "bakery library museum market station school cinema harbour mill chapel".split()
NUMBERS = "four five six seven eight nine ten eleven twelve thirteen fourteen fifteen".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
COLOURS = "red green blue yellow white black brown grey purple orange".split()
THINGS = "lamp clock kite basket ring scarf drum flute mirror candle ladder bell".split()
BAKED = "pie cake loaf tart pudding pizza biscuit waffle bun pretzel".split()


def story(number: int, seed: int = 0) -> str:
    """A passage with one pair of facts of each kind, and three facts that stand alone."""
    rng = random.Random(f"{seed}:{number}")

    def names(count: int) -> list[str]:
        found: list[str] = []
        while len(found) < count:
            name = "".join(rng.choices(SYLLABLES, k=3)).capitalize()
            if name not in found:
                found.append(name)
        return found

    a, b, c, d, e, f, g, *more = names(17)
    places = zip(more, rng.sample(PLACES, 5), strict=False)
    p, q, r, s, t = (f"{name} {place}" for name, place in places)
    race, quiz, boat, walk, lock = more[5:]
    n, m, h, o, u = rng.sample(NUMBERS, 5)
    day, other_day = rng.sample(DAYS, 2)
    x, y = rng.sample(THINGS, 2)
    baked, also_baked = rng.sample(BAKED, 2)
    colour, other_colour, third = rng.sample(COLOURS, 3)
    return (
        f"{a} lives near the {p}. {b} lives near the {q}. "
        f"The {boat} boat is {n} metres long and has {m} seats. "
        f"On {day} {c} baked a {baked}. On {other_day} {c} baked a {also_baked}. "
        f"At the {r} {c} bought a {colour} {x}. At the {s} {c} bought a {other_colour} {y}. "
        f"{d} won the {race} race. {e} won the {quiz} quiz. "
        f"The {walk} walk was {h} miles long and took {o} hours. "
        f"The roof of the {t} is {third}. The {t} was built by {f}. Its door has {u} {lock} locks. "
        f"{g} owns the key."
    )


def write_stories(path: Path, count: int, seed: int = 0, groups: int | None = None) -> str:
    """Write stories as a file in SQuAD's form; returns the source's spec."""
    articles: dict[int, list[dict[str, Any]]] = {}
    for number in range(count):
        paragraph = {"context": story(number, seed), "qas": []}
        articles.setdefault(number % (groups or count), []).append(paragraph)
    data = [{"title": f"Story {g}", "paragraphs": list(p)} for g, p in articles.items()]
    path.write_text(json.dumps({"version": "1.1", "data": data}))
    return f"squad:{path}"


@dataclass(frozen=True)
class Way:
    """One reading."""

    full: str
    answer: str
    quote: str
    which: str = ""


@dataclass(frozen=True)
class Topic:
    """A question, and the ways to understand it: one, where it is clear."""

    kind: str
    asked: str
    ways: tuple[Way, ...]


def read(passage: str) -> list[Topic]:
    """Understand a story."""

    def both(pattern: str) -> list[re.Match[str]]:
        return list(re.finditer(pattern, passage))

    topics: list[Topic] = []

    def add(kind: str, asked: str, *ways: Way) -> None:
        topics.append(Topic(kind, asked, ways))

    found = both(r"(\w+) lives (near the \w+ \w+)")
    ways = [Way(f"Where does {m[1]} live?", m[2], m[0], m[1]) for m in found]
    add("referent", "Where does she live?", *ways)
    if m := re.search(r"The (\w+ boat) is (\w+ metres) long and has (\w+ seats)", passage):
        add(
            "attribute",
            f"How big is the {m[1]}?",
            Way(f"What is the length of the {m[1]}?", m[2], m[0], "the length"),
            Way(f"What is the seating of the {m[1]}?", m[3], m[0], "the seating"),
        )
    found = both(r"On (\w+) (\w+) baked (a \w+)")
    ways = [Way(f"What did {m[2]} bake on {m[1]}?", m[3], m[0], f"on {m[1]}") for m in found]
    add("time", f"What did {found[0][2]} bake?", *ways)
    found = both(r"At the (\w+ \w+) (\w+) bought (a \w+ \w+)")
    ways = [Way(f"What did {m[2]} buy at the {m[1]}?", m[3], m[0], f"at the {m[1]}") for m in found]
    add("place", f"What did {found[0][2]} buy?", *ways)
    found = both(r"(\w+) won the (\w+ \w+)")
    ways = [Way(f"Who won the {m[2]}?", m[1], m[0], f"the {m[2]}") for m in found]
    add("event", "Who won?", *ways)
    if m := re.search(r"The (\w+ walk) was (\w+ miles) long and took (\w+ hours)", passage):
        add(
            "other",
            f"How long was the {m[1]}?",
            Way(f"What was the distance of the {m[1]}?", m[2], m[0], "the distance"),
            Way(f"What was the duration of the {m[1]}?", m[3], m[0], "the duration"),
        )
    for asked, pattern in (
        (r"What colour is the roof of the {0}?", r"The roof of the (\w+ \w+) is (\w+)"),
        (r"Who was the {0} built by?", r"The (\w+ \w+) was built by (\w+)"),
        (r"How many locks does {0} door have?", r"(Its) door has (\w+ \w+ locks)"),
    ):
        if m := re.search(pattern, passage):
            full = asked.format(m[1].replace("Its", "its"))
            add("clear", full, Way(full, m[2], m[0]))
    return topics


def material(text: str, name: str) -> str:
    """What stands between the markers of this name; empty where there is none."""
    found = re.search(rf"<{name} (\w+)>\n(.*?)\n</{name} \1>", text, re.DOTALL)
    return found[2] if found else ""


def schema_of(call: Call) -> str:
    """Which reply is asked for."""
    shape = call.body.get("response_format") or {}
    if shape.get("type") == "json_schema":
        return str(shape["json_schema"]["name"])
    told = json.dumps(call.body["messages"])
    return str(re.findall(r'title\\*": ?\\*"(\w+)\\*", ?\\*"type\\*": ?\\*"object', told)[-1])


def prompt_of(call: Call) -> str:
    """The user's part of the prompt, whatever was said about the reply since."""
    return next(str(m["content"]) for m in call.body["messages"] if m["role"] == "user")


def good_reply(call: Call) -> dict[str, Any]:
    """What a model that understands everything says."""
    prompt, schema = prompt_of(call), schema_of(call)
    topics = read(material(prompt, "passage"))
    kind = re.search(r"^(referent|attribute|time|place|event|other):", prompt, re.MULTILINE)
    if schema == "AmbiguousPlan":
        assert kind is not None
        return {"ideas": [_idea(topic) for topic in topics if topic.kind == kind[1]]}
    if schema == "ClearPlan":
        return {"ideas": [_clear_idea(topic) for topic in topics if topic.kind == "clear"]}
    if schema == "Solution":
        return {"answers": solve(topics, material(prompt, "talk").splitlines())}
    idea = json.loads(material(prompt, "idea") or material(prompt, "dialogue"))
    topic = next(topic for topic in topics if topic.asked in idea["question"])
    wanted = re.search(r"(\d) earlier exchange", prompt)
    others = [t for t in topics if t.kind == "clear" and t is not topic]
    earlier = [
        {"question": other.asked, "answer": f"{other.ways[0].answer.capitalize()}."}
        for other in others[: int(wanted[1]) if wanted else 0]
    ]
    if schema == "ClearDialogue":
        way = topic.ways[0]
        reply = f"It is {way.answer}."
        answers = [way.answer]
        return {
            "earlier": earlier,
            "question": topic.asked,
            "answers": answers,
            "quote": way.quote,
            "reply": reply,
        }
    whiches = " or ".join(way.which for way in topic.ways)
    return {
        "earlier": earlier,
        "question": topic.asked,
        "readings": [
            {
                "full_question": way.full,
                "answers": [way.answer],
                "quote": way.quote,
                "clarification": f"I mean {way.which}.",
                "reply": f"That was {way.answer}.",
            }
            for way in topic.ways
        ],
        "clarifying_question": f"Do you mean {whiches}?",
    }


def solve(topics: list[Topic], talk: list[str]) -> list[str]:
    """Answer a conversation's last question; every answer that is left, if several are."""
    said = talk[-1].removeprefix("User: ")
    for topic in topics:
        if topic.asked == said:
            return [way.answer for way in topic.ways]
    asked = talk[-3].removeprefix("User: ")
    topic = next(topic for topic in topics if topic.asked == asked)
    return [way.answer for way in topic.ways if way.which in said]


def good_model(call: Call) -> Act:
    """A script for `OpenAIServer`."""
    return say(good_reply(call))


def _idea(topic: Topic) -> dict[str, Any]:
    readings = [{"full_question": w.full, "answer": w.answer, "quote": w.quote} for w in topic.ways]
    return {"question": topic.asked, "readings": readings}


def _clear_idea(topic: Topic) -> dict[str, Any]:
    way = topic.ways[0]
    return {"question": topic.asked, "answer": way.answer, "quote": way.quote}
