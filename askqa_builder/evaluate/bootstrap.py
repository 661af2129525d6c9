"""Scores with 95 % intervals, by a cluster bootstrap over passages.

Dialogues on one passage are not independent, so whole passages are resampled with replacement
(cluster bootstrap: Davison & Hinkley 1997, section 3.8; percentile interval: Efron & Tibshirani
1993, chapter 13). Every score here is a function of *sums* over items. So a passage needs to be
summed only once, and a resample is one row of counts W (how often each passage was drawn):

    sums of all resamples  =  W (resamples x passages)  @  sums of each passage
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

RESAMPLES = 1000
LEVEL = 0.95

# A score may be undefined on a resample (no question asked, so no precision). Those resamples
# are left out; an interval that would rest on less than this share of them is not given.
_DEFINED_SHARE = 0.95
# Drawn counts in memory at a time: 4 million float64 are 32 MB.
_CHUNK = 4_000_000


@dataclass(frozen=True)
class Metric:
    """A score that is a function of sums over items."""

    parts: tuple[Floats, ...]
    """One value per item each, shape (items,), finite: what is summed."""
    formula: Callable[..., Floats]
    """Takes the sums of the parts, each of one shape, and returns the scores in that shape; nan
    where the score is undefined."""
    applies: Floats | None = None
    """Shape (items,): 1 where the item counts, else 0. None: every item does."""


@dataclass(frozen=True)
class Estimate:
    """A score and its interval."""

    value: float | None
    """Null where nothing defines the score."""
    low: float | None
    """Null, as `high`, where one passage or too few resamples tell nothing about the spread."""
    high: float | None
    items: int
    """Those that count: the denominator. Of several runs, that of the one with the fewest."""
    passages: int


@dataclass(frozen=True)
class Difference:
    """Score B minus score A on the same items, with the interval of the difference."""

    a: float | None
    b: float | None
    difference: float | None
    low: float | None
    high: float | None
    items: int
    """The smaller of the two denominators."""
    passages: int

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def estimate(
    metrics: Mapping[str, Metric],
    passages: Sequence[str] | Integers,
    *,
    rows: Integers | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """Every metric over the items (or only those in `rows`), with its interval.

    `passages` names each item's passage. The result depends on the items and the seed alone, not
    on their order, and is the same for `rows` as for a table that holds nothing else.
    """
    table = _Table(metrics, passages, rows)
    value = table.scores(metrics, table.totals())
    drawn = _resampled(table, metrics, resamples, seed)
    return {
        name: Estimate(
            _number(value[name]),
            *_interval(drawn[name], level),
            *table.counted(metrics[name]),
        )
        for name in metrics
    }


def difference(
    a: Mapping[str, Metric],
    b: Mapping[str, Metric],
    passages: Sequence[str] | Integers,
    *,
    rows: Integers | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Difference]:
    """B minus A for every metric of both, paired: each resample draws the same passages for both.

    Items must be the same ones, in the same order, in `a`, `b` and `passages`.
    """
    names = [name for name in a if name in b]
    table_a, table_b = _Table(a, passages, rows), _Table(b, passages, rows)
    value_a = table_a.scores(a, table_a.totals())
    value_b = table_b.scores(b, table_b.totals())
    drawn_a = _resampled(table_a, a, resamples, seed)
    drawn_b = _resampled(table_b, b, resamples, seed)
    return {
        name: Difference(
            _number(value_a[name]),
            _number(value_b[name]),
            _number(value_b[name] - value_a[name]),
            *_interval(drawn_b[name] - drawn_a[name], level),
            *min(table_a.counted(a[name]), table_b.counted(b[name])),
        )
        for name in names
    }


def draws(n: int, resamples: int, seed: int) -> Iterator[Integers]:
    """The passages drawn: blocks of shape (some resamples, n) with indices below n.

    Depends on its arguments only, so that equal tables, and both sides of a pair, draw alike.
    """
    import numpy as np

    generator = np.random.default_rng([seed, n])
    block = max(1, _CHUNK // max(n, 1))
    for start in range(0, resamples, block):
        yield generator.integers(n, size=(min(block, resamples - start), n))


def estimate_runs(
    runs: Sequence[Mapping[str, Metric]],
    passages: Sequence[str] | Integers,
    *,
    minus: Sequence[Mapping[str, Metric]] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    level: float = LEVEL,
) -> dict[str, Estimate]:
    """Mean of every metric over runs with different seeds on the same items, with its interval.

    Each resample draws passages and runs, both with replacement, so that the interval holds what
    varies between passages and between seeds. With few runs it is somewhat too narrow: the spread
    of n drawn runs is (n - 1) / n of the true one. With `minus`, run for run the other ones, it is
    the mean of the differences. A single run has the interval of `estimate`.
    """
    import numpy as np

    tables = [_Table(run, passages, None) for run in runs]
    values = [t.scores(run, t.totals()) for t, run in zip(tables, runs, strict=True)]
    drawn = [_resampled(t, run, resamples, seed) for t, run in zip(tables, runs, strict=True)]
    if minus is not None:
        others = [_Table(run, passages, None) for run in minus]
        for i, (table, run) in enumerate(zip(others, minus, strict=True)):
            own, one = _resampled(table, run, resamples, seed), table.scores(run, table.totals())
            drawn[i] = {name: drawn[i][name] - own[name] for name in drawn[i]}
            values[i] = {name: values[i][name] - one[name] for name in values[i]}
    chosen = np.random.default_rng(seed).integers(0, len(runs), (len(runs), resamples))
    found = {}
    for name in runs[0]:
        scores = np.stack([d[name] for d in drawn])
        if scores.shape[1]:
            scores = np.take_along_axis(scores, chosen, axis=0).mean(axis=0)
        value = np.mean([v[name] for v in values])
        interval = _interval(scores.ravel(), level)
        counted = min(t.counted(run[name]) for t, run in zip(tables, runs, strict=True))
        found[name] = Estimate(_number(value), *interval, *counted)
    return found


class _Table:
    """The parts of all metrics, summed by passage."""

    def __init__(
        self,
        metrics: Mapping[str, Metric],
        passages: Sequence[str] | Integers,
        rows: Integers | None,
    ) -> None:
        import numpy as np

        self.columns: list[Floats] = []
        self._index: dict[int, int] = {}
        for metric in metrics.values():
            # metrics share parts: sum each only once
            for part in (*metric.parts, *([] if metric.applies is None else [metric.applies])):
                if id(part) not in self._index:
                    self._index[id(part)] = len(self.columns)
                    self.columns.append(part)
        names = np.asarray(passages)
        if any(len(column) != len(names) for column in self.columns):
            raise ValueError("a metric has another number of items than there are passages")
        # In the order of their names, so that the order of items does not matter.
        _, codes = np.unique(names if rows is None else names[rows], return_inverse=True)
        self.items = len(codes)
        self.passages = int(codes.max()) + 1 if self.items else 0
        self.sums = np.zeros((self.passages, len(self.columns)))
        """Shape (passages, parts)."""
        for index, column in enumerate(self.columns):
            values = column if rows is None else column[rows]
            self.sums[:, index] = np.bincount(codes, weights=values, minlength=self.passages)

    def counted(self, metric: Metric) -> tuple[int, int]:
        """How many items, and passages, a score is about."""
        if metric.applies is None:
            return self.items, self.passages
        counts = self.sums[:, self._index[id(metric.applies)]]
        return int(counts.sum()), int((counts > 0).sum())

    def totals(self) -> Floats:
        """Sums over all passages, shape (1, parts)."""
        totals: Floats = self.sums.sum(axis=0, keepdims=True)
        return totals

    def scores(self, metrics: Mapping[str, Metric], sums: Floats) -> dict[str, Floats]:
        """Each metric, shape (n,), from sums of shape (n, parts)."""
        return {
            name: metric.formula(*(sums[:, self._index[id(part)]] for part in metric.parts))
            for name, metric in metrics.items()
        }


def _resampled(
    table: _Table, metrics: Mapping[str, Metric], resamples: int, seed: int
) -> dict[str, Floats]:
    """Each metric on every resample; none for fewer than two passages: nothing varies there."""
    import numpy as np

    n = table.passages
    if n < 2:
        return {name: np.empty(0) for name in metrics}
    blocks = []
    for drawn in draws(n, resamples, seed):
        # Counts of all resamples of the block in one go: resample i counts in its own range.
        offsets = n * np.arange(len(drawn))[:, None]
        counts = np.bincount((drawn + offsets).ravel(), minlength=drawn.size)
        blocks.append(counts.reshape(drawn.shape).astype(np.float64) @ table.sums)
    return table.scores(metrics, np.concatenate(blocks))


def _interval(scores: Floats, level: float) -> tuple[float | None, float | None]:
    """Percentile interval of the defined scores."""
    import numpy as np

    defined = scores[np.isfinite(scores)]
    if len(defined) == 0 or len(defined) < _DEFINED_SHARE * len(scores):
        return None, None
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _number(score: Any) -> float | None:
    import numpy as np

    value = float(np.asarray(score).item())
    return value if np.isfinite(value) else None
