#include "framework/pipeline/cuda/device_call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/saturate.hpp"
#include "framework/pipeline/declared.hpp"
#include "framework/pipeline/host_call.hpp"
#include "framework/select/cuda/select_jobs.hpp"

namespace maskerade {
namespace {

constexpr std::uint32_t kProducts = MASKERADE_DEPENDS_QUERY | MASKERADE_DEPENDS_KEY;
constexpr std::int64_t kMostScores = std::int64_t{1} << 26;  // 256 MB of float32

maskerade_cuda_tensor tensor_of(const TensorView& tensor) {
  return {tensor.data, static_cast<std::uint32_t>(tensor.dtype), tensor.batch_stride,
          tensor.head_stride, tensor.row_stride};
}

}  // namespace

// The C functions: each finds the DeviceCall, and turns an exception into a remembered failure.
struct DeviceServices {
  template <typename Body>
  static auto guarded(const maskerade_cuda_call* call, Body&& body) noexcept
      -> decltype(body(std::declval<DeviceCall&>())) {
    DeviceCall& host = *static_cast<DeviceCall*>(call->self);
    try {
      return body(host);
    } catch (const std::exception& error) {
      if (host.failure_.empty()) host.failure_ = error.what();
    }
    return {};
  }
  template <typename Body>
  static std::int32_t status_of(const maskerade_cuda_call* call, Body&& body) noexcept {
    const bool done = guarded(call, [&](DeviceCall& host) {
      body(host);
      return true;
    });
    return done ? MASKERADE_OK : MASKERADE_FAILED;
  }

