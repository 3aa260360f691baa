"""What is compared, by which measure, and the table of it. Knows neither torch nor our program."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Callable, Mapping


@dataclass(frozen=True)
class Answer:
    """What our program said of a case on a number of threads: the median time and the counts."""

    ms: float
    flops: float = 0.0
    bytes: float = 0.0
    items: float = 0.0
    density: float = 0.0
    peak_flops_per_second: float = 0.0


@dataclass(frozen=True)
class Peaks:
    flops_per_second: float
    read_bytes_per_second: float


@dataclass(frozen=True)
class Measured:
    """Everything that a reference may look at, for one number of threads."""

    ours: Mapping[str, Answer]
    peers_ms: Mapping[str, float]
    peaks: Peaks


# A reference gives the milliseconds that ours are held against, or None when they are not known.
Reference = Callable[[Measured, str], "float | None"]


def peer(label: str) -> Reference:
    return lambda measured, case: measured.peers_ms.get(label)


def better_of(*labels: str) -> Reference:
    def reference(measured: Measured, case: str) -> float | None:
        known = [measured.peers_ms[label] for label in labels if label in measured.peers_ms]
        return min(known) if known else None

    return reference


def sum_of(*labels: str) -> Reference:
    def reference(measured: Measured, case: str) -> float | None:
        if any(label not in measured.peers_ms for label in labels):
            return None
        return sum(measured.peers_ms[label] for label in labels)

    return reference


def at_peak(measured: Measured, case: str) -> float | None:
    """The time of the case's flops at the peak of the machine's vectors: the ratio is the share of it,
    above 1 where matrix tiles multiply."""
    return measured.ours[case].flops / measured.peaks.flops_per_second * 1e3


def at_own_peak(measured: Measured, case: str) -> float | None:
    """The same at the peak of the arithmetic that the case does: of matrix tiles where they serve."""
    ours = measured.ours[case]
    return ours.flops / ours.peak_flops_per_second * 1e3 if ours.peak_flops_per_second else None


def at_bandwidth(bytes_: float | None = None) -> Reference:
    """The time to read the case's least bytes, or the given ones, from memory once."""

    def reference(measured: Measured, case: str) -> float | None:
        count = measured.ours[case].bytes if bytes_ is None else bytes_
        return count / measured.peaks.read_bytes_per_second * 1e3

    return reference


def our_case(name: str, share: float = 1.0) -> Reference:
    """A share of the time of another case of ours."""

    def reference(measured: Measured, case: str) -> float | None:
        return measured.ours[name].ms * share if name in measured.ours else None

    return reference


def density_of(name: str, over: float) -> Reference:
    """The case's measured density / over, times the time of another case of ours."""

    def reference(measured: Measured, case: str) -> float | None:
        if name not in measured.ours:
            return None
        return measured.ours[case].density / over * measured.ours[name].ms

    return reference


def per_item(nanoseconds: float) -> Reference:
    return lambda measured, case: measured.ours[case].items * nanoseconds / 1e6


@dataclass(frozen=True)
class Comparison:
    """One row: our case against a reference. bar: the least ratio reference / ours, where the
    project has set one."""

    case: str
    name: str
    reference: Reference
    bar: float | None = None


@dataclass
class Group:
    """What is timed together. peers[label] makes what Timed.sample calls, when the group's turn
    comes; prepare-time failures are results, too."""

    name: str
    cases: list[str]
    peers: dict[str, Callable[[], Callable[[], float]]] = field(default_factory=dict)
    rows: list[Comparison] = field(default_factory=list)
    threads: tuple[int, ...] | None = None  # None: all that are asked for
    heavy: bool = False  # left out by --quick


@dataclass
class Row:
    case: str
    threads: int
    reference: str
    theirs_ms: float | None
    ours_ms: float | None
    ratio: float | None
    bar: float | None
    met: bool | None
    note: str = ""


def compare(group: Group, threads: int, measured: Measured, failures: Mapping[str, str]) -> list[Row]:
    """The rows of a group: those with a bar or a rule of their own, and every peer beside our first
    case."""
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
    """Three significant digits: "0.0512", "12.3", "1234"."""
    if value is None:
        return "-"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.3g}")  # 9.996 has one digit before the point, its text two
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(rounded))))}f}"


def markdown(rows: list[Row], heading: str) -> str:
    """The table: one line a row, the bars' verdicts at its end, a count below."""
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
    """New rows, and those kept from an earlier run whose (case, threads, reference) is not among
    them."""
    new = {(row.case, row.threads, row.reference) for row in rows}
    return [row for row in kept
            if (row["case"], row["threads"], row["reference"]) not in new] + [asdict(r) for r in rows]
