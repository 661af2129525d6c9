"""A small spoken-language model: a convolutional listener before a decoder-only language model.

    log-mel (20 ms) ─ stack ─▶ frames (120 ms) ─ convolution blocks ─┬─▶ CTC over the vocabulary
                                                                    └─ pair ─▶ audio tokens (240 ms)
    text tokens and audio tokens, in the order of the conversation ─▶ causal layers ─▶ next token

What makes it learn in minutes on one CPU thread:

- One embedding matrix is input, output and the CTC classes of the listener, so a frame that
  sounds like a word comes to look like the written word (connectionist temporal classification:
  Graves et al., 2006). The transcription loss is added where `transcript_labels` are given.
- The clips of a batch are one long sequence with gaps: nothing is padded, and a clip that several
  examples share (the narration of a passage) is heard once.
- Keys and values see the few tokens before them by a short causal convolution, so a value is found
  by the words that lead to it in one layer (So et al., 2021, *Primer*, arXiv 2109.08668).
- Distance is a linear penalty (Press et al., 2022, *ALiBi*, arXiv 2108.12409).

This file depends on torch and transformers alone: it is saved with every model.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn
from transformers import Cache, DynamicCache, GenerationMixin, PreTrainedModel
from transformers.utils.generic import ModelOutput

from .configuration import TinyConfig

IGNORED = -100
"""Label of a position that is not learnt from."""


@dataclass
class TinyOutput(ModelOutput):
    """Logits are left out while training with labels: only labelled positions are computed."""

    loss: Tensor | None = None
    logits: Tensor | None = None
    cache: Cache | None = None
    transcription_loss: Tensor | None = None
    """CTC loss per token of the transcripts, unweighted."""


class ListenerBlock(nn.Module):
    """Depthwise convolution over time, then a feed-forward layer, each beside a residual path."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        d = config.hidden_size
        self.norm = nn.LayerNorm(d)
        self.convolution = nn.Conv1d(
            d, d, config.kernel_size, padding=config.kernel_size // 2, groups=d
        )
        self.norm2 = nn.LayerNorm(d)
        self.wide = nn.Linear(d, config.expansion * d)
        self.narrow = nn.Linear(config.expansion * d, d)

    def forward(self, frames: Tensor, is_sound: Tensor) -> Tensor:
        """`frames` (T, d) with gaps where `is_sound` (T, 1) is 0; so are those returned."""
        mixed: Tensor = self.convolution((self.norm(frames) * is_sound).T[None])[0].T
        frames = frames + F.relu(mixed)
        wide: Tensor = F.relu(self.wide(self.norm2(frames)))
        return frames + self.narrow(wide)


class Listener(nn.Module):
    """Log-mel frames of many clips → one vector for every 120 ms."""

    def __init__(self, config: TinyConfig) -> None:
        super().__init__()
        self.config = config
        d = config.hidden_size
        self.stem = nn.Sequential(
            nn.Linear(config.frame_stack * config.num_mel_bins, 2 * d),
            nn.ReLU(),
            nn.Linear(2 * d, d),
        )
        self.blocks = nn.ModuleList(ListenerBlock(config) for _ in range(config.listener_layers))
        self.norm = nn.LayerNorm(d)

    def forward(self, features: Tensor, frames: Tensor) -> Tensor:
        """`features` (mel frames of all clips, bins), `frames` (clips): 120 ms frames of each.

        Returns (all frames, d), clip after clip.
        """
        config = self.config
        if self.training:
            features = augment(features, frames * config.frame_stack)
        stacked = features.reshape(-1, config.frame_stack * config.num_mel_bins)
        heard = self.stem(stacked)
        if self.training:
            heard = heard * (torch.rand(len(heard), 1, device=heard.device) > config.frame_dropout)
        # Between clips stand as many empty frames as the kernel reaches: what a clip sounds like
        # must not depend on its neighbours in the batch.
        gap = config.kernel_size // 2
        clip = torch.repeat_interleave(torch.arange(len(frames), device=frames.device), frames)
        place = torch.arange(len(heard), device=heard.device) + gap * clip
        room = heard.new_zeros(len(heard) + gap * len(frames), heard.shape[1])
        is_sound = room.new_zeros(len(room), 1).index_fill_(0, place, 1.0)
        spaced = room.index_copy(0, place, heard)
        for block in self.blocks:
            spaced = block(spaced, is_sound)
        return self.norm(spaced[place])


