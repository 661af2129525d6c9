"""Coqui's VITS and XTTS models: sentences in, samples out, the same on every run.

Imports torch, so it is imported where a model is loaded and nowhere else.

VITS draws noise, for its durations and for its sound. Here each sentence draws its own, from a
generator that does not depend on the device, on torch, or on what else is in the batch:
`_RowNoise` hands it in wherever the model asks torch for some. So a sentence sounds the same in
any batch, up to the rounding that comes with another matrix size (and the last frames, where the
decoder sees padding). XTTS samples its codes one after the other: it is seeded, not batched.
"""

from __future__ import annotations

import logging
import pickle
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch.overrides import TorchFunctionMode

from askqa_builder.errors import RefusedTextError, VoiceError
from askqa_builder.voices import coqui_cpu
from askqa_builder.voices.coqui_files import ModelFiles

Samples = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Reading:
    """A text as a model takes it."""

    text: str
    symbols: str = ""
    """Letters or phonemes, blanks between words; empty where the model does not tell."""
    ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class Sentence:
    """What is spoken in one breath."""

    reading: Reading
    speaker: str
    """As the model has it."""
    references: tuple[Path, ...]
    """Clips whose voice is imitated instead; empty for the model's own speaker."""
    rate: float
    seed: int


@dataclass(frozen=True)
class Spoken:
    """A sentence as the model said it."""

    samples: Samples
    """Mono, shape (n,)."""
    starts_s: tuple[float, ...] = ()
    """When each symbol of the reading begins, and when the last one ends; empty if unknown."""


class Model(Protocol):
    """A model in memory."""

    sample_rate_hz: int
    chars: int
    """Sentences are cut before so many characters."""

    def read(self, text: str) -> Reading:
        """Raises RefusedTextError if the model would leave something of `text` out."""
        ...

    def say(self, sentences: Sequence[Sentence]) -> list[Spoken]:
        """Say sentences together. Raises VoiceError if a reference clip is of no use."""
        ...


def load(files: ModelFiles, device: str, threads: int, language: str) -> Model:
    """Load a model into memory. Raises VoiceError if its files are damaged or do not fit."""
    coqui_cpu.prepare()
    torch.set_num_threads(threads)  # decides how sums are split, so the last bits
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False
    logging.getLogger("transformers").setLevel(logging.ERROR)  # minds the numbers of XTTS's tokens
    with _one_line(files), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecations between Coqui and its packages
        from TTS.config import register_config
        from TTS.tts.models import setup_model

        config = register_config(files.kind)()
        config.from_dict(files.config)
        model = setup_model(config)
        # every torch.load on this way is one of weights only: a file cannot run code
        if files.kind == "xtts":
            coqui_cpu.mend_xtts()
            model.load_checkpoint(config, checkpoint_dir=str(files.folder), eval=True)
        else:
            model.load_checkpoint(config, str(files.weights), eval=True)
    model.to(device)
    if files.kind == "vits" and model.speaker_manager is not None:
        model.speaker_manager.use_cuda = device == "cuda"  # where its encoder gets its input
    return _Xtts(model, language) if files.kind == "xtts" else _Vits(model, language)


@contextmanager
def _one_line(files: ModelFiles) -> Iterator[None]:
    """Whatever a damaged or foreign file makes Coqui and torch raise, in one line."""
    try:
        yield
    except (
        *(RuntimeError, EOFError, pickle.UnpicklingError),  # torch.load, load_state_dict
        *(KeyError, TypeError, ValueError, AttributeError, AssertionError, OSError),  # the rest
    ) as error:
        words = " ".join(str(error).split())[:160]
        raise VoiceError(
            f"{files.folder}: cannot be loaded as a Coqui {files.kind} model "
            f"({type(error).__name__}: {words}); its files are damaged, half downloaded, or of "
            "different models: download it again"
        ) from error


