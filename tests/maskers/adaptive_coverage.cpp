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

MaskerProblem problem_of(const std::string& data, std::int64_t key_len) {
  const AttentionShape shape{1, 4, 2, 4, key_len, 64};
  const std::filesystem::path folder = MASKERADE_TEST_DATA;
  if (data == "gaussian") return MaskerProblem(shape);
  if (data == "log-normal") return MaskerProblem(shape, {.key_spread = 1});
  return {folder / ("minilm_l6_" + data + "_qkv.safetensors"), 4};
}

}  // namespace
}  // namespace maskerade

int main(int argc, char** argv) {
  using namespace maskerade;
  CLI::App program("Measures the coverage of adaptive_sampling over a grid.", "adaptive_coverage");
  std::int64_t seeds = 100;
  std::int64_t key_len = 8192;
  std::vector<std::string> names = {"gaussian", "log-normal", "layer1", "layer5"};
  program.add_option("--seeds", seeds, "seeds of every row (100)")->check(CLI::PositiveNumber);
  program.add_option("--key-len", key_len, "keys of the generated data (8192)")
      ->check(CLI::PositiveNumber);
  program.add_option("--data", names, "which data (all)")->check(CLI::IsMember(names));
  CLI11_PARSE(program, argc, argv);
  fmt::print("{:<12}{:<16}{:>6}{:>8}{:>7}  {:<9}{:>10}{:>9}  {:<16}  {}\n", "data", "active before",
             "base", "epsilon", "delta", "sigma", "density", "rate", "99.9 % bounds", "statement");
  for (const std::string& name : names) {
    const MaskerProblem problem = problem_of(name, key_len);
    print_grid(name, problem, {}, "nothing", seeds);
    print_grid(
        name, problem,
        {use("sink", {{"", "16"}}), use("local", {{"", "16"}}), use("oracle_topk", {{"", "2%"}})},
        "16 + 16 + 2%", seeds);
  }
  return 0;
}
