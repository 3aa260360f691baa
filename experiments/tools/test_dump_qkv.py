#!/usr/bin/env python3
"""Tests of dump_qkv.py on tiny models with random weights. They need no network.

    venv/bin/python experiments/tools/test_dump_qkv.py

runs them in an environment with the packages of dump_qkv.py. With `--sample FILE` it writes FILE instead of testing:
the data of tests/experiments/data/tiny_llama.safetensors.
"""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

import torch
from safetensors import safe_open
from transformers import (AutoModel, BertConfig, BertModel, LlamaConfig, LlamaModel, MistralConfig, MistralModel,
                          PreTrainedTokenizerFast)

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
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


def tiny_llama(**changes):
    torch.manual_seed(1)
    sizes = {"vocab_size": 256, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3,
             "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
             "initializer_range": 0.3}
    return LlamaModel(LlamaConfig(**{**sizes, **changes})).eval()


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
        self.assertEqual(set(tensors), {f"layers.{n}.{t}" for n in range(3) for t in "qkv"})
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
        self.assertEqual(set(sampled), {"query_positions", "layers.2.q", "layers.2.k", "layers.2.v"})
        self.assertTrue(torch.equal(sampled["layers.2.q"], whole["layers.2.q"][:, :, positions]))
        self.assertTrue(torch.equal(sampled["layers.2.k"], whole["layers.2.k"]))
        self.assertEqual(run(folder, self.text, self.out, "--bytes", "--queries", 9, "--seed", 4)[0], 0)
        self.assertNotEqual(load(self.out)[0]["query_positions"].tolist(), positions.tolist())

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

    def test_a_sliding_window_is_refused(self):
        torch.manual_seed(3)
        folder = self.save(MistralModel(MistralConfig(vocab_size=256, hidden_size=32, intermediate_size=48,
                                                      num_hidden_layers=1, num_attention_heads=2,
                                                      num_key_value_heads=1, sliding_window=16)))
        code, err = run(folder, self.text, self.out, "--bytes")
        self.assertEqual(code, 2)
        self.assertIn("dump_qkv: layer 0: its mask is neither causal nor empty: a sliding window, chunks", err)
        self.assertEqual(run(folder, self.text, self.out, "--bytes", "--tokens", 16)[0], 0)

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
            recorder.records[module.layer_idx]["scale"] *= 2
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
