// Every function that a plugin exports is guarded: a masker that throws in all of them gives its
// text through each that can say so, and no exception leaves any.
#include "framework/sdk/export.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include "framework/base/error.hpp"
#include "framework/pipeline/masker_instance.hpp"
#include "framework/sdk/masker.hpp"
#include "tests/experiments/rules/planted_masker.hpp"
#include "tests/framework/pipeline/test_problem.hpp"

namespace maskerade {
namespace {

// What is thrown, and where from on: creating succeeds until `is_armed`.
enum class Thrown { kException, kNumber };

// Throws in every function that the SDK calls, the destructors included.
template <Thrown kThrown>
class Thrower final : public sdk::Masker {
 public:
  static inline bool is_armed = true;
  static void fail(const char* where) {
    if (!is_armed) return;
    if (kThrown == Thrown::kNumber) throw 42;
    throw std::runtime_error(std::string("thrown in ") + where);
  }

  struct Index {
    Index() = default;
    Index(const Index&) = delete;
    Index& operator=(const Index&) = delete;
    ~Index() noexcept(false) { fail("the index's destructor"); }
  };
  static constexpr bool kIndexSpansFuture = false;

  static sdk::Description describe() {
    return {.id = "thrower", .summary = "throws", .depends_on = sdk::kShape | sdk::kKey};
  }
  explicit Thrower(const sdk::Arguments&) { fail("the constructor"); }
  void select(const maskerade_call&) const override { fail("select"); }
  std::unique_ptr<Index> build(const maskerade_key_span&) const {
    fail("build");
    return std::make_unique<Index>();
  }
  void append(Index&, const maskerade_key_span&) const { fail("append"); }
  void truncate(Index&, std::int64_t) const { fail("truncate"); }
  std::size_t size_bytes(const Index&) const {
    fail("size_bytes");
    return 5;
  }
  std::optional<maskerade_cuda_bounds> device_bounds(const maskerade_cuda_call&) const {
    fail("device_bounds");
    return maskerade_cuda_bounds{.keys_per_row = 3};
  }
  void select_on_device(const maskerade_cuda_call&) const { fail("select_on_device"); }
  std::span<const float> index_data(const Index&) const {
    fail("index_data");
    return {};
  }
};

// A class whose description throws.
class Undescribed final : public sdk::Masker {
 public:
  static sdk::Description describe() { throw std::runtime_error("no description"); }
  explicit Undescribed(const sdk::Arguments&) {}
  void select(const maskerade_call&) const override {}
};

template <typename Type>
const maskerade_masker_descriptor& descriptor_of() {
  return *sdk::detail::StaticDescriptor<Type>::descriptor();
}
template <typename Type>
const maskerade_index_extension& index_of() {
  return *static_cast<const maskerade_index_extension*>(
      descriptor_of<Type>().get_extension(MASKERADE_EXTENSION_INDEX));
}
template <typename Type>
const maskerade_cuda_extension& cuda_of() {
  return *static_cast<const maskerade_cuda_extension*>(
      descriptor_of<Type>().get_extension(MASKERADE_EXTENSION_CUDA));
}

// An instance and an index of a thrower, made while it does not throw.
template <typename Type>
class Made {
 public:
  Made() {
    Type::is_armed = false;
    masker = new Type(sdk::Arguments(maskerade_create_info{}, sdk::Description{}));
    index = new typename Type::Index();
    Type::is_armed = true;
  }
  // The functions under test free both.
  void* masker;
  void* index;
};

// Calls function(error, size), and says what it gave: its text, "" where it succeeded.
template <typename Function>
std::string text_of(Function&& function) {
  std::array<char, 200> error{};
  const std::int32_t status = function(error.data(), error.size());
  if (status == MASKERADE_OK) return "";
  return error.data();
}

// How many functions a struct of functions has after `offset` bytes.
template <typename Struct>
constexpr std::size_t functions_of(std::size_t offset) {
  return (sizeof(Struct) - offset) / sizeof(void (*)());
}

template <typename Type>
void expect_texts(const std::function<std::string(const char*)>& expected) {
  const Made<Type> made;
  const maskerade_masker_descriptor& masker = descriptor_of<Type>();
  const maskerade_key_span span{};
  const maskerade_call call{};
  const maskerade_create_info info{};
  maskerade_grain grain{};
  void* unused = nullptr;

  // A new function of a struct needs a call below.
  static_assert(functions_of<maskerade_masker_descriptor>(
                    offsetof(maskerade_masker_descriptor, create)) == 4);
  EXPECT_EQ(text_of([&](char* error, std::size_t size) {
              return masker.create(&info, &unused, &grain, error, size);
            }),
            expected("the constructor"));
  EXPECT_EQ(text_of([&](char* error, std::size_t size) {
              return masker.select(made.masker, &call, error, size);
            }),
            expected("select"));
  EXPECT_EQ(masker.get_extension("maskerade.unknown/1"), nullptr);

  static_assert(offsetof(maskerade_index_extension, append_is_build) -
                        offsetof(maskerade_index_extension, build) ==
                    6 * sizeof(void (*)()) &&
                functions_of<maskerade_index_extension>(
                    offsetof(maskerade_index_extension, append_is_build)) == 1);
  const maskerade_index_extension& index = index_of<Type>();
  EXPECT_EQ(text_of([&](char* error, std::size_t size) {
              return index.build(made.masker, &span, &unused, error, size);
            }),
            expected("build"));
  EXPECT_EQ(text_of([&](char* error, std::size_t size) {
              return index.append(made.masker, made.index, &span, error, size);
            }),
            expected("append"));
  EXPECT_EQ(text_of([&](char* error, std::size_t size) {
              return index.truncate(made.masker, made.index, &span, error, size);
            }),
            expected("truncate"));
  std::size_t bytes = 0;
  EXPECT_EQ(text_of([&](char* error, std::size_t size) {
              return index.try_size_bytes(made.masker, made.index, &bytes, error, size);
            }),
            expected("size_bytes"));
  EXPECT_EQ(index.size_bytes(made.masker, made.index), 0U);

  static_assert(
      functions_of<maskerade_cuda_extension>(offsetof(maskerade_cuda_extension, bounds)) == 5);
  const maskerade_cuda_extension& cuda = cuda_of<Type>();
  const maskerade_cuda_call device_call{};
  maskerade_cuda_bounds bounds{};
  std::int32_t is_on_device = 0;
  EXPECT_EQ(text_of([&](char* error, std::size_t size) {
              return cuda.try_bounds(made.masker, &device_call, &bounds, &is_on_device, error,
                                     size);
            }),
            expected("device_bounds"));
  EXPECT_EQ(cuda.bounds(made.masker, &device_call, &bounds), 0);
  const void* data = nullptr;
  EXPECT_EQ(text_of([&](char* error, std::size_t size) {
              return cuda.try_index_data(made.masker, made.index, &data, &bytes, error, size);
            }),
            expected("index_data"));
  EXPECT_EQ(cuda.index_data(made.masker, made.index, &bytes), nullptr);
  EXPECT_EQ(text_of([&](char* error, std::size_t size) {
              return cuda.select(made.masker, &device_call, error, size);
            }),
            expected("select_on_device"));

  index.destroy(made.masker, made.index);
  masker.destroy(made.masker);
}

TEST(Export, EveryFunctionGivesTheTextOfWhatIsThrown) {
  expect_texts<Thrower<Thrown::kException>>(
      [](const char* where) { return std::string("thrown in ") + where; });
}

TEST(Export, EveryFunctionCatchesWhatIsNoException) {
  expect_texts<Thrower<Thrown::kNumber>>(
      [](const char*) { return "it threw something that is no std::exception"; });
}

TEST(Export, ADescriptionThatThrowsGivesNoDescriptor) {
  EXPECT_EQ(sdk::detail::StaticDescriptor<Undescribed>::descriptor(), nullptr);
}

TEST(Export, ATextIsCutToTheCallersBuffer) {
  std::array<char, 7> error{};
  EXPECT_EQ(sdk::detail::guarded(error.data(), error.size(),
                                 [] { throw std::runtime_error("a long text"); }),
            MASKERADE_FAILED);
  EXPECT_STREQ(error.data(), "a long");
  EXPECT_EQ(sdk::detail::guarded(nullptr, 0, [] { throw std::runtime_error("a text"); }),
            MASKERADE_FAILED);
}

// ---- What the host makes of them ---------------------------------------------------------------

using Thrower1 = Thrower<Thrown::kException>;

class HostOfAThrower : public testing::Test {
 protected:
  HostOfAThrower()
      : problem_({1, 2, 1, 3, 9, 4}, Visibility::causal(3, 9)),
        instance_(std::make_shared<const LoadedMasker>(unarmed(), problem_.inputs(), 0, 0)) {
    instance_.build_indexes(problem_.inputs(), HeadSet::all(2), Threads(1));
    Thrower1::is_armed = true;
  }
  ~HostOfAThrower() override { Thrower1::is_armed = false; }