def augment(features: Tensor, lengths: Tensor) -> Tensor:
    """SpecAugment (Park et al., 2019) and a shift of the mel bins, as of another vocal tract."""
    count, bins = len(lengths), features.shape[1]
    device = features.device
    bin_index = torch.arange(bins, device=device)
    shift = torch.randint(-2, 3, (count, 1), device=device)
    source = (bin_index + shift).clamp(0, bins - 1)
    width = torch.randint(0, bins // 6 + 1, (count, 1), device=device)
    first = (torch.rand(count, 1, device=device) * (bins - width)).long()
    kept = ((bin_index < first) | (bin_index >= first + width)).to(features.dtype)
    features = features.gather(1, source.repeat_interleave(lengths, 0))
    features = features + 0.1 * torch.randn_like(features)
    return features * kept.repeat_interleave(lengths, 0)


class Layer(nn.Module):
    """Causal attention with a short convolution on keys and values, then a feed-forward layer."""

    def __init__(self, config: TinyConfig, index: int) -> None:
        super().__init__()
        d = config.hidden_size
        self.index = index
        self.norm = nn.LayerNorm(d)
        self.query = nn.Linear(d, d, bias=False)
        self.key_value = nn.Linear(d, 2 * d, bias=False)
        self.out = nn.Linear(d, d, bias=False)
        self.shifts = nn.Parameter(torch.zeros(config.key_kernel, 2 * d))
        self.norm2 = nn.LayerNorm(d)
        self.wide = nn.Linear(d, config.expansion * d)
        self.narrow = nn.Linear(config.expansion * d, d)

    def forward(self, x: Tensor, place: Tensor, bias: Tensor, cache: Cache | None) -> Tensor:
        """`x` (tokens, d): those of all rows that are no padding, at `place` of B · new.

        `bias` (B, heads, new, all) is added to the scores.
        """
        batch, heads, new, _ = bias.shape
        d = x.shape[1]
        n = self.norm(x)
        query = _spread(self.query(n), place, batch * new).view(batch, new, heads, -1)
        key_value = _spread(self.key_value(n), place, batch * new).view(batch, new, 2 * d)
        if cache is not None:  # as they are before the convolution: it needs no state of its own
            key_value, _ = cache.update(
                key_value[:, None], key_value.new_zeros(batch, 1, new, 0), self.index
            )
            key_value = key_value[:, 0]
        mixed = key_value * self.shifts[0]
        for back in range(1, len(self.shifts)):
            mixed = mixed + F.pad(key_value[:, :-back], (0, 0, back, 0)) * self.shifts[back]
        key, value = mixed.view(batch, -1, 2, heads, d // heads).permute(2, 0, 3, 1, 4)
        scores = query.transpose(1, 2) @ key.transpose(-1, -2) * (d // heads) ** -0.5 + bias
        read = (scores.softmax(-1).to(value.dtype) @ value).transpose(1, 2).reshape(batch * new, d)
        x = x + self.out(read.index_select(0, place))
        return x + self.narrow(F.relu(self.wide(self.norm2(x))))


def _spread(rows: Tensor, place: Tensor, count: int) -> Tensor:
    """Rows at their places among `count`, zeros elsewhere."""
    return rows.new_zeros(count, rows.shape[1]).index_copy(0, place, rows)


class TinyPreTrainedModel(PreTrainedModel):
    config_class = TinyConfig
    config: TinyConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = False
    _no_split_modules = ["Layer", "ListenerBlock"]  # noqa: RUF012 - transformers reads a list

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, (nn.Linear, nn.Conv1d)):
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=fan_in**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=self.config.hidden_size**-0.5)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, Layer):
            for back in range(len(module.shifts)):
                nn.init.constant_(module.shifts[back], 0.5**back)


