#include "framework/plugin/catalog.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/plugin/parameters.hpp"
#include "framework/plugin/plugin_call.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

fs::path variant(const std::string& name) {
  return fs::path(MASKERADE_TEST_PLUGINS) / (name + ".so");
}

// The text of the error that loading gives, the library's path cut off.
std::string refusal(const fs::path& library) {
  Catalog catalog;
  try {
    catalog.load(library);
  } catch (const PluginError& error) {
    const std::string text = error.what();
    const std::string prefix = library.string() + ": ";
    EXPECT_TRUE(text.starts_with(prefix)) << text;
    return text.substr(prefix.size());
  }
  return "(loaded)";
}

TEST(Catalog, LoadsAGoodPlugin) {
  Catalog catalog;
  const MaskerType& type = catalog.load(variant("good"));
  EXPECT_EQ(type.id(), "good");
  EXPECT_EQ(type.descriptor().parameter_count, 2U);
  EXPECT_EQ(type.extension<maskerade_index_extension>(), nullptr);
  EXPECT_EQ(catalog.ids(), std::vector<std::string>{"good"});
  EXPECT_NE(catalog.find("good"), nullptr);
  EXPECT_EQ(catalog.find("goof"), nullptr);
}

TEST(Catalog, ReadsATableWhoseRowsAreLarger) {
  Catalog catalog;
  const maskerade_masker_descriptor& masker = catalog.load(variant("padded_rows")).descriptor();
  const std::vector<maskerade_parameter> table(masker.parameters,
                                               masker.parameters + masker.parameter_count);
  ASSERT_EQ(table.size(), 2U);
  EXPECT_STREQ(table.front().name, "first");
  EXPECT_STREQ(table.back().name, "second");
  const Arguments bound =
      bind_arguments(masker, {{.name = "second", .values = {"7"}, .is_list = false}});
  const maskerade_argument& first = bound.view().front();
  const maskerade_argument& second = bound.view().back();
  EXPECT_EQ(first.values->integer, 4);
  EXPECT_EQ(second.values->integer, 7);
}

TEST(Catalog, IgnoresExtensionsOfOtherNames) {
  Catalog catalog;
  const MaskerType& type = catalog.load(variant("unknown_extension"));
  EXPECT_EQ(type.extension<maskerade_index_extension>(), nullptr);
  EXPECT_EQ(type.extension<maskerade_cuda_extension>(), nullptr);
}

TEST(Catalog, SaysHowALibraryWasBuilt) {
  Catalog catalog;
  const MaskerType& plain = catalog.load(variant("built_plainly"));
  EXPECT_TRUE(plain.build().starts_with("gcc ") || plain.build().starts_with("clang "))
      << plain.build();
  EXPECT_NE(plain.build().find(", not optimised"), std::string::npos) << plain.build();
  EXPECT_EQ(plain.build().find("NDEBUG"), std::string::npos) << plain.build();
  EXPECT_FALSE(plain.is_built_in());
  const MaskerType& own = catalog.load(variant("built_in"));
  EXPECT_NE(own.build().find(", optimised, NDEBUG"), std::string::npos) << own.build();
  EXPECT_TRUE(own.is_built_in());
  const MaskerType& fast = catalog.load(variant("built_with_fast_math"));
  EXPECT_NE(fast.build().find(", optimised, NDEBUG, -ffast-math"), std::string::npos)
      << fast.build();
  EXPECT_FALSE(fast.is_built_in());
  const MaskerType& silent = catalog.load(variant("good"));
  EXPECT_EQ(silent.build(), "unknown");
  EXPECT_FALSE(silent.is_built_in());
}

TEST(Catalog, LoadingTheSameFileAgainDoesNothing) {
  Catalog catalog;
  catalog.load(variant("good"));
  catalog.load(variant("good"));
  EXPECT_EQ(catalog.types().size(), 1U);
}

TEST(Catalog, RefusesAFileThatIsNotThere) {
  EXPECT_EQ(refusal("/nowhere/masker.so"),
            "there is no such file; give the path of a masker library (*.so)");
}

