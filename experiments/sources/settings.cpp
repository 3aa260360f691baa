#include "experiments/sources/settings.hpp"

#include <fmt/format.h>

#include <utility>

namespace maskerade {

SettingForm SettingForm::seed() { return {.kind = Kind::kSeed}; }

SettingForm SettingForm::whole(const std::string& unit, std::int64_t minimum) {
  return {.kind = Kind::kWholeNumber, .minimum = minimum, .unit = unit};
}

SettingForm SettingForm::number(double maximum) {
  return {.kind = Kind::kNumber, .maximum = maximum};
}

SettingForm SettingForm::share() { return {.kind = Kind::kShare}; }

SettingForm SettingForm::text() { return {.kind = Kind::kText}; }

SettingForm SettingForm::path() { return {.kind = Kind::kPath}; }

SettingForm SettingForm::choice(std::vector<std::string> choices) {
  return {.kind = Kind::kChoice, .choices = std::move(choices)};
}

SettingForm SettingForm::layers() { return {.kind = Kind::kLayers}; }

std::string SettingForm::to_text() const {
  switch (kind) {
    case Kind::kSeed:
      return "seed";
    case Kind::kWholeNumber:
      return unit;
    case Kind::kNumber:
      return fmt::format("number in (0, {}]", maximum);
    case Kind::kShare:
      return "share or 0";
    case Kind::kText:
      return "text";
    case Kind::kPath:
      return "path";
    case Kind::kChoice:
      return "choice";
    case Kind::kLayers:
      return "list or `all`";
  }
  throw Error("a setting has no form");
}

std::string SettingKey::default_to_text() const {
  if (default_text.empty()) return otherwise;
  return form.kind == SettingForm::Kind::kChoice ? "`" + default_text + "`" : default_text;
}

SettingKey seed_key() {
  return {.name = "seed",
          .form = SettingForm::seed(),
          .default_text = "0",
          .meaning = "a whole number below 2^64",
          .example = "1"};
}

std::string default_text_of(std::int64_t value) { return fmt::to_string(value); }

std::string default_text_of(double value) { return fmt::to_string(value); }

std::string text_of_share(double value) { return fmt::format("{}%", 100 * value); }

Settings::Settings(TextPosition position, std::filesystem::path folder)
    : position_(std::move(position)), folder_(std::move(folder)) {}

void Settings::add(const std::string& key,
                   SettingValue value,
                   const TextPosition& position,
                   bool is_default) {
  values_.emplace(key,
                  Entry{std::move(value), is_default ? std::nullopt : std::optional(position)});
}

const TextPosition& Settings::position_of(const std::string& key) const {
  const auto found = values_.find(key);
  return found == values_.end() || !found->second.position ? position_ : *found->second.position;
}

std::filesystem::path Settings::path(const std::string& key) const {
  return (folder_ / text(key)).lexically_normal();
}

const Settings::Entry& Settings::entry(const std::string& key) const {
  const auto found = values_.find(key);
  if (found == values_.end()) throw Error("the setting \"" + key + "\" has no value");
  return found->second;
}

}  // namespace maskerade
