"""A planted key is sent to the servers that want it, and lies in no file that anything writes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from openai_server import Act, Call, OpenAIServer, fail, say
from pipeline import here
from scripted_models import good_model, write_stories
from speech_server import VOICES, speak

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
        if KEY.encode() in content or TOKEN.encode() in content:
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
