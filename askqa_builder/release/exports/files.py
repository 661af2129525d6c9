"""The folder of an export while it is made: sound files, each written once, and JSON lines."""

from __future__ import annotations

import hashlib
import io
import json
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from askqa_builder.release.rows import Row
from askqa_builder.release.stream import file_name


@dataclass(frozen=True)
class StoredClip:
    """A sound file of an export."""

    path: str
    """Relative to the export's folder, with `/`."""
    is_new: bool
    """False where an earlier dialogue on the same passage brought it already."""


class ExportFolder:
    """Collects files under `part`; `final` is where the folder will stand when it is whole."""

    def __init__(self, part: Path, final: Path) -> None:
        self.part, self.final = part, final
        self.clips = 0
        self._open: dict[str, IO[str]] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def absolute(self, path: str) -> str:
        """Where a file of the finished export lies, for readers that resolve against nothing."""
        return str(self.final / path)

    def clip(self, row: Row, index: int | None, sound: bytes, *, form: str = "flac") -> StoredClip:
        """Store the sound of turn `index` (null: of the narration), FLAC or decoded to WAV.

        The name tells what it is; a part of the content's hash keeps different sounds apart and
        lets the dialogues on one passage share its narration. No list of names is kept.
        """
        label = row["passage_id"] if index is None else f"{row['id']}-{index}"
        digest = hashlib.sha256(sound).hexdigest()[:10]
        path = f"audio/{file_name(label)}-{digest}.{form}"
        target = self.part / path
        if target.exists():
            return StoredClip(path, is_new=False)
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(sound if form == "flac" else _as_wav(sound))
        self.clips += 1
        return StoredClip(path, is_new=True)

    def file(self, name: str) -> IO[str]:
        """A text file of the export, opened once and closed with the folder."""
        if name not in self._open:
            target = self.part / name
            target.parent.mkdir(parents=True, exist_ok=True)
            opened = target.open("w", encoding="utf-8", newline="")
            self._open[name] = self._stack.enter_context(opened)
        return self._open[name]

    def line(self, name: str, record: dict[str, Any]) -> None:
        """Append a record to a JSON lines file."""
        self.file(name).write(json.dumps(record, ensure_ascii=False) + "\n")


def _as_wav(flac: bytes) -> bytes:
    """Decode to 16-bit PCM, sample for sample."""
    import soundfile

    samples, sample_rate_hz = soundfile.read(io.BytesIO(flac), dtype="int16")
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate_hz, format="WAV", subtype="PCM_16")
    return buffer.getvalue()
