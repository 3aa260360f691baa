"""The texts of documents.toml: fetches a Debian package without installing it, and makes plain text of its files."""

import gzip
import hashlib
import html.parser
import json
import pathlib
import re
import shutil
import struct
import subprocess
import tomllib
import zlib

TABLE = pathlib.Path(__file__).resolve().parent / "documents.toml"


class DocumentError(Exception):
    """A text cannot be had; the message says why, and what to do."""


def read_table(path=TABLE):
    """The documents by name: each a mapping of what the table says of it."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


# Readers. Each takes the files of a document in their order, and its entry of the table, and gives the text.


def read_plain(files, entry):
    """The files one after the other, unpacked where they are packed by gzip; from the line that `begins` names on."""
    texts = []
    for file in files:
        data = file.read_bytes()
        texts.append((gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8"))
    text = "\n".join(texts).replace("\u00a0", " ")
    if "begins" in entry:
        begin = text.find(entry["begins"])
        if begin < 0:
            raise DocumentError(f"there is no \"{entry['begins']}\" in the text of {entry['package']}")
        text = text[begin:]
    return text


class PageText(html.parser.HTMLParser):
    """Collects the text of an HTML page: a line a block, preformatted text as it stands, no navigation."""

    BLOCKS = {"p", "div", "li", "ul", "ol", "dl", "dt", "dd", "table", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "br",
              "title", "section"}
    EMPTY = {"br", "hr", "img", "meta", "link", "input", "col"}

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.pieces = []
        self.pre = 0
        self.skipped = 0  # elements open since the one that is left out

    def handle_starttag(self, tag, attributes):
        if tag in self.EMPTY:
            if tag == "br":
                self.pieces.append("\n")
            return
        if self.skipped or tag in ("head", "script", "style") or "docnav" in (dict(attributes).get("class") or ""):
            self.skipped += 1
        elif tag == "pre":
            self.pre += 1
            self.pieces.append("\n\n")
        elif tag in self.BLOCKS:
            self.pieces.append("\n\n")

    def handle_startendtag(self, tag, attributes):
        if tag in self.EMPTY:
            self.handle_starttag(tag, attributes)

    def handle_endtag(self, tag):
        if tag in self.EMPTY:
            return
        if self.skipped:
            self.skipped -= 1
        elif tag == "pre":
            self.pre -= 1
            self.pieces.append("\n\n")
        elif tag in self.BLOCKS:
            self.pieces.append("\n\n")

    def handle_data(self, data):
        if not self.skipped:
            self.pieces.append(data if self.pre else re.sub(r"\s+", " ", data))


def read_html_book(files, entry):
    """The pages that an index page links, in the order of their first link."""
    (index,) = files
    names = re.findall(r'href="([\w.-]+\.html)', index.read_text(encoding="utf-8"))
    texts = []
    for name in dict.fromkeys(names):
        page = index.with_name(name)
        if name == index.name or not page.is_file():
            continue
        parser = PageText()
        parser.feed(page.read_text(encoding="utf-8"))
        texts.append("".join(parser.pieces))
    return "\n\n".join("\n".join(line.strip(" ") if not line.startswith("    ") else line
                                 for line in text.split("\n")) for text in texts)


def read_pod(files, entry):
    """Perl's documentation format without its marks."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    named = {"lt": "<", "gt": ">", "verbar": "|", "sol": "/"}
    text = re.sub(r"\bE<(\w+)>", lambda found: named.get(found[1], found[0]), text)
    text = re.sub(r"\b[XZ]<[^<>]*>", "", text)
    code = re.compile(r"\b([BCFILS])(?:<<+ (.*?) >>+|<([^<>]*)>)", re.DOTALL)

    def shown(found):
        inside = found[2] if found[2] is not None else found[3]
        return inside.split("|")[0] if found[1] == "L" else inside

    for _ in range(4):  # marks stand in marks
        text = code.sub(shown, text)
    text = re.sub(r"^=(?:over|back|cut|pod|encoding|for|begin|end)\b.*$", "", text, flags=re.MULTILINE)
    return re.sub(r"^=(?:head\d|item) *", "", text, flags=re.MULTILINE)


