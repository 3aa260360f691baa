#include "experiments/data/fingerprint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <vector>

#include "framework/base/sha256.hpp"

namespace maskerade {
namespace {

// How many rows of one head are hashed as one piece. Another number gives other fingerprints.
constexpr std::int64_t kRowsPerPiece = 4096;

void hash_tensor(const TensorView& tensor, const Threads& threads, Sha256& hash) {
  const std::int64_t pieces = (tensor.length + kRowsPerPiece - 1) / kRowsPerPiece;
  const std::size_t row_bytes = static_cast<std::size_t>(tensor.dim) * size_of(tensor.dtype);
  std::vector<Sha256::Digest> digests(
      static_cast<std::size_t>(tensor.batch * tensor.heads * pieces));
  threads.for_each(static_cast<std::int64_t>(digests.size()), [&](std::int64_t item, int) {
    const std::int64_t matrix = item / pieces;
    const std::int64_t first = item % pieces * kRowsPerPiece;
    const std::int64_t last = std::min(first + kRowsPerPiece, tensor.length);
    Sha256 piece;
    for (std::int64_t i = first; i < last; ++i) {
      piece.update(tensor.row(matrix / tensor.heads, matrix % tensor.heads, i), row_bytes);
    }
    digests[static_cast<std::size_t>(item)] = piece.finish();
  });
  for (const Sha256::Digest& digest : digests) hash.update(digest.data(), digest.size());
}

void hash_numbers(const std::vector<std::int64_t>& numbers, Sha256& hash) {
  hash.update(numbers.data(), numbers.size() * sizeof(std::int64_t));
}

}  // namespace

std::string data_fingerprint(const AttentionInputs& inputs, const Threads& threads) {
  Sha256 hash;
  hash.update(fmt::format("q, k, v {} {} scale {:a} layer {}\n", inputs.shape.to_string(),
                          name_of(inputs.q.dtype), inputs.scale, inputs.layer));
  if (inputs.rope != nullptr) {
    const Rope& rope = *inputs.rope;
    hash.update(fmt::format("rope {} scale {:a}\n", static_cast<int>(rope.pairs), rope.scale));
    hash.update(rope.frequencies.data(), rope.frequencies.size() * sizeof(float));
  }
  hash_numbers(inputs.visibility.positions(), hash);
  hash_numbers(inputs.visibility.ends(), hash);
  for (const TensorView* tensor : {&inputs.q, &inputs.k, &inputs.v}) {
    hash_tensor(*tensor, threads, hash);
  }
  return hash.finish_hex();
}

}  // namespace maskerade
