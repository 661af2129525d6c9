"""Opens a release with its audio as arrays, where torchcodec is not installed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askqa_builder.errors import ReleaseError
from askqa_builder.release.rows import CONFIGS, DEFAULT_CONFIG

if TYPE_CHECKING:
    from datasets import Dataset, DatasetDict


def load_release(
    path: str | Path, config: str = DEFAULT_CONFIG, *, revision: str | None = None
) -> DatasetDict:
    """Load a release folder or Hub id like `datasets.load_dataset`, decoding through soundfile.

    Every audio is `{"path": str, "array": float32 of shape (n,), "sampling_rate": 16000}`; with
    `load_dataset` itself the same rows need torchcodec. Raises ReleaseError if `config` is none
    of dialogues, turns, text, or the folder is no release.
    """
    import datasets

    if config not in CONFIGS:
        raise ReleaseError(f"config {config!r} unknown; expected one of {list(CONFIGS)}")
    folder = Path(path)
    if folder.is_dir() and not any((folder / config).glob("*.parquet")):
        raise ReleaseError(f"{path}: is no release: no {config}/*.parquet; is it BUILD/release?")
    if not folder.is_dir() and not re.fullmatch(r"[\w.-]+/[\w.-]+", str(path)):
        raise ReleaseError(f"{path}: no such folder, and no Hub id (NAME/SET)")
    loaded = datasets.load_dataset(str(path), config, revision=revision)
    return datasets.DatasetDict({split: _decoding(rows) for split, rows in loaded.items()})


def _decoding(rows: Dataset) -> Dataset:
    """The same table under features that leave audio as bytes, decoded by our own transform."""
    import datasets

    plain = datasets.Features.from_dict(_undecoded(rows.features.to_dict()))
    info = datasets.DatasetInfo(features=plain)
    return datasets.Dataset(rows.data, info=info, split=rows.split).with_transform(_decoded)


def _undecoded(features: Any) -> Any:
    """The same features with every Audio left as bytes."""
    if isinstance(features, list):
        return [_undecoded(item) for item in features]
    if not isinstance(features, dict):
        return features
    if features.get("_type") == "Audio":
        return {**features, "decode": False}
    return {name: _undecoded(value) for name, value in features.items()}


def _decoded(batch: Any) -> Any:
    """Replace every `{bytes, path}` in a batch by its array."""
    from askqa_builder.audio import decode

    if isinstance(batch, list):
        return [_decoded(item) for item in batch]
    if not isinstance(batch, dict):
        return batch
    if set(batch) == {"bytes", "path"}:
        samples, rate = decode(batch["bytes"])
        return {"path": batch["path"], "array": samples, "sampling_rate": rate}
    return {name: _decoded(value) for name, value in batch.items()}
