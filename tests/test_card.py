"""The card: figures counted from the release, and nothing that strangers wrote can act in it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from conftest import ROOT
from markdown_it import MarkdownIt
from tiny_release import HOSTILE, dialogue

from askqa_builder.config import ReleaseSettings
from askqa_builder.errors import ReleaseError
from askqa_builder.release.card import template_path, write_card
from askqa_builder.release.folder import ReleaseManifest
from askqa_builder.release.rows import CONFIGS, FEATURES, arrow_schema
from askqa_builder.release.stats import quantile, statistics

ROWS = {
    "train": [
        dialogue("a", ambiguous=True, title=HOSTILE),
        dialogue("b"),
        dialogue("c", passage="p2"),
    ],
    "test": [dialogue("d", passage="p3", ambiguous=True)],
}


def manifest() -> ReleaseManifest:
    counts = {"candidates": 6, "accepted": 4, "rejected": 2, "rejected:answer_leaks": 2}
    stage: dict[str, Any] = {"settings": {}, "counts": counts}
    return ReleaseManifest(
        version="1.0.0",
        name="tiny",
        license="cc0-1.0",
        made_with="askqa_builder test",
        rows={config: {"train": 3, "test": 1} for config in CONFIGS},
        hours={"train": 0.003, "test": 0.001},
        hours_spoken=0.002,
        stages=dict.fromkeys(("passages", "dialogues", "speech"), stage),
        features=FEATURES,
        files={},
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The parquet files of a release of four dialogues, one with a hostile title."""
    return release_of(
        tmp_path, {split: [hostile(row) for row in rows] for split, rows in ROWS.items()}
    )


def release_of(folder: Path, splits: dict[str, list[dict[str, Any]]]) -> Path:
    """The parquet files of a release."""
    for config in ("dialogues", "text"):
        (folder / config).mkdir(parents=True)
        for split, rows in splits.items():
            table = pa.Table.from_pylist(rows, schema=arrow_schema(config))
            pq.write_table(table, folder / config / f"{split}-00000.parquet")
    return folder


