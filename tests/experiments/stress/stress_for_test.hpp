#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

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

using Maskers = std::vector<std::shared_ptr<const MaskerType>>;
inline Maskers find_all(const Catalog& catalog, const std::vector<std::string>& ids) {
  Maskers maskers;
  for (const std::string& id : ids) maskers.push_back(catalog.find(id));
  return maskers;
}

}  // namespace maskerade::stress
