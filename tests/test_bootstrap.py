"""The cluster bootstrap against a plain loop, against the truth, and against scikit-learn."""

from __future__ import annotations

import random

import numpy as np
import pytest

from askqa_builder.evaluate.bootstrap import difference, draws, estimate, estimate_runs
from askqa_builder.evaluate.metrics import BleuCounts, bleu1_counts
from askqa_builder.evaluate.scores import (
    corpus_bleu1,
    decision_metrics,
    decision_scores,
    mean,
    totals,
)
from askqa_builder.evaluate.slices import bin_label, estimate_slices, facets


def clustered(
    rng: np.random.Generator, passages: int, spread: float
) -> tuple[list[str], np.ndarray]:
    """Items on passages: 1 to 9 each, with a common part of that spread and one of their own."""
    sizes = rng.integers(1, 10, passages)
    names = np.repeat([f"p{index:05d}" for index in range(passages)], sizes)
    common = np.repeat(rng.normal(0, spread, passages), sizes)
    return names.tolist(), 0.5 + common + rng.normal(0, 0.2, len(names))


def test_intervals_equal_a_plain_loop_over_the_same_draws() -> None:
    rng = np.random.default_rng(1)
    names, values = clustered(rng, 40, 0.3)
    gold = rng.choice(["ask", "answer"], len(names)).tolist()
    said = rng.choice(["ask", "answer", "none"], len(names)).tolist()
    metrics = {"mean": mean(values), **decision_metrics(gold, said)}
    results = estimate(metrics, names, resamples=200, seed=7)

    ordered = sorted(set(names))
    items = {name: [i for i, other in enumerate(names) if other == name] for name in ordered}
    looped: dict[str, list[float]] = {name: [] for name in metrics}
    for block in draws(len(ordered), 200, 7):
        for drawn in block:
            rows = [row for passage in drawn for row in items[ordered[passage]]]
            looped["mean"].append(float(np.mean([values[row] for row in rows])))
            scores = decision_scores([gold[row] for row in rows], [said[row] for row in rows])
            for name, score in scores.items():
                assert score is not None
                looped[name].append(score)
    for name, result in results.items():
        low, high = np.quantile(looped[name], [0.025, 0.975])
        assert result.low == pytest.approx(low), name
        assert result.high == pytest.approx(high), name


def test_intervals_hold_the_truth_about_95_times_in_100() -> None:
    rng = np.random.default_rng(2)
    held = 0
    for run in range(400):
        names, values = clustered(rng, 60, 0.3)
        interval = estimate({"mean": mean(values)}, names, resamples=300, seed=run)["mean"]
        assert interval.low is not None
        assert interval.high is not None
        held += interval.low <= 0.5 <= interval.high
    # 400 runs: standard error 1.1 points; percentile intervals run slightly low at 60 clusters.
    assert 0.91 <= held / 400 <= 0.98


def test_intervals_that_ignore_passages_are_too_narrow() -> None:
    rng = np.random.default_rng(3)
    names, values = clustered(rng, 200, 0.5)
    metrics = {"mean": mean(values)}
    by_passage = estimate(metrics, names)["mean"]
    by_item = estimate(metrics, [str(index) for index in range(len(names))])["mean"]
    assert by_passage.value == pytest.approx(by_item.value)
    assert by_passage.high - by_passage.low > 1.5 * (by_item.high - by_item.low)


def test_same_seed_same_interval_whatever_the_order_of_items() -> None:
    rng = np.random.default_rng(4)
    names, values = clustered(rng, 30, 0.3)
    order = list(range(len(names)))
    random.Random(0).shuffle(order)
    shuffled = {"mean": mean(values[order])}
    first = estimate({"mean": mean(values)}, names, seed=5)["mean"]
    again = estimate(shuffled, [names[index] for index in order], seed=5)["mean"]
    other = estimate({"mean": mean(values)}, names, seed=6)["mean"]
    assert (again.low, again.high) == pytest.approx((first.low, first.high), abs=1e-12)
    assert (other.low, other.high) != (first.low, first.high)


def test_draws_do_not_depend_on_how_many_fit_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = np.concatenate(list(draws(50, 100, 3)))
    monkeypatch.setattr("askqa_builder.evaluate.bootstrap._CHUNK", 333)
    blocks = list(draws(50, 100, 3))
    assert len(blocks) > 10
    assert np.array_equal(whole, np.concatenate(blocks))


def test_one_passage_has_a_score_and_no_interval() -> None:
    result = estimate({"mean": mean([0.2, 0.4])}, ["p", "p"])["mean"]
    assert result.value == pytest.approx(0.3)
    assert (result.low, result.high, result.items, result.passages) == (None, None, 2, 1)


