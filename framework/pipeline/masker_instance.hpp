#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/pipeline/head_routes.hpp"
#include "framework/pipeline/host_call.hpp"
#include "framework/pipeline/masker_host.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// Keys [begin, end).
struct KeyInterval {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// A masker instance and its indexes, freed by the library that made them. What the masker refuses
// is thrown as a PluginError with its own text.
class MaskerInstance {
 public:
  MaskerInstance(MaskerUse use,
                 const AttentionInputs& inputs,
                 std::uint64_t seed,
                 std::uint32_t place);
  MaskerInstance(MaskerInstance&& other) noexcept;
  MaskerInstance& operator=(MaskerInstance&&) = delete;
  ~MaskerInstance();

  const MaskerType& type() const { return *use_.type; }
  bool may_sample() const { return samples(use_.type->descriptor(), *use_.arguments); }
  std::optional<KeyPopulation> population(std::int64_t key_len) const {
    return population_of(use_.type->descriptor(), *use_.arguments, key_len);
  }
  const maskerade_grain& grain() const { return grain_; }
  const maskerade_host* host() const { return host_->c_host(); }
  const maskerade_index_extension* extension() const { return use_.type->index_extension(); }
  // One for each (batch, kv head); null where no head reads it. Empty without the extension.
  const std::vector<const void*>& indexes() const { return indexes_; }
  std::int64_t index_bytes() const;
  // What a report says before anything is selected.
  MaskerReport report(const AttentionInputs& inputs) const;

  // One index per (batch, kv head) that one of `heads` reads.
  void build_indexes(const AttentionInputs& inputs, const HeadSet& heads, const Threads& threads);
  void append_to_indexes(const AttentionInputs& inputs, KeyInterval added, const Threads& threads);
  // Forgets the keys that the inputs do not have.
  void truncate_indexes(const AttentionInputs& inputs, const Threads& threads);

  // Adds the masker's entries for the rows of a started call. [any thread]
  void select(const HostCall& call) const;

  // What it adds on a CUDA device at most; nothing when it does not select there.
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const;
  // Enqueues its selection on the device. failure: what the host's services refused, or "".
  void select_on_device(const maskerade_cuda_call& call, const std::string& failure) const;
  // What an index wants on the device; empty when it wants nothing.
  std::span<const std::byte> index_data(const void* index) const;

 private:
  template <typename Change>
  void for_each_index(const AttentionInputs& inputs,
                      KeyInterval range,
                      const Threads& threads,
                      Change&& change);
  [[noreturn]] void fail(const char* what, const std::string& reason) const;

  MaskerUse use_;
  std::unique_ptr<MaskerHost> host_;
  bool owned_ = false;  // not moved from; a stateless masker's instance may be NULL
  void* masker_ = nullptr;
  maskerade_grain grain_{1, MASKERADE_HEADS_ONE};
  std::vector<const void*> indexes_;
};

}  // namespace maskerade
