"""A build under conditions: who gets which, what is stored, and that a rerun gives the same."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from pipeline import askqa, killed, one_line, tree

from askqa_builder import load_release, perturb
from askqa_builder.clips import ClipFault, finish_clip, make_clip, read_script
from askqa_builder.errors import MissingExtraError
from askqa_builder.files import read_records
from askqa_builder.perturb import parse
from askqa_builder.schema import Speaker, SpokenDialogue, Voice
from askqa_builder.store import Build
from askqa_builder.synthesize import SynthesizeSettings, synthesize
from askqa_builder.voices import Speech

pytest.importorskip("python_stretch", reason="needs the extra perturb")
pytest.importorskip("pyroomacoustics", reason="needs the extra perturb")

GENERATE = ("generate", "--source", "sample", "--shard-size", "4", "--count", "16", "--out")
CONDITIONS = (
    *("--perturb", "noise=5", "--perturb", "rate=1.25", "--perturb", "reverb=0.4"),
    *("--perturb-share", "0.6"),
)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain") / "build"
    askqa(*GENERATE, folder)
    askqa("synthesize", folder)
    return folder


@pytest.fixture(scope="module")
def build(plain: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same dialogues, three in five of them under one of three conditions."""
    folder = tmp_path_factory.mktemp("perturbed") / "build"
    shutil.copytree(plain, folder, ignore=shutil.ignore_patterns("speech"))
    askqa("synthesize", folder, *CONDITIONS)
    askqa("release", folder, "--version", "1.0.0")
    return folder


def spoken_dialogues(build: Path) -> Iterator[SpokenDialogue]:
    for path in sorted((build / "speech").glob("*.jsonl")):
        yield from read_records(path, SpokenDialogue)


def test_the_users_of_a_share_of_dialogues_are_perturbed_and_nobody_else(build: Path) -> None:
    drawn: Counter[str] = Counter()
    for spoken in spoken_dialogues(build):
        condition = perturb.of(spoken.user)
        assert perturb.of(spoken.narrator) is perturb.of(spoken.assistant) is None
        assert not any(clip.measures for clip in spoken.narration)
        for turn in spoken.turns:
            expected = str(condition[0]) if condition and turn.role == "user" else None
            assert turn.clip.measures.get("perturbation") == expected
        drawn[str(condition[0]) if condition else "none"] += 1
    assert set(drawn) == {"none", "noise=5", "rate=1.25", "reverb=0.4"}
    assert drawn.total() == 16
    assert 1 <= drawn["none"] <= 12


def test_measured_values_stand_beside_the_requested_ones_in_the_release(build: Path) -> None:
    seen = Counter()
    for split in load_release(build / "release").values():
        for row in split:
            settings = json.loads(row["voices"]["user"]["settings"])
            for turn in row["turns"]:
                if turn["measures"] is None:
                    continue
                measures = json.loads(turn["measures"])
                assert measures.pop("perturbation") == settings["perturbation"]["spec"]
                for name, expected, within in (
                    ("rate", 1.25, 0.001),
                    ("snr_db", 5, 0.01),
                    ("rt60_s", 0.4, 0.01),
                ):
                    if name in measures:
                        assert measures[name] == pytest.approx(expected, abs=within)
                        seen[name] += 1
    assert set(seen) == {"rate", "snr_db", "rt60_s"}


def test_voices_words_and_durations_are_those_of_the_plain_build_scaled(
    plain: Path, build: Path
) -> None:
    before = {spoken.dialogue.id: spoken for spoken in spoken_dialogues(plain)}
    for after in spoken_dialogues(build):
        spoken = before[after.dialogue.id]
        assert perturb.without(after.user) == spoken.user
        condition = perturb.of(after.user)
        for old, new in zip(spoken.turns, after.turns, strict=True):
            if condition is None or old.role != "user":
                assert new == old
                continue
            assert new.clip.key != old.clip.key
            scale = condition[0].time_scale
            tail_s = 0.5 if str(condition[0]).startswith("reverb") else 0.001
            assert 0 <= new.clip.duration_s - scale * old.clip.duration_s + 0.001 <= tail_s + 0.001
            expected = [scale * word.start for word in old.clip.words]
            assert [word.start for word in new.clip.words] == pytest.approx(expected, abs=0.002)


