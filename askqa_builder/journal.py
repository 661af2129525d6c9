"""The clips of a shard that is being made, in a file beside it: a killed run loses none of them.

    header   3 unsigned 32-bit numbers: bytes of the clip, bytes of the sound, CRC-32 of both
    clip     JSON of the `Clip`
    sound    FLAC

Appended record by record; a record that was torn by the kill is cut off when the file is opened
again. Clips are found by their key, which names all that shaped them, so a journal can never give
a clip that other settings would have made.
"""

from __future__ import annotations

import struct
import zlib
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from askqa_builder.files import storage_errors
from askqa_builder.schema import Clip

_HEADER = struct.Struct(">III")


class Journal:
    """The file `path`, made when the first clip is put. Use with `with`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, tuple[int, int, int]] = {}

    def __enter__(self) -> Self:
        if self._path.is_file():
            with storage_errors(self._path):
                end = self._read()
                self._file.truncate(end)
        self.resumed = frozenset(self._places)
        """Keys of what an earlier run left."""
        return self

    @cached_property
    def _file(self) -> BinaryIO:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._path.open("a+b")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if "_file" in self.__dict__:
            with storage_errors(self._path):  # what a full disk refused is tried again here
                self._file.close()

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __getitem__(self, key: str) -> tuple[Clip, bytes]:
        at, clip_bytes, sound_bytes = self._places[key]
        self._file.seek(at)
        return Clip.model_validate_json(self._file.read(clip_bytes)), self._file.read(sound_bytes)

    def put(self, clip: Clip, sound: bytes) -> None:
        """Append a clip; after it, killing the process does not lose it.

        Raises StorageError when the disk is full.
        """
        text = clip.model_dump_json().encode()
        check = zlib.crc32(sound, zlib.crc32(text))
        with storage_errors(self._path):
            at = self._file.seek(0, 2) + _HEADER.size
            self._file.write(_HEADER.pack(len(text), len(sound), check) + text + sound)
            self._file.flush()
        self._places[clip.key] = (at, len(text), len(sound))

    def _read(self) -> int:
        """Find the clips; returns where the last whole one ends."""
        self._file.seek(0)
        end = 0
        while len(header := self._file.read(_HEADER.size)) == _HEADER.size:
            clip_bytes, sound_bytes, check = _HEADER.unpack(header)
            text, sound = self._file.read(clip_bytes), self._file.read(sound_bytes)
            if len(sound) < sound_bytes or zlib.crc32(sound, zlib.crc32(text)) != check:
                break
            key = Clip.model_validate_json(text).key
            self._places[key] = (end + _HEADER.size, clip_bytes, sound_bytes)
            end += _HEADER.size + clip_bytes + sound_bytes
        return end
