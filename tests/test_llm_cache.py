"""The reply cache: durable first, shared by processes, clear about damage."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from askqa_builder.errors import BuildError, StorageError
from askqa_builder.llm import cache as cache_module
from askqa_builder.llm.cache import ReplyCache, StoredReply, merge

WRITER = """
import asyncio, sys
from pathlib import Path
from askqa_builder.llm.cache import ReplyCache, StoredReply
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
async def main():
    with ReplyCache(path) as cache:
        async def put(i):
            key = f"{name}{i}".encode()
            stored = await cache.put(key, StoredReply(name.encode(), "x", "m", 0.5))
            print(f"{name}{i}", flush=True)
        for at in range(0, count, 100):
            await asyncio.gather(*(put(i) for i in range(at, min(at + 100, count))))
asyncio.run(main())
"""


def reply(text: str = "hello", cost_usd: float | None = 0.25) -> StoredReply:
    return StoredReply(text.encode(), "application/json", "m", cost_usd)


def test_what_is_put_is_got_also_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "llm.sqlite"
    stored = reply()
    with ReplyCache(path) as cache:
        assert cache.get(b"k") is None
        assert asyncio.run(cache.put(b"k", stored)) == stored
        assert cache.get(b"k") == stored
    with ReplyCache(path) as cache:
        assert cache.get(b"k") == stored
        assert cache.get(b"other") is None


def test_put_returns_after_the_commit(tmp_path: Path) -> None:
    path = tmp_path / "llm.sqlite"

    async def main(cache: ReplyCache) -> None:
        async def put(index: int) -> None:
            key = str(index).encode()
            await cache.put(key, reply())
            other = sqlite3.connect(path)  # sees only what is committed
            try:
                found = other.execute("SELECT 1 FROM replies WHERE key = ?", (key,)).fetchone()
            finally:
                other.close()
            assert found, f"reply {index} was given out before it was safe"

        await asyncio.gather(*(put(index) for index in range(200)))

    with ReplyCache(path) as cache:
        asyncio.run(main(cache))


def test_commits_are_shared(tmp_path: Path) -> None:
    commits = 0

    def count(statement: str) -> None:
        nonlocal commits
        commits += statement == "COMMIT"

    class Counting(ReplyCache):
        def _connect(self) -> sqlite3.Connection:
            connection = super()._connect()
            connection.set_trace_callback(count)
            return connection

    async def main(cache: ReplyCache) -> None:
        await asyncio.gather(*(cache.put(str(i).encode(), reply()) for i in range(640)))

    with Counting(tmp_path / "llm.sqlite") as cache:
        commits = 0
        asyncio.run(main(cache))
        assert 10 <= commits <= 30


def test_the_first_reply_stays(tmp_path: Path) -> None:
    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        first, second = reply("first"), reply("second")
        asyncio.run(cache.put(b"k", first))
        assert asyncio.run(cache.put(b"k", second)) == first
        assert cache.get(b"k") == first


def test_spending_is_summed_and_unknown_prices_count_nothing(tmp_path: Path) -> None:
    async def main(cache: ReplyCache) -> None:
        for index, cost in enumerate([0.25, 0.5, None]):
            await cache.put(str(index).encode(), reply(cost_usd=cost))

    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        assert cache.spent_usd() == 0
        asyncio.run(main(cache))
        assert cache.spent_usd() == 0.75


def test_what_may_have_been_billed_is_summed_and_merged_by_its_name(tmp_path: Path) -> None:
    async def main(cache: ReplyCache) -> None:
        await cache.put(b"k", reply(cost_usd=None), uncertain_usd=0.5)
        assert await cache.doubt(0.25, "line 1")
        assert not await cache.doubt(0.25, "line 1")
        await cache.doubt(1.0)

    path, other = tmp_path / "llm.sqlite", tmp_path / "other.sqlite"
    for file in (path, other):
        with ReplyCache(file) as cache:
            asyncio.run(main(cache))
            assert cache.billed() == {"spent_usd": 0, "uncertain_usd": 1.75}
    merge(other, path, called="other")
    with ReplyCache(path) as cache:
        assert cache.uncertain_usd() == 1.75 * 2 - 0.25


def test_a_file_of_an_earlier_version_gets_the_table_that_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "llm.sqlite"
    with ReplyCache(path) as cache:
        asyncio.run(cache.put(b"k", reply()))
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE uncertain")
    with ReplyCache(path) as cache:
        assert cache.billed() == {"spent_usd": 0.25, "uncertain_usd": 0}


def test_memos_are_kept_and_replaced(tmp_path: Path) -> None:
    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        assert cache.memo("mode") is None
        asyncio.run(cache.remember("mode", "json_schema"))
        asyncio.run(cache.remember("mode", "prompt"))
        assert cache.memo("mode") == "prompt"


def test_a_cancelled_put_is_stored_all_the_same(tmp_path: Path) -> None:
    async def main(cache: ReplyCache) -> None:
        task = asyncio.create_task(cache.put(b"k", reply()))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await cache.put(b"later", reply())

    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        asyncio.run(main(cache))
        assert cache.get(b"k") is not None


def test_closing_commits_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "llm.sqlite"
    cache = ReplyCache(path)
    waiting: list[asyncio.Task[StoredReply]] = []

    async def main() -> None:
        waiting.extend(
            asyncio.create_task(cache.put(str(index).encode(), reply())) for index in range(300)
        )
        await asyncio.sleep(0)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    cache.close()
    cache.close()  # twice is once
    for task in waiting:
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    with ReplyCache(path) as again:
        assert again.read("SELECT count(*) FROM replies") == [(300,)]


def test_processes_share_one_file(tmp_path: Path) -> None:
    path = tmp_path / "llm.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    writers = [
        subprocess.Popen([*command, name, "1000"], stdout=subprocess.DEVNULL) for name in "abc"
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    with ReplyCache(path) as cache:
        assert cache.read("SELECT count(*) FROM replies") == [(3000,)]


def test_nothing_that_was_given_out_is_lost_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "llm.sqlite"
    for round_ in range(3):
        command = [sys.executable, "-c", WRITER, str(path), f"r{round_}-", "100000"]
        writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(500 + 100 * round_)]
        os.kill(writer.pid, signal.SIGKILL)
        lines += writer.stdout.readlines()
        writer.stdout.close()
        writer.wait()
        used = {line.strip() for line in lines if line.endswith("\n")}
        with ReplyCache(path) as cache:
            held = {bytes(key).decode() for (key,) in cache.read("SELECT key FROM replies")}
            assert cache.read("PRAGMA integrity_check") == [("ok",)]
        assert used <= held
        assert len(held) >= 500


@pytest.mark.parametrize(
    "content", [b"this is no database, I fear" * 100, b"SQLite format 3\0" * 300]
)
def test_a_file_that_is_no_database_is_told_with_a_remedy(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "llm.sqlite"
    path.write_bytes(content)
    with pytest.raises(
        BuildError, match=r"llm\.sqlite: the request cache is damaged.*move it away"
    ):
        ReplyCache(path)
    assert path.read_bytes() == content, "it must be left as it is"


def test_damage_in_the_middle_is_told_when_it_is_met(tmp_path: Path) -> None:
    path = tmp_path / "llm.sqlite"

    async def fill(cache: ReplyCache) -> None:
        await asyncio.gather(*(cache.put(str(i).encode(), reply("x" * 900)) for i in range(500)))

    with ReplyCache(path) as cache:
        asyncio.run(fill(cache))
    content = bytearray(path.read_bytes())
    content[8192:-4096] = b"\xff" * (len(content) - 8192 - 4096)
    path.write_bytes(content)
    with ReplyCache(path) as cache:
        with pytest.raises(BuildError, match="damaged"):
            [cache.get(str(index).encode()) for index in range(500)]
        with pytest.raises(BuildError, match="damaged"):
            asyncio.run(fill(cache))


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "llm.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    with pytest.raises(BuildError, match="format 0"):
        ReplyCache(path)


def test_a_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(StorageError, match="cache"):
        ReplyCache(tmp_path / "cache" / "llm.sqlite")


def test_a_held_lock_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "BUSY_S", 0.05)
    path = tmp_path / "llm.sqlite"
    with ReplyCache(path) as cache:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(BuildError, match="another process"):
            asyncio.run(cache.put(b"k", reply()))
        other.execute("COMMIT")
        other.close()
        asyncio.run(cache.put(b"k", reply()))  # the writer goes on


def test_one_thread_writes(tmp_path: Path) -> None:
    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        asyncio.run(cache.put(b"k", reply()))
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("llm-cache") == 1
    assert "llm-cache" not in [thread.name for thread in threading.enumerate()]
