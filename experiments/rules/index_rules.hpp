// What must hold of every masker's index as keys come and go.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "experiments/rules/violation.hpp"
#include "framework/pipeline/host_call.hpp"
#include "framework/pipeline/masker_host.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade::rules {

// Something that selects by an index over a sequence of keys, [0, key_len), that grows and shrinks.
class GrowingSelection {
 public:
  virtual ~GrowingSelection() = default;

  // Goes on to more keys.
  virtual void append(std::int64_t key_len) = 0;
  // Goes back to fewer keys.
  virtual void truncate(std::int64_t key_len) = 0;
  virtual Mask select() const = 0;
  virtual std::int64_t index_bytes() const = 0;
};
// Makes one with an index built over the first `key_len` keys of its sequence.
using GrowingSelectionMaker =
    std::function<std::unique_ptr<GrowingSelection>(std::int64_t key_len)>;

// A pipeline as its keys come. inputs_at(key_len) are the inputs with the first key_len keys of one
// sequence, always in the same memory, with whatever queries.
class GrowingPipeline final : public GrowingSelection {
 public:
  using InputsAt = std::function<AttentionInputs(std::int64_t key_len)>;
  GrowingPipeline(const Pipeline& pipeline,
                  InputsAt inputs_at,
                  const PipelineOptions& options,
                  int threads,
                  std::int64_t key_len);

  void append(std::int64_t key_len) override;
  void truncate(std::int64_t key_len) override;
  Mask select() const override { return selection().mask; }
  std::int64_t index_bytes() const override;
  Selection selection() const { return prepared_.select(threads_); }

 private:
  InputsAt inputs_at_;
  Threads threads_;
  PreparedPipeline prepared_;
};

// The inputs with the first `key_len` of their keys, at least one: with causality a query stands at
// the last of these where it would stand after it.
AttentionInputs first_keys(AttentionInputs inputs, std::int64_t key_len);

// A masker's index driven by the functions of its extension alone, without a pipeline: one per
// (batch, kv head), over the keys of the inputs, which outlive it. It can be built over no key at
// all, and selects once it has one, for the first_keys() of the inputs. Throws PluginError with the
// masker's own text when one of its functions fails.
class MaskerIndex final : public GrowingSelection {
 public:
  // Throws Error when the masker has no index.
  MaskerIndex(MaskerUse masker,
              const AttentionInputs& inputs,
              std::uint64_t seed,
              std::int64_t key_len);
  MaskerIndex(const MaskerIndex&) = delete;
  MaskerIndex& operator=(const MaskerIndex&) = delete;
  ~MaskerIndex() override;

  void append(std::int64_t key_len) override;
  void truncate(std::int64_t key_len) override;
  Mask select() const override;
  std::int64_t index_bytes() const override;
  // What this masker selects by the indexes that another instance has built over the same keys.
  Mask select_by(const MaskerIndex& other);

 private:
  const maskerade_index_extension& functions() const {
    return *use_.type->extension<maskerade_index_extension>();
  }
  void require(std::int32_t status) const;
  void destroy();
  // Restricts the inputs to the keys that the index has.
  void set_key_len(std::int64_t key_len);
  maskerade_key_span span(std::size_t index, std::int64_t begin, std::int64_t end) const;

  MaskerUse use_;
  AttentionInputs whole_;   // with all keys
  AttentionInputs inputs_;  // with those of the index
  MaskerHost host_;
  MaskerContext context_;
  void* masker_ = nullptr;
  std::vector<void*> indexes_;              // [batch * kv_heads]
  std::vector<const void*> const_indexes_;  // the same
  std::int64_t key_len_ = 0;
  mutable std::array<char, 1024> error_{};
};

// An index built over `built` keys and appended to in any split selects the same, and has the same
// bytes, as one that is appended to at once. Splits: steps of 1, 7, 16 and 31 keys, and steps that
// change.
Violations check_append_splits(const GrowingSelectionMaker& make,
                               std::int64_t built,
                               std::int64_t key_len);

// Building over few keys and appending is building over all of them: for masks and bytes, from each
// length of `built` to key_len, and after the index was cut back to that length. Not for an index
// that freezes statistics of the keys that it is built over.
Violations check_append_is_build(const GrowingSelectionMaker& make,
                                 std::span<const std::int64_t> built,
                                 std::int64_t key_len);

// Going from `built` to key_len keys, key by key: appending `step` keys and cutting them off again,
// `repetitions` times, leaves mask and bytes as they were and gives the same each time. Then, from
// key_len keys, cutting back to each length and appending again gives what was there, and cutting
// back to `built` what was built. Expected states come from indexes that are never cut.
Violations check_truncate_undoes_append(const GrowingSelectionMaker& make,
                                        std::int64_t built,
                                        std::int64_t key_len,
                                        std::int64_t step,
                                        int repetitions);

}  // namespace maskerade::rules
