"""A recogniser behind the build: word errors, the gate, an endpoint, a local model."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from asr_server import Ears, transcript
from forked import command
from openai_server import Act, OpenAIServer, fail, garble, hang, html, send
from pipeline import here, tree
from tiny_whisper import make_tiny_whisper

from askqa_builder import audio, load_release, spoken
from askqa_builder.asr import Gate, open_recogniser
from askqa_builder.asr.words import word_errors, words
from askqa_builder.clips import ClipFault
from askqa_builder.config import SynthesizeSettings
from askqa_builder.errors import (
    AskqaError,
    BudgetError,
    EndpointError,
    MissingExtraError,
    RecogniserError,
    RefusedClipError,
)
from askqa_builder.files import read_records
from askqa_builder.schema import Clip, Reject, SpokenDialogue
from askqa_builder.store import Build
from askqa_builder.synthesize import SynthesizeStage, synthesize

pytest.importorskip("jiwer", reason="needs the extra asr")
needs_whisper = pytest.mark.skipif(
    importlib.util.find_spec("faster_whisper") is None, reason="needs the extra asr"
)

# -- word errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "heard"),
    [
        ("It opened in 1887.", "it opened in eighteen eighty seven"),
        ("It opened in 1887.", "It opened in 1887."),
        ("It cost $5.3 million.", "It cost 5.3 million dollars"),
        ("It cost $5.3 million.", "It cost $5.3 million."),
        ("A quarter, 25%, of Beyoncé's tour", "a quarter 25 percent of Beyonce's tour."),
        ("Dr. Smith of the U.S. Army, at 5 p.m.", "Doctor Smith of the US army at five PM"),
        ("King George III, in the 1980s", "King George the third in the nineteen eighties"),
        ("It’s 3 km to the twenty-first bridge.", "It's three kilometers to the 21st bridge"),
        ("The WWW", "the W W W"),
    ],
)
def test_spelling_is_no_word_error(written: str, heard: str) -> None:
    errors, count = word_errors(written, spoken.spoken_form(written), heard)
    assert errors == 0
    assert count > 0


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("him being comparatively mater", 2),  # what CMU PocketSphinx made of the recording
        ("in being modern", 1),
        ("in being the comparatively modern", 1),
        ("", 4),
        ("modern " * 400, 399),
        ("в сравнительно новом", 4),
    ],
)
def test_substitutions_deletions_and_insertions_count(heard: str, errors: int) -> None:
    text = "in being comparatively modern."
    assert word_errors(text, text, heard) == (errors, 4)


def test_errors_of_real_transcripts_are_those_of_another_count(shared_data: Path) -> None:
    lines = (shared_data / "speech/ljspeech/metadata.csv").read_text().splitlines()
    texts = [line.split("|")[2] for line in lines]
    for text, other in zip(texts, texts[1:] + texts[:1], strict=True):
        read = spoken.spoken_form(text)
        assert word_errors(text, read, read) == (0, len(words(read)))
        assert word_errors(text, read, text.upper().replace(",", "")) == (0, len(words(read)))
        errors, count = word_errors(text, read, other)
        assert errors == edit_distance(words(read), words(other))
        assert count == len(words(read))


def edit_distance(one: list[str], other: list[str]) -> int:
    """Levenshtein's, by the textbook."""
    row = list(range(len(other) + 1))
    for number, word in enumerate(one, 1):
        diagonal, row[0] = row[0], number
        for column, candidate in enumerate(other, 1):
            best = min(row[column] + 1, row[column - 1] + 1, diagonal + (word != candidate))
            diagonal, row[column] = row[column], best
    return row[-1]


# -- the gate -------------------------------------------------------------------------------------


class Parrot:
    """A recogniser that says what it was told to."""

    max_processes = None

    def __init__(self, *replies: str | RefusedClipError, name: str = "parrot") -> None:
        self.name, self._replies = name, list(replies)
        self.asked: list[str] = []

    def transcribe(
        self, sounds: Iterable[tuple[str, bytes]]
    ) -> Iterator[tuple[str, str | RefusedClipError]]:
        for key, _ in sounds:
            self.asked.append(key)
            yield key, self._replies.pop(0)


def clip_of(text: str) -> Clip:
    return Clip(key=text, text=text, spoken_text=text, duration_s=1.0, measures={"snr_db": 5.0})


TEN = "one of the ten words of this question is wrong"


