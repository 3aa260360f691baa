#include "tests/golden_test/masker_run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"
#include "framework/sdk/exact_share.hpp"

namespace maskerade::golden {
namespace {

// The published names of parameters that ours call otherwise.
constexpr std::array<std::pair<const char*, const char*>, 7> kOurNames = {{
    {"sink_size", "tokens"},
    {"window_size", "window"},
    {"heavy_size", "budget"},
    {"top_p", "mass"},
    {"sampling_rate", "rate"},
    {"lsh_l", "tables"},
    {"lsh_k", "bits"},
}};

std::string our_name(const std::string& published) {
  for (const auto& [theirs, ours] : kOurNames) {
    if (published == theirs) return ours;
  }
  return published;
}

std::string text_of(const nlohmann::json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// The share, in the form of a percentage, that draws `draws` of `count` keys: rounded up in its
// last decimal, so that its floor is what was drawn.
std::string share_of(std::int64_t draws, std::int64_t count) {
  const std::int64_t share = (draws * sdk::kHundredPercent + count - 1) / count;
  constexpr std::int64_t kPercent = sdk::kHundredPercent / 100;
  return fmt::format("{}.{:06}%", share / kPercent, share % kPercent);
}

// A parameter's value as a number of keys, where the manifest resolves it: by its own name, or of a
// sampler by the range [start, end) that it draws from and the keys that it draws. Else as it is.
std::string value_of(const Case& golden,
                     const CaseMasker& masker,
                     const std::string& name,
                     const nlohmann::json& value) {
  const nlohmann::json& resolved = masker.resolved;
  if (resolved.contains(name)) return text_of(resolved.at(name));
  const std::int64_t start = resolved.value("start", std::int64_t{0});
  const std::int64_t end = resolved.value("end", golden.key_len);
  if (name == "init_offset" && resolved.contains("start")) return fmt::to_string(start);
  if (name == "local_offset" && resolved.contains("end")) {
    return fmt::to_string(golden.key_len - end);
  }
  if (name == "sampling_rate" && resolved.contains("draws")) {
    return share_of(resolved.at("draws").get<std::int64_t>(), end - start);
  }
  return text_of(value);
}

std::vector<GivenParameter> given_parameters(const CaseRun& run,
                                             const CaseMasker& masker,
                                             const maskerade_masker_descriptor& descriptor) {
  std::vector<GivenParameter> given;
  for (const auto& [name, value] : masker.params.items()) {
    given.push_back({our_name(name), {value_of(run.golden, masker, name, value)}});
    // The published share is one of what is not active yet.
    if (name == "top_p") given.push_back({"of", {"residual"}});
  }
  // What a masker reads from a file lies among the case's tensors.
  for (std::uint32_t i = 0; i < descriptor.parameter_count; ++i) {
    const maskerade_parameter& parameter = descriptor.parameters[i];
    const bool is_given = std::any_of(given.begin(), given.end(), [&](const GivenParameter& one) {
      return one.name == parameter.name;
    });
    if (parameter.unit == MASKERADE_UNIT_FILE && parameter.default_value == nullptr && !is_given) {
      given.push_back({parameter.name, {run.file.string()}});
    }
  }
  return given;
}

AttentionShape shape_of(const Case& golden) {
  return {golden.batch,     golden.query_heads, golden.kv_heads,
          golden.query_len, golden.key_len,     golden.head_dim};
}

}  // namespace

std::string missing_maskers(const CaseRun& run) {
  std::vector<std::string> missing;
  for (const CaseMasker& masker : run.golden.maskers) {
    if (run.catalog.find(masker.name) == nullptr &&
        std::find(missing.begin(), missing.end(), masker.name) == missing.end()) {
      missing.push_back(masker.name);
    }
  }
  if (missing.empty()) return "";
  return fmt::format("{} {} not built", fmt::join(missing, " and "),
                     missing.size() == 1 ? "is" : "are");
}

CaseInputs::CaseInputs(const CaseRun& run)
    : q(run.tensors.tensor("q")),
      k(run.tensors.tensor("k")),
      v(run.tensors.has("v") ? run.tensors.tensor("v") : k),
      inputs{shape_of(run.golden),
             q.view(),
             k.view(),
             v.view(),
             static_cast<float>(run.golden.scale),
             run.golden.causal ? Visibility::causal(run.golden.query_len, run.golden.key_len)
                               : Visibility::all(run.golden.query_len, run.golden.key_len),
             0} {
  inputs.validate();
}

MaskerUse masker_use(const CaseRun& run,
                     const CaseMasker& masker,
                     const std::vector<GivenParameter>& further) {
  const auto type = run.catalog.find(masker.name);
  const auto& descriptor = type->descriptor();
  std::vector<GivenParameter> given = given_parameters(run, masker, descriptor);
  given.insert(given.end(), further.begin(), further.end());
  return {type, std::make_shared<const Arguments>(bind_arguments(descriptor, given))};
}

std::vector<MaskerUse> masker_uses(const CaseRun& run) {
  std::vector<MaskerUse> uses;
  for (const CaseMasker& masker : run.golden.maskers) uses.push_back(masker_use(run, masker));
  return uses;
}

Mask select(const CaseRun& run, const AttentionInputs& inputs, Findings& findings) {
  const char* name = run.tensors.has("prev_weights") ? "prev_weights" : "prev";
  const Mask previous =
      run.tensors.has(name)
          ? from_dense(inputs.visibility, {run.golden.batch, run.golden.query_heads},
                       run.tensors.floats(name))
          : Mask::empty(inputs.visibility);
  const Pipeline pipeline(masker_uses(run));
  const auto with_threads = [&](int count) {
    const Threads threads(count);
    return pipeline.prepare(inputs, {}, threads).select(threads, previous).mask;
  };
  Mask mask = with_threads(1);
  if (!(with_threads(2) == mask)) findings.fail("one and two threads select different masks");
  return mask;
}

std::vector<float> dense(const Case& golden, const Mask& mask) {
  return to_dense(broadcast(mask, {golden.batch, golden.query_heads}));
}

void check_allowed(const CaseRun& run, const Visibility& visibility, Findings& findings) {
  if (!run.tensors.has("allowed")) return;
  std::vector<std::int64_t> visible;
  for (std::int64_t b = 0; b < run.golden.batch; ++b) {
    for (std::int64_t query = 0; query < visibility.query_len(); ++query) {
      for (std::int64_t key = 0; key < visibility.key_len(); ++key) {
        visible.push_back(key < visibility.end(query) ? 1 : 0);
      }
    }
  }
  const std::vector<std::int64_t> shape = run.tensors.shape("allowed");
  std::vector<std::int64_t> allowed = run.tensors.integers("allowed");
  // Stored once for all batches, or once for each.
  if (!shape.empty() && shape[0] == 1) visible.resize(allowed.size());
  findings.compare("visible keys", visible, allowed, {}, shape);
}

}  // namespace maskerade::golden
