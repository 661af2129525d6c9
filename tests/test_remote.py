"""A build at a URL: the same bytes, whatever machine made them; what is named there is there."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from openai_server import OpenAIServer
from pipeline import here, one_line_here, tree
from speech_server import VOICES, speak
from test_store import Squares

from askqa_builder.config import load_settings
from askqa_builder.engine import run_shard, run_stage
from askqa_builder.errors import BuildError, SettingsError, StorageError
from askqa_builder.llm import cache as llm_cache
from askqa_builder.llm.cache import ReplyCache, StoredReply
from askqa_builder.objects import Objects
from askqa_builder.release import parts
from askqa_builder.remote import RemoteBuild, mirror_folder, open_build
from askqa_builder.shelf import Shelf
from askqa_builder.store import Build, ShardOutput

GENERATE = (
    *("generate", "--source", "sample", "--shard-size", "20", "--count", "6"),
    *("-j", "1", "--out"),
)
URL = "memory://bucket/build"


pytestmark = pytest.mark.usefixtures("mirror")


def objects(store: Any) -> dict[str, bytes]:
    return {name.removeprefix("/bucket/build/"): store.cat(name) for name in store.store}


def test_the_commands_make_the_same_build_at_a_url(tmp_path: Path, mirror: Path) -> None:
    local, there = tmp_path / "here", tmp_path / "there"
    for step in (
        (*GENERATE, "{}"),
        ("synthesize", "{}", "-j", "1"),
        ("release", "{}", "--version", "1.0.0", "-j", "1"),
    ):
        here(*(str(word).format(local) for word in step))
        here(*(str(word).format(f"file://{there}") for word in step))
        shutil.rmtree(mirror)  # the next command is typed on another machine
    assert tree(there) == tree(local)
    same = here("diff", local / "release", f"file://{there}/release", "--json")
    assert json.loads(same)["step"] == "none"


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
    run_shard(Squares(), URL, 4)
    assert objects(store)["passages/00004.txt"] == b"16", "what the error says mends it"
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
    for method in ("put", "write"):
        real = getattr(Objects, method)

        def noted(self: Objects, one: Any, two: Any, real: Any = real) -> None:
            names.append(Path(next(word for word in (one, two) if isinstance(word, str))).name)
            real(self, one, two)

        monkeypatch.setattr(Objects, method, noted)
    run_stage(Squares(total=1), open_build(URL))
    assert names == ["00000.txt", "00000.receipt.json", "manifest.json"]


def test_folders_and_urls_are_told_apart(tmp_path: Path) -> None:
    assert type(open_build(tmp_path)) is Build
    assert isinstance(open_build(URL), RemoteBuild)
    assert mirror_folder(URL) == mirror_folder(URL + "/")
    with pytest.raises(SettingsError, match="ftpx"):
        open_build("ftpx://somewhere/build")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftpx://somewhere/build", "ftpx://somewhere/build: Protocol not known: ftpx"),
        ("ftp://127.0.0.1:1/b", "ftp://127.0.0.1:1/b: ConnectionRefusedError: "),
        ("ftp://ann:pass@127.0.0.1/b", "ftp://…: a password in a URL would be told"),
        ("simplecache::ftp://ann:pass@127.0.0.1/b", "simplecache::ftp://…: a password in a URL"),
        ("s3://[x/b", "s3://…: not an address"),
        (f"{URL}/", f"{URL}: dialogues/ is missing or incomplete; run `askqa-build generate`"),
    ],
)
def test_a_url_that_cannot_be_used_is_one_line(store: Any, url: str, words: str) -> None:
    line = one_line_here("synthesize", url)
    assert words in line
    assert "pass@" not in line


def test_a_release_that_is_not_there_is_one_line(store: Any) -> None:
    nothing = f"{URL}/release: no manifest.json, so no whole release"
    assert nothing in one_line_here("push", f"{URL}/", "--repo", "me/set")
    assert nothing in one_line_here("diff", f"{URL}/release", f"{URL}/release")


def test_settings_are_remembered(store: Any, mirror: Path) -> None:
    here(*GENERATE, URL)
    here("synthesize", URL, "--seed", "7", "--user", "espeak", "-j", "1")
    shutil.rmtree(mirror)
    here("synthesize", URL, "-j", "1")
    assert load_settings(open_build(URL)).synthesize.seed == 7
    assert json.loads(objects(store)["speech/manifest.json"])["settings"]["seed"] == 7
    before = objects(store)
    shutil.rmtree(mirror)
    here(*GENERATE, URL)  # which counts the dialogues that passages give
    assert objects(store) == before


def test_corrections_are_read_at_the_url(store: Any) -> None:
    here(*GENERATE, URL)
    line = store.cat("/bucket/build/dialogues/00000.jsonl").splitlines()[0]
    name = json.loads(line)["id"]
    correction = json.dumps({"id": name, "reject": "wrong"}).encode()
    store.pipe("/bucket/build/corrections.jsonl", correction)
    here(*GENERATE, URL)
    assert b"rejected_by_reviewer" in objects(store)["rejects/dialogues-00000.jsonl"]
    assert objects(store)["corrections.jsonl"] == correction
    store.pipe("/bucket/build/corrections.jsonl", b"{}")
    assert f"{URL}/corrections.jsonl:1: id: " in one_line_here(*GENERATE, URL)


def test_passages_can_be_drawn_from_a_url(store: Any, mirror: Path) -> None:
    here(*GENERATE, URL)
    shutil.rmtree(mirror)
    shelf = Shelf(open_build(URL), 0)
    assert {shelf.passage(place).id for place in range(len(shelf))} == set(shelf.ids)


def test_many_parts_are_packaged_by_many_processes(
    tmp_path: Path, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART_BYTES", 1)
    url = f"file://{tmp_path / 'there'}"
    here(*GENERATE[:3], "--shard-size", "1", "--count", "12", "-j", "1", "--out", url)
    here("synthesize", url, "-j", "1")
    here("release", url, "--version", "1.0.0", "-j", "2")
    index = list((tmp_path / "there" / "release" / "index").glob("*-0*"))
    assert len(index) >= 2, "a part for each shard that has dialogues"
    left = [path for path in mirror.rglob("*") if path.is_file() and path.name != ".lock"]
    assert left == []


class Scribbles(Squares):
    """The same stage with a file to work with."""

    def run(self, build: Build, shard: int, output: ShardOutput, counts: Counter[str]) -> None:
        output.scratch_path().parent.mkdir(parents=True, exist_ok=True)
        output.scratch_path().write_text("clips that were spoken")
        super().run(build, shard, output, counts)


def test_what_was_spoken_outlives_a_failed_upload(
    store: Any, mirror: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: Any, **options: Any) -> None:
        raise RuntimeError("the network is away")

    with monkeypatch.context() as patch:
        patch.setattr(type(store), "put_file", refuse)
        with pytest.raises(StorageError):
            run_shard(Scribbles(), URL, 0)
    left = [path for path in mirror.rglob("*") if path.is_file()]
    assert [path.name for path in left] == ["00000.scratch"]
    with open_build(URL).locked():
        assert left[0].is_file(), "nor is it swept"
    run_shard(Scribbles(), URL, 0)
    assert not left[0].exists()


def test_a_killed_commands_copies_are_swept(store: Any) -> None:
    run_shard(Squares(), URL, 0)
    build = open_build(URL)
    build.verified("passages", 0)
    copy = build.root / "passages/00000.txt"
    assert copy.read_text() == "0"
    with open_build(URL).locked():
        assert not copy.exists()


# -- paid replies --------------------------------------------------------------------------------


def pay(build: Build, *keys: str, die: bool = False) -> set[str]:
    """Pay for replies in a command, which may be killed; returns what it finds paid."""
    stack = ExitStack()
    with ReplyCache(build.root / "cache/llm.sqlite") if die else stack as cache:
        if not die:
            stack.enter_context(build.paid())
            cache = stack.enter_context(ReplyCache(build.root / "cache/llm.sqlite"))
        for key in keys:
            reply = StoredReply(content=key.encode(), content_type="text", model="m", cost_usd=1.0)
            asyncio.run(cache.put(key.encode(), reply))
        return {bytes(row[0]).decode() for row in cache.read("SELECT content FROM replies")}


@pytest.fixture
def at(store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Build]:
    """The build as a machine has it, by the machine's name."""

    def open_there(machine: str) -> Build:
        monkeypatch.setenv("ASKQA_MIRROR", str(tmp_path / machine))
        return open_build(URL)

    return open_there


def test_no_paid_reply_is_lost_between_machines(at: Callable[[str], Build]) -> None:
    assert pay(at("one"), "a") == {"a"}
    assert pay(at("two"), "b") == {"a", "b"}
    assert pay(at("one"), "c") == {"a", "b", "c"}, "its own copy is older than the store's"
    pay(at("two"), "d", die=True)
    pay(at("one"), "e")
    assert pay(at("two")) == {"a", "b", "c", "d", "e"}
    assert pay(at("three")) == {"a", "b", "c", "d", "e"}


def test_a_damaged_cache_at_the_url_is_named(store: Any) -> None:
    store.pipe("/bucket/build/cache/llm.sqlite", b"no database at all" * 100)
    with pytest.raises(BuildError, match=f"^{URL}/cache/llm.sqlite: the request cache is damaged"):
        pay(open_build(URL))


def test_an_empty_cache_at_the_url_does_not_pass_for_one(store: Any) -> None:
    store.pipe("/bucket/build/cache/llm.sqlite", b"")
    with pytest.raises(BuildError, match=r"llm\.sqlite: the request cache is damaged \(it holds"):
        pay(open_build(URL))


def test_two_commands_at_once_lose_no_paid_reply(at: Callable[[str], Build]) -> None:
    one = at("one")
    with one.paid():
        pay(one, "a", die=True)  # at work
        pay(at("two"), "b")
    assert pay(at("three")) == {"a", "b"}


