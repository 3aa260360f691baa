#pragma once

#include <cstdio>
#include <string_view>

namespace maskerade {

// Makes the process ready for output that fails; the first call of main(). After it,
// - a standard descriptor that was closed leads to a file with which its use fails. Rationale: the
//   system gives the lowest free descriptor to the next file that is opened, so that messages would
//   be written into results;
// - writing to a pipe that nobody reads, and beyond the largest size that a file may have, fails
//   instead of ending the process.
void guard_standard_streams() noexcept;

// Writes a text at once, or as much of it as the stream takes. What the stream refuses is lost;
// std::ferror(stream) then tells. For messages, which must not end what they tell about.
void write_message(std::FILE* stream, std::string_view text) noexcept;

// Flushes stdout. Throws ConfigError when something that was printed could not be written.
void finish_standard_output();

// Whether a message was lost because stderr refused it.
bool has_lost_messages() noexcept;

}  // namespace maskerade
