"""A Coqui model on disk: which files it has, what kind it is, who speaks in it.

    model/
        config.json            kind (`"model": "vits"`), sample rate, symbols, names of other files
        model_file.pth         the weights
        speaker_ids.json       names of the speakers
        speakers.csv           yours: speaker, sex, accent, description; the speakers to cast
        speaker-info.txt       instead of it: the table that the VCTK corpus comes with

Nothing here imports torch unless the names are in a torch file, so listing speakers and finding
out that a build is up to date are quick.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from askqa_builder.errors import VoiceError
from askqa_builder.files import sha256_of
from askqa_builder.schema import Sex
from askqa_builder.voices import coqui_cpu

DEFAULT_MODEL = "tts_models/en/vctk/vits"
TERMS_VARIABLE = "COQUI_TOS_AGREED"

Kind = Literal["vits", "xtts"]
KINDS: tuple[Kind, ...] = ("vits", "xtts")
"""Models that make sound from text by themselves; others need a vocoder beside them."""

_WEIGHTS = ("model_file.pth", "model_file.pth.tar", "model.pth", "best_model.pth")
# Paths in config.json are those of the machine that trained; the files lie beside it by these
# names: the one in the path, or those that Coqui itself looks for.
_BESIDE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("speaker_file", ()),
    ("speakers_file", ("speaker_ids.json", "speakers.json", "speaker_ids.pth", "speakers.pth")),
    ("d_vector_file", ("speakers.json", "speakers.pth")),
    ("language_ids_file", ("language_ids.json",)),
    ("speaker_encoder_model_path", ("model_se.pth", "model_se.pth.tar")),
    ("speaker_encoder_config_path", ("config_se.json",)),
)
_XTTS_SPEAKERS = "speakers_xtts.pth"
_SEXES: Mapping[str, Sex] = {"f": "female", "female": "female", "m": "male", "male": "male"}


@dataclass(frozen=True)
class Facts:
    """What a table beside the model says about a speaker."""

    sex: Sex = "unknown"
    accent: str = "unknown"
    description: str = ""


@dataclass(frozen=True)
class ModelFiles:
    """A model whose files are all there."""

    name: str
    """For provenance: Coqui's name of it, or that of its folder; never a path."""
    folder: Path
    weights: Path
    config: dict[str, Any]
    """config.json, with paths that exist on this machine."""
    kind: Kind

    @cached_property
    def digest(self) -> str:
        """Hash of every file that shapes the sound. Reads the weights: about 0.5 s a gigabyte."""
        total = hashlib.sha256()
        for path in sorted(self._files()):
            total.update(f"{path.name}\0{sha256_of(path).sha256}\n".encode())
        return total.hexdigest()

    @cached_property
    def speaker_names(self) -> tuple[str, ...]:
        """As the model has them, in its order; one empty name if it knows a single speaker.

        Raises VoiceError if the file with the names cannot be read.
        """
        if self.kind == "xtts":
            path = self.folder / _XTTS_SPEAKERS
            return tuple(_read_names(path)) if path.is_file() else ()
        arguments = self.config["model_args"]
        if arguments.get("use_d_vector_file"):
            clips = _read_names(Path(_first(arguments["d_vector_file"])))
            return tuple(sorted({clip["name"] for clip in clips.values()}))
        if arguments.get("use_speaker_embedding"):
            if self.config.get("speakers"):
                return tuple(self.config["speakers"])
            ids = _read_names(Path(arguments["speakers_file"]))
            return tuple(sorted(ids, key=ids.__getitem__))
        return ("",)

    def _files(self) -> Iterator[Path]:
        yield self.weights
        yield self.folder / "config.json"
        for name in (_XTTS_SPEAKERS, "vocab.json"):
            if (self.folder / name).is_file():
                yield self.folder / name
        for key, _ in _BESIDE:
            if path := _first(self.config["model_args"].get(key)):
                yield Path(path)


