// Plugins that were built against the header of an older ABI version still load, and select as they
// did: archived_rows.c and archived_pages.c, built once against each archived header.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <numeric>
#include <string>
#include <vector>

#include "framework/mask/conversions.hpp"
#include "framework/mask/set_operations.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

constexpr std::int64_t kPageKeys = 8;

struct AbiVersion {
  int major;
  int minor;

  std::string name() const { return fmt::format("{}_{}", major, minor); }
  friend void PrintTo(const AbiVersion& version, std::ostream* stream) {
    *stream << version.name();
  }
};
constexpr std::array kArchived = {AbiVersion{1, 0}, AbiVersion{1, 1}, AbiVersion{1, 2},
                                  AbiVersion{1, 3}};

TestProblem prefill() { return {{2, 4, 2, 70, 150, 8}, Visibility::causal(70, 150)}; }
TestProblem decode() { return {{2, 4, 2, 1, 150, 8}, Visibility::causal(1, 150)}; }

// The pages of a kv head's keys with the largest sums, in any order.
std::vector<std::int64_t> best_pages(const AttentionInputs& inputs,
                                     std::int64_t batch,
                                     std::int64_t kv_head,
                                     std::size_t count) {
  std::vector<float> sums(
      static_cast<std::size_t>((inputs.shape.key_len + kPageKeys - 1) / kPageKeys));
  std::vector<float> key(static_cast<std::size_t>(inputs.shape.head_dim));
  for (std::int64_t i = 0; i < inputs.shape.key_len; ++i) {
    inputs.k.load_row(batch, kv_head, i, key.data());
    for (const float component : key) sums[static_cast<std::size_t>(i / kPageKeys)] += component;
  }
  std::vector<std::int64_t> pages(sums.size());
  std::iota(pages.begin(), pages.end(), 0);
  std::stable_sort(pages.begin(), pages.end(), [&](std::int64_t a, std::int64_t b) {
    return sums[static_cast<std::size_t>(a)] > sums[static_cast<std::size_t>(b)];
  });
  pages.resize(std::min(count, pages.size()));
  return pages;
}

// Whether exactly the visible keys of the best pages are active in each row.
void expect_best_pages(const Mask& mask, const AttentionInputs& inputs, std::size_t count) {
  const AttentionShape& shape = inputs.shape;
  for (std::int64_t b = 0; b < shape.batch; ++b) {
    for (std::int64_t head = 0; head < shape.query_heads; ++head) {
      const auto pages = best_pages(inputs, b, shape.kv_head_of(head), count);
      for (std::int64_t query = 0; query < shape.query_len; ++query) {
        for (std::int64_t key = 0; key < shape.key_len; ++key) {
          const bool is_chosen =
              std::find(pages.begin(), pages.end(), key / kPageKeys) != pages.end();
          ASSERT_EQ(mask.probability(b, head, query, key) == 1.0F,
                    is_chosen && key < inputs.visibility.end(query))
              << "head " << head << ", query " << query << ", key " << key;
        }
      }
    }
  }
}

class ArchivedAbi : public testing::TestWithParam<AbiVersion> {
 protected:
  static MaskerUse rows(const std::string& tokens) {
    return use("rows_" + GetParam().name(), {{"tokens", {tokens}}});
  }
  static MaskerUse pages(const std::string& count) {
    return use("pages_" + GetParam().name(), {{"pages", {count}}});
  }
};

TEST_P(ArchivedAbi, IsTheVersionOfItsPlugins) {
  for (const MaskerUse& masker : {rows("2"), pages("2")}) {
    EXPECT_EQ(masker.type->descriptor().abi_major, GetParam().major);
    EXPECT_EQ(masker.type->descriptor().abi_minor, GetParam().minor);
  }
}

TEST_P(ArchivedAbi, PluginsKeepTheExtensionsOfTheirVersion) {
  EXPECT_EQ(rows("2").type->extension<maskerade_index_extension>(), nullptr);
  EXPECT_NE(pages("2").type->extension<maskerade_index_extension>(), nullptr);
  EXPECT_EQ(pages("2").type->extension<maskerade_cuda_extension>() != nullptr,
            GetParam().minor >= 1);
  EXPECT_EQ(pages("2").type->build() == "unknown", GetParam().minor < 3);
}

