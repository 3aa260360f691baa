#!/usr/bin/env python3
"""Writes q, k and v of the attention layers of a Hugging Face transformers model to a safetensors file.

    python3 -m venv venv && venv/bin/pip install torch transformers safetensors numpy
    venv/bin/python experiments/tools/dump_qkv.py MODEL text.txt out.safetensors --tokens 4096 --queries 256

and in an experiment file

    source: {kind: safetensors, file: out.safetensors, layers: all}

MODEL is a folder or a name that transformers can load (4.56 or newer), whose attention goes through
transformers' attention interface. The model runs over the text once, and what its attention functions receive is
stored: the positions are applied (RoPE), and the key heads of a group are not repeated (GQA). For each layer N the
file has the tensors

    layers.N.q [1, query_heads, queries, head_dim]
    layers.N.k [1, kv_heads, tokens, head_dim]
    layers.N.v [1, kv_heads, tokens, head_dim]

and with --queries the tensor query_positions [queries], int64. Its metadata are model, text, tokens, layers, causal
and scale, and layer when there is only one. Each layer is checked: attention recomputed from q, k and v in float64
must equal the model's own. So a layer with anything else in it (a sliding window, capped logits, a bias, learned
sinks) is refused instead of stored wrongly.

Exit codes: 0 written, 2 wrong usage or input, or a layer that is not plain attention.
"""

import argparse
import pathlib
import sys


class DumpError(Exception):
    """An error that the user can correct; the message says how."""


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="folder or name of a model that transformers can load")
    parser.add_argument("text", type=pathlib.Path, help="the text that the model reads: a file in UTF-8")
    parser.add_argument("out", type=pathlib.Path, help="the safetensors file to write")
    parser.add_argument("--layers", default="all",
                        help="layers to store: all, or numbers from 0, such as 0,5,11 (default: all)")
    parser.add_argument("--tokens", type=int,
                        help="use only this many tokens from the beginning of the text (default: all)")
    parser.add_argument("--queries", type=int,
                        help="store q only at this many positions, drawn without replacement (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw of --queries (default: 0)")
    parser.add_argument("--dtype", default="same", choices=["same", "float32", "float16", "bfloat16"],
                        help="dtype of the stored numbers (default: that in which the model computes)")
    parser.add_argument("--model-dtype", default="auto", choices=["auto", "float32", "float16", "bfloat16"],
                        help="dtype in which the model computes (default: that in which it is stored)")
    parser.add_argument("--device", default="cpu", help="device that the model runs on: cpu or cuda (default: cpu)")
    parser.add_argument("--bytes", action="store_true",
                        help="use the bytes of the text as tokens, for a model without a tokenizer")
    return parser.parse_args(arguments)


def read_token_ids(options, config):
    """The tokens of the text, [1, tokens]. Raises DumpError where the model cannot take them."""
    import torch
    from transformers import AutoTokenizer

    try:
        data = options.text.read_bytes()
    except OSError as error:
        raise DumpError(f"{options.text}: the text cannot be read ({error.strerror})") from error
    if options.bytes:
        ids = list(data)
    else:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise DumpError(f"{options.text}: the text is not UTF-8 at byte {error.start}") from error
        try:
            tokenizer = AutoTokenizer.from_pretrained(options.model)
        except (OSError, ValueError) as error:
            raise DumpError(f"{options.model}: the tokenizer cannot be loaded; a model of bytes needs --bytes "
                            f"({error})") from error
        ids = tokenizer(text)["input_ids"]
    if options.tokens is not None:
        if options.tokens < 1:
            raise DumpError(f"--tokens is {options.tokens}; it must be at least 1")
        if options.tokens > len(ids):
            raise DumpError(f"--tokens is {options.tokens}, but {options.text} has {len(ids)} tokens")
        ids = ids[:options.tokens]
    if not ids:
        raise DumpError(f"{options.text}: the text has no tokens")
    limit = getattr(config, "max_position_embeddings", None)
    if limit is not None and len(ids) > limit:
        raise DumpError(f"{options.text} has {len(ids)} tokens, and the model takes {limit}; add --tokens {limit}")
    vocabulary = getattr(config, "vocab_size", None)
    if vocabulary is not None and max(ids) >= vocabulary:
        raise DumpError(f"token {max(ids)} of {options.text} is not in the model's vocabulary of {vocabulary}")
    return torch.tensor([ids])


def choose_layers(text, count):
    """The layer numbers that --layers names, for a model of `count` layers."""
    if text == "all":
        return list(range(count))
    layers = []
    for part in text.split(","):
        if not part.strip().isdecimal() or int(part) >= count:
            raise DumpError(f"--layers has \"{part.strip()}\"; it must be all, or numbers from 0 to {count - 1}: 0,1")
        if int(part) in layers:
            raise DumpError(f"--layers lists {int(part)} twice")
        layers.append(int(part))
    return layers


