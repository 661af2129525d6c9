"""Rate, pitch, noise, rooms and telephones: measured on made-up signals and on real recordings."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from askqa_builder import audio, measures, perturb
from askqa_builder.errors import MissingExtraError, SettingsError
from askqa_builder.perturb import parse
from askqa_builder.perturb.noise import speech_active
from askqa_builder.perturb.room import reverberation_time_s, room_response
from askqa_builder.schema import Speaker
from askqa_builder.voices.espeak import EspeakVoices

RATE = 16_000
SPEECH = Path(__file__).parents[2] / "shared" / "data" / "speech"
RECORDINGS = [
    *sorted((SPEECH / "ljspeech").rglob("*.flac"))[1:3],
    *sorted((SPEECH / "librispeech").rglob("*0000.flac"), key=lambda path: path.stat().st_size)[:6],
]
SPECS = (
    "rate=0.5 rate=0.8 rate=1.25 rate=2 pitch=-3 pitch=+3 pitch=+6 noise=-5 noise=0 noise=20 "
    "noise=10:pink reverb=0.3 reverb=0.6 telephone telephone=mu-law"
).split()
needs_recordings = pytest.mark.skipif(not RECORDINGS, reason=f"no recordings in {SPEECH}")
needs_stretch = pytest.mark.skipif(
    importlib.util.find_spec("python_stretch") is None, reason="python-stretch is not installed"
)
needs_rooms = pytest.mark.skipif(
    importlib.util.find_spec("pyroomacoustics") is None, reason="pyroomacoustics is not installed"
)

Samples = npt.NDArray[np.float32]


@cache
def recordings() -> list[Samples]:
    """Real speech of seven people, at the level of a data set's clips."""
    clips = []
    for path in RECORDINGS:
        samples, rate = audio.decode(path.read_bytes())
        clips.append(audio.normalise_loudness(audio.resample(samples, rate, RATE), RATE))
    return clips


@cache
def synthetic() -> list[Samples]:
    """What the embedded engine says, by a woman and by a man."""
    engine = EspeakVoices()
    clips = []
    for sex in ("female", "male"):
        voice = next(v for v in engine.voices() if v.sex == sex)
        speaker = Speaker(id=voice.id, engine="espeak")
        speech = engine.speak("Which of the two bridges was finished in the spring?", speaker)
        samples = audio.resample(speech.samples, speech.sample_rate_hz, RATE)
        clips.append(audio.normalise_loudness(samples, RATE))
    return clips


def buzz(hz: float, seconds: float = 1.0) -> Samples:
    time = np.arange(round(seconds * RATE)) / RATE
    orders = range(1, int(7500 / hz))
    return (0.05 * sum(np.sin(2 * np.pi * n * hz * time) / n for n in orders)).astype(np.float32)


