#include "experiments/report/table.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>
#include <vector>

#include "framework/base/text.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

// The example, whose times are known as well as it asks.
CellResult timed_result() {
  CellResult result = example_result();
  result.measure_target = 0.5;
  return result;
}

CellResult found_result() {
  CellResult result = matched_result();
  result.measure_target = 0.5;
  return result;
}

std::string format_block(const std::vector<CellResult>& results, std::size_t width = kTableWidth) {
  return to_terminal(table_of(results), {.width = width});
}

// What the words and columns of the table mean, in lines.
std::string legend_of(const std::vector<CellResult>& results, std::size_t width = kTableWidth) {
  return packed(legend_within(table_of(results), width), width);
}

CellResult dense_result() {
  CellResult result = timed_result();
  result.pipeline = "dense";
  result.kernel = "dense";
  result.kernel_mix = "dense";
  result.mask_seed.reset();
  result.params.clear();
  result.counts->density = 1;
  result.times = StageTimes{.attend = summary_of(100),
                            .total = summary_of(100),
                            .dense = summary_of(100),
                            .repetitions = 7};
  result.fidelity = Fidelity{.attention_recall = 1};
  return result;
}

CellResult failed_result() {
  CellResult result = timed_result();
  result.pipeline = "broken";
  result.status = CellStatus::kFailed;
  result.reason = "plugins/pq_cache.so: no codebook for this layer";
  result.kernel_mix.clear();
  result.counts.reset();
  result.cost.reset();
  result.times.reset();
  result.fidelity.reset();
  result.oracle.reset();
  return result;
}

TEST(Table, KeepsForeignTextsOnTheirLines) {
  CellResult result = failed_result();
  result.pipeline = "p\x1b[2J\nforged  ok";
  result.workload = "w\nforged workload";
  result.facts->source = "tensor \"a\r\xc2\x9b\"";
  result.reason = "the plugin says:\n  all is well\xe9\x07";
  const std::string table = format_block(std::vector<CellResult>{result});
  for (const char* text : {"p\\x1b[2J\\x0aforged", "w forged workload", "\"a \\u009b\"",
                           "says: all is well\\xe9\\x07"}) {
    EXPECT_NE(table.find(text), std::string::npos) << text << "\n" << table;
  }
  for (const char c : table) {
    EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20) << table;
  }
}

CellResult seeded_result(std::uint64_t seed, double density, double recall) {
  CellResult result = timed_result();
  result.pipeline = "sampled";
  result.mask_seed = seed;
  result.counts->density = density;
  result.fidelity->attention_recall = recall;
  return result;
}

CellResult cuda_result() {
  CellResult result = timed_result();
  result.device = "cuda";
  result.selection_device = "cpu, uploaded";
  result.kernel_mix = "tiles sm80";
  result.peaks.reset();
  result.tolerance = 0.01;
  return result;
}

// The cell of a row, by its name, in a column, by its name.
TextCell cell_of(const TextTable& table, const std::string& row, const std::string& column) {
  const auto at = std::find_if(table.columns.begin(), table.columns.end(),
                               [&](const TextColumn& of) { return of.name == column; });
  const auto line = std::find_if(table.rows.begin(), table.rows.end(),
                                 [&](const TextRow& of) { return of.cells.front().text == row; });
  if (at == table.columns.end() || line == table.rows.end()) return {"no such cell"};
  return line->cells[static_cast<std::size_t>(at - table.columns.begin())];
}

bool has_column(const TextTable& table, const std::string& column) {
  return std::any_of(table.columns.begin(), table.columns.end(),
                     [&](const TextColumn& of) { return of.name == column; });
}

testing::AssertionResult has_heading(const std::string& part,
                                     const std::vector<CellResult>& results) {
  const std::string table = format_block(results);
  if (table.substr(0, table.find("  pipeline")).find(part) != std::string::npos) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << part << " is not in the heading of\n" << table;
}

