"""The embedded engine: eSpeak NG in process, the same samples on every run.

Nothing to download and no key: library and voices come with the `espeakng-loader` wheel.

How a Speaker becomes eSpeak's parameters:

- `rate` is a ratio of durations (1.25: in 1/1.25 of the time). eSpeak's words a minute follow it
  up to 1.2 and then fall behind, so they are looked up in `_RATE_CURVE`.
- `pitch` in semitones transposes the voice: base *and* range are multiplied by
  f = 2^(pitch/12). eSpeak's own pitch setting moves the base alone and, when the range changes,
  corrects the base by -18 (range' - range); so, from wavegen.c (SetPitch2), with both in
  Hz · 4096, the range setting is 50 f and the pitch setting 50 + 50 log2(f + 18 (f-1) range/base).
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from pydantic import JsonValue

from askqa_builder.errors import RefusedTextError, VoiceError
from askqa_builder.schema import Speaker, Voice
from askqa_builder.voices import Speech
from askqa_builder.voices.bank import load_bank
from askqa_builder.voices.espeak_files import EspeakFiles, private_copy
from askqa_builder.voices.espeak_library import Library

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_DEFAULT_WPM = 175
_RATE_CURVE = (
    (0.516, 0.5),
    (0.710, 0.7),
    (0.812, 0.8),
    (0.906, 0.9),
    (1.000, 1.0),
    (1.092, 1.1),
    (1.181, 1.2),
    (1.418, 1.5),
    (1.834, 2.0),
    (2.235, 2.5),
)
"""(duration at 175 words a minute / duration, words a minute / 175), measured by
`benchmarks/choose_espeak_voices.py --rates`."""
_DEFAULT_PITCH = (82, 118)  # the variant's line "pitch", where it has none
_REVISION = 1
"""Raise it when the same speaker would sound different because of this file."""
_SILENCE = 0.01
"""Relative to the loudest sample: below it a clause has ended."""


class EspeakVoices:
    """eSpeak NG behind the `Voices` seam.

    Speakers are those of the bank by id (`en-us-f3`), or any accent and variant by eSpeak's own
    name (`en-us+f3`). A process may say a million utterances: the library leaks about 0.3 KiB in
    each.
    """

    name = "espeak"
    model = ""
    max_processes: int | None = None

    @property
    def settings(self) -> dict[str, JsonValue]:
        """Nothing but what the speaker's own fields say."""
        return {}

    def __init__(self, *, fork: bool | None = None) -> None:
        """Raises VoiceError if eSpeak NG cannot be loaded. `fork`: see `espeak_library`."""
        self._files: EspeakFiles = private_copy()
        self._library = Library(self._files.library, self._files.data, fork=fork)
        self._bank = {entry.id: entry for entry in load_bank()}
        self._pitch_lines: dict[str, tuple[int, int]] = {}
        self.version = f"{self._library.version}-{self._files.digest[:12]}-{_REVISION}"

    def voices(self) -> Sequence[Voice]:
        """The speakers of the bank."""
        return tuple(self._bank.values())

    def speak(self, text: str, speaker: Speaker) -> Speech:
        """Say `text`. Raises VoiceError for an unknown speaker and a rate or pitch beyond what
        eSpeak can do, RefusedTextError for text with a word that it would leave out.
        """
        import numpy as np

        accent, variant = self._accent_and_variant(speaker)
        if "\0" in text:
            raise RefusedTextError(
                f"text {text[:60]!r} holds a null character, which ends it for eSpeak"
            )
        pitch, pitch_range = self._pitch_settings(variant, speaker)
        utterance = self._library.speak(
            text, f"{accent}+{variant}" if variant else accent, _wpm(speaker), pitch, pitch_range
        )
        samples = np.frombuffer(utterance.pcm, dtype=np.int16).astype(np.float32) / np.float32(
            32768
        )
        rate = utterance.sample_rate_hz
        words = list(_words(samples, utterance.words, utterance.clause_ends))
        times = tuple((a / rate, b / rate) for a, b in _token_times(text, words))
        return Speech(samples, rate, times)

    def close(self) -> None:
        """Nothing to free: between two utterances no library is loaded."""

    def _accent_and_variant(self, speaker: Speaker) -> tuple[str, str]:
        entry = self._bank.get(speaker.id)
        accent, plus, variant = (entry.name if entry else speaker.id).partition("+")
        if entry is None and not plus and accent not in self._files.accents:
            raise VoiceError(
                f"eSpeak speaker {speaker.id!r} unknown; expected one of {sorted(self._bank)}, "
                "or an accent and a variant of eSpeak such as 'en-us+f3'"
            )
        if accent not in self._files.accents:
            raise VoiceError(
                f"eSpeak accent {accent!r} of speaker {speaker.id!r} unknown; "
                f"expected one of {list(self._files.accents)}"
            )
        if plus and variant not in self._files.variants:
            raise VoiceError(
                f"eSpeak variant {variant!r} of speaker {speaker.id!r} unknown; "
                f"expected one of {list(self._files.variants)}"
            )
        return accent, variant

    def _pitch_settings(self, variant: str, speaker: Speaker) -> tuple[int, int]:
        if variant not in self._pitch_lines:
            path = self._files.data / "voices" / "!v" / variant
            self._pitch_lines[variant] = (
                _pitch_line(path.read_text()) if variant else _DEFAULT_PITCH
            )
        low, high = self._pitch_lines[variant]
        base, span = (low - 9) * 4096, (high - low) * 108  # as voices.c (LoadVoice) has it
        factor = 2 ** (speaker.pitch / 12)
        shift = factor + 18 * (factor - 1) * span / base
        pitch = round(50 + 50 * math.log2(shift)) if shift > 0 else -1
        pitch_range = round(50 * factor)
        if not (0 <= pitch <= 99 and 0 <= pitch_range <= 99):
            raise VoiceError(
                f"pitch {speaker.pitch:+g} semitones of speaker {speaker.id!r}: "
                "eSpeak reaches about -6 to +6"
            )
        return pitch, pitch_range


