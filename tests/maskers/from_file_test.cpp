#include <array>
#include <fstream>
#include <nlohmann/json.hpp>

#include "framework/base/error.hpp"
#include "tests/maskers/deterministic_checks.hpp"

namespace maskerade {
namespace {

// A safetensors file, tensor by tensor.
class FileWriter {
 public:
  template <typename Value>
  FileWriter& add(const std::string& name,
                  const std::vector<std::int64_t>& shape,
                  const std::vector<Value>& values) {
    const char* type = std::is_same_v<Value, float>          ? "F32"
                       : std::is_same_v<Value, std::int64_t> ? "I64"
                                                             : "U8";
    const std::size_t begin = data_.size();
    data_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value));
    header_[name] = {{"dtype", type}, {"shape", shape}, {"data_offsets", {begin, data_.size()}}};
    return *this;
  }
  std::string write(const std::string& name) const {
    const std::string path = testing::TempDir() + name + ".safetensors";
    std::string header = header_.dump();
    header.resize((header.size() + 7) / 8 * 8, ' ');
    const std::uint64_t size = header.size();
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), 8);
    file << header << data_;
    return path;
  }

 private:
  nlohmann::json header_ = nlohmann::json::object();
  std::string data_;
};

using Bytes = std::vector<std::uint8_t>;
using Integers = std::vector<std::int64_t>;
using Floats = std::vector<float>;

// Random entries of a problem's mask, of every batch and head or of one.
Bytes random_entries(std::size_t count, double density = 0.4) {
  std::mt19937 engine(5);
  Bytes entries;
  for (std::size_t i = 0; i < count; ++i) {
    entries.push_back(std::uniform_real_distribution<double>()(engine) < density ? 1 : 0);
  }
  return entries;
}

// The mask with exactly these entries, as far as they are visible.
void expect_entries(const Mask& mask, const MaskerProblem& problem, const auto& entry) {
  expect_keys(mask, problem, [&](auto b, auto h, auto i) {
    Integers keys;
    for (std::int64_t key = 0; key < problem.inputs().visibility.end(i); ++key) {
      if (entry(b, h, i, key)) keys.push_back(key);
    }
    return keys;
  });
}

TEST(FromFile, ReadsDenseMasksOfAnyTypeAndBroadcastsThem) {
  const AttentionShape shape{2, 4, 2, 5, 70, 4};
  for (const bool causal : {false, true}) {
    const MaskerProblem problem(shape, {.causal = causal});
    for (const std::int64_t batch : {1, 2}) {
      for (const std::int64_t heads : {1, 4}) {
        const auto count = static_cast<std::size_t>(batch * heads * 5 * 70);
        const Bytes entries = random_entries(count);
        const Integers sizes = {batch, heads, 5, 70};
        const std::string file =
            FileWriter()
                .add("mask", sizes, entries)
                .add("integers", sizes, Integers(entries.begin(), entries.end()))
                .add("floats", sizes, Floats(entries.begin(), entries.end()))
                .write("dense");
        for (const std::string name : {"mask", "integers", "floats"}) {
          const Mask mask = run({use("from_file", {{"", file}, {"mask", name}})}, problem).mask;
          expect_entries(mask, problem, [&](auto b, auto h, auto i, auto key) {
            return entries[static_cast<std::size_t>(
                       (((batch == 1 ? 0 : b) * heads + (heads == 1 ? 0 : h)) * 5 + i) * 70 +
                       key)] != 0;
          });
        }
      }
    }
  }
}

TEST(FromFile, ReadsTheArrayOfAnNpyFile) {
  const MaskerProblem problem({1, 2, 1, 3, 70, 4});
  const Bytes entries = random_entries(3 * 70);
  const std::string path = testing::TempDir() + "mask.npy";
  std::string header = "{'descr': '|b1', 'fortran_order': False, 'shape': (1, 1, 3, 70), }";
  header.resize(118 - 1, ' ');
  header += '\n';
  std::ofstream file(path, std::ios::binary);
  file << "\x93NUMPY" << '\x01' << '\0' << static_cast<char>(118) << '\0' << header;
  file.write(reinterpret_cast<const char*>(entries.data()),
             static_cast<std::streamsize>(entries.size()));
  file.close();
  expect_entries(run({use("from_file", {{"", path}})}, problem).mask, problem,
                 [&](auto, auto, auto i, auto key) {
                   return entries[static_cast<std::size_t>(i * 70 + key)] != 0;
                 });
}

