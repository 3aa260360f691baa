#!/usr/bin/env python3
"""Writes q, k and v of the attention layers of a Hugging Face transformers model to a safetensors file.

    python3 -m venv venv && venv/bin/pip install torch transformers safetensors numpy
    venv/bin/python experiments/tools/dump_qkv.py MODEL text.txt out.safetensors --tokens 4096 --queries 256

and in an experiment file

    source: {kind: safetensors, file: out.safetensors, layers: all}

MODEL is a folder or a name that transformers can load (4.56 or newer, for encoders 5.0), whose attention goes through
transformers' attention interface. The model runs over the text once, and what its attention functions receive is
stored: the positions are applied (RoPE), and the key heads of a group are not repeated (GQA). For each layer N the
file has the tensors

    layers.N.q [1, query_heads, queries, head_dim]
    layers.N.k [1, kv_heads, tokens, head_dim]
    layers.N.v [1, kv_heads, tokens, head_dim]

with --queries the tensor query_positions [queries], int64, and with --hidden and --all-queries those that their help
names. The metadata say what model and text these are, and how to undo the positions: experiments/README.md, "What
dump_qkv.py writes", lists them. Each layer is checked: attention recomputed from q, k and v in float64
must equal the model's own. So a layer with anything else in it (a sliding window, capped logits, a bias, learned
sinks) is refused instead of stored wrongly.

With --chunk the model reads the text in pieces, with its cache of keys and values: memory then grows with the keys and
values of all layers, and no longer with what a layer computes for every token. 8,192 tokens of a model of 135 million
parameters in float32 take 2 GB so, of which 1.5 are PyTorch and the model.

Exit codes: 0 written, 2 wrong usage or input, or a layer that is not plain attention.
"""

import argparse
import collections
import contextlib
import ctypes
import dataclasses
import hashlib
import inspect
import json
import os
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
    parser.add_argument("--tokens", type=int, help="use only this many tokens of the text (default: all)")
    parser.add_argument("--skip", type=int, default=0,
                        help="leave out this many tokens at the beginning of the text; the first one that is used "
                             "stands at position 0 (default: 0)")
    parser.add_argument("--queries", type=int,
                        help="store q only at this many positions, drawn without replacement (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw of --queries (default: 0)")
    parser.add_argument("--all-queries", action="store_true",
                        help="with --queries, store besides every query of the prompt: layers.N.prompt_q [1, "
                             "query_heads, tokens, head_dim], and prompt_positions [tokens], int64")
    parser.add_argument("--hidden", action="store_true",
                        help="store what each layer's attention module receives, before its projections: "
                             "layers.N.hidden [1, tokens, hidden_size]")
    parser.add_argument("--chunk", type=int,
                        help="read the text in pieces of this many tokens, in bounded memory; for causal models. The "
                             "same numbers, but for rounding (default: at once)")
    parser.add_argument("--dtype", default="same", choices=["same", "float32", "float16", "bfloat16"],
                        help="dtype of the stored numbers (default: that in which the model computes)")
    parser.add_argument("--model-dtype", default="auto", choices=["auto", "float32", "float16", "bfloat16"],
                        help="dtype in which the model computes (default: that in which it is stored)")
    parser.add_argument("--device", default="cpu", help="device that the model runs on: cpu or cuda (default: cpu)")
    parser.add_argument("--bytes", action="store_true",
                        help="use the bytes of the text as tokens, for a model without a tokenizer")
    parser.add_argument("--metadata", action="append", default=[], metavar="KEY=VALUE",
                        help="a further entry of the metadata, such as text_licence=Apache-2.0; may be repeated")
    return parser.parse_args(arguments)


@dataclasses.dataclass
class Model:
    """A loaded model, for any number of texts."""

    name: str
    sha256: str
    config: object
    module: object
    texts: dict = dataclasses.field(default_factory=dict)  # by file: SHA-256 and the ids of all tokens


def sha256_of(files):
    """The SHA-256 of the files' bytes, one file after the other."""
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as opened:
            while block := opened.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()


