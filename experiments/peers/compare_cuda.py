#!/usr/bin/env python3
"""PyTorch on the CUDA cells of a run: SDPA (flash and cuDNN) beside our dense reference, compiled
FlexAttention beside our tiles, on the same shapes, with a cold second-level cache.

    maskerade run experiments/gpu_blocks.yaml --json blocks.jsonl
    compare_cuda.py blocks.jsonl [--budget SECONDS]

FlexAttention draws its own random blocks to the density of our cell: as many as ours, not the same.
A peer that cannot run says why. Times are medians in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask, flex_attention

BLOCK = 64
BACKENDS = {"sdpa flash": SDPBackend.FLASH_ATTENTION, "sdpa cudnn": SDPBackend.CUDNN_ATTENTION}


def tensors(cell, device):
    """q, k, v of normal numbers in the cell's shape."""
    dtype = getattr(torch, cell["dtype"])
    shapes = [(cell["batch"], cell[heads], cell[length], cell["head_dim"])
              for heads, length in (("query_heads", "query_len"), ("kv_heads", "key_len"),
                                    ("kv_heads", "key_len"))]
    return [torch.randn(shape, dtype=dtype, device=device) for shape in shapes]


def random_blocks(cell, device):
    """A BlockMask of whole blocks, drawn row by row to the cell's density."""
    rows, columns = (-(-cell[length] // BLOCK) for length in ("query_len", "key_len"))
    taken = max(1, round(cell["density"] * columns))
    draw = torch.rand(cell["batch"], cell["query_heads"], rows, columns, device=device)
    indices = draw.argsort(dim=-1).to(torch.int32)
    indices[..., :taken] = indices[..., :taken].sort(dim=-1).values
    counts = torch.full(draw.shape[:-1], taken, dtype=torch.int32, device=device)
    none = torch.zeros_like(counts)
    return BlockMask.from_kv_blocks(none, indices, counts, indices, BLOCK_SIZE=BLOCK,
                                    seq_lengths=(cell["query_len"], cell["key_len"]))


def cold_median_ms(body, seconds, device):
    """The median of body's times; the second-level cache is overwritten before each."""
    flush = torch.empty(256 << 20, dtype=torch.uint8, device=device)
    times = []
    for _ in range(2):
        body()
    stop = time.monotonic() + seconds
    while len(times) < 5 or (time.monotonic() < stop and len(times) < 100):
        flush.zero_()
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        body()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def peers_of(cell, device):
    """(name, what to time) for a cell; making it may throw."""
    if cell["pipeline"] == "dense":
        for name, backend in BACKENDS.items():
            def make(backend=backend):
                q, k, v = tensors(cell, device)

                def attend():
                    with sdpa_kernel(backend):
                        torch.nn.functional.scaled_dot_product_attention(
                            q, k, v, is_causal=cell["causal"] and cell["query_len"] > 1,
                            enable_gqa=cell["query_heads"] != cell["kv_heads"])
                return attend
            yield name, make
    elif "block_random" in cell["params"] and not cell["causal"]:
        def make():
            q, k, v = tensors(cell, device)
            mask = random_blocks(cell, device)
            compiled = torch.compile(flex_attention)
            return lambda: compiled(q, k, v, block_mask=mask,
                                    enable_gqa=cell["query_heads"] != cell["kv_heads"],
                                    kernel_options={"BLOCK_M": BLOCK, "BLOCK_N": BLOCK})
        yield "flex attention", make


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("files", nargs="+")
    parser.add_argument("--budget", type=float, default=100, help="seconds in all")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("compare_cuda: error: PyTorch sees no CUDA device")
    stop = time.monotonic() + arguments.budget
    print(f"PyTorch {torch.__version__}, {torch.cuda.get_device_name()}")
    print(f"{'workload':<40} {'pipeline':<24} {'peer':<15} {'peer ms':>9} {'ours ms':>9} "
          f"{'TFLOP/s':>8} {'ours':>7} {'ratio':>6}")
    for name in arguments.files:
        with open(name) as lines:
            cells = [json.loads(line) for line in lines]
        for cell in (cell for cell in cells if cell["status"] == "ok"):
            for peer, make in peers_of(cell, "cuda"):
                if time.monotonic() > stop:
                    print("the budget is spent")
                    return
                place = f"{cell['workload']:<40} {cell['pipeline']:<24} {peer:<15}"
                try:
                    ms = cold_median_ms(make(), 0.5, "cuda")
                except Exception as error:  # whatever a peer throws is its result
                    print(f"{place} {type(error).__name__}: {str(error).splitlines()[0][:90]}")
                    continue
                finally:
                    torch.cuda.empty_cache()
                work = 4 * cell["head_dim"] * cell["active_entries"] / 1e9
                print(f"{place} {ms:>9.3f} {cell['attend_ms']:>9.3f} {work / ms:>8.1f} "
                      f"{work / cell['attend_ms']:>7.1f} {ms / cell['attend_ms']:>6.2f}")


if __name__ == "__main__":
    main()
