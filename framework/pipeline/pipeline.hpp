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
  std::uint64_t seed = 0;          // of the maskers' randomness
  std::int64_t chunk_rows = 1024;  // query rows of one piece of work; changes no result
};

// What one masker did in one selection.
struct MaskerReport {
  std::string id;
  std::string route;  // the route whose masker it is; "": the pipeline's own
  double select_ms = 0;
  std::int64_t keys_scored = 0;
  std::int64_t bytes_read = 0;
  std::int64_t index_bytes = 0;
  bool index_spans_future = false;
};

struct Selection {
  Mask mask;
  // In list order, then those of each route. A route that no head takes has none.
  std::vector<MaskerReport> maskers;
};

// A pipeline made ready for one set of inputs: masker instances and their indexes (the timed stage
// `prepare`). The inputs outlive it. [select: any thread; append and truncate: one thread]
class PreparedPipeline {
 public:
  ~PreparedPipeline();
  PreparedPipeline(PreparedPipeline&&) noexcept;
  PreparedPipeline& operator=(PreparedPipeline&&) noexcept;

  // Runs the maskers in list order, each on the mask so far; the result of each is united with it.
  // The mask is the same for any thread count and chunk size. An empty pipeline selects nothing.
  // Throws PluginError with the masker's own text when one fails.
  Selection select(const Threads& threads) const;
  // The same, from a mask that is there already. Throws ShapeError when its visibility or extent
  // is not that of the inputs. It may hold sampled entries: whoever gives it vouches that the
  // maskers do not bias what they estimate.
  //
  // Routes: each masker runs over the units (see maskerade_grain) that hold a head which its route
  // has, or which a later masker of that route sees together with one; nothing else is scored,
  // indexed or counted. A dense route costs nothing.
  Selection select(const Threads& threads, const Mask& previous) const;

  // Goes on with inputs that view more keys of the same sequence, in the same memory, and whatever
  // queries (the timed stage `append` of a decode step): each index gets the keys and values that
  // are new. The masker instances stay. Any split of the keys gives the same indexes. Throws
  // ShapeError when the inputs do not fit, and Error as check_populations does, and changes nothing
  // then; PluginError with the masker's own text when one cannot append, after which the pipeline
  // is only good for destruction.
  void append(const AttentionInputs& inputs, const Threads& threads);
  // Goes back to inputs that view fewer keys: each index forgets those from their key_len on.
  // Errors as append(). What was frozen when an index was built stays as it was.
  void truncate(const AttentionInputs& inputs, const Threads& threads);

  // The maskers one by one, for who runs some of them elsewhere. Empty when the heads do not all
  // take the same ones.
  std::span<const MaskerInstance> instances() const noexcept;
  // What instance i does, on the mask before it; its report is appended.
  Mask select_one(std::size_t i,
                  const Mask& previous,
                  const Threads& threads,
                  std::vector<MaskerReport>& reports) const;
  const AttentionInputs& inputs() const noexcept;
  const PipelineOptions& options() const noexcept;

 private:
  friend class Pipeline;
  struct State;
  explicit PreparedPipeline(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Throws Error when two samplers of a list draw from the same keys of key_len: together they would
// count the mass of these twice.
void check_populations(const std::vector<MaskerUse>& maskers, std::int64_t key_len);

// An ordered list of maskers, and what selects for some heads in their place. A value.
class Pipeline {
 public:
  // Throws Error when the order is not allowed (design: sampling estimates), or when the routes are
  // not (see check_routes).
  explicit Pipeline(std::vector<MaskerUse> maskers, std::vector<HeadRoute> routes = {});
  const std::vector<MaskerUse>& maskers() const noexcept { return maskers_; }
  const std::vector<HeadRoute>& routes() const noexcept { return routes_; }
  // The route that a query head takes, or nullptr: the pipeline's own maskers.
  const HeadRoute* route_of(std::int64_t head) const noexcept;
  // Whether any masker draws random numbers.
  bool depends_on_seed() const noexcept;

  // Creates the maskers and builds their indexes. Throws ShapeError or PluginError, and Error as
  // check_populations does.
  PreparedPipeline prepare(const AttentionInputs& inputs,
                           const PipelineOptions& options,
                           const Threads& threads) const;

 private:
  std::vector<MaskerUse> maskers_;
  std::vector<HeadRoute> routes_;
};

}  // namespace maskerade
