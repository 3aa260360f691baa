#include "experiments/rules/masker_rules.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "experiments/rules/mask_rules.hpp"
#include "experiments/rules/random_problem.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/pipeline/loaded_masker.hpp"
#include "framework/sdk/dependencies.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade::rules {
namespace {

constexpr std::uint64_t kOtherSeed = 0x9e3779b9;

// What the rules about reported work begin with.
constexpr const char* kScoresAsMany = "as many keys are scored ";
constexpr const char* kReadsAsMany = "as many bytes are read ";

std::int64_t active_keys(const std::vector<float>& row) {
  return std::count_if(row.begin(), row.end(), [](float p) { return p > 0; });
}

bool divides(std::int64_t part, std::int64_t whole) { return part > 0 && whole % part == 0; }

// Another tensor of the same form.
Tensor other_tensor(const TensorView& view) {
  return normal_tensor(view.dtype, view.batch, view.heads, view.length, view.dim, kOtherSeed);
}

// A view in which every head, or every batch entry, is the first one.
TensorView with_equal_heads(TensorView view) {
  view.head_stride = 0;
  return view;
}
TensorView with_equal_batch(TensorView view) {
  view.batch_stride = 0;
  return view;
}

// The rule that a masker breaks when it looks at this without having declared it.
std::string rule_of(std::uint32_t dependency) {
  const auto what = [&]() -> std::string {
    switch (dependency) {
      case MASKERADE_DEPENDS_HEAD:
        return "the head";
      case MASKERADE_DEPENDS_BATCH:
        return "the batch entry";
      case MASKERADE_DEPENDS_SEED:
        return "the seed";
      case MASKERADE_DEPENDS_ACTIVE:
        return "what is active";
      default:
        break;
    }
    for (const sdk::Dependency& one : sdk::kDependencies) {
      if (one.flag == dependency) return one.name;
    }
    throw Error(fmt::format("{} is no MASKERADE_DEPENDS_ value", dependency));
  };
  return what() + ", which is not declared, has no influence";
}

// Every head of the mask has the entries of its first head.
Violations check_heads_agree(const std::string& rule, const Mask& mask) {
  ViolationList found(rule);
  for (std::int64_t b = 0; b < mask.extent().batch; ++b) {
    for (std::int64_t h = 1; h < mask.extent().heads; ++h) {
      for (std::int64_t query = 0; query < mask.query_len(); ++query) {
        const std::vector<float> first = row_probabilities(mask, b, 0, query);
        const std::vector<float> row = row_probabilities(mask, b, h, query);
        const auto at = std::mismatch(row.begin(), row.end(), first.begin());
        if (at.first == row.end()) continue;
        found.add({b, h, query, at.first - row.begin()},
                  fmt::format("the probability is {}, and {} at head 0, which reads the same "
                              "numbers",
                              *at.first, *at.second));
      }
    }
  }
  return found.violations();
}

// Whether a masker's choice `counts` is "total".
bool counts_total(const MaskerUse& masker) {
  const maskerade_masker_descriptor& descriptor = masker.type->descriptor();
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    if (descriptor.parameters[i].unit == MASKERADE_UNIT_CHOICE &&
        descriptor.parameters[i].name == std::string_view("counts")) {
      return masker.arguments->view()[i].values[0].text == std::string_view("total");
    }
  }
  return false;
}

// The active keys of a row before and after a selection, and what its budget states.
struct RowKeys {
  EntryLocation at;
  std::int64_t visible = 0;
  std::int64_t had = 0;
  std::int64_t has = 0;
  std::int64_t stated = 0;
  std::int64_t most = 0;  // that the budget lets the row get
};

// Calls visit(RowKeys) for every row of the problem, selected once.
template <typename Visit>
void for_each_row_keys(const Selector& select,
                       const SelectionRequest& request,
                       const RowBudget& budget,
                       Visit&& visit) {
  const AttentionShape& shape = request.inputs.shape;
  const Mask mask = select(request).mask;
  const Mask none = Mask::empty(request.inputs.visibility);
  const Mask& before = request.previous == nullptr ? none : *request.previous;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t h = 0; h < shape.query_heads; ++h) {
      for (std::int64_t query = 0; query < shape.query_len; ++query) {
        const auto keys_in = [&](const Mask& of) {
          return active_keys(row_probabilities(of, of.extent_batch(b),
                                               of.extent_head(h, shape.query_heads), query));
        };
        RowKeys row{.at = {b, h, query},
                    .visible = request.inputs.visibility.end(query),
                    .had = keys_in(before),
                    .has = keys_in(mask)};
        row.stated = budget.keys(shape.key_len, row.visible);
        row.most =
            std::min(std::max<std::int64_t>(row.stated - (budget.counts_total ? row.had : 0), 0),
                     row.visible - row.had);
        visit(row);
      }
    }
  }
}

}  // namespace

