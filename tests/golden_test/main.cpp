// golden_test: runs our code over the golden cases of a folder and counts, per family, what passed,
// what failed and what no code of ours covers.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/plugin/catalog.hpp"
#include "tests/golden_test/checks.hpp"

namespace maskerade::golden {
namespace {

constexpr int kExitPassed = 0;
constexpr int kExitFailed = 1;
constexpr int kExitBadInput = 2;

struct Tally {
  int passed = 0;
  int failed = 0;
  int not_covered = 0;

  void add(const Findings& findings) {
    ++(findings.failed() ? failed : findings.covered() ? passed : not_covered);
  }
};

struct Report {
  std::map<std::string, Tally> rows;  // by family, the maskers by id
  std::vector<std::string> failures;
  std::map<std::string, std::vector<std::string>> not_covered;  // case names by reason
  Tally total;
  int published_agrees = 0;  // mask operations by the published rules
  std::vector<std::string> published_differs;
};

std::string row_of(const Case& golden) {
  if (golden.family != "maskers" || golden.maskers.empty()) return golden.family;
  return "maskers: " + golden.maskers.back().name;
}

// An exception is a failure of its case and of no other.
template <typename Check>
void guarded(Findings& findings, Check&& check) {
  try {
    check();
  } catch (const std::exception& exception) {
    findings.fail(exception.what());
  }
}

void check_case(const CaseRun& run, Findings& findings) {
  const std::string& family = run.golden.family;
  if (family == "mask_ops") return check_mask_op(run, findings);
  if (family == "maskers") return check_maskers(run, findings);
  if (family == "attention") return check_attention(run, findings);
  if (family == "stats") return check_statistics(run, findings);
  findings.not_covered(fmt::format("there is no check of the family \"{}\"", family));
}

void run_case(const Case& golden,
              const std::filesystem::path& folder,
              const Catalog& catalog,
              Report& report) {
  Findings findings;
  Findings published;
  guarded(findings, [&] {
    const std::filesystem::path file = folder / golden.file;
    const CaseTensors tensors(file);
    const CaseRun run{golden, file, tensors, catalog};
    check_case(run, findings);
    if (golden.family != "mask_ops" || !tensors.has("hub")) return;
    guarded(published, [&] { compare_with_published(run, published); });
    if (!published.failed()) {
      ++report.published_agrees;
    } else {
      report.published_differs.push_back(
          fmt::format("{}: {}", golden.name, published.first_failure()));
    }
  });
  report.rows[row_of(golden)].add(findings);
  report.total.add(findings);
  if (findings.failed()) {
    report.failures.push_back(
        fmt::format("{} ({}): {}", golden.name, golden.file, findings.first_failure()));
  } else if (!findings.covered()) {
    report.not_covered[findings.reason()].push_back(golden.name);
  }
}

void print(const Report& report) {
  fmt::print("{:<28}{:>8}{:>8}{:>13}\n", "family", "passed", "failed", "not covered");
  for (const auto& [row, tally] : report.rows) {
    fmt::print("{:<28}{:>8}{:>8}{:>13}\n", row, tally.passed, tally.failed, tally.not_covered);
  }
  for (const auto& [reason, cases] : report.not_covered) {
    fmt::print("not covered, {} cases: {}\n", cases.size(), reason);
  }
  if (const std::size_t differs = report.published_differs.size();
      report.published_agrees > 0 || differs > 0) {
    fmt::print(
        "mask operations by the published rules give what the published code gave in {} of "
        "{} cases\n",
        report.published_agrees, static_cast<std::size_t>(report.published_agrees) + differs);
  }
  for (const std::string& differing : report.published_differs) {
    fmt::print("differs from the published code: {}\n", differing);
  }
  for (const std::string& failure : report.failures) fmt::print("FAILED {}\n", failure);
  fmt::print("golden_test: {} passed, {} failed, {} not covered\n", report.total.passed,
             report.total.failed, report.total.not_covered);
}

int run(const std::filesystem::path& folder, bool require_all, bool require_published) {
  const std::vector<Case> cases = read_manifest(folder);
  const char* plugin_path = std::getenv("MASKERADE_PLUGIN_PATH");
  const Catalog catalog =
      load_catalog(std::filesystem::read_symlink("/proc/self/exe").parent_path(),
                   plugin_path == nullptr ? "" : plugin_path, {});
  Report report;
  for (const Case& golden : cases) run_case(golden, folder, catalog, report);
  print(report);
  const bool passed = report.total.failed == 0 && (!require_all || report.total.not_covered == 0) &&
                      (!require_published || report.published_differs.empty());
  return passed ? kExitPassed : kExitFailed;
}

}  // namespace
}  // namespace maskerade::golden

int main(int argc, char** argv) {
  using namespace maskerade::golden;
  CLI::App program(
      "Runs our code over the golden cases in the folder MASKERADE_GOLDEN_DIR (default: the "
      "project's tests/golden).",
      "golden_test");
  bool require_all = false;
  bool require_published = false;
  program.add_flag("--require-all", require_all, "also fail when a case is not covered");
  program.add_flag("--require-published", require_published,
                   "also fail when a mask operation by the published rules differs from what the "
                   "published code gave");
  program.footer("Exit codes: 0 fine, 1 a case failed, 2 the manifest or a plugin is not usable.");
  try {
    program.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return program.exit(error) == 0 ? kExitPassed : kExitBadInput;
  }
  try {
    const char* folder = std::getenv("MASKERADE_GOLDEN_DIR");
    return run(folder != nullptr && *folder != '\0' ? folder : MASKERADE_GOLDEN_DEFAULT_DIR,
               require_all, require_published);
  } catch (const std::exception& error) {
    fmt::print(stderr, "golden_test: {}\n", error.what());
    return kExitBadInput;
  }
}
