"""The same build with every engine, killed in the middle of a shard and gone on with."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny_vits
from forked import command, forked
from openai_server import OpenAIServer
from pipeline import here, tree
from speech_server import VOICES, speak

from askqa_builder.clips import ClipWriter
from askqa_builder.config import CoquiSettings, SpeechSettings, SynthesizeSettings
from askqa_builder.engine import ShardReport
from askqa_builder.errors import AskqaError
from askqa_builder.files import read_records
from askqa_builder.journal import Journal
from askqa_builder.schema import Clip, SpokenDialogue
from askqa_builder.store import Build
from askqa_builder.synthesize import synthesize

CLIPS = 10
"""Spoken before the kill: fewer than a build needs."""


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build with dialogues, all in one shard."""
    folder = tmp_path_factory.mktemp("engines") / "build"
    here("generate", "--source", "sample", "--count", "4", "--out", folder)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vits.build(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer(speak, latency_s=0.02) as running:
        yield running


def at(server: OpenAIServer) -> SpeechSettings:
    return SpeechSettings(base_url=server.base_url, voices=VOICES)


def copied(written: Path, folder: Path) -> Path:
    return Path(shutil.copytree(written, folder))


def spoken(build: Path) -> list[SpokenDialogue]:
    return list(read_records(build / "speech" / "00000.jsonl", SpokenDialogue))


def made(build: Path) -> dict[str, str]:
    """Everything that a stage made; not the paid replies, whose file has times in it."""
    stages = ("passages/", "dialogues/", "speech/", "rejects/")
    return {name: digest for name, digest in tree(build).items() if name.startswith(stages)}


def killed(build: Path, settings: SynthesizeSettings) -> None:
    """Speak in a process that is killed in the middle of the shard."""
    process = forked(_speak_until_killed, build, settings)
    process.join(240)
    assert process.exitcode == -signal.SIGKILL


def _speak_until_killed(build: Path, settings: SynthesizeSettings) -> None:
    def die() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, die)
        speak_on(build, settings)


def stopping(patch: pytest.MonkeyPatch, stop: Callable[[], None]) -> None:
    """Have the stage stop before it keeps one more than CLIPS clips."""
    put, write = Journal.put, ClipWriter.put

    def put_some(self: Journal, clip: Clip, sound: bytes) -> None:
        if len(self._places) == CLIPS:
            stop()
        put(self, clip, sound)

    def write_some(self: ClipWriter, clip: Clip, flac: bytes) -> bool:
        if len(self._keys) == CLIPS:
            stop()
        return write(self, clip, flac)

    patch.setattr(Journal, "put", put_some)
    patch.setattr(ClipWriter, "put", write_some)


def interrupted(build: Path, settings: SynthesizeSettings) -> None:
    """As `killed`, in this process, whose model is loaded: an error where the other one dies."""

    class KilledError(Exception):
        pass

    def die() -> None:
        raise KilledError

    with pytest.MonkeyPatch.context() as patch:
        stopping(patch, die)
        with pytest.raises(KilledError):
            speak_on(build, settings)


def speak_on(build: Path, settings: SynthesizeSettings) -> Counter[str]:
    """Run the stage in this process, as the command does; returns what it had to do."""
    work: Counter[str] = Counter()

    def note(report: ShardReport, total: int) -> None:
        work.update(report.work)

    folder = Build(build)
    with folder.locked():
        synthesize(folder, settings, progress=note)
    return work


def clips_of(build: Path) -> int:
    counts = json.loads((build / "speech" / "manifest.json").read_text())["counts"]
    return int(counts["clips"])


def scratch(build: Path) -> Path:
    return build / "speech" / "00000.scratch"


def test_coqui_killed_goes_on_where_it_was(written: Path, model: Path, tmp_path: Path) -> None:
    whole, broken = copied(written, tmp_path / "whole"), copied(written, tmp_path / "broken")
    spec = f"coqui:{model}"
    settings = SynthesizeSettings(narrator=spec, user=spec, assistant=spec)
    speak_on(whole, settings)
    killed(broken, settings)
    with scratch(broken).open("ab") as torn:
        torn.write(b"\0\0\1\0\0\0\2\0a clip that was torn")
    work = speak_on(broken, settings)
    assert work["clips_spoken"] == clips_of(whole) - CLIPS > 0, "nothing is spoken twice"
    assert made(broken) == made(whole)
    for dialogue in spoken(whole):
        assert dialogue.user.engine == "coqui"
        assert dialogue.user.model == "tiny"
        assert dialogue.user.version.startswith("coqui-tts-0.28")
        assert dialogue.user.settings["device"] == "cpu"


