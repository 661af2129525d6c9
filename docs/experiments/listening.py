"""Scores of listening comprehension on the test split: unseen passages, unheard voices."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from askqa_builder.asr.words import word_errors
from askqa_builder.evaluate.bootstrap import Metric, estimate
from askqa_builder.evaluate.scores import mean
from askqa_builder.learn.task_scores import right

FILE = "listening.json"


def score_listening(
    release: Path, model: Path, *, limit: int, batch: int = 32, device: Any = "cpu"
) -> dict[str, Any]:
    """Let a model do the listening task on the first `limit` dialogues of the test split.

    transcription_wer: errors per word of the transcripts that it writes. listener_wer: those of
    its listener alone, greedily read off the transcription loss's output (our small model only).
    which_was_narrated: accuracy of the letter. question_about_narration: exact match. Each with
    its 95 % interval over passages, and the best that one and the same response to everything
    would score (of the twenty most frequent).
    """
    from askqa_builder.audio_models import load
    from askqa_builder.evaluate.responders.local import LocalModel
    from askqa_builder.learn.collate import Collator
    from askqa_builder.learn.dialogues import Dialogues
    from askqa_builder.learn.examples import Examples

    examples = Examples(Dialogues(release, "test", limit=limit), {"listening": 2.0}, seed=0)
    responder = LocalModel(str(model), max_new_tokens=40, device=device)
    processor, loaded = load(str(model))
    loaded.eval()
    collator = Collator(str(model), processor)
    rows = []
    for start in range(0, len(examples), batch):
        some = [examples[i] for i in range(start, min(start + batch, len(examples)))]
        texts = responder.respond_to([example.messages[:-1] for example in some])
        rows += [
            {
                "form": e.form,
                "passage": e.passage_id,
                "target": e.target,
                "said": text if isinstance(text, str) else "",  # a failure says nothing
            }
            for e, text in zip(some, texts, strict=True)
        ]
        if hasattr(loaded, "transcribe"):
            some = [e for e in some if e.form.startswith("transcribe")]
            heard = by_listener(processor, loaded, [collator.prompt(example) for example in some])
            rows += [
                {"form": "listener", "passage": e.passage_id, "target": e.target, "said": text}
                for e, text in zip(some, heard, strict=True)
            ]
    (model / FILE).write_text(json.dumps(rows, indent=0))
    return scored(rows)


def by_listener(processor: Any, model: Any, chats: list[Any]) -> list[str]:
    """What the listener heard in conversations of one clip each: CTC, the best token a frame."""
    import torch

    inputs = processor.apply_chat_template(
        chats,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )
    frames = inputs["clip_tokens"] * model.config.frame_merge
    with torch.inference_mode():
        best = model.transcribe(model.listener(inputs["input_features"], frames)).argmax(-1)
    texts = []
    for clip in best.split(frames.tolist()):
        tokens = torch.unique_consecutive(clip)
        texts.append(processor.tokenizer.decode(tokens[tokens != 0].tolist()))
    return [texts[index] for index in inputs["clip_order"].tolist()]


def scored(rows: list[dict[str, str]]) -> dict[str, Any]:
    """The scores of what was said, and those of the best constant response."""
    found: dict[str, Any] = {}
    for name, metric_of in (
        ("transcription_wer", wer),
        ("listener_wer", wer),
        ("which_was_narrated", exact),
        ("question_about_narration", exact),
    ):
        some = [row for row in rows if score_of(row) == name]
        if not some:
            continue
        passages = [r["passage"] for r in some]
        constants = [said for said, _ in Counter(r["target"] for r in some).most_common(20)]
        best = [estimate_of(metric_of(some, said), passages, 1).value for said in constants]
        said = estimate_of(metric_of(some), passages, 1000)
        chosen = min if name.endswith("wer") else max
        found[name] = asdict(said) | {"best_constant": chosen(v for v in best if v is not None)}
    return found


def score_of(row: dict[str, str]) -> str:
    """The score that a row goes into."""
    if row["form"].startswith("transcribe"):
        return "transcription_wer"
    return "listener_wer" if row["form"] == "listener" else row["form"]


def estimate_of(metric: Metric, passages: list[str], resamples: int) -> Any:
    return estimate({"score": metric}, passages, resamples=resamples)["score"]


def exact(rows: list[dict[str, str]], said: str | None = None) -> Metric:
    """Right responses, as `train` counts them; `said` instead of what the model said."""
    return mean([right(r["said"] if said is None else said, r["target"]) for r in rows])


def wer(rows: list[dict[str, str]], said: str | None = None) -> Metric:
    """Word errors per word, as a recogniser's are counted."""
    counts = [_word_errors(r["target"], r["said"] if said is None else said) for r in rows]
    errors, words = np.array(counts, dtype=float).T
    return Metric((errors, words), lambda e, w: e / np.maximum(w, 1))


@cache
def _word_errors(target: str, said: str) -> tuple[int, int]:
    return word_errors(target, target, said)
