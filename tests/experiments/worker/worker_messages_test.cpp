#include "experiments/worker/worker_messages.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "experiments/results/cell_json.hpp"
#include "framework/base/error.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade {
namespace {

TEST(WorkerMessages, CarryTheSetup) {
  const WorkerSetup setup{.file = "dir/a.yaml",
                          .text = "name: caf\xe9\n",
                          .assignments = {{"measure.budget", "5ms"}},
                          .libraries = {{"x.so", "ab", 7}, {"y.so", "cd", -1}},
                          .threads = 3,
                          .chunk_rows = 64,
                          .call_record = 9};
  const WorkerSetup read = setup_of(message_of(setup));
  EXPECT_EQ(read.file, setup.file);
  EXPECT_EQ(read.text, setup.text);
  ASSERT_EQ(read.assignments.size(), 1U);
  EXPECT_EQ(read.assignments.front().value, "5ms");
  ASSERT_EQ(read.libraries.size(), 2U);
  EXPECT_EQ(read.libraries.front().path, "x.so");
  EXPECT_EQ(read.libraries.front().sha256, "ab");
  EXPECT_EQ(read.libraries.front().descriptor, 7);
  EXPECT_EQ(read.libraries.back().descriptor, -1);
  EXPECT_EQ(read.threads, 3);
  EXPECT_EQ(read.chunk_rows, 64);
  EXPECT_EQ(read.call_record, 9);
}

TEST(WorkerMessages, CarryAResultBitForBit) {
  CellResult result = full_result();
  result.fidelity->rel_l2_error = std::numeric_limits<double>::quiet_NaN();
  result.fidelity->lse_error = std::numeric_limits<double>::infinity();
  result.mask_seed = std::numeric_limits<std::uint64_t>::max();
  result.key = "k";
  const WorkerRequest read = request_of(
      message_of(WorkerRequest{.task = WorkerTask::kRun, .job = 12, .described = result}));
  EXPECT_EQ(read.task, WorkerTask::kRun);
  EXPECT_EQ(read.job, 12U);
  ASSERT_TRUE(read.described.has_value());
  EXPECT_EQ(to_json_line(*read.described), to_json_line(result));
  EXPECT_EQ(read.described->key, "k");
  EXPECT_TRUE(std::isnan(read.described->fidelity->rel_l2_error));
  EXPECT_TRUE(std::isinf(read.described->fidelity->lse_error));
  EXPECT_EQ(read.described->heads.size(), result.heads.size());
  EXPECT_EQ(read.described->steps.size(), result.steps.size());
  ASSERT_EQ(read.described->samples.size(), result.samples.size());
  EXPECT_EQ(read.described->samples.back().stage, "total");
  EXPECT_EQ(read.described->samples.back().stride, 3);
  EXPECT_EQ(read.described->samples.back().times_ms, result.samples.back().times_ms);
  EXPECT_FALSE(request_of(message_of(WorkerRequest{.job = 1})).described);
}

TEST(WorkerMessages, CarryAWorkloadOrWhyThereIsNone) {
  const WorkloadFacts facts = *example_result().facts;
  const OpenedWorkload opened{
      .description = WorkloadDescription{.facts = facts, .layer = 4, .fingerprint = "ab"},
      .failure = "",
      .is_bad_input = false};
  const OpenedWorkload read = opened_of(message_of(opened));
  ASSERT_TRUE(read.description.has_value());
  EXPECT_EQ(read.description->facts.shape.to_string(), facts.shape.to_string());
  EXPECT_EQ(read.description->facts.source, facts.source);
  EXPECT_EQ(read.description->layer, 4);
  EXPECT_EQ(read.description->fingerprint, "ab");
  const OpenedWorkload failed = opened_of(
      message_of(OpenedWorkload{.description = {}, .failure = "no file", .is_bad_input = true}));
  EXPECT_FALSE(failed.description.has_value());
  EXPECT_EQ(failed.failure, "no file");
  EXPECT_TRUE(failed.is_bad_input);
}

TEST(WorkerMessages, RefuseOtherBytes) {
  EXPECT_THROW(request_of("{"), Error);
  EXPECT_THROW(opened_of(message_of(WorkerReady{"x"})), Error);
}

}  // namespace
}  // namespace maskerade
