#!/usr/bin/env python3
"""Times PyTorch and this program on the same workloads, and prints one table.

    python3 -m venv venv && venv/bin/pip install torch
    ./maskerade bench --list                      # builds our side
    venv/bin/python experiments/peers/compare_pytorch.py --json comparison.json

On the CPU both run interleaved. On a device our side is what a run has just written:

    maskerade run experiments/gpu_blocks.yaml --json blocks.jsonl
    compare_pytorch.py --device cuda blocks.jsonl [--budget SECONDS] --json peers.json

and beside it run SDPA (flash and cuDNN), FlexAttention and FlashInfer where they are installed, on
the same shapes and densities, by CUDA events with a cold second-level cache.

Everything in a group is timed round robin in an order that rotates; before each sample all pause and
the sampled one runs untimed for a while; figures are medians. `ratio` is theirs / ours: above 1 ours is
faster. Where the reference is the machine (FMA peak, reading memory once) or another case of ours,
`theirs ms` is the time that it would take.
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

from comparison import Answer, Group, Measured, Peaks, Row, compare, markdown, merged  # noqa: E402
from interleaving import Timed, interleave  # noqa: E402
from our_program import OurProgram  # noqa: E402

DEVICE_BUDGET_MS = 500.0  # for the peers of one cell
ROOT = Path(__file__).resolve().parents[2]


def add_peers(group: Group, timed: list[Timed]) -> dict[str, str]:
    """Makes the group's peers ready; gives the failures of those that cannot be."""
    failures = {}
    for label, make in group.peers.items():
        try:
            timed.append(Timed(label, make()))
        except Exception as error:  # noqa: BLE001 - a peer's failure is a result
            failures[label] = f"{type(error).__name__}: {error}"
    return failures


def medians_of(timed: list[Timed], failures: dict[str, str]) -> dict[str, float]:
    """By label; what failed meanwhile is added to the failures."""
    failures |= {one.label: one.failure for one in timed if one.failure}
    return {one.label: one.median_ms() for one in timed if one.median_ms() is not None}


def run_group(group: Group, threads: int, ours: OurProgram, peaks: Peaks, budget_ms: float,
              least: int) -> list[Row]:
    counts: dict[str, dict] = {}

    def ask(case: str) -> float:
        counts[case] = ours.ask(f"{case} {threads}")
        return counts[case]["ms"]

    timed = [Timed(case, lambda case=case: ask(case)) for case in group.cases]
    failures = add_peers(group, timed)
    interleave(timed, budget_ms, least)
    medians = medians_of(timed, failures)
    answers = {case: Answer(**{**counts[case], "ms": medians[case]})
               for case in group.cases if case in medians}
    peers_ms = {label: ms for label, ms in medians.items() if label in group.peers}
    ours.ask("forget")
    return compare(group, threads, Measured(answers, peers_ms, peaks), failures)


def compare_device(files: list[str], match: str, budget_s: float, peers) -> Iterator[list[Row]]:
    """The rows of each of our cells in `files`; when the budget is spent, the rest has no peers."""
    from device_cells import case_of, group_of, measured_of, read_cells

    stop = time.monotonic() + budget_s
    seen: set[str] = set()
    for cell in read_cells(files):
        if case_of(cell) in seen or not re.search(match, case_of(cell)):
            continue
        seen.add(case_of(cell))
        group = group_of(cell, peers)
        timed: list[Timed] = []
        if time.monotonic() < stop:
            failures = add_peers(group, timed)
            interleave(timed, DEVICE_BUDGET_MS, 3, pause=lambda: None)
        else:
            failures = dict.fromkeys(group.peers, "not run: the budget is spent")
        medians = medians_of(timed, failures)
        timed.clear()  # what the peers hold
        peers.release()
        yield compare(group, cell["threads"], measured_of(cell, medians), failures)


def write_json(arguments, about: dict, rows: list[Row]) -> list[dict]:
    """Writes the rows and those kept from before where --json asks for it; gives both."""
    kept = json.loads(Path(arguments.keep).read_text())["rows"] if arguments.keep else []
    all_rows = merged(kept, rows)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"about": about, "rows": all_rows}, indent=1) + "\n")
    return all_rows


def write_rows(arguments, about: dict, heading: str, rows: list[Row]) -> None:
    table = markdown([Row(**row) for row in write_json(arguments, about, rows)], heading)
    if arguments.markdown:
        Path(arguments.markdown).write_text(table)
    print(table, end="")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=ROOT / "build/release/bin/maskerade_bench", metavar="FILE",
                        help="our program (build/release/bin/maskerade_bench)")
    parser.add_argument("--threads", default="1,2", metavar="LIST")
    parser.add_argument("--match", default="", metavar="REGEX", help="only groups whose name matches")
    parser.add_argument("--quick", action="store_true", help="no large shapes, few samples")
    parser.add_argument("--list", action="store_true", help="print the names of the groups")
    parser.add_argument("--hub", metavar="FOLDER",
                        help="a checkout of xAlg-ai/sparse-attention-hub, to time the published code")
    parser.add_argument("--json", metavar="FILE", help="write the rows there")
    parser.add_argument("--markdown", metavar="FILE", help="write the table there, too")
    parser.add_argument("--keep", metavar="FILE",
                        help="an earlier --json: its rows stay where this run has none")
    parser.add_argument("--target", choices=["AVX2"],
                        help="hold both sides to a lesser instruction set than the machine's")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--budget", type=float, default=100, metavar="SECONDS",
                        help="for the peers on a device, all together (100)")
    parser.add_argument("cells", nargs="*", metavar="CELLS",
                        help="with --device cuda: what `maskerade run --json` wrote")
    arguments = parser.parse_args()

    if arguments.device == "cuda":
        import cuda_peers
        import torch

        if not torch.cuda.is_available():
            raise SystemExit("compare_pytorch: error: PyTorch sees no CUDA device")
        if not arguments.cells:
            raise SystemExit("compare_pytorch: error: --device cuda needs what `maskerade run "
                             "experiments/gpu_blocks.yaml --json FILE` wrote")
        about = {"device": cuda_peers.about(), "date": datetime.date.today().isoformat()}
        rows: list[Row] = []
        with torch.inference_mode():
            for more in compare_device(arguments.cells, arguments.match, arguments.budget,
                                       cuda_peers):
                rows += more
                write_json(arguments, about, rows)  # what there is, should time be up
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
