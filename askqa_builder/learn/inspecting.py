"""Examples as files: to look at, and for other trainers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from askqa_builder.audio import encode_flac
from askqa_builder.files import atomic_file, storage_errors
from askqa_builder.learn.dialogues import Clip
from askqa_builder.learn.examples import Examples


def shown(examples: Examples, index: int) -> dict[str, Any]:
    """An example without its sound: `{"type": "audio", "seconds": …, "said": …}` stands for it."""
    place = examples.place(index)

    def part_of(part: str | Clip) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        return {"type": "audio", "seconds": round(part.seconds, 2), "said": part.said}

    return {
        "id": place.id,
        "task": place.task,
        "form": place.draft.form,
        "messages": [
            {"role": message.role, "content": [part_of(part) for part in message.parts]}
            for message in place.draft.messages
        ]
        + [{"role": "assistant", "content": [{"type": "text", "text": place.draft.target}]}],
    }


def write_examples(examples: Examples, count: int, folder: Path) -> None:
    """Write the first `count` examples to examples.jsonl, their sound to audio/*.flac.

    Audio parts are `{"type": "audio", "path": "audio/….flac"}`, relative to the folder; a clip
    that several examples hear is one file. Raises StorageError where the disk refuses.
    """
    with storage_errors(folder):
        (folder / "audio").mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / "examples.jsonl") as file:
        for line in _lines(examples, count, folder):
            file.write(line.encode())


def _lines(examples: Examples, count: int, folder: Path) -> Iterator[str]:
    for index in range(count):
        example = examples[index]

        def on_disk(part: dict[str, Any]) -> dict[str, Any]:
            if part["type"] != "audio":
                return part
            flac = encode_flac(part["audio"])
            path = folder / "audio" / f"{hashlib.sha256(flac).hexdigest()[:16]}.flac"
            if not path.is_file():
                with atomic_file(path) as sound:
                    sound.write(flac)
            return {"type": "audio", "path": path.relative_to(folder).as_posix()}

        record = {
            "id": example.id,
            "dialogue_id": example.dialogue_id,
            "passage_id": example.passage_id,
            "task": example.task,
            "form": example.form,
            "messages": [
                {"role": m["role"], "content": [on_disk(part) for part in m["content"]]}
                for m in example.messages
            ],
            "transcripts": list(example.transcripts),
        }
        yield json.dumps(record, ensure_ascii=False) + "\n"
