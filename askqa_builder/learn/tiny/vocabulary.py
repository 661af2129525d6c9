"""A tokenizer made from the texts at hand: whole words, and bytes for all other text."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, AUDIO, END, HEARD, USER, ASSISTANT, SYSTEM = (
    "<|pad|>",
    "<|audio|>",
    "<|end|>",
    "<|heard|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
)
SPECIAL = (PAD, AUDIO, END, HEARD, USER, ASSISTANT, SYSTEM)

_PIECE = re.compile(r" ?\w+| ?[^\s\w]+|\s+")
_INSTRUCTION_WORDS, _INSTRUCTION_SHARE = 7, 0.005


def normalised(transcript: str) -> str:
    """What a listener can tell from the sound: lower case, no punctuation, a space before each
    word."""
    return "".join(f" {word}" for word in re.findall(r"\w+(?:['’]\w+)*", transcript.lower()))


def make_tokenizer(texts: Iterable[str], limit: int) -> PreTrainedTokenizerFast:
    """Learn at most `limit` words from texts, as they are and as they are normalised.

    What recurs word for word, a line of seven words or more (an instruction) or a text with line
    ends (layout), is one token. Any text comes back as it went in, and one that spells special
    tokens stays text.
    """
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    written = list(texts)
    lines = Counter(line for text in written for line in text.split("\n"))
    often = max(10, int(_INSTRUCTION_SHARE * len(written)))
    instructions = {
        line
        for line, count in lines.items()
        if count >= often and len(line.split()) >= _INSTRUCTION_WORDS
    }
    layout = {t for t, n in Counter(written).items() if n >= often and "\n" in t}
    words: Counter[str] = Counter()
    for line, count in lines.items():
        if line not in instructions:
            pieces = Counter(_PIECE.findall(line) + _PIECE.findall(normalised(line)))
            words.update({piece: count * n for piece, n in pieces.items()})
    words["\n"] = words["\n\n"] = words["\n\n\n"] = 1
    total = sum(words.values())
    kept = sorted(words.items(), key=lambda item: (-item[1], item[0]))[:limit]
    # Bytes cost more than any word, so that they spell only what no word does.
    vocabulary = [(token, 0.0) for token in SPECIAL]
    vocabulary += [(f"<0x{byte:02X}>", -1000.0) for byte in range(256)]
    vocabulary += [(word, math.log(count / total)) for word, count in kept]
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=0, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECE.pattern), "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in SPECIAL])
    tokenizer.add_tokens(
        [AddedToken(line, normalized=False) for line in sorted(instructions | layout)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=[AUDIO, HEARD, USER, ASSISTANT, SYSTEM],
        split_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )
