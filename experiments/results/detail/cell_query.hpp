#pragma once

#include <functional>
#include <optional>
#include <string>

#include "experiments/results/cell_result.hpp"
#include "experiments/results/detail/sqlite.hpp"

namespace maskerade::detail {

// Whether cells are read with their heads, steps and samples. Rationale: there may be many thousand
// heads of a cell, which a table of cells does not show.
enum class CellParts { kAll, kNone };

// Reads cells: the one way from the tables back to a CellResult. Where
// others write meanwhile, a Transaction around it makes all of it one state.
class CellQuery {
 public:
  // rest: what follows "SELECT ... FROM cells": a WHERE, an ORDER BY.
  CellQuery(const Database& database, const std::string& rest, CellParts parts);

  // Parameters of `rest` count from 1.
  void bind(int parameter, const ColumnValue& value) { cells_.bind(parameter, value); }
  // The next cell, else nullopt. What `accepts`, called on a cell without its parts, refuses
  // is passed over. Throws ConfigError, which names the cell, when a value is none of its column's.
  std::optional<CellResult> next(const std::function<bool(const CellResult&)>& accepts = {});
  // Ready for other parameters.
  void reset() { cells_.reset(); }

 private:
  DatabaseFile file_;
  CellParts parts_;
  Statement cells_;
  Statement heads_;
  Statement steps_;
  Statement samples_;
};

}  // namespace maskerade::detail
