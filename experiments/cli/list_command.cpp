#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "attention/backend_table.hpp"
#include "attention/kernel_table.hpp"
#include "experiments/cli/commands.hpp"
#include "framework/base/error.hpp"
#include "framework/base/text.hpp"
#include "framework/plugin/parameters.hpp"

namespace maskerade {
namespace {

std::string default_of(const maskerade_parameter& parameter) {
  return parameter.default_value == nullptr ? "required" : parameter.default_value;
}

// Makes the fields of a table printable and aligns its rows to the left; the last column is not
// padded.
template <std::size_t kColumns>
std::string aligned(std::vector<std::array<std::string, kColumns>> rows) {
  for (auto& row : rows) {
    for (std::string& field : row) field = printable(field);
  }
  std::array<std::size_t, kColumns> widths{};
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    text += " ";
    for (std::size_t i = 0; i + 1 < row.size(); ++i) {
      text += fmt::format(" {:<{}} ", row[i], widths[i]);
    }
    text += " " + row.back() + "\n";
  }
  return text;
}

std::string describe(const MaskerType& masker) {
  const maskerade_masker_descriptor& descriptor = masker.descriptor();
  std::string text = fmt::format("{}: {}\n", descriptor.id, printable(descriptor.summary));
  if (descriptor.reference != nullptr && descriptor.reference[0] != '\0') {
    text += fmt::format("  paper       {}\n", printable(descriptor.reference));
  }
  text += fmt::format("  depends on  {}\n", masker.dependencies());
  text += fmt::format("  library     {}\n", printable(masker.library().string()));
  text += fmt::format("  build       {}{}\n", printable(masker.build()),
                      masker.is_built_in() ? ", built in" : "");
  if (descriptor.parameter_count == 0) return text + "  takes no parameters\n";
  const bool has_index = masker.extension<maskerade_index_extension>() != nullptr;
  std::vector<std::array<std::string, 5>> rows = {
      {"parameter", "unit", "default", "accepted", "meaning"}};
  for (std::size_t i = 0; i < descriptor.parameter_count; ++i) {
    const maskerade_parameter& parameter = descriptor.parameters[i];
    rows.push_back(
        {parameter.name,
         std::string(unit_name(parameter.unit)) +
             ((parameter.flags & MASKERADE_LIST) != 0 ? " list" : ""),
         default_of(parameter), range_text(parameter),
         std::string(parameter.doc) + (has_index && (parameter.flags & MASKERADE_AFFECTS_INDEX) != 0
                                           ? "; the index depends on it"
                                           : "")});
  }
  return text + aligned(rows);
}

std::string describe(const Preset& preset) {
  return fmt::format(
             "{}: {}\n{}", preset.name, preset.summary,
             preset.reference.empty() ? "" : fmt::format("  paper     {}\n", preset.reference)) +
         fmt::format("  pipeline  {}\n", preset.pipeline.to_text());
}

// The table of kernels, in lines.
std::string describe_kernels() {
  std::string text;
  for (const BackendRow& backend : backend_table()) {
    text += fmt::format("kernels of {}: {}\n", backend.name, backend.summary);
    std::vector<std::array<std::string, 3>> rows = {{"kernel", "reads", "serves"}};
    for (const KernelRow& kernel : kernel_table()) {
      if (kernel.backend != backend.name) continue;
      rows.push_back(
          {std::string(kernel.name), std::string(kernel.summary), std::string(kernel.serves)});
    }
    text += aligned(rows);
  }
  return text;
}

constexpr const char* kKernels = "kernels";

int list(const std::string& id, const std::vector<std::string>& plugins) {
  const Catalog catalog = find_maskers(plugins);
  const PresetTable presets = find_presets();
  if (id == kKernels) {
    fmt::print("{}", describe_kernels());
    return kExitOk;
  }
  if (!id.empty()) {
    const std::shared_ptr<const MaskerType> masker = catalog.find(id);
    const Preset* preset = presets.find(id);
    if (masker == nullptr && preset == nullptr) {
      std::vector<std::string> known = catalog.ids();
      for (const std::string& name : presets.names()) known.push_back(name);
      known.emplace_back(kKernels);
      throw ConfigError({}, fmt::format("there is no masker or preset \"{}\"{}", id,
                                        catalog.hint_for(id, known)));
    }
    fmt::print("{}", masker != nullptr ? describe(*masker) : describe(*preset));
    return kExitOk;
  }
  for (const auto& masker : catalog.types()) fmt::print("{}\n", describe(*masker));
  for (const Preset& preset : presets.presets()) fmt::print("{}\n", describe(preset));
  fmt::print("{}\n", describe_kernels());
  const std::size_t count = catalog.types().size();
  const std::size_t preset_count = presets.presets().size();
  fmt::print("{} masker{}, {} preset{}\n", count, count == 1 ? "" : "s", preset_count,
             preset_count == 1 ? "" : "s");
  return kExitOk;
}

}  // namespace

void add_list_command(CLI::App& program, Command& command) {
  struct ListArguments {
    std::string id;
    std::vector<std::string> plugins;
  };
  const auto arguments = std::make_shared<ListArguments>();
  CLI::App* list_command = program.add_subcommand(
      "list", "Show the maskers that were found, their parameters, the presets, and the kernels");
  list_command->add_option("NAME", arguments->id, "Show only this masker or preset, or: kernels");
  add_plugin_option(*list_command, arguments->plugins);
  list_command->footer("Example: maskerade list oracle_topk");
  list_command->callback([arguments, &command] {
    command = [arguments] { return list(arguments->id, arguments->plugins); };
  });
}

}  // namespace maskerade