def test_nothing_has_neither() -> None:
    result = estimate({"mean": mean([]), **decision_metrics([], [])}, [])
    assert {(r.value, r.low, r.high, r.items, r.passages) for r in result.values()} == {
        (None, None, None, 0, 0)
    }


def test_items_without_a_value_are_left_out_of_a_mean() -> None:
    metrics = {"mean": mean([1.0, None, 0.0, float("nan")]), "none": mean([None] * 4)}
    result = estimate(metrics, ["a", "b", "c", "d"])
    assert result["mean"].value == 0.5
    assert result["none"].value is None
    assert result["none"].low is None


def test_differences_and_runs_say_over_how_many_items_they_are() -> None:
    names = ["a", "a", "b", "c"]
    few, more = {"m": mean([1.0, None, 0.0, None])}, {"m": mean([1.0, 1.0, 0.0, None])}
    for change in (difference(few, more, names)["m"], difference(more, few, names)["m"]):
        assert (change.items, change.passages) == (2, 2)
    runs = estimate_runs([more, few], names)["m"]
    assert (runs.items, runs.passages) == (2, 2)
    assert estimate_runs([more], names)["m"].items == 3


def test_a_score_that_few_resamples_define_has_no_interval() -> None:
    # One passage of 20 has the only value: a third of all resamples miss it.
    result = estimate({"mean": mean([1.0] + [None] * 19)}, [str(i) for i in range(20)])["mean"]
    assert result.value == 1.0
    assert result.low is None


def test_a_table_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="another number of items"):
        estimate({"mean": mean([1.0, 2.0])}, ["p"])


def test_paired_difference_is_sharper_than_two_intervals() -> None:
    rng = np.random.default_rng(5)
    names, values = clustered(rng, 100, 0.5)
    better = values + 0.05 + rng.normal(0, 0.02, len(values))
    a, b = {"mean": mean(values)}, {"mean": mean(better), "only in b": mean(better)}
    apart = [estimate(metrics, names)["mean"] for metrics in (a, b)]
    assert apart[0].high > apart[1].low  # taken apart, the intervals overlap
    result = difference(a, b, names)
    assert list(result) == ["mean"]
    assert result["mean"].difference == pytest.approx(0.05, abs=0.01)
    assert result["mean"].is_clear
    assert not difference(a, a, names)["mean"].is_clear
    assert difference(a, a, names)["mean"].difference == 0


def test_difference_equals_a_plain_loop_over_the_same_draws() -> None:
    rng = np.random.default_rng(6)
    names = [f"p{index}" for index in range(25)]
    x, y = rng.random(25), rng.random(25)
    result = difference({"m": mean(x)}, {"m": mean(y)}, names, resamples=100, seed=1)["m"]
    order = np.argsort(names)
    deltas = [np.mean((y - x)[order][drawn]) for block in draws(25, 100, 1) for drawn in block]
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(deltas, [0.025, 0.975])))


def test_decision_scores_equal_scikit_learn() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(7)
    for _ in range(50):
        n = int(rng.integers(1, 40))
        gold = rng.choice(["ask", "answer"], n, p=rng.dirichlet([1, 1])).tolist()
        said = rng.choice(["ask", "answer", "none"], n, p=rng.dirichlet([1, 1, 0.3])).tolist()
        ours = decision_scores(gold, said)
        present = [label for label in ("ask", "answer") if label in gold or label in said]
        f1 = {
            average: sklearn.f1_score(gold, said, labels=present, average=average, zero_division=0)
            for average in ("macro", "weighted")
        }
        assert ours["decision_accuracy"] == pytest.approx(sklearn.accuracy_score(gold, said))
        assert ours["decision_macro_f1"] == pytest.approx(f1["macro"])
        assert ours["decision_weighted_f1"] == pytest.approx(f1["weighted"])
        for name, score in (
            ("ask_precision", sklearn.precision_score),
            ("ask_recall", sklearn.recall_score),
            ("ask_f1", sklearn.f1_score),
        ):
            expected = score(gold, said, labels=["ask"], average="macro", zero_division=np.nan)
            if name == "ask_precision" and "ask" in gold and "ask" not in said:
                expected = 0.0  # a model that never asks, though it should
            if ours[name] is None:
                assert np.isnan(expected), name
            else:
                assert ours[name] == pytest.approx(expected), name


def test_decision_scores_by_hand() -> None:
    gold = ["ask", "ask", "ask", "answer", "answer"]
    said = ["ask", "answer", "none", "ask", "answer"]
    scores = decision_scores(gold, said)
    assert scores["decision_accuracy"] == pytest.approx(2 / 5)
    assert scores["ask_precision"] == pytest.approx(1 / 2)
    assert scores["ask_recall"] == pytest.approx(1 / 3)
    assert scores["ask_f1"] == pytest.approx(2 / 5)  # 2·1 / (2·1 + 2 missed + 1 false)
    assert scores["decision_macro_f1"] == pytest.approx((2 / 5 + 1 / 2) / 2)
    assert scores["decision_weighted_f1"] == pytest.approx(3 / 5 * 2 / 5 + 2 / 5 * 1 / 2)