def weight_files(name):
    """The files that hold the weights of a model, in the order of their names."""
    folder = pathlib.Path(name)
    if not folder.is_dir():
        from transformers.utils import cached_file
        folder = pathlib.Path(cached_file(name, "config.json")).parent
    return sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))


def refuse_by_name(name, config):
    """Raises DumpError where the configuration of a model says that its attention is not plain."""
    kinds = {
        "capped logits": getattr(config, "attn_logit_softcapping", None),
        "ALiBi": (config.model_type == "bloom" or getattr(config, "alibi", False)
                  or getattr(getattr(config, "attn_config", None), "alibi", False)),
        "attention sinks": config.model_type == "gpt_oss",
    }
    found = [kind for kind, present in kinds.items() if present]
    if found:
        raise DumpError(f"{name}: its attention has {' and '.join(found)}, so it is no plain softmax attention; it "
                        "cannot be stored")


def load_model(options):
    """The model that the options name. Raises DumpError where transformers cannot load it."""
    import torch
    from transformers import AutoConfig, AutoModel

    try:
        config = AutoConfig.from_pretrained(options.model)
        refuse_by_name(options.model, config.get_text_config())
        choose_layers(options.layers, config.get_text_config().num_hidden_layers)
        dtype = "auto" if options.model_dtype == "auto" else getattr(torch, options.model_dtype)
        module = AutoModel.from_pretrained(options.model, dtype=dtype, attn_implementation="sdpa")
        return Model(name=pathlib.Path(options.model).name if pathlib.Path(options.model).is_dir() else options.model,
                     sha256=sha256_of(weight_files(options.model)), config=config.get_text_config(),
                     module=module.to(options.device).eval())
    except (OSError, ValueError, RuntimeError) as error:
        raise DumpError(f"{options.model}: the model cannot be loaded ({error})") from error


def read_text(options):
    """The SHA-256 of the text, and all of its tokens."""
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
        ids = tokenizer(text, verbose=False)["input_ids"]
    return hashlib.sha256(data).hexdigest(), ids


def all_tokens(options, model):
    """The SHA-256 of the text, and all of its tokens; the text is read once."""
    if options.text not in model.texts:
        model.texts[options.text] = read_text(options)
    return model.texts[options.text]


def choose_tokens(options, model):
    """The SHA-256 of the text, and the tokens of it that the options ask for, [1, tokens]. Raises DumpError where the
    model cannot take them."""
    import torch

    sha256, ids = all_tokens(options, model)
    if options.skip < 0:
        raise DumpError(f"--skip is {options.skip}; it must be at least 0")
    if options.skip > 0 and options.skip >= len(ids):
        raise DumpError(f"--skip is {options.skip}, but {options.text} has {len(ids)} tokens")
    ids = ids[options.skip:]
    if options.tokens is not None:
        if options.tokens < 1:
            raise DumpError(f"--tokens is {options.tokens}; it must be at least 1")
        if options.tokens > len(ids):
            raise DumpError(f"--tokens is {options.tokens}, but {options.text} has {len(ids)} tokens"
                            + (f" after those of --skip {options.skip}" if options.skip else ""))
        ids = ids[:options.tokens]
    if not ids:
        raise DumpError(f"{options.text}: the text has no tokens")
    limit = getattr(model.config, "max_position_embeddings", None)
    if limit is not None and len(ids) > limit:
        raise DumpError(f"{options.text} has {len(ids)} tokens, and the model takes {limit}; add --tokens {limit}")
    vocabulary = getattr(model.config, "vocab_size", None)
    if vocabulary is not None and max(ids) >= vocabulary:
        raise DumpError(f"token {max(ids)} of {options.text} is not in the model's vocabulary of {vocabulary}")
    return sha256, torch.tensor([ids])


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


