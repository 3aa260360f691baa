#pragma once

#include <source_location>
#include <stdexcept>
#include <string>
#include <utility>

namespace maskerade {

#if defined(__cpp_lib_source_location)
using SourceLocation = std::source_location;
#else
// Compilers without std::source_location (clang before 16 over libstdc++) lose the throwing line.
struct SourceLocation {
  static constexpr SourceLocation current() { return {}; }
  constexpr const char* file_name() const { return ""; }
  constexpr unsigned line() const { return 0; }
};
#endif

// The one channel for errors. what() says what is wrong, where, and what would be right; where() is
// the throwing line of our code, for internal errors.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message, SourceLocation where = SourceLocation::current())
      : std::runtime_error(message), where_(where) {}
  const SourceLocation& where() const noexcept { return where_; }

 private:
  SourceLocation where_;
};

// A place in a user's text. Lines and columns count from 1; 0 means unknown.
struct TextPosition {
  std::string file;
  int line = 0;
  int column = 0;

  std::string to_string() const {
    std::string text = file;
    if (line > 0) text.append(":").append(std::to_string(line));
    if (line > 0 && column > 0) text.append(":").append(std::to_string(column));
    return text;
  }
};

// Something in an experiment file or on the command line.
class ConfigError : public Error {
 public:
  ConfigError(TextPosition position,
              const std::string& message,
              SourceLocation where = SourceLocation::current())
      : Error((position.file.empty() ? "" : position.to_string() + ": ") + message, where),
        position_(std::move(position)) {}
  const TextPosition& position() const noexcept { return position_; }

 private:
  TextPosition position_;
};

// A parameter that a masker's table does not accept. Has no position: the layer that read the value
// from a file finds it by the parameter's name.
class ParameterError : public Error {
 public:
  ParameterError(std::string parameter,
                 const std::string& message,
                 SourceLocation where = SourceLocation::current())
      : Error(message, where), parameter_(std::move(parameter)) {}
  // The name as given; empty when a required parameter is missing.
  const std::string& parameter() const noexcept { return parameter_; }

 private:
  std::string parameter_;
};

// A plugin library that cannot be used, or a masker that failed.
class PluginError : public Error {
 public:
  PluginError(const std::string& library,
              const std::string& message,
              SourceLocation where = SourceLocation::current())
      : Error(library + ": " + message, where) {}
};

// Tensors or masks whose shapes do not fit together.
class ShapeError : public Error {
 public:
  // Rationale: not inherited, because nvcc 13.0 cannot inherit the default argument.
  explicit ShapeError(const std::string& message, SourceLocation where = SourceLocation::current())
      : Error(message, where) {}
};

// A data file, or what is in it. tensor may be empty.
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
