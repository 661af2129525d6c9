"""What changed between two releases, and how far the version must step for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from askqa_builder.errors import ReleaseError
from askqa_builder.release.index import check_index, read_history, read_index
from askqa_builder.schema import Record

if TYPE_CHECKING:
    from askqa_builder.release.folder import ReleaseManifest

Step = Literal["none", "patch", "minor", "major"]

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


class Diff(Record):
    """Two releases compared, row by row, by id and content hash."""

    old: str
    """Version of the old release."""
    new: str
    rows: tuple[int, int]
    """How many dialogues each holds."""
    added: tuple[str, ...] = ()
    """Ids of dialogues, here and below."""
    removed: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    """Changed in what is written."""
    split: tuple[str, ...] = ()
    """Moved to another split."""
    voice: tuple[str, ...] = ()
    """Spoken by other speakers."""
    audio: tuple[str, ...] = ()
    """Sounds different although nothing above changed: the same words by the same speakers."""
    columns: tuple[str, ...] = ()
    """Changes of the schema, such as `dialogues.mood: added`."""
    leaks: tuple[str, ...] = ()
    """Passages that were in the test or validation split once and are now in train, and such
    as stand in two splits of the new release."""

    @property
    def step(self) -> Step:
        """The smallest version step that the changes allow (semver.org, for data).

        patch = audio or card only, minor = rows added, major = rows changed, moved or removed,
        or another schema.
        """
        if self.removed or self.text or self.split or self.voice or self.columns:
            return "major"
        if self.added:
            return "minor"
        return "patch" if self.audio else "none"


def compare(old: Path | None, new: Path) -> Diff:
    """Compare two release folders; only their manifests and indexes are read.

    Without an old one, what is compared is `new` with itself: only leaks can show. Raises
    ReleaseError for a folder that holds no whole release.
    """
    from askqa_builder.release.folder import read_manifest

    before, after = read_manifest(old or new), read_manifest(new)
    check_index(old or new, before.files)
    check_index(new, after.files)
    # a few hundred bytes a dialogue, whatever it holds
    rows = {
        row["id"]: (split, row["text"], row["voices"], row["audio"])
        for split, row in (read_index(old) if old is not None else ())
    }
    total_before, total_after = len(rows), 0
    history = read_history(old)
    changed: dict[str, list[str]] = {
        name: [] for name in ("added", "text", "split", "voice", "audio")
    }
    splits: dict[str, str] = {}
    leaks: dict[str, str] = {}
    for split, row in read_index(new):
        total_after += 1
        passage = row["passage"]
        earlier, version = history.get(passage, (split, ""))
        if split == "train" and earlier != split:
            leaks[passage] = f"{row['id']}: its passage was in {earlier} of {version}, now {split}"
        elif splits.setdefault(passage, split) != split:
            leaks[passage] = f"{row['id']}: its passage is in {splits[passage]} and in {split}"
        kind = _change(rows.pop(row["id"], None), split, row)
        if kind is not None and old is not None:
            changed[kind].append(row["id"])
    _check_counts(old, before, total_before)
    _check_counts(new, after, total_after)
    return Diff(
        old=before.version,
        new=after.version,
        rows=(total_before, total_after),
        **{name: tuple(ids) for name, ids in changed.items()},
        removed=tuple(rows),
        columns=tuple(_columns_changed(before.features, after.features)),
        leaks=tuple(leaks.values()),
    )


def _check_counts(folder: Path | None, manifest: ReleaseManifest, rows: int) -> None:
    expected = sum(manifest.rows.get("dialogues", {}).values())
    if folder is not None and rows != expected:
        raise ReleaseError(
            f"{folder}: its index holds {rows:,} dialogues, its manifest says {expected:,}; "
            "make the release again (askqa-build release), or fetch it again"
        )


def _change(
    before: tuple[str, str, str, str] | None, split: str, row: dict[str, str]
) -> str | None:
    """What happened to a row: the gravest change names it."""
    if before is None:
        return "added"
    old_split, text, voices, audio = before
    if text != row["text"]:
        return "text"
    if old_split != split:
        return "split"
    if voices != row["voices"]:
        return "voice"
    return "audio" if audio != row["audio"] else None


def _columns_changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Configs and columns that came, went, or have another type."""
    before = {f"{c}.{name}": kind for c, columns in old.items() for name, kind in columns.items()}
    after = {f"{c}.{name}": kind for c, columns in new.items() for name, kind in columns.items()}
    return (
        [f"{name}: removed" for name in before if name not in after]
        + [f"{name}: added" for name in after if name not in before]
        + [
            f"{name}: type changed"
            for name in before
            if before[name] != after.get(name, before[name])
        ]
    )


def parse_version(text: str) -> tuple[int, int, int]:
    """MAJOR.MINOR.PATCH as numbers. Raises ReleaseError if it is none."""
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ReleaseError(f"--version {text!r}: give MAJOR.MINOR.PATCH, such as 1.0.0")
    major, minor, patch = (int(number) for number in match.groups())
    return major, minor, patch


def smallest_next(version: str, step: Step) -> str:
    """The version after `version` that the step leads to."""
    major, minor, patch = parse_version(version)
    if step == "major":
        return f"{major + 1}.0.0"
    return f"{major}.{minor + 1}.0" if step == "minor" else f"{major}.{minor}.{patch + 1}"


def check_step(diff: Diff) -> None:
    """Raise ReleaseError unless the new version follows from what changed.

    The same version again is fine only for the same content.
    """
    old, new = parse_version(diff.old), parse_version(diff.new)
    needed = smallest_next(diff.old, diff.step)
    if diff.leaks:
        raise ReleaseError(
            f"{len(diff.leaks)} passages leak between splits, such as {diff.leaks[0]!r}; "
            "reject those dialogues, or give the passage back its split"
        )
    if new == old:
        if diff.step != "none":
            raise ReleaseError(
                f"--version {diff.new}: a release {diff.old} with other content is there "
                f"({summary(diff)}); use {needed} or later"
            )
    elif new < old:
        raise ReleaseError(
            f"--version {diff.new} goes back: {diff.old} is there ({summary(diff)}); use {needed} "
            "or later"
        )
    elif new < parse_version(needed):
        raise ReleaseError(
            f"--version {diff.new} after {diff.old}: {summary(diff)}, which is a {diff.step} "
            f"step; use {needed} or later"
        )


def summary(diff: Diff) -> str:
    """The changes in a few words."""
    parts = [
        f"{len(items):,} {noun if len(items) == 1 else noun + 's'} {what}"
        for items, noun, what in (
            (diff.added, "dialogue", "added"),
            (diff.removed, "dialogue", "removed"),
            (diff.text, "dialogue", "changed in text"),
            (diff.split, "dialogue", "moved to another split"),
            (diff.voice, "dialogue", "with other speakers"),
            (diff.audio, "dialogue", "re-recorded"),
            (diff.columns, "column", "changed"),
        )
        if items
    ]
    return ", ".join(parts) or "no dialogue changed"