def bursts(*starts_s: float) -> Samples:
    """Tenths of a second of a buzz, each beginning at one of the times, in two seconds."""
    samples = np.zeros(2 * RATE, np.float32)
    for start_s in starts_s:
        samples[round(start_s * RATE) :][: RATE // 10] = buzz(200, 0.1)
    return samples


def onsets_s(samples: Samples) -> list[float]:
    """When it gets loud after it was quiet, to 5 ms."""
    steps = np.abs(samples[: len(samples) // 80 * 80]).reshape(-1, 80).max(1)
    loud = np.flatnonzero(steps > 0.3 * steps.max())
    first = [loud[0], *(b for a, b in pairwise(loud) if b - a > 20)]
    return [step * 0.005 for step in first]


# -- the specification ----------------------------------------------------------------------------


@pytest.mark.parametrize("spec", SPECS)
def test_a_perturbation_is_known_by_its_specification(spec: str) -> None:
    assert str(parse(spec)) == spec
    assert parse(spec) == parse(spec)
    assert str(parse("pitch=3.0")) == "pitch=+3"


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("", "is unknown; expected one like rate=1.2"),
        ("speed=2", "'speed=2' is unknown"),
        ("rate", "rate: Input should be a valid number"),
        ("rate=9", "rate: Input should be less than or equal to 2"),
        ("rate=nan", "less than or equal to 2"),
        ("pitch=+20", "semitones: Input should be less than or equal to 6"),
        ("noise=loud", "snr_db: Input should be a valid number"),
        ("noise=10:brown", "colour: Input should be 'speech' or 'pink'"),
        ("reverb=-1", "rt60_s: Input should be greater than or equal to 0.2"),
        ("telephone=a-law", "coding: Input should be 'linear' or 'mu-law'"),
    ],
)
def test_an_unusable_specification_says_what_is_wrong(spec: str, words: str) -> None:
    with pytest.raises(SettingsError, match="perturbation") as caught:
        parse(spec)
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("spec", ["rate=1.2", "pitch=+1", "reverb=0.5"])
def test_a_missing_package_names_its_install_command(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'askqa-builder\[perturb\]'"):
        parse(spec).apply(buzz(200), RATE, "seed")


def test_noise_and_telephone_need_no_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    for spec in ("noise=5", "telephone=mu-law"):
        parse(spec).check_installed()


# -- every kind -----------------------------------------------------------------------------------


@needs_recordings
@needs_stretch
@needs_rooms
@pytest.mark.parametrize("spec", SPECS)
def test_real_speech_measures_close_to_what_was_asked_for(spec: str) -> None:
    kind, _, value = spec.partition("=")
    for number, before in enumerate([*recordings(), *synthetic()]):
        after, measured = parse(spec).apply(before, RATE, f"seed {number}")
        if kind == "rate":
            assert measured["rate"] == pytest.approx(float(value), rel=0.001)
        if kind == "pitch":
            assert measured["pitch_semitones"] == pytest.approx(float(value), abs=0.1)
        if kind == "noise":
            asked = float(value.removesuffix(":pink"))
            assert measured["snr_db"] == pytest.approx(asked, abs=0.01)
        if kind == "reverb":
            assert measured["rt60_s"] == pytest.approx(float(value), rel=0.025)
            assert -20 < measured["direct_to_reverberant_db"] < 15
        if kind == "telephone":
            assert measured["outside_band_db"] < -15
        assert len(measured) == (2 if kind == "reverb" else 1)
        assert after.dtype == np.float32
        assert np.abs(after).max() <= 10 ** (-1 / 20) + 1e-6


@needs_recordings
@needs_stretch
@needs_rooms
@pytest.mark.parametrize("spec", SPECS)
def test_loudness_is_kept_unless_the_peak_forbids_it(spec: str) -> None:
    for before in recordings():
        after, _ = parse(spec).apply(before, RATE, "seed")
        loudness = audio.loudness_lufs(after, RATE)
        at_the_limit = np.abs(after).max() > 10 ** (-1.05 / 20)
        assert loudness < audio.loudness_lufs(before, RATE) + 0.15
        assert at_the_limit or loudness > audio.loudness_lufs(before, RATE) - 0.15
        assert loudness > audio.loudness_lufs(before, RATE) - 3


@needs_stretch
@needs_rooms
@pytest.mark.parametrize("spec", SPECS)
def test_the_seed_decides_where_chance_has_a_part_and_nowhere_else(spec: str) -> None:
    before = synthetic()[0]
    first, _ = parse(spec).apply(before, RATE, "0:dialogue-1")
    again, _ = parse(spec).apply(before.copy(), RATE, "0:dialogue-1")
    other, _ = parse(spec).apply(before, RATE, "0:dialogue-2")
    assert first.tobytes() == again.tobytes()
    by_chance = spec.startswith(("noise", "reverb"))
    assert (first.tobytes() != other.tobytes()) == by_chance


@needs_stretch
@needs_rooms
def test_another_process_with_other_threads_gets_the_same_bits() -> None:
    script = """
import hashlib
import numpy as np
from askqa_builder.perturb import parse
samples = np.random.default_rng(3).normal(0, 0.1, 20_000).astype(np.float32)
samples[:8000] = 0
for spec in ("rate=0.7", "pitch=-2", "noise=5", "noise=5:pink", "reverb=0.4", "telephone=mu-law"):
    print(hashlib.sha256(parse(spec).apply(samples, 16_000, "s")[0].tobytes()).hexdigest())
"""
    digests = [
        subprocess.run(
            [sys.executable, "-c", script],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PRA_NUM_THREADS": threads, "OMP_NUM_THREADS": threads},
        ).stdout
        for threads in ("1", "3")
    ]
    assert digests[0] == digests[1]
    assert len(set(digests[0].split())) == 6


@needs_stretch
@needs_rooms
@pytest.mark.parametrize("spec", SPECS)
def test_silence_stays_silent_and_has_no_measures(spec: str) -> None:
    after, measured = parse(spec).apply(np.zeros(RATE, np.float32), RATE, "seed")
    assert measured == {}
    assert not after.any()
    assert len(after) == round(RATE * parse(spec).time_scale)


@needs_stretch
@needs_rooms
@pytest.mark.parametrize("length", [1, 7, 400])
@pytest.mark.parametrize("spec", SPECS)
def test_the_shortest_clips_come_back_finite(spec: str, length: int) -> None:
    before = np.random.default_rng(length).normal(0, 0.1, length).astype(np.float32)
    after, measured = parse(spec).apply(before, RATE, "seed")
    assert np.isfinite(after).all()
    assert all(np.isfinite(list(measured.values())))


@needs_stretch
@needs_rooms
@pytest.mark.parametrize(
    "spec", ["rate=0.8", "rate=1.5", "pitch=+3", "noise=20", "reverb=0.4", "telephone"]
)
def test_words_are_where_their_scaled_times_say(spec: str) -> None:
    perturbation = parse(spec)
    after, _ = perturbation.apply(bursts(0.3, 0.8, 1.6), RATE, "seed")
    expected = [time * perturbation.time_scale for time in (0.3, 0.8, 1.6)]
    assert onsets_s(after) == pytest.approx(expected, abs=0.03)


# -- rate and pitch -------------------------------------------------------------------------------


@needs_stretch
@pytest.mark.parametrize("rate", [0.5, 0.9, 1.1, 2.0])
def test_rate_leaves_the_pitch(rate: float) -> None:
    after, _ = perturb.Rate(rate=rate).apply(buzz(150, 2), RATE, "")
    assert len(after) == pytest.approx(2 * RATE / rate, abs=1)
    assert measures.pitch(after, RATE).median_hz == pytest.approx(150, rel=0.01)


@needs_stretch
@pytest.mark.parametrize("semitones", [-6, -2.5, 2.5, 6])
def test_pitch_of_a_buzz_is_shifted_as_the_spectrum_shows(semitones: float) -> None:
    after, measured = perturb.Pitch(semitones=semitones).apply(buzz(200, 2), RATE, "")
    assert len(after) == 2 * RATE
    spectrum = np.abs(np.fft.rfft(after * np.hanning(len(after))))  # of two seconds: 0.5 Hz a bin
    expected_hz = 4 * 200 * 2 ** (semitones / 12)
    around = round(2 * expected_hz) - 100
    harmonic_hz = (around + np.argmax(spectrum[around : around + 200])) / 2
    assert 12 * np.log2(harmonic_hz / expected_hz) == pytest.approx(0, abs=0.05)
    assert measured["pitch_semitones"] == pytest.approx(semitones, abs=0.05)


@needs_recordings
@needs_stretch
@pytest.mark.parametrize("semitones", [-3, 3])
def test_pitch_leaves_the_formants_where_they_are(semitones: float) -> None:
    from askqa_builder.perturb.stretch import _engine

    for before in recordings()[::3]:
        after, _ = perturb.Pitch(semitones=semitones).apply(before, RATE, "")
        plain = _engine(RATE)
        plain.setTransposeSemitones(semitones)
        moved = plain.process(before[None, :])[0]
        original = measures.timbre_db(before, RATE)
        kept = np.abs(measures.timbre_db(after, RATE) - original).mean()
        assert kept < 0.6 * np.abs(measures.timbre_db(moved, RATE) - original).mean()


@needs_stretch
def test_what_has_no_pitch_has_no_measured_shift() -> None:
    hiss = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    assert perturb.Pitch(semitones=2).apply(hiss, RATE, "")[1] == {}


# -- noise ----------------------------------------------------------------------------------------


def test_pauses_do_not_change_the_ratio() -> None:
    speech = synthetic()[0]
    padded = np.concatenate([np.zeros(2 * RATE, np.float32), speech, np.zeros(RATE, np.float32)])
    mixture, measured = perturb.Noise(snr_db=10).apply(padded, RATE, "seed")
    hiss_rms = np.sqrt(np.mean(np.square(mixture[: 2 * RATE - 800])))
    # the part that speaks, by hand: 10 dB above the noise, whose power adds to it
    both_rms = np.sqrt(np.mean(np.square(mixture[2 * RATE : 2 * RATE + len(speech)])))
    by_hand = 10 * np.log10(both_rms**2 / hiss_rms**2 - 1)
    assert by_hand == pytest.approx(10, abs=1.0)
    assert measured["snr_db"] == pytest.approx(10, abs=0.01)


def test_active_speech_is_the_bursts_and_a_hangover() -> None:
    active = speech_active(bursts(0.5, 1.5), RATE)
    starts = np.flatnonzero(np.diff(active.astype(int)) == 1) / RATE
    ends = np.flatnonzero(np.diff(active.astype(int)) == -1) / RATE
    assert starts == pytest.approx([0.5, 1.5], abs=0.03)
    assert ends[0] == pytest.approx(0.6 + 0.2, abs=0.15)  # envelope and hangover
    level_apart = speech_active(bursts(0.5, 1.5) * np.float32(0.01), RATE)
    assert (level_apart == active).mean() > 0.999


def spectrum_db(samples: Samples, low_hz: float, high_hz: float) -> float:
    power = np.square(np.abs(np.fft.rfft(samples)))
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return float(10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].sum()))


