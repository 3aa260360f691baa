"""The groups of cases and peers that are compared on the CPU, and the bars that the project sets.

Shapes are (batch, query_heads, kv_heads, query_len, key_len, head_dim) unless another is named."""

from __future__ import annotations

from comparison import (Comparison, Group, at_bandwidth, at_own_peak, at_peak, better_of,
                        density_of, our_case, peer, per_item, sum_of)

DENSITIES = (0.9, 0.5, 0.1, 0.01, 0.001)


def shape_name(shape) -> str:
    return "x".join(str(size) for size in shape)


def partner(density: float) -> float:
    """The density of the mask with which a mask of `density` is merged, as in the published
    tables."""
    return 0.85 if density == 0.9 else density


# Prefill --------------------------------------------------------------------------------------


def dense_bars(shape, dtype: str, causal: bool) -> tuple[float, float | None]:
    """The least ratio of SDPA's time to ours, and the least share of the FMA peak; None: no bar."""
    narrow = shape[5] == 64
    if dtype != "float32":
        return (1.15 if narrow else 1.08), None
    if causal:
        return ({1024: 1.5, 2048: 1.35}.get(shape[3], 1.25) if narrow else 1.15), None
    return (1.20, 0.80) if narrow else (1.12, 0.85)


def dense_groups(peers) -> list[Group]:
    shapes = [(1, 8, 8, 1024, 1024, 64), (1, 8, 8, 2048, 2048, 64), (1, 8, 8, 4096, 4096, 64),
              (1, 8, 8, 8192, 8192, 64), (1, 8, 8, 4096, 4096, 128), (1, 32, 8, 2048, 2048, 128)]
    groups = []
    for shape in shapes:
        for dtype in ("float32", "bfloat16", "float16"):
            for causal in (False, True):
                case = f"dense/{shape_name(shape)}/{dtype}" + ("/causal" if causal else "")
                times, share = dense_bars(shape, dtype, causal)
                groups.append(Group(
                    case, [case],
                    {"SDPA": lambda s=shape, d=dtype, c=causal: peers.sdpa(s, d, c)},
                    [Comparison(case, "SDPA", peer("SDPA"), times),
                     Comparison(case, "FMA peak", at_peak, share),
                     Comparison(case, "peak of its arithmetic", at_own_peak)],
                    heavy=shape[3] > 2048 or dtype == "float16"))
    return groups


def window_groups(peers) -> list[Group]:
    groups = []
    rule = peers.window_rule(256, 64)
    for length in (8192, 16384):
        shape = (1, 8, 8, length, length, 64)
        name = f"window/{shape_name(shape)}/float32"
        attend, everything, plan = f"{name}/attend", f"{name}/all", f"{name}/plan"
        group = Group(name, [attend, everything, plan, f"{name}/select"], {
            "Flex": lambda s=shape: peers.flex(s, rule),
            "Flex mask, compiled": lambda s=shape: peers.flex_mask(s, rule, True),
            "Flex mask": lambda s=shape: peers.flex_mask(s, rule, False),
            "SDPA causal": lambda s=shape: peers.sdpa(s, causal=True),
        }, [Comparison(attend, "Flex", peer("Flex"), 2.3),
            Comparison(everything, "Flex and its mask, compiled",
                       sum_of("Flex", "Flex mask, compiled"), 2.5),
            Comparison(everything, "Flex and its mask", sum_of("Flex", "Flex mask"), 10),
            Comparison(plan, "2 % of our attend", our_case(attend, 0.02), 1),
            Comparison(everything, "SDPA causal", peer("SDPA causal"))], heavy=length > 8192)
        if length == 8192:  # at 16384 a call takes seconds
            group.peers["SDPA boolean mask"] = lambda s=shape: peers.sdpa_mask(s, rule)
            group.rows.append(Comparison(everything, "SDPA boolean mask", peer("SDPA boolean mask")))
        groups.append(group)
    shape = (1, 8, 8, 8192, 8192, 64)
    case = f"window/{shape_name(shape)}/float32/all"
    groups.append(Group(f"{case}/eager", [case], {
        "eager boolean mask": lambda: peers.eager_mask(shape, rule),
        "eager additive mask": lambda: peers.eager_mask(shape, rule, additive=True)}, heavy=True))
    return groups


