#pragma once

#include <string>
#include <vector>

namespace maskerade {

// A shared library that is opened at run time, so that the program also starts where the library is
// not installed. Once opened it stays loaded until the process ends. [any thread]
class SystemLibrary {
 public:
  // Tries the names in order and opens the first that the loader can open. A name is the path of a
  // file or a library's name, such as "libcudnn.so.9", that the loader searches for. Never throws
  // because of a missing library: ask is_open().
  static SystemLibrary open(const std::vector<std::string>& names);

  bool is_open() const noexcept { return handle_ != nullptr; }
  // The path of the file that was opened; "" when none was.
  const std::string& path() const noexcept { return path_; }
  // The loader's message about the last name that was tried; "" when a library was opened.
  const std::string& problem() const noexcept { return problem_; }

  // Points `function` to the library's function of that name and returns true; returns false with a
  // null `function` when the library has none or is not open.
  template <typename Function>
  bool find(const char* name, Function*& function) const noexcept {
    function = reinterpret_cast<Function*>(symbol(name));
    return function != nullptr;
  }

 private:
  void* symbol(const char* name) const noexcept;

  void* handle_ = nullptr;
  std::string path_;
  std::string problem_;
};

}  // namespace maskerade