def find_model(model: str) -> ModelFiles:
    """Find the model that `--voices coqui:MODEL` means: a folder, a .pth file in one, or a name.

    A name that is not on this machine yet is downloaded. Raises VoiceError, saying what is
    missing and what to do.
    """
    model = model or DEFAULT_MODEL
    path = Path(model).expanduser()
    if path.is_dir():
        return _read_folder(path, path.resolve().name)
    if path.is_file():
        return _read_folder(path.parent, path.resolve().parent.name, path)
    if not re.fullmatch(r"tts_models/[\w.-]+/[\w.-]+/[\w.-]+", model):
        raise VoiceError(
            f"--voices coqui:{model}: there is no such folder, and a model's name looks like "
            f"{DEFAULT_MODEL!r}"
        )
    return _read_folder(_download(model), model)


def read_facts(folder: Path) -> dict[str, Facts]:
    """Read `speakers.csv`, else VCTK's `speaker-info.txt`; empty if there is neither.

    Raises VoiceError naming the line that cannot be read.
    """
    path = folder / "speakers.csv"
    if path.is_file():
        return dict(_facts(path))
    path = folder / "speaker-info.txt"
    if path.is_file():
        return dict(_vctk_facts(path))
    return {}


def _facts(path: Path) -> Iterator[tuple[str, Facts]]:
    rows = csv.DictReader(io.StringIO(_table(path), newline=""))
    if "speaker" not in (rows.fieldnames or ()):
        raise VoiceError(
            f"{path}:1: no column 'speaker'; the columns are speaker, sex, accent, description"
        )
    for row in rows:
        where = f"{path}:{rows.line_num}"
        if row["speaker"] is None:
            raise VoiceError(f"{where}: no speaker in this line; complete it, or delete it")
        yield (
            row["speaker"].strip(),
            Facts(
                _sex(row.get("sex"), where),
                (row.get("accent") or "").strip() or "unknown",
                (row.get("description") or "").strip(),
            ),
        )


def _vctk_facts(path: Path) -> Iterator[tuple[str, Facts]]:
    """Yield the lines `p225  23  F    English    Southern  England` (some lack the p)."""
    for number, line in enumerate(_table(path).splitlines(), start=1):
        cells = line.split()
        if not cells or cells[0] == "ID":
            continue
        if len(cells) < 3:
            raise VoiceError(f"{path}:{number}: not a line of VCTK's speaker-info.txt: {line!r}")
        accent, region = cells[3] if len(cells) > 3 else "unknown", " ".join(cells[4:])
        yield (
            f"p{cells[0].removeprefix('p')}",
            Facts(
                _sex(cells[2], f"{path}:{number}"),
                # "NorthernIrish"; p280 has "Unknown"
                re.sub(r"(?<=[a-z])(?=[A-Z])", " ", accent).replace("Unknown", "unknown"),
                f"aged {cells[1]}" + (f", {region}" if region else ""),
            ),
        )


def _table(path: Path) -> str:
    """The text of a table, which a spreadsheet may have saved in an encoding of its own."""
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise VoiceError(f"{path}:{number}: not UTF-8; save the table as UTF-8") from error


def _sex(text: str | None, where: str) -> Sex:
    known = (text or "").strip().lower()
    if known in ("", "unknown"):
        return "unknown"
    if known not in _SEXES:
        raise VoiceError(f"{where}: sex {text!r} is none of F, M, female, male, unknown")
    return _SEXES[known]


def _read_folder(folder: Path, name: str, weights: Path | None = None) -> ModelFiles:
    path = folder / "config.json"
    again = f"download the model again, or copy the whole folder (now in it: {_listing(folder)})"
    if not path.is_file():
        raise VoiceError(f"{folder}: no config.json, so no Coqui model; {again}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise VoiceError(f"{path}: not JSON ({error}); {again}") from error
    kind = config.get("model") if isinstance(config, dict) else None
    if kind not in KINDS:
        raise VoiceError(
            f"{path}: a model of kind {kind!r} cannot speak by itself; expected one of "
            f"{list(KINDS)}"
        )
    if weights is None:
        weights = _find_weights(folder, again)
    if not isinstance(config.get("model_args"), dict):
        raise VoiceError(f"{path}: no 'model_args'; {again}")
    _set_paths(config, folder, again)
    return ModelFiles(name, folder, weights, config, cast(Kind, kind))


def _find_weights(folder: Path, again: str) -> Path:
    for name in _WEIGHTS:
        if (folder / name).is_file():
            return folder / name
    found = sorted(folder.glob("checkpoint_*.pth"))
    if not found:
        raise VoiceError(f"{folder}: no weights ({', '.join(_WEIGHTS)}); {again}")
    if len(found) > 1:
        raise VoiceError(
            f"{folder}: several checkpoints; name one, as in coqui:{found[-1].as_posix()}"
        )
    return found[0]


def _set_paths(config: dict[str, Any], folder: Path, again: str) -> None:
    """Point the paths of a config at the files beside it: nothing else is ever opened."""
    arguments = config["model_args"]
    needed = {
        "speakers_file": arguments.get("use_speaker_embedding") and not config.get("speakers"),
        "d_vector_file": arguments.get("use_d_vector_file"),
    }
    for key, names in _BESIDE:
        value = _first(arguments.get(key) or config.get(key))
        if not value and not needed.get(key):
            continue
        candidates = (re.split(r"[/\\]", value or "")[-1], *names)
        found = next((str(folder / n) for n in candidates if n and (folder / n).is_file()), None)
        if found is None and needed.get(key):
            raise VoiceError(f"{folder}: {candidates[0] or names[0]} is missing; {again}")
        for section in (config, arguments):
            if key in section:
                section[key] = [found] if found and isinstance(section[key], list) else found
        arguments[key] = [found] if found and key == "d_vector_file" else found
    characters = config.get("characters") or {}
    class_name = str(characters.get("characters_class") or "TTS.")
    if not class_name.startswith("TTS."):
        raise VoiceError(
            f"{folder / 'config.json'}: characters_class {class_name!r} is code from elsewhere; "
            "only Coqui's own classes are loaded"
        )


def _download(name: str) -> Path:
    """The folder of a model by name; downloads it the first time."""
    coqui_cpu.prepare()
    import zipfile

    from TTS.utils.manage import ModelManager

    manager = ModelManager(progress_bar=sys.stderr.isatty())
    _, language, corpus, short_name = name.split("/")
    try:
        item = manager.models_dict["tts_models"][language][corpus][short_name]
    except KeyError as error:
        known = manager.models_dict["tts_models"].get(language, {})
        names = [f"tts_models/{language}/{c}/{n}" for c, models in known.items() for n in models]
        raise VoiceError(f"Coqui has no model {name!r}; of {language!r} it has {names}") from error
    folder = manager.output_prefix / name.replace("/", "--")
    if not manager.tos_agreed(item, folder):  # it would ask on the terminal
        raise VoiceError(
            f"{name} may be used under the terms of its licence only ({item.get('license')}, "
            f"https://tts-hub.github.io/cpml): read them, then set the environment variable "
            f"{TERMS_VARIABLE}=1 to accept them"
        )
    try:
        weights, _, _ = manager.download_model(name)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        words = " ".join(str(error).split())[:200]
        raise VoiceError(
            f"{name}: cannot be had ({words}); if {folder} is a download that broke off, delete "
            f"it and run again, or copy the model from elsewhere: --voices coqui:FOLDER"
        ) from error
    return Path(weights if weights.is_dir() else weights.parent)


def _read_names(path: Path) -> dict[str, Any]:
    try:
        if path.suffix == ".json":
            names = json.loads(path.read_text(encoding="utf-8"))
        else:
            import pickle

            import torch

            try:
                names = torch.load(path, map_location="cpu", weights_only=True)
            except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
                raise ValueError(str(error).splitlines()[0]) from error
    except (OSError, ValueError) as error:
        raise VoiceError(f"{path}: no list of speakers ({error}); download it again") from error
    if not isinstance(names, dict) or not names:
        raise VoiceError(f"{path}: no list of speakers; download it again")
    return names


def _first(value: Any) -> str:
    """Coqui has some paths as a list of one."""
    value = value[0] if isinstance(value, list) and value else value
    return str(value) if value else ""


def _listing(folder: Path) -> str:
    names = sorted(p.name for p in folder.iterdir())
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "") or "nothing"
