#pragma once

#include <string>
#include <vector>

namespace maskerade {

// A shared library of the system that is looked for at run time, so that the program starts without
// it. It is never unloaded. [any thread]
class SystemLibrary {
 public:
  // The first of the names that the loader opens: a file's path, or a name on the loader's path.
  static SystemLibrary open(const std::vector<std::string>& names);

  bool is_open() const noexcept { return handle_ != nullptr; }
  // The file that was opened; "" when none was.
  const std::string& path() const noexcept { return path_; }
  // What the loader said of the last name; "" when one was opened.
  const std::string& problem() const noexcept { return problem_; }

  // Sets a pointer to the function of that name. False, and null, when the library has none.
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
