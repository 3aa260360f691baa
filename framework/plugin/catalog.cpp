#include "framework/plugin/catalog.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <optional>
#include <set>
#include <sstream>
#include <system_error>

#include "framework/base/error.hpp"
#include "framework/base/nearest_name.hpp"
#include "framework/plugin/library_file.hpp"
#include "framework/plugin/own_layout.hpp"
#include "framework/plugin/parameters.hpp"
#include "framework/plugin/plugin_call.hpp"
#include "framework/sdk/dependencies.hpp"

namespace maskerade {
namespace {

bool is_snake_case(const char* text) { return text != nullptr && is_masker_id(text); }

// Sizes in ABI 1.0, the least that a struct may have. A struct that is larger is of a newer minor
// version, or padded; one that is smaller than this program's has zeros for what it lacks.
constexpr std::uint32_t kDescriptorBytes = 96;
constexpr std::uint32_t kParameterBytes = 64;
static_assert(sizeof(maskerade_masker_descriptor) >= kDescriptorBytes &&
              sizeof(maskerade_parameter) >= kParameterBytes);

// Checks of one library, in order; each failure names the file and the remedy.
class Check {
 public:
  explicit Check(const std::filesystem::path& library) : library_(library) {}

  void require(bool holds, const std::string& message) const {
    if (!holds) throw PluginError(library_.string(), message);
  }

  void file() const {
    std::error_code ignored;
    require(std::filesystem::exists(library_, ignored),
            "there is no such file; give the path of a masker library (*.so)");
    require(std::filesystem::is_regular_file(library_, ignored),
            "is not a file; give the path of a masker library (*.so)");
  }

  void bytes(const std::string& read) const {
    require(is_library(read),
            "is not a shared library; build it with maskerade_add_masker(), or as a shared library "
            "for this machine");
    const std::optional<std::uint64_t> needed = library_bytes(read);
    require(!needed || *needed <= read.size(),
            fmt::format("is cut short: it has {} bytes, its headers name {}; copy it again when "
                        "nothing writes it, or build it again",
                        read.size(), needed.value_or(0)));
  }

  const maskerade_masker_descriptor* entry(const LoadedLibrary& loaded) const {
    require(loaded.entry != nullptr,
            "does not export " MASKERADE_ENTRY_SYMBOL
            "; add MASKERADE_EXPORT_MASKER(YourMasker), or define that function in C");
    const maskerade_masker_descriptor* descriptor = nullptr;
    call(MASKERADE_ENTRY_SYMBOL, loaded, [&] { descriptor = loaded.entry(); });
    require(descriptor != nullptr,
            MASKERADE_ENTRY_SYMBOL " gave NULL; it must return the masker's descriptor");
    return descriptor;
  }

  void descriptor(const maskerade_masker_descriptor& masker) const {
    require(
        accepts_abi(MASKERADE_ABI_MAJOR, MASKERADE_ABI_MINOR, masker.abi_major, masker.abi_minor),
        fmt::format("was built for ABI {}.{}, this program has {}.{}; rebuild it with this "
                    "program's headers",
                    masker.abi_major, masker.abi_minor, MASKERADE_ABI_MAJOR, MASKERADE_ABI_MINOR));
    require(masker.struct_size >= kDescriptorBytes,
            fmt::format("its descriptor says struct_size {}, ABI {}.{} has {}; set it to "
                        "sizeof(maskerade_masker_descriptor)",
                        masker.struct_size, MASKERADE_ABI_MAJOR, 0, kDescriptorBytes));
    require(is_snake_case(masker.id),
            fmt::format("its id is {}; it must be snake_case, for example \"my_masker\"",
                        masker.id == nullptr ? "NULL" : fmt::format("\"{}\"", masker.id)));
    require(masker.summary != nullptr && masker.reference != nullptr,
            "its summary or reference is NULL; give a text, \"\" for no reference");
    require(masker.create != nullptr && masker.select != nullptr && masker.destroy != nullptr,
            "its create, select or destroy is NULL; all three are needed");
    require(masker.depends_on != 0,
            "its depends_on is 0; name what the selection is a function of, at least "
            "MASKERADE_DEPENDS_SHAPE");
  }

