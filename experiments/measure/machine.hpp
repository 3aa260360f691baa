#pragma once

#include <string>

namespace maskerade {

// The processor's model and the instruction set that the kernels use: "AMD EPYC 7763, AVX2".
std::string machine_name();

// "0.1.0"
std::string program_version();

}  // namespace maskerade
