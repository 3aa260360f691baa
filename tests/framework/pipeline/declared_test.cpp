// What a masker does not declare in depends_on cannot be read: services and the SDK refuse with a
// text that names what to add, and the structs of the boundary hold nothing of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/mask/conversions.hpp"
#include "framework/sdk/dependencies.hpp"
#include "framework/sdk/masker.hpp"
#include "framework/sdk/row_scores.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

constexpr std::uint32_t kEverything = sdk::kShape | sdk::kHead | sdk::kBatch | sdk::kSeed |
                                      sdk::kQuery | sdk::kKey | sdk::kValue | sdk::kActive;

// A use of a masker class that declares `depends_on`, as a library of that minor version would.
template <typename Type>
MaskerUse declaring(std::uint32_t depends_on,
                    const std::vector<GivenParameter>& arguments = {},
                    std::uint32_t abi_minor = MASKERADE_ABI_MINOR) {
  maskerade_masker_descriptor descriptor = *sdk::detail::StaticDescriptor<Type>::descriptor();
  descriptor.depends_on = depends_on;
  descriptor.abi_minor = abi_minor;
  const auto type = std::make_shared<const MaskerType>(
      descriptor,
      std::vector<maskerade_parameter>(descriptor.parameters,
                                       descriptor.parameters + descriptor.parameter_count),
      Extensions(descriptor), LoadedLibrary{.path = "planted.so"});
  return {type, std::make_shared<const Arguments>(bind_arguments(type->descriptor(), arguments))};
}

TestProblem problem() { return {{2, 4, 2, 70, 150, 8}, Visibility::causal(70, 150)}; }

std::string failure_of(const MaskerUse& masker, int threads = 1) {
  try {
    run({masker}, problem(), {.chunk_rows = 1}, threads);
  } catch (const PluginError& error) {
    return error.what();
  }
  return "";
}

// ---- What is asked through the SDK -------------------------------------------------------------

// Something that a masker may ask for, and all that it must declare for it.
struct Question {
  const char* name;
  std::uint32_t needs;
  const char* what;  // in the text of the refusal
  std::function<void(const sdk::Row&)> ask;
};

const std::vector<Question>& questions() {
  static float scores[200];
  static double number;
  static float normal;
  static std::int32_t key;
  static const std::vector<Question> all = {
      {"batch", sdk::kBatch, "asks for the number of its batch entry",
       [](const sdk::Row& row) { row.batch(); }},
      {"head", sdk::kHead, "asks for the number of its head",
       [](const sdk::Row& row) { row.head(); }},
      {"kv_head", sdk::kHead, "asks for the number of its kv head",
       [](const sdk::Row& row) { row.kv_head(); }},
      {"query", sdk::kShape, "asks for the number of its query",
       [](const sdk::Row& row) { row.query(); }},
      {"position", sdk::kShape, "asks for its position",
       [](const sdk::Row& row) { row.position(); }},
      {"key_len", sdk::kShape, "asks for the number of keys",
       [](const sdk::Row& row) { row.key_len(); }},
      {"visible_len", sdk::kShape, "asks for the number of visible keys",
       [](const sdk::Row& row) { row.visible_len(); }},
      {"block_rows", sdk::kShape, "asks for rows of blocks",
       [](const sdk::Row& row) { sdk::block_rows(row.call(), 16); }},
      {"score_queries", sdk::kShape | sdk::kQuery | sdk::kKey,
       "",  // the SDK or the host says it, by what is missing
       [](const sdk::Row& row) {
         sdk::score_queries(row.call(), {row.call().head_begin, row.call().head_end},
                            {row.call().query_begin, row.call().query_end},
                            [](const sdk::QueryScores&) {});
       }},
      {"query_vector", sdk::kQuery, "reads its query",
       [](const sdk::Row& row) { row.query_vector(); }},
      {"value", sdk::kValue, "reads values", [](const sdk::Row& row) { row.value(0); }},
      {"active_bits", sdk::kActive | sdk::kShape, "calls active_bits",
       [](const sdk::Row& row) { row.active_bits(); }},
      {"active_count", sdk::kActive, "calls active_count",
       [](const sdk::Row& row) { row.active_count(); }},
      {"sampled_entries", sdk::kActive, "calls sampled_entries",
       [](const sdk::Row& row) {
         row.call().services->sampled_entries(&row.call(), row.number(), nullptr, nullptr, 0);
       }},
      {"products", sdk::kQuery | sdk::kKey, "calls score_range",
       [](const sdk::Row& row) { row.products(0, 3, std::span(scores).first(3)); }},
      {"score_keys", sdk::kQuery | sdk::kKey, "calls score_keys",
       [](const sdk::Row& row) {
         row.call().services->score_keys(&row.call(), row.number(), &key, 1, scores);
       }},
      {"add_top", sdk::kActive, "calls add_top_scores",
       [](const sdk::Row& row) { row.add_top(std::span(scores).first(9), 1); }},
      {"add_top_products", sdk::kQuery | sdk::kKey | sdk::kActive, "calls add_top_products",
       [](const sdk::Row& row) {
         const std::int64_t count = 1;
         row.call().services->add_top_products(&row.call(), row.number(), row.number() + 1, &count);
       }},
      {"draw", sdk::kSeed | sdk::kActive, "calls draw",
       [](const sdk::Row& row) { row.draw(0, 0, 9, 1); }},
      {"candidates", sdk::kSeed | sdk::kActive, "calls draw",
       [](const sdk::Row& row) { row.candidates(0, 9); }},
      {"uniform", sdk::kSeed, "calls uniform",
       [](const sdk::Row& row) { row.call().services->uniform(&row.call(), row.number(), 0, 0); }},
      {"uniforms", sdk::kSeed, "asks the host for random numbers",
       [](const sdk::Row& row) { row.host().uniforms(0, 0, std::span(&number, 1)); }},
      {"normals", sdk::kSeed, "asks the host for random numbers",
       [](const sdk::Row& row) { row.host().normals(0, 0, std::span(&normal, 1)); }},
      // As in C, by a masker that ignores the status.
      {"ignored_uniforms", sdk::kSeed, "asks the host for random numbers",
       [](const sdk::Row& row) { row.call().host->uniforms(row.call().host, 0, 0, 1, &number); }}};
  return all;
}

