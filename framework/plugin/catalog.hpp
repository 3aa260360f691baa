#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/plugin/extensions.hpp"
#include "framework/plugin/loaded_library.hpp"
#include "framework/sdk/masker_abi.h"

namespace maskerade {

// A masker that a loaded library provides. The library stays loaded for the life of the process.
class MaskerType {
 public:
  // rows: the parameter table; the own copy of the descriptor points to them.
  MaskerType(const maskerade_masker_descriptor& descriptor,
             std::vector<maskerade_parameter> rows,
             const Extensions& extensions,
             LoadedLibrary library)
      : descriptor_(descriptor),
        rows_(std::move(rows)),
        extensions_(extensions),
        library_(std::move(library)) {
    descriptor_.parameters = rows_.data();
  }
  MaskerType(const MaskerType&) = delete;
  MaskerType& operator=(const MaskerType&) = delete;

  std::string id() const { return descriptor_.id; }
  // In this program's layout, whatever minor version the library was built for.
  const maskerade_masker_descriptor& descriptor() const noexcept { return descriptor_; }
  const std::filesystem::path& library() const noexcept { return library_.path; }
  // Of the library's bytes that were loaded, as 64 hexadecimal digits.
  const std::string& sha256() const noexcept { return library_.sha256; }
  // What loading the library changed in the floating-point environment of its thread, in words;
  // "" nothing. It was put back at once, but no masker of the type can be created.
  const std::string& load_effect() const noexcept { return library_.load_effect; }
  // The copy in memory that was loaded (see LoadedLibrary); -1: the file itself was.
  int copy_descriptor() const noexcept { return library_.copy; }
  // The library's number in the record of calls.
  std::uint8_t call_number() const noexcept { return library_.number; }
  bool depends_on(std::uint32_t flags) const noexcept {
    return (descriptor_.depends_on & flags) != 0;
  }
  // What its selection depends on, by name: "shape, seed".
  std::string dependencies() const;
  // The extension of that struct, or nullptr: extension<maskerade_index_extension>(). In this
  // program's layout too.
  template <typename Struct>
  const Struct* extension() const noexcept {
    return extensions_.get<Struct>();
  }
  // How the library says that it was built: "gcc 12.2.0, optimised, NDEBUG"; "unknown".
  std::string build() const;
  // Whether it was built as a part of this project.
  bool is_built_in() const noexcept;

  // What a function of the library did that it may not, where nobody could be told: it destroys.
  // Kept so that no further masker of the type is created. The first is kept. [any thread]
  void remember_misconduct(const std::string& text) const;
  std::string misconduct() const;  // "" none

 private:
  maskerade_masker_descriptor descriptor_;
  std::vector<maskerade_parameter> rows_;
  Extensions extensions_;
  LoadedLibrary library_;
  mutable std::mutex mutex_;
  mutable std::string misconduct_;
};

// A library as a catalog loaded it, for a process that shall load the same.
struct LibraryCopy {
  std::filesystem::path library;  // the path that it was loaded under
  std::string sha256;
  // Open for its bytes; programs that this process executes get it only where they are given it.
  // -1: the library was loaded from its path, and what is there must still have that hash.
  int descriptor = -1;
};

// Whether a text can be the id of a masker, or the name of a parameter: snake_case, a letter first.
bool is_masker_id(std::string_view text) noexcept;

// Whether a host of one ABI version takes a plugin of another: the plugin must have the host's
// major version, and the host's or an older minor one.
constexpr bool accepts_abi(std::uint32_t host_major,
                           std::uint32_t host_minor,
                           std::uint32_t plugin_major,
                           std::uint32_t plugin_minor) noexcept {
  return plugin_major == host_major && plugin_minor <= host_minor;
}

// The maskers at hand, by id.
class Catalog {
 public:
  // Loads one library and adds its masker. Checks, in this order, each with its own error
  // (PluginError names the file and the remedy): the file is there; it is a shared library, whole;
  // it exports the entry; the entry gives a descriptor; ABI major, then minor version; struct size;
  // functions, id and texts present; the parameter table agrees with itself; the extensions
  // that this program knows, if any, are whole; the id is not taken. Loading the same file again
  // does nothing.
  // What is loaded are the bytes that were read and hashed (see load_library()).
  const MaskerType& load(const std::filesystem::path& library);
  // The same from a copy of its bytes that an inherited descriptor is open for (see copies()),
  // under the path that the library had; whatever is at that path now does not matter. The
  // descriptor must stay open until the process ends.
  const MaskerType& load(const std::filesystem::path& library, int descriptor);
  // Loads every *.so of a folder, in the order of their names. A folder that does not exist is an
  // error when it is required, and else holds nothing.
  void load_folder(const std::filesystem::path& folder, bool required);
  // The same of a folder in which a user may look for maskers; hint_for() names it.
  void search(const std::filesystem::path& folder, bool required);

  // All maskers, by id.
  const std::vector<std::shared_ptr<const MaskerType>>& types() const noexcept { return types_; }
  std::vector<std::string> ids() const;
  // The libraries, in the order of their maskers' ids.
  std::vector<LibraryCopy> copies() const;
  // What an error says after an id that is none: name_hint() among `known` names, then the folders
  // that search() was given, if any, and how to add a library.
  std::string hint_for(std::string_view id, const std::vector<std::string>& known) const;
  // The masker of that id, or nullptr.
  std::shared_ptr<const MaskerType> find(std::string_view id) const noexcept;

 private:
  const MaskerType& add(const LibraryToLoad& library);
  const MaskerType* loaded_from(const std::filesystem::path& path) const noexcept;

  std::vector<std::shared_ptr<const MaskerType>> types_;
  std::vector<std::filesystem::path> searched_;  // folders, also those that are not there
};

// Where maskers are looked for: the folder `plugins` beside the program, then the folders of the
// environment variable MASKERADE_PLUGIN_PATH (separated by ':'), then the named files.
Catalog load_catalog(const std::filesystem::path& program_folder,
                     const std::string& plugin_path,
                     const std::vector<std::filesystem::path>& files);

}  // namespace maskerade
