"""Who speaks: narrator, user and assistant of every dialogue, from the voices on offer.

Rules, in the order in which they give way when an engine has few voices:

1. Narrator, user and assistant of a dialogue are three voices. (At least 3 are needed, or
   VoiceError.) A passage has one narrator, however many dialogues stand on it.
2. The user voices of train, validation and test are disjoint. (At least 3 user voices, or
   VoiceError.)
3. A split's narrators and assistants are never another split's users. (From about 12 voices on;
   `Casting.strict` says whether it holds. The embedded bank keeps it.)
4. Any two of the three differ in sex or accent, where the pool allows it.

What decides is the voices in their order, the seed, and the ids of passage and dialogue: nothing
else, so shards, order and resumption do not matter. The seed does not move a voice between splits:
sets made with different seeds can be merged.

A voice appended to an engine's list joins one split and leaves all others where they are; it is
then cast in its share of that split's records, and the other records keep their speakers
(rendezvous hashing). Removing or reordering voices may move others between splits.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from askqa_builder.errors import VoiceError
from askqa_builder.schema import SPLITS, Dialogue, Speaker, SpeakerRole, Split, Voice

SPLIT_SHARES: dict[Split, float] = {"train": 0.5, "validation": 0.25, "test": 0.25}
"""Of the user voices. The small splits get more than their share of the data: what a score says
about unheard speakers rests on how many there are."""

_ROLES: tuple[SpeakerRole, ...] = ("narrator", "user", "assistant")


class Casting:
    """Casts the speakers of dialogues. Cheap to make; every answer is a pure function."""

    def __init__(self, voices: Mapping[SpeakerRole, Sequence[Voice]], seed: int) -> None:
        """`voices` on offer by role; roles of one engine share its voices.

        Raises VoiceError if there are too few.
        """
        self._seed = seed
        for role in _ROLES:
            if not voices[role]:
                raise VoiceError(f"the engine of the {role} offers no voices")
        splits = split_voices(voices["user"])
        if len(voices["user"]) < len(SPLITS):
            raise VoiceError(
                f"user voices must differ between train, validation and test, so {len(SPLITS)} are "
                f"needed at least; {voices['user'][0].engine!r} offers {len(voices['user'])}"
            )
        self.strict = True
        """Whether rule 3 holds."""
        self._pools = {split: _strict_pools(voices, splits, split) for split in SPLITS}
        if not all(map(_can_differ, self._pools.values())):
            self.strict = False
            self._pools = {split: _loose_pools(voices, splits, split) for split in SPLITS}
        if not all(map(_can_differ, self._pools.values())):
            offered = {_key(voice) for role in _ROLES for voice in voices[role]}
            raise VoiceError(
                "narrator, user and assistant must be different voices in every split: at least 3 "
                f"voices are needed, {len(offered)} are on offer, and the narrator must have a "
                "choice beyond the user's only voice"
            )

    def narrator(self, dialogue: Dialogue) -> Speaker:
        """The voice that reads the dialogue's passage; the same for all its dialogues."""
        pool = self._pools[dialogue.split]["narrator"]
        return self._speaker("narrator", dialogue.passage_id, pool)

    def partners(self, dialogue: Dialogue, narrator: Speaker) -> tuple[Speaker, Speaker]:
        """User and assistant of the dialogue."""
        pools = self._pools[dialogue.split]
        user = self._speaker("user", dialogue.id, _unlike(pools["user"], narrator))
        assistant = self._speaker(
            "assistant", dialogue.id, _unlike(pools["assistant"], narrator, user)
        )
        return user, assistant

    def _speaker(self, role: SpeakerRole, record_id: str, pool: Sequence[Voice]) -> Speaker:
        what = f"{self._seed}:{role}:{record_id}"

        def weight(name: str) -> bytes:
            return hashlib.sha256(f"{what}:{name}".encode()).digest()

        # sexes first: all are heard equally often, however many voices each has
        sex = max({voice.sex for voice in pool}, key=weight)
        voice = max(
            (voice for voice in pool if voice.sex == sex),
            key=lambda voice: weight(f"{voice.engine}:{voice.id}"),
        )
        draw = random.Random(what)
        return Speaker(
            id=voice.id,
            engine=voice.engine,
            accent=voice.accent,
            sex=voice.sex,
            rate=round(draw.uniform(*voice.rate_range), 2),
            pitch=round(draw.uniform(*voice.pitch_range), 1),
        )


def split_voices(voices: Sequence[Voice]) -> dict[tuple[str, str], Split]:
    """Give each voice to one split, by (engine, id).

    One after the other, each goes where its kind (its sex, its accent, any voice) is scarcest for
    the split's share; so the splits are balanced, and later voices never move earlier ones.
    """
    splits: dict[tuple[str, str], Split] = {}
    counts: Counter[tuple[Split, str]] = Counter()
    for voice in voices:
        if _key(voice) in splits:
            continue
        kinds = ("", f"sex {voice.sex}", f"accent {voice.accent}")

        def crowding(split: Split, kinds: Iterable[str] = kinds) -> float:
            return sum(counts[split, kind] + 1 for kind in kinds) / SPLIT_SHARES[split]

        # no split stays empty, then the least crowded; ties go to the first
        split = min(SPLITS, key=lambda s: (counts[s, ""] > 0, crowding(s)))
        splits[_key(voice)] = split
        counts.update((split, kind) for kind in kinds)
    return splits


_Pools = dict[SpeakerRole, tuple[Voice, ...]]


def _strict_pools(
    voices: Mapping[SpeakerRole, Sequence[Voice]],
    splits: Mapping[tuple[str, str], Split],
    split: Split,
) -> _Pools:
    """Voices of the split's own users, and those that are nobody's user."""
    return {
        role: tuple(v for v in voices[role] if splits.get(_key(v), split) == split)
        for role in _ROLES
    }


def _loose_pools(
    voices: Mapping[SpeakerRole, Sequence[Voice]],
    splits: Mapping[tuple[str, str], Split],
    split: Split,
) -> _Pools:
    """Users of the split; any other voice narrates or assists."""
    users = tuple(v for v in voices["user"] if splits[_key(v)] == split)
    others = {
        role: tuple(v for v in voices[role] if splits.get(_key(v)) != split) for role in _ROLES
    }
    return {"narrator": others["narrator"], "user": users, "assistant": others["assistant"]}


def _can_differ(pools: _Pools) -> bool:
    """Whether three different voices are left to choose, whichever narrates and whichever asks."""
    for narrator in pools["narrator"]:
        users = [v for v in pools["user"] if _key(v) != _key(narrator)]
        if not users:
            return False
        for user in users:
            if all(_key(v) in (_key(narrator), _key(user)) for v in pools["assistant"]):
                return False
    return bool(pools["narrator"])


def _unlike(pool: Sequence[Voice], *cast: Speaker) -> Sequence[Voice]:
    """Voices that are not cast yet; if there are any, only such as sound clearly different."""
    free = [v for v in pool if all(_key(v) != (other.engine, other.id) for other in cast)]
    return [v for v in free if all(_clearly_differ(v, other) for other in cast)] or free


def _clearly_differ(voice: Voice, other: Speaker) -> bool:
    pairs = ((voice.sex, other.sex), (voice.accent, other.accent))
    return any(one != two and "unknown" not in (one, two) for one, two in pairs)


def _key(voice: Voice) -> tuple[str, str]:
    return voice.engine, voice.id
