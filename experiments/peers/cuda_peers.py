"""The workloads of our cells on a CUDA device by PyTorch and FlashInfer. Each function gives what
Timed.sample calls; what a peer throws is its result."""

from __future__ import annotations

import functools
import statistics

import torch

DEVICE = "cuda"
BLOCK = 64
FLUSH_OVER_L2 = 2
TOLERANCE = 2e-2  # of bfloat16
WORKSPACE_BYTES = 256 << 20


@functools.cache
def flush_buffer():
    l2_bytes = torch.cuda.get_device_properties(0).L2_cache_size
    return torch.zeros(FLUSH_OVER_L2 * l2_bytes // 8, dtype=torch.int64, device=DEVICE)


def event_sampler(run, runs: int = 3):
    """A Timed.sample: the median of a few runs, each by CUDA events and with a second-level cache
    that was emptied by reading, as our own cells' are."""

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
    """q, k, v of normal numbers in the cell's shape: [batch, heads, length, head_dim]."""
    torch.manual_seed(0)
    dtype = getattr(torch, cell["dtype"])
    return [torch.randn((cell["batch"], cell[heads], cell[length], cell["head_dim"]), dtype=dtype,
                        device=DEVICE)
            for heads, length in (("query_heads", "query_len"), ("kv_heads", "key_len"),
                                  ("kv_heads", "key_len"))]


def is_grouped(cell) -> bool:
    return cell["query_heads"] != cell["kv_heads"]


def sdpa(cell, backend: str):
    """Dense, by one backend alone."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    q, k, v = tensors(cell)
    is_causal = cell["causal"] and cell["query_len"] > 1
    if is_causal and cell["query_len"] != cell["key_len"]:
        raise ValueError("is_causal counts from the first key, not to the last")

    def run():
        with sdpa_kernel(getattr(SDPBackend, backend)):
            torch.nn.functional.scaled_dot_product_attention(
                q, k, v, is_causal=is_causal, enable_gqa=is_grouped(cell))

    run()
    return event_sampler(run)


def drawn_blocks(cell, heads: int):
    """[heads, block rows, blocks taken]: blocks of every block row, drawn to the cell's density and
    ascending: as many as ours, not the same."""
    torch.manual_seed(1)
    rows, columns = (-(-cell[length] // BLOCK) for length in ("query_len", "key_len"))
    taken = max(1, round(cell["density"] * columns))
    drawn = []
    for _ in range(heads):  # one at a time: the draw of all is large
        order = torch.rand(rows, columns, device=DEVICE).topk(taken, dim=-1).indices
        drawn.append(order.sort(dim=-1).values.to(torch.int32))
    return torch.stack(drawn), columns


def expect_attention(out, q, k, v, keys):
    """Raises unless out [rows, head_dim] is attention of q [rows, head_dim] over the listed keys of k
    and v [length, head_dim]: what a peer computes is what is compared."""
    q, k, v = q.float(), k[keys].float(), v[keys].float()
    expected = torch.softmax(q @ k.T * q.shape[-1] ** -0.5, dim=-1) @ v
    error = ((out.float() - expected).norm() / expected.norm()).item()
    if not error < TOLERANCE:
        raise ValueError(f"its result is off by {error:.2g}")


def keys_of(blocks):
    """The keys of a list of blocks."""
    return (blocks.long()[:, None] * BLOCK + torch.arange(BLOCK, device=DEVICE)).flatten()


def flex_blocks(cell):
    """Compiled FlexAttention on whole blocks, made beforehand."""
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

    # Full blocks; where their code does not compile, blocks with a rule that shows all.
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
    """[length, heads, head_dim] of the first batch entry, contiguous."""
    return tensor[0].transpose(0, 1).contiguous()


def flashinfer_blocks(cell):
    """FlashInfer's block-sparse attention, planned beforehand; one set of blocks for all heads, which
    is what it takes."""
    import flashinfer

    if cell["batch"] != 1:
        raise ValueError("one sequence only")
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
    """FlashInfer's decode over a paged cache with pages of one token, of which random ones are
    listed: one list for all heads, as long as our cell's density asks for."""
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
    try:
        import flashinfer
        more = f", FlashInfer {flashinfer.__version__}"
    except ImportError:
        more = ", no FlashInfer"
    return f"{torch.cuda.get_device_name()}; torch {torch.__version__}{more}"


def release():
    """Gives back what the last peers held."""
    torch.cuda.empty_cache()
