#!/usr/bin/env python3
"""Makes the files that the maskers double_sparsity and hash_attention need for a model, from its q
and k.

    experiments/tools/selection_weights.py experiments/data/*_qkv.safetensors \\
        experiments/data/smollm2/documentation.safetensors --out experiments/data/weights

An input file has tensors of float16, [batch, heads, length, head_dim]: q and k of one layer, whose
number is `layer` in the metadata, or layers.L.q and layers.L.k of any number of layers L. Files of
several models may stand together where no layer is in two of them. The output files are

- channels.json: under model.layers.L.self_attn.qk_proj the channels d of each query head, sorted so
  that mean |q_d| times mean |k_d| falls (Double Sparsity's offline calibration, arXiv 2408.07092);
- hash_planes.safetensors: layers.L.hat_q_w0, hat_k_w0 [heads, head_dim, bits] and biases [heads,
  bits] of random hyperplanes through the mean key: the form of HashAttention without its training
  (arXiv 2412.14468), as the baseline that training has to beat.

The encoder of the experiments here uses Double Sparsity on the data that it was calibrated on, which
shows it at its best; the language model also on another text. The program needs the standard
library alone; the same input gives the same bytes.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import struct
import sys
from pathlib import Path


def read_tensors(path: Path) -> dict[int, dict[str, tuple[list[int], list[float]]]]:
    """Returns, by layer and by name, the shape and the values of q and k of a file."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8:8 + length])
    names = {int(found[1]): f"layers.{found[1]}."
             for found in (re.fullmatch(r"layers\.(\d+)\.q", name) for name in header) if found}
    if "q" in header or not names:
        names = {int(header.get("__metadata__", {}).get("layer", 0)): ""}
    layers = {}
    for layer, prefix in sorted(names.items()):
        layers[layer] = {}
        for name in ("q", "k"):
            entry = header.get(prefix + name)
            if entry is None or entry["dtype"] != "F16" or len(entry["shape"]) != 4:
                raise SystemExit(f"{path}: there is no tensor {prefix}{name} of float16 [batch, heads, "
                                 "length, head_dim]; name files that hold q and k of each layer")
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            values = struct.unpack(f"<{(end - begin) // 2}e", data[begin:end])
            layers[layer][name] = (entry["shape"], values)
    return layers


def channel_means(shape: list[int], values: list[float], transform) -> list[list[float]]:
    """The mean of transform(value) over batch and length, [heads][head_dim]."""
    batch, heads, length, dim = shape
    sums = [[0.0] * dim for _ in range(heads)]
    for i in range(batch * heads * length):
        head = i // length % heads
        row = values[i * dim:(i + 1) * dim]
        sums[head] = [total + transform(value) for total, value in zip(sums[head], row)]
    return [[total / (batch * length) for total in head] for head in sums]


def channel_order(tensors) -> list[list[int]]:
    """The channels of each query head, [query heads][head_dim]: the most important first, and of
    equally important ones the lower first."""
    query = channel_means(*tensors["q"], abs)
    key = channel_means(*tensors["k"], abs)
    order = []
    for head, means in enumerate(query):
        key_means = key[head * len(key) // len(query)]
        weights = [q * k for q, k in zip(means, key_means)]
        order.append(sorted(range(len(weights)), key=lambda channel: (-weights[channel], channel)))
    return order


def hash_planes(tensors, bits: int, seed: int) -> dict[str, tuple[list[int], list[float]]]:
    """The weights and biases of random planes, `bits` for each query head. For queries the planes
    go through 0, for keys through the mean key of their kv head."""
    (_, query_heads, _, dim), _ = tensors["q"]
    key_means = channel_means(*tensors["k"], lambda value: value)
    numbers = random.Random(seed)
    planes, offsets = [], []
    for head in range(query_heads):
        mean = key_means[head * len(key_means) // query_heads]
        weights = [[numbers.gauss(0, 1) for _ in range(bits)] for _ in range(dim)]
        planes += [value for row in weights for value in row]
        offsets += [-sum(m * row[bit] for m, row in zip(mean, weights)) for bit in range(bits)]
    return {"hat_q_w0": ([query_heads, dim, bits], planes),
            "hat_q_b0": ([query_heads, bits], [0.0] * (query_heads * bits)),
            "hat_k_w0": ([query_heads, dim, bits], planes),
            "hat_k_b0": ([query_heads, bits], offsets)}


def write_safetensors(path: Path, tensors: dict[str, tuple[list[int], list[float]]]) -> None:
    """Writes tensors, given as shapes and values by name, in float16."""
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        packed = struct.pack(f"<{len(values)}e", *values)
        header[name] = {"dtype": "F16", "shape": shape,
                        "data_offsets": [len(data), len(data) + len(packed)]}
        data += packed
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE",
                        help="safetensors files")
    parser.add_argument("--out", required=True, type=Path, metavar="FOLDER", help="folder to write to")
    parser.add_argument("--bits", type=int, default=64, help="bits of a signature (default: 64)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the planes (default: 0)")
    arguments = parser.parse_args()
    channels, planes = {}, {}
    for path in sorted(arguments.files):
        for layer, tensors in read_tensors(path).items():
            key = f"model.layers.{layer}.self_attn.qk_proj"
            if key in channels:
                raise SystemExit(f"{path}: layer {layer} is in another of the files too; give each "
                                 "layer once")
            channels[key] = channel_order(tensors)
            of_layer = hash_planes(tensors, arguments.bits, arguments.seed + layer)
            planes |= {f"layers.{layer}.{name}": tensor for name, tensor in of_layer.items()}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "channels.json").write_text(json.dumps(channels) + "\n")
    write_safetensors(arguments.out / "hash_planes.safetensors", planes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
