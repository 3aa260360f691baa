#!/usr/bin/env python3
"""Trains a small causal language model of bytes, saves it, and writes q, k and v of its layers.

    python3 experiments/tools/train_byte_lm.py CORPUS OUT --minutes 8 --device cuda
    python3 experiments/tools/train_byte_lm.py CORPUS OUT --minutes 1 --tiny      # on a CPU, to try it
    python3 experiments/tools/train_byte_lm.py --self-check

and in an experiment file

    source: {kind: safetensors, file: OUT/byte_lm_qkv.safetensors, layers: all}

CORPUS is a folder; its files that end in --suffix and are UTF-8 are the text. Whole files are held
out: one in fifty, by a hash of their path. The model is a Llama over 256 bytes: RMS norm, rotary
positions, grouped queries (8 query heads over 2 kv heads of 64), gated MLP; hidden 320, 5 layers,
about 6 million parameters. It trains for the given minutes of wall time: most of them on windows of
--context / 4 bytes, the last fifth on windows of --context. Needs PyTorch alone.

Written to OUT:
    model.safetensors        float16, with the names of Hugging Face's Llama
    config.json              its configuration; held_out_bits_per_byte, the mean over held-out windows
    byte_lm_qkv.safetensors  of a held-out text of --context bytes, float16, for each layer N of
                             --dump-layers (4.7 MB a layer)
        layers.N.q [1, query_heads, queries, head_dim]   with RoPE
        layers.N.k [1, kv_heads, tokens, head_dim]       with RoPE
        layers.N.v [1, kv_heads, tokens, head_dim]
        query_positions [queries], int64: the last 64 positions and others drawn without replacement

transformers loads OUT as a Llama; `dump_qkv.py OUT TEXT FILE --bytes` dumps other texts.

Exit codes: 0 written or checked, 1 a check does not hold, 2 wrong usage or input.
"""

import argparse
import ctypes
import hashlib
import json
import math
import pathlib
import random
import struct
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

HEAD_DIM = 64
ROPE_THETA = 10000.0
HELD_OUT_ONE_IN = 50
LAST_QUERIES = 64
LONG_SHARE = 0.2  # the last share of the time, in which windows are long
CHECK_WINDOWS = 8  # windows whose mean is held_out_bits_per_byte
FILE_BYTES = (2_000, 1_000_000)  # the least and the greatest size of a file that is read
DTYPE_NAMES = {torch.float16: "F16", torch.float32: "F32", torch.int64: "I64"}


class InputError(Exception):
    """An error that the user can correct; the message says how."""


def write_safetensors(path, tensors, metadata):
    """Writes a safetensors file: the length of the header, the header in JSON, the bytes of the
    tensors."""
    header, at = {"__metadata__": metadata}, 0
    for name, tensor in tensors.items():
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": DTYPE_NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            held = tensor.cpu().contiguous()
            file.write(ctypes.string_at(held.data_ptr(), held.numel() * held.element_size()))


def read_safetensors(path):
    """Reads a file that write_safetensors wrote; returns its tensors and metadata."""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    dtypes = {name: dtype for dtype, name in DTYPE_NAMES.items()}
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        tensors[name] = torch.frombuffer(bytearray(data[begin:end]),
                                         dtype=dtypes[entry["dtype"]]).view(entry["shape"])
    return tensors, metadata


# The model -------------------------------------------------------------------------------------


class Norm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return F.rms_norm(x, (x.shape[-1],), self.weight, 1e-5)


def rotation(length, device):
    """cos and sin of the angles of the rotary position embedding, [length, head_dim] each."""
    inverse = ROPE_THETA ** (-torch.arange(0, HEAD_DIM, 2, device=device).float() / HEAD_DIM)
    angles = torch.outer(torch.arange(length, device=device).float(), inverse)
    angles = torch.cat([angles, angles], -1)
    return angles.cos(), angles.sin()


def rotated(x, cos, sin):
    """Applies the rotary position embedding, which rotates component i with component i + head_dim
    / 2."""
    low, high = x.float().chunk(2, -1)
    return (x.float() * cos + torch.cat([-high, low], -1) * sin).to(x.dtype)


def linear(inputs, outputs):
    return nn.Linear(inputs, outputs, bias=False)


