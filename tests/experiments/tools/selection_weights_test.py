"""Tests that selection_weights.py makes the files of experiments/data/weights from the data beside
them, and that it names a bad file."""

import filecmp
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

EXPERIMENTS = Path(__file__).resolve().parents[3] / "experiments"
TOOL = EXPERIMENTS / "tools" / "selection_weights.py"


def run(*arguments):
    return subprocess.run([sys.executable, str(TOOL), *map(str, arguments)], capture_output=True,
                          text=True, check=False)


class SelectionWeights(unittest.TestCase):
    def test_gives_what_is_shipped(self):
        with tempfile.TemporaryDirectory() as folder:
            data = [*sorted((EXPERIMENTS / "data").glob("*_qkv.safetensors")),
                    EXPERIMENTS / "data/smollm2/documentation.safetensors"]
            finished = run(*data, "--out", folder)
            self.assertEqual(finished.returncode, 0, finished.stderr)
            for name in ("channels.json", "hash_planes.safetensors"):
                self.assertTrue(filecmp.cmp(Path(folder) / name, EXPERIMENTS / "data/weights" / name,
                                            shallow=False), name)

    def test_names_a_file_without_queries(self):
        finished = run(EXPERIMENTS / "data/weights/hash_planes.safetensors", "--out", "nowhere")
        self.assertEqual(finished.returncode, 1)
        self.assertIn("hash_planes.safetensors: there is no tensor q of float16 [batch, heads, length, "
                      "head_dim]; name files that hold q and k of each layer", finished.stderr)

    def test_refuses_a_layer_of_two_files(self):
        file = EXPERIMENTS / "data/minilm_l6_layer1_qkv.safetensors"
        finished = run(file, file, "--out", "nowhere")
        self.assertEqual(finished.returncode, 1)
        self.assertIn("layer 1 is in another of the files too; give each layer once", finished.stderr)


if __name__ == "__main__":
    unittest.main()
