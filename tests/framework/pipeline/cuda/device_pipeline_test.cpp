// Selecting on the device, real or emulated: the masks are the CPU's, bit for bit.

#include "framework/pipeline/cuda/device_pipeline.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <sstream>

#include "framework/base/error.hpp"
#include "framework/tensor/cuda/device.hpp"
#include "tests/attention/random_problem.hpp"

#define SKIP_WITHOUT_DEVICE() \
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason

namespace maskerade {
namespace {

// MASKERADE_TEST_PLUGINS: folders, separated by ':', seen from this program's, so that it can be
// carried elsewhere.
const Catalog& catalog() {
  static const Catalog kCatalog = [] {
    const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    Catalog loaded;
    std::stringstream folders(MASKERADE_TEST_PLUGINS);
    for (std::string folder; std::getline(folders, folder, ':');) {
      loaded.load_folder(here / folder, true);
    }
    return loaded;
  }();
  return kCatalog;
}

MaskerUse use(const std::string& id, const std::vector<GivenParameter>& given = {}) {
  const auto type = catalog().find(id);
  return {type, std::make_shared<const Arguments>(bind_arguments(type->descriptor(), given))};
}

// A problem in device memory too.
struct DeviceProblem {
  DeviceProblem(const RandomProblem& problem, const CudaStream& stream)
      : q(bytes_of(problem.q), stream.get()),
        k(bytes_of(problem.k), stream.get()),
        v(bytes_of(problem.v), stream.get()),
        tensors{problem.inputs.q, problem.inputs.k, problem.inputs.v} {
    tensors.q.data = q.data();
    tensors.k.data = k.data();
    tensors.v.data = v.data();
    stream.synchronize();
  }
  static std::span<const std::byte> bytes_of(const Tensor& tensor) {
    const TensorView view = tensor.view();
    return {static_cast<const std::byte*>(view.data),
            static_cast<std::size_t>(view.batch * view.heads * view.length * view.dim) *
                size_of(view.dtype)};
  }

