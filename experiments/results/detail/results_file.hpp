#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "experiments/results/detail/sqlite.hpp"

// What makes a database one of results.
namespace maskerade::detail {

// The database of a folder: "results.sqlite", or "results.3.sqlite" of shard 3.
std::string results_file_name(std::optional<std::int64_t> shard = {});
// Those of the folder that are there, that without a shard first, then by shard.
std::vector<std::filesystem::path> results_files_in(const std::filesystem::path& folder);

// The names of the tables.
inline constexpr const char* kCellsTable = "cells";
inline constexpr const char* kHeadsTable = "heads";
inline constexpr const char* kStepsTable = "steps";
inline constexpr const char* kSamplesTable = "samples";
inline constexpr const char* kRunsTable = "runs";
inline constexpr const char* kStartedTable = "started";

// The file that SQLite keeps beside a database for what is not in it yet: "-wal" in write-ahead
// mode, "-journal" in another.
std::filesystem::path side_file(const std::filesystem::path& database, const char* suffix);

// Throws the ConfigError of a file that is not a database where SQLite would take it for one that
// is empty, or wait for it: one that is too small or a pipe, or beside which a file of SQLite's is
// a pipe. One that is missing or empty passes.
void check_kind(const DatabaseFile& file);

// False when the database has no tables yet. Throws ConfigError when it is of another program, of
// another format, or lacks a column.
bool check_is_of_results(const Database& database);

// Forgets the failures of a cell's names whose data could not be loaded. Parameters: experiment,
// workload, pipeline, device, kernel, mask_seed.
inline constexpr const char* kDeleteWithoutData =
    "DELETE FROM cells WHERE dtype IS NULL AND experiment = ? AND workload = ? AND pipeline = ? "
    "AND device = ? AND kernel = ? AND mask_seed IS ?";

// Makes the tables, and the index that kDeleteWithoutData needs, in a database that has none.
void make_tables(Database& database);

}  // namespace maskerade::detail
