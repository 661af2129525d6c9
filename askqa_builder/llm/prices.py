"""What a call costs, and a budget that no call can overrun.

Prices stand in `prices.toml`, small and meant to be edited. A model without a price has cost
None: unknown, not zero.
"""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from askqa_builder.errors import BudgetError, SettingsError

TABLE = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True, slots=True)
class Usage:
    """What an endpoint counted, in tokens (and, for speech, characters). Audio tokens are a part
    of the input and output, cached tokens a part of the input."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0
    audio_input_tokens: int = 0
    audio_output_tokens: int = 0
    characters: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cached_input_tokens + other.cached_input_tokens,
            self.audio_input_tokens + other.audio_input_tokens,
            self.audio_output_tokens + other.audio_output_tokens,
            self.characters + other.characters,
        )


class Price(BaseModel):
    """US dollars per million tokens (characters) of one model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: float = Field(ge=0)
    output: float = Field(ge=0)
    cached_input: float | None = Field(default=None, ge=0)
    cache_write: float | None = Field(default=None, ge=0)
    audio_input: float | None = Field(default=None, ge=0)
    audio_output: float | None = Field(default=None, ge=0)
    characters: float = Field(default=0.0, ge=0)
    batch_discount: float = Field(default=0.5, ge=0, le=1)

    def cost_usd(self, usage: Usage, *, batch: bool = False) -> float:
        """Return what `usage` costs; through the Batch API if `batch`."""
        plain_input = usage.input_tokens - usage.cached_input_tokens - usage.audio_input_tokens
        millionths = (
            max(0, plain_input) * self.input
            + usage.cached_input_tokens * _or(self.cached_input, self.input)
            + usage.audio_input_tokens * _or(self.audio_input, self.input)
            + max(0, usage.output_tokens - usage.audio_output_tokens) * self.output
            + usage.audio_output_tokens * _or(self.audio_output, self.output)
            + usage.characters * self.characters
        )
        return millionths / 1e6 * (1 - self.batch_discount if batch else 1)

    def worst_usd(self, usage: Usage, *, batch: bool = False) -> float:
        """Return the most that so many tokens can cost, whatever their kind."""
        dearest_input = max(
            self.input, *(_or(p, 0.0) for p in (self.cache_write, self.audio_input))
        )
        dearest_output = max(self.output, _or(self.audio_output, 0.0))
        millionths = (
            usage.input_tokens * dearest_input
            + usage.output_tokens * dearest_output
            + usage.characters * self.characters
        )
        return millionths / 1e6 * (1 - self.batch_discount if batch else 1)


Prices = Mapping[str, Mapping[str, Price]]
"""Host (with port, where the URL has one), then model, to price; the host "*" is any."""


def load_prices(extra: Path | None = None) -> dict[str, dict[str, Price]]:
    """Return the table that is shipped, overlaid with the user's own (`extra`).

    Raises SettingsError where the file cannot be read or is not such a table.
    """
    prices = {host: dict(models) for host, models in _shipped().items()}
    if extra is not None:
        for host, models in _read(extra).items():
            prices.setdefault(host, {}).update(models)
    return prices


def price_of(prices: Prices, base_url: str, model: str) -> Price | None:
    """Return the price of `model` at an endpoint; None where the table has none."""
    host = urlsplit(base_url).netloc
    undated = re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model)
    for where in (host, "*"):
        for name in (model, undated):
            if (price := prices.get(where, {}).get(name)) is not None:
                return price
    return None


@cache
def _shipped() -> dict[str, dict[str, Price]]:
    return _read(TABLE)


def _read(path: Path) -> dict[str, dict[str, Price]]:
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        return TypeAdapter(dict[str, dict[str, Price]]).validate_python(raw)
    except OSError as error:
        raise SettingsError(f"{path}: cannot read the prices: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not TOML: {error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise SettingsError(
            f"{path}: {where}: {first['msg']}; "
            f'write ["host"] and under it "model" = {{ input = …, output = … }}'
        ) from None


def _or(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value


class Budget:
    """Dollars that may be spent: each call reserves its worst case first, and settles after.

    `spent + uncertain + reserved` never exceeds the limit. *Uncertain* is what may have been
    billed without a reply reaching us (timeouts, cut connections), or with one that does not say
    how much: it is counted at its worst.
    """

    def __init__(
        self,
        limit_usd: float | None = None,
        *,
        spent_usd: float = 0.0,
        uncertain_usd: float = 0.0,
    ) -> None:
        """`spent_usd`, `uncertain_usd`: of earlier runs of the same build, as its `ReplyCache`
        tells."""
        if limit_usd is not None and not limit_usd > 0:
            raise SettingsError(f"a budget of {limit_usd!r} dollars allows nothing")
        self.limit_usd = limit_usd
        self.spent_usd = spent_usd
        self.uncertain_usd = uncertain_usd
        self.reserved_usd = 0.0
        self._open = 0
        self._waiting: list[asyncio.Future[None]] = []

    @property
    def remaining_usd(self) -> float | None:
        """What is left when all that is reserved is spent; None where there is no limit."""
        if self.limit_usd is None:
            return None
        return self.limit_usd - self.spent_usd - self.uncertain_usd - self.reserved_usd

    async def reserve(self, worst_usd: float) -> None:
        """Set `worst_usd` aside; wait while only other reservations are in the way.

        Raises BudgetError where it does not fit in what is left.
        """
        while self.limit_usd is not None:
            gone = self.spent_usd + self.uncertain_usd
            if gone + worst_usd > self.limit_usd:
                raise self.reached(f"the next call may cost ${worst_usd:.4f}")
            if gone + self.reserved_usd + worst_usd <= self.limit_usd:
                break
            change: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(change)
            await change
        self.owe(worst_usd)

    def reached(self, left: str) -> BudgetError:
        """The error of who may not go on; `left`: what there was to do, in words."""
        unsure = f" and perhaps {self.uncertain_usd:.4f}" if self.uncertain_usd else ""
        return BudgetError(
            f"budget of ${self.limit_usd:g} reached: ${self.spent_usd:.4f}{unsure} spent, {left}; "
            f"raise --budget-usd and run again: nothing that was paid is lost"
        )

    def owe(self, worst_usd: float) -> None:
        """Set aside what an earlier run has already committed itself to (an open batch)."""
        self.reserved_usd += worst_usd
        self._open += 1

    def settle(
        self, worst_usd: float, *, spent_usd: float = 0.0, uncertain_usd: float = 0.0
    ) -> None:
        """Turn a reservation into what was spent, and what perhaps was."""
        self._open -= 1
        # Exactly zero when nothing is open: a rounding error left over could block the last call.
        self.reserved_usd = self.reserved_usd - worst_usd if self._open else 0.0
        self.spent_usd += spent_usd
        self.uncertain_usd += uncertain_usd
        waiting, self._waiting = self._waiting, []
        for change in waiting:
            if not change.done():
                change.set_result(None)
