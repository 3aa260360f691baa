#include "framework/pipeline/pipeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/pipeline/declared.hpp"
#include "framework/pipeline/loaded_masker.hpp"
#include "framework/pipeline/masker_instance.hpp"
#include "framework/pipeline/run_masker.hpp"

namespace maskerade {
namespace {

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

// The maskers of some heads.
struct LoadedRoute {
  std::string name;  // "" for the pipeline's own maskers
  HeadSet heads;
  bool is_dense = false;
  std::vector<std::shared_ptr<const LoadedMasker>> maskers = {};
  std::vector<HeadSet> heads_of = {};  // of each masker: the heads that it runs over
};

LoadedRoute load_route(const std::string& name,
                       const HeadSet& heads,
                       bool is_dense,
                       const std::vector<MaskerUse>& maskers,
                       const AttentionInputs& inputs,
                       const PipelineOptions& options) {
  LoadedRoute route{.name = name, .heads = heads, .is_dense = is_dense};
  for (const MaskerUse& use : maskers) {
    const auto place = static_cast<std::uint32_t>(route.maskers.size());
    route.maskers.push_back(std::make_shared<const LoadedMasker>(use, inputs, options.seed, place));
  }
  // From the last masker to the first: a masker sees what those before it made active in the whole
  // of its units, so these must run over all heads of its units.
  route.heads_of.assign(route.maskers.size(), heads);
  HeadSet needed = heads;
  for (std::size_t i = route.maskers.size(); i-- > 0;) {
    needed = needed.with_units_of(heads_together(route.maskers[i]->grain(), inputs.shape));
    route.heads_of[i] = needed;
  }
  return route;
}

// The same at work on a sequence.
struct PreparedRoute {
  const LoadedRoute& loaded;
  std::vector<MaskerInstance> instances = {};
};

}  // namespace

struct LoadedPipeline::State {
  Pipeline pipeline;
  PipelineOptions options;
  AttentionInputs inputs;           // that it was loaded for; their tensors are not read
  std::vector<LoadedRoute> routes;  // each head is in one
};

struct PreparedPipeline::State {
  std::shared_ptr<const LoadedPipeline::State> loaded;
  AttentionInputs inputs;
  std::vector<PreparedRoute> routes = {};  // of `loaded`

  void check_samplers(std::int64_t key_len) const {
    check_populations(loaded->pipeline.maskers(), key_len);
    for (const HeadRoute& route : loaded->pipeline.routes()) {
      check_populations(route.maskers, key_len);
    }
  }

  // The mask after instance i of a route; its report is appended.
  Mask select_one(const PreparedRoute& route,
                  std::size_t i,
                  const Mask& previous,
                  const Threads& threads,
                  std::vector<MaskerReport>& reports) const {
    const MaskerInstance& instance = route.instances[i];
    const Stopwatch watch;
    MaskerReport report = instance.report(inputs);
    report.route = route.loaded.name;
    const MaskerContext context{.inputs = &inputs,
                                .seed = loaded->options.seed,
                                .place = static_cast<std::uint32_t>(i),
                                .depends_on = readable_by(instance.type().descriptor()),
                                .may_sample = instance.may_sample(),
                                .population = instance.population(inputs.shape.key_len),
                                .host = instance.host(),
                                .indexes = instance.indexes()};
    Mask mask = run_masker(instance, context, previous, route.loaded.heads_of[i],
                           loaded->options.chunk_rows, threads, report);
    report.select_ms = watch.elapsed_ms();
    reports.push_back(std::move(report));
    return mask;
  }

  // The mask of a route's heads; the reports of its maskers are appended.
  Mask select(const PreparedRoute& route,
              Mask mask,
              const Threads& threads,
              std::vector<MaskerReport>& reports) const {
    if (route.loaded.is_dense) return Mask::full(inputs.visibility);
    for (std::size_t i = 0; i < route.instances.size(); ++i) {
      mask = select_one(route, i, mask, threads, reports);
    }
    return mask;
  }
};

PreparedPipeline::PreparedPipeline(std::unique_ptr<State> state) : state_(std::move(state)) {}
PreparedPipeline::~PreparedPipeline() = default;
PreparedPipeline::PreparedPipeline(PreparedPipeline&&) noexcept = default;
PreparedPipeline& PreparedPipeline::operator=(PreparedPipeline&&) noexcept = default;

void PreparedPipeline::append(const AttentionInputs& inputs, const Threads& threads) {
  check_same_sequence(state_->inputs, inputs);
  state_->check_samplers(inputs.shape.key_len);
  const KeyInterval added{state_->inputs.shape.key_len, inputs.shape.key_len};
  if (added.end < added.begin) {
    throw ShapeError(fmt::format("inputs of {} keys cannot be appended to a pipeline of {} keys",
                                 added.end, added.begin));
  }
  state_->inputs = inputs;
  if (added.begin == added.end) return;
  for (PreparedRoute& route : state_->routes) {
    for (MaskerInstance& instance : route.instances)
      instance.append_to_indexes(inputs, added, threads);
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
    for (MaskerInstance& instance : route.instances) instance.truncate_indexes(inputs, threads);
  }
}

std::span<const MaskerInstance> PreparedPipeline::instances() const noexcept {
  const bool is_one = state_->routes.size() == 1 && !state_->routes.front().loaded.is_dense;
  return is_one ? std::span<const MaskerInstance>(state_->routes.front().instances)
                : std::span<const MaskerInstance>();
}

Mask PreparedPipeline::select_one(std::size_t i,
                                  const Mask& previous,
                                  const Threads& threads,
                                  std::vector<MaskerReport>& reports) const {
  return state_->select_one(state_->routes.front(), i, previous, threads, reports);
}

const AttentionInputs& PreparedPipeline::inputs() const noexcept { return state_->inputs; }
const PipelineOptions& PreparedPipeline::options() const noexcept {
  return state_->loaded->options;
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
      if (state_->routes[i].loaded.heads.has(head))
        of_head[static_cast<std::size_t>(head)] = &masks[i];
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

LoadedPipeline::LoadedPipeline(std::shared_ptr<const State> state) : state_(std::move(state)) {}

const Pipeline& LoadedPipeline::pipeline() const noexcept { return state_->pipeline; }

PreparedPipeline LoadedPipeline::prepare(const AttentionInputs& inputs,
                                         const Threads& threads) const {
  inputs.validate();
  const AttentionShape& shape = inputs.shape;
  const AttentionShape& loaded = state_->inputs.shape;
  if (shape.batch != loaded.batch || shape.query_heads != loaded.query_heads ||
      shape.kv_heads != loaded.kv_heads || shape.head_dim != loaded.head_dim ||
      inputs.layer != state_->inputs.layer ||
      inputs.visibility.is_causal() != state_->inputs.visibility.is_causal()) {
    throw ShapeError(
        fmt::format("a pipeline loaded for {} cannot be prepared for {}, layer {}: "
                    "only the numbers of queries and keys may differ",
                    loaded.to_string(), shape.to_string(), inputs.layer));
  }
  auto state = std::make_unique<PreparedPipeline::State>(
      PreparedPipeline::State{.loaded = state_, .inputs = inputs});
  state->check_samplers(shape.key_len);
  for (const LoadedRoute& route : state_->routes) {
    PreparedRoute& prepared = state->routes.emplace_back(PreparedRoute{.loaded = route});
    for (std::size_t i = 0; i < route.maskers.size(); ++i) {
      prepared.instances.emplace_back(route.maskers[i]);
      prepared.instances.back().build_indexes(inputs, route.heads_of[i], threads);
    }
  }
  return PreparedPipeline(std::move(state));
}

LoadedPipeline Pipeline::load(const AttentionInputs& inputs, const PipelineOptions& options) const {
  auto state =
      std::make_shared<LoadedPipeline::State>(LoadedPipeline::State{*this, options, inputs, {}});
  HeadSet own = HeadSet::all(inputs.shape.query_heads);
  std::vector<HeadSet> of_route;
  for (const HeadRoute& route : routes_) {
    of_route.push_back(HeadSet::of(route, inputs.shape.query_heads));
    own.remove(of_route.back());
  }
  if (!own.is_empty()) {
    state->routes.push_back(load_route("", own, false, maskers_, inputs, options));
  }
  for (std::size_t i = 0; i < routes_.size(); ++i) {
    const HeadRoute& route = routes_[i];
    if (of_route[i].is_empty()) continue;
    state->routes.push_back(
        load_route(route.name, of_route[i], route.is_dense, route.maskers, inputs, options));
  }
  return LoadedPipeline(std::move(state));
}

PreparedPipeline Pipeline::prepare(const AttentionInputs& inputs,
                                   const PipelineOptions& options,
                                   const Threads& threads) const {
  inputs.validate();
  return load(inputs, options).prepare(inputs, threads);
}

}  // namespace maskerade