TEST_P(ArchivedAbi, RowsSelectWhatSinkAndLocalSelect) {
  for (const TestProblem& problem : {prefill(), decode()}) {
    for (const char* tokens : {"0", "3", "10%", "5% of visible"}) {
      const Selection expected =
          run({use("sink", {{"", {tokens}}}), use("local", {{"", {"1"}}})}, problem);
      EXPECT_EQ(run({rows(tokens)}, problem, {}, 2).mask, expected.mask) << tokens;
    }
  }
}

TEST_P(ArchivedAbi, PagesSelectByTheirIndex) {
  for (const TestProblem& problem : {prefill(), decode()}) {
    const Selection selection = run({pages("3")}, problem, {}, 2);
    expect_best_pages(selection.mask, problem.inputs(), 3);
    const MaskerReport& report = selection.maskers.front();
    EXPECT_EQ(report.index_bytes, 2 * 2 * 19 * 4);  // batch, kv heads, pages, float
    EXPECT_EQ(report.keys_scored % 19, 0);
    EXPECT_GT(report.keys_scored, 0);
  }
}

TEST_P(ArchivedAbi, IndexesGrowAndShrink) {
  const TestProblem problem = decode();
  const Threads threads(2);
  const auto first_keys = [&](std::int64_t key_len) {
    AttentionInputs inputs = problem.inputs();
    inputs.shape.key_len = inputs.k.length = inputs.v.length = key_len;
    inputs.visibility = Visibility::causal(1, key_len);
    return inputs;
  };
  PreparedPipeline growing = Pipeline({pages("3")}).prepare(first_keys(60), {}, threads);
  for (const std::int64_t key_len : {61, 64, 65, 131}) {
    growing.append(first_keys(key_len), threads);
    expect_best_pages(growing.select(threads).mask, first_keys(key_len), 3);
  }
  growing.truncate(first_keys(67), threads);
  expect_best_pages(growing.select(threads).mask, first_keys(67), 3);
}

INSTANTIATE_TEST_SUITE_P(Versions,
                         ArchivedAbi,
                         testing::ValuesIn(kArchived),
                         [](const testing::TestParamInfo<AbiVersion>& version) {
                           return "Abi_" + version.param.name();
                         });

// The words and signs of a C text, without its comments.
std::vector<std::string> tokens_of(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::string text{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_FALSE(text.empty()) << file << " cannot be read";
  for (std::size_t begin; (begin = text.find("/*")) != std::string::npos;) {
    text.replace(begin, text.find("*/", begin) + 2 - begin, " ");
  }
  const auto is_word = [](char letter) {
    return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '_';
  };
  std::vector<std::string> tokens;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (std::isspace(static_cast<unsigned char>(text[i])) != 0) continue;
    if (i > 0 && is_word(text[i]) && is_word(text[i - 1])) {
      tokens.back() += text[i];
    } else {
      tokens.emplace_back(1, text[i]);
    }
  }
  return tokens;
}

// A header whose declarations change needs a new version, and then a folder of its own here.
TEST(CurrentAbi, DeclaresWhatTheHeaderOfTheSameVersionDeclares) {
  const std::filesystem::path source = MASKERADE_TEST_SOURCE;
  const std::string current = fmt::format("{}_{}", MASKERADE_ABI_MAJOR, MASKERADE_ABI_MINOR);
  ASSERT_EQ(kArchived.back().name(), current)
      << "copy framework/sdk/masker_abi.h to tests/framework/plugin/abi_" << current
      << "/, and add the version to kArchived and to CMakeLists.txt there";
  const auto archived =
      tokens_of(source / "tests/framework/plugin" / ("abi_" + current) / "masker_abi.h");
  const auto present = tokens_of(source / "framework/sdk/masker_abi.h");
  const auto [was, is] =
      std::mismatch(archived.begin(), archived.end(), present.begin(), present.end());
  const auto from = [](auto at, auto end) {
    std::string words;
    for (int i = 0; i < 12 && at != end; ++i) words += " " + *at++;
    return words;
  };
  EXPECT_TRUE(was == archived.end() && is == present.end())
      << "masker_abi.h declares\n " << from(is, present.end()) << "\nwhere ABI " << current
      << " has\n " << from(was, archived.end())
      << "\nA released version does not change: raise MASKERADE_ABI_MINOR and archive the header";
}

}  // namespace
}  // namespace maskerade
