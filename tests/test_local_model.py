"""A model on this machine: it hears, answers in batches, and what it cannot do is told."""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from responding import ASKED, SETTINGS, seconds_of, speak, spoken, three_items, with_turn
from tiny_audio_model import build_tiny_qwen2_audio, build_tiny_voxtral
from tiny_release import PASSAGE

from askqa_builder.errors import EvaluationError, ModelError
from askqa_builder.evaluate.items import PROMPT, Item, read_items
from askqa_builder.evaluate.responders import Conversation, Sound, Utterance
from askqa_builder.evaluate.responders.opening import ModelSettings, open_responder
from askqa_builder.evaluate.run import Manners, predict

WINDOW_S = 3
"""What the tiny model hears at once."""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return three_items(tmp_path_factory.mktemp("release") / "tiny")


@pytest.fixture
def items(release: Path) -> list[Item]:
    return list(read_items(release, "test"))


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory: pytest.TempPathFactory, release: Path) -> Path:
    """A tiny Qwen2-Audio that has learnt to ask in the first round and answer in the second."""
    folder = tmp_path_factory.mktemp("model")
    build_tiny_qwen2_audio(folder, [PROMPT, PASSAGE, ASKED, "1901."] * 2, window_s=WINDOW_S)
    teach(folder, list(read_items(release, "train")))
    return folder


def teach(folder: Path, items: list[Item]) -> None:
    """Overfit the model in `folder` to asking first and answering then."""
    import torch
    from transformers import AutoModelForMultimodalLM, AutoProcessor

    from askqa_builder.evaluate.responders.local import LocalModel

    torch.set_num_threads(1)
    listener = LocalModel(str(folder), device="cpu")
    processor: Any = AutoProcessor.from_pretrained(folder)
    model = AutoModelForMultimodalLM.from_pretrained(folder)
    model.model.audio_tower.requires_grad_(False)  # what it must learn is in the text
    first = items[0].conversation
    reply = Utterance("user", "The mill.", Sound(*spoken("The mill.")))
    second = first.then(Utterance("assistant", ASKED), reply)
    examples = []
    for talk, said in ((first, ASKED), (second, "1901")):
        prompt = processor.apply_chat_template(
            [listener.chat(talk)],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
        )
        target = processor.tokenizer(said + "<|im_end|>", return_tensors="pt")["input_ids"]
        ids = torch.cat([prompt["input_ids"], target], dim=1)
        labels = torch.cat([torch.full_like(prompt["input_ids"], -100), target], dim=1)
        sound = {k: prompt[k] for k in ("input_features", "feature_attention_mask")}
        examples.append(
            {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels, **sound}
        )
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(200):
        losses = [model(**example).loss for example in examples]
        sum(losses).backward()
        optimiser.step()
        optimiser.zero_grad()
        if max(losses) < 0.02:
            break
    model.save_pretrained(folder)


@pytest.fixture
def local(model_folder: Path) -> Any:
    from askqa_builder.evaluate.responders.local import LocalModel

    return LocalModel(str(model_folder), max_new_tokens=24, device="cpu")


