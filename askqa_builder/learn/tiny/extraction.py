"""Log-mel frames of speech."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from transformers import SequenceFeatureExtractor
from transformers.audio_utils import mel_filter_bank

Samples = npt.NDArray[np.float32]


class TinyFeatureExtractor(SequenceFeatureExtractor):
    """A frame every 20 ms, 32 ms long: log of the mel bins, each less its mean over the clip.

    The mean takes level, microphone and much of the voice with it.
    """

    model_input_names = ["input_features"]  # noqa: RUF012 - transformers reads a list

    def __init__(
        self,
        feature_size: int = 40,
        sampling_rate: int = 16_000,
        padding_value: float = 0.0,
        hop_length: int = 320,
        n_fft: int = 512,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            feature_size=feature_size,
            sampling_rate=sampling_rate,
            padding_value=padding_value,
            **kwargs,
        )
        self.hop_length, self.n_fft = hop_length, n_fft

    def __call__(
        self, clips: Sequence[Samples], sampling_rate: int | None = None, multiple_of: int = 1
    ) -> list[Samples]:
        """Clips of shape (samples,) → frames of shape (n, bins), n a multiple of `multiple_of`.

        Raises ValueError for a clip that is not mono, or at another rate.
        """
        if sampling_rate not in (None, self.sampling_rate):
            raise ValueError(f"sound at {sampling_rate} Hz; expected {self.sampling_rate} Hz")
        return [self._frames(np.asarray(clip, np.float32), multiple_of) for clip in clips]

    def _frames(self, samples: Samples, multiple_of: int) -> Samples:
        if samples.ndim != 1 or not samples.size:
            raise ValueError(f"a clip of shape {samples.shape}; expected mono, (samples,)")
        count = -(-len(samples) // self.hop_length)
        padded = np.zeros((count - 1) * self.hop_length + self.n_fft, np.float32)
        padded[: len(samples)] = samples[: len(padded)]
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.n_fft)[:: self.hop_length]
        # torch throughout: six times as fast a transform, and the threads that a loader gives it
        spectrum = torch.fft.rfft(torch.from_numpy(windows * self._window))
        power = spectrum.real.square() + spectrum.imag.square()
        mel = (power @ torch.from_numpy(self._mel)).clamp(min=1e-6).log()
        rows = -(-count // multiple_of) * multiple_of
        frames = np.zeros((rows, self.feature_size), np.float32)
        frames[:count] = ((mel - mel.mean(0)) * 0.4).numpy()  # to a spread of about one
        return frames

    def to_dict(self) -> dict[str, Any]:
        """What is saved: not the tables, which follow from it."""
        tables = ("_window", "_mel")
        return {name: v for name, v in super().to_dict().items() if name not in tables}

    @cached_property
    def _window(self) -> Samples:
        return np.hanning(self.n_fft + 1)[:-1].astype(np.float32)

    @cached_property
    def _mel(self) -> Samples:
        bank = mel_filter_bank(
            *(self.n_fft // 2 + 1, self.feature_size, 60.0, 7600.0, self.sampling_rate),
            mel_scale="htk",
        )
        return bank.astype(np.float32)
