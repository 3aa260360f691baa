#include "experiments/report/table.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

CellResult dense_result() {
  CellResult result = example_result();
  result.pipeline = "dense";
  result.kernel = "dense";
  result.kernel_mix = "dense";
  result.mask_seed.reset();
  result.params.clear();
  result.counts->density = 1;
  result.times =
      StageTimes{.attend = summary_of(100), .total = summary_of(100), .dense = summary_of(100)};
  result.fidelity = Fidelity{.attention_recall = 1};
  return result;
}

CellResult failed_result() {
  CellResult result = example_result();
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
  CellResult result = example_result();
  result.pipeline = "sampled";
  result.mask_seed = seed;
  result.counts->density = density;
  result.fidelity->attention_recall = recall;
  return result;
}

CellResult cuda_result() {
  CellResult result = example_result();
  result.device = "cuda";
  result.selection_device = "cpu, uploaded";
  result.kernel_mix = "tiles sm80";
  result.peaks.reset();
  result.tolerance = 0.01;
  return result;
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
  for (std::string line; std::getline(lines, line);) longest = std::max(longest, line.size());
  return longest;
}

TEST(Table, ShowsResultsReasonsAndSeeds) {
  CellResult cuda = failed_result();
  cuda.pipeline = "topk budget=5%";
  cuda.device = "cuda";
  cuda.status = CellStatus::kUnavailable;
  cuda.reason = "this build has no CUDA backend";
  CellResult empty = example_result();
  empty.pipeline = "empty";
  empty.counts->empty_rows = 12;
  empty.kernel_mix = "tiles 82%, dense 18%";
  EXPECT_EQ(
      format_block(std::vector<CellResult>{dense_result(), example_result(), failed_result(), cuda,
                                           empty, seeded_result(0, 0.1, 0.8),
                                           seeded_result(1, 0.2, 0.9), seeded_result(2, 0.3, 0.7)}),
      R"(prefill: batch 1, heads 8 (kv 2), queries 2048, keys 2048, head_dim 64, bfloat16, causal
  gaussian seed 1; 2 threads; oracle on 256 of 16384 rows, tolerance 1e-5
  pipeline               kernel density  recall   rel L2  oracle  select   plan attend  total   dense speedup  of roof even at  status
                                  share   share    error   error      ms     ms     ms     ms      ms       x        % density
  dense                  dense     1.00    1.00        0 1.25e-6       -      -    100    100     100    1.00     3.62    1.00  ok
  topk budget=5%         tiles    0.100   0.875   0.0321 1.25e-6    10.0 0.0125   14.5   25.0     100    4.00     25.0   0.690  ok
  broken                 auto         -       -        -       -       -      -      -      -       -       -        -       -  FAILED
      failed: plugins/pq_cache.so: no codebook for this layer
  topk budget=5% (cuda)  auto         -       -        -       -       -      -      -      -       -       -        -       -  n/a
      unavailable: this build has no CUDA backend
  empty                  mixed    0.100   0.875   0.0321 1.25e-6    10.0 0.0125   14.5   25.0     100    4.00     25.0   0.690  ok
      kernels by row blocks: tiles 82%, dense 18%
      12 rows attend to nothing: their output is 0
  sampled                tiles    0.200   0.800   0.0321 1.25e-6    10.0 0.0125   14.5   25.0     100    4.00     25.0    1.38  ok
    +- over 3 seeds               0.100   0.100        0               0      0      0      0       0       0        0   0.690
)");
}

TEST(Table, ShowsTheStagesOfADecodeTrace) {
  std::vector<CellResult> results = {dense_result(), example_result(), failed_result(),
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
  pipeline           kernel density  recall   rel L2  oracle  prepare append  select   plan attend  total   dense speedup  status
                              share   share    error   error  ms/step     ms      ms     ms     ms     ms      ms       x
  dense              dense     1.00    1.00        0 1.25e-6        -      -       -      -    100    100     100    1.00  ok
  topk budget=5%     tiles    0.100   0.875   0.0321 1.25e-6   0.0100  0.250    10.0 0.0125   14.5   25.0     100    4.00  ok
  broken             auto         -       -        -       -        -      -       -      -      -      -       -       -  FAILED
      failed: plugins/pq_cache.so: no codebook for this layer
  sampled            tiles    0.150   0.850   0.0321 1.25e-6   0.0100  0.250    10.0 0.0125   14.5   25.0     100    4.00  ok
    +- over 2 seeds          0.0707  0.0707        0                0      0       0      0      0      0       0       0
)");
}

TEST(Table, SaysWhatASearchFoundAndWhetherAGuaranteeHolds) {
  CellResult nearest = matched_result();
  nearest.coverage.reset();
  nearest.match->found->status = MatchStatus::kNearest;
  nearest.match->found->reached = 0.106;
  CellResult unreachable = nearest;
  unreachable.match->found->status = MatchStatus::kUnreachable;
  unreachable.match->found->greatest = 0.0512;
  unreachable.match->found->reached = 0.0512;
  const std::string table =
      format_block(std::vector<CellResult>{matched_result(), nearest, unreachable});
  for (const char* part :
       {"690  ok\n"
        "      matched: density 10.0 % at oracle_topk.budget 103 (9 probes in 12.5 ms, not "
        "counted)\n"
        "      its denominator is off by more than 10.0% in 6.25% [5.75%, 6.75%] of 64 rows x 1000 "
        "seeds, stated: 5.00% at most; worst row 12.5%\n"
        "      [8.75%, 17.5%], 3 of the rows contradict: contradicted\n",
        "690  ok\n"
        "      not matched: 10.6 % instead of 10 % (density, nearest at oracle_topk.budget 103; 9 "
        "probes in 12.5 ms, not counted)\n",
        "690  unreachable\n"
        "      unreachable: 5.12 % instead of 10 % (density, between 2.00 % and 5.12 %, nearest at "
        "oracle_topk.budget 103; 9 probes in 12.5 ms,\n"
        "      not counted)\n"}) {
    EXPECT_NE(table.find(part), std::string::npos) << part << table;
  }
}

