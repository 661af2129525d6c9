"""The build folder: nothing half-written, nothing damaged unseen, one command at a time."""

from __future__ import annotations

import errno
import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from threading import Event

import pytest
from pydantic import JsonValue

from askqa_builder import files
from askqa_builder.engine import ShardReport, run_shard, run_stage
from askqa_builder.engines.local import Local
from askqa_builder.errors import BuildError, SettingsError, StorageError
from askqa_builder.files import atomic_file, digest, read_records, write_records, write_text
from askqa_builder.lock import lock
from askqa_builder.schema import Reject
from askqa_builder.store import Build, ShardOutput


@dataclass(frozen=True)
class Squares:
    """A stage for the tests: shard i holds the square of i; optionally fails at one shard."""

    total: int = 6
    fail_at: int | None = None
    salt: str = ""
    name: str = "passages"

    def settings(self) -> dict[str, JsonValue]:
        return {"total": self.total}

    def shards(self, build: Build) -> int:
        return self.total

    def inputs(self, build: Build, shard: int) -> dict[str, str]:
        return {}

    def fingerprint(self, build: Build, shard: int) -> str:
        return digest("squares", shard, self.salt)

    def run(self, build: Build, shard: int, output: ShardOutput, counts: Counter[str]) -> None:
        if shard == self.fail_at:
            raise BuildError("shard refuses")
        write_text(output.path(".txt"), str(shard * shard))
        counts["numbers"] += 1