class TinyForConditionalGeneration(TinyPreTrainedModel, GenerationMixin):
    """The whole model. Loss: next token of `labels` + `ctc_weight` · CTC of `transcript_labels`."""

    accepts_loss_kwargs = False

    def __init__(self, config: TinyConfig) -> None:
        super().__init__(config)
        d = config.hidden_size
        self.embedding = nn.Embedding(config.vocab_size, d)
        self.listener = Listener(config)
        self.pair = nn.Linear(config.frame_merge * d, d)
        self.layers = nn.ModuleList(Layer(config, i) for i in range(config.num_hidden_layers))
        self.norm = nn.LayerNorm(d)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.ctc_bias = nn.Parameter(torch.zeros(config.vocab_size))
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embedding = value  # type: ignore[assignment]

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        input_features: Tensor | None = None,
        clip_tokens: Tensor | None = None,
        clip_order: Tensor | None = None,
        labels: Tensor | None = None,
        transcript_labels: Tensor | None = None,
        cache: Cache | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **_: Any,
    ) -> TinyOutput:
        """
        Args:
            input_ids: (B, L); each audio token stands for 240 ms.
            attention_mask: (B, all tokens so far), 0 for padding on either side.
            input_features: (mel frames of all distinct clips, bins).
            clip_tokens: (distinct clips), audio tokens of each.
            clip_order: (clips as they are read, example after example), index of a distinct clip.
            labels: (B, L), -100 where nothing is learnt.
            transcript_labels: (clips as they are read, N), tokens of each transcript, then -100.
        """
        x = self.embedding(input_ids) * math.sqrt(self.config.hidden_size)
        transcription_loss = None
        if input_features is not None and clip_tokens is not None and clip_order is not None:
            merge = self.config.frame_merge
            heard = self.listener(input_features, clip_tokens * merge)
            scores = self.transcribe(heard)
            if transcript_labels is not None:
                transcription_loss = self.transcription_loss(
                    scores, clip_tokens * merge, clip_order, transcript_labels
                )
            # what a frame sounds like, in the words of the language model; the blank is silence
            heard_words = scores.exp()[:, 1:].to(x.dtype)
            words = (heard_words @ self.embedding.weight[1:]) * math.sqrt(x.shape[2])
            tokens = self.pair(heard.reshape(-1, merge * self.config.hidden_size))
            tokens = tokens + words.view(-1, merge, x.shape[2]).sum(1)
            parts = tokens.split(clip_tokens.tolist())
            read = torch.cat([parts[index] for index in clip_order.tolist()])
            is_audio = input_ids == self.config.audio_token_id
            x = x.masked_scatter(is_audio[..., None], read.to(x.dtype))
        new = input_ids.shape[1]
        if use_cache and cache is None:
            cache = DynamicCache()
        past = cache.get_seq_length() if cache is not None else 0
        if attention_mask is None:
            attention_mask = input_ids.new_ones(len(input_ids), past + new)
        mask = attention_mask[:, : past + new]
        place = mask[:, past:].flatten().nonzero()[:, 0]
        x = x.flatten(0, 1).index_select(0, place)
        bias = self._bias(mask.float(), new)  # distances are not exact in bfloat16
        for layer in self.layers:
            x = layer(x, place, bias, cache)
        loss, logits = None, None
        if labels is not None:
            target = F.pad(labels[:, 1:], (0, 1), value=IGNORED).flatten()[place]
            learnt = target != IGNORED
            loss = F.cross_entropy(self._logits(x[learnt]).float(), target[learnt])
            if transcription_loss is not None:
                loss = loss + self.config.ctc_weight * transcription_loss
        if labels is None or not self.training:
            rows = _spread(x, place, len(mask) * new).view(len(mask), new, -1)
            logits = self._logits(rows[:, -logits_to_keep:])
        return TinyOutput(
            loss=loss,
            logits=logits,
            cache=cache,
            transcription_loss=transcription_loss,
        )

    def transcription_loss(
        self, scores: Tensor, frames: Tensor, order: Tensor, transcripts: Tensor
    ) -> Tensor:
        """CTC of each distinct clip against its transcript, per token; 0 is the blank.

        `scores` are those of `transcribe`.
        """
        uses = order.tolist()
        first = torch.tensor([uses.index(clip) for clip in range(len(frames))])
        wanted = transcripts[first.to(transcripts.device)]
        lengths = (wanted != IGNORED).sum(1)
        # (longest, clips) rows of `scores`; padding repeats row 0, which CTC then does not read.
        # pad_sequence and split do the same with a backward pass of six times the cost.
        step = torch.arange(int(frames.max()), device=frames.device)[:, None]
        row = torch.where(step < frames, step + frames.cumsum(0) - frames, 0)
        rows = scores.index_select(0, row.flatten()).view(*row.shape, -1)
        losses = F.ctc_loss(
            *(rows, wanted.clamp(min=0), frames, lengths),
            blank=0,
            reduction="sum",
            zero_infinity=True,  # more tokens than frames: nothing to learn from
        )
        return losses / lengths.sum().clamp(min=1)

    def transcribe(self, heard: Tensor) -> Tensor:
        """Log probabilities of the vocabulary (0: blank) for each frame of the listener."""
        scores = F.linear(heard, self.embedding.weight, self.ctc_bias)
        return scores.float().log_softmax(-1)

    def _logits(self, x: Tensor) -> Tensor:
        return F.linear(self.norm(x), self.embedding.weight, self.bias)

    def _bias(self, mask: Tensor, new: int) -> Tensor:
        """(B, heads, new, all), of a mask (B, all): nothing later, no padding, the further the
        less."""
        total, heads = mask.shape[1], self.config.num_attention_heads
        place = torch.arange(total, device=mask.device)
        distance = place[total - new :, None] - place
        slopes = 4.0 ** -torch.arange(1, heads + 1, device=mask.device, dtype=mask.dtype)
        bias = -slopes[:, None, None] * distance.clamp(min=0)
        bias = bias.masked_fill(distance < 0, -1e4)
        return bias[None] + (mask[:, None, None] - 1) * 1e4

    def prepare_inputs_for_generation(self, input_ids: Tensor, **kwargs: Any) -> dict[str, Any]:
        past = kwargs.get("cache")
        seen = past.get_seq_length() if past is not None else 0
        kept = ("attention_mask", "cache", "use_cache", "logits_to_keep")
        inputs = {name: kwargs.get(name) for name in kept}
        inputs["logits_to_keep"] = inputs["logits_to_keep"] or 1
        if seen:
            return {"input_ids": input_ids[:, seen:], **inputs}
        sound = ("input_features", "clip_tokens", "clip_order")
        return {"input_ids": input_ids, **inputs, **{name: kwargs.get(name) for name in sound}}
