"""The same items with other sound: perturbed, silenced, or another item's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, groupby

from askqa_builder.evaluate.items import Item
from askqa_builder.evaluate.responders import Sound, Utterance

SILENCED, SWAPPED = "audio-silenced", "audio-of-another"


@dataclass(frozen=True)
class Variant:
    """A way to change the sound of items."""

    name: str
    change: Callable[[Iterable[Item]], Iterator[Item]]
    measured: dict[str, list[dict[str, float]]] | None = None
    """By item id, for each utterance of the user: what was measured on the changed sound. None
    where there is nothing to measure."""


def silenced(items: Iterable[Item]) -> Iterator[Item]:
    """Every clip as long as it was, and silent."""
    for item in items:
        yield _with_sounds(item, _silent)


def swapped(items: Iterable[Item]) -> Iterator[Item]:
    """Every item with the sound of an item about another passage, in the order of the data.

    What is heard is then speech of the same kind, and says nothing about the item. With one
    passage there is no other: its items are silenced.
    """
    groups = (list(group) for _, group in groupby(items, key=lambda item: item.passage_id))
    first, second = next(groups, []), next(groups, [])
    donors = second or [_with_sounds(item, _silent) for item in first]
    for group in chain([first], [second], groups):
        for index, item in enumerate(group):
            donor = donors[index % len(donors)].conversation
            yield replace(
                item,
                conversation=replace(
                    item.conversation, narration=donor.narration, turns=_lend(item, donor.turns)
                ),
            )
        donors = group or donors


def _lend(item: Item, turns: tuple[Utterance, ...]) -> tuple[Utterance, ...]:
    """The item's own turns, in text, with the sounds of others."""
    sounds = {role: [t.sound for t in turns if t.speaker == role] for role in ("user", "assistant")}
    return tuple(
        replace(turn, sound=(sounds[turn.speaker] or [turn.sound])[-1])
        for turn in item.conversation.turns
    )


def _with_sounds(item: Item, change: Callable[[Sound], Sound]) -> Item:
    def changed(utterance: Utterance) -> Utterance:
        return replace(utterance, sound=change(utterance.sound) if utterance.sound else None)

    conversation = item.conversation
    return replace(
        item,
        conversation=replace(
            conversation,
            narration=tuple(map(changed, conversation.narration)),
            turns=tuple(map(changed, conversation.turns)),
        ),
    )


def _silent(sound: Sound) -> Sound:
    return Sound(sound.samples * 0, sound.sample_rate_hz)


PROBES = (Variant(SILENCED, silenced), Variant(SWAPPED, swapped))
"""Does it listen? A model that scores as well on these does not."""


ALL = (
    *("rate=0.8", "rate=1.25", "pitch=-3", "pitch=+3", "noise=20", "noise=10", "noise=0"),
    *("reverb=0.6", "telephone"),
)
"""What `--perturb all` stands for: slower, faster, lower, higher, in noise, in a room, by phone."""


def perturbations(specs: Sequence[str]) -> list[Variant]:
    """The variants that `--perturb` asks for, each once. Raises as `perturbed` does."""
    chosen = [one for spec in specs for one in (ALL if spec == "all" else (spec,))]
    return list({variant.name: variant for variant in map(perturbed, chosen)}.values())


def perturbed(spec: str, seed: int = 0) -> Variant:
    """The user's utterances, and the replies that follow, under a condition such as `noise=10`.

    Raises SettingsError for an unknown condition, MissingExtraError if it cannot be made here.
    """
    from askqa_builder.perturb import given, parse

    condition = parse(spec)
    condition.check_installed()
    measured: dict[str, list[dict[str, float]]] = {}

    def change(items: Iterable[Item]) -> Iterator[Item]:
        for item in items:
            record_seed = f"{seed}:{item.id}"
            measured[item.id] = []
            turns = list(item.conversation.turns)
            for index, turn in enumerate(turns):
                if turn.speaker == "user" and turn.sound is not None:
                    rate = turn.sound.sample_rate_hz
                    samples, seen = condition.apply(turn.sound.samples, rate, record_seed)
                    measured[item.id].append(seen)
                    turns[index] = replace(turn, sound=Sound(samples, rate))
            yield replace(
                item,
                conversation=replace(item.conversation, turns=tuple(turns)),
                user=given(item.user, condition, record_seed),
            )

    return Variant(str(condition), change, measured)
