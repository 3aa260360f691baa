#include "framework/pipeline/pipeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/mask/tile_row_builder.hpp"
#include "framework/pipeline/host_call.hpp"
#include "framework/pipeline/masker_host.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kErrorBytes = 1024;

constexpr std::uint32_t kContent = MASKERADE_DEPENDS_SEED | MASKERADE_DEPENDS_QUERY |
                                   MASKERADE_DEPENDS_KEY | MASKERADE_DEPENDS_VALUE;

// Keys [begin, end).
struct KeyRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
};

// A masker instance and its indexes; freed by the library that made them.
class Instance {
 public:
  Instance(MaskerUse use, const AttentionInputs& inputs, std::uint64_t seed, std::uint32_t place)
      : use_(std::move(use)),
        host_(std::make_unique<MaskerHost>(
            MaskerPlace{.seed = seed,
                        .place = place,
                        .layer = inputs.layer,
                        .depends_on = use_.type->descriptor().depends_on})) {
    const AttentionShape& shape = inputs.shape;
    maskerade_create_info info{};
    info.struct_size = sizeof(info);
    info.shape = {shape.batch,     shape.query_heads, shape.kv_heads,
                  shape.query_len, shape.key_len,     shape.head_dim};
    info.causal = inputs.visibility.is_causal() ? 1 : 0;
    info.layer = inputs.layer;
    info.arguments = use_.arguments->view().data();
    info.argument_count = use_.arguments->view().size();
    info.host = host_->c_host();
    std::array<char, kErrorBytes> error{};
    if (use_.type->descriptor().create(&info, &masker_, &grain_, error.data(), error.size()) !=
        MASKERADE_OK) {
      fail("cannot be created", error.data());
    }
    if (grain_.query_block < 1 || grain_.heads > MASKERADE_HEADS_ALL) {
      use_.type->descriptor().destroy(masker_);
      fail("cannot be created",
           fmt::format("its grain is {} tokens, heads {}; the block must be at least 1 and heads a "
                       "MASKERADE_HEADS_ value",
                       grain_.query_block, grain_.heads));
    }
    owned_ = true;
  }
  Instance(Instance&& other) noexcept
      : use_(std::move(other.use_)),
        host_(std::move(other.host_)),
        owned_(std::exchange(other.owned_, false)),
        masker_(other.masker_),
        grain_(other.grain_),
        indexes_(std::move(other.indexes_)) {}
  Instance& operator=(Instance&&) = delete;
  ~Instance() {
    if (!owned_) return;
    for (const void* index : indexes_) {
      if (index != nullptr) extension()->destroy(masker_, const_cast<void*>(index));
    }
    use_.type->descriptor().destroy(masker_);
  }

  const MaskerType& type() const { return *use_.type; }
  bool may_sample() const { return samples(use_.type->descriptor(), *use_.arguments); }
  const maskerade_grain& grain() const { return grain_; }
  const maskerade_host* host() const { return host_->c_host(); }
  const std::vector<const void*>& indexes() const { return indexes_; }
  const maskerade_index_extension* extension() const { return use_.type->index_extension(); }

  // One index per (batch, kv head) that one of `heads` reads.
  void build_indexes(const AttentionInputs& inputs, const HeadSet& heads, const Threads& threads) {
    if (extension() == nullptr) return;
    indexes_.assign(static_cast<std::size_t>(inputs.shape.batch * inputs.shape.kv_heads), nullptr);
    const KeyRange all{0, inputs.shape.key_len};
    for_each_index(inputs, all, threads, [&](const maskerade_key_span& span, const void*& index) {
      if (!heads.reads(span.kv_head, inputs.shape)) return;
      std::array<char, kErrorBytes> error{};
      void* made = nullptr;
      if (extension()->build(masker_, &span, &made, error.data(), error.size()) != MASKERADE_OK) {
        fail("cannot build its index", error.data());
      }
      if (made == nullptr) fail("cannot build its index", "it gave NULL");
      index = made;
    });
  }
  void append_to_indexes(const AttentionInputs& inputs, KeyRange added, const Threads& threads) {
    for_each_index(inputs, added, threads, [&](const maskerade_key_span& span, const void*& index) {
      if (index == nullptr) return;
      std::array<char, kErrorBytes> error{};
      if (extension()->append(masker_, const_cast<void*>(index), &span, error.data(),
                              error.size()) != MASKERADE_OK) {
        fail("cannot append to its index", error.data());
      }
    });
  }
  void truncate_indexes(const AttentionInputs& inputs, const Threads& threads) {
    const KeyRange kept{0, inputs.shape.key_len};
    for_each_index(inputs, kept, threads, [&](const maskerade_key_span& span, const void*& index) {
      if (index == nullptr) return;
      std::array<char, kErrorBytes> error{};
      if (extension()->truncate(masker_, const_cast<void*>(index), &span, error.data(),
                                error.size()) != MASKERADE_OK) {
        fail("cannot truncate its index", error.data());
      }
    });
  }
  std::int64_t index_bytes() const {
    std::int64_t bytes = 0;
    for (const void* index : indexes_) {
      if (index == nullptr) continue;
      bytes += static_cast<std::int64_t>(extension()->size_bytes(masker_, index));
    }
    return bytes;
  }

