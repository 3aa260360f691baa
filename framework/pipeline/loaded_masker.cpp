#include "framework/pipeline/loaded_masker.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>

#include "framework/base/error.hpp"
#include "framework/base/text.hpp"
#include "framework/pipeline/declared.hpp"

namespace maskerade {

std::string ErrorText::text() const {
  const char* const end = bytes_.data() + kBytes;
  return storable(std::string_view(bytes_.data(), std::find(bytes_.data(), end, '\0')));
}

std::string ErrorText::overrun() {
  return fmt::format("it wrote behind the {} bytes of its text buffer; cut the text to error_size",
                     kBytes);
}

LoadedMasker::LoadedMasker(MaskerUse use,
                           const AttentionInputs& inputs,
                           std::uint64_t seed,
                           std::uint32_t place)
    : use_(std::move(use)),
      host_(MaskerIdentity{.seed = seed,
                           .place = place,
                           .layer = inputs.layer,
                           .depends_on = readable_by(use_.type->descriptor()),
                           .rope = inputs.rope}) {
  constexpr const char* kWhat = "cannot be created";
  if (!type().load_effect().empty()) {
    fail(kWhat, fmt::format("loading its library changed the floating-point environment (after it "
                            "the thread {}); link it without -ffast-math, which adds code that "
                            "does this, even if you compile it with -ffast-math",
                            type().load_effect()));
  }
  if (const std::string misconduct = type().misconduct(); !misconduct.empty()) {
    fail(kWhat, "of an earlier instance, " + misconduct);
  }
  const maskerade_masker_descriptor& descriptor = use_.type->descriptor();
  maskerade_create_info info{};
  info.struct_size = sizeof(info);
  info.shape = shown_shape(inputs.shape, readable_by(descriptor));
  info.causal = shown_causal(inputs.visibility, readable_by(descriptor));
  info.layer = inputs.layer;
  info.arguments = use_.arguments->view().data();
  info.argument_count = use_.arguments->view().size();
  info.host = host();
  bool is_made = false;
  try {
    run(kWhat, [&](char* error, std::size_t size) {
      const std::int32_t status = descriptor.create(&info, &masker_, &grain_, error, size);
      is_made = status == MASKERADE_OK;
      return status;
    });
    if (grain_.query_block < 1 || grain_.heads > MASKERADE_HEADS_ALL) {
      fail(kWhat, fmt::format("its grain is {} tokens, heads {}; the block must be at least 1 and "
                              "heads a MASKERADE_HEADS_ value",
                              grain_.query_block, grain_.heads));
    }
  } catch (...) {
    if (is_made) destroy();
    throw;
  }
}

LoadedMasker::~LoadedMasker() { destroy(); }

void LoadedMasker::destroy() noexcept {
  release("destroy()", [&] { type().descriptor().destroy(masker_); });
}

void LoadedMasker::fail(const char* what, const std::string& reason) const {
  throw PluginError(use_.type->library().string(),
                    fmt::format("masker \"{}\" {}: {}", use_.type->id(), what, reason));
}

}  // namespace maskerade