class _Vits:
    """VITS and YourTTS."""

    chars = 400

    def __init__(self, model: Any, language: str) -> None:
        self._model = model
        self._tokenizer = model.tokenizer
        self.sample_rate_hz = int(model.config.audio.sample_rate)
        # samples a frame; some models stretch their frames before they decode them
        stretched = model.args.encoder_sample_rate and model.args.interpolate_z
        upsampled = int(np.prod(model.args.upsample_rates_decoder))
        self._hop = round(upsampled * (model.interpolate_factor if stretched else 1))
        model.max_inference_len = None  # it would cut speech off without a word
        languages = model.language_manager.name_to_id
        if len(languages) == 1:
            (language,) = languages
        elif language not in languages:
            raise VoiceError(f"language {language!r}: the model speaks {sorted(languages)}")
        self._language, self._language_id = language, languages[language]
        self._imitated: dict[tuple[Path, ...], torch.Tensor] = {}

    def read(self, text: str) -> Reading:
        """Coqui's own steps, but that a letter or sound without a symbol is not just dropped."""
        tokenizer, symbols = self._tokenizer, text
        if tokenizer.text_cleaner is not None:
            symbols = tokenizer.text_cleaner(text, lang=self._language.partition("-")[0])
        if tokenizer.phonemizer is not None:
            if foreign := next(filter(_is_foreign, symbols), None):
                # it would read "Chinese letter"
                raise RefusedTextError(f"the phonemizer cannot read {foreign!r} in {text[:60]!r}")
            symbols = tokenizer.phonemizer.phonemize(symbols, separator="", language=self._language)
        known: list[tuple[str, int]] = []
        for symbol in symbols:
            try:
                known.append((symbol, tokenizer.characters.char_to_id(symbol)))
            except KeyError:
                if _is_sound(symbol):
                    raise RefusedTextError(
                        f"the model has no symbol for {symbol!r} in {text[:60]!r}"
                    ) from None
        if not any(_is_sound(symbol) for symbol, _ in known):
            raise RefusedTextError(f"the model finds nothing to say in {text[:60]!r}")
        ids = [number for _, number in known]
        if tokenizer.add_blank:
            ids = tokenizer.intersperse_blank_char(ids)
        if tokenizer.use_eos_bos:
            ids = tokenizer.pad_with_bos_eos(ids)
        return Reading(text, "".join(symbol for symbol, _ in known), tuple(ids))

    @torch.inference_mode()
    def say(self, sentences: Sequence[Sentence]) -> list[Spoken]:
        model, device, count = self._model, self._model.device, len(sentences)
        lengths = [len(sentence.reading.ids) for sentence in sentences]
        ids = torch.zeros(count, max(lengths), dtype=torch.long)
        for row, sentence in zip(ids, sentences, strict=True):
            row[: len(sentence.reading.ids)] = torch.tensor(sentence.reading.ids)
        rates = torch.tensor([sentence.rate for sentence in sentences], device=device)
        model.length_scale = (1 / rates).view(-1, 1, 1)
        with _RowNoise([sentence.seed for sentence in sentences]):
            output = model.inference(
                ids.to(device),
                {
                    **self._who(sentences),
                    "x_lengths": torch.tensor(lengths, device=device),
                    "language_ids": torch.full((count,), self._language_id, device=device),
                    "durations": None,
                },
            )
        sound = output["model_outputs"].squeeze(1).float().cpu().numpy()
        frames = output["durations"].squeeze(1).long().cpu().tolist()
        return [
            self._cut(samples, durations[: len(sentence.reading.ids)], sentence.reading)
            for samples, durations, sentence in zip(sound, frames, sentences, strict=True)
        ]

    def _cut(self, samples: Samples, frames: Sequence[int], reading: Reading) -> Spoken:
        """One row of the batch, without its padding.

        A symbol begins with its own frames and lasts until the next, so it takes the blank that
        some models have between symbols.
        """
        ends = np.cumsum([0, *frames])
        first = int(self._tokenizer.use_eos_bos) + int(self._tokenizer.add_blank)
        step = 2 if self._tokenizer.add_blank else 1
        starts = (*ends[first::step][: len(reading.symbols)], ends[-1])
        return Spoken(
            samples[: ends[-1] * self._hop].copy(),
            tuple(float(start) * self._hop / self.sample_rate_hz for start in starts),
        )

    def _who(self, sentences: Sequence[Sentence]) -> dict[str, Any]:
        """What tells the model who speaks: numbers of its speakers, or vectors."""
        known = [
            (None, self._imitate(sentence.references))
            if sentence.references
            else self._model._get_speaker_id_or_dvector(sentence.speaker)
            for sentence in sentences
        ]
        ids, vectors = zip(*known, strict=True)
        return {
            "speaker_ids": None if ids[0] is None else torch.cat(ids),
            "d_vectors": None if vectors[0] is None else torch.cat(vectors),
        }

    def _imitate(self, references: tuple[Path, ...]) -> torch.Tensor:
        if references not in self._imitated:
            if self._model.speaker_manager is None or self._model.speaker_manager.encoder is None:
                raise VoiceError("this model has no speaker encoder: it cannot imitate a clip")
            vector = _cloned(self._model, references)["d_vector"]
            self._imitated[references] = torch.tensor(
                vector, dtype=torch.float, device=self._model.device
            ).unsqueeze(0)
        return self._imitated[references]


