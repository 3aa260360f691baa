#pragma once

#include <span>
#include <string_view>

namespace maskerade::check {

// A file of plugins/template, as it was when the program was built.
struct TemplateFile {
  std::string_view name;  // "my_masker.cpp"
  std::string_view text;
};
std::span<const TemplateFile> template_files() noexcept;

}  // namespace maskerade::check
