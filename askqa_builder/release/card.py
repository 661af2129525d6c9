"""The data set's card: README.md, from a template in data_cards/ and the release's own figures.

Text that comes from passages is untrusted: it appears only inside fences that it cannot close,
or on one line with everything escaped that means something in Markdown or HTML.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askqa_builder.config import ReleaseSettings
from askqa_builder.errors import ReleaseError
from askqa_builder.files import write_text
from askqa_builder.release.markdown import counted, fenced, line
from askqa_builder.release.plots import draw
from askqa_builder.release.rows import CONFIGS, DEFAULT_CONFIG, FEATURES, Row
from askqa_builder.release.sources import SOURCES
from askqa_builder.release.stats import Statistics, quantile, statistics
from askqa_builder.release.stream import stream

if TYPE_CHECKING:
    from askqa_builder.release.folder import ReleaseManifest

CARD = "README.md"
_PAPER = """@inproceedings{chen2025datacentric,
  title     = {Data-Centric Improvements for Enhancing Multi-Modal Understanding in Spoken
               Conversation Modeling},
  author    = {Chen, Maximillian and Sun, Ruoxi and Ar{\\i}k, Sercan {\\"O}.},
  booktitle = {Findings of the Association for Computational Linguistics: ACL 2025},
  note      = {arXiv:2412.15995},
  year      = {2025}
}"""
_EXAMPLE_CHARS = 120
"""Length of the conversation that the card shows: neither bare nor long."""
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)


def write_card(folder: Path, manifest: ReleaseManifest, settings: ReleaseSettings) -> None:
    """Write README.md and its pictures into the release folder.

    Raises ReleaseError if the template does not exist or cannot be filled in.
    """
    figures = statistics(folder)
    text = _body(folder, manifest, settings, figures, draw(figures, folder))
    front = _front_matter(folder, manifest, settings, sorted(figures.languages))
    write_text(folder / CARD, f"---\n{front}---\n\n{text}\n")


def _body(
    folder: Path,
    manifest: ReleaseManifest,
    settings: ReleaseSettings,
    figures: Statistics,
    pictures: Mapping[str, str],
) -> str:
    from jinja2 import StrictUndefined, TemplateError
    from jinja2.sandbox import SandboxedEnvironment

    environment = SandboxedEnvironment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    filters: dict[str, Callable[[Any], str]] = {
        "n": lambda number: f"{number:,}",
        "hours": lambda number: f"{number:.2f}",
        "seconds": lambda number: f"{number:,.1f}",
        "counted": counted,
        "line": line,
        "fenced": fenced,
        "settings": _settings,
    }
    environment.filters |= filters
    path = template_path(settings.card)
    try:
        return environment.from_string(path.read_text()).render(
            settings=settings,
            manifest=manifest,
            statistics=figures,
            durations=_durations(figures),
            pictures=pictures,
            example=_example(folder),
            rejects=_rejects(manifest),
            sources=[(name, SOURCES.get(name)) for name in figures.sources],
            engines={name.split()[0] for name in figures.engines},
            repo=settings.repo,
            citation="\n\n".join([*_cited(figures), _PAPER]),
        )
    except (TemplateError, TypeError, ValueError) as error:
        raise ReleaseError(f"{path}: the card's template cannot be filled in: {error}") from error


def template_path(name: str) -> Path:
    """The file of a card template: a name in data_cards/, or a path."""
    package = Path(__file__).parent.parent
    for folder in (package / "data" / "data_cards", package.parent / "data_cards"):
        if (folder / f"{name}.md").is_file():
            return folder / f"{name}.md"
    if Path(name).is_file():
        return Path(name)
    raise ReleaseError(f"--card {name!r}: no such template in data_cards/, and no such file")


def _front_matter(
    folder: Path, manifest: ReleaseManifest, settings: ReleaseSettings, languages: list[str]
) -> str:
    import yaml

    rows = sum(manifest.rows["dialogues"].values())
    size = next((name for limit, name in _SIZES if rows < limit), "n>10M")
    front = {
        "pretty_name": settings.title,
        "license": manifest.license,
        "language": languages,
        "task_categories": ["question-answering", "automatic-speech-recognition"],
        "tags": ["audio", "spoken-qa", "clarifying-questions", "ambiguity", "synthetic-speech"],
        "size_categories": [size],
        "configs": [_config(folder, config, manifest) for config in CONFIGS],
        "dataset_info": [_dataset_info(folder, config, manifest) for config in CONFIGS],
    }
    return yaml.safe_dump(front, sort_keys=False, allow_unicode=True)


def _config(folder: Path, config: str, manifest: ReleaseManifest) -> dict[str, Any]:
    return {
        "config_name": config,
        **({"default": True} if config == DEFAULT_CONFIG else {}),
        "data_files": [
            # named one by one: `datasets` keys its cache on these names, and they hold a hash of
            # the content, so a new release in an old folder is never mistaken for the old one
            {"split": split, "path": [f"{config}/{file.name}" for file in files]}
            for split in manifest.rows[config]
            if (files := _files(folder, config, split))
        ],
    }


def _dataset_info(folder: Path, config: str, manifest: ReleaseManifest) -> dict[str, Any]:
    """Features and sizes, in the YAML form that `datasets` reads."""
    import datasets
    import pyarrow.parquet as pq

    splits, download = [], 0
    for split, rows in manifest.rows[config].items():
        size = 0
        for path in _files(folder, config, split):
            download += path.stat().st_size
            metadata = pq.read_metadata(path)
            size += sum(
                metadata.row_group(g).total_byte_size for g in range(metadata.num_row_groups)
            )
        splits.append({"name": split, "num_bytes": size, "num_examples": rows})
    features = datasets.Features.from_dict(FEATURES[config])
    return {
        "config_name": config,
        "features": features._to_yaml_list(),
        "splits": splits,
        "download_size": download,
        "dataset_size": sum(entry["num_bytes"] for entry in splits),
    }


def _files(folder: Path, config: str, split: str) -> list[Path]:
    return sorted((folder / config).glob(f"{split}-*.parquet"))


def _example(folder: Path) -> dict[str, Any] | None:
    """An ambiguous conversation of usual length, from its ambiguous question on."""

    def oddness(row: Row) -> tuple[bool, int]:
        length = sum(len(turn["text"]) for turn in row["turns"])
        return len(row["turns"]) != 4, abs(length - _EXAMPLE_CHARS)

    ambiguous = (row for _, row in stream(folder, "text") if row["ambiguous"])
    row = min(ambiguous, key=oddness, default=None)
    if row is None:
        return None
    turns = "\n".join(f"{turn['role'] + ':':11}{turn['text']}" for turn in row["turns"])
    readings = [
        {
            "question": reading["question"],
            "answer": next(iter(reading["answers"]), ""),
            "meant": index == row["intended"],
        }
        for index, reading in enumerate(row["readings"])
    ]
    return {"title": row["title"] or row["passage_id"], "text": turns, "readings": readings}


def _durations(figures: Statistics) -> dict[str, dict[str, float]]:
    """Seconds that half, and 95 of 100, of the clips do not exceed, and the longest."""
    shares = {"median": 0.5, "95 %": 0.95, "longest": 1.0}
    found = {"turn": figures.turn_seconds, "narration of a passage": figures.narration_seconds}
    return {
        what: {name: quantile(seconds, share) for name, share in shares.items()}
        for what, seconds in found.items()
    }


def _cited(figures: Statistics) -> list[str]:
    about = (SOURCES.get(name) for name in figures.sources)
    return [source.citation for source in about if source is not None and source.citation]


def _settings(stage: Mapping[str, Any]) -> str:
    """`name value; other value`: the settings of a stage, what is nested as JSON."""

    def plain(value: Any) -> str:
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return ", ".join(value)
        return value if isinstance(value, str) else json.dumps(value)

    return "; ".join(
        f"{line(name)} {line(plain(value))}" for name, value in stage["settings"].items()
    )


def _rejects(manifest: ReleaseManifest) -> dict[str, dict[str, Any]]:
    """By stage: how many came in, how many went out, and why the rest did not."""
    table = {}
    for name, title in (
        ("passages", "reading passages"),
        ("dialogues", "writing dialogues"),
        ("speech", "speaking dialogues"),
    ):
        stage: Any = manifest.stages[name]
        counts = stage["counts"]
        accepted = counts.get("accepted", counts.get("passages", 0))
        rejected = counts.get("rejected", 0)
        table[title] = {
            "candidates": accepted + rejected,
            "accepted": accepted,
            "rejected": rejected,
            "reasons": {
                key.removeprefix("rejected:").replace("_", " "): count
                for key, count in counts.items()
                if key.startswith("rejected:")
            },
        }
    return table