@pytest.mark.parametrize(
    ("text", "heard", "max_wer", "passes"),
    [
        (TEN, TEN, 0.3, True),
        (TEN, TEN.replace("one of the", "won off a"), 0.3, True),
        (TEN, TEN.replace("one of the ten", "won off a tan"), 0.3, False),
        (TEN, TEN.replace("one of the ten", "won off a tan"), 0.5, True),
        ("Beyoncé", "Beyonsay", 0.3, True),  # one word of one: a recogniser's spelling
        ("Beyoncé", "Beyonsay", 0.0, False),
        ("the blue one", "the blew won", 0.3, False),
        (TEN, TEN.replace("one", "won"), 0.0, False),
    ],
)
def test_a_clip_passes_up_to_the_error_rate_and_with_one_error(
    text: str, heard: str, max_wer: float, passes: bool
) -> None:
    gate = Gate(Parrot(heard), max_wer)
    if passes:
        measures = gate.check(clip_of(text), b"").measures
        errors, count = word_errors(text, text, heard)
        assert measures["snr_db"] == 5.0
        assert (measures["asr"], measures["asr_text"]) == ("parrot", heard)
        assert (measures["asr_errors"], measures["asr_words"]) == (errors, count)
        assert measures["wer"] == pytest.approx(errors / count, abs=1e-4)
    else:
        with pytest.raises(ClipFault, match=r"asr_word_errors: .* heard") as caught:
            gate.check(clip_of(text), b"")
        assert repr(heard) in caught.value.detail


def test_a_clip_in_which_nothing_is_heard_does_not_pass_at_any_rate() -> None:
    with pytest.raises(ClipFault, match="asr_heard_nothing"):
        Gate(Parrot(""), 1.0).check(clip_of("Beyoncé"), b"")


def test_a_clip_that_a_recogniser_refuses_is_a_fault_of_the_clip() -> None:
    with pytest.raises(ClipFault, match="asr_refused: too short"):
        Gate(Parrot(RefusedClipError("too short")), 1.0).check(clip_of("Yes."), b"")


def test_what_was_heard_is_not_listened_to_again_but_by_another_recogniser() -> None:
    first, again, other = Parrot("a", "b"), Parrot(), Parrot("c", "d", name="cockatoo")
    clips = [(clip_of("a"), b"1"), (clip_of("b"), b"2"), (clip_of("a"), b"1")]
    heard = list(Gate(first, 0.3).heard(clips))
    assert first.asked == ["a", "b"]
    assert list(Gate(again, 0.3).heard(heard)) == heard
    assert again.asked == []
    changed = [clip.measures for clip, _ in Gate(other, 0.3).heard(heard)]
    assert [(m["asr"], m["asr_text"]) for m in changed] == [("cockatoo", "c"), ("cockatoo", "d")]


# -- a build with an endpoint ---------------------------------------------------------------------

GENERATE = ("generate", "--source", "sample", "--shard-size", "4", "--count", "12", "--out")
ALONE = ("--workers", "1", "-q")
"""In this process, which has the packages loaded."""


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asr") / "build"
    here(*GENERATE, folder)
    here("synthesize", folder, *ALONE)
    return folder


def fresh(plain: Path, tmp_path: Path, *, spoken_already: bool = False) -> Path:
    left_out = () if spoken_already else ("speech",)
    shutil.copytree(plain, tmp_path / "build", ignore=shutil.ignore_patterns(*left_out))
    return tmp_path / "build"


def spoken_dialogues(build: Path) -> list[SpokenDialogue]:
    shards = sorted((build / "speech").glob("*.jsonl"))
    return [spoken for path in shards for spoken in read_records(path, SpokenDialogue)]


def all_clips(dialogue: SpokenDialogue) -> tuple[Clip, ...]:
    return (*dialogue.narration, *(turn.clip for turn in dialogue.turns))


def rejects(build: Path) -> list[Reject]:
    shards = sorted((build / "rejects").glob("speech-*.jsonl"))
    return [reject for path in shards for reject in read_records(path, Reject)]


def sounds(build: Path) -> dict[str, bytes]:
    tables = [pq.read_table(path) for path in sorted((build / "speech").glob("*.parquet"))]
    return {row["key"]: row["flac"] for table in tables for row in table.to_pylist()}


