"""Our side of a comparison: asks maskerade_bench --serve for samples."""

from __future__ import annotations

import json
import subprocess


class OurProgram:
    """Runs the program and asks it. Used as a context manager, it ends the program."""

    def __init__(self, program: str, target: str | None = None):
        """program: its file. target: the instruction set that it uses; None: the best one."""
        options = ["--target", target] if target else []
        self._process = subprocess.Popen([program, "--serve", *options], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)

    def ask(self, request: str) -> dict:
        """Returns the answer to a request; serve.hpp in experiments/benchmarks describes them.
        Raises RuntimeError with the program's message when it answers with an error."""
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"maskerade_bench ended without an answer to the request \"{request}\"")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