Selector selector_of(Pipeline pipeline) {
  return [pipeline = std::move(pipeline)](const SelectionRequest& request) {
    const Threads threads(request.threads);
    const PreparedPipeline prepared = pipeline.prepare(request.inputs, request.options, threads);
    return request.previous == nullptr ? prepared.select(threads)
                                       : prepared.select(threads, *request.previous);
  };
}

Violations check_visible_entries_alone(const Selector& select, const SelectionRequest& request) {
  const Mask mask = select(request).mask;
  const AttentionShape& shape = request.inputs.shape;
  ViolationList found("a mask is over the visible entries of its problem");
  if (!(mask.visibility() == request.inputs.visibility)) {
    found.add(
        fmt::format("the mask is over {} queries x {} keys; the problem has {} x {}, or sees "
                    "others of them",
                    mask.query_len(), mask.key_len(), shape.query_len, shape.key_len));
  }
  const MaskExtent extent = mask.extent();
  if ((extent.batch != 1 && extent.batch != shape.batch) ||
      !divides(extent.heads, shape.query_heads)) {
    found.add(fmt::format("the mask has batch {} and heads {}; the problem has {} and {}",
                          extent.batch, extent.heads, shape.batch, shape.query_heads));
  }
  Violations all = found.violations();
  append(all, check_canonical_form(mask));
  return all;
}

Violations check_selection_keeps_previous(const Selector& select, const SelectionRequest& request) {
  if (request.previous == nullptr) throw Error("a previous mask is needed to see that it is kept");
  return check_previous_is_kept(*request.previous, select(request).mask);
}

RowBudget budget_of(const MaskerUse& masker, std::string_view parameter) {
  const maskerade_masker_descriptor& descriptor = masker.type->descriptor();
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const maskerade_parameter& row = descriptor.parameters[i];
    if (row.name != parameter) continue;
    // The arguments own what the value points to, if anything; numbers are copied.
    const maskerade_value value = masker.arguments->view()[i].values[0];
    if (row.unit == MASKERADE_UNIT_TOKENS) {
      return {.keys =
                  [value](std::int64_t key_len, std::int64_t visible_len) {
                    return maskerade_tokens_of(&value, key_len, visible_len);
                  },
              .counts_total = counts_total(masker)};
    }
    if (row.unit == MASKERADE_UNIT_SHARE) {
      return {.keys =
                  [share = value.number](std::int64_t, std::int64_t visible_len) {
                    return static_cast<std::int64_t>(share * static_cast<double>(visible_len));
                  },
              .counts_total = counts_total(masker)};
    }
    throw Error(
        fmt::format("the parameter \"{}\" of masker \"{}\" is a budget only in tokens or "
                    "as a share; its unit is {}",
                    parameter, masker.type->id(), unit_name(row.unit)));
  }
  throw Error(fmt::format("masker \"{}\" has no parameter \"{}\"", masker.type->id(), parameter));
}

Violations check_budget(const Selector& select,
                        const SelectionRequest& request,
                        const RowBudget& budget) {
  ViolationList found("a row gets no more keys than the budget");
  for_each_row_keys(select, request, budget, [&](const RowKeys& row) {
    const std::int64_t added = row.has - row.had;
    if (added > row.most || (budget.is_spent && added < row.most)) {
      found.add(row.at, fmt::format("{} keys were added to {} of {} visible ones; the budget of {} "
                                    "allows {}",
                                    added, row.had, row.visible, row.stated, row.most));
    }
  });
  return found.violations();
}

std::optional<std::size_t> budget_parameter(const MaskerType& type) {
  const maskerade_masker_descriptor& descriptor = type.descriptor();
  if ((descriptor.traits & MASKERADE_TRAIT_SAMPLES) != 0) return std::nullopt;
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    if (descriptor.parameters[i].unit == MASKERADE_UNIT_TOKENS &&
        descriptor.parameters[i].name == std::string_view("budget")) {
      return i;
    }
  }
  return std::nullopt;
}

bool takes_pieces(const MaskerType& type) {
  const maskerade_masker_descriptor& descriptor = type.descriptor();
  return std::any_of(descriptor.parameters, descriptor.parameters + descriptor.parameter_count,
                     [](const maskerade_parameter& row) {
                       return row.name == std::string_view("block") ||
                              row.name == std::string_view("page_size");
                     });
}

std::vector<std::string> whole_budgets(std::int64_t key_len) {
  return {"100%", "100% of visible", fmt::to_string(key_len), fmt::to_string(key_len + 1)};
}

MaskerUse with_argument(const MaskerUse& masker, std::size_t parameter, const std::string& value) {
  return {masker.type, std::make_shared<const Arguments>(rebind_argument(
                           masker.type->descriptor(), *masker.arguments, parameter, value))};
}

