#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/pipeline/head_routes.hpp"
#include "framework/pipeline/host_call.hpp"
#include "framework/pipeline/loaded_masker.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// Keys [begin, end).
struct KeyInterval {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// A loaded masker at work on one sequence, with its indexes; destroying this frees these through
// the library that made them. Errors as LoadedMasker's.
class MaskerInstance {
 public:
  explicit MaskerInstance(std::shared_ptr<const LoadedMasker> loaded)
      : loaded_(std::move(loaded)) {}
  MaskerInstance(MaskerInstance&& other) noexcept = default;  // the other one has no index then
  MaskerInstance& operator=(MaskerInstance&&) = delete;
  ~MaskerInstance();

  const MaskerType& type() const { return loaded_->type(); }
  bool may_sample() const { return samples(type().descriptor(), *loaded_->use().arguments); }
  std::optional<KeyPopulation> population(std::int64_t key_len) const {
    return population_of(type().descriptor(), *loaded_->use().arguments, key_len);
  }
  const maskerade_grain& grain() const { return loaded_->grain(); }
  const maskerade_host* host() const { return loaded_->host(); }
  // One for each (batch, kv head); null where no head reads it. Empty for a masker without an
  // index.
  const std::vector<const void*>& indexes() const { return indexes_; }
  std::int64_t index_bytes() const;
  // The report of a selection that has not scored or read anything yet: id, index bytes, and
  // whether the index spans the future.
  MaskerReport report(const AttentionInputs& inputs) const;

  // Builds an index for each (batch, kv head) that one of `heads` reads.
  void build_indexes(const AttentionInputs& inputs, const HeadSet& heads, const Threads& threads);
  void append_to_indexes(const AttentionInputs& inputs, KeyInterval added, const Threads& threads);
  // Forgets the keys that the inputs do not have.
  void truncate_indexes(const AttentionInputs& inputs, const Threads& threads);

  // Adds the masker's entries for the rows of a started call. [any thread]
  void select(const HostCall& call) const;

  // The most that it adds on a CUDA device; nullopt when it selects on the CPU.
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call& call) const;
  // Enqueues its selection on the device. failure: where the host's services say why one refused;
  // it is read after the masker has returned.
  void select_on_device(const maskerade_cuda_call& call, const std::string& failure) const;
  // The bytes of an index that select_on_device() needs in device memory; may be empty.
  std::span<const std::byte> index_data(const void* index) const;

 private:
  template <typename Change>
  void for_each_index(const AttentionInputs& inputs,
                      KeyInterval range,
                      const Threads& threads,
                      Change&& change);
  // Null for a masker without an index.
  const maskerade_index_extension* index_functions() const {
    return type().extension<maskerade_index_extension>();
  }

  std::shared_ptr<const LoadedMasker> loaded_;
  std::vector<const void*> indexes_;
};

}  // namespace maskerade
