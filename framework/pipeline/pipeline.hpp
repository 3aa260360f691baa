#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/pipeline/head_routes.hpp"

namespace maskerade {

class MaskerInstance;

struct PipelineOptions {
  std::uint64_t seed = 0;          // of the maskers' random numbers
  std::int64_t chunk_rows = 1024;  // query rows of one piece of work, at least; changes no result
};

// What one masker did in one selection.
struct MaskerReport {
  std::string id;
  std::string route;  // the name of its route; "" for the pipeline's own maskers
  double select_ms = 0;
  std::int64_t keys_scored = 0;
  std::int64_t bytes_read = 0;
  std::int64_t index_bytes = 0;
  // Whether queries used an index over keys that they do not see.
  bool index_spans_future = false;
};

struct Selection {
  Mask mask;
  // In list order: the pipeline's own maskers, then those of each route that some head takes.
  std::vector<MaskerReport> maskers;
};

// The maskers of a loaded pipeline with their indexes for one set of inputs, whose tensors outlive
// it; making it is the timed stage `prepare`. [select: any thread; append and truncate: one thread]
class PreparedPipeline {
 public:
  ~PreparedPipeline();
  PreparedPipeline(PreparedPipeline&&) noexcept;
  PreparedPipeline& operator=(PreparedPipeline&&) noexcept;

  // Runs the maskers in list order, each on the mask so far; the result of each is united with it.
  // The mask is the same for any thread count and chunk size. An empty pipeline selects nothing.
  // Throws PluginError with the masker's own text when one fails.
  Selection select(const Threads& threads) const;
  // As select(threads), but the first masker sees the entries of `previous` as active, and the
  // result is united with them. Throws ShapeError when the visibility or the extent of `previous`
  // does not fit the inputs. `previous` may hold sampled entries: the caller answers for it that
  // the maskers do not bias the estimate of these.
  //
  // Routes: a masker runs over the units (see maskerade_grain) that hold a head of its route, or a
  // head that a later masker of the route needs in the same unit; nothing else is scored, indexed
  // or counted. A dense route costs nothing.
  Selection select(const Threads& threads, const Mask& previous) const;

  // Replaces the inputs by ones that view more keys of the same sequence, in the same memory; their
  // queries may be any (the timed stage `append` of a decode step). The new keys and values are
  // appended to each index; the masker instances stay. Any split of the keys into calls gives the
  // same indexes. Throws ShapeError when the inputs do not fit, and Error as check_populations
  // does: then nothing has changed. Throws PluginError with the masker's own text when one cannot
  // append: then the pipeline may only be destroyed.
  void append(const AttentionInputs& inputs, const Threads& threads);
  // Replaces the inputs by ones that view fewer keys: each index forgets the keys from their
  // key_len on. Errors as append(). Statistics that an index fixed when it was built stay.
  void truncate(const AttentionInputs& inputs, const Threads& threads);

  // The maskers one by one, for a caller that runs some of them itself. Empty unless all heads take
  // the same maskers.
  std::span<const MaskerInstance> instances() const noexcept;
  // The mask after masker i of instances(), from the mask before it; its report is appended.
  Mask select_one(std::size_t i,
                  const Mask& previous,
                  const Threads& threads,
                  std::vector<MaskerReport>& reports) const;
  const AttentionInputs& inputs() const noexcept;
  const PipelineOptions& options() const noexcept;

 private:
  friend class LoadedPipeline;
  struct State;
  explicit PreparedPipeline(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

class Pipeline;

// A pipeline whose maskers are made: they have read their files and hold what follows from these,
// from the arguments and from the seed, and nothing of queries, keys and values. Making it is the
// stage `load`, done once for a layer of a model. A value; copies share the maskers. [any thread]
class LoadedPipeline {
 public:
  const Pipeline& pipeline() const noexcept;

  // Builds the maskers' indexes over the inputs. Their queries and keys may be any number; all else
  // is as it was when the pipeline was loaded, or ShapeError is thrown. Throws PluginError, and
  // Error as check_populations does.
  PreparedPipeline prepare(const AttentionInputs& inputs, const Threads& threads) const;

  struct State;

 private:
  friend class Pipeline;
  explicit LoadedPipeline(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

// Throws Error when two samplers of the list may draw the same one of key_len keys: together they
// would count the mass of such keys twice.
void check_populations(const std::vector<MaskerUse>& maskers, std::int64_t key_len);

// An ordered list of maskers, and the routes that some heads take instead. A value.
class Pipeline {
 public:
  // Throws Error when the order is not allowed (design: sampling estimates), or when the routes are
  // not (see check_routes).
  explicit Pipeline(std::vector<MaskerUse> maskers, std::vector<HeadRoute> routes = {});
  const std::vector<MaskerUse>& maskers() const noexcept { return maskers_; }
  const std::vector<HeadRoute>& routes() const noexcept { return routes_; }
  // The route that a query head takes, or nullptr: the pipeline's own maskers.
  const HeadRoute* route_of(std::int64_t head) const noexcept;
  // Whether the selection of any masker depends on the seed.
  bool depends_on_seed() const noexcept;

  // Makes the maskers for problems with the batch, heads, head_dim, causality and layer of these
  // inputs. Throws PluginError.
  LoadedPipeline load(const AttentionInputs& inputs, const PipelineOptions& options) const;
  // Loads and prepares. Throws what these two throw.
  PreparedPipeline prepare(const AttentionInputs& inputs,
                           const PipelineOptions& options,
                           const Threads& threads) const;

 private:
  std::vector<MaskerUse> maskers_;
  std::vector<HeadRoute> routes_;
};

}  // namespace maskerade
