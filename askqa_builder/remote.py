"""A build that lives at an fsspec URL: s3://bucket/build, gs://…, file:///… .

The commands work on a folder of this machine, the mirror, which holds what they read and write at
the moment. A shard's files are fetched when they are about to be read and stored as soon as they
are made: its receipt after its files, the stage's manifest last of all. So what a receipt at the
URL names is there, and nothing needs more of a store than that a stored object can be read.

There is no lock: two commands on one URL at a time are the user's to prevent. Should it happen,
every shard is still one whole shard of either, and a run afterwards makes stale ones again.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from askqa_builder.errors import SettingsError, StorageError
from askqa_builder.store import Build, Manifest, Receipt, ShardOutput, atomic_file

_RELEASE, _MANIFEST = "release", "release/manifest.json"
_WITHOUT_SHARDS = ("askqa.toml", "corrections.jsonl", "cache/llm.sqlite")
"""What else a build holds: settings, people's corrections, paid replies."""


def open_build(location: Path | str) -> Build:
    """The build in a folder or at a URL.

    Raises SettingsError for a URL that cannot be opened, StorageError if its store cannot be
    reached.
    """
    return RemoteBuild(location) if is_url(str(location)) else Build(Path(location))


def is_url(location: str) -> bool:
    return "://" in location


def local_copy(url: str) -> Path:
    """Everything below a URL, fetched into a folder of this machine."""
    store = _Store(url)
    names = store.names("")
    if not names:
        raise StorageError(f"{url}: there is nothing here")
    folder = mirror_folder(url)
    shutil.rmtree(folder, ignore_errors=True)
    for name in names:
        store.fetch(name, folder / name)
    return folder


def mirror_folder(url: str) -> Path:
    """Where this machine keeps what it needs of a build elsewhere; ASKQA_MIRROR moves it."""
    base = os.environ.get("ASKQA_MIRROR")
    folder = Path(base) if base else Path.home() / ".cache" / "askqa_builder"
    return folder / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


class _Store:
    """The objects below a URL."""

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            self._files: Any
            self._files, path = fsspec.url_to_fs(url)
        except (ValueError, ImportError) as error:  # unknown scheme; its package not installed
            raise SettingsError(f"{url}: {error}") from error
        self._url, self._base = url.rstrip("/"), path.rstrip("/")

    def path(self, name: str) -> str:
        return f"{self._base}/{name}"

    @contextmanager
    def _told(self, name: str) -> Iterator[None]:
        """A store's own errors in one line; FileNotFoundError as it is."""
        try:
            yield
        except FileNotFoundError:
            raise
        except Exception as error:  # each store has its own: of the network, of credentials
            words = " ".join(str(error).split())[:300]
            raise StorageError(f"{self._url}/{name}: {type(error).__name__}: {words}") from error

    def fetch(self, name: str, path: Path) -> bool:
        """Write an object to a local file; False, and no file, if there is no such object."""
        try:
            with self._told(name):
                content = self._files.open(self.path(name), "rb")
        except FileNotFoundError:
            path.unlink(missing_ok=True)
            return False
        with content, atomic_file(path) as file:
            while True:
                with self._told(name):
                    block = content.read(2**22)
                if not block:
                    return True
                file.write(block)

    def put(self, path: Path, name: str) -> None:
        with self._told(name):
            self._files.makedirs(self.path(name).rpartition("/")[0], exist_ok=True)
            self._files.put_file(str(path), self.path(name))

    def remove(self, name: str) -> None:
        with suppress(FileNotFoundError), self._told(name):
            self._files.rm_file(self.path(name))

    def size(self, name: str) -> int | None:
        """Bytes of an object as the store has it now; None if there is none."""
        with suppress(FileNotFoundError), self._told(name):
            self._files.invalidate_cache()
            return int(self._files.info(self.path(name))["size"])
        return None

    def names(self, folder: str) -> list[str]:
        with self._told(folder):
            self._files.invalidate_cache()
            found: list[str] = self._files.find(self.path(folder).rstrip("/"))
        base = self._base.strip("/") + "/"
        return sorted(path.lstrip("/").removeprefix(base) for path in found)


