"""The embedded engine: the same samples always, speakers that exist, files that survive."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from askqa_builder import audio, measures
from askqa_builder.clips import ClipFault, make_clip
from askqa_builder.errors import RefusedTextError, VoiceError
from askqa_builder.schema import Speaker, Voice
from askqa_builder.voices import Speech, open_voices
from askqa_builder.voices.bank import load_bank
from askqa_builder.voices.espeak import EspeakVoices
from askqa_builder.voices.espeak_files import private_copy

SENTENCE = "Would you tell me when the old stone bridge near the harbour was finally opened?"
TEXTS = (SENTENCE, "The motto.", "Do you mean the state flower, or the motto of Kansas?")


@pytest.fixture(scope="module")
def engine() -> EspeakVoices:
    return EspeakVoices()


def speaker(id: str, rate: float = 1.0, pitch: float = 0.0) -> Speaker:
    return Speaker(id=id, engine="espeak", rate=rate, pitch=pitch)


def digest(speech: Speech) -> str:
    return hashlib.sha256(speech.samples.tobytes() + repr(speech.token_times).encode()).hexdigest()


def jobs() -> list[tuple[str, Speaker]]:
    return [(text, speaker(voice.id, 0.9, 1.0)) for voice in load_bank()[::5] for text in TEXTS]


def digests_of_a_new_process() -> list[str]:
    engine = EspeakVoices()
    return [digest(engine.speak(text, who)) for text, who in jobs()]


def test_a_model_of_the_engine_that_has_none_is_refused() -> None:
    with pytest.raises(VoiceError, match="'espeak:en-gb': espeak has no models; write 'espeak'"):
        open_voices("espeak:en-gb")


# -- the same samples -----------------------------------------------------------------------------


def test_order_and_what_was_said_before_do_not_matter(engine: EspeakVoices) -> None:
    first = [digest(engine.speak(*job)) for job in jobs()]
    order = list(enumerate(jobs()))
    random.Random(1).shuffle(order)
    for index, job in order:
        assert digest(engine.speak(*job)) == first[index], job
    assert len(set(first)) == len(first)


def test_another_process_says_the_same(engine: EspeakVoices) -> None:
    here = [digest(engine.speak(text, who)) for text, who in jobs()]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(digests_of_a_new_process) == here


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_process_for_each_utterance_says_the_same(engine: EspeakVoices) -> None:
    forking = EspeakVoices(fork=True)
    for text, who in jobs()[:9]:
        assert digest(forking.speak(text, who)) == digest(engine.speak(text, who))
    with pytest.raises(RefusedTextError, match="nothing to say"):
        forking.speak("...", speaker("en-us+f2"))


def test_threads_take_turns(engine: EspeakVoices) -> None:
    expected = {text: digest(engine.speak(text, speaker("en-us+f2"))) for text in TEXTS}
    heard: list[tuple[str, str]] = []

    def speak() -> None:
        for text in TEXTS:
            heard.append((text, digest(engine.speak(text, speaker("en-us+f2")))))

    threads = [threading.Thread(target=speak) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(heard) == 12
    assert all(expected[text] == found for text, found in heard)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs /proc")
def test_nothing_stays_loaded_between_utterances(engine: EspeakVoices) -> None:
    engine.speak("Yes.", speaker("en-us+f2"))
    assert str(private_copy().library) not in Path("/proc/self/maps").read_text()


def test_version_names_library_and_data(engine: EspeakVoices) -> None:
    assert re.fullmatch(r"1\.\d+\S*-[0-9a-f]{12}-\d+", engine.version)


# -- the bank -------------------------------------------------------------------------------------


def test_bank_has_forty_speakers_with_stable_path_safe_ids() -> None:
    bank = load_bank()
    assert len(bank) >= 40
    assert len({voice.id for voice in bank}) == len(bank)
    assert len({voice.name for voice in bank}) == len(bank)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", voice.id) for voice in bank)
    assert all(voice.description and voice.accent != "unknown" for voice in bank)
    assert {voice.sex for voice in bank} == {"female", "male", "unknown"}


def test_each_variant_is_one_speaker_because_accents_do_not_change_its_timbre() -> None:
    variants = [voice.name.partition("+")[2] for voice in load_bank()]
    assert len(set(variants)) == len(variants)


@pytest.mark.parametrize("voice", load_bank(), ids=lambda voice: voice.id)
def test_every_speaker_is_sound_at_the_ends_of_its_ranges(
    engine: EspeakVoices, voice: Voice
) -> None:
    for rate, pitch in zip(voice.rate_range, voice.pitch_range, strict=True):
        speech = engine.speak(SENTENCE, speaker(voice.id, rate, pitch))
        assert audio.fault(speech.samples, speech.sample_rate_hz, SENTENCE) is None
        assert np.abs(speech.samples).max() < 0.99
        assert len(speech.token_times) == len(SENTENCE.split())
        chars_per_s = len(SENTENCE) / (len(speech.samples) / speech.sample_rate_hz)
        assert 14 < chars_per_s < 22


def test_sex_is_what_the_variant_file_says() -> None:
    variants = private_copy().data / "voices" / "!v"
    for voice in load_bank():
        text = (variants / voice.name.partition("+")[2]).read_text()
        gender = re.search(r"^gender\s+(\w+)", text, re.MULTILINE)
        assert voice.sex == (gender[1].lower() if gender else "unknown")


# -- rate and pitch -------------------------------------------------------------------------------

LONG = "She said that five thousand young fishermen joined the march because bread was dear."
SAMPLE_OF_BANK = [voice.id for voice in load_bank()[::9]]


def f0_hz(speech: Speech) -> float:
    samples = audio.resample(speech.samples, speech.sample_rate_hz, 16_000)
    return measures.pitch(samples, 16_000).median_hz


@pytest.mark.parametrize("id", SAMPLE_OF_BANK)
@pytest.mark.parametrize("semitones", [-3.0, 2.0, 4.0])
def test_pitch_is_in_semitones(engine: EspeakVoices, id: str, semitones: float) -> None:
    usual = f0_hz(engine.speak(LONG, speaker(id)))
    shifted = f0_hz(engine.speak(LONG, speaker(id, pitch=semitones)))
    assert 12 * np.log2(shifted / usual) == pytest.approx(semitones, abs=0.5)


@pytest.mark.parametrize("id", SAMPLE_OF_BANK)
@pytest.mark.parametrize("rate", [0.6, 0.8, 1.25, 1.5])
def test_rate_is_a_ratio_of_durations(engine: EspeakVoices, id: str, rate: float) -> None:
    usual = len(engine.speak(LONG, speaker(id)).samples)
    changed = len(engine.speak(LONG, speaker(id, rate=rate)).samples)
    assert usual / changed == pytest.approx(rate, rel=0.1)


# -- times of the tokens --------------------------------------------------------------------------


def words_of(engine: EspeakVoices, text: str) -> tuple[Sequence[tuple[float, float]], Speech]:
    speech = engine.speak(text, speaker("en-us+f2"))
    assert len(speech.token_times) == len(text.split())
    duration = len(speech.samples) / speech.sample_rate_hz
    for start, end in speech.token_times:
        assert 0 <= start <= end <= duration
    starts = [start for start, _ in speech.token_times]
    assert starts == sorted(starts)
    return speech.token_times, speech


def test_a_pause_belongs_to_no_word(engine: EspeakVoices) -> None:
    times, speech = words_of(engine, "It was adopted. Do you mean the motto?")
    (_, end), (start, _) = times[2], times[3]
    assert start - end > 0.15
    rate = speech.sample_rate_hz
    pause = speech.samples[round(end * rate) : round(start * rate)]
    assert np.abs(pause).max() < 0.02 * np.abs(speech.samples).max()


def test_words_said_as_one_share_its_time(engine: EspeakVoices) -> None:
    times, _ = words_of(engine, "When was the flower adopted?")
    assert times[1][1] == pytest.approx(times[2][0])
    assert all(end > start for start, end in times)


def test_dashes_and_quotes_take_no_time_of_their_own(engine: EspeakVoices) -> None:
    times, _ = words_of(engine, "the “big” café – or 1895 – maybe")
    assert times[3][0] == times[3][1]
    assert times[1][1] > times[1][0]
    assert times[5][1] - times[5][0] > 1.0, "several spoken words of one token are joined"


# -- what is refused ------------------------------------------------------------------------------


def test_an_unknown_speaker_is_told_who_exists(engine: EspeakVoices) -> None:
    with pytest.raises(VoiceError, match=r"'bob' unknown; expected one of .*'en-us-boris'"):
        engine.speak("Yes.", speaker("bob"))
    with pytest.raises(VoiceError, match=r"variant 'F2' .*expected one of .*'f2'"):
        engine.speak("Yes.", speaker("en-us+F2"))
    with pytest.raises(VoiceError, match=r"accent 'en-xx' .*expected one of .*'en-us'"):
        engine.speak("Yes.", speaker("en-xx+f2"))
    with pytest.raises(VoiceError, match="unknown"):
        engine.speak("Yes.", speaker("en-us+../../../etc/passwd"))


def test_rates_and_pitches_beyond_the_engine_are_refused(engine: EspeakVoices) -> None:
    with pytest.raises(VoiceError, match=r"rate 9 .*eSpeak reaches"):
        engine.speak("Yes.", speaker("en-us+f2", rate=9.0))
    with pytest.raises(VoiceError, match=r"pitch -20 semitones"):
        engine.speak("Yes.", speaker("en-us+f2", pitch=-20.0))


@pytest.mark.parametrize("text", ["", "  ", "...", "—", "\x07", "🀀"])
def test_text_without_a_word_is_refused(engine: EspeakVoices, text: str) -> None:
    with pytest.raises(RefusedTextError, match="nothing to say"):
        engine.speak(text, speaker("en-us+f2"))


def test_a_word_that_would_be_left_out_is_refused(engine: EspeakVoices) -> None:
    with pytest.raises(RefusedTextError, match="cannot say 'ꦄꦅꦆ'"):
        engine.speak("It says ꦄꦅꦆ on it.", speaker("en-us+f2"))
    with pytest.raises(RefusedTextError, match="null character"):
        engine.speak("one\0two", speaker("en-us+f2"))


def test_a_refused_text_costs_its_record_and_not_the_run(engine: EspeakVoices) -> None:
    class Shy(EspeakVoices):
        def speak(self, text: str, speaker: Speaker) -> Speech:
            return super().speak(text.replace("motto", "ꦄꦅꦆ"), speaker)

    with pytest.raises(ClipFault, match=r"refused_by_engine: .*cannot say 'ꦄꦅꦆ\.'"):
        make_clip(Shy(), "The motto.", speaker("en-us+f2"))
    with pytest.raises(VoiceError, match="'bob' unknown"):
        make_clip(engine, "The motto.", speaker("bob"))


@pytest.mark.parametrize("word", ["తెలుగు", "हिन्दी", "Ελλάδα", "Привет", "한국", "東京", "მზე"])
def test_words_in_other_alphabets_do_not_crash_the_process(engine: EspeakVoices, word: str) -> None:
    speech = engine.speak(f"They say {word} there.", speaker("en-us+f2"))
    assert len(speech.token_times) == 4


# -- the private copy -----------------------------------------------------------------------------


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "askqa_builder"


def test_processes_that_start_at_once_share_one_copy(cache: Path) -> None:
    code = "from askqa_builder.voices.espeak import EspeakVoices; print(EspeakVoices().version)"
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    versions = {process.communicate(timeout=60)[0] for process in started}
    assert [process.returncode for process in started] == [0] * 4
    assert len(versions) == 1
    assert [path.name[:7] for path in cache.iterdir()] == ["espeak-"]


@pytest.mark.parametrize("damage", ["flip", "delete"])
def test_a_damaged_copy_is_made_again(cache: Path, damage: str) -> None:
    files = private_copy()
    before = {path: path.read_bytes() for path in files.data.rglob("*") if path.is_file()}
    victim = files.data / "en_dict"
    if damage == "flip":
        victim.write_bytes(before[victim][:-1] + bytes([before[victim][-1] ^ 1]))
    else:
        victim.unlink()
    assert private_copy() == files
    assert {path: path.read_bytes() for path in before} == before
    assert list(cache.iterdir()) == [files.library.parent]


def test_leavings_of_a_killed_process_are_swept(cache: Path) -> None:
    old, young = cache / ".making-old", cache / ".making-young"
    for path in (old, young):
        path.mkdir(parents=True)
    os.utime(old, (0, 0))
    private_copy()
    assert not old.exists()
    assert young.exists(), "its process may still be at work"


def test_without_a_writable_folder_the_remedy_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    monkeypatch.setenv("HOME", str(blocked))
    monkeypatch.setattr(tempfile, "tempdir", str(blocked))
    with pytest.raises(VoiceError, match="set XDG_CACHE_HOME"):
        private_copy()


def test_a_path_too_long_for_the_library_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ("long" * 40)))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert private_copy().library.is_relative_to(tmp_path / ".cache")
