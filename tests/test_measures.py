"""Pitch and timbre: of made-up sounds, and of real people."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from askqa_builder import audio, measures

RATE = 16_000


def pulses(hz: float, seconds: float = 1.0) -> npt.NDArray[np.float32]:
    """A buzz with all harmonics below 7.5 kHz, half as strong an octave higher."""
    time = np.arange(round(seconds * RATE)) / RATE
    orders = np.arange(1, int(7500 / hz))
    return (0.1 * sum(np.sin(2 * np.pi * order * hz * time) / order for order in orders)).astype(
        np.float32
    )


@pytest.mark.parametrize("hz", [70.0, 101.3, 180.0, 233.3, 390.0])
def test_pitch_of_a_buzz_is_its_frequency(hz: float) -> None:
    track = measures.pitch(pulses(hz), RATE)
    assert track.median_hz == pytest.approx(hz, rel=0.005)
    assert track.spread_semitones < 0.1
    assert track.voiced_share > 0.95
    assert np.median(track.periodicity) > 0.95


def test_noise_has_no_pitch() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, RATE).astype(np.float32)
    assert measures.pitch(noise, RATE).voiced_share < 0.05


def test_spread_of_a_glide() -> None:
    time = np.arange(2 * RATE) / RATE
    phase = 2 * np.pi * np.cumsum(100 * 2 ** (time / 2)) / RATE  # an octave in two seconds
    glide = sum(np.sin(order * phase) / order for order in range(1, 12)).astype(np.float32)
    assert measures.pitch(glide, RATE).spread_semitones == pytest.approx(0.8 * 12, abs=0.3)


def test_silence_is_not_a_number_and_no_error() -> None:
    track = measures.pitch(np.zeros(RATE, np.float32), RATE)
    assert np.isnan(track.median_hz)
    assert track.voiced_share == 0.0


def test_timbre_ignores_level_and_hears_brightness() -> None:
    dark = pulses(120)
    bright = np.diff(dark, prepend=np.float32(0))
    assert measures.timbre_db(dark, RATE) == pytest.approx(
        measures.timbre_db(dark * np.float32(0.1), RATE), abs=0.2
    )
    tilt = measures.timbre_db(bright, RATE) - measures.timbre_db(dark, RATE)
    assert tilt[12] > tilt[2] + 6


def test_women_and_men_of_librispeech_differ_in_pitch(shared_data: Path) -> None:
    folder = shared_data / "speech" / "librispeech"
    with (folder / "speakers.csv").open() as file:
        sex = {row["speaker"]: row["sex"] for row in csv.DictReader(file)}
    medians: dict[str, list[float]] = {"F": [], "M": []}
    for name in sex:
        clips = [audio.decode(path.read_bytes()) for path in (folder / name).rglob("*.flac")]
        medians[sex[name]].append(
            float(np.median([measures.pitch(*clip).median_hz for clip in clips]))
        )
    assert min(medians["F"]) > 165
    assert np.median(medians["M"]) < 150
    assert np.mean(medians["F"]) > np.mean(medians["M"]) + 50
