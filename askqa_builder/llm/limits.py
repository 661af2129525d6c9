"""Manners towards an endpoint: how fast, how many at once, when to try again, when to give up.

`Pace`, `Window`, `Breaker` and the two functions are plain arithmetic on times that are passed
in; only `Gate` touches asyncio, and its clock is the event loop's own, so that tests run it in
virtual time. Times are in seconds.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

FIRST_WINDOW = 16
"""Requests in flight before anything is known of the endpoint; doubles each round trip."""


class Pace:
    """So much a minute, evenly spread: a token bucket that holds at most half a second's worth.

    With unit amounts no window of 60 s ever sees more than `per_minute` (plus rounding). An
    amount larger than the bucket is let through on credit, and what follows waits for it.
    """

    def __init__(self, per_minute: float) -> None:
        if per_minute <= 0:
            raise ValueError(f"a pace of {per_minute!r} a minute lets nothing through")
        self._capacity = max(1.0, per_minute / 120)
        # What the bucket holds at the start of a window comes on top of what flows in.
        self._per_s = (per_minute + 1 - self._capacity) / 60
        self._level = self._capacity
        self._filled_at: float | None = None

    def wait_s(self, now: float, amount: float = 1) -> float:
        """Return how long `amount` has to wait; 0 where it may go now."""
        if self._filled_at is not None:
            elapsed = now - self._filled_at
            self._level = min(self._capacity, self._level + elapsed * self._per_s)
        self._filled_at = now
        missing = min(amount, self._capacity) - self._level
        # A billionth of slack, or rounding would make a wake-up find itself too early for ever.
        return missing / self._per_s if missing > 1e-9 * self._capacity else 0.0

    def take(self, amount: float = 1) -> None:
        self._level -= amount

    def give_back(self, amount: float) -> None:
        """Return what was taken and not used (negative: it was more than was taken)."""
        self._level = min(self._capacity, self._level + amount)


class Window:
    """How many requests may be in flight: additive increase, multiplicative decrease.

    Doubles each round trip until the endpoint first pushes back, as TCP's slow start does
    (RFC 5681); from then on grows by one a round trip and halves when pushed back.
    """

    def __init__(self, ceiling: int) -> None:
        if ceiling < 1:
            raise ValueError(f"concurrency must be at least 1, not {ceiling!r}")
        self._ceiling = ceiling
        self._size = float(min(FIRST_WINDOW, ceiling))
        self._shrunk_at: float | None = None

    @property
    def size(self) -> int:
        return int(self._size)

    def on_success(self) -> None:
        step = 1.0 if self._shrunk_at is None else 1 / self._size
        self._size = min(float(self._ceiling), self._size + step)

    def on_pushback(self, now: float, started_at: float) -> None:
        """Halve, once for all the requests that were in flight when it last halved."""
        if self._shrunk_at is None or started_at > self._shrunk_at:
            self._size = max(1.0, self._size / 2)
            self._shrunk_at = now


class Breaker:
    """Opens when nothing has worked for a while: many failures in a row, and long enough.

    Both, since a hundred requests that are cut at the same moment are one failure of the server.
    """

    HOPELESS_S = 3.0
    """The patience where nothing ever worked and waiting will not help (a mistyped address)."""
    UNREACHABLE = 3
    """Failures that suffice, then, where nobody even listens: there may be few requests to fail."""

    def __init__(self, failures: int = 20, patience_s: float = 30.0) -> None:
        self._limit, self._patience_s = failures, patience_s
        self._ever_well = False
        self._ill_since: float | None = None
        self.failures = 0
        """Failures since the last success."""

    def on_success(self) -> None:
        self._ever_well, self._ill_since, self.failures = True, None, 0

    def on_failure(self, now: float, *, hopeless: bool = False, reached: bool = True) -> bool:
        """Count a failure; True where it is time to stop."""
        self._ill_since = now if self._ill_since is None else self._ill_since
        self.failures += 1
        limit, patience_s = self._limit, self._patience_s
        if hopeless and not self._ever_well:
            patience_s = min(patience_s, self.HOPELESS_S)
            limit = limit if reached else min(limit, self.UNREACHABLE)
        return self.failures >= limit and now - self._ill_since >= patience_s


def backoff_s(
    attempt: int, chance: random.Random, *, base_s: float = 0.5, cap_s: float = 60.0
) -> float:
    """Return the wait before try `attempt` (1: the second try): exponential, half of it jitter."""
    longest = min(cap_s, base_s * 2.0 ** (attempt - 1))
    return longest * (0.5 + 0.5 * chance.random())


def retry_after_s(headers: Mapping[str, str], now_utc: float) -> float | None:
    """Return the wait that a 429 or 503 asks for; None where it names none (or nonsense).

    Reads `retry-after-ms`, `Retry-After` (seconds or a date: RFC 9110, 10.2.3) and OpenAI's
    `x-ratelimit-reset-requests` / `-tokens` of whichever has nothing remaining. `headers` must
    ignore case; `now_utc` is in seconds since the epoch.
    """
    if (milliseconds := headers.get("retry-after-ms")) is not None:
        try:
            return _reasonable(float(milliseconds) / 1000)
        except ValueError:
            pass  # an unreadable hint is no hint; the next header may be better
    if (text := headers.get("retry-after")) is not None:
        try:
            return _reasonable(float(text))
        except ValueError:
            try:
                return _reasonable(parsedate_to_datetime(text).timestamp() - now_utc)
            except ValueError:
                pass
    return exhausted_s(headers)


def exhausted_s(headers: Mapping[str, str]) -> float | None:
    """Return how long until a used-up allowance is refilled; None where something remains."""
    waits = [
        parse_duration_s(headers.get(f"x-ratelimit-reset-{what}", ""))
        for what in ("requests", "tokens")
        if headers.get(f"x-ratelimit-remaining-{what}") == "0"
    ]
    known = [wait for wait in waits if wait is not None]
    return _reasonable(max(known)) if known else None


def parse_duration_s(text: str) -> float | None:
    """Read `1s`, `6m0s`, `120ms`, `1h2m3.5s` or plain seconds; None for anything else."""
    units = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    total, number, unit = 0.0, "", ""
    try:
        for char in text + "\0":
            if char.isalpha():
                unit += char
                continue
            if unit:
                total += float(number) * units[unit]
                number = unit = ""
            number += char
        rest = number.rstrip("\0")
        return total + (float(rest) if rest else 0.0) if text else None
    except (ValueError, KeyError):
        return None


def _reasonable(wait_s: float) -> float | None:
    """A wait in the past is none; no header may stop a run for over an hour; NaN is nonsense."""
    return min(max(wait_s, 0.0), 3600.0) if wait_s == wait_s else None


@dataclass(frozen=True, slots=True)
class Place:
    """A request's place among those in flight."""

    taken_at: float
    """The loop's time."""
    allowed: float
    """Tokens that it may use, at most."""
    charged: float
    """Tokens that the limit was charged for it: what it will probably use."""