def test_every_clip_is_heard_and_the_release_says_by_whom_and_how_well(
    plain: Path, tmp_path: Path
) -> None:
    build, ears = fresh(plain, tmp_path), Ears.of(plain)
    with OpenAIServer(ears, latency_s=0.05) as server:
        said = here("synthesize", build, "--asr", f"openai:ears@{server.base_url}")
        assert server.paid == len(ears.texts) == len(ears.heard)
        assert server.most_open > 8
    name = f"openai:ears@127.0.0.1:{server.port} (en)"
    assert "0.0% of" in said
    assert sounds(build) == sounds(plain)
    for dialogue in spoken_dialogues(build):
        for clip in all_clips(dialogue):
            assert clip.measures["asr"] == name
            assert clip.measures["asr_text"] == clip.text
            assert clip.measures["wer"] == 0.0
    counts = json.loads((build / "speech/manifest.json").read_text())["counts"]
    assert counts["asr_errors"] == 0
    clips = {c.key: c for d in spoken_dialogues(build) for c in all_clips(d)}
    assert counts["asr_words"] == sum(int(c.measures["asr_words"]) for c in clips.values()) > 300
    here("release", build, "--version", "1.0.0")
    row = next(iter(load_release(build / "release")["train"]))
    assert all(json.loads(turn["measures"])["asr"] == name for turn in row["turns"])
    said = f"| heard by {name} | 0.0 % of {counts['asr_words']:,} words misheard |"
    assert said in (build / "release/README.md").read_text().replace("\\", "")


def test_what_is_misheard_is_rejected_with_what_was_heard(plain: Path, tmp_path: Path) -> None:
    build, ears = fresh(plain, tmp_path), Ears.of(plain)
    dialogues = [spoken.dialogue for spoken in spoken_dialogues(plain)]
    other = dialogues[-1]
    victim = next(d for d in dialogues if d.passage_id != other.passage_id)
    question = victim.turns[0].text
    assert question not in other.passage
    narrated = next(t for t in ears.texts.values() if other.passage.startswith(t))

    def mishears(text: str) -> str | Act:
        if text == question:
            return "la la la"
        return fail(400, "Audio file is too short") if text == narrated else text

    ears.mishears = mishears
    with OpenAIServer(ears) as server:
        here("synthesize", build, "--asr", f"openai:ears@{server.base_url}")
    found = {reject.id: reject for reject in rejects(build)}
    assert found[victim.id].reason == "asr_word_errors"
    assert "'la la la'" in found[victim.id].detail
    assert found[victim.id].detail.startswith("turns: ")
    assert found[victim.id].raw is not None
    same_passage = {
        d.dialogue.id for d in spoken_dialogues(plain) if d.dialogue.passage_id == other.passage_id
    }
    assert {id for id, reject in found.items() if reject.reason == "asr_refused"} == same_passage
    assert all("too short" in found[id].detail for id in same_passage)
    assert {d.dialogue.id for d in spoken_dialogues(build)} | set(found) == {
        d.dialogue.id for d in spoken_dialogues(plain)
    }


def test_a_threshold_changed_later_pays_for_nothing_and_none_takes_it_back(
    plain: Path, tmp_path: Path
) -> None:
    build, ears = fresh(plain, tmp_path, spoken_already=True), Ears.of(plain)
    ears.mishears = lambda text: text.replace("the", "a")
    with OpenAIServer(ears) as server:
        asr = f"openai:ears@{server.base_url}"
        here("synthesize", build, "--asr", asr, "--max-wer", "1")
        paid, lenient = server.paid, len(rejects(build))
        here("synthesize", build, "--max-wer", "0")
        assert server.paid == paid == len(ears.texts)
    assert lenient == 0
    assert len(rejects(build)) == 12  # every narration has a "the"
    here("synthesize", build, "--asr", "none")
    assert tree(build / "speech") == tree(plain / "speech")