  void select(const HostCall& host) const {
    std::array<char, kErrorBytes> error{};
    const std::int32_t status =
        use_.type->descriptor().select(masker_, &host.call(), error.data(), error.size());
    if (!host.failure().empty()) fail("failed", host.failure());
    if (status != MASKERADE_OK) fail("failed", error.data());
  }

 private:
  // Calls change(keys, index) for each (batch, kv head), with its keys of the range, many at once.
  template <typename Change>
  void for_each_index(const AttentionInputs& inputs,
                      KeyRange range,
                      const Threads& threads,
                      Change&& change) {
    const bool values = use_.type->depends_on(MASKERADE_DEPENDS_VALUE);
    threads.for_each(static_cast<std::int64_t>(indexes_.size()), [&](std::int64_t item, int) {
      maskerade_key_span span{};
      span.struct_size = sizeof(span);
      span.dtype = static_cast<std::uint32_t>(inputs.k.dtype);
      span.batch = item / inputs.shape.kv_heads;
      span.kv_head = item % inputs.shape.kv_heads;
      span.keys = inputs.k.row(span.batch, span.kv_head, range.begin);
      span.values = values ? inputs.v.row(span.batch, span.kv_head, range.begin) : nullptr;
      span.key_row_stride = inputs.k.row_stride;
      span.value_row_stride = inputs.v.row_stride;
      span.key_begin = range.begin;
      span.key_end = range.end;
      span.head_dim = inputs.shape.head_dim;
      span.layer = inputs.layer;
      span.host = host();
      change(span, indexes_[static_cast<std::size_t>(item)]);
    });
  }

  [[noreturn]] void fail(const char* what, const std::string& reason) const {
    throw PluginError(use_.type->library().string(),
                      fmt::format("masker \"{}\" {}: {}", use_.type->id(), what, reason));
  }

  MaskerUse use_;
  std::unique_ptr<MaskerHost> host_;
  bool owned_ = false;  // not moved from; a stateless masker's instance may be NULL
  void* masker_ = nullptr;
  maskerade_grain grain_{1, MASKERADE_HEADS_ONE};
  std::vector<const void*> indexes_;
};

// Where the rows may be cut: first queries of chunks, and query_len. A cut falls on a tile row's
// first query and on a unit border, at the first such place after chunk_rows rows.
std::vector<std::int64_t> chunk_borders(const Visibility& visibility,
                                        std::int64_t query_block,
                                        std::int64_t chunk_rows) {
  const std::int64_t height = std::min(kTileRows, visibility.query_len());
  const auto unit = [&](std::int64_t query) {
    return maskerade_block_of(visibility.position(query), query_block);
  };
  std::vector<std::int64_t> borders = {0};
  for (std::int64_t query = height; query < visibility.query_len(); query += height) {
    if (query - borders.back() >= chunk_rows && unit(query) != unit(query - 1)) {
      borders.push_back(query);
    }
  }
  borders.push_back(visibility.query_len());
  return borders;
}

MaskExtent larger(MaskExtent a, MaskExtent b) {
  return {std::max(a.batch, b.batch), std::max(a.heads, b.heads)};
}

