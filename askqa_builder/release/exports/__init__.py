"""A release in the forms that neighbours read: `askqa-build export RELEASE --to NAME --out DIR`.

    ms-swift        chat JSON lines with <audio> tags, for fine-tuning
    llama-factory   the same, with LLaMA-Factory's dataset_info.json
    nemo            NeMo manifests: one line a clip
    lhotse          lhotse manifests: recordings and supervisions with word times
    kimi-audio      Kimi-Audio-Evalkit JSON lines: one sound a question
    sdialog         SDialog dialogue files, which `--source sdialog:DIR` reads back
    wav             plain WAV files and one CSV a split

Each is one function from conversations to files. Every clip is written once, and a conversation
is forgotten before the next one is read, so memory stays flat whatever the size of the release.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from askqa_builder.errors import ReleaseError, SettingsError
from askqa_builder.files import storage_errors, write_text
from askqa_builder.release.exports.chat import llama_factory, ms_swift
from askqa_builder.release.exports.files import ExportFolder
from askqa_builder.release.exports.kimi import kimi_audio
from askqa_builder.release.exports.manifests import lhotse, nemo
from askqa_builder.release.exports.sdialog import sdialog
from askqa_builder.release.exports.wav import wav
from askqa_builder.release.folder import read_manifest
from askqa_builder.release.rows import Row
from askqa_builder.release.stream import stream

Export = Callable[[Iterator[tuple[str, Row]], ExportFolder], str]
"""Writes the conversations, given as (split, row), and says how they are read."""

EXPORTS: dict[str, Export] = {
    "ms-swift": ms_swift,
    "llama-factory": llama_factory,
    "nemo": nemo,
    "lhotse": lhotse,
    "kimi-audio": kimi_audio,
    "sdialog": sdialog,
    "wav": wav,
}


@dataclass(frozen=True)
class Exported:
    """What an export wrote."""

    folder: Path
    dialogues: int
    clips: int
    """Sound files; one clip that many dialogues share counts once."""


def export(
    release: Path, to: str, out: Path, *, progress: Callable[[int], None] = lambda done: None
) -> Exported:
    """Write a release folder in another form to the new folder `out`, whole or not at all.

    `progress` is told the number of dialogues done. Raises SettingsError for an unknown form or a
    folder that is not new, ReleaseError for a folder that is no release.
    """
    if to not in EXPORTS:
        raise SettingsError(f"cannot export to {to!r}; expected one of {list(EXPORTS)}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise SettingsError(f"{out}: is there already; remove it or give another folder")
    manifest = read_manifest(release)
    done = 0

    def counted() -> Iterator[tuple[str, Row]]:
        nonlocal done
        for item in stream(release):
            yield item
            done += 1
            progress(done)

    final = out.absolute()
    part = final.with_name(f".{final.name}.part")
    with storage_errors(final):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        with ExportFolder(part, final) as folder:
            how_to_read = EXPORTS[to](counted(), folder)
        expected = sum(manifest.rows["dialogues"].values())
        if done != expected:
            raise ReleaseError(
                f"{release}: holds {done} dialogues, its manifest says {expected}; make it again"
            )
        about = f"{manifest.name} {manifest.version}, exported for {to} by {manifest.made_with}."
        text = f"{about}\nLicence: {manifest.license}. All speech is synthetic.\n\n{how_to_read}\n"
        write_text(part / "ABOUT.txt", text)
        if final.exists():
            final.rmdir()
        part.rename(final)
    return Exported(out, done, folder.clips)
