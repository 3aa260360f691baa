#!/usr/bin/env python3
"""Times PyTorch and this program on the same workloads, and prints one table of both.

    python3 -m venv venv && venv/bin/pip install torch
    ./maskerade bench --list                      # builds our side
    venv/bin/python experiments/peers/compare_pytorch.py --json comparison.json

On the CPU both run interleaved. On a CUDA device our times come from a run just before:

    maskerade run experiments/gpu_blocks.yaml --json blocks.jsonl
    compare_pytorch.py --device cuda blocks.jsonl [--budget SECONDS] --json peers.json

Then SDPA (flash and cuDNN), FlexAttention and FlashInfer, if they are installed, are timed on the
same shapes and densities, by CUDA events and with a cold second-level cache.

All contenders of a group are timed in turn, in an order that rotates. Before each sample everything
pauses, and the contender runs for a while without being timed. The figures are medians. `ratio` is
theirs / ours: above 1 ours is faster. Where the reference is the machine (FMA peak, reading memory
once) or another case of ours, `theirs ms` is the time that the same work would take there.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import re
import sys
import time
from pathlib import Path
from typing import Iterator

sys.path.insert(0, str(Path(__file__).resolve().parent))
if not any(argument.endswith("cuda") for argument in sys.argv):  # before torch looks for devices
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

from comparison import Answer, Group, Measurements, Peaks, Row, compare, markdown, merged  # noqa: E402
from interleaving import Contender, interleave  # noqa: E402
from our_program import OurProgram  # noqa: E402

DEVICE_BUDGET_MS = 500.0  # for timing all peers of one cell
ROOT = Path(__file__).resolve().parents[2]


def add_peers(group: Group, contenders: list[Contender]) -> dict[str, str]:
    """Prepares the group's peers and appends them. Returns by label why some cannot be prepared."""
    failures = {}
    for label, make in group.peers.items():
        try:
            contenders.append(Contender(label, make()))
        except Exception as error:  # noqa: BLE001 - a peer's failure is a result
            failures[label] = f"{type(error).__name__}: {error}"
    return failures


def medians_of(contenders: list[Contender], failures: dict[str, str]) -> dict[str, float]:
    """The median times in milliseconds by label. Adds those that failed while timed to
    `failures`."""
    failures |= {one.label: one.failure for one in contenders if one.failure}
    return {one.label: one.median_ms() for one in contenders if one.median_ms() is not None}


def run_group(group: Group, threads: int, ours: OurProgram, peaks: Peaks, budget_ms: float,
              least: int) -> list[Row]:
    """Times a group on some threads: at least `least` samples of each contender. Returns its
    rows."""
    counts: dict[str, dict] = {}

    def ask(case: str) -> float:
        counts[case] = ours.ask(f"{case} {threads}")
        return counts[case]["ms"]

    contenders = [Contender(case, lambda case=case: ask(case)) for case in group.cases]
    failures = add_peers(group, contenders)
    interleave(contenders, budget_ms, least)
    medians = medians_of(contenders, failures)
    answers = {case: Answer(**{**counts[case], "ms": medians[case]})
               for case in group.cases if case in medians}
    peers_ms = {label: ms for label, ms in medians.items() if label in group.peers}
    ours.ask("forget")
    return compare(group, threads, Measurements(answers, peers_ms, peaks), failures)


def compare_device(files: list[str], match: str, budget_s: float, peers) -> Iterator[list[Row]]:
    """Yields the rows of each of our cells in `files`, the output of `maskerade run --json`, whose
    name contains the regular expression `match`. `peers` is the module cuda_peers. Once budget_s
    seconds have passed, the peers of the remaining cells are not run."""
    from device_cells import case_of, group_of, measured_of, read_cells

    stop = time.monotonic() + budget_s
    seen: set[str] = set()
    for cell in read_cells(files):
        if case_of(cell) in seen or not re.search(match, case_of(cell)):
            continue
        seen.add(case_of(cell))
        group = group_of(cell, peers)
        contenders: list[Contender] = []
        if time.monotonic() < stop:
            failures = add_peers(group, contenders)
            interleave(contenders, DEVICE_BUDGET_MS, 3, pause=lambda: None)
        else:
            failures = dict.fromkeys(group.peers, "not run: the budget is spent")
        medians = medians_of(contenders, failures)
        contenders.clear()  # frees the tensors of the peers
        peers.release()
        yield compare(group, cell["threads"], measured_of(cell, medians), failures)


def write_json(arguments, about: dict, rows: list[Row]) -> list[dict]:
    """Adds the rows of --keep that are not among `rows`, writes all to the file of --json, if it is
    given, and returns them."""
    kept = json.loads(Path(arguments.keep).read_text())["rows"] if arguments.keep else []
    all_rows = merged(kept, rows)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"about": about, "rows": all_rows}, indent=1) + "\n")
    return all_rows