TEST(FromFile, ReadsBlockMasks) {
  const MaskerProblem problem({1, 2, 1, 150, 150, 4}, {.causal = true});
  const Bytes entries = random_entries(2 * 3 * 3);
  const std::string file = FileWriter().add("blocks", {1, 2, 3, 3}, entries).write("blocks");
  const MaskerUse masker =
      use("from_file", {{"", file}, {"layout", "blocks"}, {"mask", "blocks"}, {"block", "64"}});
  expect_entries(run({masker}, problem).mask, problem, [&](auto, auto h, auto i, auto key) {
    return entries[static_cast<std::size_t>((h * 3 + i / 64) * 3 + key / 64)] != 0;
  });
  expect_selection_rules({masker}, problem);
}

// Queries at positions 32 to 127, at positions in no order, and one at the last: each has the row
// of blocks of its own position.
TEST(FromFile, BlocksAreCountedFromPositionZero) {
  const std::string two =
      FileWriter().add("mask", {1, 1, 2, 2}, Bytes{1, 0, 0, 1}).write("two_rows");
  const std::string three =
      FileWriter().add("mask", {1, 1, 3, 2}, Bytes{1, 0, 0, 0, 1, 1}).write("three_rows");
  constexpr std::int64_t kNone = 9;
  for (const bool causal : {false, true}) {
    for (const std::int64_t queries : {1, 96, 128}) {
      const MaskerProblem problem({1, 2, 1, queries, 128, 4}, {.causal = causal});
      const Visibility& visibility = problem.inputs().visibility;
      for (const auto& [name, second] :
           {std::pair(two, std::int64_t{1}), std::pair(three, kNone)}) {
        const std::int64_t of_second_row = second;
        const MaskerUse masker = use("from_file", {{"", name}, {"layout", "blocks"}});
        expect_entries(run({masker}, problem).mask, problem, [&](auto, auto, auto i, auto key) {
          return key / 64 == (visibility.position(i) < 64 ? 0 : of_second_row);
        });
      }
    }
  }
  const MaskerProblem problem({1, 1, 1, 3, 128, 4});
  AttentionInputs inputs = problem.inputs();
  inputs.visibility = Visibility::at_positions({100, 3, 64}, 128, false);
  const Threads threads(1);
  const Mask mask = Pipeline({use("from_file", {{"", two}, {"layout", "blocks"}})})
                        .prepare(inputs, {}, threads)
                        .select(threads)
                        .mask;
  for (const auto& [query, key] : {std::pair(0, 64), std::pair(1, 0), std::pair(2, 64)}) {
    EXPECT_EQ(keys_of(mask, 0, 0, query).front(), key) << query;
    EXPECT_EQ(keys_of(mask, 0, 0, query).size(), 64U) << query;
  }
}

TEST(FromFile, RowsOfBlocksThatDoNotHoldAPositionAreRefused) {
  const auto refusal_of = [](const std::string& file, const AttentionShape& shape) -> std::string {
    try {
      run({use("from_file", {{"", file}, {"layout", "blocks"}})}, MaskerProblem(shape));
    } catch (const Error& error) {
      const std::string text = error.what();
      return text.substr(text.rfind(": tensor"));
    }
    return "";
  };
  const std::string one =
      FileWriter().add("mask", {1, 1, 1, 2}, Bytes{1, 1}).write("one_row_of_blocks");
  EXPECT_EQ(refusal_of(one, {1, 1, 1, 1, 128, 4}),
            ": tensor \"mask\": it has 1 rows of blocks of 64 tokens, for positions 0 to 63, but "
            "query 0 stands at position 127; 2 rows would hold every position of 128 keys");
  const std::string two =
      FileWriter().add("mask", {1, 1, 2, 2}, Bytes{1, 1, 1, 1}).write("two_rows_of_blocks");
  EXPECT_EQ(
      refusal_of(two, {1, 1, 1, 130, 128, 4}),
      ": tensor \"mask\": it has 2 rows of blocks of 64 tokens, for positions 0 to 127, but "
      "query 0 stands at position -2; queries before position 0 need the layout dense or csr");
}

