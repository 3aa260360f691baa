#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "experiments/cli/commands.hpp"
#include "experiments/cli/compare_runs.hpp"
#include "experiments/cli/result_exports.hpp"
#include "experiments/cli/stop_signals.hpp"
#include "experiments/compare/comparison_report.hpp"
#include "experiments/report/terminal.hpp"
#include "experiments/results/record_file.hpp"
#include "framework/base/decimal.hpp"
#include "framework/base/error.hpp"
#include "framework/base/stopwatch.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// The command line of `compare`.
struct CompareArguments {
  std::string a;  // results, or with --run a program
  std::string b;
  bool runs = false;
  CompareRunArguments run;
  compare::AlternationOptions alternation;
  std::string time;  // "": no bound
  std::string stage = "total";
  std::string typical = "median";
  std::string margin = "5%";
  std::string ruler = "none";
  bool is_paired = false;
  bool shows_all = false;
  bool is_strict = false;
  std::string format = "terminal";
  std::string json;
};

double margin_of(const std::string& text) {
  const bool is_percentage = text.ends_with('%');
  const std::string number = is_percentage ? text.substr(0, text.size() - 1) : text;
  const double margin = parse_decimal(number).value_or(0) / (is_percentage ? 100 : 1);
  if (!(margin > 0) || margin > 1) {
    throw ConfigError(
        {}, "--margin " + text + ": give a share above 0 and up to 1, such as 5% or 0.05");
  }
  return margin;
}

compare::CompareOptions options_of(const CompareArguments& arguments) {
  compare::CompareOptions options;
  options.quantity.stage = compare::parse_stage(arguments.stage).value();
  if (arguments.typical == "min") options.quantity.typical = compare::Typical::kLeast;
  options.uses_ruler = arguments.ruler == "dense";
  options.is_paired = arguments.is_paired || arguments.runs;
  options.rule.margin = margin_of(arguments.margin);
  if (arguments.runs) {
    options.rule.looks = static_cast<int>(compare::looks_of(arguments.alternation.rounds).size());
  }
  return options;
}

void check_arguments(const CompareArguments& arguments) {
  const CompareRunArguments& run = arguments.run;
  if (arguments.runs && run.file.empty()) {
    throw ConfigError({},
                      "compare --run: name two programs and an experiment file, for example "
                      "compare --run old/bin/maskerade new/bin/maskerade experiment.yaml");
  }
  if (arguments.runs) return;
  if (!run.file.empty()) {
    throw ConfigError({.file = run.file},
                      "is a third argument; an experiment file is for compare --run alone");
  }
  const compare::AlternationOptions usual;
  const compare::AlternationOptions& alternation = arguments.alternation;
  const bool has_run_options =
      alternation.rounds != usual.rounds || alternation.group != usual.group ||
      alternation.seed != usual.seed || !run.folder.empty() || !run.assignments.empty() ||
      !run.only.empty() || !run.plugins.empty() || !run.plugins_a.empty() ||
      !run.plugins_b.empty() || run.threads > 0 || !run.turn.empty() || !arguments.time.empty();
  if (has_run_options) {
    throw ConfigError({},
                      "compare: an option here says how cells are run, and without --run none "
                      "are; add --run, or leave it out");
  }
}

// What --json must not replace: A and B, what lies in them, and the experiment.
std::vector<ProtectedFile> files_read_by(const CompareArguments& arguments) {
  const std::string reason = "is read by this command and would be replaced";
  std::vector<ProtectedFile> files;
  std::error_code ignored;
  for (const std::string& path : {arguments.a, arguments.b, arguments.run.file}) {
    if (!path.empty()) files.push_back({path, reason});
    for (const auto& entry : std::filesystem::directory_iterator(path, ignored)) {
      files.push_back({entry.path(), reason});
    }
  }
  return files;
}

