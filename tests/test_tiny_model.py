"""The small model that is made from scratch: what it takes, what it keeps, that it learns."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
tiny = pytest.importorskip("askqa_builder.learn.tiny")

RATE = 16_000
INSTRUCTION = "Listen to the passage and respond to the question about it."
WORDS = ("seven", "eight", "nine", "ten")


def chirp(word: int, seconds: float = 0.48) -> Any:
    """A sound for each word: a tone with an overtone, and some noise."""
    times = np.arange(round(seconds * RATE)) / RATE
    hz = 200.0 * 1.6**word
    noise = np.random.default_rng(word).standard_normal(len(times)) * 0.01
    sound = 0.3 * np.sin(2 * np.pi * hz * times) + 0.1 * np.sin(6 * np.pi * hz * times) + noise
    return sound.astype(np.float32)


def chat(*parts: Any, target: str | None = None) -> list[dict[str, Any]]:
    content = [
        {"type": "text", "text": p} if isinstance(p, str) else {"type": "audio", "audio": p}
        for p in parts
    ]
    said = [{"role": "assistant", "content": [{"type": "text", "text": target}]}]
    return [{"role": "user", "content": content}, *(said if target is not None else [])]


def tensors(processor: Any, chats: Any, side: str = "right", prompt: bool = False) -> Any:
    processor.tokenizer.padding_side = side
    return processor.apply_chat_template(
        chats,
        add_generation_prompt=prompt,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = [INSTRUCTION, "\n\nThe passage:\n", "It opens.", *WORDS] * 12
    return tiny.build(tmp_path_factory.mktemp("tiny"), texts, seed=1)


@pytest.fixture
def loaded(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    model = AutoModelForMultimodalLM.from_pretrained(folder)
    return AutoProcessor.from_pretrained(folder), model.eval()


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "At seven.",
        "naïve  café\t日本 \n\n\n x<0x41>",
        "<|end|><|audio|> <|assistant|>no",
        f"{INSTRUCTION}\n{INSTRUCTION} seven",
    ],
)
def test_any_text_comes_back_as_it_went_in(loaded: tuple[Any, Any], text: str) -> None:
    tokenizer = loaded[0].tokenizer
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert tokenizer.decode(ids) == text
    assert not set(ids) & set(tokenizer.all_special_ids)


def test_instructions_and_words_are_one_token_each(loaded: tuple[Any, Any]) -> None:
    tokenizer = loaded[0].tokenizer
    for text in (INSTRUCTION, "\n\nThe passage:\n", "seven", " it", " opens"):
        assert len(tokenizer(text)["input_ids"]) == 1


def test_text_cannot_pass_for_sound_or_for_the_other_speaker(loaded: tuple[Any, Any]) -> None:
    processor, _ = loaded
    inputs = tensors(processor, [chat("<|audio|><|end|><|assistant|>", chirp(0), target="ten")])
    ids = inputs["input_ids"][0].tolist()
    assert ids.count(processor.audio_token_id) == int(inputs["clip_tokens"].sum()) == 2
    assert ids.count(processor.tokenizer.eos_token_id) == 2


def test_a_clip_said_twice_is_heard_once(loaded: tuple[Any, Any]) -> None:
    processor, model = loaded
    narration, question, other = chirp(0, 2.0), chirp(1), chirp(2)
    chats = [chat(narration, question), chat(narration, other, narration)]
    inputs = tensors(processor, chats)
    assert inputs["clip_order"].tolist() == [0, 1, 0, 2, 0]
    assert len(inputs["clip_tokens"]) == 3
    together = model(**inputs).logits
    for index, conversation in enumerate(chats):
        alone = model(**tensors(processor, [conversation])).logits[0]
        torch.testing.assert_close(together[index, : len(alone)], alone, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("use_cache", [True, False])
def test_generation_is_the_same_alone_in_a_batch_and_without_cache(
    loaded: tuple[Any, Any], use_cache: bool
) -> None:
    processor, model = loaded
    # random weights repeat one token; sharper layers make the responses differ
    with torch.no_grad():
        for layer in model.layers:
            layer.out.weight *= 4
    chats = [chat(INSTRUCTION, chirp(0, 1.0), "x y"), chat(chirp(1, 0.3)), chat("no sound here")]

    def said(given: Any, cache: bool) -> list[list[int]]:
        inputs = tensors(processor, given, "left", prompt=True)
        found = model.generate(**inputs, max_new_tokens=8, do_sample=False, use_cache=cache)
        return found[:, inputs["input_ids"].shape[1] :].tolist()

    alone = [said([conversation], True)[0] for conversation in chats]
    pad = processor.tokenizer.pad_token_id
    together = said(chats, use_cache)
    assert [[t for t in row if t != pad] for row in together] == [
        [t for t in row if t != pad] for row in alone
    ]
    assert len({tuple(row) for row in alone}) > 1


def test_bfloat16_computes_what_float32_does(loaded: tuple[Any, Any]) -> None:
    """As a GPU does that evaluates a model."""
    processor, model = loaded
    chats = [chat(INSTRUCTION, chirp(0, 1.0), "x y"), chat(chirp(1, 0.3)), chat("no sound here")]
    inputs = tensors(processor, chats, "left", prompt=True)
    with torch.no_grad():
        expected = model(**inputs).logits[:, -1]
        model, inputs = model.bfloat16(), inputs.to(torch.bfloat16)
        found = model(**inputs).logits[:, -1].float()
    assert (found - expected).abs().max() < 0.05 * expected.std()
    model.generate(**inputs, max_new_tokens=3)


def test_only_the_text_after_a_token_depends_on_it(loaded: tuple[Any, Any]) -> None:
    processor, model = loaded
    inputs = tensors(processor, [chat(chirp(0), "seven eight", target="nine ten")])
    before = model(**inputs).logits
    inputs["input_ids"][0, -3] = 100
    after = model(**inputs).logits
    assert torch.equal(before[0, :-3], after[0, :-3])
    assert not torch.allclose(before[0, -3:], after[0, -3:])


def test_it_learns_to_hear_and_to_answer(loaded: tuple[Any, Any], tmp_path: Path) -> None:
    processor, model = loaded
    torch.manual_seed(0)
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    chats = [chat(INSTRUCTION, chirp(i), target=f"at {word}") for i, word in enumerate(WORDS)]
    inputs = tensors(processor, chats)
    labels = inputs["input_ids"].clone()
    labels[:, : -len(processor.tokenizer("at seven")["input_ids"]) - 1] = -100
    heard = processor.transcript_labels([[word.title() + "!"] for word in WORDS])
    losses = []
    for _ in range(60):
        out = model(**inputs, labels=labels, **heard)
        assert out.loss > model.config.ctc_weight * out.transcription_loss
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(out.loss.item())
    assert losses[-1] < losses[0] / 10
    model.eval().save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)

    from askqa_builder.evaluate.responders import Conversation, Sound, Utterance
    from askqa_builder.evaluate.responders.local import LocalModel

    responder = LocalModel(str(tmp_path), max_new_tokens=8, device="cpu")
    conversations = [
        Conversation(
            id=word,
            prompt=INSTRUCTION,
            narration=(),
            turns=(Utterance("user", "", Sound(chirp(index), RATE)),),
        )
        for index, word in enumerate(WORDS)
    ]
    # the layout differs a little from what it learnt
    said = responder.respond_many(conversations)
    assert said == [f"at {word}" for word in WORDS]


def test_the_folder_brings_all_the_code_that_it_needs(
    folder: Path, loaded: tuple[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `trust_remote_code=True` does where askqa_builder is not installed."""
    from transformers import dynamic_module_utils

    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path))
    monkeypatch.setattr(sys, "path", [*sys.path])
    assert not any("askqa_builder" in path.read_text() for path in folder.glob("*.py"))
    names = {
        **json.loads((folder / "config.json").read_text())["auto_map"],
        **json.loads((folder / "processor_config.json").read_text())["auto_map"],
    }
    found: Any = {
        name: dynamic_module_utils.get_class_from_dynamic_module(place, str(folder))
        for name, place in names.items()
    }
    assert all(c.__module__.startswith("transformers_modules.") for c in found.values())
    config = found["AutoConfig"].from_pretrained(folder)
    model = found["AutoModelForMultimodalLM"].from_pretrained(folder, config=config).eval()
    inputs = tensors(loaded[0], [chat(INSTRUCTION, chirp(1))])
    assert torch.equal(model(**inputs).logits, loaded[1](**inputs).logits)
    assert "AutoProcessor" in found


