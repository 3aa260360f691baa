#include "experiments/worker/message_channel.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace maskerade {
namespace {

TEST(MessageChannel, CarriesWholeMessagesOfAnyLengthInOrder) {
  auto [here, there] = MessageChannel::connect();
  const std::string large(5'000'000, 'x');
  std::thread other([channel = &there, &large] {
    channel->send("");
    channel->send(std::string("a\0b", 3));
    channel->send(large);
  });
  EXPECT_EQ(here.receive(), "");
  EXPECT_EQ(here.receive(), std::string("a\0b", 3));
  EXPECT_EQ(here.receive(), large);
  other.join();
}

TEST(MessageChannel, TellsThatTheOtherEndIsClosed) {
  auto [here, there] = MessageChannel::connect();
  EXPECT_FALSE(here.has_news(std::chrono::milliseconds(0)));
  there.send("last");
  there = MessageChannel(-1);
  EXPECT_TRUE(here.has_news(std::chrono::milliseconds(0)));
  EXPECT_EQ(here.receive(), "last");
  EXPECT_EQ(here.receive(), std::nullopt);
  EXPECT_FALSE(here.send("anyone?"));
}

}  // namespace
}  // namespace maskerade
