"""Examples → tensors, for any processor that has a chat template and hears.

prompt, exactly as the model gets it when it responds        what it is to say, and the end
<|user|> … ♪♪♪♪ … <|assistant|>                               A horse.<|end|>
labels  -100 … -100                                          A horse.<|end|>
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from askqa_builder.audio_models import Ears, is_mistral
from askqa_builder.errors import ModelError, TrainingError
from askqa_builder.learn.examples import Chat, Example

if TYPE_CHECKING:
    import torch

IGNORED = -100
"""The label of tokens that no loss is taken on."""
IDS = "example_ids"
"""Key of a batch: which examples it holds."""
_TAIL = 4
"""Tokens at either end of a prompt that are compared with its text."""
_KNOWN = 10_000
"""Texts whose tokens are kept: instructions and short answers come again and again."""


class Collator:
    """Makes a batch of examples, checked so that nothing is cut without a word."""

    def __init__(
        self,
        name: str,
        processor: Any,
        *,
        longest: int | None = None,
        transcripts: bool = False,
        ends: Sequence[int] = (),
    ) -> None:
        """`name` is the model's, for errors; `longest` its context in tokens.

        `transcripts`: with what is said in the clips, for a processor with `transcript_labels`.
        `ends` are the tokens at which the model stops, beside the tokenizer's own.
        """
        self._name, self._processor, self._longest = name, processor, longest
        self._ears = Ears(name, processor)
        self._is_mistral = is_mistral(processor)
        self._audio_token: int | None = getattr(processor, "audio_token_id", None)
        self._transcripts = transcripts and hasattr(processor, "transcript_labels")
        self._ends = {*ends, processor.tokenizer.eos_token_id}
        self._known: dict[tuple[str, bool], list[int]] = {}

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """The processor's tensors with each target appended, padded on the right; `labels` of the
        shape of `input_ids`; and `example_ids`.

        Raises TrainingError, naming the example, for a clip that is longer than the model hears,
        for sounds without a place in the prompt or the other way round, for a prompt that was
        cut, and for one that with its target is longer than the model's context.
        """
        prompts = [self.prompt(example) for example in examples]
        batch = self._processed(examples, prompts)
        mask = batch["attention_mask"].bool()
        rows = [ids[here].tolist() for ids, here in zip(batch["input_ids"], mask, strict=True)]
        targets = []
        for example, prompt, row in zip(examples, prompts, rows, strict=True):
            text = self._text(prompt)
            self._check(example, row, text)
            targets.append(self._target(example, prompt, text))
            if self._longest is not None and len(row) + len(targets[-1]) > self._longest:
                raise TrainingError(
                    f"example {example.id!r} has {len(row) + len(targets[-1])} tokens; "
                    f"{self._name} takes {self._longest}"
                )
        shape = batch["input_ids"].shape
        per_token = [k for k, v in batch.items() if getattr(v, "shape", None) == shape]
        for key in per_token:
            own = [v[here] for v, here in zip(batch[key], mask, strict=True)]
            # masks cover the target, token types are those of text
            added = {"input_ids": targets, "attention_mask": [[1] * len(t) for t in targets]}
            batch[key] = _joined(
                own,
                added.get(key, [[0] * len(t) for t in targets]),
                self._pad if key == "input_ids" else 0,
            )
        batch["labels"] = _joined(
            [batch["input_ids"].new_full((len(row),), IGNORED) for row in rows],
            targets,
            IGNORED,
        )
        if self._transcripts:
            batch |= self._processor.transcript_labels([list(e.transcripts) for e in examples])
        batch[IDS] = [example.id for example in examples]
        return batch

    def _processed(self, examples: Sequence[Example], prompts: list[Chat]) -> dict[str, Any]:
        try:
            return dict(
                self._processor.apply_chat_template(
                    prompts,
                    add_generation_prompt=True,
                    tokenize=True,
                    return_dict=True,
                    return_tensors="pt",
                    processor_kwargs={"padding": True},
                )
            )
        except ValueError as error:  # counts of sounds and places that differ, for one
            words = " ".join(str(error).split())
            raise TrainingError(
                f"examples {[e.id for e in examples]}: the processor of {self._name} refuses "
                f"them: {words[:300]}"
            ) from error

    def prompt(self, example: Example) -> Chat:
        """The messages before the target, with sound as the processor takes it.

        Raises TrainingError for a clip that the model would hear only the beginning of.
        """
        try:
            return self._ears.chat(example.messages[:-1])
        except ModelError as error:
            raise TrainingError(f"example {example.id!r}: {error}") from error

    @property
    def _pad(self) -> int:
        pad: int | None = self._processor.tokenizer.pad_token_id
        return pad if pad is not None else self._processor.tokenizer.eos_token_id

    def _text(self, chat: Chat, *, prompt: bool = True) -> str | None:
        """What the chat template makes of messages; None where there is no template."""
        if self._is_mistral:
            return None
        text: str = self._processor.apply_chat_template(
            chat, add_generation_prompt=prompt, tokenize=False
        )
        return text

    def _target(self, example: Example, prompt: Chat, text: str | None) -> list[int]:
        """The tokens to say: the target and the end of the turn."""
        if text is None:
            return [*self._tokens(example.target), self._processor.tokenizer.eos_token_id]
        whole = self._text([*prompt, example.messages[-1]], prompt=False)
        said = f"{text}{example.target}"
        if whole is None or not whole.startswith(said):
            raise TrainingError(
                f"{self._name}: its chat template puts something else than the target "
                f"{example.target!r} after the prompt"
            )
        ending = self._tokens(whole.removeprefix(said), special=True)
        end = next((i for i, token in enumerate(ending) if token in self._ends), None)
        # what the template writes after the end is never generated
        ending = ending[: end + 1] if end is not None else [self._processor.tokenizer.eos_token_id]
        return [*self._tokens(example.target), *ending]

    def _tokens(self, text: str, *, special: bool = False) -> list[int]:
        """Tokens of a text; what looks like a special token is one only where that is meant."""
        key = (text, special)
        if key not in self._known:
            kwargs = {} if self._is_mistral else {"split_special_tokens": not special}
            if len(self._known) == _KNOWN:
                self._known.clear()
            self._known[key] = self._processor.tokenizer(text, add_special_tokens=False, **kwargs)[
                "input_ids"
            ]
        return self._known[key]

    def _check(self, example: Example, row: list[int], text: str | None) -> None:
        """Raise TrainingError unless the prompt is whole and has a place for each sound."""
        sounds = len(example.sounds)
        token = self._audio_token
        if token is None:
            return
        runs = sum(is_sound for is_sound, _ in groupby(row, lambda t: t == token))
        if text is not None:
            # neighbouring clips without a token between them are one run
            places = text.count(self._processor.audio_token)
            whole = runs > 0 if sounds else runs == 0
        else:
            places, whole = runs, True
        if places != sounds or not whole:
            raise TrainingError(
                f"example {example.id!r} has {sounds} sounds, and the prompt of {self._name} has "
                f"{places if whole else runs} places for them"
            )
        if text is not None:
            # the whole text: a part of it may have other tokens at its cut
            tokens = self._tokens(text, special=True)
            once = [
                t for t, last in zip(row, [None, *row], strict=False) if (t, last) != (token, token)
            ]
            if once[-_TAIL:] != tokens[-_TAIL:] or not _starts(once, tokens[:_TAIL]):
                raise TrainingError(
                    f"example {example.id!r}: the processor of {self._name} cut the prompt to "
                    f"{len(row)} tokens; its tokenizer must not truncate"
                )


def _starts(row: list[int], first: list[int]) -> bool:
    """Whether a prompt begins as its text does, after a token of beginning if there is one."""
    return first in (row[: len(first)], row[1 : len(first) + 1])


def _joined(heads: Sequence[Any], tails: Sequence[Sequence[int]], fill: int) -> torch.Tensor:
    """Heads and tails end to end, padded on the right: shape (rows, longest)."""
    import torch

    rows = [torch.cat([h, h.new_tensor(list(t))]) for h, t in zip(heads, tails, strict=True)]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=fill)


def target_texts(processor: Any, batch: Mapping[str, Any]) -> list[str]:
    """What the labels of a batch say, special tokens included."""
    labels = batch["labels"]
    return [processor.tokenizer.decode(row[row != IGNORED].tolist()) for row in labels]
