#pragma once

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "experiments/compare/side.hpp"
#include "tests/experiments/results/example_result.hpp"

namespace maskerade::compare {

// A successful cell of a pipeline with a median of total, and of its dense reference, in
// milliseconds.
inline CellResult timed_cell(std::int64_t number,
                             const std::string& pipeline,
                             double total_ms,
                             double dense_ms = 100) {
  CellResult cell = example_result();
  cell.cell = number;
  cell.pipeline = pipeline;
  cell.params = {{"local", {{"window", pipeline}}}};
  cell.times->total = summary_of(total_ms);
  cell.times->dense = summary_of(dense_ms);
  return cell;
}

// Times of one run's repetitions around a median, with a spread of that share.
inline std::vector<double> samples_around(double ms, double spread, std::uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<double> normal;
  std::vector<double> samples;
  for (int i = 0; i < 40; ++i) samples.push_back(ms * std::exp(spread * normal(engine)));
  return samples;
}

// A side of single cells, one a run.
inline Side side_of(std::vector<std::vector<CellResult>> runs) {
  Side side{.name = "side", .runs = {}};
  for (std::vector<CellResult>& cells : runs) side.runs.push_back({std::move(cells)});
  return side;
}

}  // namespace maskerade::compare