def test_local_model_converses(
    model_folder: Path, release: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ModelSettings(max_new_tokens=24, device="cpu")
    with open_responder(f"hf:{model_folder}", release, settings=settings) as model:
        assert model.name == f"hf:{model_folder}"
        fed: list[int] = []
        plain = model._model.generate  # type: ignore[attr-defined]

        def generate(**inputs: Any) -> Any:
            fed.append(len(inputs["input_features"]))
            return plain(**inputs)

        model._model.generate = generate  # type: ignore[attr-defined]
        items = read_items(release, "test")
        predictions = predict(model, items, tmp_path / "out", SETTINGS, Manners(speak=speak))
    assert [(p.decision, p.first, p.final, p.failure) for p in predictions] == [
        ("ask", ASKED, "1901", None)
    ] * 3
    # narration (2) and question for each of three; then the sound of each reply as well
    assert fed == [3 * 3, 3 * 4]


def test_model_that_was_trained_on_is_another_one(model_folder: Path, tmp_path: Path) -> None:
    from askqa_builder.evaluate.responders.local import weights_version

    folder = Path(shutil.copytree(model_folder, tmp_path / "model"))
    assert weights_version(folder) == weights_version(model_folder)
    (folder / "README.md").write_text("a card, written later")
    assert weights_version(folder) == weights_version(model_folder)
    (weights,) = folder.glob("*.safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert weights_version(folder) != weights_version(model_folder)


def test_batch_says_what_single_conversations_say(local: Any, items: list[Item]) -> None:
    first, second, third = (item.conversation for item in items)
    longer = third.then(
        Utterance("assistant", ASKED), Utterance("user", "The mill.", Sound(*spoken("The mill.")))
    )
    together = [first, longer, second]  # of different lengths: two are padded
    assert local.respond_many(together) == [local.respond(talk) for talk in together]
    assert local.respond(longer) == "1901"


@pytest.mark.parametrize("seconds", [WINDOW_S + 0.1, 31.0])
def test_clip_that_would_be_cut_is_refused(local: Any, items: list[Item], seconds: float) -> None:
    good = items[0].conversation
    said = local.respond_many([good, with_turn(items[0], seconds_of(seconds)), good])
    assert said[0] == said[2] == ASKED
    assert isinstance(said[1], ModelError)
    assert f"a clip of {seconds:.1f} s" in str(said[1])
    assert f"hears {WINDOW_S} s at most" in str(said[1])


def test_sound_is_resampled_to_what_the_model_hears(local: Any, items: list[Item]) -> None:
    chat = local.chat(with_turn(items[0], seconds_of(1.0, 44_100)))
    assert [len(p["audio"]) for p in chat[0]["content"] if p["type"] == "audio"][-1] == 16_000


def test_item_that_breaks_a_batch_fails_alone(local: Any, items: list[Item]) -> None:
    broken = with_turn(items[1], Sound(np.zeros(0, np.float32), 16_000))
    plain = local._generate

    def generate(chats: list[Any]) -> list[str]:
        if any(len(p.get("audio", [0])) == 0 for c in chats for m in c for p in m["content"]):
            raise RuntimeError("Kernel size can't be greater than actual input size")
        said: list[str] = plain(chats)
        return said

    local._generate = generate
    talks = [items[0].conversation, broken, items[2].conversation]
    said = local.respond_many(talks)
    assert said[0] == said[2] == ASKED
    assert isinstance(said[1], RuntimeError)


def test_out_of_memory_goes_on_with_smaller_batches(
    local: Any, items: list[Item], caplog: pytest.LogCaptureFixture
) -> None:
    import torch

    sizes: list[int] = []
    plain = local._generate

    def generate(chats: list[Any]) -> list[str]:
        sizes.append(len(chats))
        if len(chats) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        said: list[str] = plain(chats)
        return said

    local._generate = generate
    talks = [items[0].conversation] * 2
    with caplog.at_level(logging.WARNING):
        assert local.respond_many(talks) == [ASKED] * 2
        assert local.respond_many(talks) == [ASKED] * 2
    assert sizes == [2, 1, 1, 1, 1]  # the second time it is known
    assert "--batch-size 1" in caplog.text


def test_out_of_memory_with_one_names_the_setting(local: Any, items: list[Item]) -> None:
    import torch

    def generate(chats: list[Any]) -> list[str]:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    local._generate = generate
    with pytest.raises(EvaluationError, match="lower --max-new-tokens"):
        local.respond(items[0].conversation)


def test_conversation_beyond_the_context_is_refused(local: Any, items: list[Item]) -> None:
    wordy = replace(items[0].conversation, prompt="mill " * 2000)
    said = local.respond_many([wordy, items[1].conversation])
    assert "takes 2048 together" in str(said[0])
    assert said[1] == ASKED


def test_template_that_leaves_out_the_sound_is_found(local: Any, items: list[Item]) -> None:
    local._processor.chat_template = (
        "{% for m in messages %}{{ m['content'][0]['text'] }}{% endfor %}"
    )
    with pytest.raises((EvaluationError, ValueError), match=r"leaves out the sound|audio"):
        local.respond(items[0].conversation)


def test_text_alone_is_answered_too(local: Any) -> None:
    talk = Conversation("x", PROMPT, (), (Utterance("user", "When did it open?"),))
    assert isinstance(local.respond(talk), str)


def test_other_family_hears_too(items: list[Item], tmp_path: Path) -> None:
    pytest.importorskip("mistral_common")
    from askqa_builder.evaluate.responders.local import LocalModel

    voxtral = LocalModel(str(build_tiny_voxtral(tmp_path / "v")), max_new_tokens=8, device="cpu")
    fed: list[int] = []
    plain = voxtral._model.generate

    def generate(**inputs: Any) -> Any:
        fed.append(len(inputs["input_features"]))
        return plain(**inputs)

    voxtral._model.generate = generate
    first, second = (item.conversation for item in items[:2])
    longer = second.then(
        Utterance("assistant", ASKED), Utterance("user", "The mill.", Sound(*spoken("The mill.")))
    )
    together = voxtral.respond_many([first, longer])
    assert fed == [3 + 4]
    assert together == [voxtral.respond(first), voxtral.respond(longer)]
    said = voxtral.respond_many([with_turn(items[0], seconds_of(31))])
    assert "hears 30 s at most" in str(said[0])


def test_model_that_is_not_there() -> None:
    from askqa_builder.evaluate.responders.local import LocalModel

    with pytest.raises(ModelError, match="model 'no/such-model' cannot be loaded"):
        LocalModel("no/such-model")


def test_weights_that_are_missing_are_no_model(model_folder: Path, tmp_path: Path) -> None:
    import shutil

    from safetensors.torch import load_file, save_file

    from askqa_builder.evaluate.responders.local import LocalModel

    folder = tmp_path / "holed"
    shutil.copytree(model_folder, folder)
    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in weights if "audio_tower" in name and "weight" in name)]
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match="1 weights are not in its files"):
        LocalModel(str(folder))


def test_pickled_weights_are_refused(model_folder: Path, tmp_path: Path) -> None:
    import shutil

    import torch
    from safetensors.torch import load_file

    from askqa_builder.evaluate.responders.local import LocalModel

    folder = tmp_path / "pickled"
    shutil.copytree(model_folder, folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"cannot be loaded: .*model\.safetensors"):
        LocalModel(str(folder))


def test_missing_extra_names_its_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from askqa_builder import audio_models
    from askqa_builder.errors import MissingExtraError
    from askqa_builder.evaluate.responders.local import LocalModel

    monkeypatch.setattr(audio_models, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'askqa-builder\[train\]'"):
        LocalModel("any")
