"""Time-stretching and transposition by Signalsmith Stretch, and the pitch difference they made.

Signalsmith Stretch (https://signalsmith-audio.co.uk/code/stretch/, MIT) is a phase vocoder that
follows spectral peaks. It transposes formants along with the pitch, which makes another speaker
of the voice (and doubles a recogniser's errors), so the spectral envelope is put back here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from askqa_builder.audio import Samples

    Complex = npt.NDArray[np.complex128]

_FRAME_S, _HOPS_PER_FRAME = 0.032, 4
_QUEFRENCY_S = 0.0019
"""Detail of the envelope: finer would follow the harmonics of the highest voices (500 Hz)."""
_MOST_GAIN = 2.0  # nepers: where one spectrum has a hole, the other's noise is not blown up
_FEWEST_FRAMES = 10


def stretched(samples: Samples, sample_rate_hz: int, rate: float) -> Samples:
    """The samples in 1 / `rate` of the time, at the same pitch."""
    stretch = _engine(sample_rate_hz)
    stretch.setTimeFactor(rate)
    result: Samples = stretch.process(samples[None, :].copy())[0]  # it takes nothing read-only
    return result


def transposed(samples: Samples, sample_rate_hz: int, semitones: float) -> Samples:
    """The samples at another pitch, with the formants and the duration that they had."""
    stretch = _engine(sample_rate_hz)
    stretch.setTransposeSemitones(semitones)
    return _with_envelope(stretch.process(samples[None, :].copy())[0], samples, sample_rate_hz)


def pitch_difference(before: Samples, after: Samples, sample_rate_hz: int) -> float | None:
    """By how many semitones `after` lies above `before`, recordings of the same timing.

    The median over the 10-ms frames that are voiced in both, so that a tracker's octave errors
    in some frames do not matter; None where fewer than 10 frames are.
    """
    import numpy as np

    from askqa_builder.measures import pitch

    old, new = pitch(before, sample_rate_hz), pitch(after, sample_rate_hz)
    _, one, other = np.intersect1d(old.frames, new.frames, return_indices=True)
    if len(one) < _FEWEST_FRAMES:
        return None
    return float(np.median(12 * np.log2(new.f0_hz[other] / old.f0_hz[one])))


def _engine(sample_rate_hz: int) -> Any:
    import python_stretch

    stretch = python_stretch.Signalsmith.Stretch()
    stretch.preset(1, float(sample_rate_hz))
    return stretch


def _with_envelope(samples: Samples, original: Samples, sample_rate_hz: int) -> Samples:
    """Filter `samples`, frame by frame, to the spectral envelope of `original`.

    The envelope is the low-quefrency part of the cepstrum (Oppenheim and Schafer, Discrete-Time
    Signal Processing, chapter on cepstral analysis); frames are weighted and overlap-added.
    """
    import numpy as np

    hop = round(_FRAME_S * sample_rate_hz) // _HOPS_PER_FRAME
    length = hop * _HOPS_PER_FRAME
    window = np.sqrt(np.hanning(length + 1)[:-1])
    spectra, wanted = (_spectra(signal, window, hop) for signal in (samples, original))
    quefrency = round(_QUEFRENCY_S * sample_rate_hz)
    gain = _log_envelope(wanted, quefrency) - _log_envelope(spectra, quefrency)
    filtered = np.exp(np.clip(gain, -_MOST_GAIN, _MOST_GAIN)) * spectra
    frames = np.fft.irfft(filtered, length) * window
    # hop-wide columns of all frames, each added where it belongs
    steps = np.zeros((len(frames) + _HOPS_PER_FRAME - 1, hop))
    for part in range(_HOPS_PER_FRAME):
        steps[part : part + len(frames)] += frames[:, part * hop : (part + 1) * hop]
    whole = steps.ravel()[length : length + len(samples)]
    result: Samples = (whole / (_HOPS_PER_FRAME / 2)).astype(np.float32)
    return result


def _spectra(signal: Samples, window: npt.NDArray[np.float64], hop: int) -> Complex:
    """Spectra of windowed frames; the signal begins one frame late and ends one early."""
    import numpy as np

    length = len(window)
    padded = np.pad(signal, (length, length + hop)).astype(np.float64)
    frames = np.lib.stride_tricks.sliding_window_view(padded, length)[::hop]
    return np.fft.rfft(frames * window)


def _log_envelope(spectra: Complex, quefrency: int) -> npt.NDArray[np.float64]:
    import numpy as np

    level = np.abs(spectra)
    cepstrum = np.fft.irfft(np.log(level + 1e-4 * max(float(level.max()), 1e-12)))
    cepstrum[:, quefrency + 1 : -quefrency] = 0.0
    envelope: npt.NDArray[np.float64] = np.fft.rfft(cepstrum).real
    return envelope