def write_rows(arguments, about: dict, heading: str, rows: list[Row]) -> None:
    """Writes the rows as the options ask for, and prints them as a table under the heading."""
    table = markdown([Row(**row) for row in write_json(arguments, about, rows)], heading)
    if arguments.markdown:
        Path(arguments.markdown).write_text(table)
    print(table, end="")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=ROOT / "build/release/bin/maskerade_bench", metavar="FILE",
                        help="our program (default: build/release/bin/maskerade_bench)")
    parser.add_argument("--threads", default="1,2", metavar="LIST",
                        help="numbers of threads, separated by commas (default: 1,2)")
    parser.add_argument("--match", default="", metavar="REGEX",
                        help="time only groups whose name contains this regular expression")
    parser.add_argument("--quick", action="store_true",
                        help="leave out large shapes, and take few samples")
    parser.add_argument("--list", action="store_true",
                        help="print the names of the groups, and time nothing")
    parser.add_argument("--hub", metavar="FOLDER",
                        help="time the published code too, from this checkout of "
                             "xAlg-ai/sparse-attention-hub")
    parser.add_argument("--json", metavar="FILE", help="write the rows to this file")
    parser.add_argument("--markdown", metavar="FILE", help="write the table to this file too")
    parser.add_argument("--keep", metavar="FILE",
                        help="a file that an earlier --json wrote; its rows stay if this run has no "
                             "such row")
    parser.add_argument("--target", choices=["AVX2"],
                        help="let both sides use this instruction set only")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu",
                        help="where the peers run (default: cpu)")
    parser.add_argument("--budget", type=float, default=100, metavar="SECONDS",
                        help="time for all peers on a device together (default: 100)")
    parser.add_argument("cells", nargs="*", metavar="CELLS",
                        help="with --device cuda: files that `maskerade run --json` wrote")
    arguments = parser.parse_args()

    if arguments.device == "cuda":
        import cuda_peers
        import torch

        if not torch.cuda.is_available():
            raise SystemExit("compare_pytorch: error: PyTorch finds no CUDA device; use --device cpu")
        if not arguments.cells:
            raise SystemExit("compare_pytorch: error: --device cuda needs a file that `maskerade run "
                             "experiments/gpu_blocks.yaml --json FILE` wrote")
        about = {"device": cuda_peers.about(), "date": datetime.date.today().isoformat()}
        rows: list[Row] = []
        with torch.inference_mode():
            for more in compare_device(arguments.cells, arguments.match, arguments.budget,
                                       cuda_peers):
                rows += more
                write_json(arguments, about, rows)  # so that a run that is stopped keeps them
        write_rows(arguments, about, f"{about['device']}; {about['date']}", rows)
        return 0
    if arguments.target:  # before torch and its libraries look at the machine
        os.environ |= {"ATEN_CPU_CAPABILITY": "avx2", "MKL_ENABLE_INSTRUCTIONS": "AVX2",
                       "ONEDNN_MAX_CPU_ISA": "AVX2"}
    import groups
    import torch
    import torch_peers

    hub = None
    if arguments.hub:
        from hub_peers import Hub
        hub = Hub(arguments.hub)
    budget_ms, least = (400.0, 3) if arguments.quick else (4000.0, 5)
    rows: list[Row] = []
    with OurProgram(str(arguments.bench), arguments.target) as ours, torch.inference_mode():
        machine = ours.ask("machine")
        chosen = [group for group in groups.all_groups(torch_peers, hub, bool(re.search("AVX3|AMX", machine["machine"])))
                  if re.search(arguments.match, group.name) and not (arguments.quick and group.heavy)]
        if arguments.list:
            print("\n".join(group.name for group in chosen))
            return 0
        for threads in (int(text) for text in arguments.threads.split(",")):
            torch.set_num_threads(threads)
            peaks = Peaks(**ours.ask(f"peaks {threads}"))
            for group in chosen:
                if group.threads is not None and threads not in group.threads:
                    continue
                start = time.monotonic()
                rows += run_group(group, threads, ours, peaks, budget_ms, least)
                print(f"{group.name} threads {threads}: {time.monotonic() - start:.1f} s",
                      file=sys.stderr, flush=True)
    about = {"machine": machine["machine"], "version": machine["version"],
             "torch": torch.__version__, "torch_simd": torch.backends.cpu.get_cpu_capability(),
             "date": datetime.date.today().isoformat()}
    heading = (f"{about['machine']}; torch {about['torch']} ({about['torch_simd']}); "
               f"maskerade {about['version']}; {about['date']}")
    write_rows(arguments, about, heading, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