class RemoteBuild(Build):
    """A build at a URL; `root` is its mirror."""

    def __init__(self, location: Path | str) -> None:
        self._url = str(location).rstrip("/")
        super().__init__(mirror_folder(self._url))
        self._store = _Store(self._url)
        self._fetched: set[str] = set()
        for name in _WITHOUT_SHARDS[:2]:
            self._store.fetch(name, self.root / name)

    @property
    def location(self) -> str:
        return self._url

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the mirror for this command alone; store what is no shard at the end."""
        with super().locked():
            paid = _WITHOUT_SHARDS[2]
            if not (self.root / paid).is_file():  # a killed command's is ahead of the store
                self._store.fetch(paid, self.root / paid)
            self._fetch_release()
            try:
                yield
            finally:
                for name in _WITHOUT_SHARDS:
                    if (self.root / name).is_file():
                        self._store.put(self.root / name, name)
                self._store_release()
                self.drop_copies()

    def drop_copies(self) -> None:
        for name in self._fetched:
            (self.root / name).unlink(missing_ok=True)
        self._fetched.clear()

    # -- shards ----------------------------------------------------------------------------------

    def receipt(self, stage: str, shard: int) -> Receipt | None:
        self._fetch(self._name(self._receipt_path(stage, shard)))
        return super().receipt(stage, shard)

    def _damage(self, receipt: Receipt, *, to_read: bool) -> str | None:
        if to_read:
            for name in receipt.files:
                self._fetch(name)
            return super()._damage(receipt, to_read=True)
        for name, expected in receipt.files.items():  # a store watches over its bytes itself
            if self._store.size(name) != expected.bytes:
                return name
        return None

    def loose(self, name: str) -> dict[str, str]:
        self._fetch(name)
        self._fetched.discard(name)
        return super().loose(name)

    @contextmanager
    def shard(
        self, stage: str, shard: int, fingerprint: str, inputs: Mapping[str, str] | None = None
    ) -> Iterator[tuple[ShardOutput, Counter[str]]]:
        with super().shard(stage, shard, fingerprint, inputs) as (output, counts):
            yield output, counts
        receipt = self._name(self._receipt_path(stage, shard))
        self._store.remove(receipt)  # of what the files were before
        for name in (*map(self._name, output.paths), receipt):
            self._store.put(self.root / name, name)
            self._fetched.add(name)

    # -- stages ----------------------------------------------------------------------------------

    def manifest(self, stage: str) -> Manifest | None:
        self._store.fetch(f"{stage}/manifest.json", self._manifest_path(stage))
        return super().manifest(stage)

    def open_stage(self, stage: str) -> None:
        self._store.remove(f"{stage}/manifest.json")
        super().open_stage(stage)

    def close_stage(
        self, stage: str, shards: int, settings: Mapping[str, JsonValue], counts: Mapping[str, int]
    ) -> Manifest:
        for name in (*self._store.names(stage), *self._store.names("rejects")):
            if self.is_surplus(Path(name), stage, shards):
                self._store.remove(name)
        manifest = super().close_stage(stage, shards, settings, counts)
        self._store.put(self._manifest_path(stage), f"{stage}/manifest.json")
        return manifest

    # -- the release -----------------------------------------------------------------------------

    def _fetch_release(self) -> None:
        """What the next release is compared with: all but the data itself."""
        shutil.rmtree(self.root / _RELEASE, ignore_errors=True)
        for name in self._store.names(_RELEASE):
            if name.endswith(".parquet") and name.split("/")[1] != "index":
                continue
            self._store.fetch(name, self.root / name)

    def _store_release(self) -> None:
        """Store a new release: its files, whose names differ by content, then its manifest."""
        manifest = self.root / _MANIFEST
        there = mirror_folder(self._url) / ".release.json"
        if not manifest.is_file():
            return
        if self._store.fetch(_MANIFEST, there) and there.read_bytes() == manifest.read_bytes():
            return
        names = [self._name(p) for p in (self.root / _RELEASE).rglob("*") if p.is_file()]
        for name in sorted(names, key=lambda name: (name == _MANIFEST, name)):
            self._store.put(self.root / name, name)
        for name in set(self._store.names(_RELEASE)) - set(names):
            self._store.remove(name)

    # -- copies ----------------------------------------------------------------------------------

    def _name(self, path: Path) -> str:
        return path.relative_to(self.root).as_posix()

    def _fetch(self, name: str) -> None:
        """Fetch an object once in the life of this one, which is a command or a shard."""
        if name not in self._fetched:
            self._fetched.add(name)
            self._store.fetch(name, self.root / name)