std::size_t longest_line(const std::string& text) {
  std::istringstream lines(text);
  std::size_t longest = 0;
  for (std::string line; std::getline(lines, line);)
    longest = std::max(longest, character_count(line));
  return longest;
}

TEST(Table, ShowsResultsReasonsAndSeeds) {
  CellResult cuda = failed_result();
  cuda.pipeline = "topk budget=5%";
  cuda.device = "cuda";
  cuda.status = CellStatus::kUnavailable;
  cuda.reason = "this build has no CUDA backend";
  CellResult empty = timed_result();
  empty.pipeline = "empty";
  empty.counts->empty_rows = 12;
  empty.kernel_mix = "tiles 82%, dense 18%";
  EXPECT_EQ(
      format_block(std::vector<CellResult>{dense_result(), timed_result(), failed_result(), cuda,
                                           empty, seeded_result(0, 0.1, 0.8),
                                           seeded_result(1, 0.2, 0.9), seeded_result(2, 0.3, 0.7)}),
      R"(prefill: batch 1, heads 8 (kv 2), queries 2048, keys 2048, head_dim 64, bfloat16, causal
  gaussian seed 1; 2 threads; oracle on 256 of 16384 rows, tolerance 1e-5
  pipeline               kernel density  recall  recall  rel L2  prepare  select   plan attend  total   ±   n   dense speedup  status
                                  share certain sampled   error       ms      ms     ms     ms     ms   %          ms       x
  dense                  dense     1.00    1.00       0       0        -       -      -    100    100  50   7     100    1.00  ok
  topk budget=5%         tiles    0.100   0.875  0.0625  0.0321    0.500    10.0 0.0125   14.5   25.0  50   7     100    4.00  ok
  broken                 auto         -       -       -       -        -       -      -      -      -   -   -       -       -  FAILED
      failed: plugins/pq_cache.so: no codebook for this layer
  topk budget=5% (cuda)  auto         -       -       -       -        -       -      -      -      -   -   -       -       -  n/a
      unavailable: this build has no CUDA backend
  empty                  mixed    0.100   0.875  0.0625  0.0321    0.500    10.0 0.0125   14.5   25.0  50   7     100    4.00  ok
      kernels by row blocks: tiles 82%, dense 18%
      12 rows attend to nothing: their output is 0
  sampled                tiles    0.200   0.800  0.0625  0.0321    0.500    10.0 0.0125   14.5   25.0  50   7     100    4.00  ok
    ± standard deviation over 3 seeds
                                  0.100   0.100       0       0        0       0      0      0      0               0       0
)");
}