def test_a_killed_run_ends_with_the_bytes_of_an_undisturbed_one(build: Path, plain: Path) -> None:
    folder = build.parent / "killed"
    shutil.copytree(plain, folder, ignore=shutil.ignore_patterns("speech", "release"))
    killed(2.5, "synthesize", folder, *CONDITIONS, "--workers", "2")
    askqa("synthesize", folder, *CONDITIONS, "--workers", "1")
    assert tree(folder / "speech") == tree(build / "speech")


def test_none_takes_the_conditions_back_and_speaks_only_what_they_changed(
    build: Path, plain: Path
) -> None:
    folder = build.parent / "taken-back"
    shutil.copytree(build, folder, ignore=shutil.ignore_patterns("release"))
    askqa("synthesize", folder, "--perturb", "none")
    assert tree(folder / "speech") == tree(plain / "speech")


def test_a_slow_narrator_is_cut_finer(plain: Path) -> None:
    folder = plain.parent / "slow"
    shutil.copytree(plain, folder, ignore=shutil.ignore_patterns("speech"))
    settings = SynthesizeSettings(perturb=("rate=0.5",), perturb_roles=("narrator",))
    manifest = synthesize(Build(folder), settings)
    assert manifest.counts["accepted"] == 16
    before = {spoken.dialogue.id: spoken for spoken in spoken_dialogues(plain)}
    for after in spoken_dialogues(folder):
        assert all(clip.duration_s <= 30 for clip in after.narration)
        assert len(after.narration) > len(before[after.dialogue.id].narration)
        assert after.turns == before[after.dialogue.id].turns


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--perturb", "speed=2"), "perturbation 'speed=2' is unknown; expected one like rate=1.2"),
        (("--perturb", "noise=5", "--perturb", "rate=9"), "less than or equal to 2"),
        (("--perturb-share", "1.5"), "--perturb-share 1.5"),
        (("--perturb-roles", "user,dog"), "'dog'"),
    ],
)
def test_unusable_options_are_one_line(plain: Path, options: tuple[str, ...], words: str) -> None:
    assert words in one_line("synthesize", plain, *options)


def test_a_missing_package_is_said_before_the_run(
    plain: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"askqa-builder\[perturb\]"):
        synthesize(Build(plain), SynthesizeSettings(perturb=("rate=1.2",)))


# -- one clip -------------------------------------------------------------------------------------


class Humming:
    """An engine that hums, and remembers whom it was asked for."""

    name, model, version, max_processes = "humming", "", "1", None
    settings: dict[str, object] = {}  # noqa: RUF012

    def __init__(self, seconds: float = 4.0) -> None:
        self.asked: list[Speaker] = []
        time = np.arange(round(16_000 * seconds)) / 16_000
        tone = sum(np.sin(2 * np.pi * 150 * n * time) / n for n in range(1, 30))
        self.samples = (0.1 * tone * np.abs(np.sin(2 * np.pi * time))).astype(np.float32)

    def voices(self) -> Sequence[Voice]:
        return (Voice(id="hum", engine="humming", name="hum"),)

    def speak(self, text: str, speaker: Speaker) -> Speech:
        self.asked.append(speaker)
        return Speech(self.samples, 16_000)

    def close(self) -> None: ...


TEXT = "Which of the two bridges was finished in the spring of that year, the old one or the new?"


def test_the_engine_hears_of_the_same_speaker_under_every_condition() -> None:
    engine, speaker = Humming(), Speaker(id="hum", engine="humming", settings={"style": "low"})
    keys = set()
    for condition in (None, parse("noise=5"), parse("rate=0.9")):
        clip, _ = make_clip(engine, TEXT, perturb.given(speaker, condition, "0:d1"))
        keys.add(clip.key)
    assert engine.asked == [speaker] * 3
    assert len(keys) == 3


def test_a_clip_that_a_slower_rate_makes_too_long_is_refused() -> None:
    long = TEXT * 4
    speech = Speech(Humming(20.0).samples, 16_000)
    slow = perturb.given(Speaker(id="hum", engine="humming"), parse("rate=0.6"), "0:d1")
    with pytest.raises(ClipFault, match=r"over_30_s: 33\.\d s under .*rate=0\.6"):
        finish_clip(read_script(long), slow, speech)
    assert finish_clip(read_script(long), perturb.without(slow), speech)[0].duration_s < 30
