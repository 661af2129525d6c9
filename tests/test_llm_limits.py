"""Pace, window, breaker, waits: arithmetic, and the gate in virtual time."""

from __future__ import annotations

import asyncio
import random
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run

from askqa_builder.llm.limits import (
    Breaker,
    Gate,
    Pace,
    Window,
    backoff_s,
    exhausted_s,
    parse_duration_s,
    retry_after_s,
)


@given(
    per_minute=st.integers(1, 5000),
    naps=st.lists(st.floats(0, 100), max_size=20),
)
@settings(max_examples=60, deadline=None)
def test_no_minute_sees_more_requests_than_allowed(per_minute: int, naps: list[float]) -> None:
    pace, now, sent = Pace(per_minute), 0.0, []
    naps = [*naps, *[0.0] * min(3 * per_minute, 2000)]
    for nap in naps:
        now += nap
        now += pace.wait_s(now)
        assert pace.wait_s(now) == 0
        pace.take()
        sent.append(now)
    ahead = 0
    for index, time in enumerate(sent):
        while sent[ahead] <= time - 60 + 1e-6:
            ahead += 1
        assert index - ahead + 1 <= per_minute


def test_a_pace_loses_nothing_when_requests_come_as_fast_as_they_may() -> None:
    pace, now = Pace(600), 0.0
    for _ in range(6000):
        now += pace.wait_s(now)
        pace.take()
    assert now == pytest.approx(600, rel=0.02)


def test_a_large_amount_passes_on_credit_and_the_next_waits_for_it() -> None:
    pace = Pace(6000)  # 100 a second, bucket of 50
    assert pace.wait_s(0.0, 1000) == 0
    pace.take(1000)
    assert pace.wait_s(0.0, 1) == pytest.approx((1000 - 50 + 1) / 99.18, rel=0.01)
    pace.give_back(1000)
    assert pace.wait_s(0.0, 1) == 0


def test_the_window_doubles_until_pushed_back_and_then_creeps() -> None:
    window = Window(100)
    for _ in range(16):
        window.on_success()
    assert window.size == 32
    window.on_pushback(now=10.0, started_at=9.0)
    assert window.size == 16
    window.on_pushback(now=10.1, started_at=9.5)  # was in flight when it halved
    assert window.size == 16
    window.on_pushback(now=11.0, started_at=10.5)
    assert window.size == 8
    for _ in range(8):
        window.on_success()
    assert window.size == 8 or window.size == 9
    for step in range(40):
        window.on_pushback(now=20.0 + step, started_at=19.5 + step)
    assert window.size == 1
    for _ in range(100_000):
        window.on_success()
    assert window.size == 100


def test_the_breaker_needs_many_failures_and_time() -> None:
    breaker = Breaker(failures=3, patience_s=10)
    breaker.on_success()
    assert not any(breaker.on_failure(t) for t in (0.0, 1.0, 2.0, 3.0))  # many, but at once
    breaker.on_success()
    assert not breaker.on_failure(20.0)
    assert not breaker.on_failure(40.0)  # long, but few
    assert breaker.on_failure(41.0)


def test_the_breaker_is_quick_where_nobody_ever_answered() -> None:
    fresh, known = Breaker(3, 30), Breaker(3, 30)
    known.on_success()
    for breaker in (fresh, known):
        breaker.on_failure(0.0, hopeless=True)
        breaker.on_failure(1.0, hopeless=True)
    assert fresh.on_failure(4.0, hopeless=True)
    assert not known.on_failure(4.0, hopeless=True)
    few = Breaker(20, 30)
    assert [few.on_failure(t, hopeless=True, reached=False) for t in (0, 2, 4)] == [0, 0, 1]
    slow = Breaker(2, 30)
    slow.on_failure(0.0)
    assert not slow.on_failure(10.0)  # a 503 while a model loads


def test_backoff_doubles_up_to_a_cap_with_jitter() -> None:
    waits = [[backoff_s(n, random.Random(seed)) for seed in range(50)] for n in range(1, 12)]
    for n, values in enumerate(waits, start=1):
        longest = min(60.0, 0.5 * 2 ** (n - 1))
        assert all(longest / 2 <= value <= longest for value in values)
        assert len(set(values)) > 40


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": formatdate(1_000_030, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(999_000, usegmt=True)}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e9"}, 3600.0),
        ({"retry-after-ms": "x", "retry-after": "3"}, 3.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1m30s"}, 90.0),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1m30s"}, None),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "60ms"}, 0.06),
        ({"x-ratelimit-remaining-tokens": "0"}, None),
        ({}, None),
    ],
)
def test_waits_that_servers_ask_for(headers: dict[str, str], wait: float | None) -> None:
    assert retry_after_s(headers, 1_000_000.0) == wait


