#include "experiments/config/yaml_tree.hpp"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <sstream>
#include <system_error>

#include "framework/base/control_characters.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

constexpr std::size_t kMaxDepth = 100;
constexpr std::size_t kMaxNodes = 100'000;
constexpr std::uintmax_t kMaxFileBytes = 64'000'000;

std::size_t count_nodes(const YamlNode& node) {
  std::size_t count = 1;
  for (const YamlNode& item : node.items) count += count_nodes(item);
  for (const YamlEntry& entry : node.entries) count += count_nodes(entry.value);
  return count;
}

// Builds the tree from the events of yaml-cpp's parser. Rationale: yaml-cpp's own tree keeps
// duplicate keys and gives an alias the position of its anchor.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::string& text, std::string file) : text_(text), file_(std::move(file)) {}

  YamlNode take_root() { return root_ ? std::move(*root_) : YamlNode{.position = {file_, 0, 0}}; }

  TextPosition position_of(const YAML::Mark& mark) const {
    if (mark.is_null()) return {file_, 0, 0};
    return {file_, mark.line + 1, mark.column + 1};
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      throw ConfigError(
          position_of(mark),
          "a second YAML document begins here; a file holds one experiment, so remove "
          "the line \"---\"");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // yaml-cpp gives an empty value the position of the next token; the key's, or the list's, is
    // used instead.
    YamlNode node{.position = position_of(mark)};
    if (!frames_.empty()) {
      const Frame& frame = frames_.back();
      if (frame.has_key) node.position = frame.key_position;
      if (frame.node.is_list()) node.position = frame.node.position;
    }
    add(std::move(node), anchor, 1);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const TextPosition position = position_of(mark);
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw ConfigError(
          position, "this alias stands inside the value of its own anchor; write the value out");
    }
    YamlNode node = found->second.node;
    node.position = position;
    count(found->second.nodes, position);
    add(std::move(node), 0, found->second.height);
  }

  void OnScalar(const YAML::Mark& mark,
                const std::string& tag,
                YAML::anchor_t anchor,
                const std::string& value) override {
    const bool quoted = tag == "!";
    check_tag(tag, mark);
    if (quoted) check_quote_closed(mark);
    refuse_control_characters(value, position_of(mark));
    add({.kind = YamlNode::Kind::kScalar,
         .position = position_of(mark),
         .text = value,
         .quoted = quoted},
        anchor, 1);
  }

  void OnSequenceStart(const YAML::Mark& mark,
                       const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value /*style*/) override {
    begin(YamlNode::Kind::kList, mark, tag, anchor);
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark,
                  const std::string& tag,
                  YAML::anchor_t anchor,
                  YAML::EmitterStyle::value /*style*/) override {
    begin(YamlNode::Kind::kMapping, mark, tag, anchor);
  }
  void OnMapEnd() override { end(); }

 private:
  // A list or mapping that has begun and not ended. Heights are levels of nesting, a scalar's is 1.
  struct Frame {
    YamlNode node;
    YAML::anchor_t anchor = 0;  // 0: none
    std::size_t height = 1;     // of the highest value inside so far
    bool has_key = false;       // a mapping's `key` was read, its value was not
    std::string key = {};
    TextPosition key_position = {};
    std::map<std::string, int> lines = {};  // of a mapping's keys so far
  };
  // The value of an anchor, which aliases copy.
  struct AnchorValue {
    YamlNode node;
    std::size_t height = 1;
    std::size_t nodes = 1;  // values in it, itself included
  };

  void check_tag(const std::string& tag, const YAML::Mark& mark) const {
    if (tag.empty() || tag == "?" || tag == "!") return;
    throw ConfigError(position_of(mark), "YAML tags (!name) are not used here; remove the tag");
  }

  // Throws ConfigError where a quoted text is not closed. Rationale: yaml-cpp accepts the end of
  // the file in place of the closing quote.
  void check_quote_closed(const YAML::Mark& mark) const {
    const auto begin = static_cast<std::size_t>(mark.pos);
    if (begin >= text_.size()) return;
    const char quote = text_[begin];
    if (quote != '"' && quote != '\'') return;
    for (std::size_t i = begin + 1; i < text_.size(); ++i) {
      if (quote == '"' && text_[i] == '\\') {
        ++i;
      } else if (text_[i] == quote) {
        if (quote == '"' || i + 1 >= text_.size() || text_[i + 1] != quote) return;
        ++i;
      }
    }
    throw ConfigError(position_of(mark),
                      fmt::format("this quote is not closed; add the closing {}", quote));
  }

  // Adds to the number of values of the document. Throws ConfigError above the limit.
  void count(std::size_t nodes, const TextPosition& position) {
    nodes_ += nodes;
    if (nodes_ > kMaxNodes) {
      throw ConfigError(position,
                        fmt::format("the text has more than {} values, those that aliases "
                                    "repeat included; shorten it",
                                    kMaxNodes));
    }
  }

  void begin(YamlNode::Kind kind,
             const YAML::Mark& mark,
             const std::string& tag,
             YAML::anchor_t anchor) {
    check_tag(tag, mark);
    if (!frames_.empty() && frames_.back().node.is_mapping() && !frames_.back().has_key) {
      throw ConfigError(position_of(mark), kind == YamlNode::Kind::kList
                                               ? "a list cannot be a key; a key is a name"
                                               : "a mapping cannot be a key; a key is a name");
    }
    frames_.push_back({.node = {.kind = kind, .position = position_of(mark)}, .anchor = anchor});
  }

  void end() {
    Frame frame = std::move(frames_.back());
    frames_.pop_back();
    add(std::move(frame.node), frame.anchor, frame.height + 1);
  }

  void add(YamlNode node, YAML::anchor_t anchor, std::size_t height) {
    count(1, node.position);
    if (frames_.size() + height > kMaxDepth) {
      throw ConfigError(node.position,
                        fmt::format("the values are nested more than {} levels deep; nest "
                                    "them less",
                                    kMaxDepth));
    }
    if (anchor != 0) anchors_[anchor] = {node, height, count_nodes(node)};
    if (frames_.empty()) {
      root_ = std::move(node);
      return;
    }
    Frame& frame = frames_.back();
    frame.height = std::max(frame.height, height);
    if (frame.node.is_list()) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.has_key) {
      begin_entry(frame, node);
    } else {
      end_entry(frame, std::move(node));
    }
  }

  static void begin_entry(Frame& frame, const YamlNode& key) {
    if (!key.is_scalar() || key.text.empty()) {
      throw ConfigError(key.position, fmt::format("a key is {}; a key is a name", key.describe()));
    }
    if (key.text == "<<") {
      throw ConfigError(key.position,
                        "merge keys (<<) are not supported; repeat the entries, or use `let`");
    }
    const auto [first, is_new] = frame.lines.emplace(key.text, key.position.line);
    if (!is_new) {
      throw ConfigError(key.position, fmt::format("duplicate key \"{}\"; it is already on line {}",
                                                  key.text, first->second));
    }
    frame.has_key = true;
    frame.key = key.text;
    frame.key_position = key.position;
  }

  static void end_entry(Frame& frame, YamlNode value) {
    if (value.is_empty() && frame.key.find(':') != std::string::npos) {
      throw ConfigError(
          frame.key_position,
          fmt::format("\"{}\" has no value; write a space after the colon", frame.key));
    }
    frame.node.entries.push_back(
        {std::move(frame.key), std::move(frame.key_position), std::move(value)});
    frame.has_key = false;
  }

  const std::string& text_;
  std::string file_;
  int documents_ = 0;
  std::size_t nodes_ = 0;
  std::vector<Frame> frames_;
  std::map<YAML::anchor_t, AnchorValue> anchors_;
  std::optional<YamlNode> root_;
};