TEST(Table, SaysWhatTheSearchesOfSeveralSeedsFound) {
  CellResult first = matched_result();
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
  CellResult first = matched_result();
  first.mask_seed = 0;
  first.coverage.reset();
  CellResult second = first;
  second.mask_seed = 1;
  second.match->found->value = "2048";
  second.match->found->status = MatchStatus::kUnreachable;
  second.match->found->greatest = 0.0512;
  const std::string table = format_block(std::vector<CellResult>{first, second});
  EXPECT_NE(table.find("690  unreachable\n    +- over 2 seeds"), std::string::npos) << table;
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
  CellResult result = matched_result();
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
  EXPECT_NE(table.find("+- over 2 seeds"), std::string::npos) << table;
  EXPECT_NE(table.find("sampled seed 1"), std::string::npos) << table;
}

TEST(Table, NamesTheSeedOfTheOnlySuccessfulOne) {
  CellResult failed = failed_result();
  failed.pipeline = "sampled";
  failed.mask_seed = 1;
  const std::string table =
      format_block(std::vector<CellResult>{seeded_result(0, 0.1, 0.8), failed});
  EXPECT_NE(table.find("sampled seed 0"), std::string::npos) << table;
  EXPECT_EQ(table.find("+-"), std::string::npos) << table;
}

TEST(Table, SaysWhatLoadingTookWhereThatIsMuch) {
  CellResult result = example_result();
  EXPECT_EQ(format_block(std::vector<CellResult>{result}).find("loading"), std::string::npos);
  result.times->load_ms = 26.9;
  const std::string table = format_block(std::vector<CellResult>{result});
  EXPECT_NE(table.find("loading its maskers took 26.9 ms, once; it is in no total\n"),
            std::string::npos)
      << table;
}

TEST(Table, SaysWhatTheOracleLeavesOpenAndHoldsAgainstTheReference) {
  CellResult result = example_result();
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
  CellResult result = example_result();
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
  CellResult result = example_result();
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
      format_block(std::vector<CellResult>{example_result(), dense, cuda}),
      R"(prefill: batch 1, heads 8 (kv 2), queries 2048, keys 2048, head_dim 64, bfloat16, causal
  gaussian seed 1; 2 threads; oracle on 256 of 16384 rows, tolerance 1e-5 (cpu), 0.01 (cuda); cuda kernels sm80
  pipeline               kernel density  recall   rel L2  oracle  select   plan attend  total   dense speedup  of roof even at  status
                                  share   share    error   error      ms     ms     ms     ms      ms       x        % density
  topk budget=5%         tiles    0.100   0.875   0.0321 1.25e-6    10.0 0.0125   14.5   25.0     100    4.00     25.0   0.690  ok
  dense (cuda)           dense    0.100   0.875   0.0321 1.25e-6    10.0 0.0125   14.5   25.0     100    4.00        -   0.690  ok
  topk budget=5% (cuda)  tiles    0.100   0.875   0.0321 1.25e-6    10.0 0.0125   14.5   25.0     100    4.00        -   0.690  ok
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
  CellResult cpu = example_result();
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
  EXPECT_TRUE(has_heading("tolerance 1e-5;", {example_result(), cuda}));
}

TEST(Table, StaysWithinItsWidthWhateverTheLabelsAndNumbers) {
  CellResult result = example_result();
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
  CellResult unreachable = matched_result();
  unreachable.pipeline = "twenty-three characters";
  unreachable.match->found->status = MatchStatus::kUnreachable;
  const std::string table =
      format_block(std::vector<CellResult>{result, dense_result(), unreachable});
  EXPECT_LE(longest_line(table), kTableWidth) << table;
}

TEST(Table, OfNothingIsEmpty) { EXPECT_EQ(format_block({}), ""); }

TEST(Legend, ExplainsTheColumnsInFewLines) {
  EXPECT_LE(longest_line(format_legend()), kTableWidth);
  for (const char* column : {"density", "recall", "rel L2", "oracle", "total", "dense", "speedup",
                             "of roof", "even at"}) {
    EXPECT_NE(format_legend().find(column), std::string::npos) << column;
  }
}

TEST(Legend, SaysThatTheTotalOfADecodeTraceIsAnother) {
  EXPECT_NE(format_legend().find("total = prepare + select + plan + attend (of a trace: see its "
                                 "heading)\n"),
            std::string::npos);
}

TEST(StatusCounts, EndTheReport) {
  StatusCounts counts = {.ok = 5, .failed = 0, .unavailable = 1};
  for (const CellStatus status : {CellStatus::kOk, CellStatus::kFailed, CellStatus::kUnavailable}) {
    counts.add(status);
  }
  EXPECT_EQ(format_counts(counts), "6 ok, 1 failed, 2 unavailable");
}

}  // namespace
}  // namespace maskerade
