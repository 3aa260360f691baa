// JSON as the bytes of a message between the program and its workers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "framework/base/error.hpp"

namespace maskerade {

inline std::string packed(const nlohmann::json& json) {
  std::string message;
  nlohmann::json::to_msgpack(json, message);
  return message;
}

// What `read` gives of a message's object. Throws Error for a message that `read` cannot take.
template <typename Read>
auto unpacked(const std::string& message, Read&& read) {
  try {
    return read(nlohmann::json::from_msgpack(message));
  } catch (const nlohmann::json::exception& error) {
    throw Error(std::string("a message between the program and a worker cannot be read: ") +
                error.what());
  }
}

}  // namespace maskerade
