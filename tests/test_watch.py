"""What a training is warned of."""

from __future__ import annotations

from askqa_builder.learn.watch import Watch


def warnings_of(losses: list[dict[str, float]], alone: dict[int, float] | None = None) -> list[str]:
    watch = Watch("main", alone)
    for step, entry in enumerate(losses, start=1):
        watch.validated(step, entry, share_done=step / len(losses))
    return watch.warnings


def test_task_that_makes_the_main_one_worse_is_told() -> None:
    losses = [{"main": 3.0}, {"main": 2.0}]
    (warning,) = warnings_of(losses, {0: 4.0, 1: 3.0, 3: 0.8})
    assert warning.startswith("step 2: the other tasks make main worse: validation loss 2.000, al")
    assert "alone 1.900" in warning
    assert warnings_of(losses, {1: 3.0, 2: 2.0}) == []


def test_overfitting_is_told() -> None:
    up = [{"main": x} for x in (2.0, 1.0, 1.2, 1.3)]
    (warning,) = warnings_of(up)
    assert warning.startswith("step 4: overfitting: validation loss 1.300, lowest 1.000")
    assert warnings_of([{"main": x} for x in (2.0, 1.0, 1.2, 0.9)]) == []


def test_model_that_ignores_the_sound_is_told() -> None:
    deaf = [{"main": 2.0, "swapped": 2.0}, {"main": 1.0, "swapped": 1.01}]
    assert len(warnings_of(deaf)) == 2
    assert (
        "the sound is ignored: validation loss 1.000, with the sound of other"
        in warnings_of(deaf)[1]
    )
    assert warnings_of(
        [{"main": 2.0, "swapped": 2.0}, *deaf[1:], {"main": 1.0, "swapped": 3.0}]
    ) == [warnings_of(deaf)[1]]
