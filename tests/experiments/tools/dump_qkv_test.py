#!/usr/bin/env python3
"""Tests of dump_qkv.py on tiny models with random weights. They need no network.

    ./maskerade test --tools

runs them in an environment with the packages of the tools. With `--sample FILE` this file writes FILE instead of
testing: the data of tests/experiments/data/tiny_llama.safetensors.
"""

import contextlib
import hashlib
import io
import json
import pathlib
import sys
import tempfile
import unittest

import torch
from safetensors import safe_open
from transformers import (AutoModel, BertConfig, BertModel, BloomConfig, BloomModel, CohereConfig, CohereModel,
                          FalconConfig, FalconModel, Gemma2Config, Gemma2Model, GPTNeoXConfig, GPTNeoXModel,
                          LlamaConfig, LlamaModel, MistralConfig, MistralModel, OPTConfig, OPTModel, PhiConfig,
                          PhiModel, PreTrainedTokenizerFast, Qwen3Config, Qwen3Model, T5Config, T5EncoderModel)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "experiments" / "tools"))
import dump_qkv  # noqa: E402

TEXT = ("Attention over a long text is mostly wasted on keys that hold almost nothing, "
        "and a few that hold almost everything.")


def run(*arguments):
    """Runs dump_qkv.py with some arguments. Returns its exit code and what it wrote to stderr."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = dump_qkv.main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = exit_.code
    return code, err.getvalue()


def load(file):
    with safe_open(file, "pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()


SIZES = {"vocab_size": 256, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
         "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256, "initializer_range": 0.3}


def tiny(model, configuration, **changes):
    torch.manual_seed(1)
    return model(configuration(**{**SIZES, **changes})).eval()


def tiny_llama(**changes):
    return tiny(LlamaModel, LlamaConfig, **changes)


def attention(q, k, v, scale, positions, causal):
    """Attention by its definition, in float64: [queries, query_heads * head_dim]."""
    q, k, v = q[0].double(), k[0].double(), v[0].double()
    group = q.shape[0] // k.shape[0]
    rows = []
    for i, position in enumerate(positions):
        heads = []
        for h in range(q.shape[0]):
            visible = position + 1 if causal else k.shape[1]
            weights = torch.softmax(scale * k[h // group, :visible] @ q[h, i], 0)
            heads.append(weights @ v[h // group, :visible])
        rows.append(torch.cat(heads))
    return torch.stack(rows)


class DumpTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = pathlib.Path(self.folder.name)
        self.text = self.path / "text.txt"
        self.text.write_text(TEXT)
        self.out = self.path / "out.safetensors"

    def save(self, model):
        model.save_pretrained(self.path / "model")
        return self.path / "model"

    def module_outputs(self, folder, name, count, dense):
        """Runs the saved model by itself. Returns for each layer the output of attention before its last projection,
        which is the module named by the pattern `dense`."""
        model = AutoModel.from_pretrained(folder).eval()
        inputs = {}
        modules = dict(model.named_modules())
        for layer in range(count):
            def keep(module, arguments, layer=layer):
                inputs[layer] = arguments[0].detach()
            modules[dense.format(layer)].register_forward_pre_hook(keep)
        with torch.no_grad():
            model(input_ids=torch.tensor([list(TEXT.encode())]), **name)
        return inputs

    def test_attention_of_the_dump_is_the_models_own(self):
        folder = self.save(tiny_llama())
        self.assertEqual(run(folder, self.text, self.out, "--bytes")[0], 0)
        tensors, metadata = load(self.out)
        self.assertEqual(set(tensors), {f"layers.{n}.{t}" for n in range(3) for t in "qkv"} | {"rope_frequencies"})
        tokens = len(TEXT.encode())
        own = self.module_outputs(folder, {"use_cache": False}, 3, "layers.{}.self_attn.o_proj")
        self.assertEqual(metadata["causal"], "true")
        self.assertEqual(float(metadata["scale"]), 0.25)
        self.assertEqual(metadata["layers"], "0,1,2")
        self.assertEqual(metadata["tokens"], str(tokens))
        for layer in range(3):
            q, k, v = (tensors[f"layers.{layer}.{name}"] for name in "qkv")
            self.assertEqual(list(q.shape), [1, 4, tokens, 16])
            self.assertEqual(list(k.shape), [1, 2, tokens, 16])
            recomputed = attention(q, k, v, 0.25, range(tokens), True)
            self.assertLess((recomputed - own[layer][0]).abs().max().item(), 1e-4 * recomputed.abs().max().item())

    def test_positions_are_applied(self):
        folder = self.save(tiny_llama())
        # All tokens are the same, so that without positions all keys of the first layer would be equal.
        self.text.write_text("a" * 50)
        self.assertEqual(run(folder, self.text, self.out, "--bytes")[0], 0)
        k = load(self.out)[0]["layers.0.k"][0, 0]
        self.assertGreater((k[1:] - k[:1]).abs().amax(1).min().item(), 0.01)
        torch.testing.assert_close(k.norm(dim=1), k[:1].norm(dim=1).expand(50), rtol=1e-5, atol=0)

    def test_sampled_queries_are_rows_of_all(self):
        folder = self.save(tiny_llama())
        self.assertEqual(run(folder, self.text, self.out, "--bytes")[0], 0)
        whole = load(self.out)[0]
        self.assertEqual(run(folder, self.text, self.out, "--bytes", "--queries", 9, "--layers", "2")[0], 0)
        sampled, metadata = load(self.out)
        positions = sampled["query_positions"]
        self.assertEqual(positions.dtype, torch.int64)
        self.assertEqual(positions.tolist(), sorted(set(positions.tolist())))
        self.assertEqual(len(positions), 9)
        self.assertEqual(metadata["layer"], "2")
        self.assertEqual(set(sampled),
                         {"query_positions", "rope_frequencies", "layers.2.q", "layers.2.k", "layers.2.v"})
        self.assertTrue(torch.equal(sampled["layers.2.q"], whole["layers.2.q"][:, :, positions]))
        self.assertTrue(torch.equal(sampled["layers.2.k"], whole["layers.2.k"]))
        self.assertEqual(run(folder, self.text, self.out, "--bytes", "--queries", 9, "--seed", 4)[0], 0)
        self.assertNotEqual(load(self.out)[0]["query_positions"].tolist(), positions.tolist())

    def test_the_same_input_gives_the_same_bytes(self):
        folder = self.save(tiny_llama())
        other = self.path / "other.safetensors"
        title = "\u201cA\u201d \\ \n"
        for out in (self.out, other):
            self.assertEqual(run(folder, self.text, out, "--bytes", "--metadata", f"text_title={title}")[0], 0)
        self.assertEqual(self.out.read_bytes(), other.read_bytes())
        self.assertEqual(load(other)[1]["text_title"], title)
        self.assertEqual([path.name for path in self.path.iterdir() if "part" in path.name], [])

    def test_numbers_are_stored_as_asked(self):
        folder = self.save(tiny_llama().to(torch.bfloat16))
        for dtype, expected in [("same", torch.bfloat16), ("float16", torch.float16), ("float32", torch.float32)]:
            self.assertEqual(run(folder, self.text, self.out, "--bytes", "--dtype", dtype)[0], 0)
            self.assertEqual(load(self.out)[0]["layers.0.v"].dtype, expected)

    def test_an_encoder_is_not_causal(self):
        torch.manual_seed(2)
        folder = self.save(BertModel(BertConfig(vocab_size=256, hidden_size=32, intermediate_size=48,
                                                num_hidden_layers=2, num_attention_heads=2, initializer_range=0.3)))
        self.assertEqual(run(folder, self.text, self.out, "--bytes")[0], 0)
        tensors, metadata = load(self.out)
        self.assertEqual(metadata["causal"], "false")
        tokens = len(TEXT.encode())
        own = self.module_outputs(folder, {}, 2, "encoder.layer.{}.attention.output.dense")
        recomputed = attention(*(tensors[f"layers.1.{name}"] for name in "qkv"), 0.25, range(tokens), False)
        self.assertLess((recomputed - own[1][0]).abs().max().item(), 1e-4 * recomputed.abs().max().item())

    def test_a_tokenizer_is_used(self):
        from tokenizers import Tokenizer, models, pre_tokenizers
        folder = self.save(tiny_llama())
        words = {word: i for i, word in enumerate(sorted(set(TEXT.split())) + ["?"])}
        tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="?").save_pretrained(folder)
        self.assertEqual(run(folder, self.text, self.out)[0], 0)
        self.assertEqual(load(self.out)[0]["layers.0.k"].shape[2], len(TEXT.split()))
        self.assertEqual(run(folder, self.text, self.out, "--tokens", 5)[0], 0)
        self.assertEqual(load(self.out)[0]["layers.0.k"].shape[2], 5)

    def test_in_pieces_the_numbers_are_the_same_but_for_rounding(self):
        folder = self.save(tiny_llama())
        more = ["--bytes", "--hidden", "--queries", 9, "--all-queries"]
        self.assertEqual(run(folder, self.text, self.out, *more)[0], 0)
        whole, whole_metadata = load(self.out)
        for chunk in (1, 10, 64, len(TEXT) - 1, len(TEXT), 999):
            with self.subTest(chunk=chunk):
                self.assertEqual(run(folder, self.text, self.out, *more, "--chunk", chunk)[0], 0)
                pieces, metadata = load(self.out)
                self.assertEqual(metadata, whole_metadata)
                self.assertEqual(set(pieces), set(whole))
                for name, tensor in whole.items():
                    torch.testing.assert_close(pieces[name], tensor, rtol=1e-4, atol=1e-4)

    def test_an_encoder_cannot_be_read_in_pieces(self):
        torch.manual_seed(2)
        folder = self.save(BertModel(BertConfig(vocab_size=256, hidden_size=32, intermediate_size=48,
                                                num_hidden_layers=2, num_attention_heads=2)))
        code, err = run(folder, self.text, self.out, "--bytes", "--chunk", 30)
        self.assertEqual(code, 2)
        self.assertIn("dump_qkv: layer 0: it is not causal, so that every token sees all; leave --chunk out", err)

    def test_every_query_and_what_a_layer_receives_are_stored_on_request(self):
        folder = self.save(tiny_llama())
        self.assertEqual(run(folder, self.text, self.out, "--bytes")[0], 0)
        every = load(self.out)[0]
        self.assertEqual(run(folder, self.text, self.out, "--bytes", "--queries", 9, "--all-queries", "--hidden")[0], 0)
        tensors, _ = load(self.out)
        tokens = len(TEXT.encode())
        self.assertEqual(tensors["prompt_positions"].tolist(), list(range(tokens)))
        self.assertEqual(list(tensors["layers.1.q"].shape), [1, 4, 9, 16])
        self.assertTrue(torch.equal(tensors["layers.1.prompt_q"], every["layers.1.q"]))
        hidden = tensors["layers.1.hidden"]
        self.assertEqual(list(hidden.shape), [1, tokens, 64])
        projected = AutoModel.from_pretrained(folder).layers[1].self_attn.v_proj(hidden[0])
        torch.testing.assert_close(projected.view(tokens, 2, 16).transpose(0, 1), tensors["layers.1.v"][0],
                                   rtol=1e-5, atol=1e-5)

    def test_a_window_of_the_text_begins_at_position_0(self):
        folder = self.save(tiny_llama())
        self.assertEqual(run(folder, self.text, self.out, "--bytes", "--skip", 20, "--tokens", 30)[0], 0)
        tensors, metadata = load(self.out)
        self.assertEqual([metadata[key] for key in ("text_first_token", "first_key_position", "tokens")],
                         ["20", "0", "30"])
        self.text.write_text(TEXT[20:50])
        self.assertEqual(run(folder, self.text, self.out, "--bytes")[0], 0)
        self.assertTrue(torch.equal(tensors["layers.1.k"], load(self.out)[0]["layers.1.k"]))

    def test_the_file_names_model_and_text(self):
        folder = self.save(tiny_llama())
        self.assertEqual(run(folder, self.text, self.out, "--bytes", "--metadata", "text_licence=CC0-1.0")[0], 0)
        metadata = load(self.out)[1]
        weights = (folder / "model.safetensors").read_bytes()
        self.assertEqual(metadata["model"], "model")
        self.assertEqual(metadata["model_sha256"], hashlib.sha256(weights).hexdigest())
        self.assertEqual(metadata["text"], "text.txt")
        self.assertEqual(metadata["text_sha256"], hashlib.sha256(TEXT.encode()).hexdigest())
        self.assertEqual(metadata["text_licence"], "CC0-1.0")

    def check_rope(self, model, style, dims, **expected):
        """Holds what the file says of positions against the projections of the model itself."""
        folder = self.save(model)
        self.assertEqual(run(folder, self.text, self.out, "--bytes")[0], 0)
        tensors, metadata = load(self.out)
        self.assertEqual({key: metadata.get(key) for key in ("rope_style", "rope_dims", *expected)},
                         {"rope_style": style, "rope_dims": dims, **expected})
        if dims is None:
            self.assertNotIn("rope_frequencies", tensors)
            return
        frequencies, scale = tensors["rope_frequencies"].double(), float(metadata["rope_attention_scale"])
        self.assertEqual(len(frequencies), int(dims) // 2)
        k = tensors["layers.0.k"][0].double()
        angles = torch.arange(k.shape[1])[:, None] * frequencies
        turn = torch.polar(torch.ones_like(angles), -angles) / scale
        rotary, rest = k[..., :int(dims)], k[..., int(dims):]
        if style == "half":
            pairs = torch.complex(*(half.contiguous() for half in rotary.chunk(2, -1))) * turn
            back = torch.cat([pairs.real, pairs.imag], -1)
        else:
            pairs = torch.view_as_complex(rotary.reshape(*rotary.shape[:-1], -1, 2).contiguous()) * turn
            back = torch.view_as_real(pairs).flatten(-2)
        layer = AutoModel.from_pretrained(folder).eval().layers[0]
        received = {}
        layer.self_attn.k_proj.register_forward_hook(lambda module, inputs, output: received.update(k=output.detach()))
        if hasattr(layer.self_attn, "k_norm"):
            layer.self_attn.k_norm.register_forward_hook(lambda module, inputs, output: received.update(
                k=output.detach()))
        loaded = AutoModel.from_pretrained(folder).eval()
        loaded.layers[0] = layer
        with torch.no_grad():
            loaded(input_ids=torch.tensor([list(TEXT.encode())]), use_cache=False)
        projected = received["k"].reshape(k.shape[1], *k.shape[::2]).transpose(0, 1).double()
        torch.testing.assert_close(torch.cat([back, rest], -1), projected, rtol=1e-3, atol=1e-3)

    def test_the_file_says_how_to_undo_the_positions(self):
        self.check_rope(tiny_llama(), "half", "16", rope_base="10000.0", rope_scaling="none",
                        rope_attention_scale="1.0")
        self.check_rope(tiny_llama(rope_parameters={"rope_type": "default", "rope_theta": 500.0}), "half", "16",
                        rope_base="500.0")
        self.check_rope(tiny(CohereModel, CohereConfig), "interleaved", "16", rope_scaling="none")
        self.check_rope(tiny(PhiModel, PhiConfig, pad_token_id=0), "half", "8")
        self.check_rope(tiny(Qwen3Model, Qwen3Config, head_dim=16), "half", "16")

    def test_scaled_positions_are_undone_by_the_frequencies(self):
        for scaling in ({"rope_type": "linear", "factor": 4.0},
                        {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}):
            with self.subTest(scaling=scaling):
                self.check_rope(tiny_llama(rope_parameters={**scaling, "rope_theta": 10000.0}), "half", "16",
                                rope_base="10000.0", rope_scaling=json.dumps(dict(sorted(scaling.items()))))

    def test_a_model_without_rotations_says_so_and_an_unknown_one_nothing(self):
        self.check_rope(OPTModel(OPTConfig(vocab_size=256, hidden_size=64, ffn_dim=96, num_hidden_layers=2,
                                           num_attention_heads=4, max_position_embeddings=256,
                                           word_embed_proj_dim=64)).eval(), "none", None, rope_base=None)
        sizes = {key: value for key, value in SIZES.items() if key != "num_key_value_heads"}
        self.check_rope(GPTNeoXModel(GPTNeoXConfig(**sizes)).eval(), None, None)

    def test_a_sliding_window_is_refused(self):
        torch.manual_seed(3)
        folder = self.save(MistralModel(MistralConfig(vocab_size=256, hidden_size=32, intermediate_size=48,
                                                      num_hidden_layers=1, num_attention_heads=2,
                                                      num_key_value_heads=1, sliding_window=16)))
        code, err = run(folder, self.text, self.out, "--bytes")
        self.assertEqual(code, 2)
        self.assertIn("dump_qkv: layer 0: its mask is neither causal nor empty: a sliding window, chunks", err)
        self.assertEqual(run(folder, self.text, self.out, "--bytes", "--tokens", 16)[0], 0)

    def test_a_sliding_window_is_refused_in_pieces_too(self):
        folder = self.save(tiny(MistralModel, MistralConfig, sliding_window=16))
        code, err = run(folder, self.text, self.out, "--bytes", "--chunk", 24)
        self.assertEqual(code, 2)
        self.assertIn("dump_qkv: layer 0: its mask is neither causal nor empty: a sliding window, chunks", err)

    def test_what_is_not_plain_attention_is_named(self):
        models = {
            "its attention has capped logits, so": tiny(Gemma2Model, Gemma2Config, head_dim=16),
            "its attention has ALiBi, so": FalconModel(FalconConfig(
                vocab_size=256, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, alibi=True)).eval(),
            "model: its attention has ALiBi, so": BloomModel(BloomConfig(
                vocab_size=256, hidden_size=64, n_layer=2, n_head=4)).eval(),
            "layer 0: its attention is called with position_bias|does not support an attention": T5EncoderModel(T5Config(
                vocab_size=256, d_model=64, d_ff=96, num_layers=2, num_heads=4, d_kv=16)).eval(),
        }
        for message, model in models.items():
            with self.subTest(message):
                code, err = run(self.save(model), self.text, self.out, "--bytes")
                self.assertEqual(code, 2)
                self.assertRegex(err, message)  # of T5, what an older transformers says

    def test_a_bias_of_positions_in_the_mask_is_named(self):
        original = dump_qkv.Recorder.__call__

        def biased(recorder, module, query, key, value, mask, **options):
            positions = torch.arange(query.shape[2])
            bias = 0.1 * (positions[None, :] - positions[:, None])
            bias = bias.masked_fill(bias > 0, torch.finfo(torch.float32).min)[None, None]
            return original(recorder, module, query, key, value, bias, **options)

        dump_qkv.Recorder.__call__ = biased
        self.addCleanup(setattr, dump_qkv.Recorder, "__call__", original)
        code, err = run(self.save(tiny_llama()), self.text, self.out, "--bytes")
        self.assertEqual(code, 2)
        self.assertIn("dump_qkv: layer 0: its mask adds to the logits: ALiBi or another bias of positions", err)

    def test_options_that_change_attention_are_refused(self):
        original = dump_qkv.Recorder.__call__

        def capped(recorder, module, query, key, value, mask, **options):
            return original(recorder, module, query, key, value, mask, softcap=50.0, s_aux=None, **options)

        dump_qkv.Recorder.__call__ = capped
        self.addCleanup(setattr, dump_qkv.Recorder, "__call__", original)
        code, err = run(self.save(tiny_llama()), self.text, self.out, "--bytes")
        self.assertEqual(code, 2)
        self.assertIn("dump_qkv: layer 0: its attention is called with softcap, which is no plain softmax", err)
        self.assertFalse(self.out.exists())

    def test_what_is_not_plain_attention_is_refused(self):
        original = dump_qkv.Recorder.__call__

        def softer(recorder, module, query, key, value, mask, **options):
            options["scaling"] *= 0.5
            output, weights = original(recorder, module, query, key, value, mask, **options)
            recorder.records[module.layer_idx].scale *= 2
            return output, weights

        dump_qkv.Recorder.__call__ = softer
        self.addCleanup(setattr, dump_qkv.Recorder, "__call__", original)
        code, err = run(self.save(tiny_llama()), self.text, self.out, "--bytes")
        self.assertEqual(code, 2)
        self.assertIn("dump_qkv: layer 0: attention recomputed from q, k and v differs from the model's by", err)
        self.assertFalse(self.out.exists())

    def test_bad_input_is_explained(self):
        folder = self.save(tiny_llama())
        long = self.path / "long.txt"
        long.write_text("x" * 300)
        cases = [
            ([self.path / "none", self.text, self.out], "none: the model cannot be loaded ("),
            ([folder, self.path / "none.txt", self.out, "--bytes"], "none.txt: the text cannot be read (No such"),
            ([folder, long, self.out, "--bytes"],
             "long.txt has 300 tokens, and the model takes 256; add --tokens 256"),
            ([folder, self.text, self.out, "--bytes", "--tokens", 0], "--tokens is 0; it must be at least 1"),
            ([folder, self.text, self.out, "--bytes", "--tokens", 999], "--tokens is 999, but "),
            ([folder, self.text, self.out, "--bytes", "--queries", 0],
             f"--queries is 0; it must be between 1 and the {len(TEXT)} tokens"),
            ([folder, self.text, self.out, "--bytes", "--layers", "0,3"],
             "--layers has \"3\"; it must be all, or numbers from 0 to 2: 0,1"),
            ([folder, self.text, self.out, "--bytes", "--layers", "1,1"], "--layers lists 1 twice"),
            ([folder, self.text, self.out, "--bytes", "--skip", 500], "--skip is 500, but "),
            ([folder, self.text, self.out, "--bytes", "--skip", 10, "--tokens", len(TEXT)],
             f"{len(TEXT) - 10} tokens after those of --skip 10"),
            ([folder, self.text, self.out, "--bytes", "--chunk", 0], "--chunk is 0; it must be at least 1"),
            ([folder, self.text, self.out, "--bytes", "--all-queries"], "--all-queries goes with --queries; without"),
            ([folder, self.text, self.out, "--bytes", "--metadata", "x"], "--metadata is \"x\"; it must be KEY=VALUE"),
            ([folder, self.text, self.out, "--bytes", "--metadata", "scale=1"],
             "--metadata gives scale, which the file has already"),
            ([folder, self.text, self.path / "no" / "out", "--bytes"], "out: the file cannot be written ("),
        ]
        for arguments, message in cases:
            code, err = run(*arguments)
            self.assertEqual(code, 2, arguments)
            self.assertIn(message, err)


def write_sample(file):
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder) / "tiny random Llama"
        tiny_llama(num_hidden_layers=2).save_pretrained(model)
        text = pathlib.Path(folder) / "sentence.txt"
        text.write_text(TEXT)
        return dump_qkv.main([str(model), str(text), file, "--bytes", "--queries", "24", "--dtype", "float16"])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--sample"] and len(sys.argv) == 3:
        sys.exit(write_sample(sys.argv[2]))
    unittest.main()