TEST(Catalog, RefusesAFolder) {
  EXPECT_EQ(refusal(MASKERADE_TEST_PLUGINS),
            "is not a file; give the path of a masker library (*.so)");
}

TEST(Catalog, RefusesAFileThatIsNoLibrary) {
  const fs::path text = fs::path(testing::TempDir()) / "not_a_library.so";
  std::ofstream(text) << "hello";
  EXPECT_EQ(refusal(text),
            "is not a shared library; build it with maskerade_add_masker(), or as a shared library "
            "for this machine");
}

TEST(Catalog, RefusesALibraryThatIsCutShortWhereverItIsCut) {
  const fs::path cut = fs::path(testing::TempDir()) / "truncated.so";
  const std::uintmax_t whole = fs::file_size(variant("good"));
  for (std::uintmax_t bytes = 64; bytes < whole; bytes += bytes / 3) {
    fs::copy_file(variant("good"), cut, fs::copy_options::overwrite_existing);
    fs::resize_file(cut, bytes);
    const std::string text = refusal(cut);
    EXPECT_TRUE(text.starts_with("is cut short: it has " + std::to_string(bytes) +
                                 " bytes, its headers name "))
        << text;
    EXPECT_TRUE(text.ends_with("; copy it again when nothing writes it, or build it again"))
        << text;
  }
  fs::copy_file(variant("good"), cut, fs::copy_options::overwrite_existing);
  fs::resize_file(cut, whole - 1);
  EXPECT_TRUE(refusal(cut).starts_with("is cut short: ")) << refusal(cut);
}

TEST(Catalog, RefusesALibraryWhoseHeadersCannotBeReadWithTheLoadersReason) {
  const std::string loader =
      "cannot be loaded; check that it was built for this machine and that the libraries it needs "
      "are installed (ldd shows them). The loader says: ";
  const fs::path broken = fs::path(testing::TempDir()) / "broken.so";
  fs::copy_file(variant("good"), broken, fs::copy_options::overwrite_existing);
  fs::resize_file(broken, 40);
  EXPECT_TRUE(refusal(broken).starts_with(loader)) << refusal(broken);
  // Another class of machine.
  fs::copy_file(variant("good"), broken, fs::copy_options::overwrite_existing);
  std::fstream(broken, std::ios::binary | std::ios::in | std::ios::out).seekp(4).put('\1');
  EXPECT_TRUE(refusal(broken).starts_with(loader)) << refusal(broken);
}

TEST(Catalog, RefusesAHeaderWhoseNumbersOverflow) {
  const fs::path broken = fs::path(testing::TempDir()) / "overflow.so";
  fs::copy_file(variant("good"), broken, fs::copy_options::overwrite_existing);
  // e_shoff, the place of the table of sections.
  std::fstream(broken, std::ios::binary | std::ios::in | std::ios::out)
      .seekp(0x28)
      .write("\xff\xff\xff\xff\xff\xff\xff\xff", 8);
  EXPECT_TRUE(refusal(broken).starts_with("is cut short: ")) << refusal(broken);
}

TEST(Catalog, NamesALibraryWhoseFunctionsThrow) {
  EXPECT_EQ(refusal(fs::path(MASKERADE_TEST_PLUGINS) / "throwing_entry.so"),
            "maskerade_masker_entry threw an exception (no table\\x0aof keys); a function of a "
            "plugin must not throw");
  EXPECT_EQ(
      refusal(fs::path(MASKERADE_TEST_PLUGINS) / "throwing_number.so"),
      "maskerade_masker_entry threw an exception of unknown type; a function of a plugin must "
      "not throw");
  EXPECT_EQ(
      refusal(fs::path(MASKERADE_TEST_PLUGINS) / "throwing_extension.so"),
      "its get_extension threw an exception (no extension today); a function of a plugin must "
      "not throw");
}

