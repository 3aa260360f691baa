"""Groups to compare, made from our cells on a CUDA device, which are read from files that
`maskerade run --json` wrote. This module uses neither torch nor our program."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterable

from comparison import Answer, Comparison, Group, Measurements, Peaks, Reference, at_bandwidth, peer

BEST_PUBLISHED = 317e12  # flop/s on active entries, block-sparse bfloat16 attention on an H200
PUBLISHED_SHAPE = (7, 109632, 109632, 128)  # heads, queries, keys, head_dim
BANDWIDTH_BAR = 0.8  # share of the copy bandwidth
LEAST_BYTES = 256e6  # a cell that touches fewer bytes of K and V has no bar for the bandwidth


def read_lines(files: Iterable[str]) -> list[dict]:
    """All cells in the files. Files that do not exist are skipped, and so is a last line without an
    end, which an interrupted run leaves."""
    cells = []
    for name in files:
        try:
            text = Path(name).read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        cells += [json.loads(line) for line in text.split("\n")[:-1]]
    return cells


def read_cells(files: Iterable[str]) -> list[dict]:
    """The successful cells on cuda in the files."""
    return [cell for cell in read_lines(files)
            if cell["status"] == "ok" and cell["device"] == "cuda"]


def case_of(cell: dict) -> str:
    """The cell's name in the table. Cells that differ in their seed alone have the same name."""
    return f"{cell['workload']} {cell['pipeline']} {cell['kernel']}"


def flops_of(cell: dict) -> float:
    return 4.0 * cell["head_dim"] * cell["active_entries"]


def at_rate(flops_per_second: float) -> Reference:
    """The time that the case's flops take at a given rate."""
    return lambda measured, case: measured.ours[case].flops / flops_per_second * 1e3


def peaks_of(cell: dict) -> Peaks | None:
    if cell.get("peak_flops_per_second") is None:
        return None
    return Peaks(cell["peak_flops_per_second"], cell["peak_read_bytes_per_second"])


def answer_of(cell: dict) -> Answer:
    return Answer(ms=cell["attend_ms"], flops=flops_of(cell), bytes=cell["kv_bytes_touched"],
                  density=cell["density"])


def group_of(cell: dict, peers) -> Group:
    """The group of a cell: the peers that do the same work, and the bars that the project sets for
    it."""
    case = case_of(cell)
    group = Group(case, [case])
    is_decode = cell["query_len"] == 1
    if cell["pipeline"] == "dense":
        group.peers = {"SDPA flash": lambda: peers.sdpa(cell, "FLASH_ATTENTION"),
                       "SDPA cuDNN": lambda: peers.sdpa(cell, "CUDNN_ATTENTION")}
    elif "block_random" in cell["params"] and not cell["causal"]:
        group.peers = {"FlexAttention": lambda: peers.flex_blocks(cell),
                       "FlashInfer blocks": lambda: peers.flashinfer_blocks(cell)}
    elif is_decode:
        group.peers = {"FlashInfer paged": lambda: peers.flashinfer_decode(cell)}
    shape = (cell["query_heads"], cell["query_len"], cell["key_len"], cell["head_dim"])
    if shape == PUBLISHED_SHAPE and cell["density"] < 0.05 and cell["dtype"] == "bfloat16":
        group.rows.append(Comparison(case, "317 TFLOP/s", at_rate(BEST_PUBLISHED), 1.0))
    if is_decode and peaks_of(cell) and cell["kv_bytes_touched"] >= LEAST_BYTES:
        group.rows.append(Comparison(case, "copy bandwidth",
                                     at_bandwidth(cell["kv_bytes_touched"]), BANDWIDTH_BAR))
    group.rows += [Comparison(case, label, peer(label)) for label in group.peers]
    return group


def measured_of(cell: dict, peers_ms: dict[str, float]) -> Measurements:
    return Measurements({case_of(cell): answer_of(cell)}, peers_ms, peaks_of(cell) or Peaks(1, 1))
