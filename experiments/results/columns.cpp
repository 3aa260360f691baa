#include "experiments/results/columns.hpp"

#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <type_traits>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

using Json = nlohmann::ordered_json;

// ---- The values of a field
// -----------------------------------------------------------------------

// Rationale: file names and parameters need not be UTF-8, and must not lose a result.
std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

template <typename Value>
ColumnType type_of(const Value&) {
  if constexpr (std::is_same_v<Value, bool>) return ColumnType::kBoolean;
  if constexpr (std::is_same_v<Value, std::uint64_t>) return ColumnType::kUnsigned;
  if constexpr (std::is_floating_point_v<Value>) return ColumnType::kReal;
  if constexpr (std::is_integral_v<Value>) return ColumnType::kInteger;
  return ColumnType::kText;
}
ColumnType type_of(const NamedTexts&) { return ColumnType::kJson; }
ColumnType type_of(const std::vector<std::pair<std::string, NamedTexts>>&) {
  return ColumnType::kJson;
}
ColumnType type_of(const std::vector<std::pair<std::string, double>>&) { return ColumnType::kJson; }

ColumnValue value_of(bool field) { return field; }
ColumnValue value_of(int field) { return std::int64_t{field}; }
ColumnValue value_of(std::int64_t field) { return field; }
ColumnValue value_of(std::uint64_t field) { return field; }
ColumnValue value_of(double field) { return field; }
ColumnValue value_of(const std::string& field) { return field; }
ColumnValue value_of(DType field) { return std::string(name_of(field)); }
ColumnValue value_of(CellStatus field) { return std::string(name_of(field)); }
ColumnValue value_of(MatchQuantity field) { return std::string(name_of(field)); }
ColumnValue value_of(MatchStatus field) { return std::string(name_of(field)); }

Json json_of(const std::string& text) { return text; }
Json json_of(double number) { return number; }
template <typename Value>
Json json_of(const std::vector<std::pair<std::string, Value>>& fields) {
  Json json = Json::object();
  for (const auto& [name, value] : fields) json[name] = json_of(value);
  return json;
}
template <typename Value>
ColumnValue value_of(const std::vector<std::pair<std::string, Value>>& fields) {
  return text_of(json_of(fields));
}

// A value of the alternative that a field is kept as.
template <typename Kept>
const Kept& kept_as(const ColumnValue& value) {
  if (const Kept* kept = std::get_if<Kept>(&value)) return *kept;
  throw Error("a value is not of its column's type");
}

void assign(bool& field, const ColumnValue& value) { field = kept_as<bool>(value); }
void assign(int& field, const ColumnValue& value) {
  field = static_cast<int>(kept_as<std::int64_t>(value));
}
void assign(std::int64_t& field, const ColumnValue& value) { field = kept_as<std::int64_t>(value); }
void assign(std::uint64_t& field, const ColumnValue& value) {
  field = kept_as<std::uint64_t>(value);
}
void assign(double& field, const ColumnValue& value) { field = kept_as<double>(value); }
void assign(std::string& field, const ColumnValue& value) { field = kept_as<std::string>(value); }

template <typename Named>
void assign_named(Named& field, const std::optional<Named>& named) {
  if (!named) throw Error("a value is not of its column's type");
  field = *named;
}
void assign(DType& field, const ColumnValue& value) {
  assign_named(field, parse_dtype(kept_as<std::string>(value)));
}
void assign(CellStatus& field, const ColumnValue& value) {
  assign_named(field, parse_cell_status(kept_as<std::string>(value)));
}
void assign(MatchQuantity& field, const ColumnValue& value) {
  assign_named(field, parse_match_quantity(kept_as<std::string>(value)));
}
void assign(MatchStatus& field, const ColumnValue& value) {
  assign_named(field, parse_match_status(kept_as<std::string>(value)));
}

void assign(std::string& field, const Json& json) { field = json.get<std::string>(); }
void assign(double& field, const Json& json) {
  field = json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>();
}
template <typename Value>
void assign(std::vector<std::pair<std::string, Value>>& fields, const Json& json) {
  for (const auto& [name, item] : json.items()) {
    assign(fields.emplace_back(name, Value{}).second, item);
  }
}
template <typename Value>
void assign(std::vector<std::pair<std::string, Value>>& fields, const ColumnValue& value) {
  try {
    assign(fields, Json::parse(kept_as<std::string>(value)));
  } catch (const Json::exception&) {
    throw Error("a value is not of its column's type");
  }
}

// ---- Where a field is
// ----------------------------------------------------------------------------

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