class _Xtts:
    """XTTS: imitates a clip, or one of the speakers whose latents it comes with."""

    chars = 240  # its tokenizer is made for 250

    def __init__(self, model: Any, language: str) -> None:
        self._model = model
        self._language = language
        self.sample_rate_hz = int(model.config.model_args.output_sample_rate)
        if language not in model.config.languages:
            raise VoiceError(f"language {language!r}: the model speaks {model.config.languages}")
        self._imitated: dict[tuple[Path, ...], Any] = {}

    def read(self, text: str) -> Reading:
        ids = self._model.tokenizer.encode(text.lower(), lang=self._language)
        if len(ids) >= self._model.args.gpt_max_text_tokens:
            raise RefusedTextError(f"{len(ids)} tokens are too many for XTTS: {text[:60]!r}")
        return Reading(text)

    @torch.inference_mode()
    def say(self, sentences: Sequence[Sentence]) -> list[Spoken]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # between Coqui and transformers
            return [Spoken(self._say(sentence)) for sentence in sentences]

    def _say(self, sentence: Sentence) -> Samples:
        config = self._model.config
        latents, embedding = self._who(sentence)
        torch.manual_seed(sentence.seed)
        output = self._model.inference(
            sentence.reading.text,
            self._language,
            latents,
            embedding,
            speed=sentence.rate,
            **{
                name: config[name]
                for name in (
                    *("temperature", "length_penalty", "repetition_penalty"),
                    *("top_k", "top_p"),
                )
            },
        )
        return np.asarray(output["wav"], np.float32)

    def _who(self, sentence: Sentence) -> tuple[Any, Any]:
        if not sentence.references:
            latents, embedding = self._model.speaker_manager.speakers[sentence.speaker].values()
            return latents, embedding
        if sentence.references not in self._imitated:
            config = self._model.config
            voice = _cloned(
                self._model,
                sentence.references,
                gpt_cond_len=config.gpt_cond_len,
                gpt_cond_chunk_len=config.gpt_cond_chunk_len,
                max_ref_length=config.max_ref_len,
                sound_norm_refs=config.sound_norm_refs,
            )
            self._imitated[sentence.references] = (
                voice["gpt_conditioning_latents"],
                voice["speaker_embedding"],
            )
        found: tuple[Any, Any] = self._imitated[sentence.references]
        return found


def _cloned(model: Any, references: tuple[Path, ...], **settings: Any) -> dict[str, Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations between librosa and its packages
            voice: dict[str, Any] = model.clone_voice(list(map(str, references)), **settings)
    except (RuntimeError, OSError, ValueError) as error:
        words = " ".join(str(error).split())[:160]
        raise VoiceError(f"{references[0]}: cannot be imitated ({words})") from error
    return voice


class _RowNoise(TorchFunctionMode):
    """Inside it, `torch.randn(rows, channels, time)` has a seed for each row.

    Each call has a stream of its own, drawn time by time, so that how far the batch is padded does
    not matter.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        super().__init__()
        self._seeds = seeds
        self._calls = 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function is torch.randn_like:
            shape, device = tuple(args[0].shape), args[0].device
        elif function is torch.randn:
            shape, device = tuple(args), "cpu"
        else:
            return function(*args, **(kwargs or {}))
        rows, channels, time = shape
        assert rows == len(self._seeds), f"noise of shape {shape} is not one row a sentence"
        streams = [np.random.Philox(key=(seed, self._calls)) for seed in self._seeds]
        self._calls += 1
        noise = np.stack(
            [
                np.random.Generator(stream).standard_normal((time, channels), np.float32).T
                for stream in streams
            ]
        )
        return torch.from_numpy(noise).to(device)


def _is_sound(symbol: str) -> bool:
    """A letter, a sound or a digit; no stress or length mark, no punctuation."""
    return unicodedata.category(symbol) in ("Lu", "Ll", "Lo", "Nd")


def _is_foreign(symbol: str) -> bool:
    return symbol.isalpha() and not unicodedata.name(symbol, "").startswith(
        ("LATIN", "GREEK", "MODIFIER")
    )
