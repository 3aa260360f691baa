#include "experiments/rules/index_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "experiments/rules/mask_rules.hpp"
#include "framework/base/error.hpp"
#include "framework/pipeline/declared.hpp"

namespace maskerade::rules {
namespace {

// What an index selects, and its bytes.
struct IndexState {
  Mask mask;
  std::int64_t bytes;

  static IndexState of(const GrowingSelection& growing) {
    return {growing.select(), growing.index_bytes()};
  }
};

Violations check_state(const std::string& rule,
                       const IndexState& found,
                       const IndexState& expected) {
  Violations all = check_same_entries(rule, found.mask, expected.mask);
  if (found.bytes != expected.bytes) {
    all.push_back(
        {rule,
         {},
         fmt::format("the index has {} bytes and should have {}", found.bytes, expected.bytes)});
  }
  return all;
}

}  // namespace

GrowingPipeline::GrowingPipeline(const Pipeline& pipeline,
                                 InputsAt inputs_at,
                                 const PipelineOptions& options,
                                 int threads,
                                 std::int64_t key_len)
    : inputs_at_(std::move(inputs_at)),
      threads_(threads),
      prepared_(pipeline.prepare(inputs_at_(key_len), options, threads_)) {}

void GrowingPipeline::append(std::int64_t key_len) {
  prepared_.append(inputs_at_(key_len), threads_);
}

void GrowingPipeline::truncate(std::int64_t key_len) {
  prepared_.truncate(inputs_at_(key_len), threads_);
}

std::int64_t GrowingPipeline::index_bytes() const {
  std::int64_t bytes = 0;
  for (const MaskerReport& report : selection().maskers) bytes += report.index_bytes;
  return bytes;
}

AttentionInputs first_keys(AttentionInputs inputs, std::int64_t key_len) {
  if (key_len == inputs.shape.key_len) return inputs;
  inputs.shape.key_len = inputs.k.length = inputs.v.length = key_len;
  if (!inputs.visibility.is_causal()) {
    inputs.visibility = Visibility::all(inputs.shape.query_len, key_len);
    return inputs;
  }
  std::vector<std::int64_t> positions = inputs.visibility.positions();
  for (std::int64_t& position : positions) position = std::min(position, key_len - 1);
  inputs.visibility = Visibility::at_positions(std::move(positions), key_len, true);
  return inputs;
}

MaskerIndex::MaskerIndex(MaskerUse masker,
                         const AttentionInputs& inputs,
                         std::uint64_t seed,
                         std::int64_t key_len)
    : use_(std::move(masker)),
      whole_(inputs),
      inputs_(inputs),
      host_({.seed = seed, .depends_on = readable_by(use_.type->descriptor())}),
      context_{.inputs = &inputs_,
               .seed = seed,
               .depends_on = readable_by(use_.type->descriptor()),
               .may_sample = true,
               .host = host_.c_host()} {
  if (use_.type->extension<maskerade_index_extension>() == nullptr) {
    throw Error(fmt::format("masker \"{}\" has no index", use_.type->id()));
  }
  const AttentionShape& shape = inputs_.shape;
  maskerade_create_info info{};
  info.struct_size = sizeof(info);
  info.shape = shown_shape(shape, context_.depends_on);
  info.causal = shown_causal(inputs_.visibility, context_.depends_on);
  info.layer = inputs_.layer;
  info.arguments = use_.arguments->view().data();
  info.argument_count = use_.arguments->view().size();
  info.host = host_.c_host();
  maskerade_grain grain{};
  require(use_.type->descriptor().create(&info, &masker_, &grain, error_.data(), error_.size()));
  try {
    for (std::int64_t i = 0; i < shape.batch * shape.kv_heads; ++i) {
      const maskerade_key_span keys = span(static_cast<std::size_t>(i), 0, key_len);
      void* index = nullptr;
      require(functions().build(masker_, &keys, &index, error_.data(), error_.size()));
      indexes_.push_back(index);
    }
  } catch (...) {
    destroy();
    throw;
  }
  const_indexes_.assign(indexes_.begin(), indexes_.end());
  context_.indexes = const_indexes_;
  set_key_len(key_len);
}

MaskerIndex::~MaskerIndex() { destroy(); }

void MaskerIndex::destroy() {
  for (void* index : indexes_) functions().destroy(masker_, index);
  indexes_.clear();
  use_.type->descriptor().destroy(masker_);
}

void MaskerIndex::append(std::int64_t key_len) {
  for (std::size_t i = 0; i < indexes_.size(); ++i) {
    const maskerade_key_span keys = span(i, key_len_, key_len);
    require(functions().append(masker_, indexes_[i], &keys, error_.data(), error_.size()));
  }
  set_key_len(key_len);
}

void MaskerIndex::set_key_len(std::int64_t key_len) {
  key_len_ = key_len;
  if (key_len == 0) return;  // there is nothing to select from
  inputs_ = first_keys(whole_, key_len);
}

void MaskerIndex::truncate(std::int64_t key_len) {
  for (std::size_t i = 0; i < indexes_.size(); ++i) {
    const maskerade_key_span keys = span(i, 0, key_len);
    require(functions().truncate(masker_, indexes_[i], &keys, error_.data(), error_.size()));
  }
  set_key_len(key_len);
}

std::int64_t MaskerIndex::index_bytes() const {
  std::size_t bytes = 0;
  for (const void* index : indexes_) bytes += functions().size_bytes(masker_, index);
  return static_cast<std::int64_t>(bytes);
}

Mask MaskerIndex::select() const {
  if (key_len_ == 0) throw Error("an index over no key has nothing to select from");
  const AttentionShape& shape = inputs_.shape;
  const MaskExtent extent{shape.batch, shape.query_heads};
  const Mask empty = Mask::empty(inputs_.visibility, extent);
  const Threads threads(1);
  HostCall host(context_, threads);
  std::vector<TileRow> rows;
  for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      host.start({batch, head, head + 1, 0, shape.query_len}, empty);
      require(use_.type->descriptor().select(masker_, &host.call(), error_.data(), error_.size()));
      for (std::int64_t query = 0; query < shape.query_len; query += empty.tile_height()) {
        rows.push_back(host.finish(head, query));
      }
    }
  }
  return Mask::from_tile_rows(inputs_.visibility, extent, rows);
}