def is_causal(mask, tokens):
    """Whether an attention mask is causal; if not, it must hide nothing. Raises DumpError on any other mask."""
    import torch

    causal, full = True, True
    keys = torch.arange(tokens, device=mask.device)
    for first in range(0, tokens, 1024):
        rows = mask[0, 0, first:first + 1024]
        shown = rows if rows.dtype == torch.bool else rows == 0
        below = keys[None, :] <= keys[first:first + 1024, None]
        causal = causal and torch.equal(shown, below)
        full = full and bool(shown.all())
    if causal or full:
        return causal and tokens > 1
    raise DumpError("its mask is neither causal nor empty: a sliding window, chunks or padding; only plain causal and "
                    "plain full attention can be stored")


# Options of transformers' sdpa that may be set: they do not change plain attention, or if they do, the check of the
# mask or of the recomputed output finds it.
PLAIN_OPTIONS = {"dropout", "scaling", "is_causal", "position_ids", "cache_position", "output_attentions", "use_cache",
                 "sliding_window", "position_embeddings", "past_key_values", "past_key_value", "attention_mask",
                 "output_hidden_states", "return_dict", "token_type_ids"}


class Recorder:
    """Takes the place of transformers' sdpa attention function: calls it, and keeps the inputs and output of the
    given layers in `records`."""

    def __init__(self, attention, layers):
        self.attention = attention
        self.layers = layers
        self.calls = 0
        self.records = {}

    def __call__(self, module, query, key, value, attention_mask, **options):
        layer = getattr(module, "layer_idx", None)
        layer = self.calls if layer is None else layer
        self.calls += 1
        unknown = sorted(name for name, given in options.items()
                         if name not in PLAIN_OPTIONS and given is not None and given is not False)
        if unknown and layer in self.layers:
            raise DumpError(f"layer {layer}: its attention is called with {', '.join(unknown)}, which is no plain "
                            "softmax attention (capped logits, attention sinks); it cannot be stored")
        output, weights = self.attention(module, query, key, value, attention_mask, **options)
        if layer in self.layers:
            if layer in self.records:
                raise DumpError(f"layer {layer} calls attention twice; models with cross attention are not supported")
            scale = options.get("scaling")
            try:
                if attention_mask is not None:
                    causal = is_causal(attention_mask, query.shape[2])
                else:
                    stated = options.get("is_causal")
                    stated = getattr(module, "is_causal", True) if stated is None else stated
                    causal = bool(stated) and query.shape[2] > 1
            except DumpError as error:
                raise DumpError(f"layer {layer}: {error}") from error
            self.records[layer] = {
                "q": query.detach(), "k": key.detach(), "v": value.detach(), "output": output.detach(),
                "scale": float(query.shape[-1]**-0.5 if scale is None else scale), "causal": causal,
            }
        return output, weights


def recompute(record, rows):
    """Attention of the given queries, recomputed from a record in float64: [query_heads, rows, head_dim]."""
    import torch

    q, k, v = (record[name][0].double() for name in "qkv")
    group = q.shape[0] // k.shape[0]
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    logits = record["scale"] * q[:, rows] @ k.transpose(1, 2)
    if record["causal"]:
        hidden = torch.arange(k.shape[1], device=k.device)[None, :] > rows[:, None]
        logits = logits.masked_fill(hidden, float("-inf"))
    return logits.softmax(-1) @ v


def check_record(layer, record):
    """Raises DumpError unless plain attention over the record's q, k and v gives the model's own output."""
    import torch

    q, k, v = record["q"], record["k"], record["v"]
    if k.shape != v.shape or q.shape[-1] != k.shape[-1]:
        raise DumpError(f"layer {layer}: q is {list(q.shape)}, k is {list(k.shape)}, v is {list(v.shape)}; keys and "
                        "values must have one shape, and the head_dim of the queries")
    if q.shape[2] != k.shape[2]:
        raise DumpError(f"layer {layer}: {q.shape[2]} queries meet {k.shape[2]} keys; the model adds or caches keys")
    for name in "qkv":
        if not torch.isfinite(record[name]).all():
            raise DumpError(f"layer {layer}: {name} has NaN or infinite elements; try --model-dtype float32")
    tokens = q.shape[2]
    rows = torch.unique(torch.linspace(0, tokens - 1, min(tokens, 32), device=q.device).long())
    expected = recompute(record, rows)
    output = record["output"][0].transpose(0, 1)[:, rows].double()
    error = ((output - expected).abs().max() / expected.abs().max().clamp_min(1e-30)).item()
    tolerance = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}.get(q.dtype, 1e-4)
    if not error <= tolerance:
        raise DumpError(f"layer {layer}: attention recomputed from q, k and v differs from the model's by {error:.3g} "
                        f"of the largest element (tolerance {tolerance:g}); the layer is not plain softmax attention")