  // The parameter table: rows are the struct_size of the first apart.
  std::vector<maskerade_parameter> rows(const maskerade_masker_descriptor& masker) const {
    require(masker.parameter_count == 0 || masker.parameters != nullptr,
            "its parameter table is NULL but parameter_count is not 0");
    std::vector<maskerade_parameter> rows;
    for (std::size_t i = 0; i < masker.parameter_count; ++i) {
      const std::size_t stride = masker.parameters->struct_size;
      const auto* bytes = reinterpret_cast<const std::byte*>(masker.parameters) + i * stride;
      std::uint32_t size = 0;
      std::memcpy(&size, bytes, sizeof(size));
      require(size >= kParameterBytes && size == stride,
              fmt::format("parameter {}: struct_size is {}, not sizeof(maskerade_parameter), {}", i,
                          size, std::max<std::size_t>(stride, kParameterBytes)));
      rows.push_back(in_own_layout<maskerade_parameter>(bytes, size));
    }
    return rows;
  }

  void parameters(const maskerade_masker_descriptor& masker) const {
    std::set<std::string> names;
    std::uint32_t stated = 0;
    std::uint32_t bounds = 0;
    for (std::size_t i = 0; i < masker.parameter_count; ++i) {
      const maskerade_parameter& row = masker.parameters[i];
      require(is_snake_case(row.name), fmt::format("parameter {}: its name is not snake_case", i));
      const std::string place = fmt::format("parameter \"{}\": ", row.name);
      require(names.insert(row.name).second, place + "stands twice in the table");
      require(unit_name(row.unit) != "unknown",
              place + fmt::format("unit {} is unknown", row.unit));
      require(row.doc != nullptr && row.doc[0] != '\0', place + "has no doc; say what it is");
      if (row.unit == MASKERADE_UNIT_CHOICE) {
        require(row.choices != nullptr && row.choices[0] != nullptr,
                place + "has no choices; list at least one");
      } else if (row.unit != MASKERADE_UNIT_FILE && row.unit != MASKERADE_UNIT_TEXT) {
        require(row.minimum <= row.maximum,
                place + fmt::format("minimum {} is above maximum {}", row.minimum, row.maximum));
      }
      require((row.flags & MASKERADE_MAKES_SAMPLER) == 0 ||
                  ((masker.traits & MASKERADE_TRAIT_SAMPLES) != 0 && row.default_value != nullptr),
              place +
                  "is flagged MASKERADE_MAKES_SAMPLER, which needs MASKERADE_TRAIT_SAMPLES and "
                  "a default");
      check_guarantee(row, place, stated);
      check_population(masker, row, place, bounds);
      if (row.default_value != nullptr) check_default(masker, row, place);
    }
    require(stated == 0 || stated == (MASKERADE_STATES_EPSILON | MASKERADE_STATES_DELTA),
            "states one of MASKERADE_STATES_EPSILON and MASKERADE_STATES_DELTA; a guarantee needs "
            "both");
  }

  // The extensions that this program knows, each whole.
  Extensions extensions(const maskerade_masker_descriptor& masker,
                        const LoadedLibrary& loaded) const {
    std::optional<Extensions> extensions;
    std::string defect;
    call("its get_extension", loaded, [&] {
      try {
        extensions.emplace(masker);
      } catch (const Error& error) {
        defect = error.what();
      }
    });
    require(extensions.has_value(), defect);
    return *extensions;
  }

 private:
  // Calls `function`, which calls the library's function of that name.
  template <typename Function>
  void call(const std::string& name, const LoadedLibrary& loaded, Function&& function) const {
    const std::string misconduct = misconduct_of(loaded.number, function);
    require(misconduct.empty(), name + " " + misconduct);
  }

