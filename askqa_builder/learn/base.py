"""The model that training starts from: one of the Hub's or of a folder, or a tiny new one."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askqa_builder.audio_models import load, need_extra
from askqa_builder.errors import MissingExtraError, ModelError

if TYPE_CHECKING:
    import torch

NEW = "tiny"
"""`--base tiny`, `tiny:medium`, or `tiny:large`: a model from scratch."""

# Where an adapter goes: the projections of every attention and feed-forward layer of the part
# that writes. The part that hears stays as it was pretrained.
_ADAPTED = (
    r"^(?!.*(?:audio|speech|vision|visual|listener|encoder)).*\."
    r"(?:q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)$"
)


def is_new(spec: str) -> bool:
    """Whether a base is built rather than loaded."""
    return spec.partition(":")[0] == NEW


def size_of(spec: str) -> str:
    """The size of a new model. Raises ModelError if there is none by that name."""
    sizes = import_module("askqa_builder.learn.tiny").SIZES
    size = spec.partition(":")[2] or next(iter(sizes))
    if size not in sizes:
        raise ModelError(f"base {spec!r}: no such size; expected one of {', '.join(sizes)}")
    return size


def open_base(
    spec: str,
    texts: Iterable[str],
    folder: Path,
    *,
    seed: int = 0,
    dtype: torch.dtype | None = None,
) -> tuple[Any, Any]:
    """The processor and the model that `spec` names: tiny[:SIZE], a folder, or ID[@REVISION].

    A new one learns its words from `texts` and is saved in `folder`, where it is found the next
    time. Raises MissingExtraError without the extra [train], ModelError where the model cannot be
    loaded, lacks weights, or takes no audio, StorageError where a new one cannot be saved.
    """
    need_extra(f"training {spec!r}")
    if is_new(spec):
        from askqa_builder.learn.saving import saving

        tiny: Any = import_module("askqa_builder.learn.tiny")
        if not (folder / "config.json").is_file():
            size = size_of(spec)
            making = folder.with_name(f".{folder.name}.tmp")  # appears whole or not at all
            with saving(folder):
                shutil.rmtree(making, ignore_errors=True)
                tiny.build(making, texts, seed=seed, size=size)
                making.rename(folder)
        return load(str(folder), dtype=dtype)
    model, revision = spec, None
    if "@" in spec and not Path(spec).exists():
        model, _, revision = spec.rpartition("@")
    return load(model, revision=revision, dtype=dtype)


def with_adapter(model: Any, rank: int) -> Any:
    """The model with a new LoRA adapter (Hu et al., 2021, arXiv 2106.09685) and all else frozen.

    `rank` is the adapter's; its scale is alpha / rank = 2. Raises MissingExtraError without peft,
    ModelError for a model that has no layers by the usual names.
    """
    if find_spec("peft") is None:
        raise MissingExtraError("--lora", "train")
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=_ADAPTED, lora_dropout=0.0, bias="none"
    )
    try:
        return get_peft_model(model, config)
    except ValueError as error:  # no layer has one of the names
        raise ModelError(
            f"{type(model).__name__} has no layers that an adapter goes to (q_proj, k_proj … of "
            "the part that writes); train all its weights, without --lora"
        ) from error
