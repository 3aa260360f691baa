"""The workloads of our cases on PyTorch, CPU. Shapes are (batch, query_heads, kv_heads, query_len,
key_len, head_dim). Each function gives what Timed.sample calls."""

from __future__ import annotations

import functools
import warnings

from interleaving import sampler

import torch

NEGATIVE_INFINITY = float("-inf")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
attention = torch.nn.functional.scaled_dot_product_attention


def tensors(shape, dtype="float32"):
    batch, heads, kv_heads, queries, keys, dim = shape
    torch.manual_seed(0)
    return tuple(torch.randn(batch, h, n, dim).to(DTYPES[dtype])
                 for h, n in ((heads, queries), (kv_heads, keys), (kv_heads, keys)))


# Dense ----------------------------------------------------------------------------------------


def sdpa(shape, dtype="float32", causal=False):
    q, k, v = tensors(shape, dtype)
    return sampler(lambda: attention(q, k, v, is_causal=causal, enable_gqa=shape[1] != shape[2]))


def sdpa_group_as_rows(shape, dtype="float32"):
    """Decode of one query: the query heads of a group become the rows of its kv head."""
    q, k, v = tensors(shape, dtype)
    rows = q.reshape(shape[0], shape[2], shape[1] // shape[2], shape[5])
    return sampler(lambda: attention(rows, k, v))


def matrix_product(size: int):
    a, b = torch.randn(size, size), torch.randn(size, size)
    return sampler(lambda: torch.mm(a, b))


# A mask ---------------------------------------------------------------------------------------


def window_rule(window: int, sink: int):
    def rule(b, h, q, k):
        return (k <= q) & ((q - k < window) | (k < sink))

    return rule


def block_rule(table: torch.Tensor, size: int):
    def rule(b, h, q, k):
        return table[q // size, k // size]

    return rule


def block_table(blocks: int, per_row: int):
    """per_row blocks in each block row: its own, and others drawn at random."""
    order = torch.rand(blocks, blocks, generator=torch.Generator().manual_seed(7))
    order.fill_diagonal_(2.0)
    table = torch.zeros(blocks, blocks, dtype=torch.bool)
    return table.scatter_(1, order.topk(per_row, dim=1).indices, True)


def boolean_mask(rule, length: int):
    key = torch.arange(length)[None]
    return torch.cat([rule(0, 0, torch.arange(first, min(first + 1024, length))[:, None], key)
                      for first in range(0, length, 1024)])


def sdpa_mask(shape, rule):
    q, k, v = tensors(shape)
    mask = boolean_mask(rule, shape[3])
    return sampler(lambda: attention(q, k, v, attn_mask=mask))


def eager_mask(shape, rule, additive=False):
    """Products, mask, softmax, product: what research code does."""
    q, k, v = tensors(shape)
    mask = boolean_mask(rule, shape[3])
    if additive:
        mask = torch.zeros(mask.shape).masked_fill_(~mask, NEGATIVE_INFINITY)

    def run():
        scores = torch.matmul(q, k.transpose(-2, -1)) * shape[5] ** -0.5
        scores = scores + mask if additive else scores.masked_fill_(~mask, NEGATIVE_INFINITY)
        return torch.matmul(torch.softmax(scores, dim=-1), v)

    return sampler(run)


# FlexAttention --------------------------------------------------------------------------------


@functools.cache
def flex_functions():
    """flex_attention compiled, create_block_mask plain and compiled. Each is compiled anew, by
    itself, for a new rule, shape or number of threads."""
    import torch._dynamo
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    # Beyond its limit it would run uncompiled without a word.
    torch._dynamo.config.recompile_limit = 512
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    return (torch.compile(flex_attention, dynamic=False), create_block_mask,
            torch.compile(create_block_mask, dynamic=False))


def flex(shape, rule, block=64):
    """Compiled (needs a C++ compiler), on a mask of `block` tokens made beforehand. Raises when its
    last rows differ from SDPA with the same mask."""
    compiled, create_block_mask, _ = flex_functions()
    q, k, v = tensors(shape)
    mask = create_block_mask(rule, None, None, shape[3], shape[4], device="cpu", BLOCK_SIZE=block)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        output = compiled(q, k, v, block_mask=mask)
    last = torch.arange(shape[3] - 64, shape[3])
    expected = attention(q[..., last, :], k, v,
                         attn_mask=rule(0, 0, last[:, None], torch.arange(shape[4])[None]))
    torch.testing.assert_close(output[..., last, :], expected, atol=1e-4, rtol=1e-4)
    return sampler(lambda: compiled(q, k, v, block_mask=mask))


def flex_mask(shape, rule, compiled: bool, block=64):
    """The making of that mask."""
    create = flex_functions()[2 if compiled else 1]
    create(rule, None, None, shape[3], shape[4], device="cpu", BLOCK_SIZE=block)
    return sampler(lambda: create(rule, None, None, shape[3], shape[4], device="cpu",
                                  BLOCK_SIZE=block))


# Selection ------------------------------------------------------------------------------------


def top_k(rows: int, keys: int, count: int):
    torch.manual_seed(0)
    scores = torch.randn(rows, keys)
    return sampler(lambda: torch.topk(scores, count, dim=-1, sorted=False))


def row_maximum(rows: int, keys: int):
    torch.manual_seed(0)
    scores = torch.randn(rows, keys)
    return sampler(lambda: scores.amax(-1))


def numpy_partition(rows: int, keys: int, count: int):
    import numpy

    torch.manual_seed(0)
    scores = torch.randn(rows, keys).numpy()
    return sampler(lambda: numpy.argpartition(scores, keys - count, axis=-1))


def products_then_top_k(shape, count: int):
    """Decode: q.k with the group as query rows, then the top of each head."""
    q, k, _ = tensors(shape)
    batch, heads, kv_heads, queries, keys, dim = shape
    rows = q.reshape(batch, kv_heads, heads // kv_heads * queries, dim)
    return sampler(lambda: torch.topk(torch.matmul(rows, k.transpose(-2, -1)), count, dim=-1,
                                      sorted=False))


def self_attention_top_k(shape, count: int, part: str = "all"):
    """Oracle top-k of a prefill: products, top-k, and the mask by scatter; or one part of it."""
    q, k, _ = tensors(shape)
    k = k.repeat_interleave(shape[1] // shape[2], dim=1)
    if part == "products":
        return sampler(lambda: torch.matmul(q, k.transpose(-2, -1)))
    if part == "top-k":
        scores = torch.matmul(q, k.transpose(-2, -1))
        return sampler(lambda: torch.topk(scores, count, dim=-1))

    def run():
        scores = torch.matmul(q, k.transpose(-2, -1))
        chosen = torch.topk(scores, count, dim=-1).indices
        return torch.zeros_like(scores).scatter_(-1, chosen, 1.0)

    return sampler(run)


# Masks ----------------------------------------------------------------------------------------


def random_weights(keys: int, density: float, seed: int, sampled=False):
    torch.manual_seed(seed)
    shape = (1, 32, 1, keys)
    weights = (torch.rand(shape) < density).float()
    if sampled:
        weights *= torch.where(torch.rand(shape) < 0.5, 0.02 + 0.9 * torch.rand(shape), 1.0)
    return weights


def merge_dense(keys: int, density: float, partner: float, sampled=False):
    a, b = random_weights(keys, density, 42, sampled), random_weights(keys, partner, 43, sampled)
    return sampler(lambda: (a + b).clamp_(max=1.0))


def merge_sparse(keys: int, density: float, partner: float, sampled=False):
    """Indices and weights in, indices and weights out."""
    both = [random_weights(keys, share, seed, sampled).view(-1)
            for share, seed in ((density, 42), (partner, 43))]
    indices = [weights.nonzero().view(-1) for weights in both]
    values = [weights[index] for weights, index in zip(both, indices)]

    def run():
        merged, place = torch.unique(torch.cat(indices), return_inverse=True)
        sums = torch.zeros(merged.numel()).scatter_add_(0, place, torch.cat(values))
        return merged, sums.clamp_(max=1.0)

    return sampler(run)


def apply_dense(operation: str, keys: int, density: float):
    weights, x = random_weights(keys, density, 42), torch.randn(1, 32, 1, keys)
    if operation == "apply_mask":
        return sampler(lambda: x * weights)
    return sampler(lambda: torch.where(weights > 0, x / (weights + 1e-6), 0.0))


def fixed_mask(masker: str, tokens: int, shape):
    """local or sink written into zeros of (batch, heads, query_len, key_len)."""
    batch, heads, queries, keys = shape
    rule = window_rule(tokens, 0)
    band = rule(0, 0, torch.arange(keys - queries, keys)[:, None], torch.arange(keys)[None])

    def run():
        mask = torch.zeros(shape)
        if masker == "sink":
            mask[..., :tokens] = 1.0
            return mask
        return mask.masked_fill_(band, 1.0)

    return sampler(run)