// CSR of entries [rows, keys]; keys of a row in descending order.
std::pair<Integers, Integers> csr_of(const Bytes& entries, std::int64_t key_len) {
  Integers indices;
  Integers ptr = {0};
  for (std::size_t row = 0; row < entries.size() / static_cast<std::size_t>(key_len); ++row) {
    for (std::int64_t key = key_len - 1; key >= 0; --key) {
      if (entries[row * static_cast<std::size_t>(key_len) + static_cast<std::size_t>(key)] != 0) {
        indices.push_back(key);
      }
    }
    ptr.push_back(static_cast<std::int64_t>(indices.size()));
  }
  return {indices, ptr};
}

TEST(FromFile, ReadsListsOfKeysForEveryRowOrForAllHeadsAlike) {
  const MaskerProblem problem({2, 4, 2, 5, 70, 4}, {.causal = true});
  for (const std::int64_t heads : {1, 2 * 4}) {
    const Bytes entries = random_entries(static_cast<std::size_t>(heads * 5 * 70));
    const auto [indices, ptr] = csr_of(entries, 70);
    const std::string file =
        FileWriter()
            .add("indices", {static_cast<std::int64_t>(indices.size())}, indices)
            .add("rows", {static_cast<std::int64_t>(ptr.size())}, ptr)
            .write("lists");
    const MaskerUse masker = use("from_file", {{"", file}, {"layout", "csr"}, {"ptr", "rows"}});
    expect_entries(run({masker}, problem).mask, problem, [&](auto b, auto h, auto i, auto key) {
      const std::int64_t row = heads == 1 ? i : (b * 4 + h) * 5 + i;
      return entries[static_cast<std::size_t>(row * 70 + key)] != 0;
    });
    expect_selection_rules({masker}, problem);
  }
}

TEST(FromFile, ProbabilitiesMakeItASampler) {
  const MaskerProblem problem({1, 1, 1, 2, 4, 4});
  const std::string file = FileWriter()
                               .add("indices", {3}, Integers{0, 3, 2})
                               .add("ptr", {3}, Integers{0, 2, 3})
                               .add("p", {3}, Floats{0.5F, 1.0F, 0.25F})
                               .add("weights", {1, 1, 2, 4}, Floats{0.5F, 0, 0, 1, 0, 0, 0.25F, 0})
                               .write("weights");
  const MaskerUse lists = use("from_file", {{"", file}, {"layout", "csr"}, {"p", "p"}});
  const MaskerUse dense = use("from_file", {{"", file}, {"p", "weights"}});
  const std::vector<float> expected = {0.5F, 0, 0, 1, 0, 0, 0.25F, 0};
  EXPECT_EQ(to_dense(run({lists}, problem).mask), expected);
  EXPECT_EQ(to_dense(run({dense}, problem).mask), expected);
  const MaskerUse reads_active = use("oracle_topk", {{"", "1"}});
  EXPECT_THROW(Pipeline({lists, reads_active}), Error);
  EXPECT_THROW(Pipeline({lists, dense}), Error);
  EXPECT_NO_THROW(Pipeline({reads_active, lists}));
  // Without p it is none, and may stand anywhere.
  const MaskerUse plain = use("from_file", {{"", file}, {"layout", "csr"}});
  EXPECT_EQ(to_dense(run({plain}, problem).mask), (std::vector<float>{1, 0, 0, 1, 0, 0, 1, 0}));
  EXPECT_NO_THROW(Pipeline({plain, reads_active}));
}

TEST(FromFile, RowsAreUnitedWithWhatIsActive) {
  const MaskerProblem problem({1, 1, 1, 1, 4, 4});
  const std::string file = FileWriter().add("mask", {1, 1, 1, 4}, Bytes{0, 0, 1, 0}).write("one");
  EXPECT_EQ(to_dense(run({use("sink", {{"", "1"}}), use("from_file", {{"", file}})}, problem).mask),
            (std::vector<float>{1, 0, 1, 0}));
}

