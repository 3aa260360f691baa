#include "framework/base/system_library.hpp"

#include <dlfcn.h>
#include <link.h>

namespace maskerade {

SystemLibrary SystemLibrary::open(const std::vector<std::string>& names) {
  SystemLibrary library;
  for (const std::string& name : names) {
    library.handle_ = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (library.handle_ == nullptr) {
      const char* problem = dlerror();
      library.problem_ = problem == nullptr ? name + " cannot be opened" : problem;
      continue;
    }
    library.problem_.clear();
    library.path_ = name;
    link_map* map = nullptr;
    if (dlinfo(library.handle_, RTLD_DI_LINKMAP, &map) == 0 && map != nullptr) {
      library.path_ = map->l_name;
    }
    break;
  }
  return library;
}

void* SystemLibrary::symbol(const char* name) const noexcept {
  return handle_ == nullptr ? nullptr : dlsym(handle_, name);
}

}  // namespace maskerade
