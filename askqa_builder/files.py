"""Files that appear whole or not at all, their hashes, and JSON lines of records."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import BinaryIO, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from askqa_builder.errors import BuildError, StorageError
from askqa_builder.schema import Record

RecordT = TypeVar("RecordT", bound=BaseModel)

_REMEDIES = {
    errno.ENOSPC: "the disk is full; free some space and run the command again",
    errno.EDQUOT: "the disk quota is used up; free some space and run the command again",
    errno.EROFS: "the file system is read-only; choose another folder",
    errno.EACCES: "permission denied; choose a folder that you may write to",
    errno.EPERM: "permission denied; choose a folder that you may write to",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another path",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another path",
}


_SENT_EVERY_S = 0.1
_SEND = getattr(os, "fdatasync", os.fsync)  # macOS has none


class FileDigest(Record):
    """Content of one file."""

    sha256: str
    bytes: int


def digest(*parts: JsonValue) -> str:
    """Hash of JSON values: 32 hex digits, independent of the order of keys."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


_digests: dict[tuple[str, int, int], FileDigest] = {}


def sha256_of(path: Path) -> FileDigest:
    """Digest of a file; read once by a process while size and time of change stay the same."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in _digests:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            _digests[key] = FileDigest(sha256=sha256, bytes=status.st_size)
        return _digests[key]


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into one line: where, what, remedy."""
    try:
        yield
    except OSError as error:
        remedy = _REMEDIES.get(error.errno or 0, f"{error.strerror or error}; choose another place")
        raise StorageError(f"{path}: {remedy}") from error


@contextmanager
def _sent_meanwhile(descriptor: int) -> Iterator[None]:
    """Let the disk take what is written while more is made: the last fsync waits for the rest."""
    ended, errors = Event(), list[OSError]()

    def send() -> None:
        try:
            while not ended.wait(_SENT_EVERY_S):
                _SEND(descriptor)
        except OSError as error:  # the system tells it once: the last fsync would say all is well
            errors.append(error)

    thread = Thread(target=send, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if errors:
        raise errors[0]


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """Write a file that appears whole or not at all: temporary file, fsync, rename.

    Raises StorageError when the disk is full, read-only, or refuses access.
    """
    # not by the process's number: machines that share a folder have the same ones
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                with _sent_meanwhile(file.fileno()):
                    yield file
                    file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def sweep(folder: Path) -> None:
    """Remove what killed runs were writing; only for who has the folder to himself."""
    for temporary in folder.glob(".*.tmp"):
        if temporary.is_dir():
            shutil.rmtree(temporary)
        else:
            temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically."""
    with atomic_file(path) as file:
        file.write(text.encode())


def write_records(path: Path, records: Iterable[BaseModel]) -> int:
    """Write JSON lines atomically; returns how many."""
    count = 0
    with atomic_file(path) as file:
        for record in records:
            file.write(record.model_dump_json(exclude_defaults=True).encode() + b"\n")
            count += 1
    return count


def read_records(path: Path, model: type[RecordT]) -> Iterator[RecordT]:
    """Read JSON lines that `write_records` wrote.

    Raises BuildError naming the line that is not a `model`.
    """
    with path.open("rb") as file:
        yield from _records(file, path, model)


def parse_records(content: bytes, called: str, model: type[RecordT]) -> Iterator[RecordT]:
    """The same of a file that has been read; `called` is its name in errors."""
    yield from _records(io.BytesIO(content), called, model)


def _records(lines: Iterable[bytes], called: Path | str, model: type[RecordT]) -> Iterator[RecordT]:
    for number, line in enumerate(lines, start=1):
        try:
            yield model.model_validate_json(line)
        except ValidationError as error:
            raise BuildError(f"{called}:{number}: {first_problem(error)}") from error


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic minds, in one line."""
    problem = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message}" if where else message
