#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/error.hpp"

namespace maskerade {

struct YamlEntry;

// A YAML value and the position where it was written. A tree is not changed after it is read; code
// that needs a different one changes a copy.
struct YamlNode {
  enum class Kind { kEmpty, kScalar, kList, kMapping };

  Kind kind = Kind::kEmpty;
  TextPosition position;        // for an empty value in a mapping, the position of its key
  std::string text = {};        // a scalar's text; the let-name that a spliced list replaces
  bool quoted = false;          // the scalar was written in quotes, or as a block (`|` or `>`)
  std::vector<YamlNode> items;  // the items of a list
  std::vector<YamlEntry>
      entries;  // the entries of a mapping, in the order of the text; keys differ

  bool is_empty() const noexcept { return kind == Kind::kEmpty; }
  bool is_scalar() const noexcept { return kind == Kind::kScalar; }
  bool is_list() const noexcept { return kind == Kind::kList; }
  bool is_mapping() const noexcept { return kind == Kind::kMapping; }

  // The entry of a mapping with that key, or nullptr.
  const YamlEntry* find(std::string_view key) const noexcept;
  // Describes the value in messages: 1e3, "1e3" in quotes, a list, a mapping, empty.
  std::string describe() const;
  // The value on one line: "5%", "[1, 2]", "{share: 5%, of: visible}". A list that replaces a
  // let-name gives that name.
  std::string to_text() const;
};

// A key of a mapping and its value.
struct YamlEntry {
  std::string key;
  TextPosition key_position;
  YamlNode value;
};

// Reads one YAML document. `file` is the file's name in positions. Throws ConfigError on text that
// is not valid YAML, and on YAML that is easily misread: duplicate keys, merge keys (<<), keys that
// are not plain text, tags, several documents, tabs as indentation, quotes that are not closed,
// control characters. The value that an alias repeats has the alias's position, but the values
// inside it have their positions in the anchored text. Throws ConfigError too above 100 levels or
// 100,000 values.
YamlNode parse_yaml(const std::string& text, const std::string& file);

// The text of a file. Throws ConfigError when the file cannot be read, is not a regular file or is
// larger than 64 MB.
std::string read_yaml_text(const std::filesystem::path& file);

// Reads that text with parse_yaml().
YamlNode read_yaml_file(const std::filesystem::path& file);

// Throws ConfigError unless `node` is a mapping whose keys are all in `allowed`. `what` names the
// mapping in messages: "a workload".
void require_keys(const YamlNode& node,
                  const std::string& what,
                  const std::vector<std::string>& allowed);

}  // namespace maskerade
