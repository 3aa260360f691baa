#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include "experiments/check/new_masker.hpp"
#include "experiments/cli/commands.hpp"
#include "experiments/cli/run_outputs.hpp"
#include "framework/base/text.hpp"

namespace maskerade {
namespace {

// Whether the folder is one that a build of Maskerade goes through, as plugins/.
bool is_of_a_tree(const std::filesystem::path& folder) {
  std::ostringstream text;
  text << std::ifstream(folder / "CMakeLists.txt").rdbuf();
  return text.str().find("maskerade_add_masker(") != std::string::npos;
}

// Where this program is installed; "PREFIX" where it is not.
std::string install_prefix() {
  const std::filesystem::path prefix = program_folder().parent_path();
  std::error_code ignored;
  const bool is_installed = std::filesystem::exists(
      prefix / "include" / "maskerade" / "framework" / "sdk" / "masker.hpp", ignored);
  return is_installed ? prefix.string() : "PREFIX";
}

void print_next(const check::NewMasker& masker, const std::filesystem::path& folder) {
  const std::string made = printable(folder.string());
  const std::string& name = masker.name;
  fmt::print("written: {0}/{1}.cpp, {1}.yaml, CMakeLists.txt, README.md\nnext:\n", made, name);
  if (is_of_a_tree(masker.folder)) {
    fmt::print(
        "  echo 'add_subdirectory({0})' >> {1}\n"
        "  ./maskerade run {2}/{0}.yaml\n"
        "  ./maskerade check {0}\n",
        name, printable((masker.folder / "CMakeLists.txt").string()), made);
    return;
  }
  const std::string prefix = install_prefix();
  if (prefix == "PREFIX") {
    fmt::print("  cmake --install {} --prefix PREFIX\n",
               printable(program_folder().parent_path().string()));
  }
  fmt::print(
      "  cmake -S {0} -B {0}/build -D CMAKE_PREFIX_PATH={2}\n"
      "  cmake --build {0}/build\n"
      "  maskerade check {0}/build/{1}.so\n"
      "  maskerade run {0}/{1}.yaml --plugin {0}/build/{1}.so\n",
      made, name, printable(prefix));
}

int make_masker(check::NewMasker masker) {
  masker.taken = load_catalog(program_folder(), "", {}).ids();
  print_next(masker, check::write_new_masker(masker));
  return kExitOk;
}

}  // namespace

void add_new_command(CLI::App& program, Command& command) {
  const auto masker = std::make_shared<check::NewMasker>();
  CLI::App* new_command =
      program.add_subcommand("new", "Write the folder that a new masker begins with");
  new_command->require_subcommand(1);
  CLI::App* masker_command = new_command->add_subcommand(
      "masker", "Its source, a CMakeLists.txt with a test, an experiment, a README");
  masker_command->add_option("name", masker->name, "Its name in experiments: my_band")
      ->type_name("NAME")
      ->required();
  masker_command
      ->add_option(
          "--base", masker->base,
          "What it decides by: row, score (of keys), block, candidate (as pages), or whole "
          "(calls) [row]")
      ->type_name("BASE");
  masker_command->add_option("--out", masker->folder, "Make its folder in DIR [the working folder]")
      ->type_name("DIR")
      ->check(path_is_not_empty());
  masker_command->footer("Example: maskerade new masker my_band --base score");
  masker_command->callback(
      [masker, &command] { command = [masker] { return make_masker(*masker); }; });
}

}  // namespace maskerade
