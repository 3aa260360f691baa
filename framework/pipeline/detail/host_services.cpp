#include "framework/pipeline/detail/host_services.hpp"

#include <algorithm>
#include <cstddef>

namespace maskerade {

const maskerade_services* HostServices::table() {
  static const maskerade_services services = {
      .struct_size = sizeof(maskerade_services),
      .add_range =
          [](const maskerade_call* call, std::int64_t row_begin, std::int64_t row_end,
             std::int64_t key_begin, std::int64_t key_end) {
            return status_of(call, [&](HostCall& host) {
              host.add_range(row_begin, row_end, key_begin, key_end);
            });
          },
      .add_keys =
          [](const maskerade_call* call, std::int64_t row, const std::int32_t* keys,
             const float* probabilities, std::size_t count) {
            return status_of(call, [&](HostCall& host) {
              host.add_keys(row, {keys, count}, probabilities);
            });
          },
      .active_bits =
          [](const maskerade_call* call, std::int64_t row, std::int64_t first_key,
             std::uint64_t* words, std::size_t word_count) {
            return status_of(call, [&](HostCall& host) {
              host.active_bits(row, first_key, {words, word_count});
            });
          },
      .active_count =
          [](const maskerade_call* call, std::int64_t row) {
            return guarded(call, [&](HostCall& host) {
              host.require_declared(MASKERADE_DEPENDS_ACTIVE, "active_count");
              const HostCall::BuilderRow at = host.builder_row(row);
              return at.builder->active_count(at.row);
            });
          },
      .sampled_entries =
          [](const maskerade_call* call, std::int64_t row, std::int32_t* keys, float* probabilities,
             std::size_t capacity) {
            return guarded(call, [&](HostCall& host) {
              host.require_declared(MASKERADE_DEPENDS_ACTIVE, "sampled_entries");
              const HostCall::BuilderRow at = host.builder_row(row);
              const auto entries = at.builder->sampled(at.row);
              for (std::size_t i = 0; i < std::min(capacity, entries.size()); ++i) {
                keys[i] = entries[i].key;
                probabilities[i] = entries[i].probability;
              }
              return entries.size();
            });
          },
      .score_range =
          [](const maskerade_call* call, std::int64_t row_begin, std::int64_t row_end,
             std::int64_t key_begin, std::int64_t key_end, float* scores,
             std::int64_t score_stride) {
            return status_of(call, [&](HostCall& host) {
              host.score_range(row_begin, row_end, key_begin, key_end, scores, score_stride);
            });
          },
      .score_keys =
          [](const maskerade_call* call, std::int64_t row, const std::int32_t* keys,
             std::size_t count, float* scores) {
            return status_of(call, [&](HostCall& host) {
              host.score_keys(row, {keys, count}, scores);
            });
          },
      .add_top_scores =
          [](const maskerade_call* call, std::int64_t row, const float* scores,
             std::int64_t key_begin, std::int64_t key_end, std::int64_t count) {
            return status_of(call, [&](HostCall& host) {
              host.add_top_scores(row, scores, key_begin, key_end, count);
            });
          },
      .add_top_products =
          [](const maskerade_call* call, std::int64_t row_begin, std::int64_t row_end,
             const std::int64_t* counts) {
            return status_of(
                call, [&](HostCall& host) { host.add_top_products(row_begin, row_end, counts); });
          },
      .top_indices =
          [](const maskerade_call* call, const float* scores, std::size_t length, std::size_t count,
             std::int32_t* indices) {
            return guarded(call, [&](HostCall& host) {
              const std::span<const std::int32_t> top =
                  host.top_k_.select({scores, length}, {}, static_cast<std::int64_t>(count));
              std::copy(top.begin(), top.end(), indices);
              return top.size();
            });
          },
      .uniform =
          [](const maskerade_call* call, std::int64_t row, std::uint32_t purpose,
             std::int64_t key) {
            return guarded(call, [&](HostCall& host) {
              host.require_declared(MASKERADE_DEPENDS_SEED, "uniform");
              const HostCall::BuilderRow at = host.builder_row(row);
              return host.random(at.head, purpose)
                  .uniform(static_cast<std::uint64_t>(
                               host.context_.inputs->visibility.position(at.query)),
                           static_cast<std::uint32_t>(key));
            });
          },
      .draw =
          [](const maskerade_call* call, std::int64_t row, std::uint32_t purpose,
             std::int64_t key_begin, std::int64_t key_end, std::size_t count, std::int32_t* keys,
             std::size_t* population) {
            return guarded(call, [&](HostCall& host) {
              return host.draw(row, purpose, key_begin, key_end, count, keys, population);
            });
          },
      .scratch =
          [](const maskerade_call* call, std::size_t bytes) {
            return guarded(call, [&](HostCall& host) { return host.scratch_.allocate(bytes, 64); });
          },
      .count_work =
          [](const maskerade_call* call, std::int64_t keys_scored, std::int64_t bytes_read) {
            guarded(call, [&](HostCall& host) {
              host.count_work(keys_scored, bytes_read);
              return true;
            });
          },
  };
  return &services;
}

}  // namespace maskerade
