"""Times things that are compared round robin, in an order that rotates, so that a change of clock or
a busy neighbour hits all of them alike. Knows neither torch nor our program."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Timed:
    """One thing to time: sample() gives the milliseconds of one run, after whatever untimed run it
    needs. failure is the text of what went wrong; then there are no samples."""

    label: str
    sample: Callable[[], float]
    samples_ms: list[float] = field(default_factory=list)
    failure: str = ""

    def median_ms(self) -> float | None:
        return statistics.median(self.samples_ms) if self.samples_ms and not self.failure else None


def rounds_within(round_ms: float, budget_ms: float, least: int, most: int) -> int:
    """How many rounds fit into a budget, within bounds."""
    return max(least, min(most, int(budget_ms / max(round_ms, 1e-6))))


def rotated(items: list, turn: int) -> list:
    start = turn % len(items) if items else 0
    return items[start:] + items[:start]


def interleave(timed: list[Timed], budget_ms: float, least: int = 5, most: int = 30,
               pause: Callable[[], None] = lambda: time.sleep(0.008)) -> None:
    """Takes one sample of each in turn, as many rounds as the budget holds. The first sample of each
    warms up and is dropped. pause() goes before each sample: workers of the one before it that spin
    for more work then sleep."""
    first_ms = 0.0
    for one in timed:
        try:
            first_ms += one.sample()
        except Exception as error:  # noqa: BLE001 - a peer's failure is a result
            one.failure = f"{type(error).__name__}: {error}"
    live = [one for one in timed if not one.failure]
    # A sample costs an untimed run, too.
    for turn in range(rounds_within(2 * first_ms, budget_ms, least, most) if live else 0):
        for one in rotated(live, turn):
            if one.failure:
                continue
            pause()
            try:
                one.samples_ms.append(one.sample())
            except Exception as error:  # noqa: BLE001
                one.failure = f"{type(error).__name__}: {error}"


def sampler(run: Callable, fresh: Callable | None = None, least_ms: float = 1.0,
            warm_ms: float = 20.0,
            clock: Callable[[], float] = time.perf_counter) -> Callable[[], float]:
    """A Timed.sample of a Python function, by the rule of our program: untimed runs first until
    warm_ms have passed (workers that slept take milliseconds to come back), then the mean of as many
    runs as make up least_ms; or the first run, where that takes several times as long. fresh() makes,
    untimed, the argument of each run. clock() gives seconds."""

    def one_ms() -> float:
        argument = (fresh(),) if fresh else ()
        start = clock()
        run(*argument)
        return (clock() - start) * 1e3

    def sample() -> float:
        first_ms = one_ms()
        if first_ms >= 7 * warm_ms:
            return first_ms
        warmed_ms = first_ms
        while warmed_ms < warm_ms:
            warmed_ms += one_ms()
        total_ms, runs = 0.0, 0
        while total_ms < least_ms:
            total_ms += one_ms()
            runs += 1
        return total_ms / runs

    return sample
