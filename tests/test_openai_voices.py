"""Speech endpoints: real speech behind the true wire protocol, and what endpoints do instead."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from openai_server import Act, Call, OpenAIServer, cut, fail, hang, html, send
from pipeline import askqa, one_line
from speech_server import VOICES, sound, speak

from askqa_builder.clips import ClipFault, make_clip
from askqa_builder.config import SpeechSettings, SynthesizeSettings
from askqa_builder.errors import (
    BudgetError,
    EndpointError,
    RefusedTextError,
    SettingsError,
    VoiceError,
)
from askqa_builder.files import read_records
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.endpoint import Limits
from askqa_builder.schema import Reject, Speaker
from askqa_builder.store import Build
from askqa_builder.synthesize import synthesize
from askqa_builder.voices import Line, ManyVoices, Speech, open_voices
from askqa_builder.voices.openai import OpenAIVoices

TEXT = "When was the old stone bridge opened?"
KEY = "sk-a-key-that-must-not-be-written-anywhere"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(speak) as running:
        yield running


def voice(server: OpenAIServer, folder: Path, **settings: Any) -> OpenAIVoices:
    """The engine with little patience."""
    limits = Limits(
        concurrency=8, timeout_s=1.0, attempts=2, backoff_base_s=0.01, breaker_patience_s=0.5
    )
    chosen = SpeechSettings(base_url=server.base_url, voices=VOICES, **settings)
    return OpenAIVoices("tts-1", chosen, folder, limits=limits)


def speaker(id: str = "nova", rate: float = 1.0, pitch: float = 0.0) -> Speaker:
    return Speaker(id=id, engine="openai", rate=rate, pitch=pitch)


def lines(count: int) -> list[Line]:
    return [
        Line(f"{TEXT} {'Really ' * index}.", speaker(VOICES[index % 6])) for index in range(count)
    ]


# -- what is asked, and what is heard -------------------------------------------------------------


def test_a_clip_is_what_the_endpoint_said(server: OpenAIServer, tmp_path: Path) -> None:
    engine = voice(server, tmp_path)
    clip, flac = make_clip(engine, TEXT, speaker())
    said, rate_hz = soundfile.read(io.BytesIO(sound(server.calls[-1], "wav")))
    assert abs(clip.duration_s - len(said) / rate_hz) < 0.5
    assert soundfile.info(io.BytesIO(flac)).samplerate == 16_000
    assert clip.words == ()
    assert isinstance(engine, ManyVoices)


def test_the_request_is_openais(server: OpenAIServer, tmp_path: Path) -> None:
    engine = voice(server, tmp_path, instructions="Speak like a librarian.")
    engine.speak(TEXT, speaker("onyx", rate=1.25))
    call = server.calls[-1]
    assert call.path == "/audio/speech"
    assert call.headers["Authorization"] == f"Bearer {KEY}"
    assert call.body == {
        "model": "tts-1",
        "input": TEXT,
        "voice": "onyx",
        "response_format": "wav",
        "instructions": "Speak like a librarian.",
        "speed": 1.25,
    }
    assert engine.settings == {
        "base_url": server.base_url,
        "response_format": "wav",
        "instructions": "Speak like a librarian.",
    }


def test_speakers_are_the_voices_that_are_named(server: OpenAIServer, tmp_path: Path) -> None:
    engine = voice(server, tmp_path)
    assert tuple(one.id for one in engine.voices()) == VOICES
    with pytest.raises(VoiceError, match=r"no voice 'bob'; expected one of \['alloy'"):
        engine.speak(TEXT, speaker("bob"))
    with pytest.raises(VoiceError, match="no pitch"):
        engine.speak(TEXT, speaker(pitch=1.0))
    with pytest.raises(VoiceError, match="openai:tts-1"):
        open_voices("openai")


def test_many_are_in_flight_and_each_is_paid_once(tmp_path: Path) -> None:
    with OpenAIServer(speak, latency_s=0.2) as server:
        engine = voice(server, tmp_path)
        first = dict(engine.speak_many(lines(12)))
        assert server.most_open >= 6
        assert server.paid == 12
        again = dict(engine.speak_many(lines(12)))
        assert server.paid == 12
    for index in range(12):
        np.testing.assert_array_equal(first[index].samples, again[index].samples)


def test_the_key_is_written_nowhere(server: OpenAIServer, tmp_path: Path) -> None:
    engine = voice(server, tmp_path)
    engine.speak("Nothing is written.", speaker())
    assert KEY not in f"{engine.settings} {engine.version} {engine.voices()}"
    for path in tmp_path.rglob("*"):
        assert KEY.encode() not in path.read_bytes()


# -- forms of sound -------------------------------------------------------------------------------


def streamed(call: Call, size: int) -> Act:
    """WAV as it is streamed: the header is sent before the length is known."""
    wav = sound(call, "wav")
    sizes = struct.pack("<I", size)
    return send(wav[:4] + sizes + wav[8:40] + sizes + wav[44:], "audio/wav")


FORMS: dict[str, tuple[str, Callable[[Call], Act]]] = {
    "wav": ("wav", speak),
    "openai's streamed wav": ("wav", lambda call: streamed(call, 0xFFFFFFFF)),
    "wav without a length": ("wav", lambda call: streamed(call, 0)),
    "flac": ("flac", speak),
    "pcm": ("pcm", speak),
    "wav for pcm": ("pcm", lambda call: send(sound(call, "wav"), "audio/wav")),
    "mp3": ("mp3", speak),
    "mp3 for wav": ("wav", lambda call: send(sound(call, "mp3"), "audio/mpeg")),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_sound_is_decoded(tmp_path: Path, name: str) -> None:
    form, script = FORMS[name]
    with OpenAIServer(script) as server:
        speech = voice(server, tmp_path, response_format=form).speak(TEXT, speaker())
    true, rate_hz = soundfile.read(
        io.BytesIO(sound(Call(0, "", {"input": TEXT, "voice": "nova"}), "wav"))
    )
    assert abs(len(speech.samples) / speech.sample_rate_hz - len(true) / rate_hz) < 0.1
    assert speech.samples.dtype == np.float32
    assert 0.05 < np.abs(speech.samples).max() <= 1.0


# -- faults ---------------------------------------------------------------------------------------


def silence(seconds: float) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(round(seconds * 16_000), np.int16), 16_000, format="WAV")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("act", "reason", "words"),
    [
        (send(silence(0), "audio/wav"), "empty", "no samples"),
        (send(silence(2), "audio/wav"), "silent", "peak"),
        (send(b"<html>down</html>", "audio/wav"), "refused_by_engine", "b'<html>down</' are no"),
        (send(silence(1)[:20], "audio/wav"), "refused_by_engine", "are no audio"),
        (fail(400, "content policy"), "refused_by_engine", "400: content policy"),
        (fail(413, "too long"), "refused_by_engine", "413: too long"),
    ],
)
def test_a_bad_answer_to_one_text_is_a_reject(
    tmp_path: Path, act: Act, reason: str, words: str
) -> None:
    with OpenAIServer(lambda call: act) as server:
        with pytest.raises(ClipFault) as fault:
            make_clip(voice(server, tmp_path), TEXT, speaker())
        assert len(server.calls) == 1
    assert fault.value.reason == reason
    assert words in fault.value.detail


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (fail(500), "500: no (2 tries)"),
        (fail(401), "check OPENAI_API_KEY"),
        (fail(404, "no model tts-1"), "no model tts-1"),
        (html(502), "502: Bad Gateway (2 tries)"),
        (html(200), "garbled: 'text/html' instead of sound (2 tries)"),
        (send(b"", "audio/wav"), "garbled: an empty body instead of sound (2 tries)"),
        (hang(), "timeout: no whole reply within 1 s (2 tries)"),
        (cut(), "connection: the connection was cut"),
    ],
)
def test_an_endpoint_in_trouble_is_one_line_and_no_reject(
    tmp_path: Path, act: Act, words: str
) -> None:
    with OpenAIServer(lambda call: act) as server, pytest.raises(EndpointError) as error:
        list(voice(server, tmp_path).speak_many(lines(3)))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_trouble_that_passes_is_waited_for(tmp_path: Path) -> None:
    troubles = iter([fail(429, retry_after="0.1"), fail(503), html(200), hang()])

    def script(call: Call) -> Act:
        return next(troubles, None) or speak(call)

    with OpenAIServer(script) as server:
        answers = dict(voice(server, tmp_path).speak_many(lines(8)))
        assert server.paid == 8 + 1, "the page with status 200 may have been billed"
    assert all(isinstance(answer, Speech) for answer in answers.values())


def test_one_refused_text_does_not_stop_the_others(tmp_path: Path) -> None:
    def script(call: Call) -> Act:
        return fail(400, "content policy") if "Really Really" in call.body["input"] else speak(call)

    with OpenAIServer(script) as server:
        answers = dict(voice(server, tmp_path).speak_many(lines(4)))
    assert [isinstance(answers[index], RefusedTextError) for index in range(4)] == [
        *(False, False),
        *(True, True),
    ]


def test_what_is_in_flight_when_one_leaves_is_kept(tmp_path: Path) -> None:
    with OpenAIServer(speak, latency_s=0.3) as server:
        answers = voice(server, tmp_path).speak_many(lines(30))
        next(answers)
        answers.close()
        paid = server.paid
        assert 8 <= paid < 30
        with ReplyCache(tmp_path / "llm.sqlite") as cache:
            ((kept,),) = cache.read("SELECT count(*) FROM replies")
        assert kept == paid
        assert len(list(voice(server, tmp_path).speak_many(lines(30)))) == 30
        assert server.paid == 30


def test_the_budget_holds_over_runs(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    # a million characters for 1,000 dollars: a tenth of a cent each
    prices.write_text('["*"]\n"tts-1" = { input = 0, output = 0, characters = 1000 }\n')
    texts = [Line("x" * 10 + f" {word}", speaker()) for word in ("one", "two", "six", "ten")]
    with OpenAIServer(speak) as server:
        for budget_usd, paid in ((0.03, 2), (0.03, 2), (0.06, 4)):
            engine = voice(server, tmp_path, prices=str(prices), budget_usd=budget_usd)
            if paid < 4:
                with pytest.raises(BudgetError, match="raise --budget-usd and run again"):
                    list(engine.speak_many(texts))
            else:
                assert len(list(engine.speak_many(texts))) == 4
            assert server.paid == paid


def test_what_a_cut_connection_may_have_cost_counts_in_all_later_calls(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('["*"]\n"tts-1" = { input = 0, output = 0, characters = 1000 }\n')
    with OpenAIServer(lambda call: cut()) as server:
        for _ in range(4):  # one object speaks the shards of a run; a run may also begin anew
            engine = voice(server, tmp_path, prices=str(prices), budget_usd=0.055)  # for three
            for word in ("one", "two"):
                with pytest.raises(EndpointError):
                    list(engine.speak_many([Line("x" * 11 + f" {word}", speaker())]))
        assert len(server.calls) == 3


def test_a_model_billed_by_tokens_counts_its_upper_bound(tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('["*"]\n"tts-1" = { input = 1, output = 12 }\n')
    with OpenAIServer(speak) as server:
        list(voice(server, tmp_path, prices=str(prices), budget_usd=1.0).speak_many(lines(2)))
    with ReplyCache(tmp_path / "llm.sqlite") as cache:
        # some ten seconds at 25 tokens a second: a third of a cent
        assert 0.001 < cache.spent_usd() < 0.02


def test_openai_itself_needs_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    engine = OpenAIVoices("tts-1", SpeechSettings(), tmp_path)
    with pytest.raises(SettingsError, match="OPENAI_API_KEY"):
        engine.speak(TEXT, speaker("alloy"))


# -- in a build -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("openai") / "build"
    askqa("generate", "--source", "sample", "--count", "6", "--out", folder)
    return folder


def test_a_refused_turn_is_a_reject_with_its_reason(written: Path, tmp_path: Path) -> None:
    import shutil

    build = Path(shutil.copytree(written, tmp_path / "build"))
    asked: list[str] = []

    def script(call: Call) -> Act:
        asked.append(call.body["input"])
        # the third turn of somebody
        return fail(400, "against our policy") if len(asked) == 9 else speak(call)

    with OpenAIServer(script) as server:
        settings = SynthesizeSettings(
            narrator="openai:tts-1",
            user="espeak",
            assistant="openai:tts-1",
            openai=SpeechSettings(base_url=server.base_url, voices=VOICES, concurrency=1),
        )
        manifest = synthesize(Build(build), settings)
    assert manifest.counts["rejected"] >= 1
    assert manifest.counts["accepted"] + manifest.counts["rejected"] == 6
    rejects = list(read_records(build / "rejects" / "speech-00000.jsonl", Reject))
    assert {reject.reason for reject in rejects} == {"refused_by_engine"}
    assert "against our policy" in rejects[0].detail


def test_a_dead_endpoint_is_one_line_of_the_command(written: Path, tmp_path: Path) -> None:
    import shutil

    build = Path(shutil.copytree(written, tmp_path / "build"))
    line = one_line(
        *("synthesize", build, "--voices", "openai:tts-1"),
        *("--base-url", "http://127.0.0.1:9/v1"),
    )
    assert "127.0.0.1:9" in line
    assert "run again: nothing that was paid is lost" in line