maskerade_grain grain_of(const MaskerUse& masker, const AttentionInputs& inputs) {
  return LoadedMasker(masker, inputs, 0, 0).grain();
}

Violations check_budget_reaches_every_key(const Selector& select,
                                          const SelectionRequest& request,
                                          const RowBudget& budget,
                                          const maskerade_grain& together) {
  const AttentionShape& shape = request.inputs.shape;
  // By batch entry, first head and block of queries.
  std::map<std::tuple<std::int64_t, std::int64_t, std::int64_t>, std::vector<RowKeys>> units;
  for_each_row_keys(select, request, budget, [&](const RowKeys& row) {
    const std::int64_t heads = together.heads == MASKERADE_HEADS_ALL     ? shape.query_heads
                               : together.heads == MASKERADE_HEADS_GROUP ? shape.group_size()
                                                                         : 1;
    const std::int64_t block =
        maskerade_block_of(request.inputs.visibility.position(row.at.query), together.query_block);
    units[{row.at.batch, row.at.head / heads, block}].push_back(row);
  });
  ViolationList found("a budget that reaches every key takes every key");
  for (const auto& [place, rows] : units) {
    const bool reaches = std::all_of(rows.begin(), rows.end(), [](const RowKeys& row) {
      return row.most == row.visible - row.had;
    });
    if (!reaches) continue;
    for (const RowKeys& row : rows) {
      if (row.has == row.visible) continue;
      found.add(row.at, fmt::format("{} of {} visible keys are active, {} were before; the budget "
                                    "of {} reaches all",
                                    row.has, row.visible, row.had, row.stated));
    }
  }
  return found.violations();
}

Violations check_budgets_reach_every_key(const MaskerUse& masker,
                                         const SelectionRequest& request,
                                         const std::vector<std::string>& budgets) {
  const std::optional<std::size_t> parameter = budget_parameter(*masker.type);
  if (!parameter) throw Error(fmt::format("masker \"{}\" has no budget", masker.type->id()));
  Violations all;
  for (const std::string& budget : budgets) {
    const MaskerUse with = with_argument(masker, *parameter, budget);
    Violations found =
        check_budget_reaches_every_key(selector_of(Pipeline({with})), request,
                                       budget_of(with, "budget"), grain_of(with, request.inputs));
    for (Violation& violation : found) violation.finding += fmt::format(" (written {})", budget);
    append(all, found);
  }
  return all;
}

