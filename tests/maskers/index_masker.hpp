// A masker with an index, made by hand: what the index holds is built, appended and cut step by
// step, and rows are selected from it.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "framework/pipeline/host_call.hpp"
#include "framework/pipeline/masker_host.hpp"
#include "tests/maskers/masker_problem.hpp"

namespace maskerade {

class IndexMasker {
 public:
  // Builds an index per batch and kv head on the first `built` keys of the problem.
  IndexMasker(MaskerUse masker, const MaskerProblem& problem, std::int64_t built)
      : use_(std::move(masker)),
        inputs_(problem.inputs()),
        host_({.seed = 7, .depends_on = use_.type->descriptor().depends_on}),
        context_{.inputs = &inputs_,
                 .seed = 7,
                 .depends_on = use_.type->descriptor().depends_on,
                 .may_sample = true,
                 .host = host_.c_host()} {
    const AttentionShape& shape = inputs_.shape;
    maskerade_create_info info{};
    info.struct_size = sizeof(info);
    info.shape = {shape.batch,     shape.query_heads, shape.kv_heads,
                  shape.query_len, shape.key_len,     shape.head_dim};
    info.arguments = use_.arguments->view().data();
    info.argument_count = use_.arguments->view().size();
    info.host = host_.c_host();
    maskerade_grain grain{};
    require(use_.type->descriptor().create(&info, &masker_, &grain, error_.data(), error_.size()));
    for (std::int64_t i = 0; i < shape.batch * shape.kv_heads; ++i) {
      const maskerade_key_span keys = span(i, 0, built);
      void* index = nullptr;
      require(index_functions().build(masker_, &keys, &index, error_.data(), error_.size()));
      indexes_.push_back(index);
    }
    context_.indexes = indexes_;
    key_end_ = built;
  }
  IndexMasker(const IndexMasker&) = delete;
  IndexMasker& operator=(const IndexMasker&) = delete;
  ~IndexMasker() {
    for (const void* index : indexes_) index_functions().destroy(masker_, const_cast<void*>(index));
    use_.type->descriptor().destroy(masker_);
  }

  void append(std::int64_t key_end) {
    for (std::size_t i = 0; i < indexes_.size(); ++i) {
      const maskerade_key_span keys = span(static_cast<std::int64_t>(i), key_end_, key_end);
      require(index_functions().append(masker_, const_cast<void*>(indexes_[i]), &keys,
                                       error_.data(), error_.size()));
    }
    key_end_ = key_end;
  }
  void truncate(std::int64_t key_end) {
    for (std::size_t i = 0; i < indexes_.size(); ++i) {
      const maskerade_key_span keys = span(static_cast<std::int64_t>(i), 0, key_end);
      require(index_functions().truncate(masker_, const_cast<void*>(indexes_[i]), &keys,
                                         error_.data(), error_.size()));
    }
    key_end_ = key_end;
  }
  std::size_t size_bytes() const {
    std::size_t bytes = 0;
    for (const void* index : indexes_) bytes += index_functions().size_bytes(masker_, index);
    return bytes;
  }

  // What the masker selects for all rows of the problem by the indexes that another instance built.
  Mask select_by(const IndexMasker& other) {
    context_.indexes = other.indexes_;
    Mask mask = select();
    context_.indexes = indexes_;
    return mask;
  }
  // What the masker selects for all rows of the problem.
  Mask select() {
    const AttentionShape& shape = inputs_.shape;
    const MaskExtent extent{shape.batch, shape.query_heads};
    const Mask empty = Mask::empty(inputs_.visibility, extent);
    const Threads threads(1);
    HostCall host(context_, threads);
    std::vector<TileRow> rows;
    for (std::int64_t batch = 0; batch < shape.batch; ++batch) {
      for (std::int64_t head = 0; head < shape.query_heads; ++head) {
        host.start({batch, head, head + 1, 0, shape.query_len}, empty);
        require(
            use_.type->descriptor().select(masker_, &host.call(), error_.data(), error_.size()));
        for (std::int64_t query = 0; query < shape.query_len; query += empty.tile_height()) {
          rows.push_back(host.finish(head, query));
        }
      }
    }
    return Mask::from_tile_rows(inputs_.visibility, extent, rows);
  }

 private:
  const maskerade_index_extension& index_functions() const {
    return *use_.type->extension<maskerade_index_extension>();
  }
  void require(std::int32_t status) const { ASSERT_EQ(status, MASKERADE_OK) << error_.data(); }
  maskerade_key_span span(std::int64_t index, std::int64_t begin, std::int64_t end) const {
    const AttentionShape& shape = inputs_.shape;
    maskerade_key_span span{};
    span.struct_size = sizeof(span);
    span.dtype = static_cast<std::uint32_t>(inputs_.k.dtype);
    span.batch = index / shape.kv_heads;
    span.kv_head = index % shape.kv_heads;
    // Key key_begin comes first.
    span.keys = inputs_.k.row(span.batch, span.kv_head, begin);
    span.values = inputs_.v.row(span.batch, span.kv_head, begin);
    span.key_row_stride = inputs_.k.row_stride;
    span.value_row_stride = inputs_.v.row_stride;
    span.key_begin = begin;
    span.key_end = end;
    span.head_dim = shape.head_dim;
    span.host = host_.c_host();
    return span;
  }

  MaskerUse use_;
  AttentionInputs inputs_;
  MaskerHost host_;
  MaskerContext context_;
  void* masker_ = nullptr;
  std::vector<const void*> indexes_;
  std::int64_t key_end_ = 0;
  std::array<char, 1024> error_{};
};

}  // namespace maskerade
