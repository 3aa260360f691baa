#pragma once

#include <string>

#include "framework/base/parallel.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade {

// What attention is computed from, as 64 hexadecimal digits: SHA-256 over the shape, the type,
// scale, layer, what each query sees, its position, and the SHA-256 of the elements of q, k and v,
// piece by piece. Equal data gives equal digits, however it lies in memory or in files, for any
// thread count.
std::string data_fingerprint(const AttentionInputs& inputs, const Threads& threads);

}  // namespace maskerade