def test_a_kill_while_replies_are_stored_does_not_empty_those_of_the_url(
    store: Any, mirror: Path
) -> None:
    build = open_build(URL)
    pay(build, "a")
    killed = multiprocessing.get_context("fork").Process(target=_killed_in_its_copy, args=(build,))
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    assert list(mirror.rglob("*-journal")), "hot: SQLite would roll it back"
    with open_build(URL).locked():
        assert pay(open_build(URL)) == {"a"}
    assert not list(mirror.rglob("*-journal"))


def _killed_in_its_copy(build: Build) -> None:
    def half(path: Path, copy: Path) -> None:
        database = sqlite3.connect(copy, isolation_level=None)
        database.execute("PRAGMA cache_size = 1")
        database.execute("BEGIN")
        database.execute("CREATE TABLE half (content)")
        for _ in range(20):
            database.execute("INSERT INTO half VALUES (randomblob(100000))")
        os.kill(os.getpid(), signal.SIGKILL)

    llm_cache.copy_of = half
    with build.paid():
        pass


def test_an_endpoint_is_not_paid_twice_by_two_machines(store: Any, mirror: Path) -> None:
    here(*GENERATE, URL)
    with OpenAIServer(speak) as server:
        voices = [option for name in VOICES for option in ("--voice", name)]
        options = ("--voices", "openai:tts-1", "--base-url", server.base_url, *voices)
        here("synthesize", URL, *options)
        paid = server.paid
        assert paid > 0
        before = objects(store)
        for name in [name for name in before if name.startswith("speech/")]:
            store.rm_file(f"/bucket/build/{name}")
        shutil.rmtree(mirror)
        here("synthesize", URL)
        assert server.paid == paid
    del before["cache/llm.sqlite"]
    assert {**objects(store), **before} == objects(store)
