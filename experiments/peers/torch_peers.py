"""The workloads of our cases, done by PyTorch on the CPU. Shapes are (batch, query_heads, kv_heads,
query_len, key_len, head_dim) unless another is named. Each function of a workload prepares it and
returns its Contender.sample."""

from __future__ import annotations

import functools
import warnings

from interleaving import sampler

import torch

NEGATIVE_INFINITY = float("-inf")
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
attention = torch.nn.functional.scaled_dot_product_attention


def tensors(shape, dtype="float32"):
    """q, k and v, [batch, heads, length, head_dim] each, of normal random numbers."""
    batch, heads, kv_heads, queries, keys, dim = shape
    torch.manual_seed(0)
    return tuple(torch.randn(batch, h, n, dim).to(DTYPES[dtype])
                 for h, n in ((heads, queries), (kv_heads, keys), (kv_heads, keys)))


# Dense ----------------------------------------------------------------------------------------


def sdpa(shape, dtype="float32", causal=False):
    q, k, v = tensors(shape, dtype)
    return sampler(lambda: attention(q, k, v, is_causal=causal, enable_gqa=shape[1] != shape[2]))


def sdpa_group_as_rows(shape, dtype="float32"):
    """Dense decode of one query, with the query heads of a group as query rows of its kv head."""
    q, k, v = tensors(shape, dtype)
    rows = q.reshape(shape[0], shape[2], shape[1] // shape[2], shape[5])
    return sampler(lambda: attention(rows, k, v))


def matrix_product(size: int):
    a, b = torch.randn(size, size), torch.randn(size, size)
    return sampler(lambda: torch.mm(a, b))


# A mask ---------------------------------------------------------------------------------------


def window_rule(window: int, sink: int):
    """The rule of a causal window and sink keys: whether query q attends to key k."""
    def rule(b, h, q, k):
        return (k <= q) & ((q - k < window) | (k < sink))

    return rule


def block_rule(table: torch.Tensor, size: int):
    """The rule of blocks of `size` tokens of which `table` lists the active ones."""
    def rule(b, h, q, k):
        return table[q // size, k // size]

    return rule


def block_table(blocks: int, per_row: int):
    """Which blocks are active, [blocks, blocks]: in each row the one on the diagonal, and others
    drawn at random, per_row together."""
    order = torch.rand(blocks, blocks, generator=torch.Generator().manual_seed(7))
    order.fill_diagonal_(2.0)
    table = torch.zeros(blocks, blocks, dtype=torch.bool)
    return table.scatter_(1, order.topk(per_row, dim=1).indices, True)


def boolean_mask(rule, length: int):
    """The mask [length, length] of a rule."""
    key = torch.arange(length)[None]
    return torch.cat([rule(0, 0, torch.arange(first, min(first + 1024, length))[:, None], key)
                      for first in range(0, length, 1024)])


def sdpa_mask(shape, rule):
    q, k, v = tensors(shape)
    mask = boolean_mask(rule, shape[3])
    return sampler(lambda: attention(q, k, v, attn_mask=mask))


def eager_mask(shape, rule, additive=False):
    """Attention in four separate steps, as research code often does it: q.k, mask, softmax, product
    with v."""
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
    """Returns flex_attention compiled, create_block_mask as it is, and create_block_mask compiled.
    A compiled function compiles itself again for a new rule, shape or number of threads."""
    import torch._dynamo
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    # Rationale: beyond the limit of compilations torch would silently run the function uncompiled.
    torch._dynamo.config.recompile_limit = 512
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    return (torch.compile(flex_attention, dynamic=False), create_block_mask,
            torch.compile(create_block_mask, dynamic=False))


def flex(shape, rule, block=64):
    """Compiled FlexAttention, which needs a C++ compiler. Its block mask, of blocks of `block`
    tokens, is built before the timing. Raises AssertionError when its last rows differ from SDPA
    with the same mask."""
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
    """Building the block mask that flex() uses."""
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
    """Selection at decode: q.k with the heads of a group as query rows, then the top keys of each
    head."""
    q, k, _ = tensors(shape)
    batch, heads, kv_heads, queries, keys, dim = shape
    rows = q.reshape(batch, kv_heads, heads // kv_heads * queries, dim)
    return sampler(lambda: torch.topk(torch.matmul(rows, k.transpose(-2, -1)), count, dim=-1,
                                      sorted=False))


def self_attention_top_k(shape, count: int, part: str = "all"):
    """Oracle top-k at prefill: q.k, top-k, and a mask by scatter. part: "all", "products" or
    "top-k"."""
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
    """The weights (1, 32, 1, keys) of a random mask, with the distribution of random_mask_weights()
    in our program."""
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
    """The merge of two masks that are given, and returned, as indices and weights."""
    both = [random_weights(keys, share, seed, sampled).view(-1)
            for share, seed in ((density, 42), (partner, 43))]
    indices = [weights.nonzero().view(-1) for weights in both]
    values = [weights[index] for weights, index in zip(both, indices)]

    def run():
        merged, slots = torch.unique(torch.cat(indices), return_inverse=True)
        sums = torch.zeros(merged.numel()).scatter_add_(0, slots, torch.cat(values))
        return merged, sums.clamp_(max=1.0)

    return sampler(run)


def apply_dense(operation: str, keys: int, density: float):
    weights, x = random_weights(keys, density, 42), torch.randn(1, 32, 1, keys)
    if operation == "apply_mask":
        return sampler(lambda: x * weights)
    return sampler(lambda: torch.where(weights > 0, x / (weights + 1e-6), 0.0))


def fixed_mask(masker: str, tokens: int, shape):
    """Writes the masks of local or sink into zeros. shape: (batch, heads, query_len, key_len)."""
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
