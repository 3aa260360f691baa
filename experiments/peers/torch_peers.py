"""The workloads of our cases on PyTorch, CPU. A case's name says its shape and dtype, as in
dense/1x8x8x2048x2048x64/float32/causal."""

from __future__ import annotations

from interleaving import sampler

import torch

NEGATIVE_INFINITY = float("-inf")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def tensors(shape: tuple[int, ...], dtype: str = "float32") -> tuple[torch.Tensor, ...]:
    """Random q, k, v of (batch, query_heads, kv_heads, query_len, key_len, head_dim)."""
    batch, heads, kv_heads, queries, keys, dim = shape
    torch.manual_seed(0)
    return tuple(torch.randn(batch, h, n, dim).to(DTYPES[dtype])
                 for h, n in ((heads, queries), (kv_heads, keys), (kv_heads, keys)))


def sdpa(shape, dtype="float32", causal=False):
    q, k, v = tensors(shape, dtype)
    attention = torch.nn.functional.scaled_dot_product_attention
    return sampler(lambda: attention(q, k, v, is_causal=causal, enable_gqa=shape[1] != shape[2]))