def test_batches_that_were_killed_give_the_same_bytes(
    written: Path, model: Path, tmp_path: Path
) -> None:
    """A clip's last bits follow from its batch: those of the resumed run must be the same."""
    whole, broken = copied(written, tmp_path / "whole"), copied(written, tmp_path / "broken")
    spec = f"coqui:{model}"
    settings = SynthesizeSettings(
        narrator=spec, user=spec, assistant=spec, coqui=CoquiSettings(batch=4)
    )
    speak_on(whole, settings)

    interrupted(broken, settings)  # in the middle of a batch
    work = speak_on(broken, settings)
    assert work["clips_spoken"] == clips_of(whole) - CLIPS
    assert made(broken) == made(whole)


def test_an_endpoint_killed_is_not_paid_twice(
    written: Path, server: OpenAIServer, tmp_path: Path
) -> None:
    whole, broken = copied(written, tmp_path / "whole"), copied(written, tmp_path / "broken")
    settings = SynthesizeSettings(
        narrator="openai:tts-1", user="openai:tts-1", assistant="openai:tts-1", openai=at(server)
    )
    voices = [option for name in VOICES for option in ("--voice", name)]
    speaking = ("--voices", "openai:tts-1", "--base-url", server.base_url, *voices, "-q")
    speaking += ("--concurrency", "4")
    before = server.paid
    here("synthesize", whole, *speaking)
    needed = server.paid - before
    before = server.paid
    process = command("synthesize", broken, *speaking)
    while server.paid - before < CLIPS and process.is_alive():
        time.sleep(0.01)
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert server.paid - before < needed
    here("synthesize", broken)  # it knows how
    assert needed <= server.paid - before <= needed + 4, "only what was in flight is paid again"
    assert made(broken) == made(whole)
    before = server.paid
    assert not speak_on(broken, settings)
    assert server.paid == before
    assert spoken(whole)[0].assistant.settings["base_url"] == server.base_url


def test_engines_mix_by_role_without_any_binary(
    written: Path,
    model: Path,
    server: OpenAIServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, broken = copied(written, tmp_path / "whole"), copied(written, tmp_path / "broken")
    voices = [option for name in VOICES for option in ("--voice", name)]
    mixed = (
        *("--narrator", f"coqui:{model}", "--user", "espeak", "--assistant", "openai:tts-1"),
        *("--base-url", server.base_url, *voices, "-q"),
    )
    settings = SynthesizeSettings(
        narrator=f"coqui:{model}", assistant="openai:tts-1", openai=at(server)
    )
    monkeypatch.setenv("PATH", "")
    here("synthesize", whole, *mixed)
    interrupted(broken, settings)
    speak_on(broken, settings)
    assert made(broken) == made(whole)
    for dialogue in spoken(whole):
        engines = (dialogue.narrator.engine, dialogue.user.engine, dialogue.assistant.engine)
        assert engines == ("coqui", "espeak", "openai")
        assert dialogue.narrator.model == "tiny"
        assert dialogue.assistant.model == "tts-1"
        assert all(turn.clip.words for turn in dialogue.turns if turn.role == "user")
        assert not any(turn.clip.words for turn in dialogue.turns if turn.role == "assistant")
    assert not scratch(whole).exists()


def test_espeak_killed_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    whole, broken = copied(written, tmp_path / "whole"), copied(written, tmp_path / "broken")
    speak_on(whole, SynthesizeSettings())
    killed(broken, SynthesizeSettings())
    speak_on(broken, SynthesizeSettings())
    assert made(broken) == made(whole)


def test_a_passage_of_a_slow_voice_is_cut_finer(
    written: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from askqa_builder import studio

    build = copied(written, tmp_path / "build")
    monkeypatch.setattr(studio, "_SEGMENT_CHARS", 2500)  # at first; over 30 s for any voice
    speak_on(build, SynthesizeSettings(narrator=f"coqui:{model}"))
    for dialogue in spoken(build):
        assert len(dialogue.narration) > 1
        assert all(clip.duration_s <= 30 for clip in dialogue.narration)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--voices", "coqui:/nowhere"), "no such folder, and a model's name looks like"),
        (("--voices", "openai"), "the endpoint's name of the model"),
        (("--narrator", "coqui:{model}", "--device", "tpu"), "--device 'tpu'"),
        (("--narrator", "coqui:{model}", "--references", "/none"), "--references /none"),
        (("--voices", "openai:tts-1", "--voice", "a", "--voice", "b"), "3 are needed at least"),
    ],
)
def test_bad_options_are_one_line(
    written: Path, model: Path, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    build = copied(written, tmp_path / "build")
    given = [argument.format(model=model) for argument in arguments]
    with pytest.raises(AskqaError) as error:
        here("synthesize", build, "--workers", "1", *given)
    assert words in str(error.value)
    assert len(str(error.value).splitlines()) == 1
