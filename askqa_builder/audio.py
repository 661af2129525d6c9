"""PCM in, PCM out: resample, level, trim, encode, and look for faults.

Samples are mono float32 arrays of shape (n,), full scale ±1. Everything here is a pure function:
same samples, same result, to the last bit.
"""

from __future__ import annotations

import io
import math
from functools import lru_cache
from typing import TYPE_CHECKING

from askqa_builder.errors import VoiceError
from askqa_builder.segment import MAX_CLIP_S

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Samples = npt.NDArray[np.float32]

SAMPLE_RATE_HZ = 16_000
"""Of everything that is released."""
TARGET_LUFS = -23.0
"""EBU R 128."""
PEAK_LIMIT_DBFS = -1.0

_LEAD_S, _TAIL_S = 0.05, 0.10
_BLOCK_S, _HOP_S, _HOPS_PER_BLOCK = 0.4, 0.1, 4  # BS.1770-4: 400 ms, overlapping by 75 %
_ABSOLUTE_GATE_LUFS, _RELATIVE_GATE_LU = -70.0, -10.0
_ROWS_AT_ONCE = 32  # as many as stay in the processor's cache: twice as fast on long clips
_SILENT_DBFS = -60.0
_FULL_SCALE = 0.999
_CLIPPED_RUN = 3  # a wave may touch full scale; a clipped one stays there


def duration_s(samples: Samples, sample_rate_hz: int) -> float:
    """Length in seconds."""
    return len(samples) / sample_rate_hz


def resample(samples: Samples, from_hz: int, to_hz: int) -> Samples:
    """Convert the sample rate (soxr, its quality HQ: flat to 0.91 of the lower Nyquist)."""
    if from_hz == to_hz:
        return samples
    import soxr

    resampled: Samples = soxr.resample(samples, from_hz, to_hz, quality="HQ")
    return resampled


def loudness_lufs(samples: Samples, sample_rate_hz: int) -> float:
    """Integrated loudness by ITU-R BS.1770-4, -inf if there is nothing to hear.

    For speech within 0.05 LU of pyloudnorm (a test says so; EBU Tech 3341 allows meters 0.1),
    without scipy, which costs each worker 2 s and 76 MB: the filter is applied to the spectrum of
    each 100 ms step, and energies are summed there (Parseval). Of a recording of nothing but
    rumble the filter lets more through than it should, by 1 LU or so. A clip under 0.4 s, which
    the standard leaves out, counts as one ungated block.
    """
    import numpy as np

    if not len(samples):
        return float("-inf")
    if len(samples) < _BLOCK_S * sample_rate_hz:
        return _lufs(float(_weighted_energy(samples[None, :], sample_rate_hz)[0]) / len(samples))
    blocks = round((len(samples) / sample_rate_hz - _BLOCK_S) / _HOP_S) + 1
    hop = round(_HOP_S * sample_rate_hz)
    hops = np.zeros((blocks + _HOPS_PER_BLOCK - 1, hop), np.float32)
    heard = samples[: hops.size]
    hops.ravel()[: len(heard)] = heard
    energy = _weighted_energy(hops, sample_rate_hz)
    power = np.convolve(energy, np.ones(_HOPS_PER_BLOCK), "valid") / (_HOPS_PER_BLOCK * hop)
    power = power[power > _mean_square(_ABSOLUTE_GATE_LUFS)]
    if not len(power):
        return float("-inf")
    relative_gate = _lufs(float(power.mean())) + _RELATIVE_GATE_LU
    return _lufs(float(power[power > _mean_square(relative_gate)].mean()))


def normalise_loudness(
    samples: Samples, sample_rate_hz: int, target_lufs: float = TARGET_LUFS
) -> Samples:
    """Bring the clip to `target_lufs`, or as near as its peak may go (-1 dBFS).

    One gain for the whole clip, so nothing is clipped or compressed; in whole hundredths of a dB,
    so that a last bit that another processor rounds otherwise is not heard of. Silence stays.
    """
    import numpy as np

    loudness = loudness_lufs(samples, sample_rate_hz)
    peak = float(np.abs(samples).max(initial=0.0))
    if loudness == float("-inf") or peak == 0.0:
        return samples
    gain_db = min(target_lufs - loudness, PEAK_LIMIT_DBFS - 20 * math.log10(peak))
    return samples * np.float32(10 ** (math.floor(100 * gain_db) / 2000))


def trim_silence(samples: Samples, sample_rate_hz: int) -> tuple[Samples, float]:
    """Cut silence before speech to 50 ms and after it to 100 ms; pad with zeros where less is left.

    Returns the clip and the seconds by which it begins later: subtract them from word times.
    Silence is what stays 50 dB below the peak.
    """
    import numpy as np

    level = np.abs(samples)
    audible = level > 10 ** (-50 / 20) * level.max(initial=0.0)
    if not audible.any():
        return samples, 0.0
    start = int(audible.argmax()) - round(_LEAD_S * sample_rate_hz)
    end = len(samples) - int(audible[::-1].argmax()) + round(_TAIL_S * sample_rate_hz)
    trimmed = np.pad(samples[max(start, 0) : end], (max(-start, 0), max(end - len(samples), 0)))
    return trimmed, start / sample_rate_hz