class Asker final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "asker",
            .summary = "asks one question",
            .depends_on = sdk::kShape,
            .parameters = {sdk::count("question", "its number")}};
  }
  explicit Asker(const sdk::Arguments& arguments)
      : question_(questions()[static_cast<std::size_t>(arguments.count("question"))]) {}
  void select_row(const sdk::Row& row) const override { question_.ask(row); }

 private:
  const Question& question_;
};

MaskerUse asker(std::size_t question, std::uint32_t depends_on) {
  return declaring<Asker>(depends_on, {{"question", {std::to_string(question)}}});
}

TEST(Declared, WhatIsDeclaredIsAnswered) {
  for (std::size_t i = 0; i < questions().size(); ++i) {
    EXPECT_EQ(failure_of(asker(i, questions()[i].needs)), "") << questions()[i].name;
  }
}

TEST(Declared, WhatIsNotDeclaredIsRefusedWithTheRemedy) {
  for (std::size_t i = 0; i < questions().size(); ++i) {
    const Question& question = questions()[i];
    for (const sdk::Dependency& dependency : sdk::kDependencies) {
      if ((question.needs & dependency.flag) == 0) continue;
      const std::string text = failure_of(asker(i, kEverything & ~dependency.flag));
      const std::string constant = dependency.constant;
      EXPECT_TRUE(text.starts_with("planted.so: masker \"asker\" failed: it "))
          << question.name << ": " << text;
      EXPECT_TRUE(text.ends_with(", but its descriptor does not declare " + constant + "; add " +
                                 constant + " to depends_on"))
          << question.name << ": " << text;
      // Where something is needed for two reasons, the SDK may ask for the lengths first.
      if (dependency.flag != sdk::kShape || question.needs == sdk::kShape) {
        EXPECT_NE(text.find(question.what), std::string::npos) << text;
      }
    }
  }
}

// ---- What an index is built from ---------------------------------------------------------------