// The extent over which a masker's selection differs.
MaskExtent own_extent(const MaskerType& type, const AttentionShape& shape) {
  return {type.depends_on(kContent | MASKERADE_DEPENDS_BATCH) ? shape.batch : 1,
          type.depends_on(kContent | MASKERADE_DEPENDS_HEAD) ? shape.query_heads : 1};
}

// How many query heads make a unit of a masker.
std::int64_t heads_together(const maskerade_grain& grain, const AttentionShape& shape) {
  if (grain.heads == MASKERADE_HEADS_ALL) return shape.query_heads;
  return grain.heads == MASKERADE_HEADS_GROUP ? shape.group_size() : 1;
}

// The mask after one masker, from the mask before it. A mask of several heads holds those of
// `heads`; the others are empty.
Mask run_masker(const Instance& instance,
                const MaskerContext& context,
                const Mask& previous,
                const HeadSet& heads,
                std::int64_t chunk_rows,
                const Threads& threads,
                MaskerReport& report) {
  const AttentionShape& shape = context.inputs->shape;
  const Visibility& visibility = context.inputs->visibility;
  const MaskExtent extent = larger(previous.extent(), own_extent(instance.type(), shape));
  const std::int64_t height = previous.tile_height();
  const std::int64_t tile_rows = previous.tile_row_count();
  const auto borders = chunk_borders(visibility, instance.grain().query_block, chunk_rows);
  const auto chunks = static_cast<std::int64_t>(borders.size()) - 1;
  const bool is_shared = extent.heads == 1;
  const std::int64_t together = is_shared ? 1 : heads_together(instance.grain(), shape);
  const std::vector<std::int64_t> groups =
      is_shared ? std::vector<std::int64_t>{0} : heads.units(together);
  const auto group_count = static_cast<std::int64_t>(groups.size());

  // Too few units for the threads: each in turn, its keys scored by all threads.
  const std::int64_t units = extent.batch * group_count * chunks;
  const bool in_turn = units < threads.count() &&
                       instance.type().depends_on(MASKERADE_DEPENDS_QUERY) &&
                       instance.type().depends_on(MASKERADE_DEPENDS_KEY);
  const Threads alone(1);
  const Threads& of_units = in_turn ? alone : threads;
  const Threads& of_parts = in_turn ? threads : alone;

  std::vector<std::unique_ptr<HostCall>> hosts(static_cast<std::size_t>(of_units.count()));
  const auto words = static_cast<std::size_t>((previous.tile_count() + 63) / 64);
  std::vector<TileRow> results(static_cast<std::size_t>(extent.batch * extent.heads * tile_rows));
  for (std::int64_t head = 0; head < extent.heads && !is_shared; ++head) {
    for (std::int64_t b = 0; b < extent.batch && !heads.has(head); ++b) {
      std::fill_n(results.begin() + (b * extent.heads + head) * tile_rows, tile_rows,
                  TileRow{.any = std::vector<std::uint64_t>(words),
                          .full = std::vector<std::uint64_t>(words)});
    }
  }
  of_units.for_each(units, [&](std::int64_t item, int worker) {
    const std::int64_t chunk = item % chunks;
    const std::int64_t group = groups[static_cast<std::size_t>(item / chunks % group_count)];
    const CallRows rows{.batch = item / chunks / group_count,
                        .head_begin = group * together,
                        .head_end = (group + 1) * together,
                        .query_begin = borders[static_cast<std::size_t>(chunk)],
                        .query_end = borders[static_cast<std::size_t>(chunk) + 1]};
    auto& host = hosts[static_cast<std::size_t>(worker)];
    if (!host) host = std::make_unique<HostCall>(context, of_parts);
    host->start(rows, previous);
    instance.select(*host);
    for (std::int64_t head = rows.head_begin; head < rows.head_end; ++head) {
      for (std::int64_t query = rows.query_begin; query < rows.query_end; query += height) {
        results[static_cast<std::size_t>((rows.batch * extent.heads + head) * tile_rows +
                                         query / height)] = host->finish(head, query);
      }
    }
  });
  for (const auto& host : hosts) {
    if (!host) continue;
    report.keys_scored += host->keys_scored();
    report.bytes_read += host->bytes_read();
  }
  return Mask::from_tile_rows(visibility, extent, results);
}

