"""A build that lives at an fsspec URL: s3://bucket/build, gs://…, file:///… .

Settings, receipts and manifests are read and written at the URL. The files of a shard are copied
into a folder of this machine, the mirror, when they are about to be read; they are made there and
stored, the receipt after them, the stage's manifest last of all. So what a receipt at the URL
names is there, and nothing needs more of a store than that a stored object can be read. A copy is
used by the process that fetched it alone, and dropped when the shard is done.

What outlives a command in the mirror: the scratch of shards that were not finished, and cache/,
the replies that endpoints were paid for.

There is no lock at a URL: two machines at work on one build are the user's to prevent. Should it
happen, every shard is still one whole shard of either, a run afterwards makes stale ones again,
and no paid reply is lost.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from askqa_builder import published
from askqa_builder.errors import BuildError, ReleaseError, StorageError
from askqa_builder.files import storage_errors
from askqa_builder.objects import Objects, is_url, mirror_base
from askqa_builder.store import Build, Receipt, receipt_name

_RELEASE = "release"
_PAID = "cache/llm.sqlite"


def open_build(location: Path | str) -> Build:
    """The build in a folder or at a URL.

    Raises SettingsError for a URL that cannot be used, StorageError if its store cannot be
    reached.
    """
    return RemoteBuild(location) if is_url(str(location)) else Build(Path(location))


def mirror_folder(url: str) -> Path:
    """Where this machine keeps what it needs of a build elsewhere."""
    return mirror_base() / hashlib.sha256(url.rstrip("/").encode()).hexdigest()[:16]


def release_copy(url: str, *, splits: tuple[str, ...] = (), whole: bool = False) -> Path | None:
    """A folder with the release at a URL: manifest, changelog, index and the dialogues of the
    splits named, or all of it; None if there is no release.

    The folder belongs to this very release, so any number of commands may share it.
    """
    objects = Objects(url)
    manifest = published.read_manifest(objects)
    if manifest is None:
        return None
    folder = mirror_base() / "releases" / hashlib.sha256(manifest.encode()).hexdigest()[:16]

    def is_wanted(name: str) -> bool:
        dialogues = (f"dialogues/{split}-" for split in splits)
        return whole or _is_small(name) or name.startswith(tuple(dialogues))

    published.fetch(objects, manifest, folder, is_wanted)
    return folder


def _is_small(name: str) -> bool:
    """Whether a file of a release is one with which two releases are compared."""
    return name == "CHANGELOG.md" or name.startswith("index/")


class RemoteBuild(Build):
    """A build at a URL; `root` is its mirror."""

    def __init__(self, location: Path | str) -> None:
        self._objects = Objects(str(location))
        super().__init__(mirror_folder(self._objects.url))
        self._copies: set[str] = set()

    @property
    def location(self) -> str:
        return self._objects.url

    # -- small files -----------------------------------------------------------------------------

    def read(self, name: str) -> bytes | None:
        return self._objects.read(name)

    def write(self, name: str, text: str) -> None:
        self._objects.write(name, text.encode())

    def remove(self, name: str) -> None:
        self._objects.remove(name)

    def names(self, folder: str) -> list[str]:
        return list(self._objects.sizes(folder))

    # -- one command at a time on this machine ---------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        with super().locked():
            try:
                yield
            finally:
                self.drop_copies()

    def _sweep(self) -> None:
        super()._sweep()
        for path in self.root.rglob("*"):  # copies that a killed command has left
            kept = path.suffix == ".scratch" or path.relative_to(self.root).parts[0] == "cache"
            if path.is_file() and not kept and path.name != ".lock":
                path.unlink()

    # -- shards ----------------------------------------------------------------------------------

    def verified(self, stage: str, shard: int, *, to_read: bool = True) -> Receipt:
        try:
            return super().verified(stage, shard, to_read=to_read)
        except StorageError:
            raise
        except BuildError:
            # without it the command that the error names makes the shard again: by itself it
            # looks at sizes alone
            with suppress(StorageError):  # one may read, and not write
                self.remove(receipt_name(stage, shard))
            raise

    def _damage(self, receipt: Receipt, *, to_read: bool) -> str | None:
        for name, expected in receipt.files.items():
            if not to_read:  # a store watches over its bytes itself
                if self._objects.size(name) != expected.bytes:
                    return name
            elif name not in self._copies or not (self.root / name).is_file():
                self._copies.add(name)
                if not self._objects.fetch(name, self.root / name, expected.sha256):
                    return name
        return None

    def _keep(self, stage: str, shard: int, receipt: Receipt) -> None:
        self._copies.update(receipt.files)
        self.remove(receipt_name(stage, shard))  # of what the files were before
        for name in receipt.files:
            self._objects.put(self.root / name, name)
        super()._keep(stage, shard, receipt)

    def drop_copies(self) -> None:
        for name in self._copies:
            (self.root / name).unlink(missing_ok=True)
        self._copies.clear()

    # -- what endpoints were paid for ------------------------------------------------------------

    @contextmanager
    def paid(self) -> Iterator[None]:
        """Put the replies of the URL and of this machine (a killed command's) together; at the
        end, with what others have stored meanwhile, store them all."""
        from askqa_builder.llm.cache import copy_of, merge

        here = self.root / _PAID

        def join(copy: Path) -> None:
            if self._objects.fetch(_PAID, copy):
                merge(copy, here, called=f"{self.location}/{_PAID}")

        # folders of their own: SQLite takes what a killed process left beside a file for its part
        with storage_errors(here.parent):
            here.parent.mkdir(parents=True, exist_ok=True)
            fresh = TemporaryDirectory(prefix=".", suffix=".tmp", dir=here.parent)
        with fresh as folder:
            join(Path(folder) / "before")
            try:
                yield
            finally:
                if here.is_file():
                    join(Path(folder) / "after")  # what others have stored meanwhile
                    copy_of(here, Path(folder) / "all")
                    self._objects.put(Path(folder) / "all", _PAID)

    # -- the release -----------------------------------------------------------------------------

    def fetch_release(self) -> None:
        objects, folder = self._release()
        published.finish(objects)
        manifest = published.read_manifest(objects)
        shutil.rmtree(folder, ignore_errors=True)
        if manifest is None:
            return
        try:
            published.fetch(objects, manifest, folder, _is_small)
        except ReleaseError as error:
            raise ReleaseError(
                f"{objects.url}: what the next release is compared with is damaged ({error}); give "
                f"--previous with a whole copy of it, or delete {objects.url}/ to begin anew"
            ) from error

    def store_release(self) -> None:
        objects, folder = self._release()
        published.store(folder, objects)
        shutil.rmtree(folder)

    def _release(self) -> tuple[Objects, Path]:
        return Objects(f"{self.location}/{_RELEASE}"), self.root / _RELEASE