def is_causal(mask, first):
    """Whether an attention mask, [batch, heads, queries, keys], is causal for queries at positions from `first` on; if
    not, it must hide nothing. Raises DumpError on any other mask."""
    import torch

    causal, full = True, True
    keys = torch.arange(mask.shape[-1], device=mask.device)
    for begin in range(0, mask.shape[2], 1024):
        rows = mask[0, 0, begin:begin + 1024]
        if rows.dtype != torch.bool:
            if bool(((rows != 0) & (rows > torch.finfo(rows.dtype).min / 4)).any()):
                raise DumpError("its mask adds to the logits: ALiBi or another bias of positions; only plain causal "
                                "and plain full attention can be stored")
            rows = rows == 0
        positions = torch.arange(begin, begin + rows.shape[0], device=mask.device) + first
        causal = causal and torch.equal(rows, keys[None, :] <= positions[:, None])
        full = full and bool(rows.all())
    if causal or full:
        return causal and mask.shape[-1] > 1
    raise DumpError("its mask is neither causal nor empty: a sliding window, chunks or padding; only plain causal and "
                    "plain full attention can be stored")


# Options of transformers' sdpa that may be set: they do not change plain attention, or if they do, the check of the
# mask or of the recomputed output finds it.
PLAIN_OPTIONS = {"dropout", "scaling", "is_causal", "position_ids", "cache_position", "output_attentions", "use_cache",
                 "sliding_window", "position_embeddings", "past_key_values", "past_key_value", "cache",
                 "attention_mask", "output_hidden_states", "return_dict", "token_type_ids"}


@dataclasses.dataclass
class Wanted:
    """What is kept of a text of `tokens` tokens."""

    layers: list
    tokens: int
    queries: object  # sorted positions whose queries are stored, int64
    all_queries: bool
    hidden: bool
    checked: object  # sorted positions at which the layer is checked, int64


class Record:
    """What one layer's attention has received so far, and what it gave at the checked positions."""

    def __init__(self, scale, layer):
        self.scale = scale
        self.layer = layer  # the attention module
        self.causal = None
        self.tokens = 0
        self.k = self.v = None
        self.parts = collections.defaultdict(list)  # by name: pieces in the order of their positions

    def joined(self, name, dim):
        import torch
        return torch.cat(self.parts[name], dim)


class Recorder:
    """Takes the place of transformers' sdpa attention function: calls it, and keeps what is wanted of its inputs and
    output in `records`, by layer. The model may read its tokens in pieces; `first` is then set to the position at
    which the next one begins."""

    def __init__(self, attention, wanted, store):
        self.attention = attention
        self.wanted = wanted
        self.store = store  # makes a tensor what is stored of it
        self.first = 0
        self.calls = 0
        self.inputs = {}  # by attention module: the hidden states it was called with
        self.records = {}

    def keep_input(self, module, arguments, options):
        """A hook before an attention module runs."""
        self.inputs[module] = options.get("hidden_states", arguments[0] if arguments else None)

    def __call__(self, module, query, key, value, attention_mask, **options):
        layer = getattr(module, "layer_idx", None)
        layer = self.calls if layer is None else layer
        self.calls += 1
        hidden = self.inputs.pop(module, None)
        if layer not in self.wanted.layers:
            return self.attention(module, query, key, value, attention_mask, **options)
        unknown = sorted(name for name, given in options.items()
                         if name not in PLAIN_OPTIONS and given is not None and given is not False)
        if unknown:
            raise DumpError(f"layer {layer}: its attention is called with {', '.join(unknown)}, which is no plain "
                            "softmax attention (capped logits, attention sinks); it cannot be stored")
        output, weights = self.attention(module, query, key, value, attention_mask, **options)
        scale = options.get("scaling")
        scale = float(query.shape[-1]**-0.5 if scale is None else scale)
        record = self.records.setdefault(layer, Record(scale, module))
        if record.tokens != self.first:
            raise DumpError(f"layer {layer} calls attention twice; models with cross attention are not supported")
        try:
            self.note_mask(record, module, query, attention_mask, options.get("is_causal"))
            self.keep(record, query, key, value, output, hidden)
        except DumpError as error:
            raise DumpError(f"layer {layer}: {error}") from error
        return output, weights

    def note_mask(self, record, module, query, mask, stated):
        count = query.shape[2]
        if mask is not None:
            causal = is_causal(mask, self.first)
        elif count == 1 and self.first == 0:
            return  # one key: causal or not is the same
        elif count == 1:
            causal = True  # the newest token sees all keys, which are those before it
        else:
            causal = bool(getattr(module, "is_causal", True) if stated is None else stated)
        if self.first + count < self.wanted.tokens and not causal:
            raise DumpError("it is not causal, so that every token sees all; leave --chunk out")
        record.causal = causal if record.causal is None else record.causal and causal

    def keep(self, record, query, key, value, output, hidden):
        end = self.first + query.shape[2]
        if key.shape != value.shape or query.shape[-1] != key.shape[-1]:
            raise DumpError(f"q is {list(query.shape)}, k is {list(key.shape)}, v is {list(value.shape)}; keys and "
                            "values must have one shape, and the head_dim of the queries")
        if key.shape[2] != end:
            raise DumpError(f"{end} tokens meet {key.shape[2]} keys; the model adds, drops or caches keys"
                            + (", leave --chunk out" if query.shape[2] < self.wanted.tokens else ""))
        record.tokens = end
        record.k, record.v = key.detach(), value.detach()

        def inside(positions):
            return positions[(positions >= self.first) & (positions < end)].to(query.device) - self.first

        rows = inside(self.wanted.checked)
        record.parts["checked_q"].append(query[:, :, rows].detach())
        record.parts["checked_output"].append(output[:, rows].detach())
        record.parts["q"].append(self.store("q", query[:, :, inside(self.wanted.queries)].detach()))
        if self.wanted.all_queries:
            record.parts["prompt_q"].append(self.store("q", query.detach()))
        if hidden is not None and hidden.dim() == 3:
            record.parts["checked_hidden"].append(hidden[0, rows].detach())
            if self.wanted.hidden:
                record.parts["hidden"].append(self.store("hidden", hidden.detach()))
        elif self.wanted.hidden:
            raise DumpError("what its attention module receives is not known; leave --hidden out")


