"""The build folder: shards, fingerprints, receipts, manifests.

    passages/00000.jsonl             what a stage made of shard 0 …
    passages/00000.receipt.json      … and the receipt, written after its files
    passages/manifest.json           written last: its presence means that the stage is complete
    rejects/passages-00000.jsonl     what the stage did not use of shard 0

A receipt holds the fingerprint of everything that shaped the shard and the sha256 of each file
that belongs to it, so a run can tell what is current, what is stale, and what is damaged.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import JsonValue, ValidationError

from askqa_builder.errors import BuildError
from askqa_builder.files import FileDigest, digest, sha256_of, storage_errors, sweep, write_text
from askqa_builder.schema import Record


class Receipt(Record):
    """What a stage made of one shard, and from what."""

    fingerprint: str
    inputs: dict[str, str]
    """sha256 of each file of the build that it was made from."""
    files: dict[str, FileDigest]
    """By path relative to the build folder, as in `inputs`."""
    counts: dict[str, int]
    seal: str = ""
    """Digest of the rest: a receipt is as easily damaged as what it speaks for. Earlier builds
    have none."""

    def sealed(self) -> Receipt:
        return self.model_copy(update={"seal": digest(self.model_dump(exclude={"seal"}))})


class Manifest(Record):
    """A finished stage."""

    stage: str
    shards: int
    settings: dict[str, JsonValue]
    counts: dict[str, int]


class ShardOutput:
    """Collects the files that a stage writes for one shard."""

    def __init__(self, build: Build, stage: str, shard: int) -> None:
        self._build, self._stage, self._shard = build, stage, shard
        self.paths: list[Path] = []
        self.scratch: list[Path] = []
        self.work: Counter[str] = Counter()
        """What had to be done (spoken, reused …): told to the user, in no receipt."""

    def path(self, suffix: str) -> Path:
        """Where to write the shard's file with this suffix (".jsonl", ".parquet")."""
        path = self._build.shard_path(self._stage, self._shard, suffix)
        self.paths.append(path)
        return path

    def rejects_path(self) -> Path:
        """Where to write the shard's rejects."""
        path = self._build.rejects_path(self._stage, self._shard)
        self.paths.append(path)
        return path

    def scratch_path(self) -> Path:
        """A file to work with: it outlives a killed run, and is removed with the receipt."""
        path = self._build.shard_path(self._stage, self._shard, _SCRATCH)
        self.scratch.append(path)
        return path


