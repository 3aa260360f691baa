#include "experiments/worker/message_channel.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <utility>

#include "framework/base/error.hpp"

namespace maskerade {

MessageChannel::~MessageChannel() {
  if (descriptor_ >= 0) close(descriptor_);
}

MessageChannel::MessageChannel(MessageChannel&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

MessageChannel& MessageChannel::operator=(MessageChannel&& other) noexcept {
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

std::pair<MessageChannel, MessageChannel> MessageChannel::connect() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw Error(std::string("no worker can be started: ") + std::strerror(errno));
  }
  return {MessageChannel(ends[0]), MessageChannel(ends[1])};
}

bool MessageChannel::send(const std::string& message) {
  const auto bytes = static_cast<std::uint64_t>(message.size());
  std::string framed(sizeof(bytes), '\0');
  std::memcpy(framed.data(), &bytes, sizeof(bytes));
  framed += message;
  for (std::size_t sent = 0; sent < framed.size();) {
    const ssize_t count =
        ::send(descriptor_, framed.data() + sent, framed.size() - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    sent += static_cast<std::size_t>(count);
  }
  return true;
}

std::optional<std::string> MessageChannel::receive() {
  std::uint64_t bytes = 0;
  if (!read_exactly(reinterpret_cast<char*>(&bytes), sizeof(bytes))) return std::nullopt;
  std::string message(bytes, '\0');
  if (!read_exactly(message.data(), message.size())) return std::nullopt;
  return message;
}

bool MessageChannel::has_news(std::chrono::milliseconds wait) const {
  pollfd end{.fd = descriptor_, .events = POLLIN, .revents = 0};
  return poll(&end, 1, static_cast<int>(wait.count())) > 0;
}

bool MessageChannel::read_exactly(char* to, std::size_t bytes) {
  while (bytes > 0) {
    const ssize_t count = read(descriptor_, to, bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    to += count;
    bytes -= static_cast<std::size_t>(count);
  }
  return true;
}

}  // namespace maskerade
