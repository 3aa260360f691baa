#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "framework/tensor/dtype.hpp"
#include "framework/tensor/rope.hpp"
#include "framework/tensor/shape.hpp"
#include "framework/tensor/tensor.hpp"
#include "framework/tensor_files/tensor_layout.hpp"

namespace maskerade {

class GeneratedSource;
class StoredSource;

// Names and values, in the order of the results.
using SourceParameters = std::vector<std::pair<std::string, std::string>>;

// What the results say of where data came from.
struct SourceDescription {
  // What the data is called: "gaussian seed 1", "qkv.safetensors". Part of a cell's key.
  std::string name;
  std::optional<std::uint64_t> seed = {};  // of generated data
  std::optional<std::string> file = {};  // of the data; of the queries where q, k, v have one each
  SourceParameters parameters = {};      // what else the source was asked for
};

// Where q, k and v of one workload come from: a `source:` of an experiment file, valid, for one
// file and one layer. A kind of source derives from GeneratedSource or from StoredSource. Never
// changes once it is made; any thread may call it.
class Source {
 public:
  virtual ~Source() = default;

  // The name of its row of the table of kinds: "gaussian".
  virtual const char* kind() const noexcept = 0;
  virtual SourceDescription describe() const = 0;

  // This source as what it is: exactly one of the two is not null.
  virtual const GeneratedSource* as_generated() const noexcept { return nullptr; }
  virtual const StoredSource* as_stored() const noexcept { return nullptr; }

  bool is_generated() const noexcept { return as_generated() != nullptr; }
  // The files that loading reads, absolute.
  virtual std::vector<std::filesystem::path> files() const { return {}; }
  // The layer that the experiment states. A file may state one of its own.
  virtual std::optional<std::int64_t> layer() const noexcept { return std::nullopt; }
};

// One source that the text of an experiment gave, and what distinguishes it from the others that
// the same text gave: "prompt_3 layer=5", the file that a pattern stands for and the layer. "" when
// there is but one.
struct NamedSource {
  std::string label;
  std::shared_ptr<const Source> source;
};

// The data that a generated source is asked for.
struct GenerationRequest {
  AttentionShape shape;  // query_len counts the queries to make
  DType dtype = DType::kFloat32;
  bool causal = false;
  float scale = 1;  // of the logits
  // [query_len]. Which of the workload's queries to make, counted from 0. A query must be the same
  // whichever others are made beside it.
  std::span<const std::int64_t> query_rows;
  // [query_len]. The position of each of them. The first key has position 0; where a workload has
  // more queries than keys the first positions are negative.
  std::span<const std::int64_t> query_positions;
};

// q [batch, query_heads, query_len, head_dim], k and v [batch, kv_heads, key_len, head_dim], all of
// the dtype that was asked for.
struct QkvTensors {
  Tensor q;
  Tensor k;
  Tensor v;
};

// Why a source does not generate data of some shape.
struct ShapeRefusal {
  std::string key;     // of the workload, which would have to change: "head_dim"
  std::string reason;  // after the workload's name: "has head_dim 8; a ... needs ..."
};

// A source that makes its numbers, for whatever shape an experiment states.
class GeneratedSource : public Source {
 public:
  const GeneratedSource* as_generated() const noexcept final { return this; }

  // nullopt: it generates data of that shape. A size that the experiment leaves out is 1.
  virtual std::optional<ShapeRefusal> refusal_of(const AttentionShape&) const {
    return std::nullopt;
  }
  // Requires a shape that it does not refuse. The numbers are the same for any thread count.
  virtual QkvTensors generate(const GenerationRequest& request) const = 0;
};

// The order of the axes by which files are read, and whether the experiment states it.
struct StatedLayout {
  TensorLayout layout = TensorLayout::kBhld;
  bool is_stated = false;
};

// One of q, k, v in a file, described but not read.
struct StoredTensor {
  std::string file;
  std::string name;  // of the tensor in the file; empty for a file with one array
  TensorLayout layout = TensorLayout::kBhld;
  TensorView description;        // without data
  std::function<Tensor()> read;  // throws DataError; may be called after the source is gone

  // What it is called beside others: its name, or its file's.
  std::string short_name() const;
};

// The positions of the queries in a file.
struct StoredPositions {
  std::string file;
  std::string name;  // as for StoredTensor
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> values;
};

struct StoredQkv {
  StoredTensor q;
  StoredTensor k;
  StoredTensor v;
};

// A size of the workload as the text of a file names it, beside the tensors.
struct StoredSize {
  std::string name;  // in the file: "num_heads"
  std::string size;  // of the workload: "query_heads"
  std::int64_t value = 0;
};

// What files hold of a workload. nullopt: they do not say.
struct StoredData : StoredQkv {
  bool layout_is_stated = false;  // by the experiment
  // What a file says of the order of its axes and of its sizes.
  std::optional<TensorLayout> layout = {};
  std::vector<StoredSize> sizes = {};
  std::optional<bool> causal = {};
  std::optional<float> scale = {};
  std::optional<std::int64_t> layer = {};
  std::optional<StoredPositions> positions = {};
  std::optional<Rope> rope = {};
};

// A source whose numbers lie in files, which have sizes of their own.
class StoredSource : public Source {
 public:
  const StoredSource* as_stored() const noexcept final { return this; }

  // The query_len of its files, of which the headers are read. Throws DataError.
  virtual std::int64_t query_len() const = 0;
  // Reads the headers of its files and what they say beside tensors. Throws DataError.
  virtual StoredData open() const = 0;
};

}  // namespace maskerade