def test_a_gold_decision_is_ask_or_answer() -> None:
    with pytest.raises(ValueError, match="none"):
        decision_metrics(["none"], ["ask"])


def test_corpus_bleu1_equals_sacrebleu() -> None:
    bleu = pytest.importorskip("sacrebleu.metrics").BLEU(max_ngram_order=1, lowercase=True)
    hypotheses = ["Do you mean the motto?", "Which one?", "Who do you mean by he, Tom or Sam?"]
    references = ["Do you mean the motto or the flower?", "Which one do you mean?", "Tom or Sam?"]
    counts = [bleu1_counts(h, [r]) for h, r in zip(hypotheses, references, strict=True)]
    expected = bleu.corpus_score(hypotheses, [references]).score / 100
    assert totals({"bleu": corpus_bleu1([*counts, None])})["bleu"] == pytest.approx(expected)


def test_corpus_bleu1_of_silence_is_zero_and_of_nothing_undefined() -> None:
    assert totals({"bleu": corpus_bleu1([BleuCounts(0, 0, 7)])})["bleu"] == 0
    assert totals({"bleu": corpus_bleu1([None])})["bleu"] is None


def test_a_slice_scores_like_a_table_of_its_own() -> None:
    rng = np.random.default_rng(8)
    names, values = clustered(rng, 50, 0.3)
    accents = rng.choice(["en-gb", "en-us"], len(names)).tolist()
    sliced = estimate_slices({"mean": mean(values)}, names, {"accent": accents}, seed=3)["accent"]
    assert list(sliced) == ["en-gb", "en-us"]
    for accent, result in sliced.items():
        rows = [index for index, other in enumerate(accents) if other == accent]
        alone = estimate({"mean": mean(values[rows])}, [names[row] for row in rows], seed=3)
        assert result == alone
    assert sum(result["mean"].items for result in sliced.values()) == len(names)


def test_slices_of_nothing_are_none() -> None:
    assert estimate_slices({"mean": mean([])}, [], {"accent": []}) == {"accent": {}}


def test_bins_are_named_by_their_edges() -> None:
    edges = (0.95, 1.05)
    labels = [bin_label(value, edges) for value in (0.5, 0.95, 1.0, 1.05, 2.0)]
    assert labels == [
        "under 0.95",
        "0.95 to 1.05",
        "0.95 to 1.05",
        "1.05 and over",
        "1.05 and over",
    ]


def test_facets_name_every_dimension() -> None:
    item = facets(kind=None, speaker="v1", accent="en-gb", rate=1.1, pitch=-2.0, source="squad")
    assert item == {
        "kind": "unambiguous",
        "speaker": "v1",
        "accent": "en-gb",
        "rate": "1.05 and over",
        "pitch": "under -0.5",
        "source": "squad",
    }


# --- several runs


def test_runs_that_agree_have_the_interval_of_one() -> None:
    names, values = clustered(np.random.default_rng(5), 40, 0.3)
    run = {"mean": mean(values)}
    (one,), (three,) = (
        [estimate_runs([run] * n, names, resamples=300, seed=3)["mean"]] for n in (1, 3)
    )
    assert one == three == estimate(run, names, resamples=300, seed=3)["mean"]


def test_interval_of_runs_holds_what_varies_between_them() -> None:
    names, values = clustered(np.random.default_rng(6), 400, 0.01)
    runs = [{"mean": mean(values + shift)} for shift in (-0.2, 0.0, 0.2)]
    found = estimate_runs(runs, names)["mean"]
    assert found.value == pytest.approx(values.mean())
    assert found.low is not None
    assert found.high is not None
    # the mean of three draws from {-.2, 0, .2} lies beyond ±.13 in 2 of 27 times
    assert found.low < values.mean() - 0.12
    assert found.high > values.mean() + 0.12
    alone = estimate(runs[1], names)["mean"]
    assert alone.low is not None
    assert alone.low > values.mean() - 0.05


def test_difference_of_runs_is_paired_by_passage_and_run() -> None:
    names, values = clustered(np.random.default_rng(7), 60, 0.5)
    before = [{"mean": mean(values + shift)} for shift in (-0.3, 0.3)]
    after = [{"mean": mean(values + shift + 0.1)} for shift in (-0.3, 0.3)]
    change = estimate_runs(after, names, minus=before)["mean"]
    assert change.value == pytest.approx(0.1)
    assert (change.low, change.high) == (pytest.approx(0.1), pytest.approx(0.1))
    single = difference(before[0], after[0], names)["mean"]
    assert (single.low, single.high) == (pytest.approx(0.1), pytest.approx(0.1))