def hostile(row: dict[str, Any]) -> dict[str, Any]:
    """The row with a first turn that tries to break out of a fence."""
    turns = [dict(turn) for turn in row["turns"]]
    turns[0]["text"] = "````\n---\nlicense: mit\n---\n<script>alert(1)</script>"
    return row | {"turns": turns}


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of the text: drawing takes a second."""
    monkeypatch.setattr("askqa_builder.release.card.draw", lambda figures, folder: {})


def card(folder: Path, **settings: Any) -> str:
    write_card(folder, manifest(), ReleaseSettings(**settings))
    return (folder / "README.md").read_text()


def front_matter(text: str) -> dict[str, Any]:
    match = re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)
    assert match is not None
    front: dict[str, Any] = yaml.safe_load(match[1])
    return front


def test_figures_are_counted_from_the_rows(folder: Path) -> None:
    counted = statistics(folder)
    assert counted.dialogues == {"train": 3, "test": 1}
    assert counted.ambiguous == {"train": 1, "test": 1}
    assert counted.passages == {"train": 2, "test": 1}
    assert counted.kinds == {"referent": {"train": 1, "test": 1}}
    assert counted.acts["answer"] == {"train": 3, "test": 1}
    assert counted.turns_per_dialogue == {2: 2, 4: 2}
    assert sum(counted.turn_seconds.values()) == 2 * 2 + 2 * 4
    assert counted.narration_seconds == {2.2: 3}, "once a passage"
    assert counted.licences == {"cc0-1.0": 4}
    assert counted.shared == {"groups": 1, "users": 1}, "all are of one group and one voice"


def test_quantiles_are_those_of_the_clips() -> None:
    seconds = {1.0: 90, 2.0: 9, 7.5: 1}
    assert [quantile(seconds, share) for share in (0.5, 0.9, 0.91, 0.99, 1.0)] == [1, 1, 2, 2, 7.5]
    assert quantile({}, 0.5) == 0


@pytest.mark.usefixtures("no_pictures")
def test_what_is_misheard_is_counted_over_all_words(tmp_path: Path) -> None:
    def heard(clip: dict[str, Any], errors: int, words: int) -> dict[str, Any]:
        return clip | {
            "measures": json.dumps({"asr": "e|r", "asr_errors": errors, "asr_words": words})
        }

    folder = tmp_path / "release"
    rows = [dialogue("a"), dialogue("b")]
    for row in rows:  # on one passage, so its narration is one sound
        row["narration"] = [heard(row["narration"][0], 3, 5), row["narration"][1]]
        row["turns"] = [heard(row["turns"][0], 1, 4), heard(row["turns"][1], 0, 1)]
    release_of(folder, {"train": rows})
    assert statistics(folder).misheard == {"e|r": (3 + 2 * 1, 5 + 2 * 5)}
    assert "| heard by e\\|r | 33.3 % of 15 words misheard |" in card(folder)


@pytest.mark.usefixtures("no_pictures")
def test_the_front_matter_says_what_the_hub_needs(folder: Path) -> None:
    front = front_matter(card(folder, title="Yes: no"))
    assert front["license"] == "cc0-1.0"
    assert front["pretty_name"] == "Yes: no"
    assert front["size_categories"] == ["n<1K"]
    (default,) = (c["config_name"] for c in front["configs"] if c.get("default"))
    assert default == "dialogues"
    info = {entry["config_name"]: entry for entry in front["dataset_info"]}
    assert {s["name"]: s["num_examples"] for s in info["dialogues"]["splits"]} == {
        "train": 3,
        "test": 1,
    }


@pytest.mark.usefixtures("no_pictures")
def test_hostile_text_cannot_act(folder: Path) -> None:
    hostile_title = "<script>alert(2)</script> | [x](javascript:1) https://e.vil www.e.vil\n# Head"
    text = card(folder, title=hostile_title)
    body = text.split("---\n", 2)[2]
    assert front_matter(text)["license"] == "cc0-1.0"
    fences = re.findall(r"^(`{3,})text\n(.*?)\n\1$", body, re.DOTALL | re.MULTILINE)
    outside = body
    for fence, inside in fences:
        outside = outside.replace(f"{fence}text\n{inside}\n{fence}", "")
    assert any("<script>alert(1)" in inside for _, inside in fences), "shown, as text"
    assert "<script" not in outside
    assert "<img" not in outside
    assert "](javascript" not in outside
    assert outside.count("\n# ") == 1, "one title"
    assert not re.search(r"https://e|www\.", outside), "no address becomes a link by itself"
    page = MarkdownIt("commonmark").enable("table").render(body)
    assert not re.search(r"<(script|img src=x|audio)", page)
    links = set(re.findall(r'href="([^"]*)"', page))
    assert links == {"CHANGELOG.md", "listen.html", "https://arxiv.org/abs/2412.15995"}
    titles = re.findall(r"<h1>(.*?)</h1>", page, re.DOTALL)
    assert len(titles) == 1
    assert "www.e.vil # Head" in titles[0], "and it reads as it was written"


@pytest.mark.usefixtures("no_pictures")
def test_a_template_of_ones_own(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.md"
    own.write_text("{{ settings.title }}: {{ statistics.dialogues.train | n }}")
    assert card(folder, card=str(own), title="Mine").endswith("---\n\nMine: 3\n")
    own.write_text("{{ nobody_knows_this }}")
    with pytest.raises(ReleaseError, match="cannot be filled in: 'nobody_knows_this'"):
        card(folder, card=str(own))
    with pytest.raises(ReleaseError, match="no such template"):
        card(folder, card="nowhere")


def test_the_same_release_gives_the_same_card_and_pictures(folder: Path) -> None:
    first = card(folder), [p.read_bytes() for p in sorted((folder / "images").iterdir())]
    second = card(folder), [p.read_bytes() for p in sorted((folder / "images").iterdir())]
    assert first == second
    assert len(first[1]) == 4


@pytest.mark.usefixtures("no_pictures")
def test_claims_that_do_not_hold_are_not_made(folder: Path) -> None:
    assert "article or story" not in card(folder)
    assert "no user voice" not in card(folder)
    assert "No passage is in two splits. What was" in card(folder)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize("verify", [0, 2])
def test_what_a_language_model_wrote_is_said_to_be_verified_only_where_it_was(
    tmp_path: Path, verify: int
) -> None:
    row = dialogue("a")
    row["provenance"] |= {"writer": "llm"}
    release_of(tmp_path, {"train": [row]})
    stages: dict[str, Any] = dict(manifest().stages)
    stages["dialogues"] = stages["dialogues"] | {"settings": {"verify": verify}}
    write_card(tmp_path, manifest().model_copy(update={"stages": stages}), ReleaseSettings())
    text = (tmp_path / "README.md").read_text()
    assert ("Independent solvers" in text) == (verify > 0)
    assert ("by programs and by language models, not" in text) == (verify > 0)
    assert ("No independent solver" in text) == (verify == 0)


@pytest.mark.usefixtures("no_pictures")
@pytest.mark.parametrize(
    ("writer", "engine", "asr", "says"),
    [
        ("contrast", "espeak", "faster-whisper:tiny", "again:"),
        ("llm", "espeak", "none", "again, as long as the endpoints' replies are kept"),
        ("contrast", "openai", "none", "again, as long as the endpoints' replies are kept"),
        ("contrast", "espeak", "openai:w", "again, as long as the endpoints' replies are kept"),
        ("contrast", "coqui", "none", "again; voices of Coqui do so on machines of one kind:"),
    ],
)
def test_the_same_set_again_is_promised_with_its_conditions(
    tmp_path: Path, writer: str, engine: str, asr: str, says: str
) -> None:
    row = dialogue("a")
    row["provenance"] |= {"writer": writer}
    row["voices"]["user"] = row["voices"]["user"] | {"engine": engine}
    release_of(tmp_path, {"train": [row]})
    stages: dict[str, Any] = dict(manifest().stages)
    stages["speech"] = stages["speech"] | {"settings": {"asr": asr, "max_wer": 0.3}}
    write_card(tmp_path, manifest().model_copy(update={"stages": stages}), ReleaseSettings())
    assert f"give the same data set {says}" in (tmp_path / "README.md").read_text()


def test_the_checked_in_example_is_of_this_template() -> None:
    """Its words are the template's; docs/releasing.md tells how it is made again."""
    example = (ROOT / "docs/example-card.md").read_text()
    template = template_path("default").read_text()
    headings = re.findall(r"^##+ .*$", template, re.MULTILINE)
    assert re.findall(r"^##+ .*$", example, re.MULTILINE) == headings
    for paragraph in re.findall(r"(?<!%}\n)^[A-Z][^{}\n]{60,}$", template, re.MULTILINE):
        assert paragraph in example
    for picture in re.findall(r"\]\((images/[^)]+)\)", example):
        assert (ROOT / "docs" / picture).is_file()


@pytest.mark.usefixtures("no_pictures")
def test_rejects_are_accounted_for(folder: Path) -> None:
    assert "| writing dialogues | 6 | 4 | 2 | answer leaks (2) |" in card(folder)
    assert json.loads(manifest().model_dump_json())["license"] == "cc0-1.0"
