"""From passages to a data set that opens, by the commands that a user types."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pipeline import askqa, killed, one_line, tree

from askqa_builder import load_release
from askqa_builder.config import SynthesizeSettings
from askqa_builder.engine import ShardReport
from askqa_builder.errors import ReleaseError
from askqa_builder.files import read_records
from askqa_builder.release.rows import CONFIGS, FEATURES
from askqa_builder.schema import Dialogue, Reject, SpokenDialogue
from askqa_builder.store import Build
from askqa_builder.synthesize import synthesize

GENERATE = ("generate", "--source", "sample", "--shard-size", "4", "--count", "24", "--out")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small build, made without disturbance."""
    folder = tmp_path_factory.mktemp("pipeline") / "build"
    askqa(*GENERATE, folder)
    askqa("synthesize", folder)
    askqa("release", folder, "--version", "1.0.0")
    return folder


def spoken_dialogues(build: Path) -> Iterator[SpokenDialogue]:
    for path in sorted((build / "speech").glob("*.jsonl")):
        yield from read_records(path, SpokenDialogue)


def test_every_candidate_is_accepted_or_rejected_with_a_reason(build: Path) -> None:
    counts = json.loads((build / "dialogues/manifest.json").read_text())["counts"]
    accepted = [
        d for p in sorted((build / "dialogues").glob("*.jsonl")) for d in read_records(p, Dialogue)
    ]
    rejects = [
        r for p in (build / "rejects").glob("dialogues-*.jsonl") for r in read_records(p, Reject)
    ]
    assert counts["accepted"] == len(accepted) == 24
    assert counts["rejected"] == len(rejects)
    assert counts["candidates"] == len(accepted) + len(rejects)
    assert all(reject.reason and reject.raw for reject in rejects)


def test_half_of_the_dialogues_are_ambiguous(build: Path) -> None:
    shares = Counter(s.dialogue.ambiguous for s in spoken_dialogues(build))
    assert 0.3 < shares[True] / shares.total() < 0.7


def test_speakers_differ_and_users_of_the_splits_are_disjoint(build: Path) -> None:
    users: dict[str, set[str]] = {}
    for spoken in spoken_dialogues(build):
        assert len({spoken.narrator.id, spoken.user.id, spoken.assistant.id}) == 3
        users.setdefault(spoken.dialogue.split, set()).add(spoken.user.id)
    pools = list(users.values())
    assert not any(a & b for i, a in enumerate(pools) for b in pools[:i])


def test_word_times_are_those_of_the_written_words(build: Path) -> None:
    for spoken in spoken_dialogues(build):
        for clip in (*spoken.narration, *(turn.clip for turn in spoken.turns)):
            assert [word.text for word in clip.words] == clip.text.split()
            times = [time for word in clip.words for time in (word.start, word.end)]
            assert times == sorted(times)
            assert times[-1] <= clip.duration_s + 0.001
        narrated = " ".join(clip.text for clip in spoken.narration).split()
        assert narrated == spoken.dialogue.passage.split()


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("config", CONFIGS)
def test_plain_load_dataset_opens_every_config(
    build: Path, tmp_path: Path, config: str, streaming: bool
) -> None:
    import datasets

    loaded = datasets.load_dataset(
        str(build / "release"), config, streaming=streaming, cache_dir=str(tmp_path)
    )
    rows = json.loads((build / "release/manifest.json").read_text())["rows"][config]
    assert set(loaded) == set(rows)
    for split, count in rows.items():
        if streaming:  # decoding is another test's matter: it needs torchcodec
            assert set(next(iter(loaded[split].decode(False)))) == set(FEATURES[config])
        else:
            assert set(loaded[split].column_names) == set(FEATURES[config])
            assert len(loaded[split].with_format("arrow")[:]) == count


def test_audio_decodes_alike_with_and_without_torchcodec(build: Path, tmp_path: Path) -> None:
    import datasets

    try:
        import torchcodec  # noqa: F401
    except (ImportError, OSError, RuntimeError):
        pytest.skip("torchcodec does not load here: it needs FFmpeg's libraries")
    theirs = datasets.load_dataset(str(build / "release"), cache_dir=str(tmp_path))["train"][0]
    ours = load_release(build / "release")["train"][0]
    with pytest.raises(ReleaseError, match="is no release: no dialogues/"):
        load_release(build)
    with pytest.raises(ReleaseError, match="no such folder, and no Hub id"):
        load_release("nowhere")
    assert [t["text"] for t in ours["turns"]] == [t["text"] for t in theirs["turns"]]
    for our, their in zip(ours["turns"], theirs["turns"], strict=True):
        decoded = their["audio"].get_all_samples()
        assert decoded.sample_rate == our["audio"]["sampling_rate"] == 16_000
        np.testing.assert_array_equal(decoded.data[0].numpy(), our["audio"]["array"])
        assert len(our["audio"]["array"]) == round(our["duration"] * 16_000)


def test_features_are_written_in_the_form_that_datasets_3_reads() -> None:
    def kinds(feature: Any) -> set[str]:
        if isinstance(feature, list):
            return kinds(feature[0])
        if "_type" in feature:
            return {feature["_type"]}
        return set().union(*map(kinds, feature.values()))

    assert kinds({**FEATURES["dialogues"], **FEATURES["turns"]}) == {"Value", "Audio"}
    assert kinds(FEATURES["text"]) == {"Value"}