class Gate:
    """Lets requests through one by one: concurrency, pace, and pauses that the endpoint asks for.

    First come, first served; `enter` waits, and each `enter` is followed by one `leave`. Requests
    use far less than they are allowed to, and a limit charged by the worst case would stand idle:
    so it is charged what they have used on average, and corrected when each has ended.
    """

    def __init__(
        self,
        *,
        concurrency: int = 100,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        self.window = Window(concurrency)
        self.in_flight = 0
        self._requests = Pace(requests_per_minute) if requests_per_minute else None
        self._tokens = Pace(tokens_per_minute) if tokens_per_minute else None
        self._used_share: float | None = None
        self._open_at = 0.0
        self._waiting: deque[tuple[asyncio.Future[Place], float]] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    async def enter(self, tokens: float, *, first: bool = False) -> Place:
        """Wait for a place. `tokens`: what the request may use; `first`: before all who wait."""
        ticket: asyncio.Future[Place] = asyncio.get_running_loop().create_future()
        (self._waiting.appendleft if first else self._waiting.append)((ticket, tokens))
        self._admit()
        try:
            return await ticket
        except asyncio.CancelledError:
            if ticket.done() and not ticket.cancelled():
                self.leave(ticket.result())  # was let in, and cancelled in the same moment
            raise

    def leave(self, place: Place, used: float | None = None) -> None:
        """Give the place back. `used`: tokens, where a reply came; None: nothing was used."""
        self.in_flight -= 1
        if self._tokens is not None:
            self._tokens.give_back(place.charged - (used or 0.0))
        if used is not None and place.allowed > 0:
            share = min(1.0, used / place.allowed)
            known = self._used_share
            self._used_share = share if known is None else known + 0.05 * (share - known)
        self._admit()

    def pause(self, wait_s: float) -> None:
        """Let nobody in for `wait_s` (a longer pause under way stays)."""
        self._open_at = max(self._open_at, asyncio.get_running_loop().time() + wait_s)

    def _admit(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and self.in_flight < self.window.size:
            ticket, allowed = self._waiting[0]
            if ticket.done():  # its caller was cancelled
                self._waiting.popleft()
                continue
            now = loop.time()
            wait_s = self._open_at - now
            charge = allowed * (1.0 if self._used_share is None else self._used_share)
            if self._requests is not None:
                wait_s = max(wait_s, self._requests.wait_s(now))
            if self._tokens is not None:
                wait_s = max(wait_s, self._tokens.wait_s(now, charge))
            if wait_s > 0:
                if self._alarm is not None:
                    self._alarm.cancel()
                self._alarm = loop.call_later(wait_s, self._admit)
                return
            self._waiting.popleft()
            if self._requests is not None:
                self._requests.take()
            if self._tokens is not None:
                self._tokens.take(charge)
            self.in_flight += 1
            ticket.set_result(Place(now, allowed, charge))
