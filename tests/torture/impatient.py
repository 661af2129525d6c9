"""The command line with little patience for a server that is gone: seconds, not a minute.

    python tests/torture/impatient.py generate …

Nothing else is another: what is given up, stored and told is what a user's command does.
"""

from functools import partial

from askqa_builder.cli import main
from askqa_builder.llm import endpoint
from askqa_builder.llm.limits import Breaker, backoff_s


def impatient(failures: int, patience_s: float) -> Breaker:
    """A breaker that opens after as many failures, and sooner."""
    return Breaker(failures, min(patience_s, 1.0))


if __name__ == "__main__":
    endpoint.Breaker = impatient
    endpoint.backoff_s = partial(backoff_s, cap_s=1.0)
    main()