def test_the_manifest_holds_the_hash_of_every_file(build: Path) -> None:
    release = build / "release"
    files = json.loads((release / "manifest.json").read_text())["files"]
    found = tree(release)
    del found["manifest.json"]
    assert {name: entry["sha256"] for name, entry in files.items()} == found


def test_a_second_run_changes_nothing(build: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(build, copy)
    before = {p: p.stat().st_mtime_ns for p in copy.rglob("*.jsonl")}
    before |= {p: p.stat().st_mtime_ns for p in copy.rglob("*.parquet")}
    askqa(*GENERATE, copy)
    askqa("synthesize", copy)
    askqa("release", copy, "--version", "1.0.0")
    assert tree(copy) == tree(build)
    inside = [p for p in before if "release" not in p.parts]
    assert all(p.stat().st_mtime_ns == before[p] for p in inside)


def test_killed_runs_end_with_the_same_bytes(build: Path, tmp_path: Path) -> None:
    rng = random.Random(7)
    folder = tmp_path / "killed"
    steps = [
        (*GENERATE, folder),
        ("synthesize", folder, "--workers", "2"),
        ("release", folder, "--version", "1.0.0"),
    ]
    kills = 0
    for step in steps:
        for _ in range(3):
            kills += killed(rng.uniform(0.4, 2.5), *step)
        askqa(*step)
    assert kills >= 3, "the runs were too quick to be killed: the test shows nothing"
    assert tree(folder) == tree(build)


def test_one_corrected_turn_speaks_one_clip(build: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(build, copy)
    dialogue = next(
        d for p in sorted((copy / "dialogues").glob("*.jsonl")) for d in read_records(p, Dialogue)
    )
    turns = [turn.model_dump() for turn in dialogue.turns]
    turns[-1]["text"] = f"I think it is {turns[-1]['text']}"
    (copy / "corrections.jsonl").write_text(json.dumps({"id": dialogue.id, "turns": turns}))
    askqa("generate", "--out", copy)
    work: Counter[str] = Counter()

    def note(report: ShardReport, total: int) -> None:
        work.update(report.work)

    synthesize(Build(copy), SynthesizeSettings(), progress=note)
    assert work["clips_spoken"] == 1
    assert work["clips_reused"] > 1
    changed = {s.dialogue.id: s for s in spoken_dialogues(copy)}[dialogue.id]
    assert changed.turns[-1].clip.text.startswith("I think it is")


def test_check_tells_good_files_from_bad(build: Path, tmp_path: Path) -> None:
    assert "24" in askqa("check", build).stdout
    file = tmp_path / "mine.jsonl"
    dialogue = next(read_records(build / "dialogues/00000.jsonl", Dialogue))
    bad = dialogue.model_dump(mode="json")
    bad["turns"][0]["text"] = "<b>When</b> was it?"
    file.write_text(dialogue.model_dump_json() + "\n" + json.dumps(bad) + "\n{}\n")
    report = json.loads(askqa("check", file, "--json", code=1).stdout)
    assert [r["reason"] for r in report["rejects"]] == ["markup", "invalid"]
    assert f"{file}:3" in report["rejects"][1]["id"]
    file.write_text("{}\n" * 30)
    shown = askqa("check", file, code=1).stdout.splitlines()
    assert sum("invalid" in line and line.startswith(str(file)) for line in shown) == 20
    assert "… and 10 more; all of them: --json" in shown
    file.write_text("")
    assert "there is no dialogue in it" in one_line("check", file)


def test_dialogues_of_ones_own_can_be_spoken(build: Path, tmp_path: Path) -> None:
    file, folder = tmp_path / "mine.jsonl", tmp_path / "build"
    dialogues = list(read_records(build / "dialogues/00000.jsonl", Dialogue))
    file.write_text("".join(d.model_dump_json() + "\n" for d in dialogues))
    askqa("generate", "--source", f"dialogues:{file}", "--out", folder)
    back = {
        d.id: d for p in (folder / "dialogues").glob("*.jsonl") for d in read_records(p, Dialogue)
    }
    assert {i: _spoken_part(d) for i, d in back.items()} == {
        d.id: _spoken_part(d) for d in dialogues
    }


def _spoken_part(dialogue: Dialogue) -> dict[str, Any]:
    return dialogue.model_dump(include={"turns", "readings", "passage", "split", "id"})


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("generate", "--source", "sample", "--workers", "0", "--out"), "--workers 0"),
        (("generate", "--source", "squad:/nowhere.json", "--out"), "/nowhere.json"),
        (("generate", "--source", "riddles:1", "--out"), "'riddles"),
        (("generate", "--out"), "no --source"),
        (("generate", "--source", "sample", "--writer", "poet", "--out"), "--writer 'poet'"),
        (("generate", "--source", "sample", "--ambiguous-share", "2", "--out"), "ambiguous-share"),
        (("synthesize",), "dialogues/ is missing or incomplete"),
        (("release", "--version", "1.0.0"), "speech/ is missing or incomplete"),
        (("check",), "no such file or build folder"),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: tuple[str, ...], line: str) -> None:
    assert line in one_line(*arguments, tmp_path / "build")


def test_an_unknown_voice_engine_names_those_that_exist(build: Path) -> None:
    assert "'kazoo'; expected one of ['espeak'" in one_line(
        "synthesize", build, "--voices", "kazoo"
    )


def test_a_version_is_three_numbers(build: Path) -> None:
    assert "1.0.0" in one_line("release", build, "--version", "one")
