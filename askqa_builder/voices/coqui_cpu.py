"""Makes Coqui's `TTS` package importable and whole on any machine, without a GPU or a binary.

Four things stand in the way of `pip install 'askqa-builder[coqui]'` on a bare machine:

- PyPI's torchaudio does not load without CUDA's libraries: `torchaudio_cpu.py`.
- It reads clips through torchcodec, which needs FFmpeg's libraries. soundfile brings its own.
- Its phonemizer starts an `espeak-ng` process per clause. The library is in the `espeakng-loader`
  wheel, which we have anyway: asked in process it answers 200 times as fast, and every machine
  has the same version.
- Its XTTS calls transformers by names of last year.
"""

from __future__ import annotations

import ctypes
import importlib.util
import logging
import re
from functools import cache, wraps
from typing import TYPE_CHECKING, Any

from askqa_builder.errors import MissingExtraError, VoiceError
from askqa_builder.torchaudio_cpu import mend_torchaudio

if TYPE_CHECKING:
    import torch

# Names and values as in espeak-ng's speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARS_UTF8 = 1
_PHONEMES_IPA = 0x02
_SEPARATOR = "_"
_LANGUAGE_SWITCH = re.compile(r"\(.+?\)")  # "(fr)", where a word is read as another language's


@cache
def prepare() -> None:
    """Make `import TTS` work. Raises MissingExtraError if the extra is not installed."""
    if importlib.util.find_spec("TTS") is None or importlib.util.find_spec("torchaudio") is None:
        raise MissingExtraError("--voices coqui", "coqui")
    mend_torchaudio()
    import torchaudio

    torchaudio.load = _load
    try:
        import TTS.tts.utils.text.phonemizers as phonemizers
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] == "TTS":
            raise
        raise MissingExtraError("--voices coqui", "coqui") from error
    # `_register_espeak` looks the class up by this name when the first model is set up
    phonemizers.ESpeak = _phonemizer_class()
    # what it tells as a warning (symbols that it drops) is an error here
    logging.getLogger("TTS").setLevel(logging.ERROR)


@cache
def mend_xtts() -> None:
    """Make XTTS speak with the transformers of today, which name its cache otherwise.

    transformers 5.24 gives a model's `forward` a `cache` that was called `past_key_values`.
    """
    from TTS.tts.layers.xtts.gpt_inference import GPT2InferenceModel

    forward = GPT2InferenceModel.forward

    @wraps(forward)
    def renamed(self: Any, *args: Any, **named: Any) -> Any:
        if "cache" in named:
            named["past_key_values"] = named.pop("cache")
        return forward(self, *args, **named)

    GPT2InferenceModel.forward = renamed


def _load(path: str) -> tuple[torch.Tensor, int]:
    """As `torchaudio.load`: samples of shape (channels, n), and their rate in Hz."""
    import soundfile
    import torch

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    return torch.from_numpy(samples.T.copy()), rate_hz


def _phonemizer_class() -> type[Any]:
    """Coqui's `ESpeak` phonemizer, served from the wheel."""
    from TTS.tts.utils.text.phonemizers.base import BasePhonemizer
    from TTS.tts.utils.text.punctuation import Punctuation

    class WheelESpeak(BasePhonemizer):  # type: ignore[misc]
        def __init__(
            self,
            language: str,
            punctuations: str = Punctuation.default_puncs(),
            *,
            backend: str | None = None,
            keep_puncs: bool = True,
        ) -> None:
            # as in Coqui's own class: models were trained with what "en" meant there
            language = "en-us" if language == "en" else language
            super().__init__(language, punctuations=punctuations, keep_puncs=keep_puncs)

        @staticmethod
        def name() -> str:
            return "espeak"

        @classmethod
        def is_available(cls) -> bool:
            return True

        def version(self) -> str:
            return _phonemes().version

        @staticmethod
        def supported_languages() -> dict[str, str]:
            return dict.fromkeys(_phonemes().languages, "English")

        def _phonemize(self, text: str, separator: str = "") -> str:
            return _phonemes().of(text, self.language).replace(_SEPARATOR, separator)

    return WheelESpeak


@cache
def _phonemes() -> _Phonemes:
    return _Phonemes()


class _Phonemes:
    """eSpeak NG's phonemes of English text.

    From the wheel's own file: the embedded engine loads and unloads a private copy, whose state
    must stay its own. The data are that copy's, as eSpeak NG cuts long paths.
    """

    def __init__(self) -> None:
        import espeakng_loader

        from askqa_builder.voices.espeak_files import private_copy

        files = private_copy()
        # eSpeak NG has British English as plain "en"
        self.languages = {accent: accent for accent in files.accents} | {"en-gb": "en"}
        try:
            self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise VoiceError(
                f"eSpeak NG cannot be loaded ({error}); "
                "reinstall it: pip install --force-reinstall espeakng-loader"
            ) from error
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._library.espeak_Info.argtypes = [ctypes.c_void_p]
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p
        self._library.espeak_TextToPhonemes.argtypes = [
            ctypes.POINTER(ctypes.c_void_p),
            ctypes.c_int,
            ctypes.c_int,
        ]
        started = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, 0, bytes(files.data), _INITIALIZE_DONT_EXIT
        )
        if started <= 0:
            raise VoiceError(f"{files.data}: eSpeak NG does not accept its data (code {started})")
        self.version: str = self._library.espeak_Info(None).decode()

    def of(self, text: str, language: str) -> str:
        """IPA, a `_` between phonemes, as `espeak-ng --ipa=1` prints it: the clauses in a row."""
        voice = self.languages[language]
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise VoiceError(f"eSpeak NG has no voice {voice!r}")
        buffer = ctypes.create_string_buffer(text.encode())
        rest = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses: list[str] = []
        while rest.value:
            clause = self._library.espeak_TextToPhonemes(
                ctypes.byref(rest), _CHARS_UTF8, _PHONEMES_IPA | ord(_SEPARATOR) << 8
            )
            clauses.append(_LANGUAGE_SWITCH.sub("", (clause or b"").decode()).strip())
        return "".join(clauses)