TEST(Table, ShowsTheStagesOfADecodeTrace) {
  std::vector<CellResult> results = {dense_result(), timed_result(), failed_result(),
                                     seeded_result(0, 0.1, 0.8), seeded_result(1, 0.2, 0.9)};
  for (CellResult& result : results) {
    result.decode_steps = 50;
    result.facts->shape.query_len = 1;
    if (result.times && result.times->prepare) result.times->append = summary_of(0.25);
  }
  EXPECT_EQ(
      format_block(results),
      R"(prefill: batch 1, heads 8 (kv 2), queries 1, keys 2048 and 50 decode steps, head_dim 64, bfloat16, causal
  gaussian seed 1; 2 threads; oracle on 256 of 400 rows, tolerance 1e-5
  total = prepare ms/step (1/50 of preparing the first keys) + append (of the step's key to the indexes) + select + plan + attend
  pipeline        kernel density  recall  recall  rel L2  prepare append  select   plan attend  total   ±   n   dense speedup  status
                           share certain sampled   error  ms/step     ms      ms     ms     ms     ms   %          ms       x
  dense           dense     1.00    1.00       0       0        -      -       -      -    100    100  50   7     100    1.00  ok
  topk budget=5%  tiles    0.100   0.875  0.0625  0.0321   0.0100  0.250    10.0 0.0125   14.5   25.0  50   7     100    4.00  ok
  broken          auto         -       -       -       -        -      -       -      -      -      -   -   -       -       -  FAILED
      failed: plugins/pq_cache.so: no codebook for this layer
  sampled         tiles    0.150   0.850  0.0625  0.0321   0.0100  0.250    10.0 0.0125   14.5   25.0  50   7     100    4.00  ok
    ± standard deviation over 2 seeds
                          0.0707  0.0707       0       0        0      0       0      0      0      0               0       0
)");
}

TEST(Table, SaysWhatASearchFoundAndWhetherAGuaranteeHolds) {
  CellResult nearest = found_result();
  nearest.coverage.reset();
  nearest.match->found->status = MatchStatus::kNearest;
  nearest.match->found->reached = 0.106;
  CellResult unreachable = nearest;
  unreachable.match->found->status = MatchStatus::kUnreachable;
  unreachable.match->found->greatest = 0.0512;
  unreachable.match->found->reached = 0.0512;
  const std::string table =
      format_block(std::vector<CellResult>{found_result(), nearest, unreachable});
  for (const char* part :
       {" ok\n"
        "      matched: density 10.0 % at oracle_topk.budget 103 (9 probes in 12.5 ms, not "
        "counted)\n"
        "      its denominator is off by more than 10.0% in 6.25% [5.75%, 6.75%] of 64 rows x 1000 "
        "seeds, stated: 5.00% at most; worst row\n"
        "        12.5% [8.75%, 17.5%], 3 of the rows contradict: contradicted\n",
        "  not matched\n"
        "      not matched: 10.6 % instead of 10 % (density, nearest at oracle_topk.budget 103; 9 "
        "probes in 12.5 ms, not counted)\n",
        "  unreachable\n"
        "      unreachable: 5.12 % instead of 10 % (density, between 2.00 % and 5.12 %, nearest at "
        "oracle_topk.budget 103; 9 probes in 12.5 ms,\n"
        "        not counted)\n"}) {
    EXPECT_NE(table.find(part), std::string::npos) << part << table;
  }
}

TEST(Table, SaysWhatTheSearchesOfSeveralSeedsFound) {
  CellResult first = found_result();
  first.mask_seed = 0;
  CellResult second = first;
  second.mask_seed = 1;
  second.match->found->value = "99";
  second.match->found->status = MatchStatus::kNearest;
  second.match->found->probes = 11;
  second.match->found->search_ms = 20;
  second.coverage.reset();
  const std::string table = format_block(std::vector<CellResult>{first, second});
  EXPECT_NE(table.find("density 10 % matched with 1 of 2 seeds: oracle_topk.budget 103, 99 (20 "
                       "probes in 32.5 ms, not counted)\n"),
            std::string::npos)
      << table;
}

TEST(Table, SeveralSeedsAreUnreachableWhenOneIs) {
  CellResult first = found_result();
  first.mask_seed = 0;
  first.coverage.reset();
  CellResult second = first;
  second.mask_seed = 1;
  second.match->found->value = "2048";
  second.match->found->status = MatchStatus::kUnreachable;
  second.match->found->greatest = 0.0512;
  const std::string table = format_block(std::vector<CellResult>{first, second});
  EXPECT_NE(table.find("  unreachable\n    ± standard deviation over 2 seeds"), std::string::npos)
      << table;
  EXPECT_NE(table.find("density 10 % matched with 1 of 2 seeds, unreachable with seed 1 (between "
                       "2.00 % and 5.12 %): oracle_topk.budget 103, 2048 ("),
            std::string::npos)
      << table;
}

TEST(Table, SaysOnceWhatIsOddAboutTheMasksOfSeveralSeeds) {
  std::vector<CellResult> results;
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    results.push_back(seeded_result(seed, 0.1, 0.8));
    if (seed == 0) continue;
    results.back().kernel_mix = "tiles 82%, dense 18%";
    results.back().counts->empty_rows = 12 + static_cast<std::int64_t>(seed);
    results.back().cost->index_spans_future = true;
  }
  const std::string table = format_block(results);
  EXPECT_TRUE(
      table.ends_with("      from seed 1: kernels by row blocks: tiles 82%, dense 18%\n"
                      "      from seed 1: 13 rows attend to nothing: their output is 0\n"
                      "      from seed 1: its index holds keys that its queries do not see\n"))
      << table;
}