// The field at the end of a path of members; nullptr when a part on the way is absent.
template <typename Object>
const Object* find_field(const Object* object) {
  return object;
}
template <typename Object, typename Member, typename... Rest>
const auto* find_field(const Object* object, Member member, Rest... rest) {
  using Part = std::remove_pointer_t<decltype(find(object->*member))>;
  return find_field(object == nullptr ? static_cast<Part*>(nullptr) : find(object->*member),
                    rest...);
}
// The same, with the parts on the way made.
template <typename Object>
Object& make_field(Object& object) {
  return object;
}
template <typename Object, typename Member, typename... Rest>
auto& make_field(Object& object, Member member, Rest... rest) {
  return make_field(make(object.*member), rest...);
}

template <typename... Members>
Column column(const std::string& name, Members... path) {
  using Field = std::remove_reference_t<decltype(make_field(std::declval<CellResult&>(), path...))>;
  const auto get = [path...](const CellResult& result) -> ColumnValue {
    const Field* field = find_field(&result, path...);
    return field == nullptr ? ColumnValue() : value_of(*field);
  };
  const auto set = [path...](CellResult& result, const ColumnValue& value) {
    if (!std::holds_alternative<std::monostate>(value)) {
      return assign(make_field(result, path...), value);
    }
    if constexpr (std::is_same_v<Field, double>) {
      if (find_field(static_cast<const CellResult*>(&result), path...) != nullptr) {
        make_field(result, path...) = std::numeric_limits<double>::quiet_NaN();
      }
    }
  };
  return {name, type_of(Field{}), get, set};
}

// A text that is absent when it is empty.
Column optional_text(const std::string& name, std::string CellResult::*member) {
  Column optional = column(name, member);
  optional.get = [member](const CellResult& result) {
    const std::string& text = result.*member;
    return text.empty() ? ColumnValue() : ColumnValue(text);
  };
  return optional;
}

// A number that follows from other columns.
Column derived(const std::string& name, std::optional<double> (*number)(const CellResult&)) {
  return {name, ColumnType::kReal,
          [number](const CellResult& result) {
            const std::optional<double> value = number(result);
            return value ? ColumnValue(*value) : ColumnValue();
          },
          [](CellResult&, const ColumnValue&) {}};
}

