#include "experiments/run/job_choice.hpp"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <system_error>
#include <tuple>

#include "framework/base/error.hpp"

namespace maskerade {
namespace {

// The pattern as fnmatch() takes it, for which [ and \ are special, too.
std::string as_for_fnmatch(const std::string& pattern) {
  std::string text;
  for (const char c : pattern) {
    if (c == '[' || c == '\\') text += '\\';
    text += c;
  }
  return text;
}

// Which pipelines a pattern fits, by their number.
std::vector<bool> pipelines_that_fit(const Experiment& experiment,
                                     const std::vector<std::string>& patterns) {
  std::vector<bool> chosen(experiment.pipelines.size());
  for (const std::string& pattern : patterns) {
    const std::string special = as_for_fnmatch(pattern);
    const auto fits = [&](const std::string& name) {
      return fnmatch(special.c_str(), name.c_str(), 0) == 0;
    };
    bool fits_any = false;
    for (std::size_t i = 0; i < chosen.size(); ++i) {
      const PipelineSpec& pipeline = experiment.pipelines[i];
      if (!fits(pipeline.name) && !fits(pipeline.label)) continue;
      chosen[i] = true;
      fits_any = true;
    }
    if (fits_any) continue;
    std::set<std::string> names;
    for (const PipelineSpec& pipeline : experiment.pipelines) names.insert(pipeline.name);
    throw ConfigError({}, fmt::format("--only {}: no pipeline has such a name; there are: {}",
                                      pattern, fmt::join(names, ", ")));
  }
  return chosen;
}

std::vector<Job> of_pipelines(const Experiment& experiment,
                              const std::vector<Job>& jobs,
                              const std::vector<std::string>& patterns) {
  const std::vector<bool> chosen = pipelines_that_fit(experiment, patterns);
  // What a dense reference is of: workload, check and device.
  using Reference = std::tuple<std::size_t, std::size_t, std::string>;
  const auto reference_of = [](const Job& job) {
    return Reference(job.cell.workload, job.cell.check, job.cell.device);
  };
  std::set<Reference> references;
  for (const Job& job : jobs) {
    if (!job.is_dense_reference && chosen[job.cell.pipeline]) references.insert(reference_of(job));
  }
  std::vector<Job> kept;
  for (const Job& job : jobs) {
    if (job.is_dense_reference ? references.count(reference_of(job)) > 0
                               : chosen[job.cell.pipeline]) {
      kept.push_back(job);
    }
  }
  return kept;
}

// Those of `chosen`, which are some of the experiment's jobs, that have one of the numbers.
std::vector<Job> of_numbers(const std::vector<Job>& jobs,
                            const std::vector<Job>& chosen,
                            const std::vector<std::int64_t>& numbers) {
  const std::set<std::int64_t> wanted(numbers.begin(), numbers.end());
  std::set<std::int64_t> missing = wanted;
  std::vector<Job> kept;
  for (const Job& job : chosen) {
    const auto number = static_cast<std::int64_t>(job.cell.number);
    if (wanted.count(number) == 0) continue;
    kept.push_back(job);
    missing.erase(number);
  }
  if (missing.empty()) return kept;
  const auto count = static_cast<std::int64_t>(jobs.size());
  for (const std::int64_t number : missing) {
    if (number >= 0 && number < count) continue;
    throw ConfigError({}, fmt::format("--cell {}: there is no such cell; the experiment has the "
                                      "cells 0 to {}, which --dry-run lists",
                                      number, count - 1));
  }
  throw ConfigError(
      {}, fmt::format("--cell {}: is not of a pipeline that --only names", *missing.begin()));
}

std::vector<Job> of_shard(const std::vector<Job>& jobs, const Shard& shard) {
  const auto count = static_cast<std::int64_t>(jobs.size());
  const auto begin_of = [&](std::int64_t index) {
    return jobs.begin() + (count / shard.count) * index + std::min(index, count % shard.count);
  };
  return {begin_of(shard.index - 1), begin_of(shard.index)};
}

}  // namespace

Shard parse_shard(const std::string& text) {
  Shard shard{.index = 0, .count = 0};
  const char* const end = text.data() + text.size();
  const auto index = std::from_chars(text.data(), end, shard.index);
  const bool has_slash = index.ec == std::errc() && index.ptr != end && *index.ptr == '/';
  const auto count = has_slash ? std::from_chars(index.ptr + 1, end, shard.count)
                               : std::from_chars_result{end, {}};
  constexpr std::int64_t kMostShards = 1'000'000;
  if (!has_slash || count.ec != std::errc() || count.ptr != end || shard.index < 1 ||
      shard.count < shard.index || shard.count > kMostShards) {
    throw ConfigError({}, fmt::format("--shard {}: give the number of a part, from 1, and how many "
                                      "parts there are, for example --shard 2/8",
                                      text));
  }
  return shard;
}

std::vector<Job> choose_jobs(const Experiment& experiment,
                             const std::vector<Job>& jobs,
                             const JobChoice& choice) {
  std::vector<Job> chosen =
      choice.pipelines.empty() ? jobs : of_pipelines(experiment, jobs, choice.pipelines);
  if (!choice.cells.empty()) chosen = of_numbers(jobs, chosen, choice.cells);
  return choice.shard ? of_shard(chosen, *choice.shard) : chosen;
}

}  // namespace maskerade
