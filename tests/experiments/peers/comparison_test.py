"""Tests of the parts of compare_pytorch.py that need no torch.

    python3 tests/experiments/peers/comparison_test.py build/release/bin/maskerade_bench
"""

import itertools
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "experiments/peers"))

import compare_pytorch  # noqa: E402
import groups  # noqa: E402
from comparison import (Answer, Comparison, Group, Measurements, Peaks, Row, at_bandwidth,  # noqa: E402
                        at_peak, better_of, compare, density_of, markdown, merged, number, our_case,
                        peer, per_item, sum_of)
from interleaving import Contender, interleave, rotated, rounds_within, sampler  # noqa: E402
from our_program import OurProgram  # noqa: E402

PROGRAM = sys.argv.pop() if len(sys.argv) > 1 else ""


class Interleaving(unittest.TestCase):
    def test_every_round_takes_each_once_in_an_order_that_rotates(self):
        order = []

        def one(label):
            return Contender(label, lambda: order.append(label) or 1.0)

        contenders = [one("a"), one("b"), one("c")]
        interleave(contenders, budget_ms=0, least=3, pause=lambda: None)
        self.assertEqual("".join(order), "abc" + "abc" + "bca" + "cab")
        self.assertEqual([len(contender.samples_ms) for contender in contenders], [3, 3, 3])

    def test_a_failure_is_kept_and_the_others_go_on(self):
        def fails():
            raise ValueError("no kernel")

        bad, good = Contender("bad", fails), Contender("good", lambda: 2.0)
        interleave([bad, good], budget_ms=0, least=2, pause=lambda: None)
        self.assertEqual(bad.failure, "ValueError: no kernel")
        self.assertIsNone(bad.median_ms())
        self.assertEqual(good.median_ms(), 2.0)

    def test_rounds_follow_the_budget_within_bounds(self):
        self.assertEqual(rounds_within(10, 100, 5, 30), 10)
        self.assertEqual(rounds_within(1000, 100, 5, 30), 5)
        self.assertEqual(rounds_within(0.001, 100, 5, 30), 30)
        self.assertEqual(rotated([], 3), [])

    def test_a_sample_is_taken_after_a_while_of_untimed_runs(self):
        runs = []

        # A clock that moves while something runs, and only then.
        def taking(seconds):
            return lambda: runs.append(seconds)

        def clock():
            return sum(runs)

        mean_ms = sampler(taking(0.002), least_ms=3.5, warm_ms=9, clock=clock)()
        self.assertEqual(len(runs), 5 + 2)  # 10 ms of warm-up, then 4 ms that count
        self.assertAlmostEqual(mean_ms, 2)
        runs.clear()
        only_ms = sampler(taking(0.008), warm_ms=1, clock=clock)()
        self.assertEqual(len(runs), 1)
        self.assertAlmostEqual(only_ms, 8)

    def test_a_fresh_argument_is_made_for_every_run(self):
        made, seen = itertools.count(), []
        sampler(seen.append, fresh=lambda: next(made), least_ms=0.0001, warm_ms=0.1)()
        self.assertEqual(seen, list(range(len(seen))))
        self.assertGreaterEqual(len(seen), 2)


def device_cell(**changes):
    return {"workload": "published-109k", "pipeline": "blocks", "kernel": "tiles", "status": "ok",
            "device": "cuda", "query_heads": 7, "kv_heads": 7, "query_len": 109632,
            "key_len": 109632, "head_dim": 128, "batch": 1, "dtype": "bfloat16", "causal": False,
            "params": {"block_random": {}}, "density": 0.0374, "active_entries": 1e9,
            "kv_bytes_touched": 1e9, "attend_ms": 2.0, "threads": 2,
            "peak_flops_per_second": 8e14, "peak_read_bytes_per_second": 4e12} | changes


class DevicePeers:
    """Stands in for the module cuda_peers where there is no device."""

    def __init__(self):
        self.released = 0

    def flex_blocks(self, cell):
        return lambda: 3.0

    def flashinfer_blocks(self, cell):
        raise ImportError("no FlashInfer")

    def flashinfer_decode(self, cell):
        return lambda: 0.5

    def release(self):
        self.released += 1