  template <typename Body>
  static std::string error_of(Body&& body) {
    try {
      body();
    } catch (const PluginError& error) {
      return error.what();
    }
    return "";
  }
  static MaskerUse unarmed() {
    Thrower1::is_armed = false;
    return rules::planted<Thrower1>();
  }

  TestProblem problem_;
  MaskerInstance instance_;
};

TEST_F(HostOfAThrower, ThrowsTheTextOfBounds) {
  EXPECT_EQ(error_of([&] { instance_.device_bounds({}); }),
            "planted.so: masker \"thrower\" cannot state its bounds on the device: thrown in "
            "device_bounds");
}

TEST_F(HostOfAThrower, ThrowsTheTextOfAnIndexsData) {
  EXPECT_EQ(error_of([&] { instance_.index_data(instance_.indexes().front()); }),
            "planted.so: masker \"thrower\" cannot hand its index to the device: thrown in "
            "index_data");
}

TEST_F(HostOfAThrower, ThrowsTheTextOfAnIndexsSize) {
  EXPECT_EQ(error_of([&] { instance_.index_bytes(); }),
            "planted.so: masker \"thrower\" cannot tell the size of its index: thrown in "
            "size_bytes");
}

TEST_F(HostOfAThrower, ReadsWhatIsNotThrown) {
  Thrower1::is_armed = false;
  EXPECT_EQ(instance_.index_bytes(), 5);
  EXPECT_EQ(instance_.device_bounds({})->keys_per_row, 3);
}

}  // namespace
}  // namespace maskerade
