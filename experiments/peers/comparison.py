"""What is compared with which reference, and the table of the comparison. This module uses neither
torch nor our program."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Callable, Mapping


@dataclass(frozen=True)
class Answer:
    """What our program reports about a case on a number of threads: the median time in
    milliseconds, and the least work of a run (WorkCounts in benchmark_case.hpp)."""

    ms: float
    flops: float = 0.0
    bytes: float = 0.0
    items: float = 0.0
    density: float = 0.0
    peak_flops_per_second: float = 0.0


@dataclass(frozen=True)
class Peaks:
    """The machine's peak rates with a number of threads."""

    flops_per_second: float
    read_bytes_per_second: float


@dataclass(frozen=True)
class Measurements:
    """All results for one number of threads, from which a reference calculates: ours by case, the
    times of peers by label."""

    ours: Mapping[str, Answer]
    peers_ms: Mapping[str, float]
    peaks: Peaks


# A reference returns, for a case of ours, the milliseconds that our time is compared with; None:
# they are not known.
Reference = Callable[[Measurements, str], "float | None"]


def peer(label: str) -> Reference:
    """The time of a peer."""
    return lambda measured, case: measured.peers_ms.get(label)


def better_of(*labels: str) -> Reference:
    """The shortest time of some peers, of those that are known."""

    def reference(measured: Measurements, case: str) -> float | None:
        known = [measured.peers_ms[label] for label in labels if label in measured.peers_ms]
        return min(known) if known else None

    return reference


def sum_of(*labels: str) -> Reference:
    """The sum of the times of some peers; None unless all are known."""

    def reference(measured: Measurements, case: str) -> float | None:
        if any(label not in measured.peers_ms for label in labels):
            return None
        return sum(measured.peers_ms[label] for label in labels)

    return reference


def at_peak(measured: Measurements, case: str) -> float | None:
    """The time that the case's flops take at the peak of the machine's vectors. The ratio is then
    our share of that peak; it may exceed 1 where a matrix unit is used."""
    return measured.ours[case].flops / measured.peaks.flops_per_second * 1e3


def at_own_peak(measured: Measurements, case: str) -> float | None:
    """The time that the case's flops take at the peak of the arithmetic that the case uses: that of
    the matrix unit where it is used, else that of the vectors."""
    ours = measured.ours[case]
    return ours.flops / ours.peak_flops_per_second * 1e3 if ours.peak_flops_per_second else None


def at_bandwidth(bytes_: float | None = None) -> Reference:
    """The time to read `bytes_`, by default the least bytes of the case, from memory once."""

    def reference(measured: Measurements, case: str) -> float | None:
        count = measured.ours[case].bytes if bytes_ is None else bytes_
        return count / measured.peaks.read_bytes_per_second * 1e3

    return reference


def our_case(name: str, share: float = 1.0) -> Reference:
    """`share` times the time of another case of ours."""

    def reference(measured: Measurements, case: str) -> float | None:
        return measured.ours[name].ms * share if name in measured.ours else None

    return reference


def density_of(name: str, over: float) -> Reference:
    """The time of another case of ours, times the measured density of this case, divided by
    `over`."""

    def reference(measured: Measurements, case: str) -> float | None:
        if name not in measured.ours:
            return None
        return measured.ours[case].density / over * measured.ours[name].ms

    return reference


def per_item(nanoseconds: float) -> Reference:
    """The time of the case's items at some nanoseconds for each."""
    return lambda measured, case: measured.ours[case].items * nanoseconds / 1e6


@dataclass(frozen=True)
class Comparison:
    """One row of the table: a case of ours against a reference. bar: the least ratio of reference /
    ours that the project demands; None: none is set."""

    case: str
    name: str
    reference: Reference
    bar: float | None = None


@dataclass
class Group:
    """Cases of ours and peers that are timed together. peers[label] is called when the group's turn
    comes, prepares the peer, and returns its Contender.sample. An exception that it throws becomes
    the peer's result."""

    name: str
    cases: list[str]
    peers: dict[str, Callable[[], Callable[[], float]]] = field(default_factory=dict)
    rows: list[Comparison] = field(default_factory=list)
    threads: tuple[int, ...] | None = None  # None: all numbers of threads
    heavy: bool = False  # left out by --quick


@dataclass
class Row:
    """One row of the table. met: whether the ratio reaches the bar; None: no bar is set, or no
    ratio is known."""

    case: str
    threads: int
    reference: str
    theirs_ms: float | None
    ours_ms: float | None
    ratio: float | None
    bar: float | None
    met: bool | None
    note: str = ""


def compare(group: Group, threads: int, measured: Measurements, failures: Mapping[str, str]) -> list[Row]:
    """The rows of a measured group: its own comparisons, then one for each peer without any,
    against the group's first case. failures: by case or label, the notes of rows."""
    rows = []
    named = {row.name for row in group.rows}
    wanted = group.rows + [Comparison(group.cases[0], label, peer(label))
                           for label in group.peers if label not in named]
    for comparison in wanted:
        ours = measured.ours.get(comparison.case)
        theirs = comparison.reference(measured, comparison.case) if ours else None
        ratio = theirs / ours.ms if ours and theirs else None
        met = None if comparison.bar is None or ratio is None else ratio >= comparison.bar
        note = "; ".join(failures[label] for label in (comparison.case, comparison.name)
                         if label in failures)
        rows.append(Row(comparison.case, threads, comparison.name, theirs, ours.ms if ours else None,
                        ratio, comparison.bar, met, note))
    return rows


def number(value: float | None) -> str:
    """A number with three significant digits: "0.0512", "12.3", "1234"; "-" for None."""
    if value is None:
        return "-"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.3g}")  # rounded first: 9.996 becomes 10.0
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def markdown(rows: list[Row], heading: str) -> str:
    """The table in Markdown under the heading, one line for each row, and below it how many bars
    are met."""
    lines = [heading, "",
             "| case | threads | against | theirs ms | ours ms | ratio | bar | met | note |",
             "|---|--:|---|--:|--:|--:|--:|---|---|"]
    for row in rows:
        met = "" if row.met is None else ("yes" if row.met else "NO")
        note = row.note.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {row.case} | {row.threads} | {row.reference} | {number(row.theirs_ms)} | "
                     f"{number(row.ours_ms)} | {number(row.ratio)} | {number(row.bar)} | {met} | "
                     f"{note[:200]} |")
    barred = [row for row in rows if row.bar is not None]
    unknown = sum(row.met is None for row in barred)
    lines += ["", f"{sum(row.met is True for row in barred)} of {len(barred)} bars met" +
              (f"; {unknown} not measured." if unknown else ".")]
    return "\n".join(lines) + "\n"


def merged(kept: list[dict], rows: list[Row]) -> list[dict]:
    """The rows kept from an earlier run whose (case, threads, reference) is not in `rows`, then
    `rows`."""
    new = {(row.case, row.threads, row.reference) for row in rows}
    return [row for row in kept
            if (row["case"], row["threads"], row["reference"]) not in new] + [asdict(r) for r in rows]