def test_pink_noise_has_equal_power_in_every_octave() -> None:
    mixture, _ = perturb.Noise(snr_db=-20, colour="pink").apply(buzz(300, 20), RATE, "seed")
    octaves = [spectrum_db(mixture, hz, 2 * hz) for hz in (60, 120, 800, 3500)]
    assert octaves == pytest.approx([octaves[0]] * 4, abs=1)


@needs_recordings
def test_speech_shaped_noise_has_the_spectrum_of_the_speech() -> None:
    for before in recordings()[::4]:
        mixture, _ = perturb.Noise(snr_db=-20).apply(before, RATE, "seed")
        bands = [(100, 700), (700, 2000), (2000, 4000), (4000, 7500)]
        gain = [spectrum_db(mixture, *band) - spectrum_db(before, *band) for band in bands]
        assert gain == pytest.approx([gain[0]] * 4, abs=2)


def test_two_clips_of_a_dialogue_get_different_noise() -> None:
    noise = perturb.Noise(snr_db=0)
    one, other = buzz(200), buzz(200) * np.float32(0.999)
    left, right = (noise.apply(clip, RATE, "seed")[0] for clip in (one, other))
    assert abs(np.corrcoef(left - one, right - other)[0, 1]) < 0.9


# -- rooms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rt60_s", [0.2, 0.7, 1.5])
def test_reverberation_time_of_a_known_decay(rt60_s: float) -> None:
    time = np.arange(int(2 * RATE)) / RATE
    decay = np.random.default_rng(1).normal(size=len(time)) * 10 ** (-3 * time / rt60_s)
    assert reverberation_time_s(decay, RATE) == pytest.approx(rt60_s, rel=0.03)


