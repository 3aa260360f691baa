#pragma once

#include <CLI/App.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "experiments/stress/draw_cell.hpp"

namespace maskerade {

// What the command line of `stress` and `check` gives the cells that are drawn.
struct GivenArguments {
  std::vector<std::string> settings;  // "NAME=VALUE"
  std::vector<std::int64_t> shape;    // six sizes, or none
  std::int64_t layer = 0;
};

// Adds --set, --shape and --layer to a subcommand.
void add_given_options(CLI::App& subcommand, GivenArguments& arguments);

// What they say. Throws ConfigError and ShapeError.
stress::GivenOfCells given_of(const GivenArguments& arguments);

}  // namespace maskerade
