"""The parts of transformers and accelerate that training uses.

They are imported here because torchaudio, which they import, has to be mended before.
"""

from __future__ import annotations

from typing import Any

from askqa_builder.torchaudio_cpu import mend_torchaudio

mend_torchaudio()

from accelerate import PartialState  # noqa: E402
from transformers import (  # noqa: E402
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    set_seed,
)
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR  # noqa: E402


def processes() -> PartialState:
    """The processes that train together, one a device; on a CPU, those that torchrun started."""
    import torch

    return PartialState(cpu=not torch.cuda.is_available())


def quiet_libraries() -> None:
    """Leave progress and warnings to us: no bars, errors alone."""
    from transformers import utils

    logging: Any = utils.logging
    logging.disable_progress_bar()
    logging.set_verbosity_error()


__all__ = [
    "PREFIX_CHECKPOINT_DIR",
    "PrinterCallback",
    "Trainer",
    "TrainerCallback",
    "TrainerControl",
    "TrainerState",
    "TrainingArguments",
    "processes",
    "quiet_libraries",
    "set_seed",
]