TEST(Misconduct, IsKnownInAMessageThatQuotesIt) {
  EXPECT_TRUE(names_misconduct("masker \"x\" failed: it " + exception_text("no keys")));
  EXPECT_TRUE(names_misconduct(floating_point_text("rounds toward zero")));
  EXPECT_FALSE(names_misconduct("masker \"x\" failed: the budget is too small"));
}

TEST(MaskerId, IsSnakeCaseWithALetterFirst) {
  for (const char* id : {"a", "my_band", "top2"}) EXPECT_TRUE(is_masker_id(id)) << id;
  for (const char* id : {"", "_band", "2top", "MyBand", "my-band", "caf\xc3\xa9"}) {
    EXPECT_FALSE(is_masker_id(id)) << id;
  }
}

TEST(Catalog, NamesTheFoldersWhereAMaskerWasLookedFor) {
  EXPECT_EQ(Catalog().hint_for("my_masker", {"sink"}), "; known: sink");
  const fs::path folder = fs::path(testing::TempDir()) / "no_plugins";
  fs::create_directories(folder);
  const Catalog catalog = load_catalog("/nowhere", folder.string(), {});
  const std::string advice = " Maskers were looked for in /nowhere/plugins, " + folder.string() +
                             "; name the library of another one with --plugin FILE, or its folder "
                             "in MASKERADE_PLUGIN_PATH";
  EXPECT_EQ(catalog.hint_for("my_masker", {"sink"}), "; known: sink." + advice);
  EXPECT_EQ(catalog.hint_for("snk", {"sink"}), "; did you mean \"sink\"?" + advice);
}

struct Refusal {
  const char* variant;
  const char* text;
  friend void PrintTo(const Refusal& refusal, std::ostream* stream) { *stream << refusal.variant; }
};

class CatalogRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(CatalogRefuses, WithItsOwnText) {
  EXPECT_EQ(refusal(variant(GetParam().variant)), GetParam().text);
}

INSTANTIATE_TEST_SUITE_P(
    Variants,
    CatalogRefuses,
    testing::Values(
        Refusal{
            "without_entry",
            "does not export maskerade_masker_entry; add MASKERADE_EXPORT_MASKER(YourMasker), or "
            "define that function in C"},
        Refusal{"null_entry",
                "maskerade_masker_entry gave NULL; it must return the masker's descriptor"},
        Refusal{"other_major",
                "was built for ABI 8.3, this program has 1.3; rebuild it with this program's "
                "headers"},
        Refusal{"other_minor",
                "was built for ABI 1.10, this program has 1.3; rebuild it with this program's "
                "headers"},
        Refusal{"other_size",
                "its descriptor says struct_size 24, ABI 1.0 has 96; set it to "
                "sizeof(maskerade_masker_descriptor)"},
        Refusal{"bad_id", "its id is \"Bad-Id\"; it must be snake_case, for example \"my_masker\""},
        Refusal{"no_summary",
                "its summary or reference is NULL; give a text, \"\" for no reference"},
        Refusal{"no_select", "its create, select or destroy is NULL; all three are needed"},
        Refusal{"no_depends",
                "its depends_on is 0; name what the selection is a function of, at least "
                "MASKERADE_DEPENDS_SHAPE"},
        Refusal{"no_table", "its parameter table is NULL but parameter_count is not 0"},
        Refusal{"parameter_size",
                "parameter 1: struct_size is 8, not sizeof(maskerade_parameter), 64"},
        Refusal{"parameter_name", "parameter 1: its name is not snake_case"},
        Refusal{"parameter_twice", "parameter \"first\": stands twice in the table"},
        Refusal{"parameter_unit", "parameter \"second\": unit 99 is unknown"},
        Refusal{"parameter_doc", "parameter \"second\": has no doc; say what it is"},
        Refusal{"parameter_sampler",
                "parameter \"second\": is flagged MASKERADE_MAKES_SAMPLER, which needs "
                "MASKERADE_TRAIT_SAMPLES and a default"},
        Refusal{"guarantee_unit",
                "parameter \"second\": is flagged MASKERADE_STATES_EPSILON, which takes one share "
                "or number"},
        Refusal{"guarantee_half",
                "states one of MASKERADE_STATES_EPSILON and MASKERADE_STATES_DELTA; a guarantee "
                "needs both"},
        Refusal{"guarantee_twice",
                "parameter \"second\": is the second flagged MASKERADE_STATES_DELTA"},
        Refusal{"population_unit",
                "parameter \"second\": is flagged MASKERADE_POPULATION_END_OFFSET, which needs "
                "MASKERADE_TRAIT_SAMPLES and takes one number of tokens"},
        Refusal{"population_twice",
                "parameter \"second\": is the second flagged MASKERADE_POPULATION_BEGIN"},
        Refusal{"parameter_range", "parameter \"second\": minimum 1000 is above maximum 100"},
        Refusal{
            "parameter_default",
            "parameter \"second\": its own default is refused: \"second\" is 0.02, a bare number: "
            "write 2% for that share of key_len, or a whole number of tokens"},
        Refusal{"parameter_choices", "parameter \"second\": has no choices; list at least one"},
        Refusal{
            "index_without_key",
            "it has an index but its depends_on lacks MASKERADE_DEPENDS_KEY; an index is made of "
            "keys"},
        Refusal{"half_index", "a function of its index extension is NULL; all five are needed"},
        Refusal{"half_cuda", "bounds or select of its cuda extension is NULL; both are needed"},
        Refusal{"nameless_build", "compiler of its build extension is NULL; give a text"},
        Refusal{"short_cuda",
                "its cuda extension says struct_size 8, not "
                "sizeof(maskerade_cuda_extension), 32"}),
    [](const testing::TestParamInfo<Refusal>& refused) {
      return std::string(refused.param.variant);
    });