def recompute(record, rows):
    """Attention at the checked positions `rows`, recomputed in float64: [query_heads, rows, head_dim]."""
    import torch

    q, k, v = (tensor[0].double() for tensor in (record.joined("checked_q", 2), record.k, record.v))
    group = q.shape[0] // k.shape[0]
    k, v = k.repeat_interleave(group, 0), v.repeat_interleave(group, 0)
    logits = record.scale * q @ k.transpose(1, 2)
    if record.causal:
        hidden = torch.arange(k.shape[1], device=k.device)[None, :] > rows[:, None]
        logits = logits.masked_fill(hidden, float("-inf"))
    return logits.softmax(-1) @ v


def check_record(layer, record, rows):
    """Raises DumpError unless plain attention over the record's q, k and v gives the model's own output at the
    positions `rows`."""
    import torch

    for name, tensor in (("q", record.joined("checked_q", 2)), ("k", record.k), ("v", record.v)):
        if not torch.isfinite(tensor).all():
            raise DumpError(f"layer {layer}: {name} has NaN or infinite elements; try --model-dtype float32")
    expected = recompute(record, rows.to(record.k.device))
    output = record.joined("checked_output", 1)[0].transpose(0, 1).double()
    error = ((output - expected).abs().max() / expected.abs().max().clamp_min(1e-30)).item()
    tolerance = {torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 5e-2}.get(record.k.dtype, 1e-4)
    if not error <= tolerance:
        raise DumpError(f"layer {layer}: attention recomputed from q, k and v differs from the model's by {error:.3g} "
                        f"of the largest element (tolerance {tolerance:g}); the layer is not plain softmax attention")


def to_stored(name, tensor, dtype):
    """A tensor as it is stored: on the host, in the dtype that --dtype names."""
    import torch

    tensor = tensor.cpu()
    if dtype != "same":
        tensor = tensor.to(getattr(torch, dtype))
    if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise DumpError(f"the model computes in {tensor.dtype}; choose a --dtype")
    if not torch.isfinite(tensor).all():
        raise DumpError(f"{name} does not fit --dtype {dtype}; choose another")
    return tensor.contiguous()


