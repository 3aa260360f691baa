// What must hold of every masker and every pipeline, asked of a function that selects: a rule knows
// neither how it selects nor where.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "experiments/rules/violation.hpp"
#include "framework/mask/mask.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/pipeline/pipeline.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade::rules {

// One selection that is asked for.
struct SelectionRequest {
  AttentionInputs inputs;
  PipelineOptions options;
  int threads = 1;
  // What is active before; it outlives the request. nullptr: nothing.
  const Mask* previous = nullptr;
};
using Selector = std::function<Selection(const SelectionRequest&)>;

// Prepares the pipeline anew for each request, and selects.
Selector selector_of(Pipeline pipeline);

// The mask is over the inputs' visible entries, its extent is one that broadcasts to the problem,
// and it is in canonical form: no invisible key, probabilities in (0, 1].
Violations check_visible_entries_alone(const Selector& select, const SelectionRequest& request);

// What request.previous has active stays active, with a probability as large or larger. Throws
// Error when the request has no previous mask.
Violations check_selection_keeps_previous(const Selector& select, const SelectionRequest& request);

// How many keys a masker may add to a row.
struct RowBudget {
  // The keys for a row that sees `visible_len` keys of `key_len`.
  std::function<std::int64_t(std::int64_t key_len, std::int64_t visible_len)> keys;
  // The budget is of all active keys of the row, not of those that the masker adds.
  bool counts_total = false;
  // The row gets all of the budget, as long as it sees inactive keys; else it may get less.
  bool is_spent = false;
};
// The budget that an argument of that name states, in tokens or as a share of the row's visible
// keys, rounded down; a total where the masker's choice `counts` is "total". Throws Error when the
// masker has no such parameter or it has another unit.
RowBudget budget_of(const MaskerUse& masker, std::string_view parameter);

// No row gets more keys than the budget beside those of request.previous, whatever their
// probabilities.
Violations check_budget(const Selector& select,
                        const SelectionRequest& request,
                        const RowBudget& budget);

// The index of the parameter that is a masker's budget of keys: "budget", in tokens. nullopt: it
// has none. A masker that samples has none, either: draws, however many, may miss a key.
std::optional<std::size_t> budget_parameter(const MaskerType& type);

// Whether a masker takes keys in pieces, so that a row may get more keys than its budget: its table
// has a "block" or a "page_size".
bool takes_pieces(const MaskerType& type);

// Budgets that reach every key of every row, as a user writes them: in percent of key_len and of
// the visible keys, and as numbers of keys.
std::vector<std::string> whole_budgets(std::int64_t key_len);

// The same use of a masker with another value of one parameter. Throws ParameterError when the
// parameter does not accept it.
MaskerUse with_argument(const MaskerUse& masker, std::size_t parameter, const std::string& value);

// The rows and heads that a masker decides for together.
maskerade_grain grain_of(const MaskerUse& masker, const AttentionInputs& inputs);

// Where the budget of each row that a masker decides for together reaches the visible inactive keys
// of that row, the rows get all of them: a budget of 100 % is dense, whatever pieces a masker takes
// and whatever request.previous has active.
Violations check_budget_reaches_every_key(const Selector& select,
                                          const SelectionRequest& request,
                                          const RowBudget& budget,
                                          const maskerade_grain& together);

// The same of a masker alone, with each of these values as its "budget" (see budget_parameter()).
// Throws Error when it has none.
Violations check_budgets_reach_every_key(const MaskerUse& masker,
                                         const SelectionRequest& request,
                                         const std::vector<std::string>& budgets);

// The same request gives the same mask a second time, with 1, 2 and 3 threads, with chunks of 1,
// 64, 100 and 100,000 rows; each masker then scores as many keys and reads as many bytes.
Violations check_selection_is_repeatable(const Selector& select, const SelectionRequest& request);

// Whether a violation of that rule is one of what a selection reports of its work, and not of its
// mask.
bool is_about_work(const Violation& violation) noexcept;

// Selections of other data in between leave no trace: the two requests, made in turns, give what
// they gave the first time.
Violations check_nothing_is_kept(const Selector& select,
                                 const SelectionRequest& request,
                                 const SelectionRequest& other);

// What a masker does not declare (depends_on: MASKERADE_DEPENDS_*) has no influence. It breaks the
// rule when it asks for it and is refused, which fails the selection. Else, of what is not
// declared: with other numbers in query, key or value and with another seed, the mask is the same;
// where all heads, or all batch entries, read the same numbers, they get the same mask (not asked
// of a masker that declares the seed: random numbers differ by head and batch entry); from a
// previous mask it gives the union of that mask and what it selects from nothing. Shape cannot be
// changed alone and is not asked. request.previous must be nullptr; throws Error otherwise.
Violations check_undeclared_inputs_do_not_matter(const Selector& select,
                                                 const SelectionRequest& request,
                                                 std::uint32_t depends_on);

// Inputs, as MASKERADE_DEPENDS_* flags.
struct Influences {
  std::uint32_t asked = 0;  // could be changed alone
  std::uint32_t seen = 0;   // of these: a change of it changed the mask
};
// Which of the inputs `wanted`, all of them declared in depends_on, have an influence on this
// selection, by the changes of check_undeclared_inputs_do_not_matter(). None is no proof: another
// request may show one. Not asked: shape, and head and batch of a masker that declares the seed.
Influences influences_of(const Selector& select,
                         const SelectionRequest& request,
                         std::uint32_t depends_on,
                         std::uint32_t wanted);

}  // namespace maskerade::rules
