"""Stage 3b: the release folder as it is published; it appears whole or not at all.

release/
  README.md                     the card
  <config>/<split>-00000.parquet
  manifest.json                 written last: versions, counts, sha256 of every file
"""

from __future__ import annotations

import os
import re
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pydantic import JsonValue

from askqa_builder import __version__
from askqa_builder.config import ReleaseSettings
from askqa_builder.engine import ShardReport, run_stage
from askqa_builder.errors import ReleaseError
from askqa_builder.release.card import write_card
from askqa_builder.release.parts import ReleaseStage
from askqa_builder.release.rows import CONFIGS
from askqa_builder.schema import SPLITS, Record
from askqa_builder.store import Build, FileDigest, sha256_of, storage_errors, write_text

MANIFEST = "manifest.json"
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


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
    files: dict[str, FileDigest]
    """By path relative to the release folder."""


def release(
    build: Build,
    settings: ReleaseSettings,
    version: str,
    *,
    workers: int = 1,
    progress: Callable[[ShardReport, int], None] = lambda report, total: None,
) -> ReleaseManifest:
    """Make release/ from speech/. Raises ReleaseError if it may not be made."""
    if not _VERSION.fullmatch(version):
        raise ReleaseError(f"--version {version!r}: give MAJOR.MINOR.PATCH, such as 1.0.0")
    parts = run_stage(ReleaseStage(), build, workers=workers, progress=progress)
    rows: dict[str, dict[str, int]] = {
        config: {
            split: parts.counts[f"rows:{config}:{split}"]
            for split in SPLITS
            if parts.counts.get(f"rows:{config}:{split}")
        }
        for config in CONFIGS
    }
    if not rows["dialogues"]:
        raise ReleaseError(f"{build.root}: nothing to release: no dialogue was spoken")
    stages = {name: build.complete(name) for name in ("passages", "dialogues", "speech")}
    folder = build.root / "release"
    fresh = build.root / ".release.tmp"
    with storage_errors(fresh):
        _restore(folder)
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        files = _link_parts(build, parts.shards, fresh)
        manifest = ReleaseManifest(
            version=version,
            name=settings.name,
            license=settings.license or "cc-by-sa-4.0",
            made_with=f"askqa_builder {__version__}",
            rows=rows,
            hours={
                split: round(parts.counts[f"milliseconds:{split}"] / 3_600_000, 3)
                for split in rows["dialogues"]
            },
            hours_spoken=round(stages["speech"].counts["milliseconds"] / 3_600_000, 3),
            stages={
                name: {"settings": m.settings, "counts": dict(m.counts)}
                for name, m in stages.items()
            },
            files={},
        )
        write_card(fresh, manifest.model_dump(), settings)
        files["README.md"] = sha256_of(fresh / "README.md")
        manifest = manifest.model_copy(update={"files": dict(sorted(files.items()))})
        write_text(fresh / MANIFEST, manifest.model_dump_json(indent=1))
        _swap(fresh, folder)
    return manifest


def read_manifest(folder: Path) -> ReleaseManifest:
    """The manifest of a release folder. Raises ReleaseError if there is no whole release."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ReleaseError(f"{folder}: no {MANIFEST}, so no whole release; run askqa-build release")
    return ReleaseManifest.model_validate_json(path.read_bytes())


def _link_parts(build: Build, parts: int, folder: Path) -> dict[str, FileDigest]:
    """Give every part's files their published names; hard links where the disk has them."""
    files: dict[str, FileDigest] = {}
    numbers: Counter[tuple[str, str]] = Counter()
    for part in range(parts):
        for name, file in build.verified("parts", part).files.items():
            _, config, split, _ = Path(name).name.split(".")
            published = f"{config}/{split}-{numbers[config, split]:05d}.parquet"
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
