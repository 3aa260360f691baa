"""The tool gives the files that are shipped, from the data that is shipped, and names a bad file."""

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
            data = sorted((EXPERIMENTS / "data").glob("*_qkv.safetensors"))
            finished = run(*data, "--out", folder)
            self.assertEqual(finished.returncode, 0, finished.stderr)
            for name in ("channels.json", "hash_planes.safetensors"):
                self.assertTrue(filecmp.cmp(Path(folder) / name, EXPERIMENTS / "data/weights" / name,
                                            shallow=False), name)

    def test_names_a_file_without_queries(self):
        finished = run(EXPERIMENTS / "data/weights/hash_planes.safetensors", "--out", "nowhere")
        self.assertEqual(finished.returncode, 1)
        self.assertIn("hash_planes.safetensors: q is not there as float16", finished.stderr)


if __name__ == "__main__":
    unittest.main()