std::vector<Column> make_columns() {
  std::vector<Column> columns;
  const auto add = [&](Column added) { columns.push_back(std::move(added)); };
  const auto add_stage = [&](const std::string& stage, auto member) {
    add(column(stage + "_ms", &CellResult::times, member, &Summary::median));
    add(column(stage + "_ms_lo", &CellResult::times, member, &Summary::lo));
    add(column(stage + "_ms_hi", &CellResult::times, member, &Summary::hi));
    add(column(stage + "_ms_min", &CellResult::times, member, &Summary::min));
  };
  using Result = CellResult;
  using Facts = WorkloadFacts;
  using Shape = AttentionShape;
  add(column("experiment", &Result::experiment));
  add(column("workload", &Result::workload));
  add(column("cell", &Result::cell));
  add(column("pipeline", &Result::pipeline));
  add(column("status", &Result::status));
  add(column("reason", &Result::reason));
  add(column("device", &Result::device));
  add(optional_text("selection_device", &Result::selection_device));
  add(column("kernel", &Result::kernel));
  add(optional_text("kernel_mix", &Result::kernel_mix));
  add(optional_text("cost_model", &Result::cost_model));
  add(column("dtype", &Result::facts, &Facts::dtype));
  add(column("batch", &Result::facts, &Facts::shape, &Shape::batch));
  add(column("query_heads", &Result::facts, &Facts::shape, &Shape::query_heads));
  add(column("kv_heads", &Result::facts, &Facts::shape, &Shape::kv_heads));
  add(column("query_len", &Result::facts, &Facts::shape, &Shape::query_len));
  add(column("key_len", &Result::facts, &Facts::shape, &Shape::key_len));
  add(column("head_dim", &Result::facts, &Facts::shape, &Shape::head_dim));
  add(column("causal", &Result::facts, &Facts::causal));
  add(column("source", &Result::facts, &Facts::source));
  add(column("file", &Result::file));
  add(column("layer", &Result::facts, &Facts::layer));
  add(column("seed", &Result::seed));
  add(column("source_params", &Result::source_params));
  add(column("queries", &Result::queries));
  add(column("query_seed", &Result::query_seed));
  add(column("decode_steps", &Result::decode_steps));
  add(column("scale", &Result::facts, &Facts::scale));
  add(column("mask_seed", &Result::mask_seed));
  add(column("threads", &Result::threads));
  add(column("chunk_rows", &Result::chunk_rows));
  add(column("params", &Result::params));
  add(column("routes", &Result::routes));
  using Match = MatchFacts;
  using Found = MatchFacts::Found;
  add(column("match_quantity", &Result::match, &Match::quantity));
  add(column("match_target", &Result::match, &Match::target));
  add(column("match_tolerance", &Result::match, &Match::tolerance));
  add(column("match_parameter", &Result::match, &Match::parameter));
  add(column("match_value", &Result::match, &Match::found, &Found::value));
  add(column("match_reached", &Result::match, &Match::found, &Found::reached));
  add(column("match_least", &Result::match, &Match::found, &Found::least));
  add(column("match_greatest", &Result::match, &Match::found, &Found::greatest));
  add(column("match_probes", &Result::match, &Match::found, &Found::probes));
  add(column("match_search_ms", &Result::match, &Match::found, &Found::search_ms));
  add(column("match_status", &Result::match, &Match::found, &Found::status));
  add(column("density", &Result::counts, &MaskCounts::density));
  add(column("density_p5", &Result::counts, &MaskCounts::density_p5));
  add(column("density_p95", &Result::counts, &MaskCounts::density_p95));
  add(column("visible_entries", &Result::counts, &MaskCounts::visible_entries));
  add(column("active_entries", &Result::counts, &MaskCounts::active_entries));
  add(column("sampled_entries", &Result::counts, &MaskCounts::sampled_entries));
  add(column("tiles_full", &Result::counts, &MaskCounts::tiles_full));
  add(column("tiles_partial", &Result::counts, &MaskCounts::tiles_partial));
  add(column("tiles_empty", &Result::counts, &MaskCounts::tiles_empty));
  add(column("empty_rows", &Result::counts, &MaskCounts::empty_rows));
  add(column("keys_scored", &Result::cost, &CostFacts::keys_scored));
  add(column("select_bytes_read", &Result::cost, &CostFacts::select_bytes_read));
  add(column("index_bytes", &Result::cost, &CostFacts::index_bytes));
  add(column("index_spans_future", &Result::cost, &CostFacts::index_spans_future));
  add(column("kv_bytes_touched", &Result::cost, &CostFacts::kv_bytes_touched));
  add(column("total_bytes", &Result::cost, &CostFacts::total_bytes));
  add(column("attainable_ms", &Result::cost, &CostFacts::attainable_ms));
  add(derived("percent_of_attainable",
              [](const CellResult& r) { return r.percent_of_attainable(); }));
  add(derived("attend_flops_per_second",
              [](const CellResult& r) { return r.attend_flops_per_second(); }));
  add(derived("percent_of_peak_flops",
              [](const CellResult& r) { return r.percent_of_peak_flops(); }));
  add(derived("percent_of_l2_roof", [](const CellResult& r) { return r.percent_of_l2_roof(); }));
  add(derived("attend_bytes_per_second",
              [](const CellResult& r) { return r.attend_bytes_per_second(); }));
  add(derived("percent_of_bandwidth",
              [](const CellResult& r) { return r.percent_of_bandwidth(); }));
  add_stage("prepare", &StageTimes::prepare);
  add_stage("append", &StageTimes::append);
  add_stage("select", &StageTimes::select);
  add(column("select_ms_by_masker", &Result::times, &StageTimes::select_by_masker));
  add_stage("plan", &StageTimes::plan);
  add_stage("attend", &StageTimes::attend);
  add_stage("total", &StageTimes::total);
  add_stage("dense", &StageTimes::dense);
  add(optional_text("dense_kernel", &Result::dense_kernel));
  add(optional_text("dense_kernel_reason", &Result::dense_kernel_reason));
  using Timing = DeviceTiming;
  add(column("cache", &Result::device_timing, &Timing::cache));
  add(column("launch_ms", &Result::device_timing, &Timing::launch_ms));
  const auto add_clocks = [&](const std::string& when,
                              std::optional<DeviceClocks> Timing::*clocks) {
    using Clocks = DeviceClocks;
    add(column("sm_mhz_" + when, &Result::device_timing, clocks, &Clocks::sm_mhz));
    add(column("memory_mhz_" + when, &Result::device_timing, clocks, &Clocks::memory_mhz));
    add(column("temperature_celsius_" + when, &Result::device_timing, clocks,
               &Clocks::temperature_celsius));
    add(column("throttle_reasons_" + when, &Result::device_timing, clocks,
               &Clocks::throttle_reasons));
  };
  add_clocks("before", &Timing::before);
  add_clocks("after", &Timing::after);
  add(derived("speedup", [](const CellResult& result) -> std::optional<double> {
    if (!result.times) return std::nullopt;
    return result.times->speedup();
  }));
  add(derived("break_even_density", [](const CellResult& r) { return r.break_even_density(); }));
  add(column("repetitions", &Result::times, &StageTimes::repetitions));
  add(column("measure_target", &Result::measure_target));
  add(column("measure_budget_ms", &Result::measure_budget_ms));
  add(column("rel_l2_error", &Result::fidelity, &Fidelity::rel_l2_error));
  add(column("rel_l2_error_median_head", &Result::fidelity, &Fidelity::rel_l2_error_median_head));
  add(column("rel_l2_error_p95_head", &Result::fidelity, &Fidelity::rel_l2_error_p95_head));
  add(column("rel_l2_error_max_head", &Result::fidelity, &Fidelity::rel_l2_error_max_head));
  add(column("attention_recall", &Result::fidelity, &Fidelity::attention_recall));
  add(column("sampled_share", &Result::fidelity, &Fidelity::sampled_share));
  add(column("lse_error", &Result::fidelity, &Fidelity::lse_error));
  add(column("oracle_error", &Result::oracle, &OracleFacts::error));
  add(column("dense_oracle_error", &Result::oracle, &OracleFacts::dense_error));
  add(column("oracle_rows", &Result::oracle, &OracleFacts::rows));
  add(column("tolerance", &Result::tolerance));
  add(column("tolerance_is_loosened", &Result::tolerance_is_loosened));
  add(column("coverage_seeds", &Result::coverage, &Coverage::seeds));
  add(column("coverage_rows", &Result::coverage, &Coverage::rows));
  add(column("coverage_epsilon", &Result::coverage, &Coverage::stated, &Guarantee::epsilon));
  add(column("coverage_delta", &Result::coverage, &Coverage::stated, &Guarantee::delta));
  const auto add_rate = [&](const std::string& name, RateBounds Coverage::*rate) {
    add(column(name, &Result::coverage, rate, &RateBounds::rate));
    add(column(name + "_lo", &Result::coverage, rate, &RateBounds::lo));
    add(column(name + "_hi", &Result::coverage, rate, &RateBounds::hi));
  };
  add_rate("coverage_rate", &Coverage::overall);
  add_rate("coverage_worst_rate", &Coverage::worst);
  add(column("coverage_contradicting_rows", &Result::coverage, &Coverage::contradicting_rows));
  add({"coverage_verdict", ColumnType::kText,
       [](const CellResult& result) {
         if (!result.coverage) return ColumnValue();
         return ColumnValue(std::string(verdict_of(*result.coverage)));
       },
       [](CellResult&, const ColumnValue&) {}});
  add(column("peak_bytes", &Result::peak_bytes));
  add(column("machine", &Result::machine));
  add(column("peak_flops_per_second", &Result::peaks, &MachinePeaks::flops_per_second));
  add(column("peak_read_bytes_per_second", &Result::peaks, &MachinePeaks::read_bytes_per_second));
  add(column("peak_l2_bytes_per_second", &Result::peaks, &MachinePeaks::l2_bytes_per_second));
  add(column("peak_flops_source", &Result::peaks, &MachinePeaks::flops_source));
  add(column("program_version", &Result::program_version));
  add(column("plugins", &Result::plugins));
  return columns;
}

}  // namespace

const std::vector<Column>& cell_columns() {
  static const std::vector<Column> kColumns = make_columns();
  return kColumns;
}

CellResult result_of(const std::vector<ColumnValue>& values) {
  CellResult result;
  const std::vector<Column>& columns = cell_columns();
  const auto is_null = [&](std::size_t i) {
    return std::holds_alternative<std::monostate>(values[i]);
  };
  // What is there says which parts were measured; only then does a null in them mean NaN.
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!is_null(i)) columns[i].set(result, values[i]);
  }
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (is_null(i)) columns[i].set(result, values[i]);
  }
  if (result.times) {
    for (std::optional<Summary>* stage : {&result.times->prepare, &result.times->append,
                                          &result.times->select, &result.times->plan}) {
      if (*stage) (*stage)->repetitions = result.times->repetitions;
    }
    for (Summary* stage : {&result.times->attend, &result.times->total, &result.times->dense}) {
      stage->repetitions = result.times->repetitions;
    }
  }
  return result;
}

}  // namespace maskerade
