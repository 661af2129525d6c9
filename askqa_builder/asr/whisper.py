"""Whisper models on one's own machine, by faster-whisper (CTranslate2, without torch)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from askqa_builder import audio
from askqa_builder.config import CoquiSettings
from askqa_builder.errors import MissingExtraError, RecogniserError, RefusedClipError
from askqa_builder.files import digest, sha256_of

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

DEFAULT_MODEL = "small.en"
_FILES = ("model.bin", "config.json", "tokenizer.json")


class FasterWhisper:
    """A model by the path of its folder, or by a name that faster-whisper knows or downloads."""

    def __init__(self, model: str, machine: CoquiSettings) -> None:
        """`machine`: device, threads and language. Raises RecogniserError if there is no such
        model, MissingExtraError without faster-whisper."""
        from importlib.metadata import version
        from importlib.util import find_spec

        if find_spec("faster_whisper") is None:
            raise MissingExtraError("--asr faster-whisper", "asr")
        model = model or DEFAULT_MODEL
        self._language = machine.language
        self._model = _loaded(model, machine)
        self._on_gpu = self._model.model.device == "cuda"
        # two folders may have one name, and a folder's files may change
        which = f"{Path(model).name} {_content(Path(model))}" if Path(model).is_dir() else model
        self.name = (
            f"faster-whisper:{which} {version('faster-whisper')} "
            f"(CTranslate2 {version('ctranslate2')}, {machine.language})"
        )

    @property
    def max_processes(self) -> int | None:
        """A GPU holds one model, not one per process."""
        return 1 if self._on_gpu else None

    def transcribe(
        self, sounds: Iterable[tuple[str, bytes]]
    ) -> Iterator[tuple[str, str | RefusedClipError]]:
        """One after the other, without chance: beam search at temperature 0."""
        for key, flac in sounds:
            samples, sample_rate_hz = audio.decode(flac)
            segments, _ = self._model.transcribe(
                audio.resample(samples, sample_rate_hz, audio.SAMPLE_RATE_HZ),
                language=self._language,
                beam_size=5,
                temperature=0.0,
                condition_on_previous_text=False,
                without_timestamps=True,
            )
            yield key, " ".join(segment.text.strip() for segment in segments).strip()


def _content(folder: Path) -> str:
    return digest(*(sha256_of(folder / name).sha256 for name in _FILES))[:12]


def _loaded(model: str, machine: CoquiSettings) -> WhisperModel:
    import faster_whisper

    folder = Path(model)
    if folder.is_dir():
        missing = [name for name in _FILES if not (folder / name).is_file()]
        if missing:
            raise RecogniserError(
                f"--asr faster-whisper:{model}: {missing[0]!r} is missing in the folder; it takes "
                f"a Whisper model in CTranslate2's form, such as ct2-transformers-converter writes"
            )
    elif model.startswith((os.sep, ".", "~")):
        raise RecogniserError(f"--asr faster-whisper:{model}: there is no such folder")
    elif "/" not in model and model not in (known := faster_whisper.available_models()):
        raise RecogniserError(
            f"--asr faster-whisper:{model}: unknown model; expected a folder, a Hub id or one of "
            f"{known}"
        )
    try:
        return faster_whisper.WhisperModel(
            model, device=machine.device, cpu_threads=machine.threads
        )
    except (OSError, RuntimeError, ValueError) as error:  # the Hub's errors are OSErrors
        words = " ".join(str(error).split())[:200]
        remedy = "see that it is whole" if folder.is_dir() else "fetch it, or give its folder"
        raise RecogniserError(
            f"--asr faster-whisper:{model}: cannot load the model ({words}); {remedy}"
        ) from error
