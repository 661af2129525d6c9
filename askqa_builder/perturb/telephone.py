"""A telephone line: 300 to 3400 Hz, sampled at 8 kHz, on request in 8-bit G.711 mu-law."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from askqa_builder import audio

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from askqa_builder.audio import Samples

LOW_HZ, HIGH_HZ = 300.0, 3400.0
_LINE_HZ = 8000
_TAPS = 513
_KAISER = 5.65  # 60 dB in the stop band, 57 Hz from pass to stop (Kaiser 1974)


def by_telephone(samples: Samples, sample_rate_hz: int, *, mu_law: bool) -> Samples:
    """The samples after the line, as many as before, at the same times."""
    import numpy as np

    line = audio.resample(samples, sample_rate_hz, _LINE_HZ)
    line = np.convolve(line, _band_pass())[_TAPS // 2 :][: len(line)].astype(np.float32)
    if mu_law:
        line = _through_g711(line)
    back = audio.resample(line, _LINE_HZ, sample_rate_hz)[: len(samples)]
    return np.pad(back, (0, len(samples) - len(back)))


def outside_band_db(samples: Samples, sample_rate_hz: int) -> float:
    """Power below 300 and above 3400 Hz, in dB relative to the power at all frequencies."""
    import numpy as np

    power = np.square(np.abs(np.fft.rfft(samples.astype(np.float64))))
    hz = np.fft.rfftfreq(len(samples), 1 / sample_rate_hz)
    outside = power[(hz < LOW_HZ) | (hz > HIGH_HZ)].sum()
    return float(10 * np.log10(max(float(outside / power.sum()), 1e-12)))


def _band_pass() -> npt.NDArray[np.float64]:
    """A linear-phase filter of the ideal band pass under a Kaiser window; half-way at the edges."""
    import numpy as np

    times = np.arange(_TAPS) - _TAPS // 2
    ideal = sum(
        sign * 2 * hz / _LINE_HZ * np.sinc(2 * hz / _LINE_HZ * times)
        for sign, hz in ((1, HIGH_HZ), (-1, LOW_HZ))
    )
    return np.asarray(ideal * np.kaiser(_TAPS, _KAISER), np.float64)


def _through_g711(line: Samples) -> Samples:
    """Encoded in mu-law by libsndfile, and decoded; what exceeds full scale is clipped."""
    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, line.clip(-1.0, 1.0), _LINE_HZ, format="WAV", subtype="ULAW")
    buffer.seek(0)
    decoded: Samples = soundfile.read(buffer, dtype="float32")[0]
    return decoded
