"""Tests of documents.py, which makes plain text of what Debian packages ship. They need no network."""

import gzip
import hashlib
import os
import pathlib
import struct
import sys
import tempfile
import unittest
import zlib
from unittest import mock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "experiments" / "tools"))
import documents  # noqa: E402


class Readers(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def text(self, reader, files, pattern="*", **entry):
        """What a reader makes of files, given as contents by name."""
        for name, data in files.items():
            (self.root / name).write_bytes(data)
        return documents.make_text({"package": "p", "version": "1", "files": [pattern], "reader": reader, **entry},
                                   self.root)

    def test_plain_files_are_joined_unpacked_and_tidied(self):
        files = {"a.gz": gzip.compress(b"one  \r\n\n\n\n\ntwo\xc2\xa0three\n"), "b": b"\nfour\n\n"}
        self.assertEqual(self.text("plain", files), "one\n\ntwo three\n\nfour\n")
        self.assertEqual(self.text("plain", files, begins="two"), "two three\n\nfour\n")
        with self.assertRaisesRegex(documents.DocumentError, 'there is no "five" in the text of p'):
            self.text("plain", files, begins="five")

    def test_pages_come_in_the_order_of_the_index(self):
        files = {"index.html": b'<a href="z.html">Z</a> <a href="a.html#x">A</a> <a href="z.html">again</a>',
                 "z.html": b"<html><head><title>no</title></head><body><ul class='docnav'><li>Next<br/></li></ul>"
                           b"<h1>Z</h1><p>one\n &amp; <b>two</b><img src='x'></p><pre>a\n    b</pre></body></html>",
                 "a.html": b"<p>last</p>", "other.html": b"<p>not linked</p>"}
        self.assertEqual(self.text("html_book", files, "index.html"), "Z\n\none & two\n\na\n    b\n\nlast\n")

    def test_marks_of_pod_are_taken_off(self):
        pod = (b"=head1 NAME\n\nX<f>L<C<splice>|/splice ARRAY> and C<< a->b >> of L<perlop>, E<lt>I<B<x>>\n\n"
               b"=over 4\n\n=item C<print> LIST\n\n    $a < 1;\n\n=back\n")
        self.assertEqual(self.text("pod", {"f.pod": pod}),
                         "NAME\n\nsplice and a->b of perlop, <x\n\nprint LIST\n\n    $a < 1;\n")

    def test_speech_of_a_script_is_kept_with_its_speaker(self):
        script = (b'label start:\n    e "Hello, {b}world{/b}."\n    menu:\n        "Yes \\"now\\".":\n'
                  b'            l2 happy "not speech"\n            "Narration."\n    define x = 1\n')
        self.assertEqual(self.text("renpy", {"a.rpy": script}), 'Eileen: Hello, world.\n> Yes "now".\nNarration.\n')

    def test_lines_of_r_are_those_of_the_item_that_begins_so(self):
        def item(*lines):
            chunk = b"X\n" + struct.pack(">IIII", 3, 0x40201, 0x30500, 5) + b"UTF-8"
            chunk += struct.pack(">II", 16, len(lines))
            for line in lines:
                chunk += struct.pack(">II", 0x40009, len(line)) + line
            return struct.pack(">I", len(chunk)) + zlib.compress(chunk)

        files = {"x.rdb": item(b"EMMA", b"text") + item(b"PRIDE", b"", "It is \u2026".encode())}
        self.assertEqual(self.text("r_lines", files, begins="PRIDE"), "PRIDE\n\nIt is \u2026\n")
        with self.assertRaisesRegex(documents.DocumentError, 'there is no "LADY" in x.rdb of p'):
            self.text("r_lines", files, begins="LADY")

    def test_windows_of_the_verses_are_unpacked(self):
        # "abab" as compress packs it, without its first three bytes: codes 97, 98, 257 of nine bits.
        window = (97 | 98 << 9 | 257 << 18).to_bytes(4, "little")
        offsets = [0x68, 0x6C, 0x70]
        files = {"b": b"EC02".ljust(0x58, b"\0") + struct.pack(">4I", 2, *offsets) + window * 2}
        self.assertEqual(self.text("squished", files), "abababab\n")

    def test_a_package_without_its_file_is_named(self):
        with self.assertRaisesRegex(documents.DocumentError, "the package p has no \\*.pod; its version is not one"):
            self.text("pod", {"a.txt": b""}, "*.pod")


class Fetching(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.entry = {"package": "p", "version": "1", "files": ["a.txt"], "reader": "plain", "kind": "k", "sha256": ""}

    def fetched(self, package, folder):
        root = folder / package
        root.mkdir()
        (root / "a.txt").write_text("text")
        return "2", root

    def test_what_is_there_is_not_fetched_again(self):
        with mock.patch.object(documents, "fetch_package", self.fetched):
            made = documents.get_document("d", self.entry, self.folder)
        self.assertEqual((made["version"], made["made"]), ("2", True))
        self.assertEqual(made["sha256"], hashlib.sha256(b"text\n").hexdigest())
        documents.note("d", self.folder, {**made, "tokens": 7})
        with mock.patch.object(documents, "fetch_package", side_effect=AssertionError):
            again = documents.get_document("d", self.entry, self.folder)
        self.assertEqual((again["tokens"], again["made"]), (7, False))

    def test_a_text_that_was_changed_or_has_another_rule_is_made_again(self):
        with mock.patch.object(documents, "fetch_package", self.fetched):
            documents.get_document("d", self.entry, self.folder)
            (self.folder / "d.txt").write_text("edited")
            self.assertTrue(documents.get_document("d", self.entry, self.folder)["made"])
            self.assertTrue(documents.get_document("d", {**self.entry, "begins": "ex"}, self.folder)["made"])
        self.assertEqual((self.folder / "d.txt").read_text(), "ext\n")

    def test_without_apt_the_package_is_named(self):
        with mock.patch.dict(os.environ, {"PATH": str(self.folder)}):
            with self.assertRaisesRegex(documents.DocumentError, "the Debian package p is needed, and there is no apt"):
                documents.get_document("d", self.entry, self.folder)

    def test_where_apt_fails_package_and_remedy_are_named(self):
        for name in ("apt-get", "dpkg-deb"):
            script = self.folder / name
            script.write_text("#!/bin/sh\necho 'E: Unable to locate package p' >&2\nexit 100\n")
            script.chmod(0o755)
        with mock.patch.dict(os.environ, {"PATH": f"{self.folder}:/usr/bin:/bin"}):
            with self.assertRaises(documents.DocumentError) as raised:
                documents.get_document("d", self.entry, self.folder)
        self.assertIn('the Debian package p cannot be fetched: apt-get says "E: Unable to locate package p"; update '
                      "apt's lists with \"sudo apt-get update\" and try again, or put the file p_VERSION.deb of any "
                      "Debian release into ", str(raised.exception))
        self.assertFalse((self.folder / "d.txt").exists())

    def test_every_document_of_the_table_can_be_read(self):
        table = documents.read_table()
        self.assertGreaterEqual(len(table), 6)
        for name, entry in table.items():
            with self.subTest(name):
                self.assertIn(entry["reader"], documents.READERS)
                self.assertRegex(entry["sha256"], "^[0-9a-f]{64}$")
                self.assertTrue(entry["kind"] and entry["package"] and entry["version"] and entry["files"])


if __name__ == "__main__":
    unittest.main()
