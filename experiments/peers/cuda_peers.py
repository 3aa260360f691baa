"""The workloads of our cells, done by PyTorch and FlashInfer on a CUDA device. Each function of a
peer prepares a workload and returns its Contender.sample. An exception that it throws becomes the
peer's result."""

from __future__ import annotations

import functools
import statistics

import torch

DEVICE = "cuda"
BLOCK = 64  # tokens
FLUSH_OVER_L2 = 2  # size of the flush buffer, relative to the second-level cache
TOLERANCE = 2e-2  # relative L2 error of bfloat16 arithmetic
WORKSPACE_BYTES = 256 << 20


@functools.cache
def flush_buffer():
    """A tensor that replaces everything in the second-level cache when it is read."""
    l2_bytes = torch.cuda.get_device_properties(0).L2_cache_size
    return torch.zeros(FLUSH_OVER_L2 * l2_bytes // 8, dtype=torch.int64, device=DEVICE)


def event_sampler(run, runs: int = 3):
    """Returns a Contender.sample for run(): the median of a few runs, timed by CUDA events. Before
    each run the second-level cache is flushed by reading a buffer, as it is for our own cells."""

    def sample() -> float:
        times = []
        for _ in range(runs):
            flush_buffer().sum()
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            run()
            end.record()
            end.synchronize()
            times.append(begin.elapsed_time(end))
        return statistics.median(times)

    return sample


def tensors(cell):
    """q, k and v of the cell's shape, [batch, heads, length, head_dim] each, of normal random
    numbers."""
    torch.manual_seed(0)
    dtype = getattr(torch, cell["dtype"])
    return [torch.randn((cell["batch"], cell[heads], cell[length], cell["head_dim"]), dtype=dtype,
                        device=DEVICE)
            for heads, length in (("query_heads", "query_len"), ("kv_heads", "key_len"),
                                  ("kv_heads", "key_len"))]


def is_grouped(cell) -> bool:
    return cell["query_heads"] != cell["kv_heads"]


def sdpa(cell, backend: str):
    """Dense attention by one backend of SDPA alone."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    q, k, v = tensors(cell)
    is_causal = cell["causal"] and cell["query_len"] > 1
    if is_causal and cell["query_len"] != cell["key_len"]:
        raise ValueError("SDPA's is_causal aligns the queries with the first keys, not with the last")

    def run():
        with sdpa_kernel(getattr(SDPBackend, backend)):
            torch.nn.functional.scaled_dot_product_attention(
                q, k, v, is_causal=is_causal, enable_gqa=is_grouped(cell))

    run()
    return event_sampler(run)


def drawn_blocks(cell, heads: int):
    """Returns the key blocks of every row of blocks, ascending, [heads, rows of blocks, blocks of a
    row], and the number of key blocks. They are drawn at random: as many as in our cell, but not
    the same."""
    torch.manual_seed(1)
    rows, columns = (-(-cell[length] // BLOCK) for length in ("query_len", "key_len"))
    taken = max(1, round(cell["density"] * columns))
    drawn = []
    for _ in range(heads):  # one head at a time, because the random numbers of all heads are large
        order = torch.rand(rows, columns, device=DEVICE).topk(taken, dim=-1).indices
        drawn.append(order.sort(dim=-1).values.to(torch.int32))
    return torch.stack(drawn), columns


def expect_attention(out, q, k, v, keys):
    """Raises ValueError unless out [rows, head_dim] is the attention of q [rows, head_dim] over the
    listed keys of k and v [length, head_dim], so that a peer that computes something else is not
    compared."""
    q, k, v = q.float(), k[keys].float(), v[keys].float()
    expected = torch.softmax(q @ k.T * q.shape[-1] ** -0.5, dim=-1) @ v
    error = ((out.float() - expected).norm() / expected.norm()).item()
    if not error < TOLERANCE:
        raise ValueError(f"the relative error of its result is {error:.2g}, above {TOLERANCE}")


def keys_of(blocks):
    """The indices of all keys in some key blocks."""
    return (blocks.long()[:, None] * BLOCK + torch.arange(BLOCK, device=DEVICE)).flatten()


def flex_blocks(cell):
    """Compiled FlexAttention over whole blocks; the block mask is built before the timing."""
    from torch.nn.attention.flex_attention import BlockMask, flex_attention

    q, k, v = tensors(cell)
    taken, columns = drawn_blocks(cell, cell["query_heads"])
    indices = torch.zeros(*taken.shape[:-1], columns, dtype=torch.int32, device=DEVICE)
    indices[..., :taken.shape[-1]] = taken
    indices = indices[None].expand(cell["batch"], -1, -1, -1).contiguous()
    counts = torch.full(indices.shape[:-1], taken.shape[-1], dtype=torch.int32, device=DEVICE)
    lengths = {"BLOCK_SIZE": BLOCK, "seq_lengths": (cell["query_len"], cell["key_len"])}
    if cell["query_len"] % BLOCK or cell["key_len"] % BLOCK:
        raise ValueError(f"lengths are not multiples of {BLOCK}")
    compiled = torch.compile(flex_attention, dynamic=False)
    options = {"BLOCK_M": BLOCK, "BLOCK_N": BLOCK}

    def attend(mask):
        return compiled(q, k, v, block_mask=mask, enable_gqa=is_grouped(cell),
                        kernel_options=options)

    # The first mask has full blocks. If the kernel for these does not compile, the second is used:
    # partial blocks whose rule admits every key.
    masks = [BlockMask.from_kv_blocks(torch.zeros_like(counts), indices, counts, indices, **lengths),
             BlockMask.from_kv_blocks(counts, indices, None, None,
                                      mask_mod=lambda b, h, query, key: key >= 0, **lengths)]
    try:
        out = attend(masks[0])
    except torch._dynamo.exc.BackendCompilerFailed:
        del masks[0]
        out = attend(masks[0])
    expect_attention(out[0, 0, -BLOCK:], q[0, 0, -BLOCK:], k[0, 0], v[0, 0], keys_of(taken[0, -1]))
    return event_sampler(lambda: attend(masks[0]))


def by_token(tensor):
    """The first batch entry of a tensor as a contiguous tensor [length, heads, head_dim]."""
    return tensor[0].transpose(0, 1).contiguous()


def flashinfer_blocks(cell):
    """FlashInfer's block-sparse attention, planned before the timing. All heads have the same
    blocks, because it supports nothing else."""
    import flashinfer

    if cell["batch"] != 1:
        raise ValueError("FlashInfer's block-sparse attention takes a batch of 1 only")
    q, k, v = (by_token(tensor) for tensor in tensors(cell))
    taken, _ = drawn_blocks(cell, 1)
    rows, count = taken.shape[1:]
    if rows * BLOCK != cell["query_len"] or cell["key_len"] % BLOCK:
        raise ValueError(f"lengths are not multiples of {BLOCK}")
    indptr = torch.arange(rows + 1, dtype=torch.int32, device=DEVICE) * count
    workspace = torch.empty(WORKSPACE_BYTES, dtype=torch.uint8, device=DEVICE)
    wrapper = flashinfer.BlockSparseAttentionWrapper(workspace)
    wrapper.plan(indptr, taken.flatten(), cell["query_len"], cell["key_len"], BLOCK, BLOCK,
                 cell["query_heads"], cell["kv_heads"], cell["head_dim"], q_data_type=q.dtype)
    expect_attention(wrapper.run(q, k, v)[-BLOCK:, 0], q[-BLOCK:, 0], k[:, 0], v[:, 0],
                     keys_of(taken[0, -1]))
    return event_sampler(lambda: wrapper.run(q, k, v))


def flashinfer_decode(cell):
    """FlashInfer's decode over a paged key-value cache with pages of one token. Random pages are
    listed, the same for all heads, and as many as the density of our cell demands."""
    import flashinfer

    q, k, v = tensors(cell)
    batch, keys = cell["batch"], cell["key_len"]
    taken = max(1, round(cell["density"] * keys))
    torch.manual_seed(2)
    # [pages, 1, kv_heads, head_dim]
    cache = tuple(t.transpose(1, 2).reshape(batch * keys, 1, cell["kv_heads"], cell["head_dim"])
                  for t in (k, v))
    pages = torch.rand(batch, keys, device=DEVICE).topk(taken, dim=-1).indices.sort(dim=-1).values
    pages = (pages + torch.arange(batch, device=DEVICE)[:, None] * keys).to(torch.int32)
    indptr = torch.arange(batch + 1, dtype=torch.int32, device=DEVICE) * taken
    last = torch.ones(batch, dtype=torch.int32, device=DEVICE)
    workspace = torch.empty(WORKSPACE_BYTES, dtype=torch.uint8, device=DEVICE)
    wrapper = flashinfer.BatchDecodeWithPagedKVCacheWrapper(workspace, "NHD",
                                                            use_tensor_cores=is_grouped(cell))
    wrapper.plan(indptr, pages.flatten(), last, cell["query_heads"], cell["kv_heads"],
                 cell["head_dim"], 1, q_data_type=q.dtype, kv_data_type=k.dtype)
    rows = q[:, :, 0].contiguous()
    expect_attention(wrapper.run(rows, cache)[:1, 0], rows[:1, 0], cache[0][:, 0, 0],
                     cache[1][:, 0, 0], pages[0].long())
    return event_sampler(lambda: wrapper.run(rows, cache))


def about() -> str:
    """The device and the versions of the peers, for the heading of the table."""
    try:
        import flashinfer
        more = f", FlashInfer {flashinfer.__version__}"
    except ImportError:
        more = ", no FlashInfer"
    return f"{torch.cuda.get_device_name()}; torch {torch.__version__}{more}"


def release():
    """Returns the device memory of the last peers to the device."""
    torch.cuda.empty_cache()
