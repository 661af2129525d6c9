"""Models under evaluation: behind endpoints, by name, and of one's own."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from openai_server import Act, Call, OpenAIServer, fail, html, refuse, say, send
from responding import ASKED, SETTINGS, seconds_of, speak, spoken, three_items
from tiny_release import PASSAGE

from askqa_builder.errors import EndpointError, EvaluationError
from askqa_builder.evaluate.items import PROMPT, Item, read_items
from askqa_builder.evaluate.responders import Conversation, Sound, Utterance
from askqa_builder.evaluate.responders.messages import Message, messages_of, wav_bytes
from askqa_builder.evaluate.responders.opening import ModelSettings, open_responder
from askqa_builder.evaluate.run import Manners, Prediction, predict
from askqa_builder.llm.endpoint import Limits


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return three_items(tmp_path_factory.mktemp("release") / "tiny")


@pytest.fixture
def items(release: Path) -> list[Item]:
    return list(read_items(release, "test"))


# --- messages


def shape(messages: list[Message]) -> list[tuple[str, list[str]]]:
    return [(m.role, [p if isinstance(p, str) else "SOUND" for p in m.parts]) for m in messages]


def test_narration_leads_and_roles_alternate(items: list[Item]) -> None:
    talk = items[0].conversation.then(
        Utterance("assistant", ASKED, seconds_of(1)),
        Utterance("user", "The mill.", seconds_of(1)),
        Utterance("user", "Please.", seconds_of(1)),
    )
    sound = "SOUND"
    assert shape(messages_of(talk)) == [
        ("user", [f"{PROMPT}\n\nThe passage:\n", sound, sound, "\n\nThe conversation:\n", sound]),
        ("assistant", [ASKED]),
        ("user", [sound, sound]),
    ]


def test_conversation_without_sound_is_text() -> None:
    talk = Conversation(
        "x",
        "Answer.",
        (Utterance("narrator", "The mill opened."), Utterance("narrator", "It closed.")),
        (Utterance("user", "When?"),),
    )
    assert shape(messages_of(talk)) == [
        (
            "user",
            ["Answer.\n\nThe passage:\nThe mill opened. It closed. \n\nThe conversation:\nWhen?"],
        )
    ]


def test_wav_holds_the_samples() -> None:
    samples = np.array([0.0, 0.5, -1.0, 1.0, 1.5], np.float32)
    back, rate = soundfile.read(io.BytesIO(wav_bytes(Sound(samples, 22_050))))
    assert rate == 22_050
    assert back == pytest.approx([0.0, 0.5, -1.0, 1.0, 1.0], abs=1e-4)


# --- an endpoint that hears


def sounds_of(call: Call) -> list[tuple[np.ndarray, int]]:
    """Every sound of a chat request, decoded."""
    return [
        soundfile.read(io.BytesIO(base64.b64decode(part["input_audio"]["data"])), dtype="float32")
        for message in call.body["messages"]
        if isinstance(message["content"], list)
        for part in message["content"]
        if part["type"] == "input_audio"
    ]


def asks_first(call: Call) -> Act:
    """Ask in the first round, answer in the second."""
    return say(ASKED if len(call.body["messages"]) == 1 else "1901")


def quick(folder: Path, **changes: Any) -> ModelSettings:
    limits = Limits(backoff_base_s=0.001, attempts=2)
    return ModelSettings(cache=folder / "replies.sqlite", limits=limits, **changes)


def run_on(spec: str, release: Path, folder: Path, settings: ModelSettings) -> list[Prediction]:
    with open_responder(spec, release, settings=settings) as responder:
        items = read_items(release, "test")
        manners = Manners(speak=speak)
        return predict(responder, items, folder / "out", SETTINGS, manners, max_failures=1)


def test_endpoint_hears_the_conversation_and_then_the_reply(release: Path, tmp_path: Path) -> None:
    with OpenAIServer(asks_first) as server:
        spec = f"openai:scripted@{server.base_url}"
        predictions = run_on(spec, release, tmp_path, quick(tmp_path))
    assert [(p.decision, p.final, p.failure) for p in predictions] == [("ask", "1901", None)] * 3
    first = [call for call in server.calls if len(call.body["messages"]) == 1]
    second = [call for call in server.calls if len(call.body["messages"]) == 3]
    assert (len(first), len(second)) == (3, 3)
    for call in first:
        narration = [len(samples) / rate for samples, rate in sounds_of(call)[:2]]
        assert narration == [1.0, 1.25]
        assert len(sounds_of(call)) == 3
        assert call.body["model"] == "scripted"
        assert call.body["temperature"] == 0
    # the reply's own sound arrives, sample for sample, and the model's question as text
    replies = {p.exchanges[0][1] for p in predictions}
    assert replies == {"I mean the bakery.", "I mean when did the mill open."}
    heard = {text: spoken(text)[0] for text in replies}
    for call in second:
        assert call.body["messages"][1] == {"role": "assistant", "content": ASKED}
        reply, rate = sounds_of(call)[-1]
        assert rate == 16_000
        assert any(np.allclose(reply, samples, atol=1e-4) for samples in heard.values())


def test_endpoint_is_paid_once(release: Path, tmp_path: Path) -> None:
    with OpenAIServer(asks_first) as server:
        spec = f"openai:scripted@{server.base_url}"
        first = run_on(spec, release, tmp_path / "a", quick(tmp_path))
        second = run_on(spec, release, tmp_path / "b", quick(tmp_path))
    assert server.paid == len(server.calls) == 6
    assert [p.final for p in first] == [p.final for p in second]


def test_requests_are_concurrent(items: list[Item], release: Path, tmp_path: Path) -> None:
    with OpenAIServer(asks_first, latency_s=0.2) as server:
        spec = f"openai:scripted@{server.base_url}"
        with open_responder(spec, release, settings=quick(tmp_path)) as responder:
            responder.respond_many([item.conversation for item in items])  # type: ignore[attr-defined]
    assert server.most_open == 3


def fails_on(duration_s: float, act: Act) -> Callable[[Call], Act]:
    """Misbehave for the one dialogue whose question lasts so long."""

    def script(call: Call) -> Act:
        samples, rate = sounds_of(call)[2]
        return act if abs(len(samples) / rate - duration_s) < 1e-3 else asks_first(call)

    return script


@pytest.mark.parametrize(
    ("act", "failure"),
    [
        (fail(400, "the audio is too long"), "RequestError: .*400: the audio is too long"),
        (fail(500, "oops"), r"RequestError: .*500: oops \(2 tries\)"),
        (html(), "RequestError: .*a body that is not JSON"),
        (refuse("I can't help with that."), "EvaluationError: .*refused: I can't help with that"),
        (say("", finish_reason="content_filter"), "EvaluationError: .*filtered"),
        (say(None), "the model said nothing"),
        (say("", finish_reason="stop"), "the model said nothing"),
    ],
)
def test_failure_of_one_item_is_recorded(
    release: Path, tmp_path: Path, act: Act, failure: str
) -> None:
    with OpenAIServer(fails_on(0.52, act)) as server:  # dialogue "bb"
        spec = f"openai:scripted@{server.base_url}"
        predictions = run_on(spec, release, tmp_path, quick(tmp_path))
    assert [p.id for p in predictions if p.failure] == ["bb"]
    assert re.match(failure, predictions[1].failure or "")
    assert [p.final for p in predictions if not p.failure] == ["1901", "1901"]


def test_endless_response_is_a_failure_and_kept(release: Path, tmp_path: Path) -> None:
    with OpenAIServer(lambda call: say("la " * 128, finish_reason="length")) as server:
        spec = f"openai:scripted@{server.base_url}"
        predictions = run_on(spec, release, tmp_path, quick(tmp_path))
    assert all(call.body["max_tokens"] == 128 for call in server.calls)
    assert all(p.final.startswith("la la") for p in predictions)
    assert all((p.failure or "").startswith("the model loops: 'la la") for p in predictions)


def test_endpoint_that_is_down_ends_the_run(release: Path, tmp_path: Path) -> None:
    limits = Limits(backoff_base_s=0.001, breaker_failures=4, breaker_patience_s=0.0)
    settings = replace(quick(tmp_path), limits=limits)
    with pytest.raises(EndpointError, match=r"http://127.0.0.1:9/v1.* run again"):
        run_on("openai:scripted@http://127.0.0.1:9/v1", release, tmp_path, settings)


def test_unauthorised_endpoint_ends_the_run(release: Path, tmp_path: Path) -> None:
    with (
        OpenAIServer(lambda call: fail(401, "bad key")) as server,
        pytest.raises(EndpointError, match="401: bad key; check OPENAI_API_KEY"),
    ):
        run_on(f"openai:m@{server.base_url}", release, tmp_path, quick(tmp_path))


# --- a cascade


def hears_and_reads(call: Call) -> Act:
    """A transcriber that tells lengths, and a model that asks first."""
    if call.path != "/audio/transcriptions":
        return asks_first(call)
    samples, rate = soundfile.read(io.BytesIO(call.files["file"][1]))
    return send(b'{"text": " heard %.2f s "}' % (len(samples) / rate), "application/json")


def test_cascade_gives_transcripts_for_sound(release: Path, tmp_path: Path) -> None:
    with OpenAIServer(hears_and_reads) as server:
        spec = f"cascade:listener+reader@{server.base_url}"
        predictions = run_on(spec, release, tmp_path, quick(tmp_path))
    assert [(p.decision, p.final, p.failure) for p in predictions] == [("ask", "1901", None)] * 3
    listened = [call for call in server.calls if call.path == "/audio/transcriptions"]
    # two segments of the one passage, three questions, and a reply of the user's for each of two
    # things meant
    assert len(listened) == 2 + 3 + 2
    assert {call.body["model"] for call in listened} == {"listener"}
    read = [call for call in server.calls if call.path == "/chat/completions"]
    assert {call.body["model"] for call in read} == {"reader"}
    assert [m["content"] for m in read[-1].body["messages"][1:]] == [ASKED, "heard 0.50 s"]
    written = read[0].body["messages"][0]["content"]
    assert written.startswith(PROMPT)
    assert "The passage:\nheard 1.00 s heard 1.25 s" in written
    assert PASSAGE.split(".")[0] not in str(server.bodies)  # only what was heard


def test_cascade_records_what_cannot_be_transcribed(release: Path, tmp_path: Path) -> None:
    def script(call: Call) -> Act:
        act = hears_and_reads(call)
        return send(b'{"words": []}', "application/json") if b"0.52" in act.content else act

    with OpenAIServer(script) as server:
        predictions = run_on(f"cascade:a+b@{server.base_url}", release, tmp_path, quick(tmp_path))
    failures = [p.failure for p in predictions]
    assert failures[0] is failures[2] is None
    assert "a reply without 'text'" in str(failures[1])


# --- specs


@pytest.fixture
def opened(release: Path) -> Iterator[Callable[[str], Any]]:
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda spec: stack.enter_context(open_responder(spec, release))


@pytest.mark.parametrize("name", ["always-answer", "always-ask", "most-frequent-answer", "random"])
def test_baselines_are_opened_by_name(opened: Any, items: list[Item], name: str) -> None:
    model = opened(name)
    assert model.name == name
    assert model.respond(items[0].conversation)


def test_frequent_answer_is_that_of_the_training_split(opened: Any, items: list[Item]) -> None:
    assert opened("most-frequent-answer").respond(items[0].conversation) == "1887"


@pytest.mark.parametrize("policy", ["", "-never", "-always"])
def test_oracles_know_the_split(opened: Any, items: list[Item], policy: str) -> None:
    oracle = opened(f"oracle-text{policy}")
    assert oracle.name == f"oracle-text{policy}"
    asks = [oracle.respond(item.conversation).startswith("Do you mean") for item in items]
    assert asks == {"": [1, 0, 1], "-never": [0, 0, 0], "-always": [1, 1, 1]}[policy]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("gpt", "model 'gpt' is not known; expected one of always-answer, "),
        ("hf:", "model 'hf:' is not known"),
        ("cascade:one", "names no two models"),
        ("nowhere.py:Model", "nowhere.py: no such file"),
    ],
)
def test_spec_that_names_nothing(opened: Any, spec: str, words: str) -> None:
    with pytest.raises(EvaluationError, match=re.escape(words)):
        opened(spec)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("x = 1", "has no 'Model'"),
        ("class Model:\n    name = 'm'", "'Model' has no 'respond'"),
        ("class Model:\n    def respond(self, c): return ''", "'Model' has no 'name'"),
        ("class Model:\n    name = 'm", r"mine\.py: SyntaxError: .*line 2"),
        ("import torchh", r"ModuleNotFoundError: No module named 'torchh' \(mine\.py, line 1\)"),
        ("class Model:\n    def __init__(self, x): pass", r"mine\.py: TypeError: "),
        (
            "class Model:\n    def __init__(self):\n        open('no')",
            r"FileNotFoundError: .*line 3",
        ),
    ],
)
def test_own_model_that_cannot_respond(opened: Any, tmp_path: Path, code: str, words: str) -> None:
    path = tmp_path / "mine.py"
    path.write_text(code)
    with pytest.raises(EvaluationError, match=words):
        opened(f"{path}:Model")


def test_example_of_the_docs_runs(opened: Any, items: list[Item], tmp_path: Path) -> None:
    docs = Path(__file__).parent.parent / "docs" / "evaluation.md"
    section = docs.read_text().split("## Your own model")[1]
    code = section.split("```python\n")[1].split("```")[0]
    assert len(code.strip().splitlines()) <= 12
    path = tmp_path / "my_model.py"
    path.write_text(code)
    model = opened(f"{path}:Model")
    assert [model.respond(item.conversation) for item in items] == ["About 3 seconds."] * 3