def test_a_failed_write_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_file(path) as file:
        file.write(b"half" * (1 // 0))
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")]
)
def test_what_the_disk_refuses_is_one_line_with_a_remedy(
    tmp_path: Path, number: int, remedy: str
) -> None:
    with pytest.raises(StorageError, match=remedy), atomic_file(tmp_path / "file"):
        raise OSError(number, os.strerror(number))


def test_what_the_disk_says_while_more_is_made_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system tells once that it could not write: the fsync at the end would say all is well."""
    told = Event()

    def refuse(descriptor: int) -> None:
        told.set()
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files, "_SEND", refuse)
    with pytest.raises(StorageError, match="disk is full"), atomic_file(tmp_path / "file") as file:
        file.write(b"much" * told.wait(10))
    assert list(tmp_path.iterdir()) == []


def test_records_come_back_and_a_bad_line_is_named(tmp_path: Path) -> None:
    records = [Reject(id=str(i), stage="test", reason="why", raw={"i": i}) for i in range(3)]
    path = tmp_path / "records.jsonl"
    assert write_records(path, records) == 3
    assert list(read_records(path, Reject)) == records
    path.write_text(path.read_text() + '{"id": 1}\n')
    with pytest.raises(BuildError, match=r"records\.jsonl:4: id: Input should be a valid string"):
        list(read_records(path, Reject))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_stage_makes_every_shard_then_its_manifest(tmp_path: Path, workers: int) -> None:
    seen: list[ShardReport] = []
    manifest = run_stage(
        Squares(), Build(tmp_path), engine=Local(workers), progress=lambda r, _: seen.append(r)
    )
    assert manifest.counts == {"numbers": 6}
    assert sorted(report.shard for report in seen) == list(range(6))
    assert (tmp_path / "passages/00005.txt").read_text() == "25"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_made_before_a_failure_is_kept_and_not_made_again(
    tmp_path: Path, workers: int
) -> None:
    build = Build(tmp_path)
    with pytest.raises(BuildError, match="shard refuses"):
        run_stage(Squares(fail_at=5), build, engine=Local(workers))
    assert build.manifest("passages") is None, "an incomplete stage has no manifest"
    made = (tmp_path / "passages/00000.txt").stat().st_mtime_ns
    run_stage(Squares(), build, engine=Local(workers))
    assert (tmp_path / "passages/00000.txt").stat().st_mtime_ns == made


def test_only_what_is_stale_missing_or_damaged_is_made_again(tmp_path: Path) -> None:
    build = Build(tmp_path)
    run_stage(Squares(), build)
    (tmp_path / "passages/00001.txt").unlink()
    (tmp_path / "passages/00002.txt").write_text("5")  # same length: only the hash tells
    (tmp_path / "passages/00003.receipt.json").write_text("{")
    remade: list[int] = []
    before = {p.name: p.stat().st_mtime_ns for p in (tmp_path / "passages").glob("*.txt")}
    run_stage(Squares(), build)
    for path in sorted((tmp_path / "passages").glob("*.txt")):
        if before.get(path.name) != path.stat().st_mtime_ns:
            remade.append(int(path.stem))
    assert remade == [1, 2, 3]
    assert (tmp_path / "passages/00002.txt").read_text() == "4"


def test_a_damaged_shard_is_named_with_the_command_that_mends_it(tmp_path: Path) -> None:
    build = Build(tmp_path)
    run_stage(Squares(), build)
    (tmp_path / "passages/00004.txt").write_text("17")
    with pytest.raises(BuildError, match=r"00004\.txt: damaged .* run `askqa-build generate`"):
        build.verified("passages", 4)


def test_shards_beyond_the_last_disappear(tmp_path: Path) -> None:
    build = Build(tmp_path)
    run_stage(Squares(total=6), build)
    run_stage(Squares(total=2), build)
    names = sorted(p.name for p in (tmp_path / "passages").iterdir())
    assert names == [
        "00000.receipt.json",
        "00000.txt",
        "00001.receipt.json",
        "00001.txt",
        "manifest.json",
    ]


def test_a_stage_that_stands_on_an_unfinished_one_says_so(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"speech/ is missing or incomplete; run"):
        Build(tmp_path).complete("speech")


def test_the_second_command_on_a_build_stops(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from askqa_builder.store import Build\n"
        "from askqa_builder.errors import BuildError\n"
        "try:\n    with Build(Path(sys.argv[1])).locked(): pass\n"
        "except BuildError as e: print(e); sys.exit(7)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with Build(tmp_path).locked():
        second = subprocess.run(command, capture_output=True, text=True, check=False)
    assert second.returncode == 7
    assert f"process {os.getpid()}" in second.stdout
    assert subprocess.run(command, check=False).returncode == 0, "the lock is free again"


def test_a_forked_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    with lock(tmp_path):
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        worker.start()
        time.sleep(0.2)  # until it has begun
    try:
        with lock(tmp_path):
            pass
    finally:
        worker.kill()
        worker.join()


def test_rubbish_of_a_killed_run_is_swept(tmp_path: Path) -> None:
    (tmp_path / "passages").mkdir()
    (tmp_path / "passages/.00000.jsonl.123.tmp").write_text("half")
    with Build(tmp_path).locked():
        assert not list((tmp_path / "passages").iterdir())


@pytest.mark.parametrize("workers", [0, -1, 1000])
def test_an_absurd_number_of_workers_is_refused(workers: int) -> None:
    with pytest.raises(SettingsError, match="--workers"):
        Local(workers)


def test_a_shard_that_is_current_is_not_run(tmp_path: Path) -> None:
    stage = Squares()
    assert run_shard(stage, tmp_path, 3).counts == {"numbers": 1}
    (tmp_path / "passages/00003.txt").touch()
    before = (tmp_path / "passages/00003.txt").stat().st_mtime_ns
    run_shard(stage, tmp_path, 3)
    assert (tmp_path / "passages/00003.txt").stat().st_mtime_ns == before
    run_shard(Squares(salt="other settings"), tmp_path, 3)
    assert (tmp_path / "passages/00003.txt").stat().st_mtime_ns != before


def test_a_receipt_that_was_changed_is_no_receipt(tmp_path: Path) -> None:
    run_stage(Squares(), Build(tmp_path))
    path = tmp_path / "passages/00002.receipt.json"
    whole = path.read_text()
    for other in (whole + "\n", whole.replace('"numbers": 1', '"numbers": 3')):
        path.write_text(other)
        assert Build(tmp_path).receipt("passages", 2) is None
        assert run_stage(Squares(), Build(tmp_path)).counts == {"numbers": 6}
        assert path.read_text() == whole


def test_a_manifest_that_was_changed_is_not_built_upon(tmp_path: Path) -> None:
    run_stage(Squares(), Build(tmp_path))
    Build(tmp_path).check_fresh("passages")
    path = tmp_path / "passages/manifest.json"
    path.write_text(path.read_text().replace('"numbers": 6', '"numbers": 9'))
    with pytest.raises(BuildError, match=r"manifest\.json: damaged"):
        Build(tmp_path).check_fresh("passages")