def test_durations_as_openai_writes_them() -> None:
    assert parse_duration_s("6m0s") == 360
    assert parse_duration_s("1h2m3.5s") == 3723.5
    assert parse_duration_s("120ms") == pytest.approx(0.12)
    assert parse_duration_s("12") == 12
    assert [parse_duration_s(text) for text in ("", "s", "x", "1y", "1s!")] == [None] * 5
    assert exhausted_s({"x-ratelimit-remaining-requests": "0"}) is None


async def _visit(gate: Gate, tokens: float, stay_s: float, log: list[float]) -> None:
    place = await gate.enter(tokens)
    log.append(place.taken_at)
    await asyncio.sleep(stay_s)
    gate.leave(place, used=tokens)


def test_the_gate_keeps_to_its_window_and_lets_all_through() -> None:
    async def main() -> None:
        gate = Gate(concurrency=5)
        seen = 0

        async def visit() -> None:
            nonlocal seen
            place = await gate.enter(1)
            seen = max(seen, gate.in_flight)
            await asyncio.sleep(1)
            gate.leave(place)

        await asyncio.gather(*(visit() for _ in range(50)))
        assert seen == 5
        assert gate.in_flight == 0
        assert asyncio.get_running_loop().time() == pytest.approx(10)

    run(main())


def test_the_gate_paces_requests_and_tokens() -> None:
    async def main() -> None:
        by_requests: list[float] = []
        gate = Gate(requests_per_minute=120)
        await asyncio.gather(*(_visit(gate, 1, 0, by_requests) for _ in range(120)))
        assert by_requests[-1] == pytest.approx(59.5, abs=1.5)
        by_tokens: list[float] = []
        start = asyncio.get_running_loop().time()
        gate = Gate(tokens_per_minute=6000)
        await asyncio.gather(*(_visit(gate, 600, 0, by_tokens) for _ in range(11)))
        assert by_tokens[-1] - start == pytest.approx(60, abs=7)

    run(main())


def test_tokens_are_charged_by_what_requests_use_and_corrected() -> None:
    """Each may use 10,000 and uses 100, one in ten 1,000: 60,000 a minute let 300 through in
    57 s; charged by the worst case it would be 50 minutes, or one at a time."""

    async def main() -> None:
        gate = Gate(tokens_per_minute=60_000)

        async def visit(index: int) -> None:
            place = await gate.enter(10_000)
            await asyncio.sleep(2)
            gate.leave(place, used=1000 if index % 10 == 0 else 100)

        await asyncio.gather(*(visit(index) for index in range(300)))
        assert 50 <= asyncio.get_running_loop().time() <= 75

    run(main())


def test_a_pause_holds_everybody_and_ends() -> None:
    async def main() -> None:
        gate, log = Gate(), []
        gate.pause(30)
        gate.pause(5)  # the longer one stays
        await asyncio.gather(*(_visit(gate, 1, 0, log) for _ in range(3)))
        assert min(log) == pytest.approx(30)
        assert max(log) < 31

    run(main())


def test_a_cancelled_caller_holds_no_place() -> None:
    async def main() -> None:
        gate = Gate(concurrency=1)
        place = await gate.enter(1)
        waiting = [asyncio.create_task(gate.enter(1)) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        gate.leave(place)  # admits the second …
        waiting[1].cancel()  # … who is cancelled before it hears of it
        await asyncio.sleep(0.1)
        assert waiting[2].done()
        assert gate.in_flight == 1

    run(main())


def test_a_retry_goes_before_those_that_wait() -> None:
    async def main() -> None:
        gate, order = Gate(concurrency=1), []

        async def visit(name: str, first: bool = False) -> None:
            place = await gate.enter(1, first=first)
            order.append(name)
            gate.leave(place)

        place = await gate.enter(1)
        tasks = [asyncio.create_task(visit(n)) for n in ("a", "b")]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(visit("retry", first=True)))
        await asyncio.sleep(0)
        gate.leave(place)
        await asyncio.gather(*tasks)
        assert order == ["retry", "a", "b"]

    run(main())


def test_limits_that_let_nothing_through_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing through"):
        Pace(0)
    with pytest.raises(ValueError, match="at least 1"):
        Window(0)
