#!/usr/bin/env python3
"""Rates of the cells in JSON lines of `maskerade run --json`, and the machine's own beside them.

    rates.py cells.jsonl...

TFLOP/s counts 4 * head_dim operations for each active entry; GB/s the bytes of K and V that attend
reads. With PyTorch at hand, a device copy and a bfloat16 matrix product are measured first.
"""

import json
import os
import sys


def measure_machine():
    """(copied bytes/s, matrix flop/s), or None where PyTorch or a device is missing."""
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None

    def median_ms(body, repetitions=10):
        times = []
        for _ in range(3 + repetitions):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            body()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end))
        return sorted(times[3:])[repetitions // 2]

    source = torch.randint(0, 255, (2 << 30,), dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copied = 2 * source.numel() / median_ms(lambda: target.copy_(source)) * 1e3
    size = 8192
    a, b = (torch.randn(size, size, dtype=torch.bfloat16, device="cuda") for _ in range(2))
    product = torch.empty_like(a)
    flops = 2 * size**3 / median_ms(lambda: torch.matmul(a, b, out=product)) * 1e3
    return copied, flops


def main(files):
    machine = measure_machine()
    if machine:
        print(f"\ncopy {machine[0] / 1e9:.0f} GB/s (read + written), "
              f"bfloat16 matrix product {machine[1] / 1e12:.0f} TFLOP/s")
    print(f"\n{'workload':<40} {'pipeline':<24} {'kernel':<12} {'density':>8} {'select':>9} "
          f"{'plan':>8} {'attend':>9} {'dense':>9} {'TFLOP/s':>8} {'GB/s':>7}  status")
    for name in files:
        if not os.path.exists(name):
            continue
        with open(name) as lines:
            for line in lines:
                print_cell(json.loads(line))


def print_cell(cell):
    def ms(key):
        return "-" if cell.get(key) is None else f"{cell[key]:.3f}"

    rate = bandwidth = density = "-"
    if cell.get("attend_ms"):
        seconds = cell["attend_ms"] / 1e3
        rate = f"{4 * cell['head_dim'] * cell['active_entries'] / seconds / 1e12:.1f}"
        bandwidth = f"{cell['kv_bytes_touched'] / seconds / 1e9:.0f}"
        density = f"{100 * cell['density']:.2f}%"
    status = cell["status"] if cell["status"] == "ok" else f"{cell['status']}: {cell['reason']}"
    print(f"{cell['workload']:<40} {cell['pipeline']:<24} "
          f"{cell.get('kernel_mix') or cell['kernel']:<12} {density:>8} {ms('select_ms'):>9} "
          f"{ms('plan_ms'):>8} {ms('attend_ms'):>9} {ms('dense_ms'):>9} {rate:>8} "
          f"{bandwidth:>7}  {status}")


if __name__ == "__main__":
    main(sys.argv[1:])
