"""Against a server that nobody here wrote: `transformers serve`, with a small random model.

What it says is nonsense; the protocol is real, and so are its ways: it takes `response_format` and
ignores it, and most replies are cut by the token limit.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from scripted_models import write_stories

from askqa_builder.config import GenerateSettings, LlmSettings
from askqa_builder.errors import BudgetError
from askqa_builder.files import read_records
from askqa_builder.generate import ingest
from askqa_builder.generate_llm import generate
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.schema import Reject
from askqa_builder.store import Build

PROMPTS = Path(__file__).parent.parent / "prompts"
STARTS_WITHIN_S = 200

# A torchaudio for CUDA, which is what comes with some speech packages, breaks transformers on a
# machine without; neither the model nor the server needs it.
SERVER = """
import sys
sys.modules["torchaudio"] = None
import torch
from pathlib import Path
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

prompts, folder = map(Path, sys.argv[1:3])
bpe = Tokenizer(models.BPE())
bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
bpe.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=600,
    special_tokens=["<|end|>"],
    initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    show_progress=False,
)
bpe.train_from_iterator([p.read_text() for p in sorted(prompts.glob("*.md"))], trainer)
tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|end|>", pad_token="<|end|>")
tokenizer.chat_template = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\\n{% endfor %}assistant:"
)
torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=8192,
    eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, bos_token_id=None,
))
model.generation_config.do_sample = True
model.save_pretrained(folder)
tokenizer.save_pretrained(folder)

from transformers.cli.transformers import main

sys.argv = ["transformers", "serve", str(folder), "--host", "127.0.0.1", "--port", sys.argv[3]]
sys.argv += ["--device", "cpu"]
main()
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the model will be: the server makes it, for torch takes seconds to import."""
    return tmp_path_factory.mktemp("model")


@pytest.fixture(scope="module")
def base_url(model: Path) -> Iterator[str]:
    for package in ("transformers", "torch", "fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            pytest.skip("needs transformers with its serving extra")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (model / "server.log").open("w")
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(PROMPTS), str(model), str(port)],
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
    )
    try:
        until = time.monotonic() + STARTS_WITHIN_S
        while not _healthy(port):
            assert server.poll() is None, (model / "server.log").read_text()[-2000:]
            assert time.monotonic() < until, "transformers serve did not start"
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        server.wait(20)
        log.close()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_every_reply_of_a_random_model_ends_with_a_reason(
    model: Path, base_url: str, tmp_path: Path
) -> None:
    source = write_stories(tmp_path / "stories.json", 8)
    settings = GenerateSettings(sources=(source,), writer="llm", count=8)
    llm = LlmSettings(
        model=str(model),
        base_url=base_url,
        candidates=8,
        concurrency=4,
        max_tokens=100,
        params={"temperature": 1.0},
    )
    build = Build(tmp_path / "build")
    with build.locked():
        ingest(build, settings, lambda count: None)
        result = generate(build, settings, llm)
    assert isinstance(result.stopped, BudgetError)
    counts = result.manifest.counts
    assert counts["candidates"] == counts["rejected"] + counts.get("accepted", 0) == 8
    ledger = [
        reject
        for path in sorted((build.root / "rejects").glob("dialogues-*.jsonl"))
        for reject in read_records(path, Reject)
    ]
    assert len(ledger) == counts["rejected"]
    reasons = Counter(reject.reason for reject in ledger)
    assert reasons.keys() <= {"reply_truncated", "reply_invalid", "reply_empty"}
    assert "reply_truncated" in reasons
    for reject in ledger:
        assert reject.detail
        assert isinstance(reject.raw, dict)
        assert isinstance(reject.raw["refused"], str), "what it said is kept"
    with ReplyCache(build.root / "cache" / "llm.sqlite") as cache:
        kept = cache.read("SELECT count(*) FROM replies")[0][0]
    served = (model / "server.log").read_text().count('POST /v1/chat/completions HTTP/1.1" 200')
    assert kept == served, "every reply was kept"
    assert counts["replies"] <= kept, "those of the probing are nobody's"