@needs_rooms
def test_reverberation_time_is_that_of_another_implementation() -> None:
    from pyroomacoustics.experimental import measure_rt60

    for number in (0, 8, 30):
        room = room_response(0.6, number, RATE)
        theirs = measure_rt60(room.samples, RATE, decay_db=30)
        assert room.rt60_s == pytest.approx(theirs, rel=0.03)


@needs_rooms
def test_rooms_differ_and_the_nearer_speaker_is_the_more_direct() -> None:
    rooms = [room_response(0.4, number, RATE) for number in range(6)]
    assert len({room.direct_to_reverberant_db for room in rooms}) == 6
    assert len({hashlib.sha256(room.samples.tobytes()).digest() for room in rooms}) == 6


@needs_rooms
def test_one_dialogue_is_in_one_room() -> None:
    reverb = perturb.Reverberation(rt60_s=0.5)
    measured = [reverb.apply(buzz(hz), RATE, "0:dialogue-1")[1] for hz in (150, 220)]
    assert measured[0] == measured[1]


@needs_rooms
def test_a_room_adds_its_last_echoes() -> None:
    before = buzz(200, 1.0)
    after, _ = perturb.Reverberation(rt60_s=0.5).apply(before, RATE, "seed")
    assert RATE * 1.2 < len(after) < RATE * 1.8
    assert np.abs(after[round(1.05 * RATE) :]).max() > 0.01