// What follows the file's name in the error.
std::string refusal(const FileWriter& file, NamedArguments given) {
  const std::string path = file.write("bad");
  given.emplace_back("file", path);
  const std::string text = error_of("from_file", given);  // 1 query, 8 keys
  const std::size_t place = text.rfind(path);
  return place == std::string::npos ? text : text.substr(place + path.size());
}

TEST(FromFile, BadArgumentsAndTensorsSayWhatWouldBeRight) {
  EXPECT_EQ(error_of("from_file", {}),
            "\"from_file\" needs \"file\" (file): where its tensors are; the array of an npy file "
            "has no name");
  const NamedArguments csr = {{"layout", "csr"}};
  EXPECT_EQ(
      refusal(FileWriter().add("masks", {1, 1, 1, 8}, Bytes(8)), {}),
      ": tensor \"mask\": there is no such tensor; the file has: masks; did you mean \"masks\"?");
  EXPECT_EQ(refusal(FileWriter().add("mask", {1, 1, 2, 4}, Bytes(8)), {}),
            ": tensor \"mask\": its shape is [1, 1, 2, 4]; it must be [batch | 1, query_heads | 1, "
            "query_len, key_len] = [1, 1, 1, 8]");
  EXPECT_EQ(
      refusal(FileWriter().add("mask", {8}, Bytes(8)), {{"layout", "blocks"}, {"block", "4"}}),
      ": tensor \"mask\": its shape is [8]; it must be [batch | 1, query_heads | 1, query "
      "blocks, key blocks] = [1, 1, any, 2]");
  EXPECT_EQ(refusal(FileWriter().add("mask", {1, 1, 1, 8}, Floats(8, 0.5F)), {}),
            ": tensor \"mask\": it holds 0.500000; a mask holds 0 and 1, and probabilities are "
            "named by p");
  EXPECT_EQ(refusal(FileWriter().add("p", {1, 1, 1, 8}, Floats(8, 1.5F)), {{"p", "p"}}),
            ": tensor \"p\": it holds 1.500000; a probability must be in [0, 1], 0 for inactive");
  EXPECT_EQ(refusal(FileWriter().add("p", {1, 1, 1, 8}, Bytes(8)), {{"p", "p"}}),
            ": tensor \"p\": it must hold floating-point numbers");
  EXPECT_TRUE(refusal(FileWriter(), {{"p", "p"}, {"layout", "blocks"}})
                  .ends_with("p is for the layouts dense and csr, not for blocks"));

  const auto lists = [](const Integers& indices, const Integers& ptr) {
    return FileWriter()
        .add("indices", {static_cast<std::int64_t>(indices.size())}, indices)
        .add("ptr", {static_cast<std::int64_t>(ptr.size())}, ptr);
  };
  EXPECT_EQ(refusal(lists({1, 2}, {0, 1, 2}), csr),
            ": tensor \"ptr\": it has 3 numbers; one more than rows is 2 for all heads and batches "
            "alike or 2");
  EXPECT_EQ(refusal(lists({1, 2}, {1, 2}), csr),
            ": tensor \"ptr\": it must begin at 0 and not decrease");
  EXPECT_EQ(refusal(lists({1, 2}, {0, 3}), csr),
            ": tensor \"indices\": its shape is [2]; it must be [the last of ptr] = [3]");
  EXPECT_EQ(refusal(lists({1, 8}, {0, 2}), csr),
            ": tensor \"indices\": row 0 has key 8; it must be in [0, 8)");
  EXPECT_EQ(refusal(lists({1, 1}, {0, 2}), csr), ": tensor \"indices\": row 0 has key 1 twice");
  EXPECT_EQ(
      refusal(lists({1, 2}, {0, 2}).add("p", {2}, Floats{1, 0}), {{"layout", "csr"}, {"p", "p"}}),
      ": tensor \"p\": it holds 0.000000; a probability must be in (0, 1]");
  EXPECT_EQ(
      refusal(lists({1, 2}, {0, 2}).add("p", {1}, Floats{1}), {{"layout", "csr"}, {"p", "p"}}),
      ": tensor \"p\": its shape is [1]; it must be [the last of ptr] = [2]");
}

}  // namespace
}  // namespace maskerade
