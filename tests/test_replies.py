"""Replies of the simulated user: in the voice of the data, set as it was, and nowhere unasked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny_vits
from openai_server import OpenAIServer
from speech_server import speak
from tiny_release import dialogue, write_release

from askqa_builder.errors import EvaluationError
from askqa_builder.evaluate.items import Item, read_items
from askqa_builder.evaluate.replies import Replies, VoicesHere


def release_of(folder: Path, **user: Any) -> tuple[Path, Item]:
    """A release whose user has this voice, and its item."""
    row = dialogue("d")
    row["voices"]["user"] |= user | {"settings": json.dumps(user.get("settings", {}))}
    release = write_release(folder, {"test": [row]})
    return release, next(iter(read_items(release, "test")))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted-0123456789")
    with OpenAIServer(speak) as server:
        yield server


def at_endpoint(folder: Path, server: OpenAIServer, **settings: str) -> tuple[Path, Item]:
    settings = {"base_url": server.base_url, "response_format": "flac"} | settings
    return release_of(folder, engine="openai", model="tts-1", speaker="fable", settings=settings)


def test_endpoint_that_the_data_name_is_not_asked_unasked(
    server: OpenAIServer, tmp_path: Path
) -> None:
    release, item = at_endpoint(tmp_path / "release", server)
    replies = Replies(tmp_path / "cache")
    for work in (lambda: replies.check(release, "test"), lambda: replies.speak(item, "Yes.")):
        with pytest.raises(EvaluationError, match=r"spoken at http.*set OPENAI_BASE_URL to that"):
            work()
    assert not server.calls, "neither a key nor a text has gone there"


def test_endpoint_is_asked_as_it_was(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    release, item = at_endpoint(tmp_path / "release", server, instructions="Calmly.")
    replies = Replies(tmp_path / "cache")
    replies.check(release, "test")
    samples, rate_hz = replies.speak(item, "The bakery, please.")
    assert len(samples) > rate_hz / 3
    (call,) = server.calls
    assert call.body["instructions"] == "Calmly."
    assert (call.body["voice"], call.body["response_format"]) == ("fable", "flac")


def test_settings_that_are_none_are_one_line(
    server: OpenAIServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    release, _ = at_endpoint(tmp_path / "release", server, response_format="../../etc")
    with pytest.raises(EvaluationError, match="settings of the user's voice 'fable'"):
        Replies(tmp_path / "cache").check(release, "test")


def test_coqui_model_without_a_known_name_is_found_where_it_is_said_to_be(tmp_path: Path) -> None:
    folder = tiny_vits.build(tmp_path / "models" / "mine")
    settings = {"device": "cpu", "threads": 1, "batch": 1, "language": "en"}
    release, item = release_of(
        tmp_path / "release", engine="coqui", model="mine", speaker="ava", settings=settings
    )
    with pytest.raises(EvaluationError, match="say where it is: --user-voices coqui:FOLDER"):
        Replies(tmp_path / "cache").check(release, "test")
    with pytest.raises(EvaluationError, match="the data were spoken by coqui:mine"):
        Replies(tmp_path / "cache", VoicesHere(spec="espeak")).check(release, "test")
    replies = Replies(tmp_path / "cache", VoicesHere(spec=f"coqui:{folder}"))
    replies.check(release, "test")
    samples, _ = replies.speak(item, "The bakery, please.")
    assert len(samples)
    other = item.user.model_copy(update={"id": "ben"})
    assert replies._engine(other) is replies._engine(item.user), "users share the model"