# -- telephones -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hz", "passes"), [(100, False), (250, False), (1000, True), (3000, True), (3600, False)]
)
def test_a_telephone_passes_its_band_only(hz: float, passes: bool) -> None:
    time = np.arange(2 * RATE) / RATE
    marker = 0.1 * np.sin(2 * np.pi * 700 * time)
    before = (marker + 0.1 * np.sin(2 * np.pi * hz * time)).astype(np.float32)
    after, _ = perturb.Telephone().apply(before, RATE, "")
    beside = spectrum_db(after, hz - 5, hz + 5) - spectrum_db(after, 695, 705)
    assert beside == pytest.approx(0, abs=0.2) if passes else beside < -40


def test_mu_law_has_255_levels_and_its_usual_noise() -> None:
    before = synthetic()[1]
    clean, _ = perturb.Telephone().apply(before, RATE, "")
    coded, _ = perturb.Telephone(coding="mu-law").apply(before, RATE, "")
    error = coded - clean * (np.dot(coded, clean) / np.dot(clean, clean))
    ratio_db = 10 * np.log10(np.square(clean).sum() / np.square(error).sum())
    assert 30 < ratio_db < 42  # G.711: about 38 dB for speech of usual level


# -- who gets which -------------------------------------------------------------------------------


def test_perturbations_are_drawn_by_record_at_the_share_asked_for() -> None:
    choices = [parse("noise=10"), parse("telephone"), parse("rate=1.2")]
    drawn = {f"d{n}": perturb.draw(choices, 0.6, 7, f"d{n}") for n in range(3000)}
    counts = Counter(drawn.values())
    assert counts[None] == pytest.approx(1200, abs=100)
    assert all(counts[choice] == pytest.approx(600, abs=90) for choice in choices)
    assert drawn["d1"] == perturb.draw(choices, 0.6, 7, "d1")
    assert any(perturb.draw(choices, 0.6, 8, name) != given for name, given in drawn.items())
    # a larger share takes more records, and leaves those that had one with one
    assert all(perturb.draw(choices, 0.9, 7, n) is not None for n, p in drawn.items() if p)
    assert perturb.draw([], 1.0, 7, "d1") is None
    assert perturb.draw(choices, 0.0, 7, "d1") is None
    assert all(perturb.draw(choices, 1.0, 7, f"d{n}") is not None for n in range(100))


@needs_stretch
def test_a_speaker_carries_its_perturbation_and_the_engine_does_not_hear_of_it() -> None:
    plain = Speaker(id="v", engine="espeak", settings={"style": "calm"})
    under = perturb.given(plain, parse("rate=1.2"), "0:d1")
    assert under.settings["style"] == "calm"
    assert under != plain
    assert perturb.of(under) == (parse("rate=1.2"), "0:d1")
    assert perturb.of(plain) is None
    assert perturb.without(under) == plain
    assert perturb.given(plain, None, "0:d1") is plain
