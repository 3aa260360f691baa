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

// A masker instance and its indexes; destroying this frees both through the library that made them.
// Where a function of the masker fails, a PluginError with the masker's own text is thrown.
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
    return use_.type->extension<maskerade_index_extension>();
  }
  // Calls function(error, error_size), one of the masker's, and throws PluginError when it failed
  // or the host refused something that it asked for, even if it ignored that. The first of these
  // that there is gives the reason: what a service of the call refused, read after the function has
  // returned; what the instance's host refused; the masker's own text.
  template <typename Function>
  void run(const char* what, Function&& function, const std::string& refusal_of_call = "") const;
  void destroy() noexcept;
  [[noreturn]] void fail(const char* what, const std::string& reason) const;

  MaskerUse use_;
  std::unique_ptr<MaskerHost> host_;
  // Whether masker_ must be destroyed: not after a move, but for a masker without state, whose
  // instance is NULL, too.
  bool owned_ = false;
  void* masker_ = nullptr;
  maskerade_grain grain_{1, MASKERADE_HEADS_ONE};
  std::vector<const void*> indexes_;
};

}  // namespace maskerade