TEST(Table, SaysThatASearchHadNothingToSearch) {
  CellResult result = found_result();
  result.coverage.reset();
  result.match->found.reset();
  const char* const remark = "      match searched nothing: overrides select for every head\n";
  EXPECT_TRUE(format_block(std::vector<CellResult>{result}).ends_with(remark));
  CellResult other = result;
  other.mask_seed = 1;
  EXPECT_TRUE(format_block(std::vector<CellResult>{result, other}).ends_with(remark));
  result.status = CellStatus::kFailed;
  result.reason = "every probe was refused";
  const std::string failed = format_block(std::vector<CellResult>{result});
  EXPECT_EQ(failed.find("match searched nothing"), std::string::npos) << failed;
}

TEST(Table, ShowsFailedSeedsApart) {
  CellResult failed = failed_result();
  failed.pipeline = "sampled";
  failed.mask_seed = 1;
  const std::string table = format_block(
      std::vector<CellResult>{seeded_result(0, 0.1, 0.8), failed, seeded_result(2, 0.3, 0.7)});
  EXPECT_NE(table.find("± standard deviation over 2 seeds"), std::string::npos) << table;
  EXPECT_NE(table.find("sampled seed 1"), std::string::npos) << table;
}

TEST(Table, NamesTheSeedOfTheOnlySuccessfulOne) {
  CellResult failed = failed_result();
  failed.pipeline = "sampled";
  failed.mask_seed = 1;
  const std::string table =
      format_block(std::vector<CellResult>{seeded_result(0, 0.1, 0.8), failed});
  EXPECT_NE(table.find("sampled seed 0"), std::string::npos) << table;
  EXPECT_EQ(table.find("± standard"), std::string::npos) << table;
}

TEST(Table, SaysWhatLoadingTookWhereThatIsMuch) {
  CellResult result = timed_result();
  EXPECT_EQ(format_block(std::vector<CellResult>{result}).find("loading"), std::string::npos);
  result.times->load_ms = 26.9;
  const std::string table = format_block(std::vector<CellResult>{result});
  EXPECT_NE(table.find("loading its maskers took 26.9 ms, once; it is in no total\n"),
            std::string::npos)
      << table;
}

TEST(Table, SaysWhatTheOracleLeavesOpenAndHoldsAgainstTheReference) {
  CellResult result = timed_result();
  result.oracle->undecidable_rows = 3;
  result.oracle->condition = 2e6;
  result.oracle->dense_error = 5e-4;
  result.oracle->dense_quotient = 12;
  const std::string table = format_block(std::vector<CellResult>{result});
  EXPECT_NE(
      table.find("3 of the 256 rows that were compared with the oracle are undecidable: their "
                 "data amplifies rounding up to 2.00e6-fold\n"),
      std::string::npos)
      << table;
  EXPECT_NE(
      table.find("its dense reference misses the oracle by 0.0005, 12.0 times what it may: see "
                 "the row \"dense\"\n"),
      std::string::npos)
      << table;
}

TEST(Table, NotesKeysThatAFileGivesMoreHeadsThanTokens) {
  CellResult result = timed_result();
  result.file = "data/captured.safetensors";
  const std::string note = "the file is read as";
  EXPECT_EQ(format_block(std::vector<CellResult>{result}).find(note), std::string::npos);
  result.facts->shape.kv_heads = 512;
  result.facts->shape.query_heads = 512;
  result.facts->shape.key_len = 12;
  EXPECT_NE(format_block(std::vector<CellResult>{result}).find(note + " 512 kv heads of 12 tokens"),
            std::string::npos);
  result.file.reset();  // generated: the experiment states the shape
  EXPECT_EQ(format_block(std::vector<CellResult>{result}).find(note), std::string::npos);
}

