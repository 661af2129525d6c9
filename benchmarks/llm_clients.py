"""The clients that `llm_throughput.py` compares; each runs in a process (and packages) of its own.

    python benchmarks/llm_clients.py ours --base-url http://127.0.0.1:PORT/v1 --requests 2000 \
        --concurrency 100 --folder DIR

All ask the same: a passage-sized prompt for each of N passages, an object of the schema `Row`
back, validated and saved in the folder. Run again on the same folder, each resumes in the way
that its makers intend.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import os
import resource
from collections.abc import Callable, Coroutine
from pathlib import Path

from pydantic import BaseModel

MODEL = "gpt-4o-mini"
"""A name that is known to the peers' price tables: without one they do not start."""
SYSTEM = "You write dialogues in which the assistant asks before it answers. " * 6


class Utterance(BaseModel):
    speaker: str
    text: str


class Row(BaseModel):
    name: str
    age: int
    question: str
    answer: str
    ambiguous: bool
    turns: list[Utterance]


def prompt(index: int) -> str:
    return f"Passage {index}: " + "the home side won the second match by two goals, and then " * 25


async def ours(base_url: str, requests: int, concurrency: int, folder: Path) -> None:
    """The whole path: cache, limits, prices, budget, structured output, validation."""
    from askqa_builder.llm.cache import ReplyCache
    from askqa_builder.llm.client import LanguageModel
    from askqa_builder.llm.endpoint import Endpoint, Limits
    from askqa_builder.llm.prices import Budget, Price

    limits = Limits(concurrency=concurrency, requests_per_minute=1e6, tokens_per_minute=1e10)
    prices = {"*": {MODEL: Price(input=1.0, output=2.0)}}
    good = 0
    with ReplyCache(folder / "llm.sqlite") as cache:
        async with Endpoint(
            cache, base_url=base_url, limits=limits, prices=prices, budget=Budget(1e6)
        ) as endpoint:
            model = LanguageModel(endpoint, MODEL, max_tokens=500)

            async def ask(index: int) -> None:
                nonlocal good
                messages = [
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": prompt(index)},
                ]
                reply = await model.chat(messages, schema=Row)
                good += reply.ok

            # Twice as many callers as may be in flight: there is always one waiting.
            await in_turn(ask, requests, 2 * concurrency)
    assert good == requests, f"{good} of {requests} replies were good"


async def raw(base_url: str, requests: int, concurrency: int, folder: Path) -> None:
    """What the package and its transport can do: `create` and nothing else."""
    import openai

    async with openai.AsyncOpenAI(
        base_url=base_url,
        api_key="none",
        max_retries=0,
        http_client=openai.DefaultAioHttpClient(),
    ) as client:

        async def ask(index: int) -> None:
            await client.chat.completions.create(
                model=MODEL,
                max_tokens=500,
                messages=[
                    {"role": "system", "content": SYSTEM},
                    {"role": "user", "content": prompt(index)},
                ],
            )

        await in_turn(ask, requests, concurrency)


async def in_turn(
    ask: Callable[[int], Coroutine[None, None, None]], requests: int, callers: int
) -> None:
    """Await `ask(index)` for each index, so many at a time."""
    indices = iter(range(requests))

    async def worker() -> None:
        for index in indices:
            await ask(index)

    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(worker())


def curator(base_url: str, requests: int, concurrency: int, folder: Path) -> None:
    """Bespoke Curator (PyPI: bespokelabs-curator)."""
    os.environ |= {
        "TELEMETRY_ENABLED": "0",
        "CURATOR_DISABLE_RICH_DISPLAY": "1",
        "CURATOR_CACHE_DIR": str(folder),
        "OPENAI_BASE_URL": base_url,
    }
    if (tokens := importlib.util.find_spec("litellm")) is not None and tokens.origin is not None:
        # Curator counts with tiktoken, which would download its table; litellm carries it.
        folders = Path(tokens.origin).parent.rglob("9b5ad71b2ce5302211f9c61530b329a4922fc6a4")
        os.environ["TIKTOKEN_CACHE_DIR"] = str(next(folders).parent)
    from bespokelabs import curator
    from datasets import Dataset

    class Writer(curator.LLM):  # type: ignore[misc]
        response_format = Row

        def prompt(self, row):  # type: ignore[no-untyped-def]
            return [
                {"role": "system", "content": row["system"]},
                {"role": "user", "content": row["text"]},
            ]

        def parse(self, row, reply):  # type: ignore[no-untyped-def]
            return {"text": row["text"], "reply": reply.model_dump_json()}

    writer = Writer(
        model_name=MODEL,
        response_format=Row,
        backend="openai",
        generation_params={"max_tokens": 500},
        backend_params={
            "base_url": base_url,
            "max_concurrent_requests": concurrency,
            "max_requests_per_minute": 1_000_000,
            "max_tokens_per_minute": 10_000_000_000,
            "in_mtok_cost": 1,
            "out_mtok_cost": 2,
        },
    )
    rows = [{"system": SYSTEM, "text": prompt(index)} for index in range(requests)]
    result = writer(Dataset.from_list(rows))
    assert len(result.dataset) == requests


def designer(base_url: str, requests: int, concurrency: int, folder: Path) -> None:
    """NVIDIA's DataDesigner (PyPI: data-designer)."""
    os.environ |= {"NEMO_TELEMETRY_ENABLED": "false", "HOME": str(folder)}
    import pandas
    from data_designer import config as dd
    from data_designer.interface import DataDesigner

    provider = dd.ModelProvider(name="local", endpoint=base_url, api_key="none")
    model = dd.ModelConfig(
        alias="writer",
        model=MODEL,
        provider="local",
        skip_health_check=True,
        inference_parameters=dd.ChatCompletionInferenceParams(
            max_parallel_requests=concurrency, max_tokens=500
        ),
    )
    builder = dd.DataDesignerConfigBuilder(model_configs=[model])
    seeds = folder / "seeds.parquet"
    pandas.DataFrame({"text": [prompt(index) for index in range(requests)]}).to_parquet(seeds)
    builder.with_seed_dataset(dd.LocalFileSeedSource(path=str(seeds)))
    builder.add_column(
        dd.LLMStructuredColumnConfig(
            name="dialogue",
            model_alias="writer",
            system_prompt=SYSTEM,
            prompt="{{ text }}",
            output_format=Row,
        )
    )
    maker = DataDesigner(artifact_path=folder / "artifacts", model_providers=[provider])
    maker.set_run_config(dd.RunConfig(otel_metrics_port=None))
    result = maker.create(builder, num_records=requests, resume=dd.ResumeMode.IF_POSSIBLE)
    assert len(result.load_dataset()) == requests


CLIENTS = {"ours": ours, "raw": raw, "curator": curator, "designer": designer}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("client", choices=CLIENTS)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--concurrency", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    os.environ["OPENAI_API_KEY"] = "sk-benchmark"
    run = CLIENTS[options.client]
    arguments = (options.base_url, options.requests, options.concurrency, options.folder)
    if asyncio.iscoroutinefunction(run):
        asyncio.run(run(*arguments))
    else:
        run(*arguments)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(f"cpu_s={usage.ru_utime + usage.ru_stime:.3f} peak_mib={usage.ru_maxrss / 1024:.1f}")


if __name__ == "__main__":
    main()
