"""A closed synthetic world of our own: short stories, questions and dialogues without end.

    world:N[,seed=1][,facts=6][,dialogues=2][,ambiguous=0.5][,history=2][,frames=22]
           [,style=varied|plain]

Each story says some things twice (of two places, on two days …: a question that leaves out which
is ambiguous) and some things once (the same question has one answer). So whether to ask back
follows from what was narrated and said before, never from the question alone. Readings, answers
and evidence are right by construction; the words are ours (CC0).

Passage i depends on the settings and on i alone, so N may grow, and memory does not.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from askqa_builder.errors import SettingsError
from askqa_builder.schema import Answer, Passage, Question
from askqa_builder.sources.common import SourceItem, digest
from askqa_builder.sources.world.dialogues import make_drafts
from askqa_builder.sources.world.frames import FRAMES
from askqa_builder.sources.world.story import tell

LICENSE = "cc0-1.0"
FORM = "world:N[,seed=1,facts=6,dialogues=2,ambiguous=0.5,history=2,frames=22,style=varied|plain]"


@dataclass(frozen=True)
class World:
    """The settings of a world; those beside `passages` shape every passage."""

    passages: int
    seed: int = 1
    facts: int = 6
    """Facts a story: 3 make about 7 s of narration, 6 about 18 s."""
    dialogues: int = 2
    """Dialogues a story."""
    ambiguous: float = 0.5
    """Share of the dialogues in which the assistant must ask back; kept exactly over the whole."""
    history: int = 2
    """Earlier question–answer turns, at most."""
    frames: int = len(FRAMES)
    """Things that can be said and asked, 6 at least: the fewer, the sooner a model has learnt
    them."""
    style: str = "varied"
    """varied: several wordings of everything; plain: one, for small models."""


def read_world(argument: str) -> Iterator[SourceItem]:
    """Yield the stories of a world, each with its questions and its dialogues.

    Raises:
        SettingsError: the argument is not of the form `FORM`.
    """
    world = parse_world(argument)
    return (make_passage(world, index) for index in range(world.passages))


def parse_world(argument: str) -> World:
    """Parse `100000,seed=2,facts=3`.

    Raises:
        SettingsError: a setting is unknown, malformed or out of range.
    """
    count, *options = [part.strip() for part in argument.split(",")]
    world = World(passages=_whole("N", count, 1, 10**9))
    for option in options:
        name, _, value = option.partition("=")
        match name:
            case "seed":
                world = replace(world, seed=_whole(name, value, 0, 2**63))
            case "facts":
                world = replace(world, facts=_whole(name, value, 3, 12))
            case "dialogues":
                world = replace(world, dialogues=_whole(name, value, 1, 8))
            case "history":
                world = replace(world, history=_whole(name, value, 0, 2))
            case "frames":
                world = replace(world, frames=_whole(name, value, 6, len(FRAMES)))
            case "ambiguous":
                world = replace(world, ambiguous=_share(value))
            case "style" if value in ("varied", "plain"):
                world = replace(world, style=value)
            case _:
                raise SettingsError(f"world: cannot use {option!r}; expected {FORM}")
    asked_back = math.ceil(world.dialogues * world.ambiguous)
    direct = math.ceil(world.dialogues * (1 - world.ambiguous))
    if asked_back > 2 * (world.facts // 3) or direct > world.facts:
        raise SettingsError(
            f"world: facts={world.facts} is too few for dialogues={world.dialogues} with "
            f"ambiguous={world.ambiguous}; raise facts (12 at most) or lower dialogues"
        )
    needed = world.facts - world.facts // 3
    if world.frames < needed:
        raise SettingsError(
            f"world: frames={world.frames} is too few for facts={world.facts}; raise frames to "
            f"{needed} or lower facts"
        )
    return world


def make_passage(world: World, index: int) -> Passage:
    """Make story `index` of a world."""
    rng = random.Random(f"{world.seed}:{index}")
    id = f"world-{world.seed}-{index:06d}"
    story = tell(rng, world.facts, world.style == "plain", world.frames)
    first, share = index * world.dialogues, world.ambiguous
    ambiguous = [  # counted over all stories, so that the whole keeps the share exactly
        int((number + 1) * share) > int(number * share)
        for number in range(first, first + world.dialogues)
    ]
    return Passage(
        id=id,
        group=f"world-{digest(story.text)}",  # the same story twice would be in the same split
        title=f"Story {index}",
        text=story.text,
        source="world",
        license=LICENSE,
        domain="world",
        questions=tuple(
            Question(
                id=f"{id}-q{fact.number}",
                text=fact.question,
                answers=(Answer(text=fact.value, start=fact.value_start),),
            )
            for fact in story.facts
        ),
        drafts=tuple(make_drafts(story, f"{id}-q", ambiguous, world.history)),
    )


def _whole(name: str, text: str, low: int, high: int) -> int:
    if not (text.isascii() and text.isdigit() and low <= int(text) <= high):
        raise SettingsError(
            f"world: {name} is {text!r}; expected a whole number from {low} to {high:,}, "
            f"as in {FORM}"
        )
    return int(text)


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise SettingsError(f"world: ambiguous is {text!r}; expected a number from 0 to 1")
    return value
