#include "experiments/stress/reproduction.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <string_view>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/base/text.hpp"

namespace maskerade::stress {
namespace {

// Violations that a report shows; the others are counted.
constexpr std::size_t kMostShown = 3;

std::string_view safetensors_name(DType dtype) {
  switch (dtype) {
    case DType::kFloat16:
      return "F16";
    case DType::kBFloat16:
      return "BF16";
    default:
      return "F32";
  }
}

// The bytes of a safetensors file with q, k and v.
std::string data_of(const StressProblem& problem) {
  std::string header;
  std::string data;
  for (const auto& tensor : {std::pair{"q", problem.inputs.q}, std::pair{"k", problem.inputs.k},
                             std::pair{"v", problem.inputs.v}}) {
    const TensorView& view = tensor.second;
    const std::size_t begin = data.size();
    const std::size_t bytes =
        static_cast<std::size_t>(view.batch * view.heads * view.length * view.dim) *
        size_of(view.dtype);
    data.append(static_cast<const char*>(view.data), bytes);
    header += fmt::format(
        "{}\"{}\": {{\"dtype\": \"{}\", \"shape\": [{}, {}, {}, {}], \"data_offsets\": [{}, {}]}}",
        header.empty() ? "" : ", ", tensor.first, safetensors_name(view.dtype), view.batch,
        view.heads, view.length, view.dim, begin, data.size());
  }
  header = "{" + header + "}";
  std::string size;
  for (int i = 0; i < 8; ++i) size += static_cast<char>(header.size() >> (8 * i) & 0xFF);
  return size + header + data;
}

void write_file(const std::filesystem::path& file, const std::string& bytes) {
  std::ofstream stream(file, std::ios::binary | std::ios::trunc);
  stream << bytes;
  stream.close();
  if (!stream) {
    throw DataError(file.string(), "", "cannot be written; is the folder there, and not full?");
  }
}

}  // namespace

std::string CellOrigin::command() const {
  return fmt::format("maskerade stress --seed {} --cell {}{}", seed, number, arguments);
}

std::string CellOrigin::stem() const {
  const std::string of_cell = fmt::format("stress-{}-{}", seed, number);
  return failure == 1 ? of_cell : fmt::format("{}-{}", of_cell, failure);
}

std::vector<std::string> describe(const CellFailure& failure) {
  std::vector<std::string> lines = {
      fmt::format("masker \"{}\" breaks \"{}\" ({})", failure.cell.subject().type->id(),
                  name_of(failure.invariant), meaning_of(failure.invariant)),
      to_string(failure.cell)};
  for (std::size_t i = 0; i < std::min(failure.violations.size(), kMostShown); ++i) {
    lines.push_back(printable(rules::to_string(failure.violations[i])));
  }
  if (failure.violations.size() > kMostShown) {
    lines.push_back(fmt::format("{} more", failure.violations.size() - kMostShown));
  }
  return lines;
}

bool is_gaussian(const CellFailure& failure) noexcept {
  return failure.cell.problem.kind == rules::DataKind::kNormal;
}

std::string experiment_text(const CellFailure& failure,
                            const CellOrigin& origin,
                            const std::string& data_file) {
  const StressCell& cell = failure.cell;
  const AttentionShape& shape = cell.problem.shape;
  std::string text;
  for (const std::string& line : describe(failure)) text += "# " + line + "\n";
  text += fmt::format(
      "# The rule is asked again, of the cell before it was shrunk, by: {}\n"
      "# maskerade run of this file sees a wrong kernel, a mask that differs from one selection "
      "to\n"
      "# the next, and a masker that fails; not chunks, threads, a previous mask or undeclared "
      "inputs.\n",
      printable(origin.command()));
  text += fmt::format("name: {}\nworkload:\n", origin.stem());
  if (is_gaussian(failure)) {
    text += fmt::format("  source: {{kind: gaussian, seed: {}}}\n  dtype: {}\n", cell.problem.seed,
                        maskerade::name_of(cell.problem.dtype));
  } else {
    text += fmt::format("  source: {{kind: safetensors, file: {}, layout: bhld}}  # {}\n",
                        data_file, rules::name_of(cell.problem.kind));
  }
  text += fmt::format(
      "  batch: {}\n  query_heads: {}\n  kv_heads: {}\n  query_len: {}\n  key_len: {}\n"
      "  head_dim: {}\n  causal: {}\n",
      shape.batch, shape.query_heads, shape.kv_heads, shape.query_len, shape.key_len,
      shape.head_dim, cell.problem.causal);
  text += "pipelines:\n  failing:\n";
  for (const GivenMasker& masker : cell.maskers) text += "    - " + masker.to_yaml() + "\n";
  text += fmt::format("seeds: {{mask: {}}}\n", cell.mask_seed);
  if (cell.device != "cpu") text += fmt::format("devices: [cpu, {}]\n", cell.device);
  text += "kernels: [auto, dense, tiles, rows]\ncheck: {oracle_rows: all}\n";
  if (failure.invariant != Invariant::kSurvives) return text + "measure: {budget: 10ms}\n";
  return text + "isolate: true\nmeasure: {budget: 10ms, cell_timeout: 60s}\n";
}

std::filesystem::path write_reproduction(const CellFailure& failure,
                                         const CellOrigin& origin,
                                         const std::filesystem::path& folder) {
  const std::string data_file = origin.stem() + ".safetensors";
  if (!is_gaussian(failure)) {
    write_file(folder / data_file, data_of(StressProblem(failure.cell.problem)));
  }
  const std::filesystem::path file = folder / (origin.stem() + ".yaml");
  write_file(file, experiment_text(failure, origin, data_file));
  return file;
}

}  // namespace maskerade::stress
