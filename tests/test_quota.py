"""Which candidates are tried: balanced, and nothing moves but the ends."""

from __future__ import annotations

from collections import Counter
from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from askqa_builder.quota import PATIENCE, STRATA, Candidate, Order, Quotas, Stratum

IDS = [f"passage-{number}" for number in range(300)]


def first(stratum: Stratum, count: int, ids: list[str] = IDS) -> list[Candidate]:
    return list(islice(Order(ids, 0.5, 0).candidates(stratum), count))


def all_of(candidates: list[Candidate], ids: list[str] = IDS) -> set[tuple[Stratum, str, int]]:
    return {(c.stratum, ids[c.passage], c.sample) for c in candidates}


@given(st.integers(1, 2000), st.floats(0, 1), st.integers(0, 9))
def test_quotas_add_up_and_kinds_differ_by_one_at_most(count: int, share: float, seed: int) -> None:
    wanted = Quotas(count, share, seed).wanted
    kinds = [number for stratum, number in wanted.items() if stratum is not None]
    assert sum(wanted.values()) == count
    assert max(kinds) - min(kinds) <= 1
    assert abs(sum(kinds) - count * share) <= 0.5


@given(st.integers(1, 500), st.integers(0, 500), st.floats(0, 1))
def test_a_larger_count_wants_no_less_of_anything(count: int, more: int, share: float) -> None:
    small, large = Quotas(count, share, 0).wanted, Quotas(count + more, share, 0).wanted
    assert all(small[stratum] <= large[stratum] for stratum in STRATA)


@settings(max_examples=20)
@given(st.integers(1, 60), st.integers(1, 400), st.sampled_from([0.0, 0.1, 0.5, 1.0]))
def test_no_candidate_is_tried_twice(passages: int, count: int, share: float) -> None:
    order = Order(IDS[:passages], share, 0)
    orders = {stratum: order.candidates(stratum) for stratum in STRATA}
    quotas = Quotas(count, share, 0)
    chosen = quotas.next_round(orders, count)
    assert len(chosen) == len(set(chosen)) == count
    assert Counter(c.stratum for c in chosen) == +Counter(quotas.wanted)


def test_passages_are_used_evenly() -> None:
    order = Order(IDS[:40], 0.5, 0)
    orders = {stratum: order.candidates(stratum) for stratum in STRATA}
    used = Counter(c.passage for c in Quotas(400, 0.5, 0).next_round(orders, 400))
    assert len(used) == 40
    assert max(used.values()) - min(used.values()) <= 4


def test_samples_of_a_passage_count_up() -> None:
    seen: Counter[int] = Counter()
    for candidate in first("time", 200, IDS[:3]):
        assert candidate.sample == seen[candidate.passage]
        seen[candidate.passage] += 1


def test_a_passage_more_or_less_moves_only_the_ends() -> None:
    for stratum in STRATA:
        before = all_of(first(stratum, 20))
        ids = [*IDS[:3], "new", *IDS[3:]]
        after = all_of(first(stratum, 20, ids), ids)
        assert len(before - after) <= 1
        without = IDS[:2] + IDS[3:]
        assert len(before - all_of(first(stratum, 20, without), without)) <= 1


def test_a_round_asks_for_what_is_missing_in_the_same_proportions() -> None:
    order = Order(IDS, 0.5, 0)
    orders = {stratum: order.candidates(stratum) for stratum in STRATA}
    quotas = Quotas(120, 0.5, 0)
    chosen = quotas.next_round(orders, 60)  # fewer than are missing
    counted = Counter(c.stratum for c in chosen)
    assert counted[None] == 30
    assert all(counted[kind] == 5 for kind in STRATA if kind)
    for candidate in chosen:
        quotas.add(candidate.stratum, accepted=candidate.stratum is None)
    assert quotas.missing == 90
    again = Counter(c.stratum for c in quotas.next_round(orders, 1000))
    assert again[None] == 30
    assert all(again[kind] == 10 for kind in STRATA if kind)


def test_a_kind_that_never_comes_leaves_its_quota_to_the_others() -> None:
    quotas = Quotas(120, 0.5, 0)
    for _ in range(PATIENCE):
        quotas.add("time", accepted=False)
        quotas.add("place", accepted=True)
    quotas.give_up()
    assert quotas.wanted["time"] == 0
    assert sum(quotas.wanted.values()) == 120
    assert quotas.wanted[None] == 60, "the share stays"
    heirs = [quotas.wanted[kind] for kind in STRATA if kind not in ("time", None)]
    assert max(heirs) - min(heirs) <= 1
    quotas.give_up()
    assert quotas.wanted["time"] == 0


def test_nothing_is_passed_on_where_no_kind_comes() -> None:
    kinds = STRATA[:-1]
    quotas = Quotas(12, 1.0, 0)
    for kind in kinds:
        for _ in range(PATIENCE):
            quotas.add(kind, accepted=False)
    quotas.give_up()
    assert quotas.missing == 12
    assert all(quotas.wanted[kind] == 2 for kind in kinds)
