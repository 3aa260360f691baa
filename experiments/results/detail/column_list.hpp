#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "experiments/results/cell_result.hpp"
#include "experiments/results/column.hpp"
#include "framework/base/error.hpp"
#include "framework/base/text.hpp"

// How members of records become column values and come back. Private to the lists of columns.
namespace maskerade::detail {

using Json = nlohmann::ordered_json;

// ---- The values of a member. Texts are storable() here, for every file of results. Rationale:
// file names, names of tensors and messages of plugins need not be UTF-8, and must not lose a
// result.

template <typename Value>
using NamedValues = std::vector<std::pair<std::string, Value>>;

template <typename Value>
struct ColumnTypeOf {
  static constexpr ColumnType kType = std::is_same_v<Value, bool>            ? ColumnType::kBoolean
                                      : std::is_same_v<Value, std::uint64_t> ? ColumnType::kUnsigned
                                      : std::is_floating_point_v<Value>      ? ColumnType::kReal
                                      : std::is_integral_v<Value>            ? ColumnType::kInteger
                                                                             : ColumnType::kText;
};
template <typename Value>
struct ColumnTypeOf<NamedValues<Value>> {
  static constexpr ColumnType kType = ColumnType::kJson;
};

template <>
struct ColumnTypeOf<std::vector<double>> {
  static constexpr ColumnType kType = ColumnType::kJson;
};

inline ColumnValue value_of(bool member) { return member; }
inline ColumnValue value_of(int member) { return std::int64_t{member}; }
inline ColumnValue value_of(std::int64_t member) { return member; }
inline ColumnValue value_of(std::uint64_t member) { return member; }
inline ColumnValue value_of(double member) { return member; }
inline ColumnValue value_of(const std::string& member) { return storable(member); }
template <typename Enum>
requires std::is_enum_v<Enum> ColumnValue value_of(Enum member) {
  return std::string(name_of(member));
}

inline Json json_of(const std::string& text) { return storable(text); }
inline Json json_of(double number) { return number; }
template <typename Value>
Json json_of(const NamedValues<Value>& members) {
  Json json = Json::object();
  for (const auto& [name, value] : members) json[storable(name)] = json_of(value);
  return json;
}
template <typename Value>
ColumnValue value_of(const NamedValues<Value>& members) {
  return json_of(members).dump();
}
inline ColumnValue value_of(const std::vector<double>& members) { return Json(members).dump(); }

[[noreturn]] inline void refuse_value() { throw Error("a value is not of the column's type"); }

template <typename Alternative>
const Alternative& alternative_of(const ColumnValue& value) {
  if (const Alternative* held = std::get_if<Alternative>(&value)) return *held;
  refuse_value();
}

inline void assign(bool& member, const ColumnValue& value) { member = alternative_of<bool>(value); }
inline void assign(int& member, const ColumnValue& value) {
  const std::int64_t number = alternative_of<std::int64_t>(value);
  if (!std::in_range<int>(number)) refuse_value();
  member = static_cast<int>(number);
}
inline void assign(std::int64_t& member, const ColumnValue& value) {
  member = alternative_of<std::int64_t>(value);
}
inline void assign(std::uint64_t& member, const ColumnValue& value) {
  member = alternative_of<std::uint64_t>(value);
}
inline void assign(double& member, const ColumnValue& value) {
  member = alternative_of<double>(value);
}
inline void assign(std::string& member, const ColumnValue& value) {
  member = alternative_of<std::string>(value);
}

// The enumerator of a name; nullopt where it has none.
inline std::optional<DType> parse_enum(std::string_view name, DType) { return parse_dtype(name); }
inline std::optional<CellStatus> parse_enum(std::string_view name, CellStatus) {
  return parse_cell_status(name);
}
inline std::optional<MatchQuantity> parse_enum(std::string_view name, MatchQuantity) {
  return parse_match_quantity(name);
}
inline std::optional<MatchStatus> parse_enum(std::string_view name, MatchStatus) {
  return parse_match_status(name);
}
inline std::optional<MissRule> parse_enum(std::string_view name, MissRule) {
  return parse_miss_rule(name);
}
template <typename Enum>
requires std::is_enum_v<Enum>
void assign(Enum& member, const ColumnValue& value) {
  const std::string& name = alternative_of<std::string>(value);
  const std::optional<Enum> named = parse_enum(name, Enum{});
  if (!named) throw Error("\"" + name + "\" is none of its names");
  member = *named;
}

inline void assign(std::string& member, const Json& json) { member = json.get<std::string>(); }
inline void assign(double& member, const Json& json) {
  member = json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}
template <typename Value>
void assign(NamedValues<Value>& members, const Json& json) {
  if (!json.is_object()) refuse_value();
  members.clear();
  for (const auto& [name, item] : json.items()) {
    assign(members.emplace_back(name, Value{}).second, item);
  }
}
template <typename Value>
void assign(NamedValues<Value>& members, const ColumnValue& value) {
  try {
    assign(members, Json::parse(alternative_of<std::string>(value)));
  } catch (const Json::exception&) {
    refuse_value();
  }
}

inline void assign(std::vector<double>& members, const ColumnValue& value) {
  try {
    const Json list = Json::parse(alternative_of<std::string>(value));
    if (!list.is_array()) refuse_value();
    members.clear();
    for (const Json& item : list) assign(members.emplace_back(), item);
  } catch (const Json::exception&) {
    refuse_value();
  }
}

// ---- The member at the end of a path of members; parts on the way may be absent

template <typename Object>
const Object* find(const Object& object) {
  return &object;
}
template <typename Object>
const Object* find(const std::optional<Object>& object) {
  return object ? &*object : nullptr;
}
template <typename Object>
Object& make(Object& object) {
  return object;
}
template <typename Object>
Object& make(std::optional<Object>& object) {
  if (!object) object = Object{};
  return *object;
}

// nullptr when a part on the way, or the member itself, is absent.
template <typename Object>
const Object* find_member(const Object* object) {
  return object;
}
template <typename Object, typename Member, typename... Rest>
const auto* find_member(const Object* object, Member member, Rest... rest) {
  using Part = std::remove_pointer_t<decltype(find(object->*member))>;
  return find_member(object == nullptr ? static_cast<Part*>(nullptr) : find(object->*member),
                     rest...);
}
// Makes the parts on the way.
template <typename Object>
Object& make_member(Object& object) {
  return object;
}
template <typename Object, typename Member, typename... Rest>
auto& make_member(Object& object, Member member, Rest... rest) {
  return make_member(make(object.*member), rest...);
}

// ---- The list

// What a reader is told of a column.
struct ColumnText {
  std::string name;
  std::string unit;
  std::string meaning;
};

// Collects columns.
template <typename Record>
class ColumnList {
 public:
  // The member at the end of a path of members of Record; parts on the way, and the member, may be
  // std::optional.
  template <typename... Members>
  Column<Record>& add(const ColumnText& text, Members... path) {
    using Member = std::remove_reference_t<decltype(make_member(std::declval<Record&>(), path...))>;
    const auto get = [path...](const Record& record) -> ColumnValue {
      const Member* member = find_member(&record, path...);
      return member == nullptr ? ColumnValue() : value_of(*member);
    };
    const auto set = [path...](Record& record, const ColumnValue& value) {
      if (!std::holds_alternative<std::monostate>(value)) {
        return assign(make_member(record, path...), value);
      }
      if constexpr (std::is_same_v<Member, double>) {
        if (find_member(static_cast<const Record*>(&record), path...) != nullptr) {
          make_member(record, path...) = std::numeric_limits<double>::quiet_NaN();
        }
      }
    };
    return columns_.emplace_back(Column<Record>{.name = text.name,
                                                .type = ColumnTypeOf<Member>::kType,
                                                .unit = text.unit,
                                                .meaning = text.meaning,
                                                .get = get,
                                                .set = set});
  }

  // A text that is absent when it is empty.
  template <typename... Members>
  void add_optional_text(const ColumnText& text, Members... path) {
    Column<Record>& added = add(text, path...);
    added.get = [get = added.get](const Record& record) {
      const ColumnValue value = get(record);
      return text_of(value).empty() ? ColumnValue() : value;
    };
  }

  // What follows from other columns: a function of the record that gives a value or nullopt. It is
  // written and never read back.
  template <typename Derive>
  void add_derived(const ColumnText& text, Derive derive) {
    using Value = typename decltype(derive(std::declval<const Record&>()))::value_type;
    columns_.emplace_back(Column<Record>{.name = text.name,
                                         .type = ColumnTypeOf<Value>::kType,
                                         .unit = text.unit,
                                         .meaning = text.meaning,
                                         .get =
                                             [derive](const Record& record) {
                                               const std::optional<Value> value = derive(record);
                                               return value ? value_of(*value) : ColumnValue();
                                             },
                                         .set = [](Record&, const ColumnValue&) {}});
  }

  std::vector<Column<Record>> take() { return std::move(columns_); }

 private:
  std::vector<Column<Record>> columns_;
};

}  // namespace maskerade::detail