class DeviceCells(unittest.TestCase):
    def compared(self, cells, budget_s=60):
        with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as file:
            file.write("".join(json.dumps(cell) + "\n" for cell in cells))
            file.flush()
            self.peers = DevicePeers()
            rows = compare_pytorch.compare_device([file.name, "/not/there"], "", budget_s, self.peers)
            return [row for more in rows for row in more]

    def test_a_block_sparse_cell_stands_beside_its_peers_and_the_published_rate(self):
        rows = self.compared([device_cell(), device_cell(status="failed", attend_ms=None),
                              device_cell(device="cpu")])
        self.assertEqual([row.reference for row in rows],
                         ["317 TFLOP/s", "FlexAttention", "FlashInfer blocks"])
        published, flex, flashinfer = rows
        self.assertAlmostEqual(published.theirs_ms, 4 * 128 * 1e9 / 317e12 * 1e3)
        self.assertFalse(published.met)
        self.assertEqual((flex.theirs_ms, flex.ratio), (3.0, 1.5))
        self.assertEqual(flashinfer.note, "ImportError: no FlashInfer")
        self.assertEqual(self.peers.released, 1)

    def test_decode_is_held_to_the_bandwidth_where_it_moves_enough(self):
        decode = device_cell(workload="decode", query_len=1, params={"strided": {}}, attend_ms=0.25)
        rows = self.compared([decode, device_cell(workload="small", query_len=1, params={},
                                                  kv_bytes_touched=1e6)])
        self.assertEqual([row.reference for row in rows],
                         ["copy bandwidth", "FlashInfer paged", "FlashInfer paged"])
        bandwidth = rows[0]
        self.assertEqual((bandwidth.ratio, bandwidth.met), (1.0, True))

    def test_a_spent_budget_is_said(self):
        rows = self.compared([device_cell()], budget_s=-1)
        (flex,) = (row for row in rows if row.reference == "FlexAttention")
        self.assertEqual(flex.note, "not run: the budget is spent")


class Rates(unittest.TestCase):
    def test_the_table_holds_every_cell_and_its_peers(self):
        with tempfile.TemporaryDirectory() as folder:
            cells, peers = Path(folder) / "cells.jsonl", Path(folder) / "peers.json"
            failed = device_cell(workload="bad", status="failed", reason="no memory",
                                 attend_ms=None, density=None)
            lines = [json.dumps(cell) + "\n" for cell in (
                device_cell(machine="m; NVIDIA H200", peak_l2_bytes_per_second=6e12,
                            peak_flops_source="cuBLASLt", plan_ms=0.125,
                            attend_flops_per_second=256e12, percent_of_peak_flops=32.04), failed)]
            cells.write_text("".join(lines) + lines[0][:40])  # a run that was stopped
            row = Row("published-109k blocks tiles", 2, "FlexAttention", 3.0, 2.0, 1.5, None, None)
            peers.write_text(json.dumps({"rows": [row.__dict__]}))
            table = subprocess.run([sys.executable, ROOT / "tests/gpu/rates.py", cells, "--peers",
                                    peers], capture_output=True, text=True, check=True).stdout
        for text in ("bfloat16 products 800 TFLOP/s (cuBLASLt)", "0.125", "256", "32.0",
                     "failed: no memory", "attend 3.00 ms, 1.50 times ours"):
            self.assertIn(text, table)


MEASURED = Measurements(
    ours={"a": Answer(10.0, flops=1e9, bytes=1e8, items=1e6, density=0.5), "b": Answer(40.0)},
    peers_ms={"fast": 12.0, "slow": 30.0}, peaks=Peaks(2e11, 2e10))


class References(unittest.TestCase):
    def test_peers(self):
        self.assertEqual(peer("slow")(MEASURED, "a"), 30.0)
        self.assertIsNone(peer("none")(MEASURED, "a"))
        self.assertEqual(better_of("slow", "fast", "none")(MEASURED, "a"), 12.0)
        self.assertIsNone(better_of("none")(MEASURED, "a"))
        self.assertEqual(sum_of("slow", "fast")(MEASURED, "a"), 42.0)
        self.assertIsNone(sum_of("slow", "none")(MEASURED, "a"))

    def test_the_machine_and_our_own_cases(self):
        self.assertAlmostEqual(at_peak(MEASURED, "a"), 5.0)  # 1e9 flops at 200 GFLOP/s
        self.assertAlmostEqual(at_bandwidth()(MEASURED, "a"), 5.0)  # 100 MB at 20 GB/s
        self.assertAlmostEqual(at_bandwidth(2e8)(MEASURED, "a"), 10.0)
        self.assertAlmostEqual(our_case("b", 0.02)(MEASURED, "a"), 0.8)
        self.assertAlmostEqual(density_of("b", 0.9)(MEASURED, "a"), 0.5 / 0.9 * 40)
        self.assertIsNone(density_of("none", 0.9)(MEASURED, "a"))
        self.assertAlmostEqual(per_item(0.35)(MEASURED, "a"), 0.35)


