#pragma once

#include <string>

namespace maskerade {

// The processor's model and the instruction set that the kernels use: "AMD EPYC 7763, AVX2".
std::string machine_name();

// The version, and what was built: the first digits of the program file's SHA-256, for example
// "0.1.0+3f2a91c4d0e1". Another kernel or generator is another program.
std::string program_version();

}  // namespace maskerade