// Throws ConfigError at the first byte of the text that is not part of valid UTF-8. Rationale:
// names of an experiment are stored, and readers of results take nothing else.
void refuse_other_encodings(const std::string& text, const std::string& file) {
  const std::size_t at = first_invalid_byte(text);
  if (at == text.size()) return;
  const std::string_view before(text.data(), at);
  const std::size_t line_begin = before.rfind('\n') + 1;  // 0 on the first line
  const auto characters =
      std::count_if(before.begin() + static_cast<std::ptrdiff_t>(line_begin), before.end(),
                    [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; });
  throw ConfigError(
      {file, static_cast<int>(std::count(before.begin(), before.end(), '\n')) + 1,
       static_cast<int>(characters) + 1},
      fmt::format(
          "the byte {} here is not part of UTF-8 text; save the text as UTF-8 (from Latin-1: "
          "iconv -f latin1 -t utf8)",
          printable(std::string_view(text).substr(at, 1))));
}

void refuse_tabs(const std::string& text, const std::string& file) {
  std::istringstream lines(text);
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::size_t indent = std::min(line.find_first_not_of(" \t"), line.size());
    const std::size_t tab = line.find('\t');
    if (tab < indent) {
      throw ConfigError({file, number, static_cast<int>(tab) + 1},
                        "there is a tab in the indentation; use spaces");
    }
  }
}

}  // namespace

