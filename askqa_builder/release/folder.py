"""Stage 3b: the release folder as it is published; it appears whole or not at all.

release/
  README.md                       the card
  CHANGELOG.md                    what each version changed, newest first
  <config>/<split>-00000.parquet
  index/                          ids and hashes of this and all earlier releases
  manifest.json                   written last: version, counts, sha256 of every file
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue, ValidationError

from askqa_builder import __version__
from askqa_builder.config import ReleaseSettings
from askqa_builder.engine import Engine, ShardReport, run_stage
from askqa_builder.errors import ReleaseError
from askqa_builder.files import FileDigest, first_problem, sha256_of, storage_errors, write_text
from askqa_builder.objects import is_url
from askqa_builder.release.card import write_card
from askqa_builder.release.diff import (
    Diff,
    check_step,
    compare,
    parse_version,
    smallest_next,
    summary,
)
from askqa_builder.release.index import (
    HISTORY,
    check_index,
    read_history,
    read_index,
    write_history,
)
from askqa_builder.release.licences import licence_for
from askqa_builder.release.listen import write_samples
from askqa_builder.release.markdown import line
from askqa_builder.release.parts import ReleaseStage
from askqa_builder.release.rows import CONFIGS, FEATURES
from askqa_builder.schema import SPLITS, Record
from askqa_builder.store import Build, Manifest

MANIFEST = "manifest.json"
CHANGELOG = "CHANGELOG.md"
LISTEN = "listen.html"
_SAMPLES = 4  # conversations on the page: a few megabytes
_NAMED = 20  # ids in an entry of the changelog, at most


class ReleaseManifest(Record):
    """What a release holds; its presence means that the folder is complete."""

    version: str
    name: str
    license: str
    made_with: str
    """askqa_builder and its version."""
    rows: dict[str, dict[str, int]]
    """By config and split."""
    hours: dict[str, float]
    """Hours of conversation by split: a narration counts once for each dialogue on its passage."""
    hours_spoken: float
    """Hours of distinct audio: each narration counted once."""
    stages: dict[str, JsonValue]
    """Settings and counts of the stages before, rejects among them."""
    features: dict[str, Any] = Field(default_factory=dict)
    """Columns by config, as `datasets` describes them."""
    files: dict[str, FileDigest]
    """By path relative to the release folder."""


def release(
    build: Build,
    settings: ReleaseSettings,
    version: str,
    *,
    previous: Path | None = None,
    engine: Engine | None = None,
    progress: Callable[[ShardReport, int], None] = lambda report, total: None,
) -> ReleaseManifest:
    """Make release/ from speech/.

    `previous` is the folder of the release that this one follows; by default the one that lies
    in the build. Raises ReleaseError if the release may not be made, and BuildError if what it
    is made from is missing, stale or damaged.
    """
    parse_version(version)
    check_place(build)
    for stage in ("dialogues", "speech"):
        build.check_fresh(stage)
    parts = run_stage(ReleaseStage.of(build), build, engine=engine, progress=progress)
    if not parts.counts:
        raise ReleaseError(f"{build.location}: nothing to release: no dialogue was spoken")
    folder, fresh = build.root / "release", build.root / ".release.tmp"
    if previous is None:
        build.fetch_release()
    with storage_errors(fresh):
        _restore(folder)
        if previous is None and (folder / MANIFEST).is_file():
            previous = folder
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        files = _link_parts(build, parts.shards, fresh)
        manifest = _manifest(build, settings, version, parts)
        _write_history(fresh, manifest, previous)
        changes = _changes(previous, fresh, manifest)
        write_text(fresh / CHANGELOG, changelog(previous, manifest, changes))
        write_card(fresh, manifest, settings)
        write_samples(fresh, fresh / LISTEN, count=_SAMPLES)
        for path in sorted(fresh.rglob("*")):
            name = path.relative_to(fresh).as_posix()
            if path.is_file() and name != MANIFEST and name not in files:
                files[name] = sha256_of(path)
        manifest = manifest.model_copy(update={"files": dict(sorted(files.items()))})
        _check_unchanged(previous, manifest)
        write_text(fresh / MANIFEST, manifest.model_dump_json(indent=1))
        _swap(fresh, folder)
    build.store_release()
    return manifest


def check_place(build: Build) -> None:
    """Raise ReleaseError if the release would take the place of a folder that is not ours."""
    folder = build.root / "release"
    if is_url(build.location):
        return  # what is here of it is a copy, ours to replace
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    try:
        read_manifest(folder)
    except ReleaseError:
        raise ReleaseError(
            f"{folder}: holds something that is no release (no good {MANIFEST}) and would be "
            "replaced; move it away, or make the build in another folder"
        ) from None


def _manifest(
    build: Build, settings: ReleaseSettings, version: str, parts: Manifest
) -> ReleaseManifest:
    counts = parts.counts
    rows: dict[str, dict[str, int]] = {
        config: {s: counts[f"rows:{config}:{s}"] for s in SPLITS if f"rows:{config}:{s}" in counts}
        for config in CONFIGS
    }
    stages = {name: build.complete(name) for name in ("passages", "dialogues", "speech")}
    accepted = stages["speech"].counts.get("accepted", 0)
    if sum(rows["dialogues"].values()) != accepted:
        raise ReleaseError(
            f"{build.location}: {accepted} dialogues were spoken but "
            f"{sum(rows['dialogues'].values())} packaged; delete parts/ and run "
            "askqa-build release again"
        )
    licences = [n.removeprefix("license:") for n in counts if n.startswith("license:")]
    return ReleaseManifest(
        version=version,
        name=settings.name,
        license=licence_for(licences, settings.license),
        made_with=f"askqa_builder {__version__}",
        rows=rows,
        hours={s: round(counts[f"milliseconds:{s}"] / 3_600_000, 3) for s in rows["dialogues"]},
        hours_spoken=round(stages["speech"].counts["milliseconds"] / 3_600_000, 3),
        stages={
            name: {"settings": m.settings, "counts": dict(m.counts)} for name, m in stages.items()
        },
        features=FEATURES,
        files={},
    )


def _write_history(fresh: Path, manifest: ReleaseManifest, previous: Path | None) -> None:
    """Every passage of this and all earlier releases, with the strictest split it ever had."""
    strictness: dict[str, int] = {split: rank for rank, split in enumerate(SPLITS)}
    if previous is not None:
        check_index(previous, read_manifest(previous).files)
    history = read_history(previous)
    for split, row in read_index(fresh):
        known = history.get(row["passage"])
        if known is None or strictness[split] > strictness[known[0]]:
            history[row["passage"]] = (split, manifest.version)
    write_history(fresh / HISTORY, history)


def _changes(previous: Path | None, fresh: Path, manifest: ReleaseManifest) -> Diff | None:
    """Compare with the release before; raises ReleaseError if the version does not follow."""
    # the comparison reads manifests; this one is written for good at the very end
    write_text(fresh / MANIFEST, manifest.model_dump_json(indent=1))
    changes = compare(previous, fresh)
    check_step(changes)
    (fresh / MANIFEST).unlink()
    return changes if previous is not None else None


def _check_unchanged(previous: Path | None, manifest: ReleaseManifest) -> None:
    """One version is one content: raise ReleaseError if a file differs under the same version."""
    if previous is None:
        return
    before = read_manifest(previous)
    if before.version == manifest.version and before.files != manifest.files:
        name = min(
            name
            for name in before.files.keys() | manifest.files.keys()
            if before.files.get(name) != manifest.files.get(name)
        )
        raise ReleaseError(
            f"--version {manifest.version} is there with another {name}; use "
            f"{smallest_next(manifest.version, 'patch')} or later (or, if it was never published, "
            f"delete {previous})"
        )


def changelog(previous: Path | None, manifest: ReleaseManifest, changes: Diff | None) -> str:
    """CHANGELOG.md: an entry for this version above those of the release before."""
    title = "# Changelog\n"
    rows = manifest.rows["dialogues"]
    holds = f"{sum(rows.values()):,} dialogues, {sum(manifest.hours.values()):.2f} hours: " + (
        ", ".join(f"{split} {count:,}" for split, count in rows.items())
    )
    if changes is None or previous is None:
        return f"{title}\n## {manifest.version}\n\n- First release.\n- Holds {holds}.\n"
    path = previous / CHANGELOG
    earlier = path.read_text().removeprefix(title) if path.is_file() else ""
    if changes.old == changes.new:
        return title + earlier
    named = "".join(
        f"  - {what}: {_named(ids)}\n"
        for what, ids in (
            ("removed", changes.removed),
            ("changed in text", changes.text),
            ("moved", changes.split),
            ("with other speakers", changes.voice),
            ("columns", changes.columns),
        )
        if ids
    )
    entry = f"- {summary(changes).capitalize()}.\n{named}- Holds {holds}.\n"
    return f"{title}\n## {manifest.version}\n\n{entry}{earlier}"


def _named(ids: Sequence[str]) -> str:
    """The first of the ids: whoever has used one of these rows should see it."""
    shown = ", ".join(map(line, ids[:_NAMED]))
    return shown + (f" and {len(ids) - _NAMED:,} more" if len(ids) > _NAMED else "")


def read_manifest(folder: Path) -> ReleaseManifest:
    """The manifest of a release folder. Raises ReleaseError if there is no whole release."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ReleaseError(f"{folder}: no {MANIFEST}, so no whole release; run askqa-build release")
    try:
        return ReleaseManifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ReleaseError(f"{path}: not a release manifest: {first_problem(error)}") from error


def _link_parts(build: Build, parts: int, folder: Path) -> dict[str, FileDigest]:
    """Give every part's files their published names; hard links where the disk has them."""
    files: dict[str, FileDigest] = {}
    numbers: Counter[tuple[str, str]] = Counter()
    for part in range(parts):
        for name, file in build.verified("parts", part).files.items():
            _, config, split, _ = Path(name).name.split(".")
            number = numbers[config, split]
            published = f"{config}/{split}-{number:05d}-{file.sha256[:8]}.parquet"
            numbers[config, split] += 1
            target = folder / published
            target.parent.mkdir(exist_ok=True)
            try:
                os.link(build.root / name, target)
            except OSError:  # another file system, or one without links
                shutil.copyfile(build.root / name, target)
            files[published] = file
    return files


def _swap(fresh: Path, folder: Path) -> None:
    """Put the new folder in the place of the old one."""
    old = _set_aside(folder)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _restore(folder: Path) -> None:
    """Take back the release that a run set aside and was killed before it replaced."""
    old = _set_aside(folder)
    if old.exists() and not folder.exists():
        old.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def _set_aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")