bool is_sampler(const MaskerUse& use) { return samples(use.type->descriptor(), *use.arguments); }

// A sampler's probabilities are those of the keys that were inactive when it drew. A masker that
// reads what is active and comes later would choose by the draw's outcome and bias the estimate; a
// second sampler over the same keys would count their mass twice. One over other keys does neither.
void check_order(const std::vector<MaskerUse>& maskers) {
  std::vector<const MaskerUse*> samplers;
  for (const MaskerUse& use : maskers) {
    const bool may_draw = is_sampler(use);
    for (const MaskerUse* sampler : samplers) {
      if (may_draw && !can_be_disjoint(use.type->descriptor(), *use.arguments,
                                       sampler->type->descriptor(), *sampler->arguments)) {
        throw Error(
            fmt::format("the sampler \"{}\" cannot follow the sampler \"{}\": together they "
                        "would count the mass of the keys that they draw from twice; keep one",
                        use.type->id(), sampler->type->id()));
      }
      if (!may_draw && use.type->depends_on(MASKERADE_DEPENDS_ACTIVE)) {
        throw Error(
            fmt::format("\"{0}\" reads which keys are active and cannot follow the sampler "
                        "\"{1}\": the estimate would be biased; put \"{0}\" before it",
                        use.type->id(), sampler->type->id()));
      }
    }
    if (may_draw) samplers.push_back(&use);
  }
}

// What selects for some heads: a list of maskers, ready to run.
struct PreparedRoute {
  std::string name;  // "": the pipeline's own
  HeadSet heads;
  bool is_dense = false;
  std::vector<MaskerUse> maskers = {};
  std::vector<Instance> instances = {};
  std::vector<HeadSet> heads_of = {};  // each instance: those that it runs over
};

// Whether a query does not see every key.
bool leaves_keys_unseen(const Visibility& visibility) {
  return std::any_of(visibility.ends().begin(), visibility.ends().end(),
                     [&](std::int64_t end) { return end < visibility.key_len(); });
}

PreparedRoute prepare_route(const std::string& name,
                            const HeadSet& heads,
                            bool is_dense,
                            const std::vector<MaskerUse>& maskers,
                            const AttentionInputs& inputs,
                            const PipelineOptions& options,
                            const Threads& threads) {
  PreparedRoute route{.name = name, .heads = heads, .is_dense = is_dense, .maskers = maskers};
  for (const MaskerUse& use : maskers) {
    const auto place = static_cast<std::uint32_t>(route.instances.size());
    route.instances.emplace_back(use, inputs, options.seed, place);
  }
  // Backwards: a masker sees what the ones before it made active in the whole of its units.
  route.heads_of.assign(route.instances.size(), heads);
  HeadSet needed = heads;
  for (std::size_t i = route.instances.size(); i-- > 0;) {
    needed = needed.with_units_of(heads_together(route.instances[i].grain(), inputs.shape));
    route.heads_of[i] = needed;
  }
  for (std::size_t i = 0; i < route.instances.size(); ++i) {
    route.instances[i].build_indexes(inputs, route.heads_of[i], threads);
  }
  return route;
}

}  // namespace

struct PreparedPipeline::State {
  AttentionInputs inputs;
  PipelineOptions options;
  std::vector<PreparedRoute> routes;  // each head is in one

  void check_samplers(std::int64_t key_len) const {
    for (const PreparedRoute& route : routes) check_populations(route.maskers, key_len);
  }

  // The mask of the heads of a route, and what its maskers did.
  Mask select(const PreparedRoute& route,
              Mask mask,
              const Threads& threads,
              std::vector<MaskerReport>& reports) const {
    if (route.is_dense) return Mask::full(inputs.visibility);
    for (std::size_t i = 0; i < route.instances.size(); ++i) {
      const Instance& instance = route.instances[i];
      const Stopwatch watch;
      MaskerReport report{.id = instance.type().id(), .route = route.name};
      const MaskerContext context{.inputs = &inputs,
                                  .seed = options.seed,
                                  .place = static_cast<std::uint32_t>(i),
                                  .depends_on = instance.type().descriptor().depends_on,
                                  .may_sample = instance.may_sample(),
                                  .host = instance.host(),
                                  .indexes = instance.indexes()};
      mask = run_masker(instance, context, mask, route.heads_of[i], options.chunk_rows, threads,
                        report);
      report.select_ms = watch.elapsed_ms();
      if (instance.extension() != nullptr) {
        report.index_bytes = instance.index_bytes();
        report.index_spans_future =
            instance.extension()->spans_future != 0 && leaves_keys_unseen(inputs.visibility);
      }
      reports.push_back(std::move(report));
    }
    return mask;
  }
};