class Rows(unittest.TestCase):
    def test_rows_with_bars_first_then_the_other_peers(self):
        group = Group("g", ["a", "b"], {"fast": None, "slow": None, "broken": None},
                      [Comparison("a", "slow", peer("slow"), 3.0), Comparison("a", "FMA", at_peak, 0.8)])
        rows = compare(group, 2, MEASURED, {"broken": "no kernel"})
        self.assertEqual([(r.case, r.reference, r.met) for r in rows],
                         [("a", "slow", True), ("a", "FMA", False), ("a", "fast", None),
                          ("a", "broken", None)])
        slow, broken = rows[0], rows[-1]
        self.assertEqual(slow.ratio, 3.0)
        self.assertEqual(broken.note, "no kernel")
        self.assertIsNone(broken.theirs_ms)

    def test_a_case_of_ours_that_failed_is_a_row(self):
        group = Group("g", ["lost"], {"slow": None}, [Comparison("lost", "slow", peer("slow"), 2.0)])
        (row,) = compare(group, 1, MEASURED, {"lost": "differs from the oracle"})
        self.assertEqual((row.ours_ms, row.met, row.note), (None, None, "differs from the oracle"))

    def test_an_unknown_verdict_is_not_counted_as_met(self):
        rows = [Row("a", 1, "x", 3.0, 1.0, 3.0, 2.0, True), Row("b", 1, "x", None, None, None, 2.0, None)]
        self.assertIn("1 of 2 bars met; 1 not measured.", markdown(rows, "machine"))

    def test_the_table(self):
        text = markdown([Row("a", 2, "SDPA", 12.345, 10.0, 1.2345, 1.2, True, "x|y"),
                         Row("a", 2, "peak", 0.01, 10.0, 0.001, 0.8, False)], "machine")
        self.assertIn("| a | 2 | SDPA | 12.3 | 10.0 | 1.23 | 1.20 | yes | x\\|y |", text)
        self.assertIn("| a | 2 | peak | 0.0100 | 10.0 | 0.00100 | 0.800 | NO |  |", text)
        self.assertTrue(text.startswith("machine\n"))
        self.assertIn("1 of 2 bars met.", text)

    def test_numbers_have_three_digits(self):
        self.assertEqual([number(x) for x in (None, 0.0, 0.05123, 9.996, 123.4, 12345.6)],
                         ["-", "0", "0.0512", "10.0", "123", "12346"])

    def test_new_rows_replace_kept_ones(self):
        old = [{"case": "a", "threads": 2, "reference": "x", "ours_ms": 9.0},
               {"case": "b", "threads": 2, "reference": "x", "ours_ms": 8.0}]
        rows = merged(old, [Row("a", 2, "x", 1.0, 1.0, 1.0, None, None)])
        self.assertEqual([(r["case"], r["ours_ms"]) for r in rows], [("b", 8.0), ("a", 1.0)])


class Groups(unittest.TestCase):
    def test_every_case_is_one_of_the_program_and_every_row_compares_what_its_group_times(self):
        names = set(subprocess.run([PROGRAM, "--list"], check=True, capture_output=True,
                                   text=True).stdout.split())
        for hub in (None, mock.Mock()):
            chosen = groups.all_groups(mock.Mock(), hub, True)
            self.assertEqual(len({group.name for group in chosen}), len(chosen))
            for group in chosen:
                self.assertLessEqual(set(group.cases), names, group.name)
                for row in group.rows:
                    self.assertIn(row.case, group.cases)
                    answers = {case: Answer(1.0, 1.0, 1.0, 1.0, 1.0, 1.0) for case in group.cases}
                    everything = Measurements(answers, dict.fromkeys(group.peers, 1.0), Peaks(1.0, 1.0))
                    self.assertIsNotNone(row.reference(everything, row.case), (group.name, row.name))

    def test_the_program_answers(self):
        with OurProgram(PROGRAM) as ours:
            self.assertIn("machine", ours.ask("machine"))
            with self.assertRaisesRegex(RuntimeError, "there is no case"):
                ours.ask("nothing/such 1")


if __name__ == "__main__":
    unittest.main()
