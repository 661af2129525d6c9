"""What a recording of speech sounds like, in numbers: fundamental frequency and timbre."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Samples = npt.NDArray[np.float32]

_F0_RANGE_HZ = (55.0, 500.0)
_WINDOW_S, _HOP_S = 0.055, 0.01  # a window holds three periods of the lowest voice
_VOICED = 0.5  # periodicity from which a frame counts as voiced
_ACTIVE_DB = -35.0  # of a frame, relative to the loudest
_OCTAVE_COST = 0.02


@dataclass(frozen=True)
class Pitch:
    """The pitch track of a recording, frames of 10 ms."""

    f0_hz: Floats
    """Of the voiced frames."""
    frames: npt.NDArray[np.intp]
    """Which frames those are."""
    periodicity: Floats
    """Of the voiced frames, 0 (noise) to 1 (a perfect period)."""
    voiced_share: float
    """Of the frames in which anything is heard."""

    @property
    def median_hz(self) -> float:
        """NaN where nothing is voiced."""
        import numpy as np

        return float(np.median(self.f0_hz)) if len(self.f0_hz) else float("nan")

    @property
    def spread_semitones(self) -> float:
        """Between the 10th and the 90th percentile."""
        import numpy as np

        if not len(self.f0_hz):
            return float("nan")
        low, high = np.percentile(self.f0_hz, (10, 90))
        return float(12 * np.log2(high / low))


def pitch(samples: Samples, sample_rate_hz: int) -> Pitch:
    """Track the pitch by autocorrelation, corrected for the window (Boersma 1993).

    P. Boersma, Accurate short-term analysis of the fundamental frequency and the
    harmonics-to-noise ratio of a sampled sound, IFA Proceedings 17, 1993.
    """
    import numpy as np

    frames = _frames(samples, round(_WINDOW_S * sample_rate_hz), round(_HOP_S * sample_rate_hz))
    heard = np.flatnonzero(_active(frames))
    frames = frames[heard]
    length = frames.shape[1]
    window = np.hanning(length)
    size = 1 << (3 * length // 2).bit_length()
    power = np.abs(np.fft.rfft((frames - frames.mean(1, keepdims=True)) * window, size)) ** 2
    correlation = np.fft.irfft(power)[:, :length]
    correlation /= np.maximum(correlation[:, :1], 1e-12)
    shape = np.fft.irfft(np.abs(np.fft.rfft(window, size)) ** 2)[:length]
    low, high = _F0_RANGE_HZ
    first, last = int(sample_rate_hz / high), int(sample_rate_hz / low) + 1
    lags = np.arange(first, last + 1)
    inside = correlation[:, first : last + 1] / (shape[first : last + 1] / shape[0])
    left, top, right = inside[:, :-2], inside[:, 1:-1], inside[:, 2:]
    is_peak = (top >= left) & (top > right)
    # a parabola through three points: without it a period between two samples loses to its double
    bend = np.where(is_peak, left - 2 * top + right, -1.0)
    offset = 0.5 * (left - right) / bend
    height = np.where(is_peak, top - 0.25 * (left - right) * offset, -1.0)
    best = (height - _OCTAVE_COST * np.log2(lags[1:-1] / first)).argmax(1)
    rows = np.flatnonzero(height[np.arange(len(height)), best] > _VOICED)
    best = best[rows]
    return Pitch(
        f0_hz=sample_rate_hz / (lags[1:-1][best] + offset[rows, best]),
        frames=heard[rows],
        periodicity=np.minimum(height[rows, best], 1.0),
        voiced_share=len(rows) / len(frames) if len(frames) else 0.0,
    )


def timbre_db(samples: Samples, sample_rate_hz: int, bands: int = 24) -> Floats:
    """Mean spectrum in mel bands from 100 Hz to 7 kHz, in dB, level taken away; shape (bands,).

    Only frames count in which something is heard.
    """
    import numpy as np

    frames = _frames(samples, round(0.025 * sample_rate_hz), round(_HOP_S * sample_rate_hz))
    frames = frames[_active(frames)]
    power = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1]), 1024)) ** 2
    lowest, highest = (2595 * np.log10(1 + hz / 700) for hz in (100.0, 7000.0))
    mel = np.linspace(lowest, highest, bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    hz = np.fft.rfftfreq(1024, 1 / sample_rate_hz)
    rise = (hz - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    fall = (edges[2:, None] - hz) / (edges[2:] - edges[1:-1])[:, None]
    filters = np.maximum(0.0, np.minimum(rise, fall))
    levels: Floats = 10 * np.log10(power @ filters.T + 1e-10).mean(0)
    return levels - float(levels.mean())


def _frames(samples: Samples, length: int, hop: int) -> Floats:
    import numpy as np

    padded = np.pad(samples, (0, max(0, length - len(samples)))).astype(np.float64)
    frames: Floats = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    return frames


def _active(frames: Floats) -> npt.NDArray[np.bool_]:
    import numpy as np

    level = 10 * np.log10(np.square(frames).mean(1) + 1e-12)
    active: npt.NDArray[np.bool_] = level > level.max() + _ACTIVE_DB
    return active
