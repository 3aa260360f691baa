#!/usr/bin/env python3
"""One table of the cells in JSON lines of `maskerade run --json`, peers beside them.

    rates.py cells.jsonl... [--peers peers.json]

TFLOP/s counts 4 * head_dim operations for each active entry, as % of the measured rate of matrix
products and of 64 operations for each byte that the second-level cache can give; GB/s the bytes of K
and V that attend reads, as % of the measured copy bandwidth. Times are medians in milliseconds.
peers.json is what compare_pytorch.py --device cuda --json wrote.
"""

import argparse
import json
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments/peers"))

from comparison import number  # noqa: E402
from device_cells import case_of, read_lines  # noqa: E402

TIMES = ("prepare", "select", "plan", "attend", "total", "dense")


def scaled(cell, key, factor):
    value = cell.get(key)
    return number(None if value is None else value * factor)


def percent(cell, key):
    value = cell.get(key)
    return "-" if value is None else f"{value:.1f}"


def print_machine(cells):
    for cell in cells:
        if cell.get("peak_flops_per_second") and cell["device"] == "cuda":
            print(f"{cell['machine']}\ncopy {cell['peak_read_bytes_per_second'] / 1e9:.0f} GB/s "
                  f"(read + written), second-level cache "
                  f"{cell['peak_l2_bytes_per_second'] / 1e9:.0f} GB/s, bfloat16 products "
                  f"{cell['peak_flops_per_second'] / 1e12:.0f} TFLOP/s "
                  f"({cell['peak_flops_source']})")
            return


def print_cell(cell, peers):
    status = cell["status"] if cell["status"] == "ok" else f"{cell['status']}: {cell['reason']}"
    name = f"{cell['workload']} {cell['pipeline']}"
    density = "-" if cell.get("density") is None else f"{100 * cell['density']:.2f}%"
    print(f"{name:<44} {cell.get('kernel_mix') or cell['kernel']:<18} {density:>8} "
          + " ".join(f"{scaled(cell, time + '_ms', 1):>8}" for time in TIMES)
          + f" {scaled(cell, 'attend_flops_per_second', 1e-12):>8}"
          f" {percent(cell, 'percent_of_peak_flops'):>6} {percent(cell, 'percent_of_l2_roof'):>6}"
          f" {scaled(cell, 'attend_bytes_per_second', 1e-9):>7}"
          f" {percent(cell, 'percent_of_bandwidth'):>6}  {status}")
    if cell.get("dense_kernel_reason") and cell["pipeline"] == "dense":
        print(f"    dense by our own kernel: {cell['dense_kernel_reason']}")
    for row in peers.get(case_of(cell), []):
        verdict = {None: "", True: "  bar met", False: "  bar NOT met"}[row["met"]]
        note = f"  {row['note'][:90]}" if row["note"] else ""
        print(f"    {row['reference']:<40} attend {number(row['theirs_ms'])} ms, "
              f"{number(row['ratio'])} times ours{verdict}{note}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("cells", nargs="+")
    parser.add_argument("--peers")
    arguments = parser.parse_args()
    peers = {}
    if arguments.peers and os.path.exists(arguments.peers):
        with open(arguments.peers, encoding="utf-8") as file:
            for row in json.load(file)["rows"]:
                peers.setdefault(row["case"], []).append(row)
    cells = read_lines(arguments.cells)
    print_machine(cells)
    print(f"{'workload, pipeline':<44} {'kernel':<18} {'density':>8} "
          + " ".join(f"{time:>8}" for time in TIMES)
          + f" {'TFLOP/s':>8} {'%matrix':>6} {'%L2':>6} {'GB/s':>7} {'%copy':>6}  status")
    for cell in cells:
        print_cell(cell, peers)


if __name__ == "__main__":
    main()
