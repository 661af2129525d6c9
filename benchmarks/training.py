"""Training speed: examples a second, what loading costs, memory, and on a GPU the share of peak.

    python benchmarks/training.py                  a new small model on a data set made for it
    python benchmarks/training.py --base qwen2-audio --lora 16 --checkpointing --workers 8 \
        --peak-tflops 989

Each base is trained for the same steps by the same trainer on real batches (read, decoded,
collated as in a run), and on the same batches made beforehand, these also by transformers' plain
Trainer. `loading` is how much longer real ones take. Memory is the most that this process took
in all of these runs, the batches made beforehand included. `qwen2-audio` is a Qwen2-Audio of the
published size with random weights, and without --processor with words learnt from the data.

Model FLOPs utilisation (Chowdhery et al., 2022, PaLM, appendix B) = FLOPs a step / step time /
peak. A token costs 2 FLOPs a parameter forward, 2 for the gradient of what it came from and 2 for
that of the weights (Kaplan et al., 2020, section 2.1), attention left out: 6 N where weights learn,
4 N with an adapter on frozen ones, 2 N in a frozen encoder. 989 TFLOP/s: one H100 SXM, dense bf16.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from made import make
from results import result

from askqa_builder.audio_models import context_of
from askqa_builder.learn.base import open_base, with_adapter
from askqa_builder.learn.collate import IDS, Collator
from askqa_builder.learn.dialogues import Dialogues
from askqa_builder.learn.examples import Examples
from askqa_builder.learn.hf import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from askqa_builder.learn.settings import TrainSettings
from askqa_builder.learn.tasks import mixture_of
from askqa_builder.learn.trainer import AskqaTrainer

_WARM_UP = 3


class Clock(TrainerCallback):
    """The time at which each step ended."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        _wait()
        self.ends.append(time.perf_counter())

    def seconds(self) -> float:
        """Median seconds a step, the first ones left out."""
        steps = sorted(b - a for a, b in pairwise(self.ends[_WARM_UP:]))
        return steps[len(steps) // 2]


def _wait() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


class Recorder(Collator):
    """A collator that keeps what it makes, or gives what was kept."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept: dict[tuple[str, ...], dict[str, Any]] = {}
        self.gives = False

    def __call__(self, examples: Sequence[Any]) -> dict[str, Any]:
        if self.gives:
            return dict(self.kept[tuple(examples)])
        batch = super().__call__(examples)
        self.kept[tuple(batch[IDS])] = dict(batch)
        return batch


class Names:
    """The ids of examples in their place: nothing is read or decoded."""

    def __init__(self, examples: Examples) -> None:
        self._examples = examples
        self.place, self.dialogues = examples.place, examples.dialogues

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> str:
        return self._examples.place(index).id


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Run both, and say what each took."""
    import torch

    on_gpu = torch.cuda.is_available()
    if not on_gpu:
        torch.set_num_threads(1)  # the other cores make batches ready
    settings = TrainSettings(
        base=args.base, batch_size=args.batch_size, lora=args.lora, steps=args.steps
    )

    def data() -> Examples:
        return Examples(Dialogues(args.release, "train"), mixture_of(args.tasks), seed=0)

    examples = data()
    with tempfile.TemporaryDirectory() as folder:
        processor, model = _base(args, examples, Path(folder) / "base")
        if args.checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        parts = _parameters(model)
        if args.lora:
            model = with_adapter(model, args.lora)
        recorder = Recorder(
            args.base, processor, longest=context_of(model), transcripts="listening" in args.tasks
        )

        ours = partial(
            AskqaTrainer,
            settings=settings,
            collator=recorder,
            validation_collator=recorder,
            validated=lambda trainer, metrics: None,
        )

        def without_ids(examples: Sequence[str]) -> dict[str, Any]:
            return {name: value for name, value in recorder(examples).items() if name != IDS}

        plain = partial(Trainer, data_collator=without_ids)

        def run(train_dataset: Any, workers: int, trainer_of: Any = ours) -> float:
            clock = Clock()
            trainer = trainer_of(
                model=model,
                args=TrainingArguments(
                    output_dir=folder,
                    max_steps=args.steps,
                    per_device_train_batch_size=args.batch_size,
                    bf16=on_gpu,
                    use_cpu=not on_gpu,
                    save_strategy="no",
                    dataloader_num_workers=workers,
                    train_sampling_strategy="sequential",  # the plain one's; ours groups examples
                    remove_unused_columns=False,
                    report_to="none",
                    disable_tqdm=True,
                ),
                train_dataset=train_dataset,
                callbacks=[clock],
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            return clock.seconds()

        run(examples, 0)  # fills the recorder, and warms everything up
        times: dict[str, list[float]] = {"real": [], "ready": [], "plain": []}
        names = [name for batch in recorder.kept for name in batch]
        for _ in range(args.repeats):  # in turn, so that a noisy minute hits both
            recorder.gives = False
            times["real"].append(run(data(), args.workers))  # nothing decoded yet
            recorder.gives = True
            times["ready"].append(run(Names(examples), 0))
            times["plain"].append(run(names, 0, plain))
        real, ready, plainly = (min(seconds) for seconds in times.values())
        batches = list(recorder.kept.values())
    result = {
        "base": args.base,
        "parameters": sum(parts.values()),
        "batch_size": args.batch_size,
        "workers": args.workers,
        "seconds_a_step": {
            "real batches": real,
            "batches made beforehand": ready,
            "plain Trainer": plainly,
        },
        "examples_a_second": args.batch_size / real,
        "loading": real / ready - 1,
        "peak_memory_gib": {
            "process": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
            **({"gpu": torch.cuda.max_memory_allocated() / 2**30} if on_gpu else {}),
        },
        "device": torch.cuda.get_device_name() if on_gpu else f"{os.cpu_count()} CPU cores",
        "threads": torch.get_num_threads(),
    }
    if args.peak_tflops:
        flops = _flops(parts, batches, args)
        result["tflops_a_step"] = flops / 1e12
        result["model_flops_utilisation"] = flops / real / (args.peak_tflops * 1e12)
    return result


def _base(args: argparse.Namespace, examples: Examples, folder: Path) -> tuple[Any, Any]:
    """The base, or a Qwen2-Audio of the published size with random weights."""
    import torch

    if args.base != "qwen2-audio":
        return open_base(args.base, examples.texts(), folder)
    from transformers import Qwen2AudioConfig, Qwen2AudioForConditionalGeneration

    dtype = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    processor = _processor(args.processor, examples)
    config = Qwen2AudioConfig(  # what the published 7B has: Whisper large-v3 and Qwen-7B
        text_config={
            "model_type": "qwen2",
            "hidden_size": 4096,
            "intermediate_size": 11008,
            "num_hidden_layers": 32,
            "num_attention_heads": 32,
            "num_key_value_heads": 32,
            "vocab_size": 156032,
        },
        audio_token_index=processor.tokenizer.convert_tokens_to_ids("<|AUDIO|>"),
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        torch.set_default_dtype(dtype)
        model = Qwen2AudioForConditionalGeneration(config)
        torch.set_default_dtype(torch.float32)
    return processor, model


def _processor(folder: str | None, examples: Examples) -> Any:
    """The one that is there, or one of the published shape whose words are those of the data."""
    from transformers import AutoProcessor, Qwen2AudioProcessor, WhisperFeatureExtractor

    auto: Any = AutoProcessor
    if folder is not None:
        return auto.from_pretrained(folder)
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from tiny_audio_model import tiny_tokenizer

    whisper = WhisperFeatureExtractor(feature_size=128, chunk_length=30)
    return Qwen2AudioProcessor(whisper, tiny_tokenizer(examples.texts()))


def _parameters(model: Any) -> dict[str, int]:
    """Parameters of the part that hears, of the part that writes, and of its table of words.

    Looking a word up costs nothing; the matrix that scores words is part of what writes.
    """
    counts = {"hears": 0, "writes": 0, "words": 0}
    for name, parameter in model.named_parameters():
        hears = any(word in name for word in ("audio_tower", "listener", "encoder"))
        kind = "hears" if hears else "words" if "embed" in name else "writes"
        counts[kind] += parameter.numel()
    return counts


def _flops(parts: dict[str, int], batches: list[dict[str, Any]], args: Any) -> float:
    """FLOPs of a step, mean over the batches: padded positions are not counted."""
    tokens = sum(int(b["attention_mask"].sum()) for b in batches) / len(batches)
    # two frames of 10 ms make a position of Whisper's encoder, which always hears its window
    heard = sum(
        b["input_features"].shape[0] * b["input_features"].shape[-1] / 2
        for b in batches
        if "input_features" in b
    ) / len(batches)
    writes, hears = (4, 2) if args.lora else (6, 6)
    return writes * parts["writes"] * tokens + hears * parts["hears"] * heard


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--release", type=Path, help="one that is there, instead of a new one")
    parser.add_argument("--base", default="tiny")
    parser.add_argument("--processor", help="folder with the processor, for --base qwen2-audio")
    parser.add_argument("--tasks", default="main,listening,reasoning,response")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many counts")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--lora", type=int)
    parser.add_argument("--checkpointing", action="store_true")
    parser.add_argument("--peak-tflops", type=float)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        args.release = args.release or make("world:200,facts=3,style=plain", Path(folder) / "build")
        found = measure(args)
    print(json.dumps(found, indent=1))
    steps = found["seconds_a_step"]
    what = f"training, {args.base}, batches of {args.batch_size}"
    result(f"{what}: examples", found["examples_a_second"], "examples/s")
    result(f"{what}: a step", 1000 * steps["real batches"], "ms")
    result(
        f"{what}: a step, batches made beforehand",
        1000 * steps["batches made beforehand"],
        "ms",
        peer="plain Trainer",
        peer_value=1000 * steps["plain Trainer"],
    )
    result(f"{what}: what loading adds", 100 * found["loading"], "%", at_most=5)
    result(
        f"{what}: peak memory of the whole benchmark", found["peak_memory_gib"]["process"], "GiB"
    )
    if "gpu" in found["peak_memory_gib"]:
        gpu_gib = found["peak_memory_gib"]["gpu"]
        result(f"{what}: peak memory of the GPU, whole benchmark", gpu_gib, "GiB")
    if "model_flops_utilisation" in found:
        result(f"{what}: model FLOPs utilisation", found["model_flops_utilisation"], "of peak")


if __name__ == "__main__":
    main()
