"""A build at a URL: the same bytes, whatever machine made them; what is named there is there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pipeline import askqa, one_line, tree
from test_store import Squares

from askqa_builder.engine import run_shard, run_stage
from askqa_builder.errors import BuildError, SettingsError, StorageError
from askqa_builder.remote import RemoteBuild, mirror_folder, open_build
from askqa_builder.store import Build

GENERATE = ("generate", "--source", "sample", "--shard-size", "20", "--count", "6", "--out")
URL = "memory://bucket/build"


@pytest.fixture(autouse=True)
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ASKQA_MIRROR", str(tmp_path / "mirror"))
    return tmp_path / "mirror"


@pytest.fixture
def store() -> Iterator[Any]:
    """The objects of a store in memory."""
    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield memory
    memory.store.clear()


def objects(store: Any) -> dict[str, bytes]:
    return {name.removeprefix("/bucket/build/"): store.cat(name) for name in store.store}


def test_the_commands_make_the_same_build_at_a_url(tmp_path: Path, mirror: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    for step in (
        (*GENERATE, "{}"),
        ("synthesize", "{}", "-j", "1"),
        ("release", "{}", "--version", "1.0.0", "-j", "1"),
    ):
        askqa(*(str(word).format(here) for word in step))
        askqa(*(str(word).format(f"file://{there}") for word in step))
        shutil.rmtree(mirror)  # the next command is typed on another machine
    assert tree(there) == tree(here)
    same = askqa("diff", here / "release", f"file://{there}/release", "--json")
    assert json.loads(same.stdout)["step"] == "none"


def test_a_shard_is_stored_whole_and_its_copies_are_dropped(store: Any, mirror: Path) -> None:
    run_shard(Squares(), URL, 3)
    assert set(objects(store)) == {"passages/00003.txt", "passages/00003.receipt.json"}
    left = [p.name for p in mirror.rglob("*") if p.is_file()]
    assert left == []
    assert run_shard(Squares(), URL, 3).work == {}, "it is current"


def test_surplus_shards_and_the_manifest_of_an_open_stage_go(store: Any) -> None:
    run_stage(Squares(total=4), open_build(URL))
    assert "passages/manifest.json" in objects(store)
    with pytest.raises(BuildError, match="shard refuses"):
        run_stage(Squares(total=2, fail_at=1, salt="new"), open_build(URL))
    assert "passages/manifest.json" not in objects(store)
    run_stage(Squares(total=2), open_build(URL))
    assert "passages/00002.txt" not in objects(store)


def test_what_is_damaged_at_the_url_is_found_before_it_is_read(store: Any) -> None:
    run_stage(Squares(), open_build(URL))
    store.pipe("/bucket/build/passages/00004.txt", b"17")
    with pytest.raises(BuildError, match=r"00004\.txt: damaged"):
        open_build(URL).verified("passages", 4)
    store.pipe("/bucket/build/passages/00004.txt", b"1")
    run_shard(Squares(), URL, 4)
    assert objects(store)["passages/00004.txt"] == b"16", "torn, so made again"


def test_a_store_that_fails_is_one_line_and_leaves_no_receipt(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_shard(Squares(), URL, 0)

    def refuse(*given: Any, **options: Any) -> None:
        raise RuntimeError("the network\nis away")

    monkeypatch.setattr(type(store), "put_file", refuse)
    with pytest.raises(StorageError, match=r"00000\.txt: RuntimeError: the network is away"):
        run_shard(Squares(salt="new"), URL, 0)
    assert "passages/00000.receipt.json" not in objects(store)


def test_a_receipt_is_stored_after_its_files(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []
    put = type(store).put_file

    def noted(self: Any, path: str, name: str, **options: Any) -> None:
        names.append(Path(name).name)
        put(self, path, name, **options)

    monkeypatch.setattr(type(store), "put_file", noted)
    run_stage(Squares(total=1), open_build(URL))
    assert names == ["00000.txt", "00000.receipt.json", "manifest.json"]


def test_folders_and_urls_are_told_apart(tmp_path: Path) -> None:
    assert type(open_build(tmp_path)) is Build
    assert isinstance(open_build(URL), RemoteBuild)
    assert mirror_folder(URL) == mirror_folder(URL + "/")
    with pytest.raises(SettingsError, match="ftpx"):
        open_build("ftpx://somewhere/build")
    assert "ftpx" in one_line("synthesize", "ftpx://somewhere/build")
