#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/error.hpp"

namespace maskerade {

struct YamlEntry;

// A YAML value that knows where it was written. A value that nothing changes once it is read;
// whoever needs another tree makes a copy.
struct YamlNode {
  enum class Kind { kEmpty, kScalar, kList, kMapping };

  Kind kind = Kind::kEmpty;
  TextPosition position;           // of an empty mapping value: that of its key
  std::string text = {};           // of a scalar; of a list that replaces a let-name: that name
  bool quoted = false;             // the scalar was written in quotes, or as a block of text
  std::vector<YamlNode> items;     // of a list
  std::vector<YamlEntry> entries;  // of a mapping, in the order of the text; no key twice

  bool is_empty() const noexcept { return kind == Kind::kEmpty; }
  bool is_scalar() const noexcept { return kind == Kind::kScalar; }
  bool is_list() const noexcept { return kind == Kind::kList; }
  bool is_mapping() const noexcept { return kind == Kind::kMapping; }

  // The entry of a mapping with that key, or nullptr.
  const YamlEntry* find(std::string_view key) const noexcept;
  // What stands here, for messages: 1e3, "1e3" in quotes, a list, a mapping, empty.
  std::string describe() const;
  // The value on one line: "5%", "[1, 2]", "{share: 5%, of: visible}".
  std::string to_text() const;
};

struct YamlEntry {
  std::string key;
  TextPosition key_position;
  YamlNode value;
};

// Reads one YAML document. `file` is what positions show. Throws ConfigError on what is not valid
// YAML and on what is easily misread: duplicate keys, merge keys (<<), keys that are no plain text,
// tags, several documents, tabs as indentation, quotes that are not closed, control characters. An
// alias stands at its own position; what is inside it keeps the positions of the anchor.
YamlNode parse_yaml(const std::string& text, const std::string& file);

// The same for a file. Throws ConfigError when it cannot be read, is no regular file or has more
// than 64 MB.
YamlNode read_yaml_file(const std::filesystem::path& file);

// Throws ConfigError unless node is a mapping whose keys are all among `allowed`. `what` names it
// in messages: "a workload".
void require_keys(const YamlNode& node,
                  const std::string& what,
                  const std::vector<std::string>& allowed);

}  // namespace maskerade
