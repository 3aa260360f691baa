#include <fmt/format.h>

#include <string>
#include <string_view>

#include "experiments/check/questions.hpp"

namespace maskerade::check {
namespace {

Finding ask_what_loading_changed(const MaskerInHand& masker, const LoadingEffect& loading) {
  const std::string& state = masker.type()->load_effect();
  if (!state.empty()) {
    return {VerdictKind::kFailed,
            fmt::format("after it the thread {}; link without -ffast-math, even where you compile "
                        "with it",
                        state)};
  }
  if (!loading.on_process.empty()) {
    return {VerdictKind::kFailed, fmt::format("loading it leaves {} behind; do what needs them in "
                                              "create, or leave them to the host",
                                              loading.on_process)};
  }
  return {VerdictKind::kOk,
          fmt::format("loaded in {:.1f} ms; no handler of a signal, no thread, no "
                      "open file, no change in how the thread computes",
                      loading.load_ms)};
}

Finding ask_for_version(const MaskerInHand& masker) {
  const maskerade_masker_descriptor& descriptor = masker.type()->descriptor();
  const bool is_own = descriptor.abi_minor == MASKERADE_ABI_MINOR;
  return {VerdictKind::kOk,
          fmt::format("built for ABI {}.{}, {} {}.{}{}", descriptor.abi_major, descriptor.abi_minor,
                      is_own ? "as this program's" : "which this program takes beside its own",
                      MASKERADE_ABI_MAJOR, MASKERADE_ABI_MINOR,
                      descriptor.abi_minor < 2
                          ? "; a plugin of before 1.2 may read head, batch and shape undeclared"
                          : "")};
}

Finding ask_how_it_was_built(const MaskerInHand& masker) {
  const auto* const build = masker.type()->extension<maskerade_build_extension>();
  if (build == nullptr) {
    return {
        VerdictKind::kNotAsked,
        "it does not say how it was built; since ABI 1.3 the extension " MASKERADE_EXTENSION_BUILD
        " does"};
  }
  const std::string said = masker.type()->build();
  if ((build->flags & MASKERADE_BUILD_OPTIMISED) == 0) {
    return {VerdictKind::kWarning,
            said +
                ": times of its selections say little; build with CMAKE_BUILD_TYPE=Release, or "
                "with no build type, which maskerade_add_masker makes -O3"};
  }
  if ((build->flags & MASKERADE_BUILD_FAST_MATH) != 0) {
    return {VerdictKind::kWarning,
            said +
                ": what it computes by itself may differ from compiler to compiler; leave out "
                "-ffast-math"};
  }
  return {VerdictKind::kOk, said};
}

std::string defect_of_line(std::string_view text, const std::string& what) {
  if (text.empty()) return what + " is empty";
  if (text.find('\n') != std::string_view::npos) return what + " has a line break";
  return "";
}

Finding ask_for_texts(const MaskerInHand& masker) {
  const maskerade_masker_descriptor& descriptor = masker.type()->descriptor();
  std::string defects;
  const auto add = [&](const std::string& defect) {
    if (!defect.empty()) defects += (defects.empty() ? "" : "; ") + defect;
  };
  add(defect_of_line(descriptor.summary, "the summary"));
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    add(defect_of_line(descriptor.parameters[i].doc,
                       fmt::format("the doc of \"{}\"", descriptor.parameters[i].name)));
  }
  if (!defects.empty()) {
    return {VerdictKind::kWarning, defects + "; maskerade list shows them in one line each"};
  }
  const std::string reference = descriptor.reference;
  return {VerdictKind::kOk,
          fmt::format("\"{}\"; {} parameter{}; {}", descriptor.summary, descriptor.parameter_count,
                      descriptor.parameter_count == 1 ? "" : "s",
                      reference.empty() ? "no paper" : reference)};
}

Finding ask_for_id(const MaskerInHand& masker) {
  const auto& others = masker.options().other_maskers;
  const auto other = others.find(masker.type()->id());
  if (other == others.end()) {
    return {VerdictKind::kOk, fmt::format("\"{}\"; none of {} other maskers has it",
                                          masker.type()->id(), others.size())};
  }
  return {VerdictKind::kFailed,
          fmt::format("\"{}\" is the id of {}, too; no program loads both, so rename one",
                      masker.type()->id(), other->second)};
}

Finding ask_for_extensions(const MaskerInHand& masker) {
  const MaskerType& type = *masker.type();
  const std::string index = type.extension<maskerade_index_extension>() == nullptr
                                ? "no index"
                                : "an index, whose five functions are there";
  const std::string device =
      type.extension<maskerade_cuda_extension>() == nullptr
          ? "no device path"
          : "a device path, which is compared where it runs: devices: [cuda]";
  return {VerdictKind::kOk, fmt::format("declares {}; {}; {}", type.dependencies(), index, device)};
}

}  // namespace

void add_library_questions(MaskerInHand& masker,
                           const LoadingEffect& loading,
                           std::vector<Question>& questions) {
  questions.push_back({"loading", "README.md of the SDK: what a plugin must leave alone",
                       [&masker, loading] { return ask_what_loading_changed(masker, loading); }});
  questions.push_back({"ABI version",
                       "masker_abi.h: versions: a host takes its own major and an older minor one",
                       [&masker] { return ask_for_version(masker); }});
  questions.push_back({"optimisation",
                       "masker_abi.h: maskerade_build_extension: how a library was built",
                       [&masker] { return ask_how_it_was_built(masker); }});
  questions.push_back({"id", "masker_abi.h: maskerade_masker_descriptor: id: the name in files",
                       [&masker] { return ask_for_id(masker); }});
  questions.push_back({"texts",
                       "masker_abi.h: maskerade_masker_descriptor: summary, doc: one line each",
                       [&masker] { return ask_for_texts(masker); }});
  questions.push_back({"extensions",
                       "masker_abi.h: extensions: a struct that the host gets must be whole",
                       [&masker] { return ask_for_extensions(masker); }});
}

}  // namespace maskerade::check
