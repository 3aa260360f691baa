#pragma once

#include <string>

namespace maskerade {

// The processor's model and the instruction set that the CPU kernels use: "AMD EPYC 7763, AVX2".
// The same for as long as the process lives: choose an instruction set before the first call.
std::string machine_name();

// The program's version: "0.1.0+3f2a91c4d0e1". After the + stand the first 12 digits of its build
// ID, the linker's hash of what it linked; of the SHA-256 of its file where it has none. Rationale:
// any change of the code makes it another version, whose results are not mixed with those of this
// one; hashing the file at each start would take longer than a small command.
std::string program_version();

}  // namespace maskerade