// Asks for numbers and values of the keys that its index is built from.
class IndexAsker final : public sdk::RowMasker {
 public:
  struct Index {};
  static constexpr bool kIndexSpansFuture = false;
  static sdk::Description describe() {
    return {.id = "index_asker",
            .summary = "asks while it builds",
            .depends_on = sdk::kKey,
            .parameters = {sdk::choice("what", {"kv_head", "batch", "values", "random_numbers"},
                                       "what it asks for")}};
  }
  explicit IndexAsker(const sdk::Arguments& arguments) : what_(arguments.choice("what")) {}
  void select_row(const sdk::Row&) const override {}
  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    const sdk::KeySpan keys(span);
    if (what_ == "kv_head") keys.kv_head();
    if (what_ == "batch") keys.batch();
    if (what_ == "values") keys.values(0, 1);
    double number = 0;
    if (what_ == "random_numbers") keys.host().uniforms(0, 0, std::span(&number, 1));
    return std::make_unique<Index>();
  }
  void append(Index&, const maskerade_key_span&) const {}
  void truncate(Index&, std::int64_t) const {}
  std::size_t size_bytes(const Index&) const { return 0; }

 private:
  std::string what_;
};

TEST(Declared, AnIndexIsRefusedWhatIsNotDeclared) {
  for (const auto& [what, flag, constant] :
       {std::tuple{"kv_head", sdk::kHead, "MASKERADE_DEPENDS_HEAD"},
        std::tuple{"batch", sdk::kBatch, "MASKERADE_DEPENDS_BATCH"},
        std::tuple{"values", sdk::kValue, "MASKERADE_DEPENDS_VALUE"},
        std::tuple{"random_numbers", sdk::kSeed, "MASKERADE_DEPENDS_SEED"}}) {
    const std::string text =
        failure_of(declaring<IndexAsker>(kEverything & ~flag, {{"what", {what}}}));
    EXPECT_TRUE(text.starts_with("planted.so: masker \"index_asker\" cannot build its index: it "))
        << text;
    EXPECT_TRUE(text.ends_with(std::string("; add ") + constant + " to depends_on")) << text;
    EXPECT_EQ(failure_of(declaring<IndexAsker>(sdk::kKey | flag, {{"what", {what}}})), "");
  }
}

// ---- What the structs hold ---------------------------------------------------------------------

// Keeps a copy of every struct that it gets.
class Recorder final : public sdk::Masker {
 public:
  struct Index {};
  static constexpr bool kIndexSpansFuture = false;
  static inline std::mutex mutex;
  static inline std::vector<maskerade_call> calls;
  static inline std::vector<maskerade_key_span> spans;
  static inline std::vector<maskerade_create_info> infos;
  static void clear() {
    calls.clear();
    spans.clear();
    infos.clear();
  }

  static sdk::Description describe() {
    return {.id = "recorder", .summary = "keeps what it gets", .depends_on = sdk::kKey};
  }
  explicit Recorder(const sdk::Arguments& arguments) {
    maskerade_create_info info{};
    info.shape = arguments.shape();
    info.causal = arguments.causal() ? 1 : 0;
    const std::lock_guard lock(mutex);
    infos.push_back(info);
  }
  void select(const maskerade_call& call) const override {
    const std::lock_guard lock(mutex);
    calls.push_back(call);
  }
  std::unique_ptr<Index> build(const maskerade_key_span& span) const {
    const std::lock_guard lock(mutex);
    spans.push_back(span);
    return std::make_unique<Index>();
  }
  void append(Index&, const maskerade_key_span&) const {}
  void truncate(Index&, std::int64_t) const {}
  std::size_t size_bytes(const Index&) const { return 0; }
};

template <typename Struct, typename Value>
std::set<Value> values_of(const std::vector<Struct>& structs, Value Struct::*field) {
  std::set<Value> values;
  for (const Struct& one : structs) values.insert(one.*field);
  return values;
}

void record(std::uint32_t depends_on, std::uint32_t abi_minor = MASKERADE_ABI_MINOR) {
  Recorder::clear();
  run({declaring<Recorder>(depends_on, {}, abi_minor)}, problem(), {.seed = 4, .chunk_rows = 1});
}