@contextlib.contextmanager
def recording(module, recorder):
    """Has the attention of a model recorded."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    hooks = [part.register_forward_pre_hook(recorder.keep_input, with_kwargs=True) for part in module.modules()
             if "attention" in type(part).__name__.lower()]
    ALL_ATTENTION_FUNCTIONS.register("sdpa", recorder)
    try:
        yield
    finally:
        ALL_ATTENTION_FUNCTIONS.register("sdpa", recorder.attention)
        for hook in hooks:
            hook.remove()


def return_large_blocks():
    """Has the C library give large blocks back as soon as they are free. The cache of keys and values grows by taking
    larger blocks, and where the smaller ones were kept, they would take a gigabyte at 8,192 tokens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(-3, 1 << 20)  # glibc's M_MMAP_THRESHOLD


def run_model(model, ids, wanted, options):
    """Runs the model over the tokens once, in pieces where --chunk says so. Returns the records by layer."""
    import torch
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    recorder = Recorder(ALL_ATTENTION_FUNCTIONS["sdpa"], wanted,
                        lambda name, tensor: to_stored(name, tensor, options.dtype))
    ids = ids.to(options.device)
    chunk = wanted.tokens if options.chunk is None else options.chunk
    in_pieces = chunk < wanted.tokens
    accepted = inspect.signature(model.module.forward).parameters
    cache_name = next((name for name in ("cache", "past_key_values") if name in accepted), None)
    if in_pieces and cache_name is None:
        raise DumpError(f"{model.name} has no cache of keys and values; leave --chunk out")
    if in_pieces:
        return_large_blocks()
    given = {}
    with recording(model.module, recorder), torch.no_grad():
        for recorder.first in range(0, wanted.tokens, chunk):
            recorder.calls = 0
            output = model.module(input_ids=ids[:, recorder.first:recorder.first + chunk], use_cache=in_pieces, **given)
            if in_pieces:
                cache = getattr(output, cache_name, None)
                if cache is None:
                    raise DumpError(f"{model.name} gave no cache of keys and values; leave --chunk out")
                given = {cache_name: cache}
    missing = [layer for layer in wanted.layers if layer not in recorder.records]
    if missing:
        raise DumpError(f"layers {missing} did not call transformers' attention interface; the model has attention of "
                        "its own there, or none")
    return {layer: recorder.records[layer] for layer in wanted.layers}


def common(values, name):
    """The value that all layers have. Raises DumpError where they differ."""
    if len(set(values.values())) > 1:
        raise DumpError(f"the layers differ in {name}: {values}; write them to several files with --layers")
    return next(iter(values.values()))


def describe_positions(model, records, rows):
    """How positions are applied in all layers: the metadata, and the tensors that go with them. Both are empty where
    that is not known."""
    from rope import find_rope

    found = {}
    for layer, record in records.items():
        hidden = record.joined("checked_hidden", 0) if record.parts["checked_hidden"] else None
        found[layer] = find_rope(model.module, model.config, record.layer, hidden, record.k[0, :, rows], rows)
    if any(rope is None for rope in found.values()):
        return {}, {}
    entries = {layer: rope.metadata() for layer, rope in found.items()}
    for name in sorted({name for entry in entries.values() for name in entry}):
        common({layer: entry.get(name) for layer, entry in entries.items()}, name)
    rope = next(iter(found.values()))
    common({layer: tuple(rope.frequencies.tolist()) for layer, rope in found.items()}, "rope_frequencies")
    return rope.metadata(), {"rope_frequencies": rope.frequencies} if len(rope.frequencies) > 0 else {}


def extra_metadata(options, known):
    """The entries that --metadata gives."""
    entries = {}
    for text in options.metadata:
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise DumpError(f"--metadata is \"{text}\"; it must be KEY=VALUE")
        if key in known or key in entries:
            raise DumpError(f"--metadata gives {key}, which the file has already")
        entries[key] = value
    return entries


