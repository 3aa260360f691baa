"""Finds out how a transformers model applies positions to the keys of a layer, by trying it.

What is stated is what was seen: the rotary embedding of the model, in the style that turns the layer's projected keys
into the keys that its attention received.
"""

import dataclasses
import json

import torch

# How far the keys may be from those that were received, relative to the largest element.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}


@dataclasses.dataclass
class Rope:
    """A rotary position embedding, or its absence.

    The first 2 * len(frequencies) channels of a head are turned in pairs: pair i of a key at position p by the angle
    p * frequencies[i] (float32), then multiplied by attention_scale; the others are left as they are. style says
    which channels are a pair: i and i + len(frequencies) (`half`), 2 i and 2 i + 1 (`interleaved`), or that nothing is
    turned (`none`).
    """

    style: str
    frequencies: torch.Tensor = dataclasses.field(default_factory=lambda: torch.empty(0))  # float32
    attention_scale: float = 1.0
    base: float | None = None
    scaling: str = "none"  # the model's own words for it, as JSON

    def rotate(self, tensor, positions):
        """[heads, rows, head_dim] at positions [rows], turned: float32."""
        tensor = tensor.float()
        if self.style == "none":
            return tensor
        count = len(self.frequencies)
        angles = positions.float()[:, None] * self.frequencies
        cos, sin = angles.cos() * self.attention_scale, angles.sin() * self.attention_scale
        turned = tensor.clone()
        pairs = ((slice(0, count), slice(count, 2 * count)) if self.style == "half" else
                 (slice(0, 2 * count, 2), slice(1, 2 * count, 2)))
        first, second = (tensor[..., pair] for pair in pairs)
        turned[..., pairs[0]] = first * cos - second * sin
        turned[..., pairs[1]] = second * cos + first * sin
        return turned

    def metadata(self):
        """What a file says of it: texts by name."""
        entries = {"rope_style": self.style}
        if self.style != "none":
            entries.update(rope_dims=str(2 * len(self.frequencies)), rope_scaling=self.scaling,
                           rope_attention_scale=repr(self.attention_scale))
            if self.base is not None:
                entries["rope_base"] = repr(self.base)
        return entries


def parameters_of(config, kind):
    """The base and the scaling that a configuration states for a kind of layer ("" where all are of one)."""
    stated = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if isinstance(stated.get(kind), dict):
        stated = stated[kind]
    base = stated.get("rope_theta", getattr(config, "rope_theta", None))
    scaling = {key: value for key, value in sorted(stated.items())
               if key not in ("rope_theta", "partial_rotary_factor") and value is not None}
    plain = scaling.get("rope_type", scaling.get("type", "default")) == "default"
    return None if base is None else float(base), "none" if plain else json.dumps(scaling)


def candidates(model, config):
    """Every way in which this model might apply positions."""
    yield Rope("none")
    for module in model.modules():
        for name, frequencies in list(module.named_buffers(recurse=False)):
            if not name.endswith("inv_freq") or "original" in name:
                continue
            prefix = name.removesuffix("inv_freq")
            base, scaling = parameters_of(config, prefix.removesuffix("_"))
            scale = float(getattr(module, prefix + "attention_scaling", 1.0))
            for style in ("half", "interleaved"):
                yield Rope(style, frequencies.detach().float().cpu(), scale, base, scaling)


def projected_keys(layer, hidden, head_dim):
    """The keys of an attention layer before positions are applied, [kv_heads, rows, head_dim], of its input [rows,
    hidden_size]; None where the layer does not compute them as k_proj and at most k_norm."""
    project, norm = getattr(layer, "k_proj", None), getattr(layer, "k_norm", None)
    if project is None:
        return None
    keys = project(hidden)
    normed = norm.weight.numel() if hasattr(norm, "weight") else 0  # channels: of all heads, or of one
    if normed == keys.shape[-1]:
        keys = norm(keys)
    keys = keys.view(keys.shape[0], -1, head_dim)
    if normed == head_dim:
        keys = norm(keys)
    return keys.transpose(0, 1)


def find_rope(model, config, layer, hidden, keys, positions):
    """How positions are applied in a layer, or None where that is not known.

    layer: the layer's attention module. hidden: its input, [rows, hidden_size]. keys: what its attention received,
    [kv_heads, rows, head_dim]. positions: int64 [rows]; position 0 alone tells nothing.
    """
    if hidden is None or int(positions.max()) == 0:
        return None
    with torch.no_grad():
        projected = projected_keys(layer, hidden, keys.shape[-1])
    if projected is None or projected.shape != keys.shape:
        return None
    projected, received, positions = projected.cpu(), keys.float().cpu(), positions.cpu()
    for rope in candidates(model, config):
        if 2 * len(rope.frequencies) > keys.shape[-1]:
            continue
        error = (rope.rotate(projected, positions) - received).abs().max() / received.abs().max().clamp_min(1e-30)
        if error <= TOLERANCE.get(keys.dtype, 1e-4):
            return rope
    return None