TEST(DeclaredStructs, HoldNoNumberOfAHeadOrBatchEntryThatIsNotDeclared) {
  record(kEverything & ~sdk::kHead & ~sdk::kBatch);
  ASSERT_EQ(Recorder::calls.size(), 2U * 4U * 2U);  // batch entries, heads, chunks
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::head_begin), std::set<std::int64_t>{0});
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::head_end), std::set<std::int64_t>{1});
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::kv_head), std::set<std::int64_t>{0});
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::batch), std::set<std::int64_t>{0});
  EXPECT_EQ(values_of(Recorder::spans, &maskerade_key_span::kv_head), std::set<std::int64_t>{0});
  EXPECT_EQ(values_of(Recorder::spans, &maskerade_key_span::batch), std::set<std::int64_t>{0});
}

TEST(DeclaredStructs, HoldWhatIsDeclared) {
  record(kEverything);
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::head_begin),
            (std::set<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::kv_head), (std::set<std::int64_t>{0, 1}));
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::batch), (std::set<std::int64_t>{0, 1}));
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::query_begin),
            (std::set<std::int64_t>{0, 64}));
  EXPECT_EQ(values_of(Recorder::spans, &maskerade_key_span::kv_head),
            (std::set<std::int64_t>{0, 1}));
  for (const maskerade_call& call : Recorder::calls) {
    EXPECT_NE(call.q.data, nullptr);
    EXPECT_NE(call.k.data, nullptr);
    EXPECT_NE(call.v.data, nullptr);
    EXPECT_NE(call.positions, nullptr);
    EXPECT_EQ(call.shape.key_len, 150);
    EXPECT_EQ(call.causal, 1U);
  }
  EXPECT_EQ(Recorder::infos.front().shape.query_len, 70);
}

TEST(DeclaredStructs, HoldNoLengthsOrPositionsThatAreNotDeclared) {
  record(kEverything & ~sdk::kShape);
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::query_begin), std::set<std::int64_t>{0});
  for (const maskerade_call& call : Recorder::calls) {
    EXPECT_EQ(call.positions, nullptr);
    EXPECT_EQ(call.visible_ends, nullptr);
    EXPECT_EQ(call.shape.query_len, 0);
    EXPECT_EQ(call.shape.key_len, 0);
    EXPECT_EQ(call.key_end, INT64_MAX);
    EXPECT_EQ(call.causal, 0U);
    EXPECT_EQ(call.shape.query_heads, 4);
    EXPECT_EQ(call.shape.head_dim, 8);
  }
  EXPECT_EQ(Recorder::infos.front().shape.query_len, 0);
  EXPECT_EQ(Recorder::infos.front().shape.key_len, 0);
  EXPECT_EQ(Recorder::infos.front().causal, 0U);
}

TEST(DeclaredStructs, HoldNoTensorThatIsNotDeclared) {
  record(sdk::kShape | sdk::kHead | sdk::kBatch | sdk::kSeed | sdk::kKey);
  for (const maskerade_call& call : Recorder::calls) {
    EXPECT_EQ(call.q.data, nullptr);
    EXPECT_NE(call.k.data, nullptr);
    EXPECT_EQ(call.v.data, nullptr);
  }
  for (const maskerade_key_span& span : Recorder::spans) EXPECT_EQ(span.values, nullptr);
}

// Before 1.2 these numbers stood in every call, whatever was declared.
TEST(DeclaredStructs, ShowPluginsOfOlderVersionsWhatTheseShowed) {
  record(sdk::kKey, 1);
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::head_begin),
            (std::set<std::int64_t>{0, 1, 2, 3}));
  EXPECT_EQ(values_of(Recorder::calls, &maskerade_call::batch), (std::set<std::int64_t>{0, 1}));
  EXPECT_EQ(values_of(Recorder::spans, &maskerade_key_span::kv_head),
            (std::set<std::int64_t>{0, 1}));
  for (const maskerade_call& call : Recorder::calls) {
    EXPECT_NE(call.positions, nullptr);
    EXPECT_EQ(call.shape.key_len, 150);
    EXPECT_EQ(call.q.data, nullptr);
  }
}