Mask MaskerIndex::select_by(const MaskerIndex& other) {
  context_.indexes = other.const_indexes_;
  Mask mask = select();
  context_.indexes = const_indexes_;
  return mask;
}

void MaskerIndex::require(std::int32_t status) const {
  if (status == MASKERADE_OK) return;
  throw PluginError(use_.type->library().string(),
                    fmt::format("masker \"{}\" failed: {}", use_.type->id(), error_.data()));
}

maskerade_key_span MaskerIndex::span(std::size_t index,
                                     std::int64_t begin,
                                     std::int64_t end) const {
  return shown_keys(inputs_, static_cast<std::int64_t>(index), begin, end, context_.depends_on,
                    host_.c_host());
}

Violations check_append_splits(const GrowingSelectionMaker& make,
                               std::int64_t built,
                               std::int64_t key_len) {
  const auto at_once = make(built);
  at_once->append(key_len);
  const IndexState expected = IndexState::of(*at_once);
  Violations all;
  for (const std::int64_t step : {0, 1, 7, 16, 31}) {
    const auto split = make(built);
    for (std::int64_t end = built; end < key_len;) {
      end = std::min(end + (step == 0 ? 1 + end % 7 : step), key_len);
      split->append(end);
    }
    const std::string how = step == 0 ? "in steps of 1 to 7 keys" : fmt::format("by {} keys", step);
    append(all, check_state("appending " + how + " is appending at once", IndexState::of(*split),
                            expected));
  }
  return all;
}

Violations check_append_is_build(const GrowingSelectionMaker& make,
                                 std::span<const std::int64_t> built,
                                 std::int64_t key_len) {
  const auto whole = make(key_len);
  const IndexState expected = IndexState::of(*whole);
  Violations all;
  for (const std::int64_t start : built) {
    const auto grown = make(start);
    grown->append(key_len);
    const std::string from = fmt::format(" from {} keys on", start);
    append(all, check_state("appending" + from + " is building at once", IndexState::of(*grown),
                            expected));
    grown->truncate(start);
    grown->append(key_len);
    append(all, check_state("cutting back and appending" + from + " is building at once",
                            IndexState::of(*grown), expected));
    whole->truncate(start);
    whole->append(key_len);
    append(all,
           check_state("cutting what was built at once and appending" + from + " gives it back",
                       IndexState::of(*whole), expected));
  }
  return all;
}

Violations check_truncate_undoes_append(const GrowingSelectionMaker& make,
                                        std::int64_t built,
                                        std::int64_t key_len,
                                        std::int64_t step,
                                        int repetitions) {
  Violations all;
  const auto repeated = make(built);
  const IndexState as_built = IndexState::of(*repeated);
  // These are never cut: one key further than `repeated`, and `step` keys further.
  const auto next = make(built);
  const auto ahead = make(built);
  std::int64_t ahead_end = built;
  for (std::int64_t start = built; start < key_len; ++start) {
    const std::int64_t end = std::min(start + step, key_len);
    const IndexState before = IndexState::of(*repeated);
    if (end > ahead_end) ahead->append(end);
    ahead_end = end;
    const IndexState expected = IndexState::of(*ahead);
    const std::string keys = fmt::format("keys {} to {}", start, end - 1);
    for (int repetition = 0; repetition < repetitions; ++repetition) {
      repeated->append(end);
      // To select now and then shows as much as to select every time.
      if (repetition % 25 == 0) {
        append(all, check_state(fmt::format("appending {} again gives the same", keys),
                                IndexState::of(*repeated), expected));
      }
      repeated->truncate(start);
    }
    append(all, check_state(fmt::format("cutting off {} undoes appending them", keys),
                            IndexState::of(*repeated), before));
    repeated->append(start + 1);
    next->append(start + 1);
    append(all, check_state(fmt::format("going on with key {} gives the same", start),
                            IndexState::of(*repeated), IndexState::of(*next)));
  }
  const IndexState whole = IndexState::of(*next);
  for (std::int64_t start = built; start < key_len; ++start) {
    repeated->truncate(start);
    if (start == built) {
      append(all, check_state(fmt::format("cutting off keys {} to {} undoes appending them", start,
                                          key_len - 1),
                              IndexState::of(*repeated), as_built));
    }
    repeated->append(start + 1);
    if (start + 1 < key_len) repeated->append(key_len);
  }
  append(all, check_state("cutting back to any length and appending gives the same",
                          IndexState::of(*repeated), whole));
  return all;
}

}  // namespace maskerade::rules