TEST(Catalog, TakesPluginsOfItsOwnOrAnOlderMinorVersion) {
  EXPECT_TRUE(accepts_abi(1, 0, 1, 0));
  EXPECT_TRUE(accepts_abi(1, 3, 1, 0));
  EXPECT_TRUE(accepts_abi(1, 3, 1, 3));
  EXPECT_FALSE(accepts_abi(1, 3, 1, 4));
  EXPECT_FALSE(accepts_abi(1, 3, 0, 2));
  EXPECT_FALSE(accepts_abi(1, 3, 2, 0));
}

TEST(Catalog, RefusesASecondMaskerOfTheSameId) {
  Catalog catalog;
  catalog.load(variant("good"));
  try {
    catalog.load(variant("same_id"));
    FAIL() << "loaded";
  } catch (const PluginError& error) {
    EXPECT_EQ(std::string(error.what()), variant("same_id").string() +
                                             ": its id \"good\" is taken by " +
                                             fs::canonical(variant("good")).string() +
                                             "; rename one, or load only one of them");
  }
}

TEST(Catalog, SearchPathNamesAFolderThatIsNotThere) {
  try {
    load_catalog("/nowhere", "/not/a/folder", {});
    FAIL() << "loaded";
  } catch (const PluginError& error) {
    EXPECT_STREQ(error.what(),
                 "/not/a/folder: is not a folder; correct or unset MASKERADE_PLUGIN_PATH, which "
                 "names it");
  }
}

TEST(Catalog, FindsMaskersInTheFoldersOfThePath) {
  const fs::path folder = fs::path(testing::TempDir()) / "plugin_path";
  fs::create_directories(folder);
  fs::copy_file(variant("good"), folder / "good.so", fs::copy_options::overwrite_existing);
  std::ofstream(folder / "notes.txt") << "not a plugin";
  EXPECT_EQ(load_catalog("/nowhere", folder.string(), {}).ids(), std::vector<std::string>{"good"});
  EXPECT_EQ(load_catalog("/nowhere", "", {variant("good")}).ids(),
            std::vector<std::string>{"good"});
}

}  // namespace
}  // namespace maskerade
