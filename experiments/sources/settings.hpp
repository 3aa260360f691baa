#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "framework/base/error.hpp"

namespace maskerade {

// How the value of a key of a source is written. Whoever reads an experiment file checks each value
// against the form of its key, so that a source finds only values of that form.
struct SettingForm {
  enum class Kind {
    kSeed,         // a whole number in [0, 2^64)
    kWholeNumber,  // a whole number in [minimum, 2^31)
    kNumber,       // a number in (0, maximum]
    kShare,        // a share in [0, 1), written 2% or 0.02
    kText,         // a text that is not empty
    kPath,         // the same, for a file; a relative path starts at the experiment file's folder
    kChoice,       // one of `choices`
    kLayers        // a list of different whole numbers, or the word all
  };

  Kind kind = Kind::kText;
  std::int64_t minimum = 0;
  double maximum = 0;
  std::vector<std::string> choices = {};
  std::string unit = {};  // of a whole number, for the reference: "count", "tokens"

  static SettingForm seed();
  static SettingForm whole(const std::string& unit, std::int64_t minimum);
  static SettingForm number(double maximum);
  static SettingForm share();
  static SettingForm text();
  static SettingForm path();
  static SettingForm choice(std::vector<std::string> choices);
  static SettingForm layers();

  // What the reference calls it, as Markdown: "number in (0, 10]".
  std::string to_text() const;
};

// One key of a source, in a mapping of an experiment file. Its texts are Markdown: the reference
// (experiments/README.md) holds a row of them, and a test compares.
struct SettingKey {
  std::string name;
  SettingForm form;
  // The text that is read where the file does not give the key; empty: there is no such text.
  std::string default_text = {};
  // For people, where there is no default_text: what the source does when the key is not given.
  // "required" says that this is an error.
  std::string otherwise = "required";
  std::string meaning;  // one line
  std::string example;  // the value of an example: "30%"

  bool is_required() const { return default_text.empty() && otherwise == "required"; }
  // What the reference shows as the default: the text, or what happens otherwise.
  std::string default_to_text() const;
};

// The keys that several kinds of source share.
SettingKey seed_key();

// A default_text that a form reads as exactly this value.
std::string default_text_of(std::int64_t value);
std::string default_text_of(double value);
std::string text_of_share(double value);

// The layers of a source.
struct LayerChoice {
  bool is_all = false;  // all that the files have
  std::vector<std::int64_t> listed = {};
};

// A valid value: by the form of its key a seed, a whole number, a number or share, a text (of a
// path or a choice, too), or layers.
using SettingValue = std::variant<std::uint64_t, std::int64_t, double, std::string, LayerChoice>;

// What an experiment file says of one source: the values of its keys, valid by their forms, and
// where they stand. A source is made from it and knows nothing else of the file.
class Settings {
 public:
  // `position` is where the source stands; `folder`, absolute, is where relative paths start.
  Settings(TextPosition position, std::filesystem::path folder);

  // Adds the value of a key that is not there yet. A default is one that the file does not give.
  void add(const std::string& key,
           SettingValue value,
           const TextPosition& position,
           bool is_default);

  // Where the source stands.
  const TextPosition& position() const noexcept { return position_; }
  // Where the value of a key stands; for one that the file does not give: where the source stands.
  const TextPosition& position_of(const std::string& key) const;
  // Whether there is a value, given or by default.
  bool has(const std::string& key) const { return values_.contains(key); }
  // Whether the file gives the value.
  bool is_given(const std::string& key) const {
    return has(key) && entry(key).position.has_value();
  }

  // The value of a key. Throws Error when there is none or its form is another: the source asks for
  // what its keys do not state.
  std::uint64_t seed(const std::string& key) const { return get<std::uint64_t>(key); }
  std::int64_t whole(const std::string& key) const { return get<std::int64_t>(key); }
  double number(const std::string& key) const { return get<double>(key); }
  double share(const std::string& key) const { return get<double>(key); }
  const std::string& text(const std::string& key) const { return get<std::string>(key); }
  const std::string& choice(const std::string& key) const { return get<std::string>(key); }
  const LayerChoice& layers(const std::string& key) const { return get<LayerChoice>(key); }
  // A path, absolute and without . and .. in it.
  std::filesystem::path path(const std::string& key) const;

 private:
  struct Entry {
    SettingValue value;
    std::optional<TextPosition> position;  // nullopt: a default
  };

  const Entry& entry(const std::string& key) const;
  template <typename Value>
  const Value& get(const std::string& key) const {
    const Value* value = std::get_if<Value>(&entry(key).value);
    if (value == nullptr) throw Error("the setting \"" + key + "\" has another form");
    return *value;
  }

  TextPosition position_;
  std::filesystem::path folder_;
  std::map<std::string, Entry> values_;
};

}  // namespace maskerade
