"""Tests of what compare_pytorch.py does without torch.

    python3 tests/experiments/peers/comparison_test.py build/release/bin/maskerade_bench
"""

import subprocess
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "experiments/peers"))

import groups  # noqa: E402
from comparison import (Answer, Comparison, Group, Measured, Peaks, Row, at_bandwidth,  # noqa: E402
                        at_peak, better_of, compare, density_of, markdown, merged, number, our_case,
                        peer, per_item, sum_of)
from interleaving import Timed, interleave, rotated, rounds_within, sampler  # noqa: E402
from our_program import OurProgram  # noqa: E402

PROGRAM = sys.argv.pop() if len(sys.argv) > 1 else ""


class Interleaving(unittest.TestCase):
    def test_every_round_takes_each_once_in_an_order_that_rotates(self):
        order = []

        def one(label):
            return Timed(label, lambda: order.append(label) or 1.0)

        timed = [one("a"), one("b"), one("c")]
        interleave(timed, budget_ms=0, least=3, pause=lambda: None)
        self.assertEqual("".join(order), "abc" + "abc" + "bca" + "cab")
        self.assertEqual([len(t.samples_ms) for t in timed], [3, 3, 3])

    def test_a_failure_is_kept_and_the_others_go_on(self):
        def fails():
            raise ValueError("no kernel")

        timed = [Timed("bad", fails), Timed("good", lambda: 2.0)]
        interleave(timed, budget_ms=0, least=2, pause=lambda: None)
        self.assertEqual(timed[0].failure, "ValueError: no kernel")
        self.assertIsNone(timed[0].median_ms())
        self.assertEqual(timed[1].median_ms(), 2.0)

    def test_rounds_follow_the_budget_within_bounds(self):
        self.assertEqual(rounds_within(10, 100, 5, 30), 10)
        self.assertEqual(rounds_within(1000, 100, 5, 30), 5)
        self.assertEqual(rounds_within(0.001, 100, 5, 30), 30)
        self.assertEqual(rotated([], 3), [])

    def test_a_fresh_argument_is_made_for_every_run(self):
        made, seen = iter(range(100)), []
        sampler(seen.append, fresh=lambda: next(made), least_ms=0.0001)()
        self.assertEqual(seen, list(range(len(seen))))
        self.assertGreaterEqual(len(seen), 2)


MEASURED = Measured(
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
        self.assertEqual(rows[0].ratio, 3.0)
        self.assertEqual(rows[3].note, "no kernel")
        self.assertIsNone(rows[3].theirs_ms)

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
                    answers = {case: Answer(1.0, 1.0, 1.0, 1.0, 1.0) for case in group.cases}
                    everything = Measured(answers, dict.fromkeys(group.peers, 1.0), Peaks(1.0, 1.0))
                    self.assertIsNotNone(row.reference(everything, row.case), (group.name, row.name))

    def test_the_program_answers(self):
        with OurProgram(PROGRAM) as ours:
            self.assertIn("machine", ours.ask("machine"))
            with self.assertRaisesRegex(RuntimeError, "there is no case"):
                ours.ask("nothing/such 1")


if __name__ == "__main__":
    unittest.main()
