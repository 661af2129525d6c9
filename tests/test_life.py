"""The life of a set: released, pushed, grown, corrected; every tag keeps its own bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from hub_server import LocalHub, local_hub
from pipeline import askqa, here, one_line, tree

from askqa_builder.errors import SettingsError
from askqa_builder.files import read_records
from askqa_builder.release.markdown import line
from askqa_builder.schema import Dialogue

SAMPLE = ROOT / "askqa_builder/data/sample.json"
REPO = "tester/askqa-life"
LOAD = """
import hashlib, json, sys
from pathlib import Path
from datasets import Audio, load_dataset
from huggingface_hub import snapshot_download
rows = {}
for revision in sys.argv[2:]:
    spoken = load_dataset(sys.argv[1], "turns", revision=revision)
    text = load_dataset(sys.argv[1], "text", revision=revision)
    rows[revision] = {
        "text": {split: {row["id"]: row["turns"][-1]["text"] for row in part}
                 for split, part in text.items()},
        "audio": hashlib.sha256(b"".join(
            row["audio"]["bytes"] for part in spoken.values()
            for row in part.cast_column("audio", Audio(decode=False)))).hexdigest(),
    }
    folder = Path(snapshot_download(sys.argv[1], repo_type="dataset", revision=revision))
    rows[revision]["files"] = {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*") if path.is_file() and path.name != ".gitattributes"}
print(json.dumps(rows))
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHub]:
    with local_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def push(hub: LocalHub, build: Path) -> str:
    command = [sys.executable, "-m", "askqa_builder", "push", str(build), "--repo", REPO]
    done = subprocess.run(
        command, env=os.environ | hub.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def load(hub: LocalHub, *revisions: str) -> dict[str, Any]:
    """What a fresh process, on another machine as it were, finds under each tag."""
    command = [sys.executable, "-c", LOAD, REPO, *revisions]
    done = subprocess.run(
        command, env=os.environ | hub.env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def make(*arguments: str | Path) -> None:
    """One process at a time: so little work is not worth starting workers for."""
    askqa(*arguments, "--workers", "1")


def diff(old: str | Path, new: str | Path) -> dict[str, Any]:
    changes: dict[str, Any] = json.loads(askqa("diff", old, new, "--json").stdout)
    return changes


def test_every_version_follows_from_its_changes_and_stays(hub: LocalHub, tmp_path: Path) -> None:
    articles = json.loads(SAMPLE.read_text())["data"]
    first, more, build = tmp_path / "first.json", tmp_path / "more.json", tmp_path / "build"
    first.write_text(json.dumps({"version": "1.1", "data": articles[:10]}))
    more.write_text(json.dumps({"version": "1.1", "data": articles[10:]}))

    def remake(*sources: str) -> None:
        make("generate", *sources, "--shard-size", "5", "--out", build)
        make("synthesize", build)

    remake("--source", f"squad:{first}")
    make("release", build, "--version", "1.0.0", "--repo", REPO)
    assert "published" in push(hub, build)
    assert "nothing changed" in push(hub, build)
    one = tmp_path / "one"
    (build / "release").rename(one)
    released = {"v1.0.0": tree(one)}

    # thirty new passages
    remake("--source", f"squad:{first}", "--source", f"squad:{more}")
    refused = one_line("release", build, "--version", "1.0.1", "--previous", one)
    assert "minor step; use 1.1.0 or later" in refused
    make("release", build, "--version", "1.1.0", "--previous", one)
    grown = diff(one, build / "release")
    assert grown["step"] == "minor"
    assert grown["added"]
    assert not any(grown[name] for name in ("removed", "text", "split", "voice", "audio", "leaks"))
    push(hub, build)
    released["v1.1.0"] = tree(build / "release")

    # one corrected turn
    dialogue = next(read_records(build / "dialogues/00000.jsonl", Dialogue))
    turns = [turn.model_dump() for turn in dialogue.turns]
    turns[-1]["text"] = f"It is {dialogue.readings[dialogue.intended].answers[0]}, I believe."
    (build / "corrections.jsonl").write_text(json.dumps({"id": dialogue.id, "turns": turns}))
    remake()
    assert "use 2.0.0 or later" in one_line("release", build, "--version", "1.2.0")
    make("release", build, "--version", "2.0.0")
    corrected = diff(one, build / "release")
    assert corrected["text"] == [dialogue.id]
    assert corrected["step"] == "major"
    push(hub, build)
    released["v2.0.0"] = tree(build / "release")

    found = load(hub, "v1.0.0", "v1.1.0", "v2.0.0")
    assert {tag: rows["files"] for tag, rows in found.items()} == released, "to the last byte"
    ids = {tag: {i for part in rows["text"].values() for i in part} for tag, rows in found.items()}
    assert ids["v1.1.0"] == ids["v1.0.0"] | set(grown["added"])
    assert ids["v2.0.0"] == ids["v1.1.0"]
    assert len({rows["audio"] for rows in found.values()}) == 3
    splits = {
        tag: {i: split for split, part in rows["text"].items() for i in part}
        for tag, rows in found.items()
    }
    assert splits["v1.0.0"].items() <= splits["v2.0.0"].items(), "no dialogue ever moves"
    answer = {tag: rows["text"][dialogue.split][dialogue.id] for tag, rows in found.items()}
    assert answer["v2.0.0"] == turns[-1]["text"]
    assert answer["v1.1.0"] == answer["v1.0.0"] == dialogue.turns[-1].text
    changelog = (build / "release/CHANGELOG.md").read_text()
    assert f"  - changed in text: {line(dialogue.id)}\n" in changelog
    assert changelog.index("2.0.0") < changelog.index("1.1.0") < changelog.index("1.0.0")


def test_speech_of_a_build_that_has_grown_is_not_released(tmp_path: Path) -> None:
    build, sizes = tmp_path / "build", ("--shard-size", "5", "-j", "1", "--out", tmp_path / "build")
    here("generate", "--source", "world:5,facts=3", *sizes)
    here("synthesize", build, "-j", "1")
    here("generate", "--source", "world:5,facts=3", "--source", "sample", *sizes)
    line = one_line("release", build, "--version", "1.0.0")
    assert "speech/ is stale: dialogues/00001.jsonl has come since; run `askqa-build synth" in line
    assert not (build / "release").exists()


def test_a_release_that_is_stale_or_damaged_is_refused(tmp_path: Path) -> None:
    build = tmp_path / "build"
    make("generate", "--source", "sample", "--count", "6", "--shard-size", "2", "--out", build)
    make("synthesize", build)
    before = tree(build)
    clips = build / "speech/00000.parquet"
    whole = clips.read_bytes()
    clips.write_bytes(whole[:-1] + b"?")
    damaged = one_line("release", build, "--version", "1.0.0")
    assert "00000.parquet: damaged" in damaged
    assert "run `askqa-build synthesize`" in damaged
    clips.write_bytes(whole)
    make("generate", "--out", build, "--seed", "5")
    assert "is stale" in one_line("release", build, "--version", "1.0.0")
    assert not (build / "release").exists()
    make("generate", "--out", build, "--seed", "0")
    after = tree(build)
    assert {n: h for n, h in after.items() if n != "askqa.toml"} == {
        n: h for n, h in before.items() if n != "askqa.toml"
    }


def test_share_alike_sources_keep_their_licence(tmp_path: Path) -> None:
    build, file = tmp_path / "build", tmp_path / "squad.json"
    articles = json.loads(SAMPLE.read_text())["data"][:2]
    file.write_text(json.dumps({"version": "1.1", "data": articles}))
    make("generate", "--source", f"squad:{file}", "--out", build)
    make("synthesize", build)
    line = one_line("release", build, "--version", "1.0.0", "--license", "cc0-1.0")
    assert "a source is under 'cc-by-sa-4.0', which allows only" in line
    make("release", build, "--version", "1.0.0")
    assert json.loads((build / "release/manifest.json").read_text())["license"] == "cc-by-sa-4.0"


def test_sources_that_would_drop_a_finished_build_are_refused(tmp_path: Path) -> None:
    build = tmp_path / "build"
    first, second = "world:3,seed=1", "world:3,seed=2"
    here("generate", "--source", first, "--out", build, "--quiet")
    before = tree(build / "dialogues") | tree(build / "passages")
    for words in (("generate",), ("estimate", "--model", "none")):
        with pytest.raises(SettingsError, match="would be replaced; to add to them give all"):
            here(*words, "--source", second, "--out", build)
    assert tree(build / "dialogues") | tree(build / "passages") == before
    here("generate", "--source", first, "--source", second, "--out", build, "--quiet")
    assert len(list(read_records(build / "dialogues" / "00000.jsonl", Dialogue))) == 12


def test_a_source_whose_file_has_moved_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("old", "new", "more"):
        (tmp_path / folder).mkdir()
    articles = json.loads(SAMPLE.read_text())["data"]
    for folder, few in (("old", articles[:1]), ("more", articles[1:2])):
        text = json.dumps({"version": "1.1", "data": few})
        (tmp_path / folder / "squad.json").write_text(text)
    here("generate", "--source", "squad:old/squad.json", "--out", "build", "--quiet")
    before = tree(tmp_path / "build/dialogues")
    (tmp_path / "old/squad.json").rename("new/squad.json")
    here("generate", "--source", "squad:new/squad.json", "--out", "build", "--quiet")
    assert tree(tmp_path / "build/dialogues") == before
    both = ("--source", "squad:new/squad.json", "--source", "squad:more/squad.json")
    here("generate", *both, "--out", "build", "--quiet")
    with pytest.raises(SettingsError, match=r"its dialogues from squad:more/squad\.json would"):
        here("generate", *both[:2], "--out", "build", "--quiet")