def _wpm(speaker: Speaker) -> int:
    (slowest, _), (fastest, _) = _RATE_CURVE[0], _RATE_CURVE[-1]
    if not slowest <= speaker.rate <= fastest:
        raise VoiceError(
            f"rate {speaker.rate:g} of speaker {speaker.id!r}: "
            f"eSpeak reaches {slowest:.2f} to {fastest:.2f}"
        )
    for (rate, factor), (next_rate, next_factor) in pairwise(_RATE_CURVE):
        if speaker.rate <= next_rate:
            part = (speaker.rate - rate) / (next_rate - rate)
            return round(_DEFAULT_WPM * (factor + part * (next_factor - factor)))
    raise AssertionError("unreachable: the rate lies on the curve")


def _pitch_line(variant_file: str) -> tuple[int, int]:
    found = re.findall(r"^pitch\s+(\d+)\s+(\d+)", variant_file, re.MULTILINE)
    return (int(found[-1][0]), int(found[-1][1])) if found else _DEFAULT_PITCH


def _words(
    samples: npt.NDArray[np.float32], words: Sequence[tuple[int, int]], clause_ends: Sequence[int]
) -> Iterator[tuple[int, int, int]]:
    """Yield (offset in the text, first sample, end sample) of each spoken word.

    eSpeak says where a word begins; it ends where the next begins or, before a pause, with the
    last audible sample.
    """
    import numpy as np

    threshold = _SILENCE * float(np.abs(samples).max(initial=0.0))
    ends = iter((*clause_ends, len(samples)))
    clause_end = 0
    for index, (offset, start) in enumerate(words):
        while clause_end <= start:
            clause_end = next(ends, len(samples) + 1)
        end = words[index + 1][1] if index + 1 < len(words) else len(samples)
        if end >= clause_end:
            audible = np.flatnonzero(np.abs(samples[start:end]) > threshold)
            end = start + int(audible[-1]) + 1 if len(audible) else start
        yield offset, start, end


def _token_times(text: str, words: Sequence[tuple[int, int, int]]) -> Iterator[tuple[float, float]]:
    """Yield the start and end, in samples, of each whitespace token of `text`.

    Several spoken words of one token ("1895") are joined; tokens that eSpeak speaks as one word
    ("of the") share its time by length; a token without letters or digits takes none. Raises
    RefusedTextError if nothing is spoken, or a token in an alphabet unknown to eSpeak is left out.
    """
    tokens = list(re.finditer(r"\S+", text))
    spoken: dict[int, tuple[int, int]] = {}
    index = 0
    for offset, start, end in words:
        while index < len(tokens) and tokens[index].end() <= offset:
            index += 1
        if index < len(tokens):
            spoken[index] = (spoken.get(index, (start, end))[0], end)
    if not spoken:
        raise RefusedTextError(f"eSpeak finds nothing to say in {text[:60]!r}")

    leader = min(spoken)  # unspoken tokens at the very start belong to the first spoken one
    members: dict[int, list[int]] = {index: [] for index in spoken}
    for index, token in enumerate(tokens):
        if index in spoken:
            leader = index
        elif not any(map(str.isalnum, token.group())):
            continue
        elif any(map(_is_foreign, token.group())):
            raise RefusedTextError(f"eSpeak cannot say {token.group()!r}")
        members[leader].append(index)

    times: dict[int, tuple[float, float]] = {}
    for leader, group in members.items():
        start, end = spoken[leader]
        per_letter = (end - start) / sum(len(tokens[index].group()) for index in group)
        at = float(start)
        for index in group:
            times[index] = (at, at + per_letter * len(tokens[index].group()))
            at = times[index][1]
    at = 0.0
    for index in range(len(tokens)):
        start_end = times.get(index, (at, at))
        at = start_end[1]
        yield start_end


def _is_foreign(letter: str) -> bool:
    return letter.isalpha() and not unicodedata.name(letter, "").startswith("LATIN")
