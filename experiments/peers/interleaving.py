"""Times several contenders in turn, in an order that rotates, so that a change of the clock or a
busy neighbour affects all of them alike. This module uses neither torch nor our program."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass, field
from typing import Callable


@dataclass
class Contender:
    """Something to time. sample() takes one sample and returns it in milliseconds; it first makes
    the runs without timing that it needs. failure: the exception that it threw; then samples do not
    count."""

    label: str
    sample: Callable[[], float]
    samples_ms: list[float] = field(default_factory=list)
    failure: str = ""

    def median_ms(self) -> float | None:
        return statistics.median(self.samples_ms) if self.samples_ms and not self.failure else None


def rounds_within(round_ms: float, budget_ms: float, least: int, most: int) -> int:
    """How many rounds of round_ms fit into budget_ms, but at least `least` and at most `most`."""
    return max(least, min(most, int(budget_ms / max(round_ms, 1e-6))))


def rotated(items: list, turn: int) -> list:
    """The items in the order of a turn: each turn begins one item later."""
    start = turn % len(items) if items else 0
    return items[start:] + items[:start]


def interleave(contenders: list[Contender], budget_ms: float, least: int = 5, most: int = 30,
               pause: Callable[[], None] = lambda: time.sleep(0.008)) -> None:
    """Takes samples of all contenders in turn, for as many rounds as the budget allows. The first
    sample of each is a warm-up and is dropped. pause() is called before each sample. Rationale: it
    gives worker threads of the contender before, which spin while they wait for work, the time to
    fall asleep."""
    first_ms = 0.0
    for one in contenders:
        try:
            first_ms += one.sample()
        except Exception as error:  # noqa: BLE001 - a peer's failure is a result
            one.failure = f"{type(error).__name__}: {error}"
    live = [one for one in contenders if not one.failure]
    # A sample includes a run that is not timed, so that a round takes twice the time.
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
    """Returns a Contender.sample for a Python function, by the rule of sample_ms() in our program.
    It runs the function for warm_ms without counting, and returns the mean of as many further runs
    as last least_ms. If the first run lasts seven times warm_ms, that run is the sample. Rationale:
    threads that slept take milliseconds until they run again. fresh() creates the argument of each
    run; it is not timed. clock() gives seconds."""

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