TEST(Table, SaysThatTheToleranceIsLoosened) {
  CellResult result = timed_result();
  result.tolerance = 0.01;
  result.tolerance_is_loosened = true;
  const std::string table = format_block(std::vector<CellResult>{result});
  EXPECT_NE(table.find("tolerance 0.01 (LOOSENED by the experiment)"), std::string::npos) << table;
}

TEST(Table, ShowsTheKernelsAndTheToleranceOfADevice) {
  CellResult cuda = cuda_result();
  CellResult dense = cuda_result();
  dense.pipeline = "dense";
  dense.kernel_mix = "dense sm80";
  EXPECT_EQ(
      format_block(std::vector<CellResult>{timed_result(), dense, cuda}),
      R"(prefill: batch 1, heads 8 (kv 2), queries 2048, keys 2048, head_dim 64, bfloat16, causal
  gaussian seed 1; 2 threads; oracle on 256 of 16384 rows, tolerance 1e-5 (cpu), 0.01 (cuda); cuda kernels sm80
  pipeline               kernel density  recall  recall  rel L2  prepare  select   plan attend  total   ±   n   dense speedup  status
                                  share certain sampled   error       ms      ms     ms     ms     ms   %          ms       x
  topk budget=5%         tiles    0.100   0.875  0.0625  0.0321    0.500    10.0 0.0125   14.5   25.0  50   7     100    4.00  ok
  dense (cuda)           dense    0.100   0.875  0.0625  0.0321    0.500    10.0 0.0125   14.5   25.0  50   7     100    4.00  ok
  topk budget=5% (cuda)  tiles    0.100   0.875  0.0625  0.0321    0.500    10.0 0.0125   14.5   25.0  50   7     100    4.00  ok
)");
}

TEST(Table, SaysHowACellOnADeviceWasTimed) {
  CellResult dense = cuda_result();
  dense.mask_seed.reset();
  dense.dense_kernel_reason = "no cuDNN: libcudnn.so.9 is not there";
  CellResult steady = cuda_result();
  steady.dense_kernel_reason = dense.dense_kernel_reason;
  steady.device_timing = DeviceTiming{.cache = "warm",
                                      .launch_ms = 0.25,
                                      .before = DeviceClocks{1980, 3201, 40, "none"},
                                      .after = DeviceClocks{1890, 3201, 60, "power cap"}};
  CellResult slowed = steady;
  slowed.device_timing->after->sm_mhz = 1700;
  const std::string text = format_block(std::vector<CellResult>{dense, steady, slowed});
  const auto count = [&](const std::string& remark) {
    std::size_t found = 0;
    for (std::size_t at = text.find(remark); at != std::string::npos;
         at = text.find(remark, at + 1)) {
      ++found;
    }
    return found;
  };
  EXPECT_EQ(count("cuda kernels sm80, warm cache"), 1U) << text;
  EXPECT_EQ(count("by our own kernel, not cuDNN's: no cuDNN: libcudnn.so.9 is not there"), 1U);
  EXPECT_EQ(count("launched one by one attend's kernels take 0.250 ms more"), 2U) << text;
  EXPECT_EQ(count("the device's clock fell from 1980 to 1700 MHz meanwhile (power cap)"), 1U)
      << text;
  EXPECT_EQ(count("clock fell"), 1U);
}

TEST(Table, SaysOnWhichDeviceTheToleranceIsLoosened) {
  CellResult cpu = timed_result();
  cpu.tolerance = 0.01;
  cpu.tolerance_is_loosened = true;
  CellResult not_compared = failed_result();
  not_compared.device = "cuda";
  EXPECT_TRUE(has_heading("tolerance 0.01 (cpu, LOOSENED by the experiment), 0.01 (cuda);",
                          {not_compared, cpu, cuda_result()}));
  CellResult cuda = cuda_result();
  cuda.tolerance_is_loosened = true;
  EXPECT_TRUE(has_heading("tolerance 0.01 (LOOSENED by the experiment);", {cpu, cuda}));
  cuda = cuda_result();
  cuda.tolerance = 1e-5;
  EXPECT_TRUE(has_heading("tolerance 1e-5;", {timed_result(), cuda}));
}

