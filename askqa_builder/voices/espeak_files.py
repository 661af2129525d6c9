"""A private copy of eSpeak NG's library and English data, in the user's cache folder.

Private, because the library's state must be ours alone: another package of the same process may
have loaded the wheel's file, and a library that someone else holds cannot be unloaded. A copy,
because its few files are found without a search, and because eSpeak NG cuts paths at 160 bytes.

    <cache>/askqa_builder/espeak-<digest>/
        libespeak-ng.so
        espeak-ng-data/    phonemes, dictionaries, lang/<accent>, voices/!v/<variant>
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from askqa_builder.errors import VoiceError

_PHONEMES = ("phondata", "phonindex", "phontab", "intonations")
# Of the languages that the English voices turn to for a word in another alphabet; without its
# dictionary eSpeak NG 1.52 crashes on a word in, say, Telugu.
_DICTIONARIES = ("en", "bn", "el", "gu", "hi", "hy", "ka", "kn", "ko", "ml", "pa", "si", "ta", "te")
_LONGEST_PATH = 140  # N_PATH_HOME is 160, and file names are added to it
_STALE_S = 3600.0


@dataclass(frozen=True)
class EspeakFiles:
    """Where the private copy lies, and what it holds."""

    library: Path
    data: Path
    digest: str
    """Of every file: two machines with the same digest make the same sound."""

    accents: tuple[str, ...]
    """English accents, as `speak` takes them."""
    variants: tuple[str, ...]
    """Voice variants, as `speak` takes them after a `+`."""


def private_copy() -> EspeakFiles:
    """Find the copy, or make it. Safe when several processes do so at once.

    Raises VoiceError if the wheel is incomplete or no folder can be written.
    """
    import espeakng_loader

    sources = dict(
        _wanted(Path(espeakng_loader.get_library_path()), Path(espeakng_loader.get_data_path()))
    )
    digest = _digest(sources)
    problems: list[str] = []
    for home in _cache_homes():
        folder = home / f"espeak-{digest[:16]}"
        if len(os.fsencode(folder)) > _LONGEST_PATH:
            problems.append(f"{folder}: path too long for eSpeak NG")
            continue
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            if home.stat().st_uid != os.getuid():
                problems.append(f"{home}: belongs to another user")
                continue
            if not _is_whole(folder, sources, digest):
                _make(home, folder, sources, digest)
        except OSError as error:
            problems.append(str(error))
            continue
        accents, variants = (
            tuple(sorted(place.rpartition("/")[2] for place in sources if place.startswith(part)))
            for part in (f"{_DATA}/lang/", f"{_DATA}/voices/!v/")
        )
        return EspeakFiles(folder / _LIBRARY, folder / _DATA, digest, accents, variants)
    raise VoiceError(
        f"no place for eSpeak NG's files ({'; '.join(problems)}); "
        "set XDG_CACHE_HOME to a writable folder"
    )


_LIBRARY = "libespeak-ng.so"
_DATA = "espeak-ng-data"


def _wanted(library: Path, data: Path) -> Iterator[tuple[str, Path]]:
    """Yield (place in the copy, file of the wheel)."""
    yield _LIBRARY, library
    for name in (*_PHONEMES, *(f"{language}_dict" for language in _DICTIONARIES)):
        yield f"{_DATA}/{name}", data / name
    for accent in sorted((data / "lang" / "gmw").glob("en*")):
        if accent.name != "en-Shaw":  # another alphabet, not another accent
            # flat and in lower case, as the library looks for it first
            yield f"{_DATA}/lang/{accent.name.lower()}", accent
    for variant in sorted((data / "voices" / "!v").iterdir()):
        yield f"{_DATA}/voices/!v/{variant.name}", variant


def _digest(files: dict[str, Path]) -> str:
    total = hashlib.sha256()
    for place, path in files.items():
        try:
            content = path.read_bytes()
        except OSError as error:
            raise VoiceError(
                f"{path}: eSpeak NG's data is not readable ({error.strerror}); "
                "reinstall it: pip install --force-reinstall espeakng-loader"
            ) from error
        total.update(f"{place}\0{len(content)}\0".encode())
        total.update(content)
    return total.hexdigest()


def _is_whole(folder: Path, sources: dict[str, Path], digest: str) -> bool:
    if not folder.is_dir():
        return False
    try:
        return _digest({place: folder / place for place in sources}) == digest
    except VoiceError:  # a file is gone: cache cleaners take what they like
        return False


def _make(home: Path, folder: Path, sources: dict[str, Path], digest: str) -> None:
    _sweep(home)
    making, damaged = (Path(tempfile.mkdtemp(prefix=".making-", dir=home)) for _ in range(2))
    try:
        for place, path in sources.items():
            (making / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, making / place)
        if folder.exists() and not _is_whole(folder, sources, digest):
            os.rename(folder, damaged / folder.name)
        try:
            os.rename(making, folder)
        except OSError:
            if not _is_whole(folder, sources, digest):
                raise
            # another process was faster, with the same files
    finally:
        shutil.rmtree(making, ignore_errors=True)
        shutil.rmtree(damaged, ignore_errors=True)


def _sweep(home: Path) -> None:
    """Remove what a process that was killed in `_make` has left."""
    for path in home.glob(".making-*"):
        try:
            if time.time() - path.stat().st_mtime > _STALE_S:
                shutil.rmtree(path, ignore_errors=True)
        except FileNotFoundError:  # swept by another process
            continue


def _cache_homes() -> Iterator[Path]:
    """Yield folders to try, best first."""
    name = "askqa_builder"
    if cache := os.environ.get("XDG_CACHE_HOME"):
        yield Path(cache) / name
    home = Path(os.path.expanduser("~"))
    yield home / ("Library/Caches" if sys.platform == "darwin" else ".cache") / name
    yield Path(tempfile.gettempdir()) / f"{name}-{os.getuid()}"
