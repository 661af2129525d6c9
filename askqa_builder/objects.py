"""The objects below an fsspec URL: read, written, fetched and stored, errors in one line."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from askqa_builder.errors import SettingsError, StorageError
from askqa_builder.files import atomic_file

_BLOCK_BYTES = 2**22


def is_url(location: str) -> bool:
    return "://" in location


def mirror_base() -> Path:
    """Where this machine keeps what it needs of builds elsewhere; ASKQA_MIRROR moves it."""
    base = os.environ.get("ASKQA_MIRROR")
    return Path(base) if base else Path.home() / ".cache" / "askqa_builder"


class _OtherError(Exception):
    """An object has another content."""


class Objects:
    """What lies below a URL, by names relative to it.

    Every method raises StorageError where the store fails.
    """

    def __init__(self, url: str) -> None:
        """Raises SettingsError for a URL that cannot be used."""
        import fsspec

        scheme = url.partition("://")[0]
        try:
            has_password = any(urlsplit(part).password for part in url.split("::"))
        except ValueError as error:
            # without its words, which may name a password
            raise SettingsError(f"{scheme}://…: not an address; see to its brackets") from error
        if has_password:
            raise SettingsError(
                f"{scheme}://…: a password in a URL would be told and written; put "
                "it into the configuration of fsspec or of the store"
            )
        self.url = url.rstrip("/")
        try:
            self._files: Any
            with self._told("", FileNotFoundError, ValueError, ImportError):
                self._files, path = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:  # unknown scheme; its package not installed
            raise SettingsError(f"{url}: {error}") from error
        self._base = path.rstrip("/")
        self._folders: set[str] = set()

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}".rstrip("/")

    @contextmanager
    def _told(self, name: str, *but: type[Exception]) -> Iterator[None]:
        """A store's own errors in one line; some as they are."""
        try:
            yield
        except Exception as error:  # each store has its own: of the network, of credentials
            if isinstance(error, but):
                raise
            words = " ".join(str(error).split())[:300]
            raise StorageError(
                f"{self.url}/{name}".rstrip("/") + f": {type(error).__name__}: {words}; see to the "
                "store (address, network, credentials) and run the command again"
            ) from error

    def read(self, name: str) -> bytes | None:
        """The content of a small object; None if there is none."""
        with suppress(FileNotFoundError), self._told(name, FileNotFoundError):
            return bytes(self._files.cat_file(self._path(name)))
        return None

    def write(self, name: str, content: bytes) -> None:
        with self._told(name):
            self._make_folder_of(name)
            self._files.pipe_file(self._path(name), content)

    def fetch(self, name: str, path: Path, sha256: str | None = None) -> bool:
        """Write an object to a local file; False, and no file, if there is no such object, or
        its hash is not the one that is given."""
        try:
            with self._told(name, FileNotFoundError):
                self._files.invalidate_cache()
                content = self._files.open(self._path(name), "rb")
            with content, atomic_file(path) as file:
                found = hashlib.sha256()
                while True:
                    with self._told(name):
                        block = content.read(_BLOCK_BYTES)
                    if not block:
                        break
                    found.update(block)
                    file.write(block)
                if sha256 not in (None, found.hexdigest()):
                    raise _OtherError
        except (FileNotFoundError, _OtherError):
            path.unlink(missing_ok=True)
            return False
        return True

    def put(self, path: Path, name: str) -> None:
        with self._told(name):
            self._make_folder_of(name)
            self._files.put_file(str(path), self._path(name))

    def _make_folder_of(self, name: str) -> None:
        folder = self._path(name).rpartition("/")[0]
        if folder not in self._folders:
            self._files.makedirs(folder, exist_ok=True)
            self._folders.add(folder)

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError), self._told(name, FileNotFoundError):
            self._files.rm_file(self._path(name))

    def size(self, name: str) -> int | None:
        """Bytes of an object as the store has it now; None if there is none."""
        with suppress(FileNotFoundError), self._told(name, FileNotFoundError):
            self._files.invalidate_cache()
            return int(self._files.info(self._path(name))["size"])
        return None

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of every object below a folder, by its name relative to the URL."""
        with self._told(folder):
            self._files.invalidate_cache()
            found: dict[str, Any] = self._files.find(self._path(folder), detail=True)
        base = self._base.strip("/") + "/"
        return {
            path.lstrip("/").removeprefix(base): int(info["size"])
            for path, info in sorted(found.items())
        }