def test_a_killed_run_goes_on_without_paying_twice(plain: Path, tmp_path: Path) -> None:
    ears = Ears.of(plain)
    with OpenAIServer(ears, latency_s=0.02) as server:
        asr = ("--asr", f"openai:ears@{server.base_url}", "--concurrency", "2")
        whole, build = fresh(plain, tmp_path / "whole"), fresh(plain, tmp_path / "killed")
        here("synthesize", whole, *asr)
        ears.heard.clear()
        process = command("synthesize", build, *asr)
        while len(ears.heard) < len(ears.texts) // 2 and process.is_alive():
            time.sleep(0.01)
        process.kill()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        here("synthesize", build, *asr)
    assert tree(build / "speech") == tree(whole / "speech")
    assert len(ears.texts) <= len(ears.heard) <= len(ears.texts) + 2  # those in flight at the kill


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda: html(), "a body that is not JSON ('text/html')"),
        (lambda: garble(), "a body that is not JSON"),
        (lambda: send(b'{"error": {"message": "no room"}}', "application/json"), "no room"),
        (lambda: fail(500, "the model fell over"), "the model fell over"),
        (lambda: fail(404, "no such model"), "check --base-url"),
        (lambda: hang(), "no whole reply within 0.2 s"),
    ],
)
def test_an_endpoint_that_cannot_be_used_is_one_line_and_can_be_asked_again(
    plain: Path, tmp_path: Path, act: object, words: str
) -> None:
    ears = Ears.of(plain)
    settings = SynthesizeSettings.model_validate(
        {"openai": {"timeout_s": 0.2 if "whole" in words else 20.0, "attempts": 2}}
    )
    flac = next(iter(sounds(plain).values()))
    with OpenAIServer(lambda call: act()) as server:  # type: ignore[operator]
        how = settings.model_copy(update={"asr": f"openai:ears@{server.base_url}"})
        recogniser = open_recogniser(how, tmp_path)
        assert recogniser is not None
        with pytest.raises(EndpointError) as caught:
            list(recogniser.transcribe([("clip", flac)]))
        assert words in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1
        server.script = ears
        assert dict(recogniser.transcribe([("clip", flac)])) == {"clip": ears.heard[-1]}


def test_an_endpoint_that_takes_a_breath_is_waited_for(plain: Path, tmp_path: Path) -> None:
    ears, flac = Ears.of(plain), next(iter(sounds(plain).values()))
    acts = iter([fail(429, "slow down", retry_after="0.05"), fail(503, "busy")])
    with OpenAIServer(lambda call: next(acts, None) or ears(call)) as server:
        how = SynthesizeSettings(asr=f"openai:ears@{server.base_url}")
        recogniser = open_recogniser(how, tmp_path)
        assert recogniser is not None
        assert list(recogniser.transcribe([("clip", flac)])) == [("clip", ears.heard[-1])]


def test_the_budget_holds_for_transcription_too(plain: Path, tmp_path: Path) -> None:
    clips = list(sounds(plain).items())[:40]
    with OpenAIServer(lambda call: transcript("yes")) as server:
        prices = tmp_path / "prices.toml"
        prices.write_text(
            f'["127.0.0.1:{server.port}"]\n"ears" = {{ input = 1000.0, output = 1000.0 }}\n'
        )
        how = SynthesizeSettings.model_validate(
            {
                "asr": f"openai:ears@{server.base_url}",
                "openai": {"budget_usd": 2.0, "prices": str(prices), "concurrency": 2},
            }
        )
        recogniser = open_recogniser(how, tmp_path)
        assert recogniser is not None
        with pytest.raises(BudgetError, match=r"--budget-usd"):
            list(recogniser.transcribe(clips))
        assert 0 < server.paid < 10