  static const maskerade_cuda_services* table() {
    static const maskerade_cuda_services services = {
        .struct_size = sizeof(maskerade_cuda_services),
        .allocate =
            [](const maskerade_cuda_call* call, std::size_t bytes) {
              return guarded(call, [&](DeviceCall& host) { return host.allocate(bytes); });
            },
        .upload =
            [](const maskerade_cuda_call* call, const void* source, std::size_t bytes) {
              return guarded(call, [&](DeviceCall& host) {
                return host.upload({static_cast<const std::byte*>(source), bytes});
              });
            },
        .count_active =
            [](const maskerade_cuda_call* call, std::int64_t* counts) {
              return status_of(call, [&](DeviceCall& host) {
                host.require_declared(MASKERADE_DEPENDS_ACTIVE, "count_active");
                host.count(nullptr, nullptr, true, counts);
              });
            },
        .count_inactive =
            [](const maskerade_cuda_call* call, const std::int64_t* key_begins,
               const std::int64_t* key_ends, std::int64_t* counts) {
              return status_of(call, [&](DeviceCall& host) {
                host.require_declared(MASKERADE_DEPENDS_ACTIVE, "count_inactive");
                host.count(key_begins, key_ends, false, counts);
              });
            },
        .score_rows =
            [](const maskerade_cuda_call* call, std::int64_t row_begin, std::int64_t row_end,
               float* scores, std::int64_t score_stride) {
              return status_of(call, [&](DeviceCall& host) {
                host.score_rows(row_begin, row_end, scores, score_stride);
              });
            },
        .multiply_rows =
            [](const maskerade_cuda_call* call, const float* vectors, std::int64_t vector_count,
               std::int64_t group_vectors, const float* rows, std::int64_t group_stride,
               std::int64_t row_stride, std::int64_t count, std::int64_t dim, float* products,
               std::int64_t product_stride) {
              return status_of(call, [&](DeviceCall& host) {
                cuda::multiply({.vectors = vectors,
                                .keys = rows,
                                .key_stride = row_stride,
                                .key_group_stride = group_stride,
                                .group_vectors = group_vectors,
                                .last = vector_count,
                                .key_count = count,
                                .dim = dim,
                                .products = products,
                                .product_stride = product_stride},
                               DType::kFloat32, host.stream_);
              });
            },
        .add_top_scores =
            [](const maskerade_cuda_call* call, std::int64_t row_begin, std::int64_t row_end,
               const float* scores, std::int64_t score_stride, const std::int64_t* counts) {
              return status_of(call, [&](DeviceCall& host) {
                host.add_top_scores(row_begin, row_end, scores, score_stride, counts);
              });
            },
        .add_top_products =
            [](const maskerade_cuda_call* call, const std::int64_t* counts) {
              return status_of(call, [&](DeviceCall& host) { host.add_top_products(counts); });
            },
        .top_bits =
            [](const maskerade_cuda_call* call, std::int64_t list_count, const float* scores,
               std::int64_t score_stride, const std::int64_t* lengths, const std::int64_t* counts,
               const std::uint64_t* excluded, std::uint64_t* bits, std::int64_t word_stride) {
              return status_of(call, [&](DeviceCall& host) {
                const auto bytes =
                    static_cast<std::size_t>(list_count * word_stride) * sizeof(std::uint64_t);
                check_cuda(cudaMemsetAsync(bits, 0, bytes, host.stream_), "cudaMemsetAsync");
                cuda::add_top({.count = list_count,
                               .ends = lengths,
                               .key_len = word_stride * 64,
                               .excluded = excluded,
                               .words = word_stride,
                               .counts = counts,
                               .bits = bits},
                              {.scores = scores, .stride = score_stride}, host.stream_);
              });
            },
        .draw =
            [](const maskerade_cuda_call* call, std::uint32_t purpose,
               const std::int64_t* key_begins, const std::int64_t* key_ends,
               const std::int64_t* counts, const float* probabilities) {
              return status_of(call, [&](DeviceCall& host) {
                host.require_declared(MASKERADE_DEPENDS_SEED | MASKERADE_DEPENDS_ACTIVE, "draw");
                const maskerade_cuda_rows& rows = call->rows;
                cuda::add_draw({.select = {.count = cuda::detail::rows_in(rows),
                                           .begins = key_begins,
                                           .ends = key_ends,
                                           .visible = rows.visible_ends,
                                           .visible_count = rows.query_len,
                                           .key_len = rows.key_len,
                                           .excluded = rows.bits,
                                           .also_excluded = rows.sampled_bits,
                                           .words = rows.words,
                                           .counts = counts},
                                .ranks = {.key = {.seed = call->seed,
                                                  .stream = call->place,
                                                  .layer = static_cast<std::uint32_t>(call->layer),
                                                  .purpose = purpose},
                                          .heads = rows.heads,
                                          .query_len = rows.query_len,
                                          .positions = rows.positions},
                                .rows = rows,
                                .probabilities = probabilities},
                               host.stream_);
              });
            },
        .count_work =
            [](const maskerade_cuda_call* call, std::int64_t keys_scored, std::int64_t bytes_read) {
              status_of(call, [&](DeviceCall& host) {
                require_counts(keys_scored, bytes_read);
                host.keys_scored_ = saturating_sum(host.keys_scored_, keys_scored);
                host.bytes_read_ = saturating_sum(host.bytes_read_, bytes_read);
              });
            },
    };
    return &services;
  }
};

DeviceCall::DeviceCall(const AttentionInputs& inputs,
                       const DeviceTensors& tensors,
                       const MaskerInstance& instance,
                       std::uint64_t seed,
                       std::uint32_t place,
                       cudaStream_t stream)
    : inputs_(inputs),
      tensors_(tensors),
      instance_(instance),
      readable_(readable_by(instance.type().descriptor())),
      stream_(stream) {
  const auto may_read = [&](std::uint32_t flag) { return (readable_ & flag) != 0; };
  call_.struct_size = sizeof(call_);
  call_.causal = shown_causal(inputs.visibility, readable_);
  call_.shape = shown_shape(inputs.shape, readable_);
  call_.scale = inputs.scale;
  call_.layer = inputs.layer;
  if (may_read(MASKERADE_DEPENDS_SEED)) {
    call_.seed = seed;
    call_.place = place;
  }
  if (may_read(MASKERADE_DEPENDS_SHAPE)) {
    call_.positions = inputs.visibility.positions().data();
    call_.visible_ends = inputs.visibility.ends().data();
  }
  if (may_read(MASKERADE_DEPENDS_QUERY)) call_.q = tensor_of(tensors.q);
  if (may_read(MASKERADE_DEPENDS_KEY)) call_.k = tensor_of(tensors.k);
  if (may_read(MASKERADE_DEPENDS_VALUE)) call_.v = tensor_of(tensors.v);
  call_.stream = stream;
  call_.services = DeviceServices::table();
  call_.host = instance.host();
  call_.self = this;
}

void DeviceCall::set_extent(MaskExtent extent) noexcept {
  call_.rows = {};
  call_.rows.batch = extent.batch;
  call_.rows.heads = extent.heads;
  call_.rows.query_len = inputs_.shape.query_len;
  call_.rows.key_len = inputs_.shape.key_len;
  call_.rows.words = cuda::ceil_div(inputs_.shape.key_len, 64);
}

void DeviceCall::set_indexes(const void* indexes, std::int64_t stride) noexcept {
  call_.indexes = indexes;
  call_.index_stride = stride;
}

void DeviceCall::select(const MaskDraft& draft) {
  call_.rows = draft.rows();
  instance_.select_on_device(call_, failure_);
}

void DeviceCall::require_declared(std::uint32_t flags, const char* service) const {
  require_declared_flags(flags, readable_, service);
}

void DeviceCall::require_rows(std::int64_t row_begin, std::int64_t row_end) const {
  const std::int64_t rows = cuda::detail::rows_in(call_.rows);
  if (row_begin < 0 || row_begin > row_end || row_end > rows) {
    throw Error(fmt::format("rows [{}, {}) are outside [0, {})", row_begin, row_end, rows));
  }
}

void* DeviceCall::allocate(std::size_t bytes) {
  return scratch_.emplace_back(static_cast<std::int64_t>(bytes), stream_).data();
}

void* DeviceCall::upload(std::span<const std::byte> source) {
  const std::vector<std::byte>& kept = uploads_.emplace_back(source.begin(), source.end());
  return scratch_.emplace_back(std::span<const std::byte>(kept), stream_).data();
}

void DeviceCall::count(const std::int64_t* begins,
                       const std::int64_t* ends,
                       bool is_complement,
                       std::int64_t* counts) {
  const maskerade_cuda_rows& rows = call_.rows;
  cuda::count_candidates({.select = {.count = cuda::detail::rows_in(rows),
                                     .begins = begins,
                                     .ends = ends,
                                     .visible = rows.visible_ends,
                                     .visible_count = rows.query_len,
                                     .key_len = rows.key_len,
                                     .excluded = rows.bits,
                                     .also_excluded = rows.sampled_bits,
                                     .words = rows.words},
                          .is_complement = is_complement,
                          .counts = counts},
                         stream_);
}

void DeviceCall::score_rows(std::int64_t row_begin,
                            std::int64_t row_end,
                            float* scores,
                            std::int64_t score_stride) {
  require_declared(kProducts, "score_rows");
  require_rows(row_begin, row_end);
  const AttentionShape& shape = inputs_.shape;
  cuda::multiply({.vectors = tensors_.q.data,
                  .keys = tensors_.k.data,
                  .key_stride = tensors_.k.row_stride,
                  .key_group_stride = tensors_.k.head_stride,
                  .group_vectors = shape.group_size() * shape.query_len,
                  .first = row_begin,
                  .last = row_end,
                  .key_count = shape.key_len,
                  .dim = shape.head_dim,
                  .ends = call_.rows.visible_ends,
                  .end_count = shape.query_len,
                  .products = scores,
                  .product_stride = score_stride},
                 tensors_.k.dtype, stream_);
  // A key is read once for kVectorsOfKeys rows that read the same kv head.
  const std::int64_t group_rows = shape.group_size() * shape.query_len;
  const std::int64_t key_bytes =
      shape.head_dim * static_cast<std::int64_t>(size_of(tensors_.k.dtype));
  for (std::int64_t row = row_begin; row < row_end; ++row) {
    const std::int64_t keys = inputs_.visibility.end(row % shape.query_len);
    keys_scored_ += keys;
    const std::int64_t first = std::max(row_begin, row / group_rows * group_rows);
    if ((row - first) % cuda::kVectorsOfKeys == 0) bytes_read_ += keys * key_bytes;
  }
}

void DeviceCall::add_top_scores(std::int64_t row_begin,
                                std::int64_t row_end,
                                const float* scores,
                                std::int64_t score_stride,
                                const std::int64_t* counts) {
  require_declared(MASKERADE_DEPENDS_ACTIVE, "add_top_scores");
  require_rows(row_begin, row_end);
  const maskerade_cuda_rows& rows = call_.rows;
  cuda::add_top({.first = row_begin,
                 .count = row_end - row_begin,
                 .visible = rows.visible_ends,
                 .visible_count = rows.query_len,
                 .key_len = rows.key_len,
                 .excluded = rows.bits,
                 .also_excluded = rows.sampled_bits,
                 .words = rows.words,
                 .counts = counts,
                 .bits = rows.bits},
                {.scores = scores, .stride = score_stride}, stream_);
}

void DeviceCall::add_top_products(const std::int64_t* counts) {
  require_declared(kProducts | MASKERADE_DEPENDS_ACTIVE, "add_top_products");
  const std::int64_t rows = cuda::detail::rows_in(call_.rows);
  const std::int64_t stride = cuda::ceil_div(call_.rows.key_len, 64) * 64;
  const std::int64_t together = std::clamp<std::int64_t>(kMostScores / stride, 1, rows);
  const DeviceBuffer<float> scores(together * stride, stream_);
  for (std::int64_t first = 0; first < rows; first += together) {
    const std::int64_t last = std::min(first + together, rows);
    score_rows(first, last, scores.data(), stride);
    add_top_scores(first, last, scores.data(), stride, counts + first);
  }
}

}  // namespace maskerade
