"""A release at a URL: read whole, replaced as one.

    release/<config>/<split>-00000-1a2b3c4d.parquet    named by content: never overwritten
    release/README.md, index/history.parquet …         of one name in every release
    release/manifest.json
    release/.next/                                     while a new release is put there:
        README.md, index/history.parquet …
        manifest.json                                  once it is here, the new release holds

A new release is stored in this order: what is named by content; the rest below .next/, its
manifest last; then the rest once more in its place, and .next/ and what the old release alone had
are removed. Whoever reads takes the manifest, and each file as it says: of .next/ where there is
one, else of the folder. So a release is there as a whole or not at all; one whose storing was cut
off before the manifest is as if it had never been begun, and after it, it is finished by the next
`release`, on whatever machine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ValidationError

from askqa_builder.errors import ReleaseError, StorageError
from askqa_builder.files import FileDigest, sha256_of, write_text
from askqa_builder.objects import Objects

_NEXT, _MANIFEST = ".next/", "manifest.json"


class _Files(BaseModel):
    """What is read here of a release's manifest."""

    files: dict[str, FileDigest]


def read_manifest(objects: Objects) -> str | None:
    """Text of the manifest of the release at a URL; None if there is no release."""
    content = None
    with suppress(StorageError):  # who may read but not list is forbidden what is not there
        content = _next_manifest(objects)
    if content is None:
        content = objects.read(_MANIFEST)
    return None if content is None else content.decode("utf-8", "replace")


def _next_manifest(objects: Objects) -> bytes | None:
    """The manifest below .next/; one that is cut off counts as none."""
    content = objects.read(_NEXT + _MANIFEST)
    try:
        _Files.model_validate_json(content or b"")
    except ValidationError:
        return None
    return content


def fetch(objects: Objects, manifest: str, folder: Path, wanted: Callable[[str], bool]) -> None:
    """Bring the wanted files of a release into a folder, its manifest last.

    What the folder has already is left alone. Raises ReleaseError if the release is damaged, or
    replaced at this moment.
    """
    for name, expected in _files(manifest, objects.url).items():
        path = folder / name
        if not wanted(name) or (path.is_file() and sha256_of(path) == expected):
            continue
        for place in ("", _NEXT):
            if objects.fetch(place + name, path, expected.sha256):
                break
        else:
            raise ReleaseError(
                f"{objects.url}/{name}: missing or not as the manifest says; run the command again "
                "if a release is being stored there, else delete it there and run `askqa-build "
                "release` again"
            )
    write_text(folder / _MANIFEST, manifest)


def store(folder: Path, objects: Objects) -> None:
    """Put the release in a folder in the place of the one at the URL, which may be the same: then
    what is missing or torn there is mended."""
    finish(objects)
    manifest = (folder / _MANIFEST).read_bytes()
    files = _files(manifest.decode(), str(folder))
    there = objects.sizes("")
    for name in files:
        if _by_content(name, files) and there.get(name) != files[name].bytes:
            objects.put(folder / name, name)
    for name in files:
        if not _by_content(name, files):
            objects.put(folder / name, _NEXT + name)
    objects.write(_NEXT + _MANIFEST, manifest)
    finish(objects)
    for name in objects.sizes(""):
        if name not in (*files, _MANIFEST, _NEXT + _MANIFEST):  # the last is another command's
            objects.remove(name)


def finish(objects: Objects) -> None:
    """Give a release that holds already, but lies below .next/, its place; if there is one.

    Raises ReleaseError if a part of it is gone.
    """
    manifest = _next_manifest(objects)
    if manifest is None:
        return
    files = _files(manifest.decode("utf-8", "replace"), objects.url)
    for name in files:
        if not _by_content(name, files):
            _give_place(objects, name, files[name])
    objects.write(_MANIFEST, manifest)
    objects.remove(_NEXT + _MANIFEST)


def _give_place(objects: Objects, name: str, expected: FileDigest) -> None:
    for place in (_NEXT, ""):
        content = objects.read(place + name)
        if content is not None and hashlib.sha256(content).hexdigest() == expected.sha256:
            if place:
                objects.write(name, content)
            return
    raise ReleaseError(
        f"{objects.url}/{_NEXT}{name}: missing or not as the manifest beside it says; delete "
        f"{objects.url}/{_NEXT} and run `askqa-build release` again"
    )


def _by_content(name: str, files: dict[str, FileDigest]) -> bool:
    return f"-{files[name].sha256[:8]}." in name


def _files(manifest: str, where: str) -> dict[str, FileDigest]:
    try:
        files = _Files.model_validate_json(manifest).files
    except ValidationError as error:
        raise ReleaseError(f"{where}/{_MANIFEST}: not a release's; make it again") from error
    for name in files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ReleaseError(f"{where}/{_MANIFEST}: names a file outside the release: {name!r}")
    return files