TEST(Table, StaysWithinItsWidthWhateverTheLabelsAndNumbers) {
  CellResult result = timed_result();
  result.pipeline = "a pipeline with a label that is much longer than its column can be, budget=5%";
  result.reason =
      "one reason that goes on and on and on, far beyond what fits on a single line of "
      "the table, and then ends";
  result.status = CellStatus::kFailed;
  result.workload = "a workload with many sizes that were swept: key_len=4096 head_dim=128";
  result.counts->density = 0.00123456;
  result.fidelity->attention_recall = 1.23456e-7;
  result.fidelity->rel_l2_error = 12345.678;
  result.times->attend = summary_of(99999.9);
  result.times->select = summary_of(0.00123);
  CellResult unreachable = found_result();
  unreachable.pipeline = "twenty-three characters";
  unreachable.match->found->status = MatchStatus::kUnreachable;
  const std::string table =
      format_block(std::vector<CellResult>{result, dense_result(), unreachable});
  EXPECT_LE(longest_line(table), kTableWidth) << table;
}

TEST(Table, FitsANarrowTerminalWithTheColumnsThatMatter) {
  EXPECT_EQ(format_block({dense_result(), timed_result(), failed_result()}, 80),
            R"(prefill: batch 1, heads 8 (kv 2), queries 2048, keys 2048, head_dim 64,
  bfloat16, causal
  gaussian seed 1; 2 threads; oracle on 256 of 16384 rows, tolerance 1e-5
  pipeline        kernel density  rel L2  total   ±   n   dense speedup  status
                           share   error     ms   %          ms       x
  dense           dense     1.00       0    100  50   7     100    1.00  ok
  topk budget=5%  tiles    0.100  0.0321   25.0  50   7     100    4.00  ok
  broken          auto         -       -      -   -   -       -       -  FAILED
      failed: plugins/pq_cache.so: no codebook for this layer
)");
}

TEST(Table, ShowsMoreOnAWideTerminalAndWholeLabels) {
  CellResult result = timed_result();
  result.pipeline = "a pipeline with sink, local and topk budget=5%";
  EXPECT_EQ(
      format_block({result}, 200),
      R"(prefill: batch 1, heads 8 (kv 2), queries 2048, keys 2048, head_dim 64, bfloat16, causal
  gaussian seed 1; 2 threads; oracle on 256 of 16384 rows, tolerance 1e-5
  pipeline                                        kernel density  recall  recall  rel L2  worst  oracle  prepare  select   plan attend  total   ±   n   dense speedup      % of break-even  status
                                                           share certain sampled   error   head   error       ms      ms     ms     ms     ms   %          ms       x  roofline    density
  a pipeline with sink, local and topk budget=5%  tiles    0.100   0.875  0.0625  0.0321 0.0500 1.25e-6    0.500    10.0 0.0125   14.5   25.0  50   7     100    4.00      25.0      0.690  ok
)");
}

TEST(Table, MarksWhatIsNoisyAndWhatIsNotMatched) {
  CellResult noisy = timed_result();
  noisy.measure_target = 0.02;
  CellResult once = timed_result();
  once.pipeline = "once";
  once.times->total = once.times->dense = Summary{.median = 25, .min = 25, .repetitions = 1};
  once.times->repetitions = 1;
  CellResult nearest = found_result();
  nearest.pipeline = "nearest";
  nearest.coverage.reset();
  nearest.measure_target = 0.02;
  nearest.match->found->status = MatchStatus::kNearest;
  const TextTable table = table_of(std::vector<CellResult>{noisy, once, nearest});
  EXPECT_EQ(cell_of(table, noisy.pipeline, "status").text, "noisy");
  EXPECT_EQ(cell_of(table, noisy.pipeline, "status").tone, Tone::kWarning);
  EXPECT_EQ(cell_of(table, noisy.pipeline, "± (%)").tone, Tone::kWarning);
  EXPECT_EQ(cell_of(table, "once", "± (%)").text, "-") << "one repetition has no interval";
  EXPECT_EQ(cell_of(table, "once", "n").text, "1");
  EXPECT_EQ(cell_of(table, "once", "status").text, "noisy");
  EXPECT_EQ(cell_of(table, "nearest", "status").text, "not matched, noisy");
}

