"""Who speaks with which voice: differing roles, disjoint splits, stable choices."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

from askqa_builder.errors import VoiceError
from askqa_builder.schema import (
    SPLITS,
    Dialogue,
    Provenance,
    Reading,
    Speaker,
    SpeakerRole,
    Split,
    Turn,
    Voice,
)
from askqa_builder.voices.bank import load_bank
from askqa_builder.voices.casting import Casting, split_voices

ROLES: tuple[SpeakerRole, ...] = ("narrator", "user", "assistant")
BANK = load_bank()
Cast = tuple[Speaker, Speaker, Speaker]


def dialogue(number: int, split: Split, passage: int | None = None) -> Dialogue:
    return Dialogue(
        id=f"d{number}",
        passage_id=f"p{number // 3 if passage is None else passage}",
        group="g",
        split=split,
        passage="It was adopted in 1895.",
        turns=(
            Turn(role="user", act="question", text="When was it adopted?"),
            Turn(role="assistant", act="answer", text="1895"),
        ),
        ambiguous=False,
        readings=(Reading(question="When was it adopted?", answers=("1895",)),),
        provenance=Provenance(
            source="world", license="cc0-1.0", writer="questions", writer_version="1"
        ),
    )


def casting(voices: Sequence[Voice] = BANK, seed: int = 1) -> Casting:
    return Casting(dict.fromkeys(ROLES, voices), seed)


def cast_of(casting: Casting, dialogue: Dialogue) -> Cast:
    narrator = casting.narrator(dialogue)
    return narrator, *casting.partners(dialogue, narrator)


def casts(casting: Casting, count: int = 600) -> dict[Split, list[Cast]]:
    return {
        split: [cast_of(casting, dialogue(number, split)) for number in range(count)]
        for split in SPLITS
    }


def keys(speakers: Sequence[Speaker]) -> set[tuple[str, str]]:
    return {(speaker.engine, speaker.id) for speaker in speakers}


@pytest.fixture(scope="module")
def of_the_bank() -> dict[Split, list[Cast]]:
    return casts(casting())


# -- rules ----------------------------------------------------------------------------------------


def test_the_three_of_a_dialogue_differ_clearly(of_the_bank: dict[Split, list[Cast]]) -> None:
    for cast in (cast for split in SPLITS for cast in of_the_bank[split]):
        assert len(keys(cast)) == 3
        for one in cast:
            for other in cast:
                assert one is other or one.sex != other.sex or one.accent != other.accent


def test_a_passage_has_one_narrator() -> None:
    here = casting()
    told = [here.narrator(dialogue(number, "train", passage=7)) for number in range(20)]
    assert all(narrator == told[0] for narrator in told)


def test_user_voices_of_the_splits_are_disjoint_and_nobody_else_s(
    of_the_bank: dict[Split, list[Cast]],
) -> None:
    assert casting().strict
    for split in SPLITS:
        users = keys([user for _, user, _ in of_the_bank[split]])
        for other in SPLITS:
            if other != split:
                assert not users & keys([one for cast in of_the_bank[other] for one in cast])


def test_every_voice_of_a_split_is_heard_in_every_role(
    of_the_bank: dict[Split, list[Cast]],
) -> None:
    splits = split_voices(BANK)
    for split in SPLITS:
        pool = {key for key, where in splits.items() if where == split}
        for role in range(3):
            assert keys([cast[role] for cast in of_the_bank[split]]) == pool


def test_sexes_are_heard_equally_often(of_the_bank: dict[Split, list[Cast]]) -> None:
    for split in SPLITS:
        for role in range(3):
            heard = Counter(cast[role].sex for cast in of_the_bank[split])
            assert set(heard) == {"female", "male", "unknown"}
            assert min(heard.values()) > 0.22 * heard.total()


def test_splits_are_balanced_by_sex_and_accent() -> None:
    splits = split_voices(BANK)
    accents = {voice.accent for voice in BANK}
    for split, share in (("train", 0.5), ("validation", 0.25), ("test", 0.25)):
        pool = [voice for voice in BANK if splits[voice.engine, voice.id] == split]
        assert abs(len(pool) - share * len(BANK)) <= 2
        assert {voice.accent for voice in pool} == accents
        for sex in ("female", "male", "unknown"):
            all_of_it = sum(voice.sex == sex for voice in BANK)
            assert abs(sum(voice.sex == sex for voice in pool) - share * all_of_it) <= 1.5


def test_rates_and_pitches_lie_in_the_voices_ranges(of_the_bank: dict[Split, list[Cast]]) -> None:
    voices = {voice.id: voice for voice in BANK}
    seen = [one for cast in of_the_bank["train"] for one in cast]
    for speaker in seen:
        voice = voices[speaker.id]
        assert voice.rate_range[0] - 0.005 <= speaker.rate <= voice.rate_range[1] + 0.005
        assert voice.pitch_range[0] - 0.05 <= speaker.pitch <= voice.pitch_range[1] + 0.05
        assert (speaker.sex, speaker.accent) == (voice.sex, voice.accent)
    assert len({speaker.rate for speaker in seen}) > 10
    assert len({speaker.pitch for speaker in seen}) > 10


# -- stability ------------------------------------------------------------------------------------


def test_the_cast_follows_from_seed_and_ids_alone() -> None:
    one, same, other = casting(seed=1), casting(seed=1), casting(seed=2)
    forward = [cast_of(one, dialogue(number, "test")) for number in range(60)]
    backward = [cast_of(same, dialogue(number, "test")) for number in reversed(range(60))]
    assert forward == backward[::-1]
    assert forward != [cast_of(other, dialogue(number, "test")) for number in range(60)]


def test_another_seed_keeps_the_splits_of_the_voices(of_the_bank: dict[Split, list[Cast]]) -> None:
    reseeded = casts(casting(seed=99))
    for split in SPLITS:
        assert keys([c[1] for c in reseeded[split]]) == keys([c[1] for c in of_the_bank[split]])


def test_a_voice_that_is_appended_moves_no_other_and_recasts_few() -> None:
    before, after = BANK[:-1], BANK
    splits = split_voices(after)
    assert {key: splits[key] for key in split_voices(before)} == split_voices(before)
    new = BANK[-1]
    home = splits[new.engine, new.id]
    without, with_it = casting(before), casting(after)
    for split in SPLITS:
        changed = 0
        for number in range(300):
            old = cast_of(without, dialogue(number, split))
            now = cast_of(with_it, dialogue(number, split))
            if old != now:
                changed += 1
                assert new.id in [speaker.id for speaker in now]
        assert changed == 0 if split != home else 0 < changed < 120


# -- few voices -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 4, 5, 6, 8, 11])
def test_few_voices_still_give_three_different_ones_and_disjoint_users(count: int) -> None:
    here = casting(BANK[:count])
    assert not here.strict
    of_few = casts(here, 200)
    for split in SPLITS:
        assert all(len(keys(cast)) == 3 for cast in of_few[split])
        for other in SPLITS:
            if other != split:
                users, others = ([c[1] for c in of_few[s]] for s in (split, other))
                assert not keys(users) & keys(others)


@pytest.mark.parametrize("count", [1, 2])
def test_fewer_than_three_are_refused(count: int) -> None:
    with pytest.raises(VoiceError, match=rf"3 are needed at least; 'espeak' offers {count}"):
        casting(BANK[:count])
    with pytest.raises(VoiceError, match="engine of the narrator offers no voices"):
        casting(())


def coqui(count: int) -> tuple[Voice, ...]:
    return tuple(
        Voice(id=f"p{number}", engine="coqui", name=f"p{number}") for number in range(count)
    )


def test_engines_mix_by_role() -> None:
    one_narrator = Casting({"narrator": coqui(1), "user": BANK, "assistant": BANK}, 1)
    assert one_narrator.strict, "the only narrator is nobody's user"
    for cast in casts(one_narrator, 50)["test"]:
        assert len(keys(cast)) == 3
        assert cast[0].engine == "coqui"
    few_users = Casting({"narrator": BANK, "user": coqui(3), "assistant": coqui(3)}, 1)
    assert all(len(keys(c)) == 3 for cs in casts(few_users, 50).values() for c in cs)


def test_a_narrator_who_would_be_the_only_user_is_refused() -> None:
    users = coqui(3)
    with pytest.raises(VoiceError, match="must be different voices in every split"):
        Casting({"narrator": users[:1], "user": users, "assistant": users}, 1)


def test_voices_without_sex_and_accent_are_cast_all_the_same() -> None:
    of_coqui = casts(casting(coqui(20)), 100)
    assert all(len(keys(cast)) == 3 for split in SPLITS for cast in of_coqui[split])