// Adds the keys with q.k + v[0] above 0 by the pointers of the call, as a masker in C would.
template <std::uint32_t kHeads>
class ByPointers final : public sdk::Masker {
 public:
  static sdk::Description describe() {
    return {.id = "by_pointers", .summary = "keys by raw numbers", .depends_on = kEverything};
  }
  explicit ByPointers(const sdk::Arguments&) {}
  maskerade_grain grain() const override { return {1, kHeads}; }
  void select(const maskerade_call& call) const override {
    const std::int64_t queries = call.query_end - call.query_begin;
    for (std::int64_t row = 0; row < sdk::row_count(call); ++row) {
      const std::int64_t head = call.head_begin + row / queries;
      const std::int64_t kv_head = head * call.shape.kv_heads / call.shape.query_heads;
      const auto* q =
          static_cast<const float*>(sdk::row_of(call.q, head, call.query_begin + row % queries));
      for (std::int32_t key = 0; key < 150; ++key) {
        const auto* k = static_cast<const float*>(sdk::row_of(call.k, kv_head, key));
        float sum = *static_cast<const float*>(sdk::row_of(call.v, kv_head, key));
        for (std::int64_t d = 0; d < call.shape.head_dim; ++d) sum += q[d] * k[d];
        if (sum > 0) call.services->add_keys(&call, row, &key, nullptr, 1);
      }
    }
  }
};

TEST(DeclaredStructs, BeginWithTheNumbersThatTheCallReads) {
  const auto same_mask = []<std::uint32_t kHeads>() {
    const Mask expected = run({declaring<ByPointers<kHeads>>(kEverything)}, problem()).mask;
    EXPECT_GT(count(expected).active_entries, 0);
    for (const std::uint32_t hidden :
         {sdk::kHead, sdk::kBatch, sdk::kShape, sdk::kHead | sdk::kBatch | sdk::kShape}) {
      for (const std::int64_t chunk_rows : {1, 1000}) {
        EXPECT_EQ(run({declaring<ByPointers<kHeads>>(kEverything & ~hidden)}, problem(),
                      {.chunk_rows = chunk_rows}, 2)
                      .mask,
                  expected)
            << hidden;
      }
    }
  };
  same_mask.template operator()<MASKERADE_HEADS_ONE>();
  same_mask.template operator()<MASKERADE_HEADS_GROUP>();
  same_mask.template operator()<MASKERADE_HEADS_ALL>();
}

// ---- Which refusal is reported -----------------------------------------------------------------

// Ignores that services refuse.
class Stubborn final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "stubborn", .summary = "asks twice", .depends_on = sdk::kShape | sdk::kQuery};
  }
  explicit Stubborn(const sdk::Arguments&) {}
  void select_row(const sdk::Row& row) const override {
    const maskerade_call& call = row.call();
    call.services->active_count(&call, row.number());
    call.services->uniform(&call, row.number(), 0, 0);
    throw std::runtime_error("its own text");
  }
};

TEST(Refusals, TheFirstOfACallIsReported) {
  const std::string text = failure_of(declaring<Stubborn>(sdk::kShape | sdk::kQuery));
  EXPECT_NE(text.find("it calls active_count, but"), std::string::npos) << text;
}

// Fails in every unit but the first, in each with another text.
class FailsByUnit final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "fails_by_unit", .summary = "fails", .depends_on = kEverything};
  }
  explicit FailsByUnit(const sdk::Arguments&) {}
  void select_row(const sdk::Row& row) const override {
    if (row.batch() + row.head() == 0 && row.query() < 64) return;
    const auto key =
        static_cast<std::int32_t>(150 + 1000 * row.batch() + 100 * row.head() + row.query());
    row.call().services->add_keys(&row.call(), row.number(), &key, nullptr, 1);
  }
};

TEST(Refusals, OfManyUnitsTheLowestIsReportedForAnyNumberOfThreads) {
  for (int round = 0; round < 20; ++round) {
    for (const int threads : {1, 2, 3}) {
      EXPECT_EQ(
          failure_of(declaring<FailsByUnit>(kEverything), threads),
          "planted.so: masker \"fails_by_unit\" failed: keys [214, 215) are outside [0, 150)");
    }
  }
}

// A masker in C that fails without a word.
class Silent final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "silent", .summary = "fails", .depends_on = sdk::kShape};
  }
  explicit Silent(const sdk::Arguments&) {}
  void select_row(const sdk::Row&) const override { throw std::runtime_error(""); }
};

TEST(Refusals, AMaskerThatGivesNoReasonIsSaidToGiveNone) {
  EXPECT_EQ(failure_of(declaring<Silent>(sdk::kShape)),
            "planted.so: masker \"silent\" failed: it gives no reason");
}

}  // namespace
}  // namespace maskerade
