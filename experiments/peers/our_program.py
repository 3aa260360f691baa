"""Our side of a comparison: maskerade_bench --serve, one sample a request."""

from __future__ import annotations

import json
import subprocess


class OurProgram:
    """Starts the program and asks it; a context manager."""

    def __init__(self, program: str, target: str | None = None):
        """target: the instruction set to run with; None: the best."""
        options = ["--target", target] if target else []
        self._process = subprocess.Popen([program, "--serve", *options], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)

    def ask(self, request: str) -> dict:
        """The answer to a request of serve.hpp. Raises RuntimeError with the program's own text."""
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"maskerade_bench ended at the request \"{request}\"")
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