Violations check_selection_is_repeatable(const Selector& select, const SelectionRequest& request) {
  Violations all;
  const Selection reference = select(request);
  const auto compare = [&](const SelectionRequest& again, const std::string& how) {
    const Selection other = select(again);
    append(all,
           check_same_entries("the same is selected again " + how, other.mask, reference.mask));
    ViolationList scored(kScoresAsMany + how);
    ViolationList read(kReadsAsMany + how);
    for (std::size_t m = 0; m < reference.maskers.size(); ++m) {
      const MaskerReport& expected = reference.maskers[m];
      const MaskerReport& report = m < other.maskers.size() ? other.maskers[m] : MaskerReport{};
      if (report.keys_scored != expected.keys_scored) {
        scored.add(fmt::format("masker {}, \"{}\", scored {} keys and now {}", m, expected.id,
                               expected.keys_scored, report.keys_scored));
      }
      if (report.bytes_read != expected.bytes_read) {
        read.add(fmt::format("masker {}, \"{}\", read {} bytes and now {}", m, expected.id,
                             expected.bytes_read, report.bytes_read));
      }
    }
    append(all, scored.violations());
    append(all, read.violations());
    if (other.mask.extent() != reference.mask.extent()) {
      const MaskExtent now = other.mask.extent();
      const MaskExtent expected = reference.mask.extent();
      all.push_back(
          {"the same is selected again " + how,
           {},
           fmt::format("the mask's extent is batch {}, heads {} and was batch {}, heads {}",
                       now.batch, now.heads, expected.batch, expected.heads)});
    }
  };
  compare(request, "with the same request");
  for (const int threads : {1, 2, 3}) {
    for (const std::int64_t chunk_rows : {1, 64, 100, 100'000}) {
      SelectionRequest again = request;
      again.threads = threads;
      again.options.chunk_rows = chunk_rows;
      compare(again, fmt::format("with {} threads and chunks of {} rows", threads, chunk_rows));
    }
  }
  return all;
}

bool is_about_work(const Violation& violation) noexcept {
  return violation.rule.starts_with(kScoresAsMany) || violation.rule.starts_with(kReadsAsMany);
}

Violations check_nothing_is_kept(const Selector& select,
                                 const SelectionRequest& request,
                                 const SelectionRequest& other) {
  const Mask first = select(request).mask;
  const Mask first_of_other = select(other).mask;
  Violations all = check_same_entries("nothing is kept from a selection of other data",
                                      select(request).mask, first);
  append(all, check_same_entries("nothing is kept from a selection of other data",
                                 select(other).mask, first_of_other));
  return all;
}

Violations check_undeclared_inputs_do_not_matter(const Selector& select,
                                                 const SelectionRequest& request,
                                                 std::uint32_t depends_on) {
  if (request.previous != nullptr) {
    throw Error("undeclared inputs are changed one at a time, from no previous mask");
  }
  const auto declares = [&](std::uint32_t flag) { return (depends_on & flag) != 0; };
  const AttentionShape& shape = request.inputs.shape;
  std::optional<Mask> selected;
  try {
    selected = select(request).mask;
  } catch (const PluginError& error) {
    // The host or the SDK has refused it.
    for (const sdk::Dependency& one : sdk::kDependencies) {
      if (declares(one.flag) || !sdk::names_undeclared(error.what(), one)) continue;
      return {{rule_of(one.flag), {}, error.what()}};
    }
    throw;
  }
  const Mask& reference = *selected;
  Violations all;
  for (const auto& [flag, input] :
       {std::pair{std::uint32_t{MASKERADE_DEPENDS_QUERY}, &AttentionInputs::q},
        {std::uint32_t{MASKERADE_DEPENDS_KEY}, &AttentionInputs::k},
        {std::uint32_t{MASKERADE_DEPENDS_VALUE}, &AttentionInputs::v}}) {
    if (declares(flag)) continue;
    const Tensor changed = other_tensor(request.inputs.*input);
    SelectionRequest other = request;
    other.inputs.*input = changed.view();
    append(all, check_same_entries(rule_of(flag), select(other).mask, reference));
  }
  if (!declares(MASKERADE_DEPENDS_SEED)) {
    SelectionRequest other = request;
    other.options.seed += kOtherSeed;
    append(all, check_same_entries(rule_of(MASKERADE_DEPENDS_SEED), select(other).mask, reference));
    if (!declares(MASKERADE_DEPENDS_HEAD)) {
      SelectionRequest equal = request;
      equal.inputs.q = with_equal_heads(equal.inputs.q);
      equal.inputs.k = with_equal_heads(equal.inputs.k);
      equal.inputs.v = with_equal_heads(equal.inputs.v);
      append(all, check_heads_agree(rule_of(MASKERADE_DEPENDS_HEAD), select(equal).mask));
    }
    if (!declares(MASKERADE_DEPENDS_BATCH)) {
      SelectionRequest equal = request;
      equal.inputs.q = with_equal_batch(equal.inputs.q);
      equal.inputs.k = with_equal_batch(equal.inputs.k);
      equal.inputs.v = with_equal_batch(equal.inputs.v);
      const Mask mask = select(equal).mask;
      SelectionRequest single = equal;
      single.inputs.shape.batch = 1;
      single.inputs.q.batch = single.inputs.k.batch = single.inputs.v.batch = 1;
      append(all, check_same_entries(rule_of(MASKERADE_DEPENDS_BATCH), mask, select(single).mask));
    }
  }
  if (!declares(MASKERADE_DEPENDS_ACTIVE)) {
    const Mask previous = random_mask(request.inputs.visibility, {shape.batch, shape.query_heads},
                                      {.tiles = 0.2, .keys = 0.2}, 5);
    SelectionRequest from_previous = request;
    from_previous.previous = &previous;
    append(all, check_same_entries(rule_of(MASKERADE_DEPENDS_ACTIVE), select(from_previous).mask,
                                   union_of(previous, reference)));
  }
  return all;
}

Influences influences_of(const Selector& select,
                         const SelectionRequest& request,
                         std::uint32_t depends_on,
                         std::uint32_t wanted) {
  Influences influences;
  for (const sdk::Dependency& one : sdk::kDependencies) {
    if ((wanted & one.flag) == 0 || one.flag == MASKERADE_DEPENDS_SHAPE) continue;
    const bool is_hidden_by_seed =
        one.flag == MASKERADE_DEPENDS_HEAD || one.flag == MASKERADE_DEPENDS_BATCH;
    if (is_hidden_by_seed && (depends_on & MASKERADE_DEPENDS_SEED) != 0) continue;
    influences.asked |= one.flag;
    const Violations found =
        check_undeclared_inputs_do_not_matter(select, request, depends_on & ~one.flag);
    const bool is_seen = std::any_of(found.begin(), found.end(), [&](const Violation& violation) {
      return violation.rule == rule_of(one.flag);
    });
    if (is_seen) influences.seen |= one.flag;
  }
  return influences;
}

}  // namespace maskerade::rules
