#include "experiments/cli/given_arguments.hpp"

#include <fmt/format.h>

#include <CLI/Validators.hpp>

#include "framework/base/error.hpp"

namespace maskerade {

void add_given_options(CLI::App& subcommand, GivenArguments& arguments) {
  subcommand
      .add_option("--set", arguments.settings,
                  "Give a parameter this value in all that is asked, as a file that a masker "
                  "needs; may be repeated")
      ->type_name("NAME=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  subcommand
      .add_option("--shape", arguments.shape,
                  "Give all cells this shape, which fits that file: batch, query heads, kv heads, "
                  "queries, keys, head_dim")
      ->type_name("B,H,KV,Q,K,D")
      ->delimiter(',')
      ->expected(6);
  subcommand.add_option("--layer", arguments.layer, "Give all cells this layer of the model [0]")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 31).description(""));
}

stress::GivenOfCells given_of(const GivenArguments& arguments) {
  stress::GivenOfCells given;
  for (const std::string& setting : arguments.settings) {
    const std::size_t sign = setting.find('=');
    if (sign == 0 || sign == std::string::npos) {
      throw ConfigError(
          {}, fmt::format("--set {}: write NAME=VALUE, as in --set file=weights.json", setting));
    }
    given.parameters.push_back(
        {.name = setting.substr(0, sign), .values = {setting.substr(sign + 1)}});
  }
  if (!arguments.shape.empty()) {
    const std::vector<std::int64_t>& sizes = arguments.shape;
    given.shape = AttentionShape{sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]};
    given.shape->validate();
  }
  given.layer = arguments.layer;
  return given;
}

}  // namespace maskerade
