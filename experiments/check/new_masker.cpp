#include "experiments/check/new_masker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <string_view>
#include <system_error>

#include "experiments/check/template_files.hpp"
#include "framework/base/error.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade::check {
namespace {

// A base, and the name of the template that derives from it.
struct Base {
  const char* name;
  const char* stem;
};
constexpr std::array kBases = {
    Base{"row", "my_masker"}, Base{"score", "my_score_masker"}, Base{"block", "my_block_masker"},
    Base{"candidate", "my_candidate_masker"}, Base{"whole", "my_whole_masker"}};
// The name that files for every base use.
constexpr std::string_view kAnyStem = "my_masker";

// "my_band" as a class is named: "MyBand".
std::string class_of(std::string_view id) {
  std::string name;
  bool begins = true;
  for (const char letter : id) {
    if (letter == '_') {
      begins = true;
      continue;
    }
    name += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(letter))) : letter;
    begins = false;
  }
  return name;
}

std::string replaced(std::string text, std::string_view what, std::string_view by) {
  for (std::size_t at = text.find(what); at != std::string::npos;
       at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

void require_name(const NewMasker& masker) {
  if (!is_masker_id(masker.name)) {
    throw ConfigError({}, fmt::format("\"{}\" cannot be the name of a masker: small letters, "
                                      "digits and _, a letter first, as in my_band",
                                      masker.name));
  }
  if (std::find(masker.taken.begin(), masker.taken.end(), masker.name) != masker.taken.end()) {
    throw ConfigError({},
                      fmt::format("there is a masker \"{}\" already (maskerade list {}); choose "
                                  "another name",
                                  masker.name, masker.name));
  }
}

const Base& find_base(const std::string& name) {
  const auto base =
      std::find_if(kBases.begin(), kBases.end(), [&](const Base& one) { return one.name == name; });
  if (base == kBases.end()) {
    throw ConfigError(
        {}, fmt::format("there is no base \"{}\"{}", name, name_hint(name, masker_bases())));
  }
  return *base;
}

void write(const std::filesystem::path& file, const std::string& text) {
  std::ofstream stream(file, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) {
    throw DataError(file.string(), "", "cannot be written; is the disk full, or write-protected?");
  }
}

}  // namespace

std::vector<std::string> masker_bases() {
  std::vector<std::string> names;
  for (const Base& base : kBases) names.emplace_back(base.name);
  return names;
}

std::filesystem::path write_new_masker(const NewMasker& masker) {
  require_name(masker);
  const Base& base = find_base(masker.base);
  const std::filesystem::path folder = masker.folder / masker.name;
  std::error_code ignored;
  if (std::filesystem::exists(std::filesystem::symlink_status(folder, ignored))) {
    throw ConfigError({}, fmt::format("{} is there already; choose another name, or another folder "
                                      "with --out",
                                      folder.string()));
  }
  std::filesystem::create_directories(folder, ignored);  // writing into it tells
  for (const TemplateFile& file : template_files()) {
    const std::string name(file.name);
    const bool is_of_a_base = name.starts_with("my_");
    const std::string_view stem = is_of_a_base ? base.stem : kAnyStem;
    if (is_of_a_base && name.substr(0, name.find('.')) != stem) continue;
    std::string text = replaced(std::string(file.text), stem, masker.name);
    text = replaced(std::move(text), class_of(stem), class_of(masker.name));
    write(folder / replaced(name, stem, masker.name), text);
  }
  return folder;
}

}  // namespace maskerade::check