def read_squished(files, entry):
    """The windows of a file of bible-kjv-text: at 0x58 their number, at 0x5c the offsets of them and of the end
    (big-endian), each packed as compress does, without its three first bytes."""
    (file,) = files
    data = file.read_bytes()
    (count,) = struct.unpack_from(">I", data, 0x58)
    offsets = struct.unpack_from(f">{count + 1}I", data, 0x5C)
    windows = [subprocess.run(["gzip", "-dc"], input=b"\x1f\x9d\x90" + data[begin:end], capture_output=True,
                              check=True).stdout for begin, end in zip(offsets, offsets[1:])]
    return b"".join(windows).decode("utf-8")


def read_r_lines(files, entry):
    """The lines of the text in a data base of R packages that begins with `begins`: chunks of their length in four
    bytes and zlib's data, each one serialised vector of strings."""
    (file,) = files
    data = file.read_bytes()
    offset = 0
    while offset < len(data):
        inflate = zlib.decompressobj()
        chunk = inflate.decompress(data[offset + 4:])
        offset = len(data) - len(inflate.unused_data)
        lines = strings_of_r(chunk)
        if lines and lines[0] == entry["begins"]:
            return "\n".join(lines)
    raise DocumentError(f"there is no \"{entry['begins']}\" in {file.name} of {entry['package']}")


def strings_of_r(chunk):
    """The strings of a vector in R's binary form, version 3; none of anything else."""
    if chunk[:2] != b"X\n" or struct.unpack_from(">I", chunk, 2)[0] != 3:
        return []
    (encoding,) = struct.unpack_from(">I", chunk, 14)
    kind, count = struct.unpack_from(">II", chunk, 18 + encoding)
    if kind & 0xFF != 16:
        return []
    strings = []
    offset = 26 + encoding
    for _ in range(count):
        (length,) = struct.unpack_from(">i", chunk, offset + 4)
        strings.append(chunk[offset + 8:offset + 8 + max(length, 0)].decode("utf-8"))
        offset += 8 + max(length, 0)
    return strings


def read_renpy(files, entry):
    """What is said in scripts of Ren'Py, a line an utterance, with the speaker where a script names one."""
    said = re.compile(r'^\s*(?:(\w+)\s+)?"((?:[^"\\]|\\.)*)"\s*(:?)$')
    speakers = {"e": "Eileen", "l": "Lucy", "centered": "", "extend": ""}
    lines = []
    for file in files:
        for line in file.read_text(encoding="utf-8-sig").splitlines():
            found = said.match(line)
            if not found or found[1] in ("old", "new", "text", "add", "play", "voice", "style_prefix", "id"):
                continue
            speech = re.sub(r"\\(.)", r"\1", re.sub(r"\{[^{}]*\}", "", found[2])).strip()
            speaker = speakers.get(found[1], (found[1] or "").split("_")[0].rstrip("0123456789").capitalize())
            speaker = {"E": "Eileen"}.get(speaker, speaker)
            if speech:
                lines.append(("> " if found[3] else f"{speaker}: " if speaker else "") + speech)
        lines.append("")
    return "\n".join(lines)


READERS = {"plain": read_plain, "html_book": read_html_book, "pod": read_pod, "squished": read_squished,
           "r_lines": read_r_lines, "renpy": read_renpy}


def tidy(text):
    """The text with one kind of line end, no blanks at the ends of lines, and at most one empty line in a row."""
    text = "\n".join(line.rstrip() for line in text.replace("\r\n", "\n").split("\n"))
    return re.sub(r"\n{3,}", "\n\n", text).strip("\n") + "\n"


