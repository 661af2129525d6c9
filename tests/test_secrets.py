"""A planted key is sent to the servers that want it, and lies in no file that anything writes."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from openai_server import Act, Call, OpenAIServer, fail, say
from pipeline import here, one_line_here
from scripted_models import good_model, write_stories
from speech_server import VOICES, speak
from tiny_release import dialogue, write_release

PASSWORD = "planted1414213562"
URL = f"http://ann:{PASSWORD}@127.0.0.1:9/v1"
KEY, TOKEN = "sk-planted-2718281828459045", "hf_planted3141592653589793"


def telling(script: Callable[[Call], Act], every: int) -> Callable[[Call], Act]:
    """A server that repeats the key in its errors, as some do."""

    def told(call: Call) -> Act:
        if call.number % every == 1:
            return fail(429, f"{call.headers['Authorization']} is too fast", retry_after="0")
        return script(call)

    return told


def planted(folder: Path) -> list[str]:
    """Files in which a secret can be found, in sqlite files as sqlite has them."""
    found = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        content = path.read_bytes()
        if path.suffix == ".sqlite":
            with sqlite3.connect(path) as database:
                content += "\n".join(database.iterdump()).encode()
            database.close()
        if any(secret.encode() in content for secret in (KEY, TOKEN, PASSWORD)):
            found.append(str(path))
    return found


@pytest.mark.filterwarnings("ignore:Sending a large body")  # of aiohttp, to us
def test_a_planted_key_is_in_no_file_of_builds_releases_and_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    build, results = tmp_path / "build", tmp_path / "results"
    source = write_stories(tmp_path / "stories.json", 12)
    voices = [word for name in VOICES for word in ("--voice", name)]

    def answer(call: Call) -> Act:
        return fail(400, f"{KEY} may not ask that") if call.number % 5 == 2 else say("seven")

    with (
        OpenAIServer(telling(good_model, 7)) as writer,
        OpenAIServer(telling(speak, 9)) as speaker,
        OpenAIServer(answer) as model,
    ):
        here(
            *("generate", "--writer", "llm", "--model", "m", "--count", "6", "--source", source),
            *("--verify", "0", "--base-url", writer.base_url, "--out", build),
        )
        here(
            *("synthesize", build, "--assistant", "openai:tts-1", "-j", "1"),
            *("--base-url", speaker.base_url, *voices),
        )
        here("release", build, "--version", "1.0.0", "-j", "1")
        here(
            *("evaluate", build / "release", "--model", f"openai:m@{model.base_url}"),
            *("--split", "train", "--resamples", "10", "--out", results),
        )
        for server in (writer, speaker, model):
            assert server.calls
            assert all(call.headers["Authorization"] == f"Bearer {KEY}" for call in server.calls)
    assert len(list(tmp_path.rglob("*.sqlite"))) >= 2
    assert (results / "report.html").is_file()
    assert planted(tmp_path) == []
    (tmp_path / "seen").write_text(f"…{KEY}…")
    assert planted(tmp_path), "the search would find it"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build that can be spoken and a release that can be evaluated."""
    folder = tmp_path_factory.mktemp("folders")
    write_stories(folder / "stories.json", 3)
    here(
        *("generate", "--source", "sample", "--count", "2", "--shard-size", "40", "-j", "1"),
        *("--out", folder / "build"),
    )
    write_release(folder / "data", {"test": [dialogue("d1"), dialogue("d2", ambiguous=True)]})
    return folder


LLM = ("--source", "squad:stories.json", "--count", "2", "--model", "m", "--out", "new")
EVALUATE = ("evaluate", "data", "--out", "results", "--model")


@pytest.mark.parametrize(
    "arguments",
    [
        ("generate", "--writer", "llm", *LLM, "--base-url", URL),
        ("generate", "--writer", "llm", "--batch", *LLM, "--base-url", URL),
        ("generate", "--source", "sample", "--out", "new", "--base-url", URL),
        ("estimate", *LLM, "--base-url", URL),
        ("synthesize", "build", "--voices", "openai:tts-1", "--base-url", URL),
        ("synthesize", "build", "--base-url", URL),
        ("synthesize", "build", "--asr", f"openai:whisper-1@{URL}"),
        ("voices", "openai:m", "--base-url", URL),
        ("voices", "openai:m", "--base-url", URL, "--sample", "heard"),
        (*EVALUATE, "openai:m", "--base-url", URL),
        (*EVALUATE, f"openai:m@{URL}"),
        (*EVALUATE, f"openai:m@{URL}", "--rounds", "0", "-j", "2"),
        (*EVALUATE, f"cascade:w@{URL}+m@http://127.0.0.1:9/v1"),
        (*EVALUATE, f"cascade:w@http://127.0.0.1:9/v1+m@{URL}"),
        (*EVALUATE, "oracle-text", "--user", f"m@{URL}"),
        (*EVALUATE, "oracle-text", "--judge", f"m@{URL}"),
        (*EVALUATE, "oracle-text", "--embeddings", f"m@{URL}"),
        # with a slash in it no part of it is seen as a password; neither is it one of FTP
        (*EVALUATE, f"openai:m@http://ann:2/{PASSWORD}@127.0.0.1:9/v1"),
        ("voices", "openai:m", "--base-url", f"ftp://ann:{PASSWORD}@127.0.0.1:9/v1"),
    ],
    ids=lambda arguments: " ".join(arguments).replace(PASSWORD, "…"),
)
def test_a_password_in_an_address_is_refused_and_neither_told_nor_written(
    arguments: tuple[str, ...],
    folders: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.copytree(folders, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    told = one_line_here(*arguments)
    assert PASSWORD not in told
    assert "holds a password or a query" in told or "an endpoint is asked by one process" in told
    assert planted(tmp_path) == []


def test_a_password_in_the_environments_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", URL)
    for arguments in [("voices", "openai:m"), ("voices", "openai:m", "--json")]:
        told = one_line_here(*arguments)
        assert "holds a password" in told
        assert PASSWORD not in told