void print_comparison(const compare::Comparison& comparison,
                      const std::vector<std::string>& notes,
                      const compare::ReportOptions& options,
                      const std::string& format) {
  const TextTable table = table_of(comparison, notes, options);
  switch (*parse_table_format(format)) {
    case TableFormat::kTerminal: {
      const TerminalStyle style = terminal_style(stdout);
      fmt::print("{}{}", to_terminal(table, style),
                 packed(legend_within(table, style.width), style.width));
      return;
    }
    case TableFormat::kMarkdown:
      fmt::print("{}\n", to_markdown(table));
      return;
    case TableFormat::kLatex:
      fmt::print("{}\n", to_latex(table));
      return;
    case TableFormat::kCsv:
      fmt::print("{}", to_csv(std::vector{table}));
      return;
  }
}

int compare_results(CompareArguments arguments) {
  check_arguments(arguments);
  compare::ReportOptions report{.compared = options_of(arguments),
                                .shows_all = arguments.shows_all};
  if (!arguments.time.empty()) {
    arguments.alternation.most_ms = duration_ms("--time", arguments.time);
  }
  check_exports({.json = arguments.json, .csv = ""}, files_read_by(arguments));
  const Stopwatch watch;
  compare::AlternatedRuns runs;
  if (arguments.runs) {
    arguments.run.program_a = arguments.a;
    arguments.run.program_b = arguments.b;
    arguments.run.shows_progress = isatty(STDERR_FILENO) != 0;
    runs = run_alternated(arguments.run, arguments.alternation, report.compared);
    runs.a.name = arguments.a;
    runs.b.name = arguments.b;
    report.remedy = "which more --rounds or a quieter machine may show";
  } else {
    runs.a = compare::read_side(arguments.a);
    runs.b = compare::read_side(arguments.b);
    report.remedy = "which more runs of each side may show";
  }
  const compare::Comparison comparison = compare_sides(runs.a, runs.b, report.compared);
  std::vector<std::string> notes = {
      fmt::format("A: {}, B: {}", printable(runs.a.name), printable(runs.b.name))};
  for (std::string& note : notes_on_sides(runs.a, runs.b, comparison, report.compared)) {
    notes.push_back(std::move(note));
  }
  print_comparison(comparison, notes, report, arguments.format);
  if (!arguments.json.empty()) {
    RecordFile json(arguments.json);
    for (const std::string& line : json_lines_of(comparison, report.compared)) {
      json.append(line + "\n");
    }
  }
  if (arguments.format == "terminal") {
    fmt::print("{}{}\n", last_line(comparison),
               arguments.runs
                   ? fmt::format(", {} rounds in {:.1f} s", runs.rounds, watch.elapsed_ms() / 1000)
                   : "");
    if (!arguments.run.folder.empty()) {
      fmt::print("results in {0}/A and {0}/B\n", printable(arguments.run.folder));
    }
  }
  if (is_stop_requested()) {
    print_note("interrupted: verdicts are of the runs until then");
    return kExitInterrupted;
  }
  if (comparison.cells.empty()) {
    print_error(
        "no cell of A is in B: cells are the same where data, shape, maskers with their "
        "parameters, device, kernel, threads, chunk and seed are");
    return kExitBadInput;
  }
  if (runs.is_cut) print_note("--time was up before every cell had its rounds");
  const bool is_unclear = comparison.count(compare::Verdict::kUnclear) > 0;
  return comparison.has_regression() || (arguments.is_strict && is_unclear) ? kExitFailed : kExitOk;
}