class Build:
    """A build folder. What a build elsewhere does in another way is here what a folder does."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def location(self) -> str:
        """Where the build is, for another process or machine."""
        return str(self.root)

    # -- paths ---------------------------------------------------------------------------------

    def shard_path(self, stage: str, shard: int, suffix: str = ".jsonl") -> Path:
        return self.root / stage / f"{shard:05d}{suffix}"

    def rejects_path(self, stage: str, shard: int) -> Path:
        return self.root / "rejects" / f"{stage}-{shard:05d}.jsonl"

    # -- small files, by their names: settings, receipts, manifests --------------------------------

    def read(self, name: str) -> bytes | None:
        """What a small file holds; None if there is none."""
        path = self.root / name
        with storage_errors(path):
            try:
                return path.read_bytes()
            except FileNotFoundError:
                return None

    def write(self, name: str, text: str) -> None:
        """Write a small file, unless it says so already."""
        if self.read(name) != text.encode():
            write_text(self.root / name, text)

    def remove(self, name: str) -> None:
        with storage_errors(self.root / name):
            (self.root / name).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        """Every file of a folder of the build."""
        return [f"{folder}/{path.name}" for path in (self.root / folder).glob("*")]

    # -- one command at a time -------------------------------------------------------------------

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep the folder for this command alone; the lock dies with the process.

        Raises BuildError if another command holds it.
        """
        from askqa_builder.engines.slurm import cancel_orphans
        from askqa_builder.lock import lock

        with lock(self.root) as is_held:
            if is_held:
                cancel_orphans(self.root)  # whatever the engine of this command
                self._sweep()
            yield

    def _sweep(self) -> None:
        """Remove temporary files of runs that were killed: nobody else holds the lock."""
        for folder in (self.root, *(p for p in self.root.iterdir() if p.is_dir())):
            sweep(folder)

    # -- shards ----------------------------------------------------------------------------------

    def receipt(self, stage: str, shard: int) -> Receipt | None:
        """The receipt of a shard; None if there is none or it cannot be read."""
        text = self.read(receipt_name(stage, shard))
        try:
            receipt = Receipt.model_validate_json(text or b"")
        except ValidationError:
            return None
        if receipt.seal and text != receipt.sealed().model_dump_json(indent=1).encode():
            return None
        return receipt

    def current(self, stage: str, shard: int, fingerprint: str) -> Receipt | None:
        """The receipt, if the shard was made from `fingerprint` and every file is undamaged."""
        receipt = self.receipt(stage, shard)
        if receipt is None or receipt.fingerprint != fingerprint:
            return None
        return receipt if self._damage(receipt, to_read=False) is None else None

    def verified(self, stage: str, shard: int, *, to_read: bool = True) -> Receipt:
        """The receipt of a shard that is to be read, or only (`to_read` False) to be there.

        Raises BuildError if the shard is missing or a file differs from the receipt.
        """
        receipt = self.receipt(stage, shard)
        if receipt is None:
            raise BuildError(
                f"{self.location}: shard {shard} of {stage}/ is missing; {_AGAIN[stage]}"
            )
        damaged = self._damage(receipt, to_read=to_read)
        if damaged is not None:
            raise BuildError(
                f"{self.location}/{damaged}: damaged or changed by hand; {_AGAIN[stage]}"
            )
        return receipt

    def _damage(self, receipt: Receipt, *, to_read: bool) -> str | None:
        """Name of a file that is not as the receipt says."""
        for name, expected in receipt.files.items():
            path = self.root / name
            if not path.is_file() or path.stat().st_size != expected.bytes:
                return name
            if sha256_of(path) != expected:
                return name
        return None

    def check_fresh(self, stage: str) -> None:
        """Raise BuildError if a shard was made from files that have changed since, or if none was
        made from files that have come since."""
        latest: dict[str, str] = {}
        kinds: set[tuple[str, str]] = set()
        used: set[str] = set()
        manifest, counts = self.complete(stage), Counter[str]()
        for shard in range(manifest.shards):
            receipt = self.verified(stage, shard, to_read=False)
            counts.update(receipt.counts)
            used |= receipt.inputs.keys()
            for name, sha256 in receipt.inputs.items():
                kinds.add(_kind(name))
                if name not in latest:
                    latest.update(self._latest(Path(name).parent.name) or self.loose(name))
                if latest.get(name) != sha256:
                    raise BuildError(
                        f"{self.location}: shard {shard} of {stage}/ is stale: {name} has changed; "
                        f"{_AGAIN[stage]}"
                    )
        for name in sorted(latest.keys() - used):
            if _kind(name) in kinds:
                raise BuildError(
                    f"{self.location}: {stage}/ is stale: {name} has come since; {_AGAIN[stage]}"
                )
        if dict(counts) != manifest.counts:
            raise BuildError(
                f"{self.location}/{_manifest_name(stage)}: damaged or changed by hand; "
                f"{_AGAIN[stage]}"
            )

    def loose(self, name: str) -> dict[str, str]:
        """sha256 of a file that no stage makes, such as people's corrections, by its name."""
        content = self.read(name)
        return {name: "absent" if content is None else hashlib.sha256(content).hexdigest()}

    def _latest(self, stage: str) -> dict[str, str]:
        if not stage:
            return {}
        receipts = (self.receipt(stage, shard) for shard in range(self.complete(stage).shards))
        return {n: f.sha256 for r in receipts if r is not None for n, f in r.files.items()}

    @contextmanager
    def shard(
        self, stage: str, shard: int, fingerprint: str, inputs: Mapping[str, str] | None = None
    ) -> Iterator[tuple[ShardOutput, Counter[str]]]:
        """Write one shard: its files, then its receipt with the counts that the caller fills."""
        output, counts = ShardOutput(self, stage, shard), Counter[str]()
        yield output, counts
        receipt = Receipt(
            fingerprint=fingerprint,
            inputs=dict(inputs or {}),
            files={str(p.relative_to(self.root)): sha256_of(p) for p in output.paths},
            counts=dict(sorted(counts.items())),
        ).sealed()
        self._keep(stage, shard, receipt)
        for path in output.scratch:
            path.unlink(missing_ok=True)

    def _keep(self, stage: str, shard: int, receipt: Receipt) -> None:
        """Write the receipt of files that are there."""
        self.write(receipt_name(stage, shard), receipt.model_dump_json(indent=1))

    def inputs(
        self, stage: str, shard: int, suffixes: Iterable[str] = (".jsonl",)
    ) -> dict[str, str]:
        """sha256 of the named files of another stage's shard, which must be whole."""
        files = self.verified(stage, shard).files
        names = [str(self.shard_path(stage, shard, s).relative_to(self.root)) for s in suffixes]
        return {name: files[name].sha256 for name in names}

    # -- stages ----------------------------------------------------------------------------------

    def manifest(self, stage: str) -> Manifest | None:
        """The manifest of a stage; None while the stage is not complete."""
        try:
            return Manifest.model_validate_json(self.read(_manifest_name(stage)) or b"")
        except ValidationError:
            return None

    def complete(self, stage: str) -> Manifest:
        """The manifest of a stage that another stands on.

        Raises BuildError if the stage has not been finished.
        """
        manifest = self.manifest(stage)
        if manifest is None:
            raise BuildError(f"{self.location}: {stage}/ is missing or incomplete; {_AGAIN[stage]}")
        return manifest

    def open_stage(self, stage: str) -> None:
        """Mark a stage as being worked on."""
        self.remove(_manifest_name(stage))

    def close_stage(
        self, stage: str, shards: int, settings: Mapping[str, JsonValue], counts: Mapping[str, int]
    ) -> Manifest:
        """Drop shards beyond the last one and what was only needed to make them, then write the
        manifest."""
        for path in (self.root / stage).glob(f"*{_SCRATCH}"):
            path.unlink(missing_ok=True)
        for name in (*self.names(stage), *self.names("rejects")):
            if _is_surplus(name, stage, shards):
                self.remove(name)
        manifest = Manifest(
            stage=stage, shards=shards, settings=dict(settings), counts=dict(sorted(counts.items()))
        )
        self.write(_manifest_name(stage), manifest.model_dump_json(indent=1))
        return manifest

    # -- for a build that is elsewhere: a folder has all of it -----------------------------------

    def drop_copies(self) -> None:
        """Free what is held here of shards."""

    @contextmanager
    def paid(self) -> Iterator[None]:
        """Around the asking of an endpoint: what has been paid is in cache/, and stays."""
        yield

    def fetch_release(self) -> None:
        """Have here what the next release is compared with."""

    def store_release(self) -> None:
        """Put a release that has just been made where the build is."""


def receipt_name(stage: str, shard: int) -> str:
    return f"{stage}/{shard:05d}.receipt.json"


def _manifest_name(stage: str) -> str:
    return f"{stage}/manifest.json"


def _is_surplus(name: str, stage: str, shards: int) -> bool:
    """Whether a file belongs to a shard of the stage beyond the last one."""
    folder, _, file = name.rpartition("/")
    number = file.removeprefix(f"{stage}-").split(".")[0]
    ours = folder == stage or file.startswith(f"{stage}-")
    return ours and number.isdecimal() and int(number) >= shards


_SCRATCH = ".scratch"


def _kind(name: str) -> tuple[str, str]:
    """Stage and ending of a file: dialogues/00003.jsonl is one of dialogues, .jsonl."""
    return Path(name).parent.name, Path(name).suffix


_AGAIN = {
    "passages": "run `askqa-build generate` (again)",
    "dialogues": "run `askqa-build generate` (again)",
    "speech": "run `askqa-build synthesize` (again)",
    "parts": "run `askqa-build release` (again)",
    "release": "run `askqa-build release` (again)",
    "predicted": "run `askqa-build evaluate` (again)",
}
