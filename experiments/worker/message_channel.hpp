#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace maskerade {

// One end of a connection between two processes of one machine, over which each sends the other
// whole messages of any length.
class MessageChannel {
 public:
  // Takes the end that a descriptor leads to, and closes it in the end.
  explicit MessageChannel(int descriptor) noexcept : descriptor_(descriptor) {}
  ~MessageChannel();
  MessageChannel(MessageChannel&& other) noexcept;
  MessageChannel& operator=(MessageChannel&& other) noexcept;

  // The two ends of a new connection. Another process inherits neither by itself. Throws Error when
  // the system has no descriptor left.
  static std::pair<MessageChannel, MessageChannel> connect();

  int descriptor() const noexcept { return descriptor_; }

  // Sends a message. false: the other end is closed.
  bool send(const std::string& message);
  // The next message; waits for it. nullopt: the other end is closed.
  std::optional<std::string> receive();
  // Waits until a message begins or the other end is closed, for at most `wait`; a signal ends the
  // wait, too. Returns whether receive() has something to return.
  bool has_news(std::chrono::milliseconds wait) const;

 private:
  bool read_exactly(char* to, std::size_t bytes);

  int descriptor_;
};

}  // namespace maskerade
