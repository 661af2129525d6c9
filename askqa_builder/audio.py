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

    Equal to pyloudnorm's in less than half its time: one filter pass for both stages, and blocks
    from sums over 100 ms that they share. A clip under 0.4 s, which the standard leaves out,
    counts as one ungated block.
    """
    import numpy as np
    from scipy.signal import lfilter

    if not len(samples):
        return float("-inf")
    weighted = lfilter(*_k_weighting(sample_rate_hz), samples.astype(np.float64))
    energy = np.square(weighted, out=weighted)
    blocks = round((len(samples) / sample_rate_hz - _BLOCK_S) / _HOP_S) + 1
    if len(samples) < _BLOCK_S * sample_rate_hz:
        return _lufs(float(energy.mean()))
    hops = (np.arange(blocks + _HOPS_PER_BLOCK) * _HOP_S * sample_rate_hz).astype(int)
    per_hop = np.add.reduceat(energy[: hops[-1]], hops[:-1])
    power = np.convolve(per_hop, np.ones(_HOPS_PER_BLOCK), "valid") / (_BLOCK_S * sample_rate_hz)
    power = power[power > _mean_square(_ABSOLUTE_GATE_LUFS)]
    if not len(power):
        return float("-inf")
    relative_gate = _lufs(float(power.mean())) + _RELATIVE_GATE_LU
    return _lufs(float(power[power > _mean_square(relative_gate)].mean()))


def normalise_loudness(
    samples: Samples, sample_rate_hz: int, target_lufs: float = TARGET_LUFS
) -> Samples:
    """Bring the clip to `target_lufs`, or as near as its peak may go (-1 dBFS).

    One gain for the whole clip, so nothing is clipped or compressed. Silence stays as it is.
    """
    import numpy as np

    loudness = loudness_lufs(samples, sample_rate_hz)
    peak = float(np.abs(samples).max(initial=0.0))
    if loudness == float("-inf") or peak == 0.0:
        return samples
    gain = min(10 ** ((target_lufs - loudness) / 20), 10 ** (PEAK_LIMIT_DBFS / 20) / peak)
    return samples * np.float32(gain)


def trim_silence(samples: Samples, sample_rate_hz: int) -> tuple[Samples, float]:
    """Cut silence before speech to 50 ms and after it to 100 ms; pad with zeros where less is left.

    Returns the clip and the seconds by which it begins later: subtract them from word times.
    Silence is what stays 50 dB below the peak.
    """
    import numpy as np

    level = np.abs(samples)
    audible = np.flatnonzero(level > 10 ** (-50 / 20) * level.max(initial=0.0))
    if not len(audible):
        return samples, 0.0
    start = int(audible[0]) - round(_LEAD_S * sample_rate_hz)
    end = int(audible[-1]) + 1 + round(_TAIL_S * sample_rate_hz)
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
    """Shortest and longest duration that a clip of this text may have, in seconds."""
    letters = sum(map(str.isalnum, spoken_text))
    return 0.02 * letters, 1.0 + 0.3 * letters


@lru_cache
def _k_weighting(sample_rate_hz: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Numerator and denominator of the K-weighting filter of BS.1770 as one fourth-order filter.

    High shelf (+4 dB, Q 1/√2, 1500 Hz), then high pass (Q 1/2, 38 Hz), by the Audio EQ Cookbook
    (https://www.w3.org/TR/audio-eq-cookbook/); the same constants as pyloudnorm's.
    """
    import numpy as np

    gain = 10 ** (4.0 / 40)
    omega = 2 * np.pi * 1500.0 / sample_rate_hz
    cos, root = np.cos(omega), 2 * np.sqrt(gain) * np.sin(omega) / (2 * np.sqrt(0.5))
    up, down = gain + 1, gain - 1
    shelf_b = gain * np.array(
        [up + down * cos + root, -2 * (down + up * cos), up + down * cos - root]
    )
    shelf_a = np.array([up - down * cos + root, 2 * (down - up * cos), up - down * cos - root])

    omega = 2 * np.pi * 38.0 / sample_rate_hz
    cos, alpha = np.cos(omega), np.sin(omega) / (2 * 0.5)
    high_b = np.array([(1 + cos) / 2, -(1 + cos), (1 + cos) / 2])
    high_a = np.array([1 + alpha, -2 * cos, 1 - alpha])

    b, a = np.convolve(shelf_b, high_b), np.convolve(shelf_a, high_a)
    return b / a[0], a / a[0]


def _lufs(mean_square: float) -> float:
    return -0.691 + 10 * math.log10(mean_square) if mean_square > 0 else float("-inf")


def _mean_square(lufs: float) -> float:
    return 10 ** ((lufs + 0.691) / 10)