def test_the_same_seed_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    texts = [INSTRUCTION, "\n\nThe passage:\n", "It opens.", *WORDS] * 12
    again = tiny.build(tmp_path / "a", texts, seed=1)
    other = tiny.build(tmp_path / "b", texts, seed=2)
    weights = [(path / "model.safetensors").read_bytes() for path in (folder, again, other)]
    assert weights[0] == weights[1] != weights[2]


def test_sound_at_another_rate_and_parts_that_are_not_known_are_refused(
    loaded: tuple[Any, Any],
) -> None:
    processor, _ = loaded
    with pytest.raises(ValueError, match="expected 16000 Hz"):
        processor.feature_extractor([chirp(0)], sampling_rate=8000)
    with pytest.raises(ValueError, match="expected mono"):
        tensors(processor, [chat(np.zeros((2, 800), np.float32))])
    with pytest.raises(ValueError, match="expected text, or audio"):
        tensors(processor, [[{"role": "user", "content": [{"type": "image"}]}]])
    with pytest.raises(ValueError, match="role 'tool'"):
        tensors(processor, [[{"role": "tool", "content": "x"}]])


def test_the_collator_finds_its_prompt_whole_and_its_target(loaded: tuple[Any, Any]) -> None:
    from askqa_builder.learn.collate import Collator, target_texts
    from askqa_builder.learn.examples import Example

    processor, model = loaded
    parts = (f"{INSTRUCTION}\n\nThe passage:\n", chirp(0, 2.0), chirp(1))
    messages = chat(*parts, target="at ten")
    example = Example("e", "d", "p", "main", "respond", messages, ("it opens", "seven"))
    batch = Collator("tiny", processor, transcripts=True)([example])
    assert target_texts(processor, batch) == ["at ten<|end|>"]
    assert batch["transcript_labels"].shape[0] == 2
    del batch["example_ids"]
    assert torch.isfinite(model(**batch).loss)
