// What a selection may depend on, by name, and the one check that a masker declared it.
#pragma once

#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "framework/sdk/masker_abi.h"

namespace maskerade::sdk {

struct Dependency {
  std::uint32_t flag;    // MASKERADE_DEPENDS_*
  const char* name;      // in tables: "head"
  const char* constant;  // in C: "MASKERADE_DEPENDS_HEAD"
};
inline constexpr std::array<Dependency, 8> kDependencies = {
    {{MASKERADE_DEPENDS_SHAPE, "shape", "MASKERADE_DEPENDS_SHAPE"},
     {MASKERADE_DEPENDS_HEAD, "head", "MASKERADE_DEPENDS_HEAD"},
     {MASKERADE_DEPENDS_BATCH, "batch", "MASKERADE_DEPENDS_BATCH"},
     {MASKERADE_DEPENDS_SEED, "seed", "MASKERADE_DEPENDS_SEED"},
     {MASKERADE_DEPENDS_QUERY, "query", "MASKERADE_DEPENDS_QUERY"},
     {MASKERADE_DEPENDS_KEY, "key", "MASKERADE_DEPENDS_KEY"},
     {MASKERADE_DEPENDS_VALUE, "value", "MASKERADE_DEPENDS_VALUE"},
     {MASKERADE_DEPENDS_ACTIVE, "active", "MASKERADE_DEPENDS_ACTIVE"}}};

// What is wrong when a masker that declares `declared` does `what`, which needs all of `needed`:
// "it calls draw, but its descriptor does not declare ..." with the remedy; "" when nothing is.
inline std::string undeclared_text(std::uint32_t needed,
                                   std::uint32_t declared,
                                   std::string_view what) {
  for (const Dependency& dependency : kDependencies) {
    if ((needed & ~declared & dependency.flag) == 0) continue;
    return "it " + std::string(what) + ", but its descriptor does not declare " +
           dependency.constant + "; add " + dependency.constant + " to depends_on";
  }
  return "";
}

// Whether `text` says that what is undeclared is this.
inline bool names_undeclared(std::string_view text, const Dependency& dependency) {
  return text.find(std::string("does not declare ") + dependency.constant) !=
         std::string_view::npos;
}

// Throws std::logic_error with undeclared_text() unless the masker of that host declares all of
// `needed`. Rationale: caching, broadcasting over heads and batch, seeds and the order rules follow
// from what is declared; a masker that looks at more would make numbers silently wrong.
inline void require_declared(const maskerade_host* host,
                             std::uint32_t needed,
                             std::string_view what) {
  if ((needed & ~host->depends_on) == 0) return;
  throw std::logic_error(undeclared_text(needed, host->depends_on, what));
}

}  // namespace maskerade::sdk
