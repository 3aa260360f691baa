// Selecting on the device, real or emulated: the masks are the CPU's, bit for bit.

#include "framework/pipeline/cuda/device_pipeline.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "framework/base/error.hpp"
#include "framework/tensor/cuda/device.hpp"
#include "tests/attention/random_problem.hpp"

#define SKIP_WITHOUT_DEVICE() \
  if (!cuda_device().is_available) GTEST_SKIP() << cuda_device().reason

namespace maskerade {
namespace {

const Catalog& catalog() {
  static const Catalog kCatalog = [] {
    Catalog loaded;
    loaded.load_folder(MASKERADE_TEST_PLUGINS, true);
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

struct Selected {
  Mask mask;
  std::string where;
  std::vector<MaskerReport> maskers;
};

Selected select_on_device(const Pipeline& pipeline,
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
               name_of(problem.inputs.k.dtype));
  const Selection expected =
      pipeline.prepare(problem.inputs, options, Threads(2)).select(Threads(2));
  const Selected selected = select_on_device(pipeline, problem, options);
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
      {.batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 1, .key_len = 4200, .head_dim = 8},
      {.query_heads = 3, .kv_heads = 1, .query_len = 5, .key_len = 129, .head_dim = 33},
      {.batch = 2, .query_heads = 4, .kv_heads = 2, .query_len = 70, .key_len = 70, .head_dim = 16},
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

TEST(DevicePipeline, SinkAndLocalAreTheCpus) {
  SKIP_WITHOUT_DEVICE();
  for (const RandomProblem& problem : problems()) {
    for (const char* size : {"0", "1", "64", "65", "5%", "100%", "{share: 30%, of: visible}"}) {
      expect_the_cpus_mask({use("sink", {{"", {size}}})}, problem);
      expect_the_cpus_mask({use("local", {{"", {size}}})}, problem);
    }
    expect_the_cpus_mask({use("sink", {{"", {"4"}}}), use("local", {{"", {"9"}}})}, problem);
  }
}

TEST(DevicePipeline, OracleTopKIsTheCpus) {
  SKIP_WITHOUT_DEVICE();
  for (const RandomProblem& problem : problems()) {
    for (const char* budget : {"0", "1", "33", "20%", "100%"}) {
      expect_the_cpus_mask({use("oracle_topk", {{"", {budget}}})}, problem);
    }
    for (const char* share : {"query_head", "kv_head", "all"}) {
      for (const char* reduce : {"sum", "max"}) {
        expect_the_cpus_mask({use("sink", {{"", {"4"}}}), use("local", {{"", {"8"}}}),
                              use("oracle_topk", {{"", {"10%"}},
                                                  {"counts", {"total"}},
                                                  {"share", {share}},
                                                  {"reduce", {reduce}}})},
                             problem);
      }
    }
  }
}

}  // namespace
}  // namespace maskerade