def fetch_package(package, folder):
    """Fetches a Debian package into a folder and unpacks it there, without installing anything.

    Returns its version and the folder it was unpacked in. Raises DocumentError where apt cannot."""
    remedy = ("update apt's lists with \"sudo apt-get update\" and try again, or put the file "
              f"{package}_VERSION.deb of any Debian release into {folder}")
    files = sorted(folder.glob(f"{package}_*.deb"))
    if not files:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise DocumentError(f"the Debian package {package} is needed, and there is no apt-get or dpkg-deb here; "
                                "leave out its document, or run this on Debian")
        part = folder / f"{package}.part"
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        # As root apt would fetch as a user of its own, who may not write to this folder.
        done = subprocess.run(["apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package], cwd=part,
                              capture_output=True, text=True, check=False)
        fetched = sorted(part.glob(f"{package}_*.deb"))
        if done.returncode != 0 or not fetched:
            said = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
            raise DocumentError(f"the Debian package {package} cannot be fetched: apt-get says \"{said}\"; {remedy}")
        files = [fetched[-1].replace(folder / fetched[-1].name)]
        part.rmdir()
    unpacked = folder / package
    shutil.rmtree(unpacked, ignore_errors=True)
    version = subprocess.run(["dpkg-deb", "-f", files[-1], "Version"], capture_output=True, text=True, check=False)
    done = subprocess.run(["dpkg-deb", "-x", files[-1], unpacked], capture_output=True, text=True, check=False)
    if version.returncode != 0 or done.returncode != 0:
        raise DocumentError(f"{files[-1]} cannot be unpacked ({done.stderr.strip()}); delete it and try again")
    return version.stdout.strip(), unpacked


def make_text(entry, root):
    """The text of a document, of its package as it lies unpacked under `root`."""
    files = []
    for pattern in entry["files"]:
        found = sorted(root.glob(pattern))
        if not found:
            raise DocumentError(f"the package {entry['package']} has no {pattern}; its version is not one that "
                                f"{TABLE.name} was written for ({entry['version']})")
        files.extend(found)
    return tidy(READERS[entry["reader"]](files, entry))


def get_document(name, entry, folder):
    """Makes sure that the text of a document lies in folder/NAME.txt, and what is known of it in folder/NAME.json.

    Returns what is known: package, version, sha256, what note() added, and `made`, whether it was made now."""
    text_file, facts_file = folder / f"{name}.txt", folder / f"{name}.json"
    rule = {key: entry[key] for key in entry if key not in ("sha256", "version", "kind")}
    if text_file.is_file() and facts_file.is_file():
        facts = json.loads(facts_file.read_text(encoding="utf-8"))
        if facts["rule"] == rule and hashlib.sha256(text_file.read_bytes()).hexdigest() == facts["sha256"]:
            return {**facts, "made": False}
    folder.mkdir(parents=True, exist_ok=True)
    packages = folder / "packages"
    packages.mkdir(exist_ok=True)
    version, unpacked = fetch_package(entry["package"], packages)
    try:
        data = make_text(entry, unpacked).encode("utf-8")
    except (UnicodeDecodeError, struct.error, zlib.error, subprocess.SubprocessError) as error:
        raise DocumentError(f"the text of {entry['package']} {version} cannot be read ({error}); its version is not "
                            f"one that {TABLE.name} was written for ({entry['version']})") from error
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    facts = {"package": entry["package"], "version": version, "sha256": hashlib.sha256(data).hexdigest(), "rule": rule}
    write_whole(text_file, data)
    note(name, folder, facts)
    for file in packages.glob(f"{entry['package']}_*.deb"):
        file.unlink()
    return {**facts, "made": True}


def note(name, folder, facts):
    """Keeps what is known of a document."""
    kept = {key: value for key, value in facts.items() if key != "made"}
    write_whole(folder / f"{name}.json", json.dumps(kept, indent=1).encode("utf-8"))


def write_whole(path, data):
    """Writes a file that has its name only once it is whole."""
    part = path.with_name(path.name + ".part")
    part.write_bytes(data)
    part.replace(path)
