#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "experiments/stress/draw_cell.hpp"
#include "experiments/stress/shrink.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade::stress {

// The built maskers, and one that breaks a rule where its id is given.
inline Catalog catalog_with(const std::string& wrong = "") {
  Catalog catalog;
  catalog.load_folder(MASKERADE_BUILT_IN_PLUGINS, true);
  if (!wrong.empty()) {
    catalog.load(std::filesystem::path(MASKERADE_TEST_PLUGINS) / (wrong + ".so"));
  }
  return catalog;
}

// Cells of these maskers.
inline CellPopulation population_of(const Catalog& catalog,
                                    const std::vector<std::string>& ids,
                                    std::uint64_t seed) {
  CellPopulation population{.seed = seed};
  for (const std::string& id : ids) population.maskers.push_back({.type = catalog.find(id)});
  return population;
}

inline CheckedCell draw_and_check_here(const CellPopulation& population, std::int64_t number) {
  LocalChecker checker;
  return draw_and_check(population, number, checker);
}
inline CellFailure shrink_here(const CellFailure& failure) {
  LocalChecker checker;
  return shrink(failure, checker);
}

}  // namespace maskerade::stress
