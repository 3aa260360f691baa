#include <algorithm>
#include <optional>
#include <set>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// A mask that another program made and saved: lists of keys (CSR), blocks, or every entry.
class FromFile final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {
        .id = "from_file",
        .summary = "a mask of a file: CSR, blocks or dense; safetensors or npy",
        .depends_on = sdk::kShape | sdk::kHead | sdk::kBatch,
        .traits = MASKERADE_TRAIT_SAMPLES,
        .parameters = {
            sdk::file("file", "where its tensors are; the array of an npy file has no name"),
            sdk::choice("layout", {"dense", "blocks", "csr"},
                        "dense: [batch | 1, query_heads | 1, query_len, key_len]; blocks: [batch | "
                        "1, query_heads | 1, query blocks, key blocks], both counted from position "
                        "0 on; csr: ptr [rows + 1] into indices, rows being query_len or batch * "
                        "query_heads * query_len")
                .with_default("dense"),
            sdk::text("p",
                      "csr: the tensor of the probabilities of indices; dense: that of "
                      "probabilities, 0 for inactive, in the place of mask; none: all are 1")
                .with_default("")
                .makes_sampler(),
            sdk::text("mask", "the tensor of a dense or block mask, not 0 where active")
                .with_default("mask"),
            sdk::text("indices", "the tensor of the keys of csr").with_default("indices"),
            sdk::text("ptr", "the tensor of the rows of csr").with_default("ptr"),
            sdk::count("block", "tokens of a block of queries and of keys")
                .with_default("64")
                .at_least(1)
                .at_most(1 << 20)}};
  }

  explicit FromFile(const sdk::Arguments& arguments) : shape_(arguments.shape()) {
    const std::string file = arguments.file("file");
    const std::string layout = arguments.choice("layout");
    const bool is_npy = file.ends_with(".npy");
    const auto tensor = [&](const char* parameter) {
      return arguments.host().tensor(file, is_npy ? "" : arguments.text(parameter));
    };
    const bool has_p = !arguments.text("p").empty();
    if (layout == "csr") {
      if (is_npy) throw std::runtime_error(file + ": it has one array, and csr needs two or three");
      indices_ = tensor("indices");
      ptr_ = tensor("ptr");
      if (has_p) p_ = tensor("p");
      check_lists();
      return;
    }
    if (layout == "blocks") {
      if (has_p) throw std::runtime_error("p is for the layouts dense and csr, not for blocks");
      in_blocks_ = true;
      block_ = arguments.count("block");
    }
    grid_ = tensor(has_p ? "p" : "mask");
    check_grid(has_p);
  }

  void select_row(const sdk::Row& row) const override {
    const maskerade_shape& shape = row.call().shape;
    if (shape.query_len != shape_.query_len || shape.key_len != shape_.key_len) {
      throw std::runtime_error("its mask is for " + std::to_string(shape_.query_len) +
                               " queries and " + std::to_string(shape_.key_len) +
                               " keys, not for " + std::to_string(shape.query_len) + " and " +
                               std::to_string(shape.key_len));
    }
    return grid_ ? add_grid_row(row) : add_list(row);
  }

 private:
  [[noreturn]] static void refuse(const sdk::FileTensor& tensor, const std::string& what) {
    throw std::runtime_error(tensor.what() + ": " + what);
  }

  void check_grid(bool has_p) const {
    const auto given = grid_->shape();
    const std::int64_t batch = given.size() == 4 && given[0] == 1 ? 1 : shape_.batch;
    const std::int64_t heads = given.size() == 4 && given[1] == 1 ? 1 : shape_.query_heads;
    // How many rows of blocks are needed depends on the positions of the queries: see grid_row().
    grid_->require_shape({batch, heads, in_blocks_ ? -1 : shape_.query_len, columns()},
                         in_blocks_ ? "[batch | 1, query_heads | 1, query blocks, key blocks]"
                                    : "[batch | 1, query_heads | 1, query_len, key_len]");
    if (has_p) {
      check_probabilities(*grid_, 0);
    } else if (grid_->type() == MASKERADE_TENSOR_FLOAT32) {
      for (const float value : grid_->floats()) {
        if (value != 0 && value != 1) {
          refuse(*grid_, "it holds " + std::to_string(value) +
                             "; a mask holds 0 and 1, and probabilities are named by p");
        }
      }
    }
  }
  static void check_probabilities(const sdk::FileTensor& tensor, float least) {
    for (const float value : tensor.floats()) {
      if (!(value >= least && value <= 1)) {
        refuse(tensor, "it holds " + std::to_string(value) + "; a probability must be in " +
                           (least > 0 ? "(0, 1]" : "[0, 1], 0 for inactive"));
      }
    }
  }
  void check_lists() const {
    const auto ptr = ptr_->integers();
    const auto indices = indices_->integers();
    const std::int64_t rows = static_cast<std::int64_t>(ptr.size()) - 1;
    const std::int64_t all_rows = shape_.batch * shape_.query_heads * shape_.query_len;
    if (ptr_->shape().size() != 1 || (rows != shape_.query_len && rows != all_rows)) {
      refuse(*ptr_, "it has " + std::to_string(ptr.size()) + " numbers; one more than rows is " +
                        std::to_string(shape_.query_len + 1) +
                        " for all heads and batches alike or " + std::to_string(all_rows + 1));
    }
    if (ptr.front() != 0 || !std::is_sorted(ptr.begin(), ptr.end())) {
      refuse(*ptr_, "it must begin at 0 and not decrease");
    }
    indices_->require_shape({ptr.back()}, "[the last of ptr]");
    if (p_) {
      p_->require_shape({ptr.back()}, "[the last of ptr]");
      check_probabilities(*p_, std::numeric_limits<float>::min());
    }
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t begin = ptr[static_cast<std::size_t>(row)];
      const std::int64_t end = ptr[static_cast<std::size_t>(row) + 1];
      std::set<std::int64_t> keys;
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t key = indices[static_cast<std::size_t>(i)];
        if (key < 0 || key >= shape_.key_len || !keys.insert(key).second) {
          refuse(*indices_, "row " + std::to_string(row) + " has key " + std::to_string(key) +
                                (keys.contains(key) ? " twice"
                                                    : "; it must be in [0, " +
                                                          std::to_string(shape_.key_len) + ")"));
        }
      }
    }
  }

  std::int64_t columns() const { return (shape_.key_len + block_ - 1) / block_; }
  float value(std::size_t entry) const {
    switch (grid_->type()) {
      case MASKERADE_TENSOR_FLOAT32:
        return grid_->floats()[entry];
      case MASKERADE_TENSOR_INT64:
        return grid_->integers()[entry] != 0 ? 1.0F : 0.0F;
      default:
        return grid_->bytes()[entry] != 0 ? 1.0F : 0.0F;
    }
  }
  // The row of the grid that holds for a query: its own, or the block of its absolute position.
  std::int64_t grid_row(const sdk::Row& row) const {
    if (!in_blocks_) return row.query();
    const std::int64_t rows = grid_->shape()[2];
    const std::int64_t number = maskerade_block_of(row.position(), block_);
    if (number < 0 || number >= rows) {
      refuse(*grid_,
             "it has " + std::to_string(rows) + " rows of blocks of " + std::to_string(block_) +
                 " tokens, for positions 0 to " + std::to_string(rows * block_ - 1) +
                 ", but query " + std::to_string(row.query()) + " stands at position " +
                 std::to_string(row.position()) +
                 (number < 0
                      ? "; queries before position 0 need the layout dense or csr"
                      : "; " + std::to_string(columns()) + " rows would hold every position of " +
                            std::to_string(shape_.key_len) + " keys"));
    }
    return number;
  }
  void add_grid_row(const sdk::Row& row) const {
    const auto shape = grid_->shape();
    const std::int64_t batch = shape[0] == 1 ? 0 : row.batch();
    const std::int64_t head = shape[1] == 1 ? 0 : row.head();
    const auto first = static_cast<std::size_t>(
        ((batch * shape[1] + head) * shape[2] + grid_row(row)) * columns());
    for (std::int64_t column = 0; column < columns();) {
      const float p = value(first + static_cast<std::size_t>(column));
      std::int64_t end = column + 1;
      if (p > 0 && p < 1) row.add_key(column, p);
      if (p == 1) {
        while (end < columns() && value(first + static_cast<std::size_t>(end)) == 1) ++end;
        row.add_range(column * block_, end * block_);
      }
      column = end;
    }
  }
  void add_list(const sdk::Row& row) const {
    const auto ptr = ptr_->integers();
    const bool for_all = static_cast<std::int64_t>(ptr.size()) == shape_.query_len + 1;
    const auto number = static_cast<std::size_t>(
        for_all ? row.query()
                : (row.batch() * shape_.query_heads + row.head()) * shape_.query_len + row.query());
    const auto begin = static_cast<std::size_t>(ptr[number]);
    const auto count = static_cast<std::size_t>(ptr[number + 1]) - begin;
    const auto indices = indices_->integers().subspan(begin, count);
    const std::vector<std::int32_t> keys(indices.begin(), indices.end());
    row.add_keys(keys, p_ ? p_->floats().subspan(begin, count) : std::span<const float>());
  }

  maskerade_shape shape_;
  bool in_blocks_ = false;  // the layout blocks
  std::int64_t block_ = 1;
  std::optional<sdk::FileTensor> grid_;  // of the layouts dense and blocks
  std::optional<sdk::FileTensor> indices_;
  std::optional<sdk::FileTensor> ptr_;
  std::optional<sdk::FileTensor> p_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(FromFile)
