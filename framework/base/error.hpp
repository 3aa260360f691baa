#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>

#include "framework/base/text.hpp"

namespace maskerade {

#if defined(__cpp_lib_source_location)
using SourceLocation = std::source_location;
#else
// Stands in where the compiler has no std::source_location (clang before 16 over libstdc++). Errors
// then say no source line.
struct SourceLocation {
  static constexpr SourceLocation current() { return {}; }
  constexpr const char* file_name() const { return ""; }
  constexpr unsigned line() const { return 0; }
};
#endif

// The base of every exception that this project throws. what() says what is wrong, where, and what
// would be right; where() is the line of our source that threw, which helps with internal errors.
// A message is on one line whatever it quotes: its control characters have the form \x1b.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, SourceLocation where = SourceLocation::current())
      : std::runtime_error(on_one_line(message)), where_(where) {}
  const SourceLocation& where() const noexcept { return where_; }

 protected:
  // The lines of `example` follow the message as they are.
  Error(const std::string& message, const std::string& example, SourceLocation where)
      : std::runtime_error(on_one_line(message) + example), where_(where) {}

 private:
  SourceLocation where_;
};

// A position in a text that the user wrote. Lines and columns count from 1; 0 means unknown.
struct TextPosition {
  std::string file;
  int line = 0;
  int column = 0;

  // "file:line:column", without the parts that are unknown.
  std::string to_string() const {
    std::string text = file;
    if (line > 0) text.append(":").append(std::to_string(line));
    if (line > 0 && column > 0) text.append(":").append(std::to_string(column));
    return text;
  }
};

// What a part of an experiment file looks like, on indented lines of its own. It quotes nothing.
struct ConfigExample {
  std::string lines;  // each begins with a line break
};

// Something in an experiment file or on the command line is wrong. what() begins with the position
// when its file is known.
class ConfigError : public Error {
 public:
  ConfigError(TextPosition position,
              const std::string& message,
              const ConfigExample& example,
              SourceLocation where = SourceLocation::current())
      : Error((position.file.empty() ? "" : position.to_string() + ": ") + message,
              example.lines,
              where),
        position_(std::move(position)) {}
  ConfigError(TextPosition position,
              const std::string& message,
              SourceLocation where = SourceLocation::current())
      : Error((position.file.empty() ? "" : position.to_string() + ": ") + message, where),
        position_(std::move(position)) {}
  const TextPosition& position() const noexcept { return position_; }

 private:
  TextPosition position_;
};

// A masker's parameter table does not accept a parameter or its value. It knows no line of the
// experiment file: the layer that read the file finds the line by the parameter's name.
class ParameterError : public Error {
 public:
  ParameterError(std::string parameter,
                 const std::string& message,
                 SourceLocation where = SourceLocation::current())
      : Error(message, where), parameter_(std::move(parameter)) {}
  // The parameter's name as the user gave it; "" when a required parameter is missing.
  const std::string& parameter() const noexcept { return parameter_; }

 private:
  std::string parameter_;
};

// A plugin library cannot be used, or a masker in it failed.
class PluginError : public Error {
 public:
  PluginError(const std::string& library,
              const std::string& message,
              SourceLocation where = SourceLocation::current())
      : Error(library + ": " + message, where) {}
};

// The shapes of tensors or masks do not fit together.
class ShapeError : public Error {
 public:
  // Rationale: the constructor is not inherited from Error because nvcc 13.0 does not inherit its
  // default argument.
  explicit ShapeError(const std::string& message, SourceLocation where = SourceLocation::current())
      : Error(message, where) {}
};

// A data file cannot be read, or what it holds is wrong. `tensor` names the tensor of the file; ""
// when the error is about the file as a whole.
class DataError : public Error {
 public:
  DataError(const std::string& file,
            const std::string& tensor,
            const std::string& message,
            SourceLocation where = SourceLocation::current())
      : Error(file + (tensor.empty() ? "" : ": tensor \"" + tensor + "\"") + ": " + message,
              where) {}
};

}  // namespace maskerade
