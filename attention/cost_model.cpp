#include "attention/cost_model.hpp"

namespace maskerade {

CostModel CostModel::defaults() {
  CostModel model;
  model.origin = "default";
  model.of(DType::kFloat32) = {.decode = {.row_block = 500,
                                          .component = 0.37,
                                          .gathered_component = 0.66,
                                          .entry = 1.3,
                                          .masked_entry = 0.7,
                                          .product = 0.018},
                               .few_rows = {.row_block = 500,
                                            .component = 0.15,
                                            .gathered_component = 0.3,
                                            .entry = 1.3,
                                            .masked_entry = 0.7,
                                            .product = 0.018},
                               .many_rows = {.row_block = 1500,
                                             .component = 0.04,
                                             .gathered_component = 0.11,
                                             .entry = 0.12,
                                             .masked_entry = 0.1,
                                             .product = 0.03}};
  const Rates half{.decode = {.row_block = 1200,
                              .component = 0.36,
                              .gathered_component = 0.63,
                              .entry = 3.4,
                              .masked_entry = 0.7,
                              .product = 0.002},
                   .few_rows = {.row_block = 1200,
                                .component = 0.36,
                                .gathered_component = 0.63,
                                .entry = 3.4,
                                .masked_entry = 0.7,
                                .product = 0.002},
                   .many_rows = {.row_block = 1800,
                                 .component = 0.19,
                                 .gathered_component = 0.29,
                                 .entry = 0.44,
                                 .masked_entry = 0.15,
                                 .product = 0.026}};
  model.of(DType::kFloat16) = half;
  model.of(DType::kBFloat16) = half;
  return model;
}

double CostModel::block_ns(DType dtype, std::int64_t head_dim, const BlockWork& work) const {
  const KernelRates& rate = work.rows > kFewRows ? of(dtype).many_rows
                            : work.is_decode     ? of(dtype).decode
                                                 : of(dtype).few_rows;
  const auto dim = static_cast<double>(head_dim);
  const auto rows = static_cast<double>(work.rows);
  const auto keys = static_cast<double>(work.keys);
  const auto gathered = static_cast<double>(work.gathered_keys);
  const auto masked = static_cast<double>(work.masked_keys);
  return rate.row_block +
         dim * ((keys - gathered) * rate.component + gathered * rate.gathered_component) +
         rows * (keys * (rate.entry + dim * rate.product) + masked * rate.masked_entry);
}

}  // namespace maskerade