def choose_wanted(options, model, tokens):
    """What the options ask to keep of that many tokens."""
    import torch

    if options.queries is not None and not 1 <= options.queries <= tokens:
        raise DumpError(f"--queries is {options.queries}; it must be between 1 and the {tokens} tokens")
    if options.all_queries and options.queries is None:
        raise DumpError("--all-queries goes with --queries; without that, q has every query")
    if options.chunk is not None and options.chunk < 1:
        raise DumpError(f"--chunk is {options.chunk}; it must be at least 1")
    queries = torch.arange(tokens)
    if options.queries is not None:
        generator = torch.Generator().manual_seed(options.seed)
        queries = torch.randperm(tokens, generator=generator)[:options.queries].sort().values
    return Wanted(layers=choose_layers(options.layers, model.config.num_hidden_layers), tokens=tokens, queries=queries,
                  all_queries=options.all_queries, hidden=options.hidden,
                  checked=torch.unique(torch.linspace(0, tokens - 1, min(tokens, 32)).long()))


def sort_header(path):
    """Puts what the header of a safetensors file says in order, so that the same contents are the same bytes."""
    with open(path, "r+b") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.dumps(json.loads(opened.read(length)), ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        opened.seek(8)
        opened.write(header.encode("utf-8").ljust(length))


def write_file(path, tensors, metadata):
    """Writes a safetensors file, which has its name only once it is whole."""
    from safetensors.torch import save_file

    part = path.with_name(path.name + ".part")
    try:
        save_file(tensors, part, metadata=metadata)
        sort_header(part)
        os.umask(mask := os.umask(0))
        part.chmod(0o666 & ~mask)  # safetensors would have it read by its owner alone
        part.replace(path)
    except Exception as error:
        part.unlink(missing_ok=True)
        raise DumpError(f"{path}: the file cannot be written ({error})") from error


def dump(options, model=None):
    """Writes the file that the options ask for. model: what load_model() gave for them, where that is at hand.
    Returns lines that say what was written."""
    model = load_model(options) if model is None else model
    text_sha256, ids = choose_tokens(options, model)
    wanted = choose_wanted(options, model, ids.shape[1])
    records = run_model(model, ids, wanted, options)
    for layer, record in records.items():
        check_record(layer, record, wanted.checked)
    metadata = {
        "model": model.name,
        "model_sha256": model.sha256,
        "text": options.text.name,
        "text_sha256": text_sha256,
        "text_first_token": str(options.skip),
        "tokens": str(wanted.tokens),
        "first_key_position": "0",
        "layers": ",".join(str(layer) for layer in records),
        "causal": "true" if common({layer: record.causal for layer, record in records.items()}, "causal") else "false",
        "scale": repr(common({layer: record.scale for layer, record in records.items()}, "scale")),
    }
    if len(records) == 1:
        metadata["layer"] = metadata["layers"]
    rope_metadata, tensors = describe_positions(model, records, wanted.checked)
    metadata.update(rope_metadata)
    if options.queries is not None:
        metadata["query_seed"] = str(options.seed)
        tensors["query_positions"] = wanted.queries
    if options.all_queries:
        import torch
        tensors["prompt_positions"] = torch.arange(wanted.tokens)
    metadata.update(extra_metadata(options, metadata))
    lines = []
    for layer, record in records.items():
        stored = {"q": record.joined("q", 2)}
        for name, tensor in (("k", record.k), ("v", record.v)):
            try:
                stored[name] = to_stored(name, tensor, options.dtype)
            except DumpError as error:
                raise DumpError(f"layer {layer}: {error}") from error
        if options.all_queries:
            stored["prompt_q"] = record.joined("prompt_q", 2)
        if options.hidden:
            stored["hidden"] = record.joined("hidden", 1)
        tensors.update({f"layers.{layer}.{name}": tensor for name, tensor in stored.items()})
        shapes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in stored.items())
        lines.append(f"layer {layer}: {shapes} {str(stored['q'].dtype).removeprefix('torch.')}")
    if not rope_metadata:
        lines.append("how positions are applied is not known, and the file does not say it")
    write_file(options.out, tensors, metadata)
    return lines


def main(arguments=None):
    options = parse_arguments(arguments)
    try:
        for line in dump(options):
            print(line)
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
