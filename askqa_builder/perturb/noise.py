"""Noise at a given signal-to-noise ratio, both taken over the parts where somebody speaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from askqa_builder.audio import Samples

    Floats = npt.NDArray[np.float64]

_BLOCK_S = 0.001
_TIME_CONSTANT_S, _HANGOVER_S, _MARGIN_DB = 0.03, 0.2, 15.9
_LOWEST_HZ = 50.0
"""Of pink noise: below, it would carry power that nobody hears."""
_SMOOTHING_OCTAVES = 1 / 3


def in_noise(
    samples: Samples,
    sample_rate_hz: int,
    snr_db: float,
    colour: Literal["speech", "pink"],
    seed: str,
) -> tuple[Samples, float]:
    """Add noise; returns the mixture (at the speech's level) and the ratio measured on it, in dB.

    Another clip gets other noise from the same seed.
    """
    import hashlib

    import numpy as np

    entropy = hashlib.sha256(seed.encode() + samples.tobytes()).digest()
    chance = np.random.Generator(np.random.PCG64(int.from_bytes(entropy)))
    size = 1 << len(samples).bit_length()
    spectrum = np.fft.rfft(chance.standard_normal(size))
    hz: Floats = np.fft.rfftfreq(size, 1 / sample_rate_hz).astype(np.float64)
    shape = _pink(hz) if colour == "pink" else _long_term(samples, hz)
    noise = np.fft.irfft(spectrum * shape, size)[: len(samples)]
    speaks = speech_active(samples, sample_rate_hz)
    ratio = _power(samples[speaks]) / _power(noise[speaks])
    mixture = (samples + noise * np.sqrt(ratio / 10 ** (snr_db / 10))).astype(np.float32)
    left = mixture.astype(np.float64) - samples
    return mixture, float(10 * np.log10(_power(samples[speaks]) / _power(left[speaks])))


def speech_active(samples: Samples, sample_rate_hz: int) -> npt.NDArray[np.bool_]:
    """Where somebody speaks, by ITU-T P.56 (12/2011), method B; shape (n,).

    An envelope (two stages of 30 ms) above a threshold, or not longer than 200 ms ago. The
    threshold is the one that lies 15.9 dB below the speech level that it implies. Resolution is
    1 ms, and the threshold is searched for, not interpolated between powers of two.
    """
    import numpy as np

    block = max(round(_BLOCK_S * sample_rate_hz), 1)
    blocks = -(-len(samples) // block)
    level = np.abs(np.pad(samples, (0, blocks * block - len(samples)))).reshape(blocks, block)
    envelope = _smoothed(level.mean(1), block / sample_rate_hz)
    energy = float(np.square(samples.astype(np.float64)).sum())
    hangover = round(_HANGOVER_S * sample_rate_hz / block)
    places = np.arange(blocks)

    def active(threshold: float) -> npt.NDArray[np.bool_]:
        latest = np.maximum.accumulate(np.where(envelope >= threshold, places, -1 - hangover))
        mask: npt.NDArray[np.bool_] = places - latest <= hangover
        return mask

    low, high = float(envelope.max()) * 1e-4, float(envelope.max())
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        power = energy / (np.count_nonzero(active(middle)) * block)
        if power / middle**2 > 10 ** (_MARGIN_DB / 10):
            low = middle
        else:
            high = middle
    return np.repeat(active(low), block)[: len(samples)]


def _smoothed(level: npt.NDArray[np.float32], step_s: float) -> Floats:
    """Two equal first-order low-pass filters, one after the other."""
    import numpy as np

    keep = np.exp(-step_s / _TIME_CONSTANT_S)
    age = np.arange(round(20 * _TIME_CONSTANT_S / step_s))  # the rest is below 1e-7
    response = (1 - keep) ** 2 * (age + 1) * keep**age
    return np.convolve(level, response)[: len(level)]


def _pink(hz: Floats) -> Floats:
    import numpy as np

    return np.where(hz >= _LOWEST_HZ, 1 / np.sqrt(np.maximum(hz, _LOWEST_HZ)), 0.0)


def _long_term(samples: Samples, hz: Floats) -> Floats:
    """The clip's own long-term amplitude spectrum, smoothed over third octaves."""
    import numpy as np

    power = np.square(np.abs(np.fft.rfft(samples, 2 * (len(hz) - 1))))
    total = np.concatenate([[0.0], np.cumsum(power)])
    width = 2 ** (_SMOOTHING_OCTAVES / 2)
    first = np.searchsorted(hz, hz / width)
    last = np.searchsorted(hz, hz * width, side="right")
    smooth: Floats = np.sqrt((total[last] - total[first]) / np.maximum(last - first, 1))
    return smooth


def _power(samples: npt.NDArray[np.floating]) -> float:
    import numpy as np

    return float(np.square(samples.astype(np.float64)).mean())
