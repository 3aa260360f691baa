"""Times the published code that the tables mask_operations and oracle_topk come from. It is run from a checkout
of xAlg-ai/sparse-attention-hub at commit 1a048c9."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from pathlib import Path

from interleaving import sampler

import torch

CALLS_THAT_FILL = 25  # so many selections of 5 % of the keys fill a mask
BASE = "sparse_attention_hub.sparse_attention."


class Anything:
    """Stands for anything in a module that is not installed: it can be called, and has every
    attribute."""

    def __init__(self, *_, **__):
        pass

    def __call__(self, *_, **__):
        return self

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything()


class StandIn(types.ModuleType):
    """Stands for a package that is not installed. Its capitalised names are classes, so that
    classes can derive from them."""

    __path__: list[str] = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Anything,), {}) if name[0].isupper() else Anything()


class StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """An import hook that replaces packages that are not installed by StandIn, so that the checkout
    can be imported without the packages that its other parts need (models, data sets, plots,
    tuning). It must be the last hook, so that installed packages are used."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("sparse_attention_hub", "torch"):
            return None
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return StandIn(spec.name)

    def exec_module(self, module):
        pass


class Hub:
    """The classes of the checkout that are timed. Each method named after an operation prepares it
    and returns its Contender.sample; shapes are those of groups.py unless another is named."""

    def __init__(self, folder: str):
        if not (Path(folder) / "sparse_attention_hub").is_dir():
            raise FileNotFoundError(f"{folder} is not a checkout of sparse-attention-hub; it has no folder "
                                    "sparse_attention_hub")
        sys.path.insert(0, folder)
        stand_ins = StandIns()
        sys.meta_path.append(stand_ins)
        try:
            self._load()
        finally:
            sys.meta_path.remove(stand_ins)

    def _load(self):
        fixed = BASE + "research_attention.maskers.fixed.implementations"
        for module, names in (
                (BASE + "utils.mask", ["Mask"]),
                (BASE + "research_attention", ["ResearchAttention", "ResearchAttentionConfig"]),
                (BASE + "research_attention.maskers.base", ["AttentionTensorDimensions"]),
                (fixed, ["LocalMasker", "LocalMaskerConfig", "SinkMasker", "SinkMaskerConfig",
                         "OracleTopK", "OracleTopKConfig"])):
            loaded = importlib.import_module(module)
            for name in names:
                setattr(self, name, getattr(loaded, name))

    def _empty(self, shape):
        return self.Mask.create_empty_mask(shape, dtype=torch.float32, device=torch.device("cpu"))

    def _random_masks(self, keys: int, density: float, partner: float, mode: str, sampled=False):
        """Two random masks (1, 32, 1, keys), with indices for the mode sparse and dense for
        dense."""
        shape = (1, 32, 1, keys)
        torch.manual_seed(42)
        masks = []
        for share in (density, partner):
            weights = (torch.rand(shape) < share).float()
            if sampled:
                weights *= torch.where(torch.rand(shape) < 0.5, 0.02 + 0.9 * torch.rand(shape), 1.0)
            mask = self.Mask.create_mask_from_dense_mask(shape, weights, dtype=torch.float32)
            if mode == "sparse":
                mask = self.Mask.create_mask_from_indices(shape, *mask.get_index_mask(),
                                                          dtype=torch.float32)
            masks.append(mask)
        return masks

    def apply(self, operation: str, keys: int, density: float, mode: str):
        """Applies a mask to a tensor. operation: apply_mask or apply_inv_mask; mode: sparse or
        dense."""
        mask, _ = self._random_masks(keys, density, density, mode)
        x = torch.randn(1, 32, 1, keys)
        return sampler(lambda: getattr(mask, operation)(x, mode=mode))

    def merge(self, keys: int, density: float, partner: float, mode: str, sampled=False):
        a, b = self._random_masks(keys, density, partner, mode, sampled)
        return sampler(lambda: a.merge_mask(b, inplace=False, mode=mode))

    def fixed_masker(self, masker: str, tokens: int, shape, mode: str):
        """Selects by the masker local or sink into an empty mask. shape: (batch, heads, query_len,
        key_len)."""
        batch, heads, queries, keys = shape
        k, q = torch.randn(batch, heads, keys, 64), torch.randn(batch, heads, queries, 64)
        one = (self.LocalMasker(self.LocalMaskerConfig(window_size=tokens)) if masker == "local"
               else self.SinkMasker(self.SinkMaskerConfig(sink_size=tokens)))
        dims = self.AttentionTensorDimensions(batch_size=batch, num_heads=heads,
                                              seq_len_queries=queries, seq_len_keys=keys)
        return sampler(lambda mask: one.get_updated_mask(dims, tokens, k, mask, mode=mode),
                       fresh=lambda: self._empty(shape))

    def oracle_top_k(self, shape, share: float, partial: bool, mode: str, one_mask=False):
        """Selects by oracle top-k in self-attention. partial: each row's first two keys are active
        before. one_mask: all calls get the same mask, as in the published timing. The mode new adds
        keys to it at each call; it is timed when the mask is full, as it was at most of the
        published calls."""
        batch, heads, kv_heads, queries, keys, dim = shape
        k, q = torch.randn(batch, kv_heads, keys, dim), torch.randn(batch, heads, queries, dim)
        masker = self.OracleTopK(self.OracleTopKConfig(heavy_size=share))
        dims = self.AttentionTensorDimensions(batch_size=batch, num_heads=heads,
                                              seq_len_queries=queries, seq_len_keys=keys)
        mask_shape = (batch, heads, queries, keys)

        def previous():
            if not partial:
                return self._empty(mask_shape)
            weights = torch.zeros(mask_shape)
            weights[..., :2] = 1.0
            return self.Mask.create_mask_from_dense_mask(mask_shape, weights, dtype=torch.float32)

        def run(mask):
            return masker.get_updated_mask(dims, int(share * keys), k, q, None, mask, mode=mode)

        if one_mask:
            shared = previous()
            for _ in range(CALLS_THAT_FILL):
                run(shared)
            return sampler(lambda: run(shared))
        return sampler(run, fresh=previous)

    def decode(self, shape, sink: int, window: int, share: float):
        """Selects by sink, local and oracle top-k, then attends; all of it is timed."""
        batch, heads, kv_heads, queries, keys, dim = shape
        q = torch.randn(batch, heads, queries, dim)
        k, v = (torch.randn(batch, kv_heads, keys, dim) for _ in range(2))
        configs = [self.SinkMaskerConfig(sink_size=sink), self.LocalMaskerConfig(window_size=window),
                   self.OracleTopKConfig(heavy_size=share)]
        attention = self.ResearchAttention.create_from_config(
            self.ResearchAttentionConfig(masker_configs=configs))
        module = torch.nn.Identity().eval()
        return sampler(lambda: attention.custom_attention(module, q, k, v, None, dim ** -0.5, 0.0,
                                                          {}, layer_idx=0))
