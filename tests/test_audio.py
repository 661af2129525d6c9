"""Levels, rates, bytes and faults of clips, on made-up signals and on real recordings."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from askqa_builder import audio
from askqa_builder.errors import VoiceError
from askqa_builder.schema import Speaker
from askqa_builder.voices.espeak import EspeakVoices

RATE = 16_000
SPEECH = Path(__file__).parents[2] / "shared" / "data" / "speech"
RECORDINGS = sorted(SPEECH.rglob("*.flac"))
needs_recordings = pytest.mark.skipif(not RECORDINGS, reason=f"no recordings in {SPEECH}")

Samples = npt.NDArray[np.float32]


def sine(hz: float, seconds: float, amplitude: float = 0.5, rate: int = RATE) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def silence(seconds: float) -> Samples:
    return np.zeros(round(seconds * RATE), np.float32)


# -- loudness -------------------------------------------------------------------------------------


def test_a_full_scale_sine_of_997_hz_has_minus_3_lufs_as_the_standard_says() -> None:
    assert audio.loudness_lufs(sine(997, 2, 1.0, 48_000), 48_000) == pytest.approx(-3.01, abs=0.05)


@needs_recordings
def test_loudness_of_real_recordings_is_that_of_pyloudnorm() -> None:
    pyloudnorm = pytest.importorskip("pyloudnorm")
    for path in RECORDINGS[::4]:
        whole, rate = audio.decode(path.read_bytes())
        start = int(np.abs(whole).argmax())
        for clip in (
            whole,
            whole[start : start + round(0.55 * rate)],
            np.append(whole, np.zeros(2 * rate, np.float32)),
        ):
            expected = pyloudnorm.Meter(rate).integrated_loudness(clip.astype(np.float64))
            assert audio.loudness_lufs(clip, rate) == pytest.approx(expected, abs=0.05), path.name


def test_pauses_do_not_count() -> None:
    tone = sine(440, 3)
    with_pause = np.concatenate([tone, silence(6)])
    assert audio.loudness_lufs(with_pause, RATE) == pytest.approx(
        audio.loudness_lufs(tone, RATE), abs=0.4
    )


def test_a_clip_shorter_than_a_block_has_a_loudness_too() -> None:
    short, enough = sine(440, 0.3), sine(440, 0.5)
    assert audio.loudness_lufs(short, RATE) == pytest.approx(
        audio.loudness_lufs(enough, RATE), abs=0.2
    )
    assert audio.loudness_lufs(silence(0.0), RATE) == -np.inf
    assert audio.loudness_lufs(silence(1.0), RATE) == -np.inf


@needs_recordings
def test_real_recordings_come_to_the_target_without_clipping() -> None:
    for path in RECORDINGS[::3]:
        samples, rate = audio.decode(path.read_bytes())
        level = audio.normalise_loudness(samples, rate)
        peak_db = 20 * np.log10(np.abs(level).max())
        assert peak_db < audio.PEAK_LIMIT_DBFS + 0.01
        if peak_db < audio.PEAK_LIMIT_DBFS - 0.01:
            loudness = audio.loudness_lufs(level, rate)
            assert loudness == pytest.approx(audio.TARGET_LUFS, abs=0.011)


@pytest.mark.parametrize("seconds", [0.2, 2.0])
@pytest.mark.parametrize("amplitude", [0.001, 0.9])
def test_any_level_comes_to_the_target(seconds: float, amplitude: float) -> None:
    level = audio.normalise_loudness(sine(440, seconds, amplitude), RATE)
    assert audio.loudness_lufs(level, RATE) == pytest.approx(audio.TARGET_LUFS, abs=0.011)


def test_a_clip_with_one_high_peak_stays_softer_rather_than_clipped() -> None:
    clip = sine(440, 2, 0.001)
    clip[100] = 0.5
    level = audio.normalise_loudness(clip, RATE)
    assert 20 * np.log10(np.abs(level).max()) == pytest.approx(audio.PEAK_LIMIT_DBFS, abs=0.011)
    assert np.allclose(level, clip * (level[100] / clip[100])), "one gain for all"


def test_silence_stays_silence() -> None:
    assert not audio.normalise_loudness(silence(1), RATE).any()
    assert not len(audio.normalise_loudness(silence(0), RATE))


# -- resampling and trimming ----------------------------------------------------------------------


def test_resampling_keeps_pitch_level_and_length() -> None:
    resampled = audio.resample(sine(1000, 1.0, 0.5, 22_050), 22_050, RATE)
    assert resampled.dtype == np.float32
    assert abs(len(resampled) - RATE) <= 1
    spectrum = np.abs(np.fft.rfft(resampled))
    assert spectrum.argmax() * RATE / len(resampled) == pytest.approx(1000, abs=1)
    assert np.abs(resampled[1000:-1000]).max() == pytest.approx(0.5, abs=0.005)


def test_what_the_lower_rate_cannot_hold_is_filtered_out() -> None:
    resampled = audio.resample(sine(9_500, 1.0, 0.5, 22_050), 22_050, RATE)
    assert np.abs(resampled[1000:-1000]).max() < 0.001


@pytest.mark.parametrize(("before", "after"), [(0.0, 0.0), (0.02, 0.03), (1.0, 2.0)])
def test_every_clip_gets_the_same_silence_around_it(before: float, after: float) -> None:
    tone = sine(440, 0.5)
    clip = np.concatenate([silence(before), tone, silence(after)])
    trimmed, offset_s = audio.trim_silence(clip, RATE)
    assert len(trimmed) / RATE == pytest.approx(0.05 + 0.5 + 0.10, abs=0.005)
    assert offset_s == pytest.approx(before - 0.05, abs=0.002)
    start = round((before - offset_s) * RATE)
    assert np.array_equal(trimmed[start : start + len(tone)], tone)


def test_nothing_audible_is_not_trimmed() -> None:
    assert audio.trim_silence(silence(0.3), RATE)[1] == 0.0
    assert len(audio.trim_silence(silence(0.3), RATE)[0]) == round(0.3 * RATE)
    assert len(audio.trim_silence(silence(0), RATE)[0]) == 0


# -- bytes ----------------------------------------------------------------------------------------


def test_flac_keeps_sixteen_bits_and_is_reproducible() -> None:
    samples = np.random.default_rng(1).uniform(-0.9, 0.9, RATE).astype(np.float32)
    data = audio.encode_flac(samples)
    assert data == audio.encode_flac(samples.copy())
    back, rate = audio.decode(data)
    assert rate == RATE
    assert np.abs(back - samples).max() <= 0.5 / 32768 + 1e-9
    assert audio.encode_flac(back) == data, "a second generation loses nothing"
    info = soundfile.info(io.BytesIO(data))
    assert (info.format, info.subtype, info.channels) == ("FLAC", "PCM_16", 1)


def test_full_scale_does_not_wrap_around() -> None:
    back, _ = audio.decode(audio.encode_flac(np.array([1.0, -1.0] * 100, np.float32)))
    assert back[::2].min() > 0.99
    assert back[1::2].max() < -0.99


@pytest.mark.parametrize("bad", [1.5, -2.0, float("nan")])
def test_samples_beyond_full_scale_are_not_encoded(bad: float) -> None:
    with pytest.raises(ValueError, match="beyond"):
        audio.encode_flac(np.array([0.0, bad], np.float32))


def test_stereo_wav_becomes_mono() -> None:
    buffer = io.BytesIO()
    soundfile.write(
        buffer, np.stack([sine(440, 0.1), -sine(440, 0.1)], axis=1), RATE, "PCM_16", format="WAV"
    )
    samples, rate = audio.decode(buffer.getvalue())
    assert (samples.ndim, rate) == (1, RATE)
    assert np.abs(samples).max() < 1e-3


@pytest.mark.parametrize(
    "data", [b"", b"<html>502 Bad Gateway</html>", audio.encode_flac(sine(440, 1))[:500]]
)
def test_what_is_no_audio_is_named_with_its_first_bytes(data: bytes) -> None:
    with pytest.raises(VoiceError, match=r"\d+ bytes that begin b.* are no audio"):
        audio.decode(data)


@needs_recordings
def test_real_recordings_decode() -> None:
    for path in RECORDINGS:
        samples, rate = audio.decode(path.read_bytes())
        assert rate in (16_000, 22_050)
        assert samples.dtype == np.float32
        assert samples.ndim == 1


# -- faults ---------------------------------------------------------------------------------------

TEXT = "When was the state flower adopted?"


@pytest.mark.parametrize(
    ("samples", "text", "reason"),
    [
        (silence(0), TEXT, "empty"),
        (silence(2), TEXT, "silent"),
        (sine(440, 2, 0.0005), TEXT, "silent"),
        (np.full(2 * RATE, np.nan, np.float32), TEXT, "silent"),
        (np.clip(sine(440, 2, 3.0), -1, 1), TEXT, "clipped"),
        (sine(440, 31), TEXT * 20, "over_30_s"),
        (sine(440, 25), TEXT, "too_long_for_text"),
        (sine(440, 0.2), TEXT, "too_short_for_text"),
    ],
)
def test_each_fault_has_a_name(samples: Samples, text: str, reason: str) -> None:
    fault = audio.fault(samples, RATE, text)
    assert fault is not None
    assert fault.partition(":")[0] == reason


def test_a_wave_that_touches_full_scale_is_not_clipped() -> None:
    assert audio.fault(sine(440, 2, 1.0), RATE, TEXT) is None


@pytest.mark.parametrize("text", ["A", "Yes.", "WWW", "F-B-I", TEXT, TEXT * 8])
def test_what_the_embedded_engine_says_is_plausible(text: str) -> None:
    engine = EspeakVoices()
    for rate in (0.7, 1.0, 1.3):
        speech = engine.speak(text, Speaker(id="en-us-aunty", engine="espeak", rate=rate))
        assert audio.fault(speech.samples, speech.sample_rate_hz, text) is None


@needs_recordings
def test_a_real_reader_is_plausible() -> None:
    transcripts = {
        row.split("|")[0]: row.split("|")[-1]
        for row in (SPEECH / "ljspeech" / "metadata.csv").read_text().splitlines()
    }
    read = [path for path in RECORDINGS if path.stem in transcripts]
    assert len(read) >= 8
    for path in read:
        samples, rate = audio.decode(path.read_bytes())
        assert audio.fault(samples, rate, transcripts[path.stem]) is None, path.name
