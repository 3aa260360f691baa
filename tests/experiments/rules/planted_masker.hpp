// Maskers that are written in a test and used without a library.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "framework/pipeline/pipeline.hpp"
#include "framework/sdk/masker.hpp"

namespace maskerade::rules {

// A use of a masker class with arguments by name.
template <typename Type>
MaskerUse planted(const std::vector<GivenParameter>& arguments = {}) {
  const maskerade_masker_descriptor& descriptor =
      *sdk::detail::StaticDescriptor<Type>::descriptor();
  const auto type = std::make_shared<const MaskerType>(
      descriptor,
      std::vector<maskerade_parameter>(descriptor.parameters,
                                       descriptor.parameters + descriptor.parameter_count),
      Extensions(descriptor), LoadedLibrary{.path = "planted.so"});
  return {type, std::make_shared<const Arguments>(bind_arguments(type->descriptor(), arguments))};
}

}  // namespace maskerade::rules