TEST(Table, SaysTheReasonOfNeighboursOnce) {
  CellResult other = failed_result();
  other.reason = "another";
  const TextTable table = table_of(std::vector<CellResult>{failed_result(), failed_result(), other,
                                                           failed_result(), timed_result()});
  std::vector<std::string> reasons;
  for (const TextRow& row : table.rows) {
    for (const TextCell& remark : row.remarks) reasons.push_back(remark.text);
  }
  const std::string reason = "failed: " + failed_result().reason;
  EXPECT_EQ(reasons,
            (std::vector<std::string>{reason, "failed: as above", "failed: another", reason}));
}

TEST(Table, ShowsPreparingWhereItIsNotNothing) {
  CellResult quick = timed_result();
  quick.times->prepare = summary_of(0.004 * quick.times->total.median);
  EXPECT_FALSE(
      has_column(table_of(std::vector<CellResult>{quick, dense_result()}), "prepare (ms)"));
  CellResult slow = timed_result();
  slow.times->prepare = summary_of(0.006 * slow.times->total.median);
  EXPECT_TRUE(has_column(table_of(std::vector<CellResult>{quick, slow}), "prepare (ms)"));
}

TEST(Table, ShowsTheMassOnSampledKeysWhereAPipelineSamples) {
  CellResult certain = timed_result();
  certain.counts->sampled_entries = 0;
  EXPECT_FALSE(has_column(table_of(std::vector<CellResult>{certain}), "recall (sampled keys)"));
  const TextTable table = table_of(std::vector<CellResult>{certain, timed_result()});
  EXPECT_TRUE(has_column(table, "recall (sampled keys)"));
  EXPECT_TRUE(has_column(table, "recall (certain keys)"));
}

TEST(Table, HasOneNoteUnderTheBlockOnADoubtfulRuler) {
  CellResult slower = timed_result();
  slower.cell = 7;
  slower.times->dense = summary_of(120);
  const TextTable table = table_of(std::vector<CellResult>{timed_result(), dense_result(), slower});
  ASSERT_EQ(table.notes.size(), 1U);
  EXPECT_EQ(table.notes.front().text,
            "doubtful times: the dense reference drifts between 100 and 120 ms (cell 7): compare "
            "cells by speedup, not by their times");
}

TEST(Legend, ExplainsTheColumnsThatAreThereInFewLines) {
  const std::string legend = legend_of({timed_result()}, 200);
  EXPECT_LE(longest_line(legend), 200U);
  for (const char* column :
       {"density:", "recall (certain keys):", "rel L2:", "oracle:", "total = ", "±:", "n:",
        "dense:", "speedup:", "% of roofline (attend only):", "break-even density:"}) {
    EXPECT_NE(legend.find(column), std::string::npos) << column;
  }
}

TEST(Legend, ExplainsNothingThatIsNotThere) {
  CellResult result = timed_result();
  result.counts->sampled_entries = 0;
  result.peaks.reset();
  const std::string narrow = legend_of({result}, 80);
  for (const char* column : {"sampled", "roofline", "prepare:", "noisy", "FAILED", "n/a",
                             "not matched", "unreachable", "seeds", "break-even", "oracle"}) {
    EXPECT_EQ(narrow.find(column), std::string::npos) << column;
  }
  const std::string failed = legend_of({failed_result()});
  EXPECT_NE(failed.find("FAILED: "), std::string::npos);
  EXPECT_EQ(failed.find("noisy"), std::string::npos);
}

TEST(Legend, SaysThatTheTotalOfADecodeTraceIsAnother) {
  CellResult trace = timed_result();
  trace.decode_steps = 50;
  EXPECT_NE(legend_of({trace}).find("its total: see the heading"), std::string::npos);
}

}  // namespace
}  // namespace maskerade
