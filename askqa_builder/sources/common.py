"""What every source shares: reading a file, clean text, safe and stable ids, rejects."""

from __future__ import annotations

import hashlib
import json
import math
import re
import unicodedata
from pathlib import Path
from typing import TypeAlias

from pydantic import JsonValue

from askqa_builder.errors import SourceError
from askqa_builder.schema import Passage, Reject

SourceItem: TypeAlias = Passage | Reject
"""What a source yields: a passage that can be used, or a record that cannot, with the reason."""

MAX_PASSAGE_CHARS = 20_000
"""About 20 minutes of speech; longer texts are no passages and become rejects."""

MAX_FILE_BYTES = 512 * 1024 * 1024
"""One JSON document is parsed in memory; SQuAD v2.0, the largest official one, has 40 MB."""

_MAX_RAW_DEPTH = 12
# Control characters, Unicode's own line breaks, byte order marks and halves of surrogate pairs
# (which JSON can spell and UTF-8 cannot): nobody can read them aloud, and they break files.
_UNREADABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff]")
_SAFE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.|+-]{0,199}")


def readable(text: str) -> str:
    """Replace each unreadable character by one space, so that offsets stay what they were."""
    return _UNREADABLE.sub(" ", text)


def one_line(text: str) -> str:
    """Readable text with every run of white space made one space."""
    return " ".join(readable(text).split())


def digest(text: str) -> str:
    """Twelve hexadecimal digits of the text's SHA-256: the part of an id that content decides."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def slug(name: str, max_chars: int = 48) -> str:
    """Make a name fit for ids and file names: a-z, 0-9 and single hyphens, never empty.

    Accents are dropped (Beyoncé → beyonce). Where letters are lost (another script, a name that
    is too long) a digest keeps different names apart.
    """
    parts = unicodedata.normalize("NFKD", readable(name).casefold())
    folded = "".join(ch for ch in parts if not unicodedata.combining(ch))
    lost = any(ch.isalnum() and not ch.isascii() for ch in folded)
    words = re.sub(r"[^a-z0-9]+", "-", folded).strip("-")
    if not lost and 0 < len(words) <= max_chars:
        return words
    return f"{words[: max_chars - 13]}-{digest(name)}".lstrip("-")


def safe_id(value: str) -> str:
    """Return an id of a foreign file as it is, or a slug of it where it is no safe id."""
    if _SAFE_ID.fullmatch(value) and ".." not in value:
        return value
    return slug(value)


def reject(id: str, reason: str, detail: str = "", raw: object = None) -> Reject:
    """Make the ledger entry of a record that cannot be used."""
    return Reject(
        id=readable(id), stage="source", reason=reason, detail=readable(detail), raw=_plain(raw)
    )


def open_file(path: Path) -> Path:
    """Check that an input file is there and can be read whole.

    Raises:
        SourceError: it is missing, a folder, not a regular file, too large, or not readable.
    """
    try:
        size = path.stat().st_size
        if path.is_dir():
            raise SourceError(f"{_show(path)}: is a folder; give a file")
        if not path.is_file():
            raise SourceError(f"{_show(path)}: is not a regular file; give a file on disk")
        if size == 0:
            raise SourceError(f"{_show(path)}: is empty; download or copy it again")
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:  # ValueError: a NUL character in the path
        raise unreadable(path, error) from error
    return path


def read_text(path: Path) -> str:
    """Read a whole UTF-8 file.

    Raises:
        SourceError: the file cannot be read, is too large, or is not UTF-8.
    """
    size = open_file(path).stat().st_size
    if size > MAX_FILE_BYTES:
        raise SourceError(
            f"{_show(path)}: has {size:,} bytes, more than the {MAX_FILE_BYTES:,} that are read "
            "at once; split it into several files"
        )
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{_show(path)}: byte {error.start}: is not UTF-8 text ({error.reason}); "
            "save it as UTF-8, or give another file"
        ) from error
    except OSError as error:
        raise unreadable(path, error) from error


def read_json(path: Path) -> object:
    """Read a file that is one JSON document.

    Raises:
        SourceError: the file cannot be read, or is broken or truncated JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{_show(path)}: line {error.lineno} column {error.colno}"
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
            raise SourceError(
                f"{where}: the JSON stops in the middle ({error.msg}); "
                "the file is truncated: download or copy it again"
            ) from error
        raise SourceError(
            f"{where}: is not JSON ({error.msg}); give a JSON file, or mend this place"
        ) from error
    except (RecursionError, ValueError) as error:  # nested too deep, or a number of 5,000 digits
        raise SourceError(
            f"{_show(path)}: is JSON that no data set holds ({error}); give another file"
        ) from error


def unreadable(path: Path, error: OSError | ValueError) -> SourceError:
    """Say in one line why the operating system did not let us read."""
    why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return SourceError(f"{_show(path)}: cannot be read ({why}); check the path and its permissions")


def kind_of(value: object) -> str:
    """Name a JSON value's type as JSON does, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "a list" if isinstance(value, list) else "an object"


def _show(path: Path) -> str:
    return one_line(str(path))


def _plain(value: object, depth: int = 0) -> JsonValue:
    """Copy any JSON value into one that can be stored: readable, finite, not bottomless."""
    if isinstance(value, str):
        text = readable(value)
        if len(text) > MAX_PASSAGE_CHARS:
            return f"{text[:MAX_PASSAGE_CHARS]} … ({len(text):,} characters in all)"
        return text
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int):
        return value
    if depth >= _MAX_RAW_DEPTH:
        return "… (nested deeper)"
    if isinstance(value, dict):
        return {readable(str(key)): _plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1) for item in value]
    raise TypeError(f"not a JSON value: {type(value).__name__}")