def run_model(options):
    """Runs the model over the text once. Returns the records by layer, and the number of tokens."""
    import torch
    from transformers import AutoConfig, AutoModel
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    try:
        config = AutoConfig.from_pretrained(options.model)
    except (OSError, ValueError) as error:
        raise DumpError(f"{options.model}: the model cannot be loaded ({error})") from error
    layers = choose_layers(options.layers, config.get_text_config().num_hidden_layers)
    ids = read_token_ids(options, config.get_text_config())
    if options.queries is not None and not 1 <= options.queries <= ids.shape[1]:
        raise DumpError(f"--queries is {options.queries}; it must be between 1 and the {ids.shape[1]} tokens")
    dtype = "auto" if options.model_dtype == "auto" else getattr(torch, options.model_dtype)
    try:
        model = AutoModel.from_pretrained(options.model, dtype=dtype, attn_implementation="sdpa")
        model = model.to(options.device).eval()
    except (OSError, ValueError, RuntimeError) as error:
        raise DumpError(f"{options.model}: the model cannot be loaded ({error})") from error
    sdpa = ALL_ATTENTION_FUNCTIONS["sdpa"]
    recorder = Recorder(sdpa, set(layers))
    ALL_ATTENTION_FUNCTIONS.register("sdpa", recorder)
    try:
        with torch.no_grad():
            model(input_ids=ids.to(options.device), use_cache=False)
    finally:
        ALL_ATTENTION_FUNCTIONS.register("sdpa", sdpa)
    missing = [layer for layer in layers if layer not in recorder.records]
    if missing:
        raise DumpError(f"layers {missing} did not call transformers' attention interface; the model has attention of "
                        "its own there, or none")
    return {layer: recorder.records[layer] for layer in layers}, ids.shape[1]


def common(records, name):
    """The value that all records have under `name`. Raises DumpError where they differ."""
    values = {layer: record[name] for layer, record in records.items()}
    if len(set(values.values())) > 1:
        raise DumpError(f"the layers differ in {name}: {values}; write them to several files with --layers")
    return next(iter(values.values()))


def dump(options):
    """Writes the file that the options ask for, and prints the shapes of its tensors."""
    import torch
    from safetensors.torch import save_file

    records, tokens = run_model(options)
    for layer, record in records.items():
        check_record(layer, record)
    metadata = {
        "model": pathlib.Path(options.model).name if pathlib.Path(options.model).is_dir() else str(options.model),
        "text": options.text.name,
        "tokens": str(tokens),
        "layers": ",".join(str(layer) for layer in records),
        "causal": "true" if common(records, "causal") else "false",
        "scale": repr(common(records, "scale")),
    }
    if len(records) == 1:
        metadata["layer"] = metadata["layers"]
    tensors = {}
    positions = None
    if options.queries is not None:
        generator = torch.Generator().manual_seed(options.seed)
        positions = torch.randperm(tokens, generator=generator)[:options.queries].sort().values
        tensors["query_positions"] = positions
    for layer, record in records.items():
        for name in "qkv":
            tensor = record[name].cpu()
            if name == "q" and positions is not None:
                tensor = tensor[:, :, positions]
            if options.dtype != "same":
                tensor = tensor.to(getattr(torch, options.dtype))
            if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16):
                raise DumpError(f"layer {layer}: the model computes in {tensor.dtype}; choose a --dtype")
            if not torch.isfinite(tensor).all():
                raise DumpError(f"layer {layer}: {name} does not fit --dtype {options.dtype}; choose another")
            tensors[f"layers.{layer}.{name}"] = tensor.contiguous()
    try:
        save_file(tensors, options.out, metadata=metadata)
    except Exception as error:
        raise DumpError(f"{options.out}: the file cannot be written ({error})") from error
    for layer in records:
        shapes = ", ".join(f"{name} {list(tensors[f'layers.{layer}.{name}'].shape)}" for name in "qkv")
        print(f"layer {layer}: {shapes} {str(tensors[f'layers.{layer}.q'].dtype).removeprefix('torch.')}")


def main(arguments=None):
    options = parse_arguments(arguments)
    try:
        dump(options)
    except ImportError as error:
        print(f"dump_qkv: a package is missing: pip install torch transformers safetensors numpy ({error})",
              file=sys.stderr)
        return 2
    except DumpError as error:
        print(f"dump_qkv: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