def encode_flac(samples: Samples, sample_rate_hz: int = SAMPLE_RATE_HZ) -> bytes:
    """Encode as FLAC, mono, 16 bit; same samples, same bytes (for one version of libFLAC).

    Raises ValueError if a sample is beyond full scale or not a number.
    """
    import numpy as np
    import soundfile

    if not np.abs(samples).max(initial=0.0) <= 1.0:  # also true for NaN
        raise ValueError("samples beyond ±1 cannot be encoded")
    pcm = np.minimum(np.rint(samples * np.float32(32768)), 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, pcm, sample_rate_hz, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def decode(data: bytes) -> tuple[Samples, int]:
    """Decode FLAC, WAV, OGG or MP3 bytes to mono samples and their rate in Hz.

    Several channels are averaged. Raises VoiceError if the bytes are no audio.
    """
    import soundfile

    try:
        samples, sample_rate_hz = soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise VoiceError(
            f"{len(data)} bytes that begin {data[:12]!r} are no audio ({error.error_string})"
        ) from error
    mono: Samples = samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1)
    return mono, int(sample_rate_hz)


def fault(samples: Samples, sample_rate_hz: int, spoken_text: str) -> str | None:
    """Say what is wrong with a clip as the engine made it, or None.

    The answer begins with a name to count by: empty, silent, clipped, over_30_s, too_long_for_text,
    too_short_for_text. Look before `normalise_loudness`, which hides clipping.
    """
    import numpy as np

    seconds = duration_s(samples, sample_rate_hz)
    if not len(samples):
        return "empty: no samples"
    level = np.abs(samples)
    peak = float(level.max())
    if not peak > 10 ** (_SILENT_DBFS / 20):
        return f"silent: peak {peak:.5f} of full scale"
    if peak >= _FULL_SCALE:
        flat = np.flatnonzero(level >= _FULL_SCALE)
        in_a_row = flat[_CLIPPED_RUN - 1 :] - flat[: 1 - _CLIPPED_RUN] < _CLIPPED_RUN
        if in_a_row.any():
            return f"clipped: {len(flat)} samples at full scale"
    if seconds > MAX_CLIP_S:
        return f"over_30_s: {seconds:.1f} s"
    shortest, longest = _plausible_s(spoken_text)
    if seconds > longest:
        return f"too_long_for_text: {seconds:.1f} s for {len(spoken_text)} characters"
    if seconds < shortest:
        return f"too_short_for_text: {seconds:.2f} s for {len(spoken_text)} characters"
    return None


def _plausible_s(spoken_text: str) -> tuple[float, float]:
    """Shortest and longest duration that a clip of this text may have, in seconds.

    Over the embedded bank at its slowest and fastest, 2,300 questions, answers and passages of
    SQuAD take 0.06 to 0.17 s a letter, and a spelt "WWW" 2.2 s: bounds with room for any engine.
    """
    letters = sum(map(str.isalnum, spoken_text))
    return 0.03 * letters, 2.0 + 0.18 * letters


def _weighted_energy(frames: Samples, sample_rate_hz: int) -> npt.NDArray[np.float32]:
    """Energy of each row of `frames` after the K-weighting filter; shape (rows,)."""
    import numpy as np

    weights = _k_weights(sample_rate_hz, frames.shape[1])
    energy = np.empty(len(frames), np.float32)
    for start in range(0, len(frames), _ROWS_AT_ONCE):
        spectrum = np.fft.rfft(frames[start : start + _ROWS_AT_ONCE])
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        energy[start : start + _ROWS_AT_ONCE] = power @ weights
    return energy


@lru_cache(maxsize=8)
def _k_weights(sample_rate_hz: int, length: int) -> npt.NDArray[np.float32]:
    """What each bin of rfft adds to the energy of a frame under the K-weighting of BS.1770.

    High shelf (+4 dB, Q 1/√2, 1500 Hz), then high pass (Q 1/2, 38 Hz), by the Audio EQ Cookbook
    (https://www.w3.org/TR/audio-eq-cookbook/); the same constants as pyloudnorm's.
    """
    import numpy as np

    gain = 10 ** (4.0 / 40)
    omega = 2 * math.pi * 1500.0 / sample_rate_hz
    cos, root = math.cos(omega), 2 * math.sqrt(gain) * math.sin(omega) / (2 * math.sqrt(0.5))
    up, down = gain + 1, gain - 1
    shelf = (
        (
            gain * (up + down * cos + root),
            -2 * gain * (down + up * cos),
            gain * (up + down * cos - root),
        ),
        (up - down * cos + root, 2 * (down - up * cos), up - down * cos - root),
    )
    omega = 2 * math.pi * 38.0 / sample_rate_hz
    cos, alpha = math.cos(omega), math.sin(omega) / (2 * 0.5)
    high_pass = (
        ((1 + cos) / 2, -(1 + cos), (1 + cos) / 2),
        (1 + alpha, -2 * cos, 1 - alpha),
    )
    delay = np.exp(-2j * np.pi * np.arange(length // 2 + 1) / length)
    response = np.ones(len(delay))
    for numerator, denominator in (shelf, high_pass):
        # np.polyval takes the highest power first
        ratio = np.polyval(numerator[::-1], delay) / np.polyval(denominator[::-1], delay)
        response *= np.abs(ratio) ** 2
    response[1 : (length + 1) // 2] *= 2  # rfft gives each of these bins once, not twice
    return (response / length).astype(np.float32)


def _lufs(mean_square: float) -> float:
    return -0.691 + 10 * math.log10(mean_square) if mean_square > 0 else float("-inf")


def _mean_square(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)