void add_run_options(CLI::App& command, CompareArguments& arguments) {
  CompareRunArguments& run = arguments.run;
  command.add_flag(
      "--run", arguments.runs,
      "A and B are programs: run them on FILE in turns, and compare what they measure");
  command
      .add_option("--rounds", arguments.alternation.rounds,
                  "With --run: the most rounds, each two runs of either program [32]")
      ->type_name("N")
      ->check(CLI::Range(4, 10'000).description(""));
  command
      .add_option("--time", arguments.time,
                  "With --run: begin no round of a group of cells after that time: 600s")
      ->type_name("TIME");
  command
      .add_option("--turn", run.turn,
                  "With --run: how long a turn repeats a cell [measure.budget over the number of "
                  "turns, 20ms at least]")
      ->type_name("TIME");
  command
      .add_option("--group", arguments.alternation.group,
                  "With --run: cells that take turns together [8]")
      ->type_name("N")
      ->check(CLI::Range(1, 100'000).description(""));
  command.add_option("--seed", arguments.alternation.seed, "With --run: of the order of turns [0]")
      ->type_name("S");
  command.add_option("--out", run.folder, "With --run: keep what both measured in DIR/A and DIR/B")
      ->type_name("DIR")
      ->check(path_is_not_empty());
  command.add_option("--only", run.only, "With --run: as of `run`; may be repeated")
      ->type_name("PATTERN")
      ->allow_extra_args(false)
      ->take_all();
  command.add_option("--set", run.assignments, "With --run: as of `run`; may be repeated")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->take_all();
  command.add_option("--threads", run.threads, "With --run: worker threads of both programs")
      ->type_name("N")
      ->check(CLI::Range(1, std::numeric_limits<int>::max()).description(""));
  add_plugin_option(command, run.plugins);
  for (const auto& [name, files, whose] : {std::tuple("--plugin-a", &run.plugins_a, "A"),
                                           std::tuple("--plugin-b", &run.plugins_b, "B")}) {
    command
        .add_option(name, *files,
                    fmt::format("With --run: a library of program {} alone: one program with two "
                                "builds of a masker",
                                whose))
        ->type_name("FILE")
        ->allow_extra_args(false)
        ->take_all();
  }
}

}  // namespace

void add_compare_command(CLI::App& program, Command& command) {
  const auto arguments = std::make_shared<CompareArguments>();
  CLI::App* compare_command = program.add_subcommand(
      "compare",
      "Compare two builds' times and results cell by cell, and tell a change from noise");
  compare_command
      ->add_option("A", arguments->a,
                   "The folder of a run's --out, its results.sqlite, a file of --json, or a folder "
                   "of several of these; with --run a program")
      ->required();
  compare_command->add_option("B", arguments->b, "The same of what is compared with A")->required();
  compare_command->add_option("FILE", arguments->run.file, "With --run: the experiment (YAML)");
  compare_command
      ->add_option("--stage", arguments->stage,
                   "Whose times: total [default], prepare, select, plan, attend or dense")
      ->type_name("STAGE")
      ->check(
          CLI::IsMember({"total", "prepare", "select", "plan", "attend", "dense"}).description(""));
  compare_command
      ->add_option("--of", arguments->typical,
                   "What of a run's repetitions: median [default], or min, which other programs "
                   "disturb less")
      ->type_name("WHICH")
      ->check(CLI::IsMember({"median", "min"}).description(""));
  compare_command
      ->add_option("--margin", arguments->margin, "A ratio within that of 1 is SAME [5%]")
      ->type_name("SHARE");
  compare_command
      ->add_option(
          "--ruler", arguments->ruler,
          "none [default], or dense: compare times over the dense reference's, for runs at "
          "different times or on different machines")
      ->type_name("RULER")
      ->check(CLI::IsMember({"none", "dense"}).description(""));
  compare_command->add_flag("--paired", arguments->is_paired,
                            "Run i of A and run i of B were taken side by side");
  compare_command->add_flag("--all", arguments->shows_all, "Show every cell that is SAME, too");
  compare_command->add_flag("--strict", arguments->is_strict,
                            "A cell that is UNCLEAR is an error (exit code 1)");
  compare_command
      ->add_option("--format", arguments->format,
                   "terminal [default], markdown, latex or csv; all but the first print the table "
                   "alone")
      ->type_name("FORMAT")
      ->check(CLI::IsMember({"terminal", "markdown", "latex", "csv"}).description(""));
  compare_command
      ->add_option("--json", arguments->json, "Write one JSON object a cell, line by line")
      ->type_name("FILE")
      ->check(path_is_not_empty());
  add_run_options(*compare_command, *arguments);
  compare_command->footer(
      "Exit codes: 0 nothing is SLOWER or WORSE, 1 something is, 2 wrong command line or input.\n"
      "Examples: maskerade compare results/before results/after\n"
      "          maskerade compare --run old/bin/maskerade new/bin/maskerade experiment.yaml");
  compare_command->callback(
      [arguments, &command] { command = [arguments] { return compare_results(*arguments); }; });
}

}  // namespace maskerade