class Attention(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.heads, self.kv_heads = size.heads, size.kv_heads
        self.q_proj = linear(size.hidden, size.heads * HEAD_DIM)
        self.k_proj = linear(size.hidden, size.kv_heads * HEAD_DIM)
        self.v_proj = linear(size.hidden, size.kv_heads * HEAD_DIM)
        self.o_proj = linear(size.heads * HEAD_DIM, size.hidden)

    def qkv(self, x, cos, sin):
        """The q, k and v that attention is computed from, [batch, heads, length, head_dim] each."""
        def split(projection, heads):
            return projection(x).unflatten(-1, (heads, HEAD_DIM)).transpose(1, 2)
        return (rotated(split(self.q_proj, self.heads), cos, sin),
                rotated(split(self.k_proj, self.kv_heads), cos, sin),
                split(self.v_proj, self.kv_heads))

    def forward(self, x, cos, sin):
        q, k, v = self.qkv(x, cos, sin)
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(out.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.gate_proj = linear(size.hidden, size.mlp)
        self.up_proj = linear(size.hidden, size.mlp)
        self.down_proj = linear(size.mlp, size.hidden)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Layer(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.input_layernorm = Norm(size.hidden)
        self.self_attn = Attention(size)
        self.post_attention_layernorm = Norm(size.hidden)
        self.mlp = Mlp(size)

    def forward(self, x, cos, sin):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin)
        return x + self.mlp(self.post_attention_layernorm(x))


class ByteModel(nn.Module):
    """A Llama whose output are the logits of the next byte. size: an object with the members
    hidden, layers, heads, kv_heads and mlp."""

    def __init__(self, size):
        super().__init__()
        self.embed_tokens = nn.Embedding(256, size.hidden)
        self.layers = nn.ModuleList(Layer(size) for _ in range(size.layers))
        self.norm = Norm(size.hidden)
        self.lm_head = linear(size.hidden, 256)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                is_byte_table = parameter.shape[0] == 256
                nn.init.normal_(parameter, std=0.02 if is_byte_table else parameter.shape[1] ** -0.5)

    def forward(self, tokens):
        x = self.embed_tokens(tokens)
        cos, sin = rotation(tokens.shape[1], tokens.device)
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.lm_head(self.norm(x))

    def qkv_of_layers(self, tokens):
        """Yields q, k and v of one layer after the other, for tokens [1, length]."""
        x = self.embed_tokens(tokens)
        cos, sin = rotation(tokens.shape[1], tokens.device)
        for layer in self.layers:
            yield layer.self_attn.qkv(layer.input_layernorm(x), cos, sin)
            x = layer(x, cos, sin)


def hub_names(model):
    """The weights as float16, with the names that Hugging Face gives those of a Llama."""
    return {(name if name.startswith("lm_head") else "model." + name):
            weight.detach().to("cpu", torch.float16) for name, weight in model.state_dict().items()}


# The text --------------------------------------------------------------------------------------


def read_corpus(folder, suffix, most_bytes):
    """Returns the text to train on and the held-out text, each as uint8 with its files joined by
    blank lines."""
    train, held, total = [], [], 0
    files = sorted(pathlib.Path(folder).rglob("*" + suffix))
    random.Random(0).shuffle(files)
    for file in files:
        try:
            if not FILE_BYTES[0] <= file.stat().st_size <= FILE_BYTES[1]:
                continue
            data = file.read_bytes()
            data.decode("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        name = hashlib.sha256(str(file.relative_to(folder)).encode()).digest()
        (held if int.from_bytes(name[:4], "big") % HELD_OUT_ONE_IN == 0 else train).append(data)
        total += len(data)
        if total >= most_bytes:
            break
    if not train or not held:
        raise InputError(f"{folder}: too few files that end in {suffix}: {len(train)} to train on, "
                         f"{len(held)} held out; name a larger folder or another --suffix")
    return tuple(torch.frombuffer(bytearray(b"\n\n".join(part)), dtype=torch.uint8)
                 for part in (train, held))


def windows(data, count, length, generator):
    """Windows of the text at random positions, [count, length + 1]."""
    if len(data) <= length + 1:
        raise InputError(f"the text has {len(data)} bytes; a window needs {length + 2}: name a "
                         "larger folder or a smaller --context")
    starts = torch.randint(0, len(data) - length - 1, (count,), generator=generator)
    return torch.stack([data[start:start + length + 1] for start in starts.tolist()]).long()


# Training --------------------------------------------------------------------------------------


def loss_of(model, batch):
    logits = model(batch[:, :-1])
    return F.cross_entropy(logits.float().flatten(0, 1), batch[:, 1:].flatten())


def optimizers_of(model, rate):
    """Muon for the matrices in the layers, if PyTorch has it, and AdamW for all other
    parameters."""
    matrices = [p for name, p in model.named_parameters() if p.dim() == 2 and ".layers." in "." + name]
    chosen = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if id(p) not in chosen]
    adam = {"betas": (0.9, 0.95), "weight_decay": 0.0}
    if hasattr(torch.optim, "Muon"):
        return [torch.optim.Muon(matrices, lr=0.02, momentum=0.95, weight_decay=0.01),
                torch.optim.AdamW(rest, lr=rate, **adam)]
    return [torch.optim.AdamW(matrices + rest, lr=rate, **adam)]


def rate_factor(step, share):
    """The factor of the learning rate: it rises over the first 40 steps, is constant, and falls
    over the second half of the time. share: the share of the time that has passed."""
    return min(1, (step + 1) / 40) * (1 if share < 0.5 else max(0.02, 2 * (1 - share)))


def bits_per_byte(model, held, length, autocast):
    generator = torch.Generator().manual_seed(1)
    device = next(model.parameters()).device
    losses = []
    with torch.no_grad(), autocast():
        for _ in range(CHECK_WINDOWS):
            losses.append(loss_of(model, windows(held, 1, length, generator).to(device)).item())
    return sum(losses) / len(losses) / math.log(2)


def train(model, data, held, options, say=print):
    """Trains for the time that the options give. Returns the bits per byte on held-out text, and
    the number of bytes that the training read."""
    device = next(model.parameters()).device

    def autocast():
        return torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda")

    generator = torch.Generator().manual_seed(0)
    optimizers = optimizers_of(model, 3e-3)
    rates = [group["lr"] for one in optimizers for group in one.param_groups]
    start, step, seen = time.monotonic(), 0, 0
    while (share := (time.monotonic() - start) / (60 * options.minutes)) < 1:
        length = options.context if share > 1 - LONG_SHARE else options.context // 4
        count = max(1, options.batch_bytes // length)
        groups = [group for one in optimizers for group in one.param_groups]
        for group, rate in zip(groups, rates):
            group["lr"] = rate * rate_factor(step, share)
        batch = windows(data, count, length, generator).to(device)
        with autocast():
            loss = loss_of(model, batch)
        for one in optimizers:
            one.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for one in optimizers:
            one.step()
        step += 1
        seen += count * length
        if step % 50 == 0:
            say(f"{100 * share:3.0f}%  step {step}  {seen / 1e6:.1f} MB  "
                f"{loss.item() / math.log(2):.3f} bits per byte", flush=True)
    return bits_per_byte(model, held, options.context, autocast), seen


def query_positions(length, count):
    """Positions of queries, ascending: the last ones, and others drawn without replacement."""
    last = min(LAST_QUERIES, count, length)
    drawn = torch.randperm(length - last, generator=torch.Generator().manual_seed(0))
    return torch.cat([drawn[:count - last], torch.arange(length - last, length)]).sort().values


def dump(model, tokens, queries, layers, path, metadata):
    """Writes q at query_positions(), k and v of the listed layers, for tokens [1, length]. Returns
    the tensors."""
    positions = query_positions(tokens.shape[1], queries)
    tensors = {}
    with torch.no_grad():
        for number, (q, k, v) in enumerate(model.qkv_of_layers(tokens)):
            if number not in layers:
                continue
            for name, tensor in (("q", q[:, :, positions.to(q.device)]), ("k", k), ("v", v)):
                tensors[f"layers.{number}.{name}"] = tensor.to("cpu", torch.float16).contiguous()
    tensors["query_positions"] = positions
    write_safetensors(path, tensors, metadata | {"causal": "true", "scale": repr(HEAD_DIM ** -0.5),
                                                 "layers": ",".join(map(str, layers))})
    return tensors


# The checks ------------------------------------------------------------------------------------


def self_check():
    """Checks on a small random model what must hold of any model and its files. Returns the texts
    of the checks that fail."""
    import tempfile

    torch.manual_seed(0)
    size = argparse.Namespace(hidden=64, layers=2, heads=4, kv_heads=2, mlp=96)
    model = ByteModel(size)
    tokens = torch.randint(0, 256, (1, 130))
    problems = []

    def check(holds, what):
        print(("ok      " if holds else "FAILED  ") + what)
        if not holds:
            problems.append(what)

    with torch.no_grad():
        changed = tokens.clone()
        changed[0, 100:] = (changed[0, 100:] + 1) % 256
        same = torch.allclose(model(tokens)[:, :100], model(changed)[:, :100], atol=1e-5)
        check(same and not torch.allclose(model(tokens)[:, 100:], model(changed)[:, 100:], atol=1e-3),
              "a byte changes what comes after it, and nothing before")
        cos, sin = rotation(40, "cpu")
        one, other = torch.randn(HEAD_DIM), torch.randn(HEAD_DIM)
        product = (rotated(one.expand(40, -1), cos, sin)[5:] *
                   rotated(other.expand(40, -1), cos, sin)[:-5]).sum(-1)
        check(torch.allclose(product, product[:1].expand_as(product), atol=1e-3),
              "products of rotated vectors depend on their distance alone")
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "qkv.safetensors"
            dump(model, tokens, 80, [1], path, {})
            some, _ = read_safetensors(path)
            dump(model, tokens, 80, [0, 1], path, {})
            tensors, metadata = read_safetensors(path)
            weights = pathlib.Path(folder) / "weights.safetensors"
            write_safetensors(weights, hub_names(model), {"format": "pt"})
            restored, _ = read_safetensors(weights)
        check(metadata["causal"] == "true" and float(metadata["scale"]) == HEAD_DIM ** -0.5 and
              metadata["layers"] == "0,1", "the file says causal, scale and layers")
        check(sorted(some) == ["layers.1.k", "layers.1.q", "layers.1.v", "query_positions"] and
              all(torch.equal(tensor, tensors[name]) for name, tensor in some.items()),
              "some layers are those of all")
        check(all(torch.equal(restored[name], weight) for name, weight in hub_names(model).items()) and
              "model.layers.1.self_attn.q_proj.weight" in restored,
              "weights are read back as they were written")
        positions = tensors["query_positions"]
        check(len(positions.unique()) == 80 and positions[-64:].tolist() == list(range(66, 130)) and
              bool((positions[1:] > positions[:-1]).all()), "positions ascend, the last 64 are there")
        x = model.embed_tokens(tokens)
        cos, sin = rotation(130, "cpu")
        for number, layer in enumerate(model.layers):
            q, k, v = (tensors[f"layers.{number}.{name}"].double() for name in "qkv")
            k, v = (t.repeat_interleave(size.heads // size.kv_heads, 1) for t in (k, v))
            logits = q @ k.transpose(-1, -2) * float(metadata["scale"])
            hidden = torch.arange(130)[None] > positions[:, None]
            out = logits.masked_fill(hidden, -math.inf).softmax(-1) @ v
            attended = layer.self_attn.o_proj(out.float().transpose(1, 2).flatten(2))
            own = layer.self_attn(layer.input_layernorm(x), cos, sin)[:, positions]
            error = ((attended - own).norm() / own.norm()).item()
            check(error < 5e-3, f"attention from the file is layer {number}'s own: error {error:.1e}")
            x = layer(x, cos, sin)
    text = torch.frombuffer(bytearray(b"the same words again and again. " * 400), dtype=torch.uint8)
    options = argparse.Namespace(minutes=0.15, context=256, batch_bytes=1024)
    bits, _ = train(model, text, text, options, say=lambda *_, **__: None)
    check(bits < 1.0, f"a text that repeats is learned: {bits:.2f} bits per byte")
    return problems


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpus", nargs="?", help="folder of text files")
    parser.add_argument("out", nargs="?", type=pathlib.Path, help="folder to write to")
    parser.add_argument("--self-check", action="store_true",
                        help="check this program, and train nothing")
    parser.add_argument("--minutes", type=float, default=8, help="minutes of training (default: 8)")
    parser.add_argument("--device", default="cpu",
                        help="device to train on: cpu or cuda (default: cpu)")
    parser.add_argument("--suffix", default=".py",
                        help="ending of the files to read (default: .py)")
    parser.add_argument("--most-bytes", type=float, default=3e8,
                        help="most bytes of text to read (default: 3e8)")
    parser.add_argument("--context", type=int, default=8192,
                        help="longest window, in bytes (default: 8192)")
    parser.add_argument("--batch-bytes", type=int, default=131072,
                        help="bytes that a training step reads (default: 131072)")
    parser.add_argument("--queries", type=int, default=512,
                        help="number of positions at which q is stored (default: 512)")
    parser.add_argument("--dump-layers", default="all",
                        help="layers to write: all, or numbers from 0, such as 0,2,4 (default: "
                             "all)")
    parser.add_argument("--hidden", type=int, default=320, help="width of the model (default: 320)")
    parser.add_argument("--layers", type=int, default=5, help="number of layers (default: 5)")
    parser.add_argument("--heads", type=int, default=8, help="query heads of a layer (default: 8)")
    parser.add_argument("--kv-heads", type=int, default=2, help="kv heads of a layer (default: 2)")
    parser.add_argument("--mlp", type=int, default=864, help="width of the MLP (default: 864)")
    parser.add_argument("--tiny", action="store_true",
                        help="train a small model on a CPU: width 128, 2 layers, 4 query heads "
                             "over 2 kv heads, context 1024")
    options = parser.parse_args(arguments)
    if options.tiny:
        options.hidden, options.layers, options.mlp = 128, 2, 256
        options.heads, options.kv_heads = 4, 2
        options.context, options.batch_bytes = 1024, 4096
    if not options.self_check and options.out is None:
        parser.error("CORPUS and OUT are needed, or --self-check")
    if options.heads % options.kv_heads != 0:
        parser.error(f"--heads {options.heads} is not a multiple of --kv-heads {options.kv_heads}")
    try:
        options.dump_layers = sorted({int(part) for part in options.dump_layers.split(",")}
                                     if options.dump_layers != "all" else range(options.layers))
    except ValueError:
        parser.error(f"--dump-layers is {options.dump_layers}; write all, or numbers: 0,2,4")
    if not 0 <= min(options.dump_layers) <= max(options.dump_layers) < options.layers:
        parser.error(f"--dump-layers are numbers from 0 to {options.layers - 1}")
    if not LAST_QUERIES <= options.queries <= options.context:
        parser.error(f"--queries is {options.queries}; it must be between {LAST_QUERIES} and --context")
    return options


def main(arguments=None):
    options = parse_arguments(arguments)
    if options.self_check:
        return 1 if self_check() else 0
    torch.manual_seed(0)
    try:
        data, held = read_corpus(options.corpus, options.suffix, options.most_bytes)
        model = ByteModel(options).to(options.device)
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{len(data) / 1e6:.1f} MB to train on, {len(held) / 1e6:.2f} MB held out, "
              f"{parameters / 1e6:.2f} million parameters", flush=True)
        bits, seen = train(model, data, held, options)
        if len(held) < options.context:
            raise InputError(f"the held-out text has {len(held)} bytes; the dump needs "
                             f"{options.context}: name a larger folder or a smaller --context")
    except InputError as error:
        print(f"train_byte_lm: error: {error}", file=sys.stderr)
        return 2
    print(f"held out: {bits:.3f} bits per byte after {seen / 1e6:.1f} MB")
    options.out.mkdir(parents=True, exist_ok=True)
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 256,
              "hidden_size": options.hidden, "intermediate_size": options.mlp,
              "num_hidden_layers": options.layers, "num_attention_heads": options.heads,
              "num_key_value_heads": options.kv_heads, "head_dim": HEAD_DIM,
              "rope_theta": ROPE_THETA, "rms_norm_eps": 1e-5, "tie_word_embeddings": False,
              "hidden_act": "silu", "attention_bias": False, "mlp_bias": False,
              "max_position_embeddings": options.context, "torch_dtype": "float16",
              "trained_bytes": seen, "held_out_bits_per_byte": round(bits, 4)}
    (options.out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    write_safetensors(options.out / "model.safetensors", hub_names(model), {"format": "pt"})
    tokens = held[:options.context].long()[None].to(options.device)
    tensors = dump(model, tokens, options.queries, options.dump_layers,
                   options.out / "byte_lm_qkv.safetensors",
                   {"model": f"byte_lm, {parameters} parameters, trained on {seen} bytes",
                    "held_out_bits_per_byte": f"{bits:.4f}"})
    for name, tensor in tensors.items():
        print(f"{name} {list(tensor.shape)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
