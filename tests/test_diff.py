"""What changed between two releases, what a version may be called, what may not be released."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pipeline import one_line

from askqa_builder.errors import ReleaseError
from askqa_builder.files import sha256_of
from askqa_builder.release.diff import Diff, check_step, compare, smallest_next
from askqa_builder.release.folder import ReleaseManifest, changelog, read_manifest
from askqa_builder.release.index import HISTORY, index_schema, read_history, write_history
from askqa_builder.release.licences import RELEASABLE, licence_for
from askqa_builder.release.rows import CONFIGS, FEATURES
from askqa_builder.schema import SPLITS, Passage
from askqa_builder.splits import split_of, split_of_group

Rows = Mapping[str, tuple[str, str]]
"""Dialogue → (split, passage)."""
OLD: Rows = {"a": ("train", "p1"), "b": ("train", "p2"), "c": ("validation", "p3")}


def release(
    folder: Path,
    rows: Rows,
    version: str = "1.0.0",
    changed: Mapping[str, str] | None = None,
    features: dict[str, Any] | None = None,
) -> Path:
    """A release without its data: manifest, index and history. `changed`: dialogue → column."""
    (folder / "index").mkdir(parents=True)
    for split in SPLITS:
        table = []
        for dialogue, (where, passage) in rows.items():
            row = {"id": dialogue, "group": passage, "passage": passage, "voices": "v"}
            row |= {"text": f"text of {dialogue}", "audio": f"audio of {dialogue}"}
            if (column := (changed or {}).get(dialogue)) is not None:
                row[column] += " now"
            if where == split:
                table.append(row)
        if table:
            path = folder / "index" / f"{split}-00000.parquet"
            pq.write_table(pa.Table.from_pylist(table, schema=index_schema()), path)
    write_history(folder / HISTORY, {p: (split, version) for split, p in rows.values()})
    counts = {s: n for s in SPLITS if (n := sum(where == s for where, _ in rows.values()))}
    manifest = ReleaseManifest(
        version=version,
        name="tiny",
        license="cc0-1.0",
        made_with="a test",
        rows=dict.fromkeys(CONFIGS, counts),
        hours={},
        hours_spoken=0,
        stages={},
        features=features or FEATURES,
        files={f"index/{p.name}": sha256_of(p) for p in (folder / "index").iterdir()},
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return folder


def changes(tmp_path: Path, new: Rows = OLD, **options: Any) -> Diff:
    old = release(tmp_path / "old", OLD)
    return compare(old, release(tmp_path / "new", new, **options))


@pytest.mark.parametrize(
    ("new", "options", "found", "step", "following"),
    [
        (OLD, {}, {}, "none", "1.0.1"),
        (OLD, {"changed": {"a": "audio"}}, {"audio": ("a",)}, "patch", "1.0.1"),
        (OLD | {"d": ("test", "p4")}, {}, {"added": ("d",)}, "minor", "1.1.0"),
        ({k: OLD[k] for k in "ab"}, {}, {"removed": ("c",)}, "major", "2.0.0"),
        (OLD, {"changed": {"b": "text"}}, {"text": ("b",)}, "major", "2.0.0"),
        (OLD, {"changed": {"b": "voices"}}, {"voice": ("b",)}, "major", "2.0.0"),
        (OLD | {"a": ("test", "p1")}, {}, {"split": ("a",)}, "major", "2.0.0"),
    ],
)
def test_every_change_is_told_and_has_its_step(
    tmp_path: Path, new: Rows, options: Any, found: Any, step: str, following: str
) -> None:
    diff = changes(tmp_path, new, **options)
    named = ("added", "removed", "text", "split", "voice", "audio", "columns", "leaks")
    assert {n: v for n in named if (v := getattr(diff, n))} == found
    assert diff.step == step
    assert smallest_next("1.0.0", diff.step) == following
    for version, allowed in (("0.9.0", False), ("1.0.0", step == "none"), (following, True)):
        if allowed:
            check_step(diff.model_copy(update={"new": version}))
        else:
            with pytest.raises(ReleaseError, match=rf"--version {version}.*use {following}"):
                check_step(diff.model_copy(update={"new": version}))
    if step in ("minor", "major"):
        with pytest.raises(ReleaseError, match=rf"{step} step; use {following} or later"):
            check_step(diff.model_copy(update={"new": "1.0.1"}))


def test_a_version_that_goes_back_is_told_as_such(tmp_path: Path) -> None:
    diff = changes(tmp_path, version="0.9.0")
    says = r"0\.9\.0 goes back: 1\.0\.0 is there \(no dialogue changed\); use 1\.0\.1 or later"
    with pytest.raises(ReleaseError, match=says):
        check_step(diff)


@pytest.mark.parametrize(
    ("new", "options", "entry"),
    [
        ({k: OLD[k] for k in "ab"}, {}, "  - removed: c\n"),
        (OLD, {"changed": {"b": "text"}}, "  - changed in text: b\n"),
        (OLD | {"a": ("test", "p1")}, {}, "  - moved: a\n"),
        (OLD, {"changed": {"b": "voices"}}, "  - with other speakers: b\n"),
    ],
)
def test_the_changelog_names_what_makes_a_major_step(
    tmp_path: Path, new: Rows, options: Any, entry: str
) -> None:
    diff = changes(tmp_path, new, version="2.0.0", **options)
    assert diff.step == "major"
    old = tmp_path / "old"
    (old / "CHANGELOG.md").write_text("# Changelog\n\n## 1.0.0\n\n- First release.\n")
    text = changelog(old, read_manifest(tmp_path / "new"), diff)
    assert entry in text
    assert text.index("## 2.0.0") < text.index("## 1.0.0")


def test_another_schema_is_a_major_step(tmp_path: Path) -> None:
    text = {name: kind for name, kind in FEATURES["text"].items() if name != "domain"}
    text["mood"] = {"dtype": "string", "_type": "Value"}
    text["intended"] = {"dtype": "int64", "_type": "Value"}
    diff = changes(tmp_path, features=FEATURES | {"text": text})
    assert set(diff.columns) == {
        "text.domain: removed",
        "text.mood: added",
        "text.intended: type changed",
    }
    assert diff.step == "major"


@pytest.mark.parametrize(
    ("new", "line"),
    [
        (OLD | {"c": ("train", "p3")}, "c: its passage was in validation of 1.0.0, now train"),
        ({"x": ("train", "p3")}, "x: its passage was in validation of 1.0.0, now train"),
        (OLD | {"d": ("test", "p1")}, "d: its passage is in train and in test"),
    ],
)
def test_a_leak_is_refused_whatever_the_version(tmp_path: Path, new: Rows, line: str) -> None:
    diff = changes(tmp_path, new, version="9.0.0")
    assert diff.leaks == (line,)
    with pytest.raises(ReleaseError, match="passages leak between splits"):
        check_step(diff)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "index/train-00000.parquet").write_bytes(b"PAR1 no more"), "is damaged"),
        (lambda f: (f / "index/train-00000.parquet").unlink(), "is missing"),
        (lambda f: (f / HISTORY).write_bytes(b""), "is damaged"),
        (lambda f: _forged(f, b"PAR1 no more PAR1"), "cannot be read"),
        (lambda f: _forged(f, None), "not an index of this kind"),
        (lambda f: _without(f, "train-00000.parquet"), "its index holds 1 dialogues"),
        (lambda f: (f / "manifest.json").write_text("{"), "not a release manifest"),
        (lambda f: (f / "manifest.json").unlink(), "no whole release"),
    ],
)
def test_a_damaged_release_is_told_in_one_line(tmp_path: Path, damage: Any, says: str) -> None:
    old, new = release(tmp_path / "old", OLD), release(tmp_path / "new", OLD)
    for bad, good in ((old, new), (new, old)):
        whole = {p: p.read_bytes() for p in bad.rglob("*") if p.is_file()}
        damage(bad)
        for pair in ((bad, good), (good, bad)):
            with pytest.raises(ReleaseError, match=says) as caught:
                compare(*pair)
            assert str(bad) in str(caught.value)
            assert "\n" not in str(caught.value)
        for path, content in whole.items():
            path.write_bytes(content)


def test_the_command_line_shows_that_line(tmp_path: Path) -> None:
    old, new = release(tmp_path / "old", OLD), release(tmp_path / "new", OLD)
    (old / "index/train-00000.parquet").write_bytes(b"PAR1 no more")
    assert "train-00000.parquet: is damaged; make the release again" in one_line("diff", old, new)


def _forged(folder: Path, content: bytes | None) -> None:
    """An index file that is none, under a manifest that knows it so."""
    path = folder / "index/train-00000.parquet"
    if content is None:
        pq.write_table(pa.table({"id": ["a"]}), path)
    else:
        path.write_bytes(content)
    _listed(folder, path.name, hashlib.sha256(path.read_bytes()).hexdigest())


def _without(folder: Path, name: str) -> None:
    (folder / "index" / name).unlink()
    _listed(folder, name, None)


def _listed(folder: Path, name: str, sha256: str | None) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    if sha256 is None:
        del manifest["files"][f"index/{name}"]
    else:
        size = (folder / "index" / name).stat().st_size
        manifest["files"][f"index/{name}"] = {"sha256": sha256, "bytes": size}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_history_is_read_as_it_was_written(tmp_path: Path) -> None:
    history = {"p2": ("test", "1.0.0"), "p1": ("train", "1.1.0")}
    write_history(tmp_path / HISTORY, history)
    assert read_history(tmp_path) == history
    assert read_history(None) == {}


def test_a_passage_keeps_its_split_whatever_is_added() -> None:
    """The split is a function of the group alone, here with the values it has always had."""
    known = {5: "train", 6: "test", 7: "validation", 8: "train"}
    assert {number: split_of_group(f"squad-article-{number}") for number in known} == known
    shares = [split_of_group(f"group-{number}") for number in range(2000)]
    assert 0.07 < shares.count("test") / 2000 < 0.13
    assert 0.07 < shares.count("validation") / 2000 < 0.13
    passage = Passage(id="p", group="squad-article-6", text="Dogs bark.", source="squad")
    assert split_of(passage) == "test"
    assert split_of(passage.model_copy(update={"split": "train"})) == "train"


def test_a_licence_must_be_allowed_by_every_source() -> None:
    assert licence_for(["cc0-1.0"], None) == "cc0-1.0"
    assert licence_for(["cc0-1.0", "cc-by-4.0"], None) == "cc-by-4.0"
    assert licence_for(["cc-by-4.0", "cc-by-sa-4.0", "cc0-1.0"], None) == "cc-by-sa-4.0"
    assert licence_for(["cc-by-sa-3.0", "cc-by-sa-4.0"], None) == "cc-by-sa-4.0"
    assert licence_for(["unknown"], "other") == "other"
    for wanted in RELEASABLE:
        if wanted != "cc-by-sa-4.0":
            with pytest.raises(ReleaseError, match=r"a source is under 'cc-by-sa-4\.0'"):
                licence_for(["cc0-1.0", "cc-by-sa-4.0"], wanted)
    with pytest.raises(ReleaseError, match="cannot be released together"):
        licence_for(["cc-by-sa-4.0", "cc-by-nc-sa-4.0"], None)
    with pytest.raises(ReleaseError, match=r"'gpl' is not in the table of release/licences\.py"):
        licence_for(["gpl"], None)


@pytest.mark.parametrize("version", ["1", "1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", "1.0.x", ""])
def test_a_version_is_three_numbers(version: str) -> None:
    with pytest.raises(ReleaseError, match=r"give MAJOR\.MINOR\.PATCH"):
        smallest_next(version, "patch")