def test_recordings_of_people_are_measured(shared_data: Path, tmp_path: Path) -> None:
    """Every fourth word of what is read is not heard: the measured rate is that of a count."""
    lines = (shared_data / "speech/ljspeech/metadata.csv").read_text().splitlines()
    read = {line.split("|")[0]: line.split("|")[2] for line in lines}
    recordings = [path for path in (shared_data / "speech").rglob("*.flac") if path.stem in read]
    assert len(recordings) >= 8
    clips = {path.read_bytes(): clip_of(read[path.stem]) for path in recordings}
    ears = Ears({hashlib.sha256(flac).hexdigest(): clip.text for flac, clip in clips.items()})
    ears.mishears = lambda text: " ".join(w for n, w in enumerate(words(text)) if n % 4 != 3)
    with OpenAIServer(ears) as server:
        how = SynthesizeSettings(asr=f"openai:ears@{server.base_url}")
        recogniser = open_recogniser(how, tmp_path)
        assert recogniser is not None
        measured = [
            Gate(recogniser, 0.3).check(clip, flac).measures for flac, clip in clips.items()
        ]
        flac, clip = next(iter(clips.items()))
        with pytest.raises(ClipFault, match="asr_word_errors"):
            Gate(recogniser, 0.1).check(clip, flac)
        assert server.paid == len(clips)
    counts = [len(words(clip.text)) for clip in clips.values()]
    assert sum(int(m["asr_words"]) for m in measured) == sum(counts)
    assert sum(int(m["asr_errors"]) for m in measured) == sum(count // 4 for count in counts)


# -- a local model --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny_whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tiny_whisper(tmp_path_factory.mktemp("whisper") / "tiny")


@needs_whisper
def test_a_local_model_that_babbles_rejects_everything(
    plain: Path, tmp_path: Path, tiny_whisper: Path
) -> None:
    build = fresh(plain, tmp_path, spoken_already=True)
    settings = SynthesizeSettings(asr=f"faster-whisper:{tiny_whisper}")
    manifest = synthesize(Build(build), settings)
    assert manifest.counts["rejected:asr_word_errors"] == manifest.counts["candidates"] == 12
    assert manifest.counts.get("accepted", 0) == 0
    first = rejects(build)[0]
    assert first.detail.startswith("narration: ")
    assert re.search(r"heard '([a-z])\1{9}", first.detail)


@needs_whisper
def test_folders_of_this_machine_are_not_published(tmp_path: Path) -> None:
    how = SynthesizeSettings(
        asr=f"faster-whisper:{tmp_path}", narrator=f"coqui:{tmp_path}", user="openai:tts-1"
    )
    told = SynthesizeStage(how).settings()
    assert str(tmp_path) not in json.dumps(told)
    assert told["asr"] == f"faster-whisper:{tmp_path.name}"
    assert (told["user"], told["assistant"]) == ("openai:tts-1", "espeak")


def test_a_local_model_hears_the_same_every_time(tiny_whisper: Path, plain: Path) -> None:
    clips = list(sounds(plain).items())[:3]
    settings = SynthesizeSettings(asr=f"faster-whisper:{tiny_whisper}")
    runs = []
    for _ in range(2):
        recogniser = open_recogniser(settings, tiny_whisper)
        assert recogniser is not None
        assert re.match(r"faster-whisper:tiny [0-9a-f]{12} 1\.", recogniser.name)
        runs.append(list(recogniser.transcribe(clips)))
    assert runs[0] == runs[1]
    assert [key for key, _ in runs[0]] == [key for key, _ in clips]


@needs_whisper
@pytest.mark.parametrize("missing", ["model.bin", "tokenizer.json"])
def test_a_half_downloaded_model_names_what_is_missing(
    tiny_whisper: Path, tmp_path: Path, missing: str
) -> None:
    shutil.copytree(tiny_whisper, tmp_path / "half")
    (tmp_path / "half" / missing).unlink()
    with pytest.raises(RecogniserError, match=f"half: '{missing}' is missing in the folder"):
        open_recogniser(SynthesizeSettings(asr=f"faster-whisper:{tmp_path / 'half'}"), tmp_path)


@needs_whisper
def test_a_model_of_another_kind_is_one_line(tiny_whisper: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_whisper, tmp_path / "other")
    (tmp_path / "other/model.bin").write_bytes(b"PK\x03\x04 no model at all")
    with pytest.raises(RecogniserError, match=r"cannot load the model .*; see that it is whole"):
        open_recogniser(SynthesizeSettings(asr=f"faster-whisper:{tmp_path / 'other'}"), tmp_path)


@needs_whisper
@pytest.mark.parametrize(
    ("asr", "words"),
    [
        ("faster-whisper:/no/such/folder", "there is no such folder"),
        ("faster-whisper:enormous", "unknown model; expected a folder, a Hub id or one of"),
        ("faster-whisper:tiny.en", "fetch it, or give its folder"),  # no network in tests
        ("openai", "openai:whisper-1"),
        ("sphinx", "unknown recogniser 'sphinx'; expected none or one of"),
        ("openai:m@http://me:secret@127.0.0.1/v1", "base URL holds a password"),
    ],
)
def test_an_unusable_recogniser_is_one_line_before_the_run(
    plain: Path, asr: str, words: str
) -> None:
    with pytest.raises(AskqaError) as error:
        here("synthesize", plain, "--asr", asr)
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1


def test_missing_packages_name_their_install_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'askqa-builder\[asr\]'"):
        open_recogniser(SynthesizeSettings(asr="openai:whisper-1"), tmp_path)


def test_recordings_of_any_rate_can_be_asked_about(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).normal(0, 0.05, 8000).astype(np.float32)
    with OpenAIServer(lambda call: transcript("hiss")) as server:
        how = SynthesizeSettings(asr=f"openai:ears@{server.base_url}")
        recogniser = open_recogniser(how, tmp_path)
        assert recogniser is not None
        flac = audio.encode_flac(samples, 8000)
        assert list(recogniser.transcribe([("clip", flac)])) == [("clip", "hiss")]
        assert server.bodies[0]["model"] == "ears"
        assert server.calls[0].files["file"][1] == flac