const YamlEntry* YamlNode::find(std::string_view key) const noexcept {
  for (const YamlEntry& entry : entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

std::string YamlNode::describe() const {
  switch (kind) {
    case Kind::kScalar:
      return quoted ? fmt::format("\"{}\" in quotes", text) : text;
    case Kind::kList:
      return "a list";
    case Kind::kMapping:
      return "a mapping";
    case Kind::kEmpty:
      break;
  }
  return "empty";
}

std::string YamlNode::to_text() const {
  std::string joined;
  switch (kind) {
    case Kind::kScalar:
      return text;
    case Kind::kList:
      if (!text.empty()) return text;
      for (const YamlNode& item : items) joined += (joined.empty() ? "" : ", ") + item.to_text();
      return "[" + joined + "]";
    case Kind::kMapping:
      for (const YamlEntry& entry : entries) {
        joined += (joined.empty() ? "" : ", ") + entry.key + ": " + entry.value.to_text();
      }
      return "{" + joined + "}";
    case Kind::kEmpty:
      break;
  }
  return "";
}

YamlNode parse_yaml(const std::string& text, const std::string& file) {
  refuse_other_encodings(text, file);
  refuse_tabs(text, file);
  TreeBuilder builder(text, file);
  try {
    std::istringstream stream(text);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& exception) {
    // Rationale: the } of an unquoted {layer} ends the mapping around it, and yaml-cpp's error
    // points to some later position.
    const bool has_layer_mark = text.find("{layer}") != std::string::npos;
    throw ConfigError(
        builder.position_of(exception.mark),
        fmt::format("this is not valid YAML{} ({})",
                    has_layer_mark ? "; a text with {layer} needs quotes inside {...}: "
                                     "\"layers.{layer}.q\""
                                   : "",
                    exception.msg));
  }
  return builder.take_root();
}

std::string read_yaml_text(const std::filesystem::path& file) {
  if (file.empty()) {
    throw ConfigError({}, "the name of the experiment file is empty; name a YAML file");
  }
  const TextPosition position{file.string(), 0, 0};
  std::error_code code;
  const std::filesystem::file_status status = std::filesystem::status(file, code);
  if (!std::filesystem::exists(status)) throw ConfigError(position, "there is no such file");
  if (std::filesystem::is_directory(status)) {
    throw ConfigError(position, "this is a folder; name an experiment file in it");
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw ConfigError(position, "this is no regular file; save the experiment in one");
  }
  const std::uintmax_t size = std::filesystem::file_size(file, code);
  if (!code && size > kMaxFileBytes) {
    throw ConfigError(position, fmt::format("the file has {} bytes; an experiment file has at most "
                                            "{}",
                                            size, kMaxFileBytes));
  }
  std::ifstream stream(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  if (!stream.is_open() || stream.bad()) {
    throw ConfigError(position, "the file cannot be read; check its permissions");
  }
  return text;
}

YamlNode read_yaml_file(const std::filesystem::path& file) {
  return parse_yaml(read_yaml_text(file), file.string());
}

void require_keys(const YamlNode& node,
                  const std::string& what,
                  const std::vector<std::string>& allowed) {
  if (!node.is_mapping()) {
    throw ConfigError(node.position, fmt::format("{} is {}; it must be a mapping of: {}", what,
                                                 node.describe(), fmt::join(allowed, ", ")));
  }
  for (const YamlEntry& entry : node.entries) {
    if (std::find(allowed.begin(), allowed.end(), entry.key) == allowed.end()) {
      throw ConfigError(entry.key_position, fmt::format("unknown key \"{}\" in {}{}", entry.key,
                                                        what, name_hint(entry.key, allowed)));
    }
  }
}

}  // namespace maskerade