namespace {

// Whether two views begin at one place and lie alike, whatever their lengths.
bool same_memory(const TensorView& a, const TensorView& b) {
  return a.data == b.data && a.dtype == b.dtype && a.batch == b.batch && a.heads == b.heads &&
         a.dim == b.dim && a.batch_stride == b.batch_stride && a.head_stride == b.head_stride &&
         a.row_stride == b.row_stride;
}

// Throws ShapeError unless `next` views more (or fewer) keys of the same sequence as `present`.
void check_same_sequence(const AttentionInputs& present, const AttentionInputs& next) {
  next.validate();
  if (next.shape.query_heads != present.shape.query_heads || next.layer != present.layer ||
      next.visibility.is_causal() != present.visibility.is_causal() ||
      !same_memory(next.k, present.k) || !same_memory(next.v, present.v)) {
    throw ShapeError(
        fmt::format("inputs of shape {} do not view the sequence that a pipeline was prepared on, "
                    "{}; k and v must stay where they are, and batch, heads, head_dim, layer and "
                    "causality the same",
                    next.shape.to_string(), present.shape.to_string()));
  }
}

}  // namespace

PreparedPipeline::PreparedPipeline(std::unique_ptr<State> state) : state_(std::move(state)) {}
PreparedPipeline::~PreparedPipeline() = default;
PreparedPipeline::PreparedPipeline(PreparedPipeline&&) noexcept = default;
PreparedPipeline& PreparedPipeline::operator=(PreparedPipeline&&) noexcept = default;

void PreparedPipeline::append(const AttentionInputs& inputs, const Threads& threads) {
  check_same_sequence(state_->inputs, inputs);
  state_->check_samplers(inputs.shape.key_len);
  const KeyRange added{state_->inputs.shape.key_len, inputs.shape.key_len};
  if (added.end < added.begin) {
    throw ShapeError(fmt::format("inputs of {} keys cannot be appended to a pipeline of {} keys",
                                 added.end, added.begin));
  }
  state_->inputs = inputs;
  if (added.begin == added.end) return;
  for (PreparedRoute& route : state_->routes) {
    for (Instance& instance : route.instances) instance.append_to_indexes(inputs, added, threads);
  }
}

void PreparedPipeline::truncate(const AttentionInputs& inputs, const Threads& threads) {
  check_same_sequence(state_->inputs, inputs);
  if (inputs.shape.key_len > state_->inputs.shape.key_len) {
    throw ShapeError(fmt::format("a pipeline of {} keys cannot be truncated to {} keys",
                                 state_->inputs.shape.key_len, inputs.shape.key_len));
  }
  state_->check_samplers(inputs.shape.key_len);
  const bool is_shorter = inputs.shape.key_len < state_->inputs.shape.key_len;
  state_->inputs = inputs;
  if (!is_shorter) return;
  for (PreparedRoute& route : state_->routes) {
    for (Instance& instance : route.instances) instance.truncate_indexes(inputs, threads);
  }
}

Selection PreparedPipeline::select(const Threads& threads) const {
  return select(threads, Mask::empty(state_->inputs.visibility));
}

