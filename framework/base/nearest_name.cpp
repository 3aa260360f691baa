#include "framework/base/nearest_name.hpp"

#include <algorithm>
#include <cstddef>

namespace maskerade {
namespace {

// The Levenshtein distance: the fewest characters to insert, delete or replace that turn a into b.
// Only one row of the usual table is kept.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      const std::size_t substituted = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({above + 1, row[j - 1] + 1, substituted});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

std::string nearest_name(std::string_view name, const std::vector<std::string>& known) {
  const std::size_t limit = std::clamp<std::size_t>(name.size() / 3, 1, 3);
  std::string nearest;
  std::size_t least = limit + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(name, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string name_hint(std::string_view name, const std::vector<std::string>& known) {
  if (known.empty()) return "";
  const std::string nearest = nearest_name(name, known);
  if (!nearest.empty()) return "; did you mean \"" + nearest + "\"?";
  std::string hint = "; known: ";
  for (std::size_t i = 0; i < known.size(); ++i) hint += (i == 0 ? "" : ", ") + known[i];
  return hint;
}

}  // namespace maskerade