  DeviceBuffer<std::byte> q, k, v;
  DeviceTensors tensors;
};

// What a device selected, and where each masker ran.
struct DeviceResult {
  Mask mask;
  std::string where;
  std::vector<MaskerReport> maskers;
};

DeviceResult select_on_device(const Pipeline& pipeline,
                              const RandomProblem& problem,
                              const PipelineOptions& options) {
  const CudaStream stream;
  const DeviceProblem on_device(problem, stream);
  const PreparedPipeline prepared = pipeline.prepare(problem.inputs, options, Threads(1));
  DevicePipeline device(on_device.tensors, stream.get());
  device.prepare(prepared);
  const DeviceSelection selection = device.select(Threads(1));
  selection.check();
  return {selection.mask().download(problem.inputs.visibility), device.where(),
          selection.reports()};
}

void expect_the_cpus_mask(const std::vector<MaskerUse>& maskers,
                          const RandomProblem& problem,
                          const std::string& where = "cuda") {
  const Pipeline pipeline(maskers);
  const PipelineOptions options{.seed = 7};
  std::string names;
  for (const MaskerUse& each : maskers) names += each.type->id() + " ";
  SCOPED_TRACE(names + problem.inputs.shape.to_string() + " causal " +
               std::to_string(problem.inputs.visibility.is_causal()) + " dtype " +
               std::string(name_of(problem.inputs.k.dtype)));
  const Selection expected =
      pipeline.prepare(problem.inputs, options, Threads(2)).select(Threads(2));
  const DeviceResult selected = select_on_device(pipeline, problem, options);
  EXPECT_EQ(selected.where, where);
  ASSERT_EQ(selected.maskers.size(), maskers.size());
  for (std::size_t i = 0; i < maskers.size(); ++i) {
    EXPECT_EQ(selected.maskers[i].id, maskers[i].type->id());
  }
  EXPECT_EQ(selected.mask.extent(), expected.mask.extent());
  EXPECT_EQ(count(selected.mask).active_entries, count(expected.mask).active_entries);
  EXPECT_EQ(selected.mask, expected.mask);
}

// Shapes with edges of tiles, of words of tiles, of blocks of threads; GQA; positions of queries.
std::vector<RandomProblem> problems() {
  const AttentionShape shapes[] = {
      {.query_len = 1, .key_len = 1, .head_dim = 3},
      {.batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 1, .key_len = 2200, .head_dim = 8},
      {.query_heads = 3, .kv_heads = 1, .query_len = 5, .key_len = 129, .head_dim = 33},
      {.batch = 2, .query_heads = 2, .kv_heads = 1, .query_len = 70, .key_len = 70, .head_dim = 16},
      {.query_heads = 2, .kv_heads = 2, .query_len = 64, .key_len = 191, .head_dim = 64},
      {.query_heads = 2, .kv_heads = 1, .query_len = 130, .key_len = 320, .head_dim = 40}};
  std::vector<RandomProblem> made;
  unsigned seed = 0;
  for (const AttentionShape& shape : shapes) {
    for (const bool causal : {false, true}) {
      made.emplace_back(shape, static_cast<DType>(seed % 3), causal, seed);
      ++seed;
    }
  }
  // Queries of a long prompt, not in order.
  made.emplace_back(shapes[3], DType::kBFloat16, true, ++seed);
  std::vector<std::int64_t> positions;
  for (std::int64_t i = 0; i < 70; ++i) positions.push_back(i * 37 % 70);
  made.back().inputs.visibility = Visibility::at_positions(positions, 70, true);
  return made;
}

// Calls body(problem, settings) with one problem in six for each of the settings, others
// for the next, so that emulated devices are done in time.
template <typename Body>
void for_each_problem(const std::vector<std::vector<std::string>>& settings, const Body& body) {
  const std::vector<RandomProblem> all = problems();
  for (std::size_t i = 0; i < settings.size(); ++i) {
    for (std::size_t p = i % 6; p < all.size(); p += 6) body(all[p], settings[i]);
  }
}

TEST(DevicePipeline, SinkAndLocalAreTheCpus) {
  SKIP_WITHOUT_DEVICE();
  for (const RandomProblem& problem : problems()) {
    for (const char* size : {"0", "1", "64", "65", "5%", "100%", "30% of visible"}) {
      expect_the_cpus_mask({use("sink", {{"", {size}}})}, problem);
      expect_the_cpus_mask({use("local", {{"", {size}}})}, problem);
    }
    for (const char* size : {"0", "1", "65", "5%", "30% of visible"}) {
      expect_the_cpus_mask({use("local", {{"", {size}}, {"side", {"both"}}})}, problem);
    }
    expect_the_cpus_mask({use("sink", {{"", {"4"}}}), use("local", {{"", {"9"}}})}, problem);
  }
}

TEST(DevicePipeline, StridedIsTheCpus) {
  SKIP_WITHOUT_DEVICE();
  for (const RandomProblem& problem : problems()) {
    for (const char* stride : {"1", "7", "64", "1000"}) {
      for (const char* offset : {"0", "3", "100"}) {
        expect_the_cpus_mask({use("strided", {{"", {stride}}, {"offset", {offset}}})}, problem);
      }
    }
  }
}

TEST(DevicePipeline, OracleTopKIsTheCpus) {
  SKIP_WITHOUT_DEVICE();
  for_each_problem({{"0"}, {"1"}, {"33"}, {"20%"}, {"100%"}, {"15% of visible"}},
                   [](const RandomProblem& problem, const auto& budget) {
                     expect_the_cpus_mask({use("oracle_topk", {{"", budget}})}, problem);
                   });
  for_each_problem({{"query_head", "sum"},
                    {"kv_head", "sum"},
                    {"all", "sum"},
                    {"kv_head", "max"},
                    {"all", "max"}},
                   [](const RandomProblem& problem, const auto& shared) {
                     expect_the_cpus_mask({use("sink", {{"", {"4"}}}), use("local", {{"", {"8"}}}),
                                           use("oracle_topk", {{"", {"10%"}},
                                                               {"counts", {"total"}},
                                                               {"share", {shared[0]}},
                                                               {"reduce", {shared[1]}}})},
                                          problem);
                   });
}

TEST(DevicePipeline, RandomSamplingIsTheCpus) {
  SKIP_WITHOUT_DEVICE();
  for_each_problem(
      {{"0.001%"}, {"10%"}, {"50%"}, {"100%"}}, [](const RandomProblem& problem, const auto& rate) {
        expect_the_cpus_mask({use("random_sampling", {{"", rate}})}, problem);
        expect_the_cpus_mask(
            {use("sink", {{"", {"3"}}}), use("oracle_topk", {{"", {"5%"}}}),
             use("random_sampling", {{"", rate}, {"init_offset", {"3"}}, {"local_offset", {"7"}}})},
            problem);
        if (problem.inputs.shape.key_len == 1) return;
        // What makes a bit of a sampled key comes after it; two samplers over other keys.
        expect_the_cpus_mask({use("random_sampling", {{"", rate}, {"local_offset", {"50%"}}}),
                              use("local", {{"", {"30"}}}),
                              use("random_sampling", {{"", {"20%"}}, {"init_offset", {"51%"}}})},
                             problem);
      });
}

TEST(DevicePipeline, QuestIsTheCpus) {
  SKIP_WITHOUT_DEVICE();
  for_each_problem(
      {{"0", "16"}, {"20%", "16"}, {"100%", "16"}, {"20%", "1"}, {"20%", "100"}},
      [](const RandomProblem& problem, const auto& sizes) {
        expect_the_cpus_mask(
            {use("quest", {{"", {sizes[0]}}, {"page_size", {sizes[1]}}, {"min_pages", {"2"}}})},
            problem);
      });
  for_each_problem({{"query_head", "sum"}, {"kv_head", "max"}, {"all", "sum"}},
                   [](const RandomProblem& problem, const auto& shared) {
                     expect_the_cpus_mask(
                         {use("local", {{"", {"20"}}}), use("quest", {{"", {"40%"}},
                                                                      {"counts", {"total"}},
                                                                      {"share", {shared[0]}},
                                                                      {"reduce", {shared[1]}},
                                                                      {"label_bits", {"4"}}})},
                         problem);
                   });
}

TEST(DevicePipeline, BlockMeanTopKIsTheCpus) {
  SKIP_WITHOUT_DEVICE();
  for_each_problem({{"0", "16"}, {"1", "1"}, {"20%", "16"}, {"20%", "64"}, {"100%", "100"}},
                   [](const RandomProblem& problem, const auto& sizes) {
                     expect_the_cpus_mask(
                         {use("block_mean_topk", {{"", {sizes[0]}}, {"block", {sizes[1]}}})},
                         problem);
                   });
  for_each_problem(
      {{"query_head", "sum", "mean"}, {"kv_head", "max", "max"}, {"all", "sum", "mean"}},
      [](const RandomProblem& problem, const auto& shared) {
        expect_the_cpus_mask({use("sink", {{"", {"16"}}}), use("local", {{"", {"20"}}}),
                              use("block_mean_topk", {{"", {"50%"}},
                                                      {"block", {"8"}},
                                                      {"pool", {shared[2]}},
                                                      {"counts", {"total"}},
                                                      {"share", {shared[0]}},
                                                      {"reduce", {shared[1]}}})},
                             problem);
      });
}

// Pages and blocks that do not divide the keys, with and without keys that are active before; the
// last two reach every key of short rows alone.
TEST(DevicePipeline, ABudgetThatReachesEveryKeyIsTheCpusAndDense) {
  SKIP_WITHOUT_DEVICE();
  for_each_problem(
      {{"100%", "extra", "query_head", "0%"},
       {"100% of visible", "total", "kv_head", "20%"},
       {"2201", "extra", "all", "20%"},
       {"90%", "extra", "kv_head", "20%"},
       {"70", "total", "query_head", "0%"}},
      [](const RandomProblem& problem, const auto& how) {
        const auto with = [&](const char* id, const char* name, const char* size) {
          return use(
              id,
              {{"budget", {how[0]}}, {"counts", {how[1]}}, {"share", {how[2]}}, {name, {size}}});
        };
        for (const MaskerUse& masker :
             {with("quest", "page_size", "48"), with("block_mean_topk", "block", "24")}) {
          const std::vector<MaskerUse> maskers = {use("local", {{"", {how[3]}}}), masker};
          expect_the_cpus_mask(maskers, problem);
          if (how[0] == "90%" || how[0] == "70") continue;
          const Selection all =
              Pipeline(maskers).prepare(problem.inputs, {}, Threads(1)).select(Threads(1));
          EXPECT_EQ(density(all.mask), 1) << masker.type->id() << " " << how[0];
        }
      });
}

TEST(DevicePipeline, AMaskerWithoutADevicePathRunsOnTheCpuAmongTheOthers) {
  SKIP_WITHOUT_DEVICE();
  for (const RandomProblem& problem : problems()) {
    expect_the_cpus_mask({use("dilated_window", {{"", {"7"}}})}, problem, "cpu, uploaded");
    expect_the_cpus_mask({}, problem, "cpu, uploaded");
  }
  for_each_problem({{"0"}, {"1"}, {"2"}}, [](const RandomProblem& problem, const auto& which) {
    if (which[0] == "0") {
      expect_the_cpus_mask(
          {use("dilated_window", {{"", {"7"}}}), use("oracle_topk", {{"", {"10%"}}})}, problem,
          "cuda; cpu, uploaded: dilated_window");
    } else if (which[0] == "1") {
      expect_the_cpus_mask(
          {use("sink", {{"", {"2"}}}), use("oracle_topk", {{"", {"10%"}}}),
           use("dilated_window", {{"", {"7"}}}), use("oracle_topk", {{"", {"5%"}}}),
           use("adaptive_sampling", {{"", {"20%"}}, {"delta", {"20%"}}}),
           use("local", {{"", {"5"}}})},
          problem, "cuda; cpu, uploaded: dilated_window, adaptive_sampling");
    } else if (problem.inputs.shape.key_len > 1) {
      expect_the_cpus_mask({use("random_sampling", {{"", {"30%"}}, {"local_offset", {"60%"}}}),
                            use("dilated_window", {{"", {"9"}}}),
                            use("random_sampling", {{"", {"30%"}}, {"init_offset", {"60%"}}})},
                           problem, "cuda; cpu, uploaded: dilated_window");
    }
  });
}

std::string refusal(const std::string& rule) {
  const RandomProblem problem({.query_heads = 2, .query_len = 70, .key_len = 300, .head_dim = 8},
                              DType::kFloat32, false, 1);
  try {
    select_on_device(Pipeline({use("sink", {{"", {"2"}}}), use("understated", {{"", {rule}}})}),
                     problem, {});
  } catch (const Error& error) {
    return error.what();
  }
  return "(selected)";
}

TEST(DevicePipeline, SaysWhichMaskerBrokeWhichRule) {
  SKIP_WITHOUT_DEVICE();
  EXPECT_EQ(refusal("bits"),
            "one of the pipeline's maskers added more than bounds() had stated on the device");
  EXPECT_EQ(refusal("sampled"),
            "masker \"understated\" added more than bounds() had stated on the device");
  EXPECT_EQ(refusal("probability"),
            "masker \"understated\" gave a probability outside (0, 1] on the device");
  for (const char* rule : {"twice", "unlisted", "outside"}) {
    EXPECT_EQ(
        refusal(rule),
        "one of the pipeline's maskers listed sampled keys that are not those of the bits, each "
        "once, on the device")
        << rule;
  }
  EXPECT_TRUE(
      refusal("throw").ends_with(": masker \"understated\" failed on the device: it will not"));
  EXPECT_TRUE(refusal("undeclared")
                  .ends_with(": masker \"understated\" failed on the device: it calls score_rows, "
                             "but its descriptor does not declare MASKERADE_DEPENDS_QUERY; add "
                             "MASKERADE_DEPENDS_QUERY to depends_on"));
  EXPECT_TRUE(refusal("bounds").ends_with(
      ": masker \"understated\" cannot state its bounds on the device: it knows no bounds"));
}

TEST(DevicePipeline, TheReportsSayWhatWasDone) {
  SKIP_WITHOUT_DEVICE();
  const RandomProblem problem(
      {.query_heads = 4, .kv_heads = 2, .query_len = 3, .key_len = 200, .head_dim = 16},
      DType::kFloat32, true, 1);
  const DeviceResult selected = select_on_device(
      Pipeline({use("oracle_topk", {{"", {"9"}}}), use("quest", {{"", {"32"}}})}), problem, {});
  ASSERT_EQ(selected.maskers.size(), 2U);
  const MaskerReport& of_topk = selected.maskers.front();
  const MaskerReport& of_quest = selected.maskers.back();
  EXPECT_EQ(of_topk.keys_scored, 4 * (198 + 199 + 200));
  // Six rows of each of two kv heads read its keys together.
  EXPECT_EQ(of_topk.bytes_read, 2 * 198 * 16 * 4);
  EXPECT_EQ(of_topk.index_bytes, 0);
  EXPECT_EQ(of_quest.keys_scored, 4 * 3 * 13);
  EXPECT_GT(of_quest.index_bytes, 2 * 13 * 2 * 16 * 4);
  EXPECT_TRUE(of_quest.index_spans_future);
  for (const MaskerReport& report : selected.maskers) EXPECT_GE(report.select_ms, 0);
}

}  // namespace
}  // namespace maskerade