def tile_groups(peers) -> list[Group]:
    groups = []
    for length in (4096, 8192):
        shape = (1, 8, 8, length, length, 64)
        dense = f"dense/{shape_name(shape)}/float32"
        cases, rows, flexes = [dense], [], {}
        for density in (0.5, 0.25, 0.1, 0.05, 0.02):
            case = f"tiles/{shape_name(shape)}/float32/density={density}"
            label = f"Flex, density {density}"
            blocks = length // 64
            per_row = max(1, round(blocks * density))
            cases.append(case)
            flexes[label] = lambda s=shape, n=blocks, p=per_row: peers.flex(
                s, peers.block_rule(peers.block_table(n, p), 64))
            rows += [Comparison(case, "density / 0.9 of our dense", density_of(dense, 0.9), 1),
                     Comparison(case, label, peer(label))]
        groups.append(Group(f"tiles/{shape_name(shape)}/float32", cases, flexes, rows,
                            heavy=length > 4096))
    return groups


# Decode ---------------------------------------------------------------------------------------


def decode_groups(peers, hub) -> list[Group]:
    groups = []
    main = (1, 32, 8, 1, 32768, 128)
    for shape in (main, (8, 32, 8, 1, 8192, 128), (1, 32, 32, 1, 32768, 128)):
        name = f"decode/{shape_name(shape)}"
        single, half, half16 = (f"{name}/{d}" for d in ("float32", "bfloat16", "float16"))
        sdpas = {"SDPA": lambda s=shape: peers.sdpa(s)}
        if shape[1] != shape[2]:
            sdpas["SDPA, group as query rows"] = lambda s=shape: peers.sdpa_group_as_rows(s)
            sdpas["SDPA bfloat16, group as query rows"] = \
                lambda s=shape: peers.sdpa_group_as_rows(s, "bfloat16")
        rows = [Comparison(single, "reading once", at_bandwidth(), 0.80),
                Comparison(half, "our float32", our_case(single), 1.7 if shape == main else None),
                Comparison(half, "reading once", at_bandwidth()),
                Comparison(half16, "our float32", our_case(single))]
        if shape[1] != shape[2]:
            rows.append(Comparison(half, "SDPA bfloat16, group as query rows",
                                   peer("SDPA bfloat16, group as query rows")))
        groups.append(Group(name, [single, half, half16], sdpas, rows, heavy=shape != main))
    for queries in (4, 8):
        shape = (1, 32, 8, queries, 32768, 128)
        case = f"decode/{shape_name(shape)}/float32"
        groups.append(Group(case, [case], {"SDPA, not causal": lambda s=shape: peers.sdpa(s)},
                            [Comparison(case, "reading once", at_bandwidth(), 0.80)], heavy=True))
    name = f"decode/{shape_name(main)}/float32/sink128-local512-topk2"
    everything, select = f"{name}/all", f"{name}/select"
    keys_once = at_bandwidth(4.0 * main[2] * main[4] * main[5])
    selecting = {"q.k then torch.topk": lambda: peers.products_then_top_k(main, main[4] // 50)}
    rows = [Comparison(everything, "reading K once", keys_once, 1 / 1.5),
            Comparison(select, "reading K once", keys_once),
            Comparison(select, "q.k then torch.topk", peer("q.k then torch.topk")),
            Comparison(f"{name}/attend", "reading once", at_bandwidth(), 0.80)]
    if hub:
        selecting["hub"] = lambda: hub.decode(main, 128, 512, 0.02)
        rows.append(Comparison(everything, "hub", peer("hub")))
    groups.append(Group(name, [everything, select, f"{name}/plan", f"{name}/attend"], selecting, rows))
    return groups


# Selection and masks --------------------------------------------------------------------------


def top_k_groups(peers, wide_vectors: bool) -> list[Group]:
    """wide_vectors: whether our kernels use AVX-512."""
    bars = {(32768, 655): 0.35 if wide_vectors else 0.5, (4096, 2048): 2.0, (131072, 64): 0.25}
    groups = []
    for keys, count in ((32768, 655), (32768, 64), (4096, 2048), (4096, 64), (2048, 64),
                        (131072, 64)):
        case = f"top_k/rows=32/keys={keys}/k={count}"
        rows = []
        if (keys, count) in bars:
            bar = bars[keys, count]
            rows.append(Comparison(case, f"{bar} ns a key", per_item(bar), 1))
        groups.append(Group(case, [case], {
            "torch.topk": lambda n=keys, c=count: peers.top_k(32, n, c),
            "numpy argpartition": lambda n=keys, c=count: peers.numpy_partition(32, n, c),
            "row maximum": lambda n=keys: peers.row_maximum(32, n)}, rows, threads=(1,)))
    return groups


def union_groups(peers, hub) -> list[Group]:
    groups = []
    for keys in (32768, 131072):
        for sampled in (False, True):
            for density in DENSITIES:
                case = f"union/keys={keys}/density={density}" + ("/sampled" if sampled else "")
                given = (keys, density, partner(density))
                merges = {
                    "torch merge dense": lambda g=given, s=sampled: peers.merge_dense(*g, s),
                    "torch merge sparse": lambda g=given, s=sampled: peers.merge_sparse(*g, s)}
                if hub:
                    merges["hub dense"] = lambda g=given, s=sampled: hub.merge(*g, "dense", s)
                    merges["hub sparse"] = lambda g=given, s=sampled: hub.merge(*g, "sparse", s)
                who = "hub" if hub else "torch merge"
                rows = [Comparison(case, f"{who} sparse", peer(f"{who} sparse"), 10)] if sampled else [
                    Comparison(case, f"the better of {who}", better_of(f"{who} dense",
                                                                       f"{who} sparse"), 25)]
                groups.append(Group(case, [case], merges, rows, heavy=keys > 32768))
    return groups


# The published tables -------------------------------------------------------------------------


def mask_operation_groups(peers, hub) -> list[Group]:
    groups = []
    for keys in (32768, 131072):
        for density in DENSITIES:
            tail = f"keys={keys}/density={density}"
            for operation, bar in (("apply_mask", 1.0), ("apply_inv_mask", 6.0)):
                case = f"mask_operations/{operation}/{tail}"
                given = (operation, keys, density)
                made = {"torch dense": lambda g=given: peers.apply_dense(*g)}
                if hub:
                    made["hub dense"] = lambda g=given: hub.apply(*g, "dense")
                    made["hub sparse"] = lambda g=given: hub.apply(*g, "sparse")
                who = "hub dense" if hub else "torch dense"
                groups.append(Group(case, [case], made, [Comparison(case, who, peer(who), bar)],
                                    heavy=keys > 32768))
            case = f"mask_operations/merge_mask/{tail}"
            given = (keys, density, partner(density))
            made = {"torch dense": lambda g=given: peers.merge_dense(*g)}
            if hub:
                made["hub dense"] = lambda g=given: hub.merge(*g, "dense")
                made["hub sparse"] = lambda g=given: hub.merge(*g, "sparse")
            groups.append(Group(case, [case], made, heavy=keys > 32768))
    for shape in ((2, 8, 128, 512), (4, 16, 256, 1024), (8, 32, 512, 2048)):
        for masker, tokens, modes in (("local", 64, ("sparse", "dense1", "dense2")),
                                      ("sink", 32, ("sparse", "dense"))):
            name = f"mask_operations/{masker}/{shape_name(shape)}"
            case, broadcast = f"{name}/every_head", f"{name}/broadcast"
            given = (masker, tokens, shape)
            made = {"torch": lambda g=given: peers.fixed_mask(*g)}
            best = ["torch"]
            if hub:
                best = [f"hub {mode}" for mode in modes]
                for mode in modes:
                    made[f"hub {mode}"] = lambda g=given, m=mode: hub.fixed_masker(*g, m)
            groups.append(Group(name, [case, broadcast], made, [
                Comparison(case, "the best of hub" if hub else "torch", better_of(*best),
                           50 if shape[0] == 8 else None)], heavy=shape[0] == 8))
    return groups


ORACLE_TOP_K = [  # name, shape, share of the keys, whether each row's first two keys are active before
    ("Tiny", (1, 4, 4, 256, 256, 64), 0.10, False),
    ("Small", (2, 8, 8, 512, 512, 64), 0.08, False),
    ("Medium", (4, 12, 12, 1024, 1024, 64), 0.05, False),
    ("Large", (1, 8, 8, 2048, 2048, 64), 0.03, False),
    ("XLarge", (1, 8, 8, 4096, 4096, 64), 0.02, False),
    ("Small-Partial", (2, 8, 8, 512, 512, 64), 0.08, True),
    ("Medium-Partial", (2, 12, 12, 1024, 1024, 64), 0.05, True),
    ("test-small", (2, 8, 8, 512, 512, 64), 0.10, False),
    ("test-medium", (4, 16, 16, 1024, 1024, 64), 0.05, False),
    ("test-large", (1, 8, 8, 2048, 2048, 64), 0.02, False),
    ("test-GQA", (2, 16, 4, 1024, 1024, 64), 0.05, False),
    ("test-partial", (2, 12, 12, 1024, 1024, 64), 0.05, True),
]


def oracle_topk_groups(peers, hub) -> list[Group]:
    groups = []
    for name, shape, share, partial in ORACLE_TOP_K:
        direct, merge = f"oracle_topk/{name}/direct", f"oracle_topk/{name}/merge"
        one_mask = f"{direct}/one_mask"
        count = int(share * shape[4])
        made = {"torch products, top-k, scatter":
                lambda s=shape, c=count: peers.self_attention_top_k(s, c)}
        rows = []
        if not partial:
            for part in ("products", "top-k"):
                made[f"torch {part} alone"] = \
                    lambda s=shape, c=count, p=part: peers.self_attention_top_k(s, c, p)
        who = "torch products, top-k, scatter"
        if hub:
            who = "hub new"
            made["hub new"] = lambda g=(shape, share, partial): hub.oracle_top_k(*g, "new")
            made["hub old"] = lambda g=(shape, share, partial): hub.oracle_top_k(*g, "old")
            rows.append(Comparison(merge, "hub old", peer("hub old")))
            if partial:
                made["hub new, one mask"] = \
                    lambda g=(shape, share, partial): hub.oracle_top_k(*g, "new", True)
                rows.append(Comparison(one_mask, "hub new, one mask", peer("hub new, one mask")))
        rows.append(Comparison(direct, who, peer(who), 7 if name == "XLarge" else None))
        groups.append(Group(f"oracle_topk/{name}", [direct, merge] + ([one_mask] if partial else []), made,
                            rows, heavy=shape[3] > 1024 or shape[0] == 4))
    return groups


def all_groups(peers, hub, wide_vectors: bool) -> list[Group]:
    """All groups. peers: the module torch_peers. hub: a hub_peers.Hub; None: the published code is
    not timed. wide_vectors: whether our kernels use AVX-512."""
    return (dense_groups(peers) + window_groups(peers) + tile_groups(peers) +
            decode_groups(peers, hub) + top_k_groups(peers, wide_vectors) +
            union_groups(peers, hub) + mask_operation_groups(peers, hub) + oracle_topk_groups(peers, hub))