Selection PreparedPipeline::select(const Threads& threads, const Mask& previous) const {
  const AttentionShape& shape = state_->inputs.shape;
  const MaskExtent extent = previous.extent();
  if (!(previous.visibility() == state_->inputs.visibility) ||
      (extent.batch != 1 && extent.batch != shape.batch) ||
      (extent.heads != 1 && extent.heads != shape.kv_heads && extent.heads != shape.query_heads)) {
    throw ShapeError(fmt::format(
        "the previous mask, batch {}, heads {}, {} x {}, does not fit a problem of shape {}",
        extent.batch, extent.heads, previous.query_len(), previous.key_len(), shape.to_string()));
  }
  // Maskers run over one head for all, or over every query head.
  const std::int64_t heads = extent.heads == 1 ? 1 : shape.query_heads;
  Mask before = heads == extent.heads ? previous : broadcast(previous, {extent.batch, heads});
  std::vector<MaskerReport> reports;
  if (state_->routes.size() == 1) {
    Mask mask = state_->select(state_->routes.front(), std::move(before), threads, reports);
    return {std::move(mask), std::move(reports)};
  }
  std::vector<Mask> masks;
  for (const PreparedRoute& route : state_->routes) {
    masks.push_back(state_->select(route, before, threads, reports));
  }
  std::vector<const Mask*> of_head(static_cast<std::size_t>(shape.query_heads));
  for (std::size_t i = 0; i < masks.size(); ++i) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      if (state_->routes[i].heads.has(head)) of_head[static_cast<std::size_t>(head)] = &masks[i];
    }
  }
  return {gather_heads(of_head), std::move(reports)};
}

void check_populations(const std::vector<MaskerUse>& maskers, std::int64_t key_len) {
  std::vector<std::pair<const MaskerUse*, KeyPopulation>> samplers;
  for (const MaskerUse& use : maskers) {
    if (!is_sampler(use)) continue;
    const auto keys = population_of(use.type->descriptor(), *use.arguments, key_len);
    if (!keys) continue;  // then it is the only sampler
    for (const auto& [other, taken] : samplers) {
      if (!keys->overlaps(taken)) continue;
      throw Error(fmt::format(
          "the sampler \"{}\" draws from keys [{}, {}) of {} and the sampler \"{}\" before it from "
          "[{}, {}): together they would count the mass of the keys in both twice; make the ranges "
          "disjoint, or keep one",
          use.type->id(), keys->begin, keys->end, key_len, other->type->id(), taken.begin,
          taken.end));
    }
    samplers.emplace_back(&use, *keys);
  }
}

Pipeline::Pipeline(std::vector<MaskerUse> maskers, std::vector<HeadRoute> routes)
    : maskers_(std::move(maskers)), routes_(std::move(routes)) {
  check_order(maskers_);
  for (const HeadRoute& route : routes_) check_order(route.maskers);
  check_routes(routes_);
}

const HeadRoute* Pipeline::route_of(std::int64_t head) const noexcept {
  for (const HeadRoute& route : routes_) {
    if (std::binary_search(route.heads.begin(), route.heads.end(), head)) return &route;
  }
  return nullptr;
}

bool Pipeline::depends_on_seed() const noexcept {
  const auto draws = [](const std::vector<MaskerUse>& maskers) {
    return std::any_of(maskers.begin(), maskers.end(), [](const MaskerUse& use) {
      return use.type->depends_on(MASKERADE_DEPENDS_SEED);
    });
  };
  return draws(maskers_) ||
         std::any_of(routes_.begin(), routes_.end(),
                     [&](const HeadRoute& route) { return draws(route.maskers); });
}

PreparedPipeline Pipeline::prepare(const AttentionInputs& inputs,
                                   const PipelineOptions& options,
                                   const Threads& threads) const {
  inputs.validate();
  check_populations(maskers_, inputs.shape.key_len);
  for (const HeadRoute& route : routes_) check_populations(route.maskers, inputs.shape.key_len);
  auto state =
      std::make_unique<PreparedPipeline::State>(PreparedPipeline::State{inputs, options, {}});
  HeadSet own = HeadSet::all(inputs.shape.query_heads);
  std::vector<HeadSet> of_route;
  for (const HeadRoute& route : routes_) {
    of_route.push_back(HeadSet::of(route, inputs.shape.query_heads));
    own.remove(of_route.back());
  }
  if (!own.is_empty()) {
    state->routes.push_back(prepare_route("", own, false, maskers_, inputs, options, threads));
  }
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const HeadRoute& route = routes_[i];
    if (of_route[i].is_empty()) continue;
    state->routes.push_back(prepare_route(route.name, of_route[i], route.is_dense, route.maskers,
                                          inputs, options, threads));
  }
  return PreparedPipeline(std::move(state));
}

}  // namespace maskerade
