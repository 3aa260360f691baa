// adaptive_coverage: how often adaptive_sampling's denominator misses its statement
// P(|D~ - D| > epsilon D) <= delta, over a grid of (epsilon, delta, base). A row "contradicts" the
// statement when the lower 99.9 % bound of its rate exceeds delta.
#include <fmt/format.h>

#include <CLI/CLI.hpp>

#include "tests/maskers/coverage.hpp"

namespace maskerade {
namespace {

void print_grid(const std::string& data,
                const MaskerProblem& problem,
                const std::vector<MaskerUse>& before,
                const std::string& statics,
                std::int64_t seeds) {
  for (const char* base : {"2.5%", "5%", "10%"}) {
    for (const double epsilon : {0.05, 0.1, 0.2}) {
      for (const double delta : {0.05, 0.2}) {
        for (const char* sigma : {"estimate", "upper"}) {
          std::vector<MaskerUse> maskers = before;
          maskers.push_back(use("adaptive_sampling", {{"epsilon", fmt::format("{}", epsilon)},
                                                      {"delta", fmt::format("{}", delta)},
                                                      {"base", base},
                                                      {"sigma", sigma}}));
          const Coverage found = coverage(maskers, problem, epsilon, seeds);
          fmt::print("{:<12}{:<16}{:>6}{:>8}{:>7}  {:<9}{:>9.2f}%{:>9.4f}  [{:.4f}, {:.4f}]  {}\n",
                     data, statics, base, epsilon, delta, sigma, 100 * found.density, found.rate(),
                     found.lower(), found.upper(),
                     found.contradicts(delta) ? "contradicts" : "stands");
          std::fflush(stdout);
        }
      }
    }
  }
}

void run_grids(std::int64_t seeds, std::int64_t key_len) {
  fmt::print("{:<12}{:<16}{:>6}{:>8}{:>7}  {:<9}{:>10}{:>9}  {:<16}  {}\n", "data", "active before",
             "base", "epsilon", "delta", "sigma", "density", "rate", "99.9 % bounds", "statement");
  const AttentionShape shape{1, 4, 2, 4, key_len, 64};
  const std::filesystem::path folder = MASKERADE_TEST_DATA;
  const std::vector<std::pair<std::string, MaskerProblem>> problems = {
      {"gaussian", MaskerProblem(shape)},
      {"log-normal", MaskerProblem(shape, {.key_spread = 1})},
      {"layer 1", MaskerProblem(folder / "minilm_l6_layer1_qkv.safetensors", 4)},
      {"layer 5", MaskerProblem(folder / "minilm_l6_layer5_qkv.safetensors", 4)}};
  for (const auto& [data, problem] : problems) {
    print_grid(data, problem, {}, "nothing", seeds);
    print_grid(
        data, problem,
        {use("sink", {{"", "16"}}), use("local", {{"", "16"}}), use("oracle_topk", {{"", "2%"}})},
        "16 + 16 + 2%", seeds);
  }
}

}  // namespace
}  // namespace maskerade

int main(int argc, char** argv) {
  CLI::App program("Measures the coverage of adaptive_sampling over a grid.", "adaptive_coverage");
  std::int64_t seeds = 100;
  std::int64_t key_len = 2048;
  program.add_option("--seeds", seeds, "seeds of every row (100)")->check(CLI::PositiveNumber);
  program.add_option("--key-len", key_len, "keys of the generated data (2048)")
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(program, argc, argv);
  maskerade::run_grids(seeds, key_len);
  return 0;
}
