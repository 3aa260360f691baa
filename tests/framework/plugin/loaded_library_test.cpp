// What is hashed is what runs: the bytes of a library are read once, and those are loaded.
#include "framework/plugin/loaded_library.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include "framework/base/error.hpp"
#include "framework/base/sha256.hpp"
#include "framework/plugin/catalog.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

fs::path built(const std::string& name) {
  return fs::path(MASKERADE_TEST_PLUGINS) / (name + ".so");
}

// A file of its own for a test, with what was built under that name.
fs::path copy_of(const std::string& name, const std::string& test) {
  const fs::path folder = fs::canonical(testing::TempDir()) / "loaded_library" / test;
  fs::create_directories(folder);
  const fs::path file = folder / "masker.so";
  fs::remove(file);
  fs::copy_file(built(name), file);
  return file;
}

// As an installation does: the name points to another file from now on.
void replace_by(const fs::path& file, const std::string& name) {
  const fs::path other = file.parent_path() / "new.so";
  fs::copy_file(built(name), other, fs::copy_options::overwrite_existing);
  fs::rename(other, file);
}

std::string refusal(Catalog& catalog, const fs::path& library) {
  try {
    catalog.load(library);
  } catch (const PluginError& error) {
    EXPECT_TRUE(std::string(error.what()).starts_with(library.string() + ": ")) << error.what();
    return std::string(error.what()).substr(library.string().size() + 2);
  }
  return "(loaded)";
}

TEST(LoadedLibrary, ItsHashIsThatOfTheFile) {
  Catalog catalog;
  const MaskerType& type = catalog.load(built("good"));
  EXPECT_EQ(type.sha256(), sha256_of_file(built("good")));
  EXPECT_EQ(type.library(), fs::canonical(built("good")));
}

TEST(LoadedLibrary, AFileThatIsReplacedIsAnotherLibrary) {
  const fs::path file = copy_of("good", "replaced");
  Catalog before;
  EXPECT_STREQ(before.load(file).descriptor().summary, "a variant");
  replace_by(file, "in_its_folder");
  Catalog after;
  const MaskerType& type = after.load(file);
  EXPECT_EQ(type.id(), "in_its_folder");
  EXPECT_EQ(type.sha256(), sha256_of_file(built("in_its_folder")));
  EXPECT_EQ(before.find("good")->sha256(), sha256_of_file(built("good")));
}

TEST(LoadedLibrary, WritingIntoTheFileDoesNotReachWhatIsLoaded) {
  const fs::path file = copy_of("good", "overwritten");
  Catalog catalog;
  const MaskerType& type = catalog.load(file);
  fs::resize_file(file, 0);
  EXPECT_STREQ(type.descriptor().summary, "a variant");
}

TEST(LoadedLibrary, ACopyIsLoadedUnderItsPathWhateverIsThereNow) {
  const fs::path file = copy_of("good", "inherited");
  Catalog catalog;
  catalog.load(file);
  const auto copies = catalog.copies();
  ASSERT_EQ(copies.size(), 1U);
  const LibraryCopy& copy = copies.front();
  EXPECT_EQ(copy.library, file);
  EXPECT_EQ(copy.sha256, sha256_of_file(built("good")));
  ASSERT_GE(copy.descriptor, 0);
  EXPECT_EQ(fcntl(copy.descriptor, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  replace_by(file, "same_id");
  Catalog inheriting;
  EXPECT_EQ(inheriting.load(file, copy.descriptor).sha256(), copy.sha256);
  // As in a process that has loaded nothing yet.
  const fs::path gone = file.parent_path() / "gone.so";
  Catalog fresh;
  const int inherited = fcntl(copy.descriptor, F_DUPFD_CLOEXEC, 0);
  const MaskerType& type = fresh.load(gone, inherited);
  EXPECT_EQ(type.id(), "good");
  EXPECT_STREQ(type.descriptor().summary, "a variant");
  EXPECT_EQ(type.sha256(), copy.sha256);
  EXPECT_EQ(type.library(), gone);
  EXPECT_EQ(type.copy_descriptor(), inherited);
}

TEST(LoadedLibrary, ADescriptorMustBeOpenForALibrary) {
  Catalog catalog;
  try {
    catalog.load("/gone/masker.so", open("/dev/null", O_RDONLY | O_CLOEXEC));
    FAIL() << "loaded";
  } catch (const PluginError& error) {
    EXPECT_STREQ(error.what(),
                 "/gone/masker.so: is not a shared library; build it with maskerade_add_masker(), "
                 "or as a shared library for this machine");
  }
  try {
    catalog.load("/gone/masker.so", -1);
    FAIL() << "loaded";
  } catch (const PluginError& error) {
    EXPECT_TRUE(std::string(error.what())
                    .starts_with("/gone/masker.so: cannot be read to its end. The system says: "))
        << error.what();
  }
}

TEST(LoadedLibrary, OneThatNamesItsFolderIsLoadedFromItsPath) {
  const fs::path file = copy_of("in_its_folder", "origin");
  Catalog catalog;
  const MaskerType& type = catalog.load(file);
  EXPECT_EQ(type.sha256(), sha256_of_file(file));
  EXPECT_EQ(type.copy_descriptor(), -1);
  Catalog again;
  EXPECT_EQ(again.load(file).sha256(), type.sha256());
}

// Makes the system refuse the calling thread copies in memory, for good; false when it cannot.
bool refuse_copies() {
  std::array<sock_filter, 4> filter = {
      sock_filter BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      sock_filter BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_memfd_create, 0, 1),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      sock_filter BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(LoadedLibrary, WhereTheSystemGivesNoCopiesItIsLoadedFromItsPath) {
  const fs::path file = copy_of("good", "no_copies");
  bool is_refused = false;
  Catalog catalog;
  std::thread([&] {
    is_refused = refuse_copies();
    if (is_refused) catalog.load(file);
  }).join();
  if (!is_refused) GTEST_SKIP() << "the system takes no filter of system calls";
  ASSERT_NE(catalog.find("good"), nullptr);
  EXPECT_EQ(catalog.find("good")->copy_descriptor(), -1);
  EXPECT_EQ(catalog.find("good")->sha256(), sha256_of_file(file));
}

TEST(LoadedLibrary, OneFromItsPathIsRefusedWhenThatChangedSince) {
  const fs::path file = copy_of("in_its_folder", "origin_replaced");
  Catalog before;
  before.load(file);
  std::ofstream(file.parent_path() / "longer.so", std::ios::binary)
      << std::ifstream(file, std::ios::binary).rdbuf() << "x";
  fs::rename(file.parent_path() / "longer.so", file);
  Catalog after;
  EXPECT_EQ(refusal(after, file),
            "changed after this program had loaded it; start the program again");
}

TEST(LoadedLibrary, OneThatChangesWhileItIsLoadedIsRefused) {
  const fs::path file = copy_of("changing_itself", "changing");
  Catalog catalog;
  EXPECT_EQ(refusal(catalog, file),
            "changed while it was loaded; load it again when nothing writes it");
  EXPECT_EQ(refusal(catalog, file),
            "changed after this program had loaded it; start the program again");
  EXPECT_TRUE(catalog.types().empty());
}

}  // namespace
}  // namespace maskerade
