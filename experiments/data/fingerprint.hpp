#pragma once

#include <string>

#include "framework/base/parallel.hpp"
#include "framework/pipeline/attention_inputs.hpp"

namespace maskerade {

// Identifies what attention is computed from by 64 hexadecimal digits. They are the SHA-256 of the
// shape, the type, the scale, the layer, the position of each query and what it sees, and the
// SHA-256 of each piece of q, k and v. Equal data gives equal digits, however it lies in memory or
// in files and whatever kind of source it comes from, for any thread count.
std::string data_fingerprint(const AttentionInputs& inputs, const Threads& threads);

}  // namespace maskerade
