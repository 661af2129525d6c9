"""A speaker in a simulated room: pyroomacoustics' image sources, ray tracing for the late echoes.

The room, and where speaker and microphone are in it, is drawn from 32 for each reverberation
time: simulating one takes as long as a minute of speech is long to perturb otherwise.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from askqa_builder.audio import Samples

    Floats = npt.NDArray[np.float64]

ROOMS = 32
_IMAGE_ORDER, _RAYS, _SCATTERING = 3, 2000, 0.1
_TOLERANCE, _MOST_CORRECTIONS = 0.02, 20
_EYRING = 24 * math.log(10) / 343.0  # seconds per metre
_BEFORE_DIRECT_S, _DIRECT_S = 0.001, 0.0025


@dataclass(frozen=True)
class Response:
    """What a microphone in a room gets of a click; begins 1 ms before the direct sound."""

    samples: Floats
    rt60_s: float
    direct_to_reverberant_db: float


def in_room(
    samples: Samples, sample_rate_hz: int, rt60_s: float, seed: str
) -> tuple[Samples, dict[str, float]]:
    """The samples as heard in the room that `seed` draws, and the room's measures.

    The direct sound keeps its time; the clip is longer by what is heard after it.
    """
    import numpy as np

    number = random.Random(f"{seed}:room").randrange(ROOMS)
    response = room_response(rt60_s, number, sample_rate_hz)
    lead = round(_BEFORE_DIRECT_S * sample_rate_hz)
    length = len(samples) + len(response.samples) - 1
    size = 1 << length.bit_length()
    spectrum = np.fft.rfft(samples, size) * np.fft.rfft(response.samples, size)
    echoed = np.fft.irfft(spectrum, size)[lead:length].astype(np.float32)
    return echoed, {
        "rt60_s": response.rt60_s,
        "direct_to_reverberant_db": response.direct_to_reverberant_db,
    }


@lru_cache(maxsize=4 * ROOMS)
def room_response(rt60_s: float, number: int, sample_rate_hz: int) -> Response:
    """The response of room `number` with walls such that RT60 measures as wanted (± 2 %).

    Walls are set by Eyring's formula; what is then measured is off by up to a fifth, and made good
    by an exponential over the whole response: it does to every echo, by its age, what other walls
    would do. Cut where the energy still to come has fallen by 60 dB.
    """
    import numpy as np

    chance = random.Random(f"room {number}")
    size = [chance.uniform(3.5, 9.0), chance.uniform(3.0, 7.0), chance.uniform(2.4, 3.5)]
    microphone, mouth = _places(size, chance)
    volume = size[0] * size[1] * size[2]
    surface = 2 * (size[0] * size[1] + size[1] * size[2] + size[0] * size[2])
    absorption = 1 - float(np.exp(-_EYRING * volume / surface / rt60_s))
    response = _simulated(size, microphone, mouth, absorption, sample_rate_hz, number)
    times = np.arange(len(response)) / sample_rate_hz
    measured_s = reverberation_time_s(response, sample_rate_hz)
    for _ in range(_MOST_CORRECTIONS):
        if abs(measured_s / rt60_s - 1) <= _TOLERANCE:
            break
        # half of what a straight decay would need: the fitted part of a crooked one moves
        response = response * 10 ** (1.5 * times * (1 / measured_s - 1 / rt60_s))
        measured_s = reverberation_time_s(response, sample_rate_hz)
    direct = round((_BEFORE_DIRECT_S + _DIRECT_S) * sample_rate_hz)
    energy = np.square(response)
    ratio = float(energy[:direct].sum() / energy[direct:].sum())
    kept = response[_decay_db(response) > -60]
    return Response(kept, measured_s, float(10 * np.log10(ratio)))


def reverberation_time_s(response: Floats, sample_rate_hz: int) -> float:
    """RT60 as T30: the energy still to come (Schroeder 1965) falls 30 dB from -5 dB on, doubled.

    A straight line is fitted to the decay between -5 and -35 dB (ISO 3382-2, 2008, 6).
    M. R. Schroeder, New method of measuring reverberation time, J. Acoust. Soc. Am. 37, 1965.
    """
    import numpy as np

    decay = _decay_db(response)
    part = np.flatnonzero((decay <= -5) & (decay >= -35))
    slope = np.polyfit(part / sample_rate_hz, decay[part], 1)[0]
    return float(-60 / slope)


def _decay_db(response: Floats) -> Floats:
    import numpy as np

    to_come = np.cumsum(np.square(response)[::-1])[::-1]
    decay: Floats = 10 * np.log10(np.maximum(to_come / to_come[0], 1e-12))
    return decay


def _places(size: list[float], chance: random.Random) -> tuple[list[float], list[float]]:
    """Where the microphone and the mouth are: 0.5 to 2.5 m apart, half a metre off the walls."""
    while True:
        microphone, mouth = (
            [chance.uniform(0.5, size[0] - 0.5), chance.uniform(0.5, size[1] - 0.5), height]
            for height in (chance.uniform(0.7, 1.2), chance.uniform(1.1, 1.8))
        )
        apart = sum((a - b) ** 2 for a, b in zip(microphone, mouth, strict=True)) ** 0.5
        if 0.5 <= apart <= 2.5:
            return microphone, mouth


def _simulated(
    size: list[float],
    microphone: list[float],
    mouth: list[float],
    absorption: float,
    sample_rate_hz: int,
    seed: int,
) -> Floats:
    """The room response from 1 ms before the direct sound."""
    import numpy as np
    import pyroomacoustics as pra

    # Both are global in that library: one thread, or sums come in another order.
    pra.constants.set("num_threads", 1)
    pra.random.seed(numpy=seed, libroom=seed)
    walls = pra.Material(energy_absorption=absorption, scattering=_SCATTERING)
    room: Any = pra.ShoeBox(
        size,
        fs=sample_rate_hz,
        materials=walls,
        max_order=_IMAGE_ORDER,
        ray_tracing=True,
        air_absorption=True,
    )
    room.set_ray_tracing(n_rays=_RAYS, receiver_radius=0.3)
    room.add_source(mouth)
    room.add_microphone(microphone)
    room.compute_rir()
    apart_m = float(np.linalg.norm(np.subtract(mouth, microphone)))
    delay = pra.constants.get("frac_delay_length") // 2 + apart_m / room.c * sample_rate_hz
    start = round(delay) - round(_BEFORE_DIRECT_S * sample_rate_hz)
    response: Floats = np.asarray(room.rir[0][0], np.float64)[start:]
    return response
