#include "framework/plugin/call_record.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "framework/base/error.hpp"
#include "framework/plugin/plugin_call.hpp"

namespace maskerade {
namespace {

using Texts = std::vector<std::string>;

// A record that this process uses for the time of a test.
class CallRecordTest : public testing::Test {
 protected:
  CallRecordTest() { CallRecord::use(&record()); }
  ~CallRecordTest() override { CallRecord::use(nullptr); }

  CallRecord& record() { return *record_; }
  Texts described() const { return CallRecord::describe(*record_); }

 private:
  std::unique_ptr<CallRecord> record_ = std::make_unique<CallRecord>();
};

TEST_F(CallRecordTest, NamesTheMaskerOfACallUntilItEnds) {
  const std::uint8_t number = CallRecord::number_of("/somewhere/quest.so");
  {
    PluginCall call(number);
    EXPECT_EQ(described(), Texts{"library /somewhere/quest.so"}) << "it is being loaded";
    CallRecord::name(number, "quest");
    EXPECT_EQ(described(), Texts{"masker \"quest\" (/somewhere/quest.so)"});
    call.end();
    EXPECT_EQ(described(), Texts{});
  }
  EXPECT_EQ(described(), Texts{});
}

TEST_F(CallRecordTest, NamesTheMaskersOfAllThreadsOnce) {
  const std::uint8_t quest = CallRecord::number_of("/a/quest.so");
  const std::uint8_t local = CallRecord::number_of("/a/local.so");
  EXPECT_NE(quest, local);
  EXPECT_EQ(CallRecord::number_of("/a/quest.so"), quest);
  CallRecord::name(quest, "quest");
  CallRecord::name(local, "local");
  const PluginCall call(quest);
  std::thread([&] {
    const PluginCall same(quest);
    std::thread([&] {
      const PluginCall other(local);
      EXPECT_EQ(described(),
                (Texts{"masker \"quest\" (/a/quest.so)", "masker \"local\" (/a/local.so)"}));
    }).join();
  }).join();
  EXPECT_EQ(described(), Texts{"masker \"quest\" (/a/quest.so)"});
}

TEST_F(CallRecordTest, HasRoomForTheThreadsThatFollowEachOther) {
  const std::uint8_t quest = CallRecord::number_of("/a/quest.so");
  for (std::size_t i = 0; i < 2 * CallRecord::kThreads; ++i) {
    std::thread([&] {
      const PluginCall call(quest);
      EXPECT_EQ(described().size(), 1U);
    }).join();
  }
}

TEST_F(CallRecordTest, KeepsTheEndOfALongPath) {
  const std::string path = "/" + std::string(600, 'x') + "/quest.so";
  const PluginCall call(CallRecord::number_of(path));
  EXPECT_EQ(described(), Texts{"library " + path.substr(path.size() - 511)});
}

TEST_F(CallRecordTest, NotesNothingOfMaskersThatItHasNoRoomFor) {
  for (std::size_t i = 1; i <= CallRecord::kMaskers; ++i) {
    EXPECT_EQ(CallRecord::number_of("/a/" + std::to_string(i) + ".so"), i);
  }
  EXPECT_EQ(CallRecord::number_of("/a/further.so"), 0);
  CallRecord::name(0, "further");
  const PluginCall call(0);
  EXPECT_EQ(described(), Texts{});
}

TEST_F(CallRecordTest, TakesWhateverTheMemoryHolds) {
  record().masker_count = UINT32_MAX;
  record().calls.front().masker = 200;
  record().calls.back().masker = CallRecord::kMaskers;
  record().maskers.back().id.fill('\xE9');
  record().maskers.back().library.fill('x');
  std::string id;
  for (std::size_t i = 0; i < 64; ++i) id += "\xEF\xBF\xBD";
  EXPECT_EQ(described(), Texts{"masker \"" + id + "\" (" + std::string(512, 'x') + ")"});
  EXPECT_EQ(CallRecord::number_of("/a/further.so"), 0);
}

TEST(SharedCallRecord, IsOneRecordForBothWhoHaveItsDescriptor) {
  const SharedCallRecord own;
  const SharedCallRecord other(own.descriptor());
  EXPECT_NE(&own.record(), &other.record());
  other.record().calls.front().masker = 1;
  other.record().maskers.front().id.front() = 'a';
  EXPECT_EQ(CallRecord::describe(own.record()), Texts{"masker \"a\" ()"});
}

TEST(SharedCallRecord, RefusesADescriptorOfSomethingElse) {
  try {
    const SharedCallRecord record(-1);
    FAIL() << "taken";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "descriptor -1 is not open for a record of calls");
  }
}

TEST(CallRecord, WithoutOneNothingIsNoted) {
  EXPECT_EQ(CallRecord::number_of("/a/quest.so"), 0);
  const PluginCall call(7);
  const auto record = std::make_unique<CallRecord>();
  EXPECT_EQ(CallRecord::describe(*record), Texts{});
}

}  // namespace
}  // namespace maskerade