  // `stated`: the flags of a guarantee in the rows before this one.
  void check_guarantee(const maskerade_parameter& row,
                       const std::string& place,
                       std::uint32_t& stated) const {
    for (const auto& [flag, name] :
         {std::pair(MASKERADE_STATES_EPSILON, "MASKERADE_STATES_EPSILON"),
          std::pair(MASKERADE_STATES_DELTA, "MASKERADE_STATES_DELTA")}) {
      if ((row.flags & flag) == 0) continue;
      require((row.unit == MASKERADE_UNIT_SHARE || row.unit == MASKERADE_UNIT_NUMBER) &&
                  (row.flags & MASKERADE_LIST) == 0,
              place + fmt::format("is flagged {}, which takes one share or number", name));
      require((stated & flag) == 0, place + fmt::format("is the second flagged {}", name));
      stated |= flag;
    }
  }

  // `bounds`: the flags of the population in the rows before this one.
  void check_population(const maskerade_masker_descriptor& masker,
                        const maskerade_parameter& row,
                        const std::string& place,
                        std::uint32_t& bounds) const {
    for (const auto& [flag, name] :
         {std::pair(MASKERADE_POPULATION_BEGIN, "MASKERADE_POPULATION_BEGIN"),
          std::pair(MASKERADE_POPULATION_END_OFFSET, "MASKERADE_POPULATION_END_OFFSET")}) {
      if ((row.flags & flag) == 0) continue;
      require(
          (masker.traits & MASKERADE_TRAIT_SAMPLES) != 0 && row.unit == MASKERADE_UNIT_TOKENS &&
              (row.flags & MASKERADE_LIST) == 0,
          place + fmt::format("is flagged {}, which needs MASKERADE_TRAIT_SAMPLES and takes one "
                              "number of tokens",
                              name));
      require((bounds & flag) == 0, place + fmt::format("is the second flagged {}", name));
      bounds |= flag;
    }
  }

  // A default must be a value that a user could write.
  void check_default(const maskerade_masker_descriptor& masker,
                     const maskerade_parameter& row,
                     const std::string& place) const {
    maskerade_masker_descriptor only = masker;
    only.parameters = &row;
    only.parameter_count = 1;
    try {
      bind_arguments(only, {});
    } catch (const ParameterError& error) {
      require(false, place + "its own default is refused: " + error.what());
    }
  }

  const std::filesystem::path& library_;
};

}  // namespace

bool is_masker_id(std::string_view text) noexcept {
  if (text.empty() || std::islower(static_cast<unsigned char>(text[0])) == 0) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char letter) {
    return std::islower(letter) != 0 || std::isdigit(letter) != 0 || letter == '_';
  });
}

std::string MaskerType::dependencies() const {
  std::string names;
  for (const sdk::Dependency& one : sdk::kDependencies) {
    if (depends_on(one.flag)) names += (names.empty() ? "" : ", ") + std::string(one.name);
  }
  return names;
}

std::string MaskerType::build() const {
  const auto* const build = extension<maskerade_build_extension>();
  if (build == nullptr) return "unknown";
  std::string text = build->compiler;
  const auto add = [&](const std::string& said) { text += ", " + said; };
  add((build->flags & MASKERADE_BUILD_OPTIMISED) != 0 ? "optimised" : "not optimised");
  if ((build->flags & MASKERADE_BUILD_NDEBUG) != 0) add("NDEBUG");
  if ((build->flags & MASKERADE_BUILD_FAST_MATH) != 0) add("-ffast-math");
  if ((build->flags & MASKERADE_BUILD_ADDRESS_SANITIZER) != 0) add("address sanitizer");
  return text;
}

bool MaskerType::is_built_in() const noexcept {
  const auto* const build = extension<maskerade_build_extension>();
  return build != nullptr && (build->flags & MASKERADE_BUILD_BUILT_IN) != 0;
}

void MaskerType::remember_misconduct(const std::string& text) const {
  const std::lock_guard lock(mutex_);
  if (misconduct_.empty()) misconduct_ = text;
}

std::string MaskerType::misconduct() const {
  const std::lock_guard lock(mutex_);
  return misconduct_;
}

const MaskerType& Catalog::load(const std::filesystem::path& library) {
  const Check check(library);
  check.file();
  std::string bytes = read_library(library);
  check.bytes(bytes);
  std::error_code status;
  const std::filesystem::path path = std::filesystem::canonical(library, status);
  check.require(!status, "its path cannot be resolved: " + status.message());
  if (const MaskerType* known = loaded_from(path)) return *known;
  return add({.named = library, .path = path, .bytes = std::move(bytes)});
}

