"""What is compared with PyTorch, group by group, and the bars that the project has set."""

from __future__ import annotations

from comparison import Comparison, Group, at_peak, peer


def shape_name(shape) -> str:
    return "x".join(str(size) for size in shape)


def dense_bars(shape, dtype: str, causal: bool) -> tuple[float, float | None]:
    """The least speed against SDPA, and the least share of the FMA peak where there is one."""
    narrow = shape[5] == 64
    if dtype != "float32":
        return (1.15 if narrow else 1.08), None
    if causal:
        return (({1024: 1.5, 2048: 1.35}.get(shape[3], 1.25) if narrow else 1.15)), None
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
                     Comparison(case, "FMA peak", at_peak, share)],
                    heavy=shape[3] > 2048 or dtype == "float16"))
    return groups


def all_groups(peers) -> list[Group]:
    """peers: the module torch_peers."""
    return dense_groups(peers)
