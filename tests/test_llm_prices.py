"""Prices, and a budget that holds."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from virtual_time import run

from askqa_builder.errors import BudgetError, SettingsError
from askqa_builder.llm.prices import Budget, Price, Usage, load_prices, price_of

OPENAI = "https://api.openai.com/v1"


def test_the_shipped_table_loads_and_knows_snapshots() -> None:
    prices = load_prices()
    plain = price_of(prices, OPENAI, "gpt-4.1-mini")
    assert plain is not None
    assert price_of(prices, OPENAI, "gpt-4.1-mini-2025-04-14") == plain
    assert price_of(prices, OPENAI, "gpt-nobody") is None
    assert price_of(prices, "http://127.0.0.1:8000/v1", "gpt-4.1-mini") is None


def test_a_users_table_wins(tmp_path: Path) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(
        '["api.openai.com"]\n"gpt-4o" = { input = 9, output = 9 }\n'
        '["localhost:8000"]\nqwen = { input = 0.1, output = 0.2 }\n'
        '["*"]\nany = { input = 1, output = 1 }\n'
    )
    prices = load_prices(path)
    mine = price_of(prices, OPENAI, "gpt-4o")
    assert mine is not None
    assert mine.input == 9
    assert price_of(prices, OPENAI, "gpt-4o-mini") is not None
    assert price_of(prices, "http://localhost:8000/v1", "qwen") is not None
    assert price_of(prices, "http://localhost:8001/v1", "qwen") is None
    assert price_of(prices, "http://localhost:8001/v1", "any") is not None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('["h"]\nm = { input = 1 }', "h.m.output"),
        ('["h"]\nm = { input = -1, output = 1 }', "h.m.input"),
        ('["h"]\nm = { input = 1, output = 1, outptu = 1 }', "outptu"),
        ("m = 3", "dictionary"),
        ("nonsense", "not TOML"),
    ],
)
def test_a_bad_table_is_told_by_file_and_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "prices.toml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=words) as caught:
        load_prices(path)
    assert str(path) in str(caught.value)
    with pytest.raises(SettingsError, match="cannot read"):
        load_prices(tmp_path / "none.toml")


def test_cost_counts_cached_and_audio_tokens_and_the_batch_discount() -> None:
    price = Price(input=2, output=8, cached_input=0.5, audio_input=10, audio_output=20)
    plain = Usage(input_tokens=1_000_000, output_tokens=1_000_000)
    assert price.cost_usd(plain) == 10
    assert price.cost_usd(plain, batch=True) == 5
    assert price.cost_usd(Usage(1_000_000, 0, cached_input_tokens=400_000)) == pytest.approx(1.4)
    assert price.cost_usd(Usage(1_000_000, 0, audio_input_tokens=500_000)) == pytest.approx(6)
    assert price.cost_usd(Usage(0, 1_000_000, audio_output_tokens=500_000)) == pytest.approx(14)
    speech = Price(input=0, output=0, characters=15)
    assert speech.cost_usd(Usage(characters=2000)) == pytest.approx(0.03)


def test_no_usage_costs_more_than_the_worst_case() -> None:
    chance = random.Random(1)
    for _ in range(300):

        def draw() -> float | None:
            return chance.choice([None, chance.uniform(0, 20)])

        price = Price(
            input=chance.uniform(0, 20),
            output=chance.uniform(0, 20),
            cached_input=None,
            cache_write=draw(),
            audio_input=draw(),
            audio_output=draw(),
            characters=chance.uniform(0, 20),
        )
        into, out = chance.randrange(10_000), chance.randrange(10_000)
        usage = Usage(
            into, out, 0, chance.randint(0, into), chance.randint(0, out), chance.randrange(99)
        )
        for batch in (False, True):
            worst = price.worst_usd(usage, batch=batch)
            assert price.cost_usd(usage, batch=batch) <= worst + 1e-12


def test_a_budget_waits_for_others_and_then_stops_hard() -> None:
    async def main() -> None:
        budget = Budget(1.0)
        done, refused, most = 0, 0, 0.0

        async def call() -> None:
            nonlocal done, refused, most
            try:
                await budget.reserve(0.3)
            except BudgetError:
                refused += 1
                return
            assert budget.remaining_usd is not None
            assert budget.remaining_usd >= -1e-12
            await asyncio.sleep(1)
            budget.settle(0.3, spent_usd=0.1)
            most = max(most, budget.spent_usd)
            done += 1

        await asyncio.gather(*(call() for _ in range(50)))
        assert done == 8  # the ninth could cost 0.3 on top of 0.8
        assert refused == 42
        assert most <= 1.0

    run(main())


def test_what_may_have_been_billed_counts() -> None:
    async def main() -> None:
        budget = Budget(1.0)
        for _ in range(3):
            await budget.reserve(0.3)
            budget.settle(0.3, uncertain_usd=0.3)
        with pytest.raises(BudgetError, match=r"\$0\.0000 and perhaps 0\.9000 spent"):
            await budget.reserve(0.3)

    run(main())


def test_earlier_spending_counts_and_no_limit_never_stops() -> None:
    async def main() -> None:
        with pytest.raises(BudgetError, match="raise --budget-usd"):
            await Budget(1.0, spent_usd=0.95).reserve(0.1)
        free = Budget()
        await free.reserve(1e9)
        assert free.remaining_usd is None

    run(main())
    with pytest.raises(SettingsError):
        Budget(0)


@pytest.mark.parametrize("seed", range(100))
def test_a_budget_never_blocks_on_rounding(seed: int) -> None:
    chance = random.Random(seed)
    budget = Budget(chance.uniform(0.5, 2))
    done = 0

    async def call(worst: float) -> None:
        nonlocal done
        try:
            await budget.reserve(worst)
        except BudgetError:
            return
        await asyncio.sleep(chance.random())
        budget.settle(worst, spent_usd=worst * chance.random())
        done += 1

    async def main() -> None:
        await asyncio.gather(*(call(chance.uniform(0, 0.5)) for _ in range(20)))

    run(main())
    assert done
    assert budget.limit_usd is not None
    assert budget.spent_usd <= budget.limit_usd + 1e-12
    assert budget.reserved_usd == 0