const MaskerType& Catalog::load(const std::filesystem::path& library, int descriptor) {
  std::string bytes = read_library(library, descriptor);
  Check(library).bytes(bytes);
  if (const MaskerType* known = loaded_from(library)) return *known;
  return add(
      {.named = library, .path = library, .bytes = std::move(bytes), .descriptor = descriptor});
}

const MaskerType* Catalog::loaded_from(const std::filesystem::path& path) const noexcept {
  for (const auto& type : types_) {
    if (type->library() == path) return type.get();
  }
  return nullptr;
}

const MaskerType& Catalog::add(const LibraryToLoad& library) {
  const Check check(library.named);
  const LoadedLibrary loaded = load_library(library);
  const maskerade_masker_descriptor* descriptor = check.entry(loaded);
  check.descriptor(*descriptor);
  auto own = in_own_layout<maskerade_masker_descriptor>(descriptor, descriptor->struct_size);
  std::vector<maskerade_parameter> rows = check.rows(*descriptor);
  own.parameters = rows.data();
  check.parameters(own);
  auto type = std::make_shared<const MaskerType>(own, std::move(rows),
                                                 check.extensions(own, loaded), loaded);
  CallRecord::name(loaded.number, type->id());
  if (const auto other = find(type->id())) {
    check.require(false,
                  fmt::format("its id \"{}\" is taken by {}; rename one, or load only one of them",
                              type->id(), other->library().string()));
  }
  const auto place =
      std::lower_bound(types_.begin(), types_.end(), type,
                       [](const auto& a, const auto& b) { return a->id() < b->id(); });
  return **types_.insert(place, std::move(type));
}

std::vector<LibraryCopy> Catalog::copies() const {
  std::vector<LibraryCopy> copies;
  for (const auto& type : types_) {
    copies.push_back({type->library(), type->sha256(), type->copy_descriptor()});
  }
  return copies;
}

void Catalog::load_folder(const std::filesystem::path& folder, bool required) {
  std::error_code status;
  if (!std::filesystem::is_directory(folder, status)) {
    if (!required) return;
    throw PluginError(folder.string(),
                      "is not a folder; correct or unset MASKERADE_PLUGIN_PATH, which names it");
  }
  std::vector<std::filesystem::path> libraries;
  for (const auto& entry : std::filesystem::directory_iterator(folder, status)) {
    if (entry.path().extension() == ".so") libraries.push_back(entry.path());
  }
  if (status) {
    throw PluginError(folder.string(), "cannot be listed: " + status.message());
  }
  std::sort(libraries.begin(), libraries.end());
  for (const auto& library : libraries) load(library);
}

std::vector<std::string> Catalog::ids() const {
  std::vector<std::string> ids;
  for (const auto& type : types_) ids.push_back(type->id());
  return ids;
}

std::shared_ptr<const MaskerType> Catalog::find(std::string_view id) const noexcept {
  for (const auto& type : types_) {
    if (id == type->descriptor().id) return type;
  }
  return nullptr;
}

void Catalog::search(const std::filesystem::path& folder, bool required) {
  searched_.push_back(folder);
  load_folder(folder, required);
}

std::string Catalog::hint_for(std::string_view id, const std::vector<std::string>& known) const {
  const std::string names = name_hint(id, known);
  if (searched_.empty()) return names;
  std::string folders;
  for (const std::filesystem::path& folder : searched_) {
    folders += (folders.empty() ? "" : ", ") + folder.string();
  }
  return fmt::format(
      "{}{} Maskers were looked for in {}; name the library of another one with --plugin FILE, or "
      "its folder in MASKERADE_PLUGIN_PATH",
      names, names.ends_with('?') ? "" : ".", folders);
}

Catalog load_catalog(const std::filesystem::path& program_folder,
                     const std::string& plugin_path,
                     const std::vector<std::filesystem::path>& files) {
  Catalog catalog;
  catalog.search(program_folder / "plugins", false);
  std::istringstream folders(plugin_path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty()) catalog.search(folder, true);
  }
  for (const auto& file : files) catalog.load(file);
  return catalog;
}

}  // namespace maskerade
