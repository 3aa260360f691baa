#include "attention/cpu/cost_model.hpp"

namespace maskerade {

CostModel CostModel::defaults() {
  CostModel model;
  model.origin = "default";
  model.of(DType::kFloat32) = {.decode = {.row_block = 1000,
                                          .component = 0.3,
                                          .gathered_component = 0.6,
                                          .entry = 0.7,
                                          .masked_entry = 0,
                                          .product = 0.025},
                               .few_rows = {.row_block = 900,
                                            .component = 0.11,
                                            .gathered_component = 0.15,
                                            .entry = 1.5,
                                            .masked_entry = 0,
                                            .product = 0.02},
                               .many_rows = {.row_block = 4000,
                                             .component = 0.25,
                                             .gathered_component = 0.26,
                                             .entry = 0.12,
                                             .masked_entry = 0.02,
                                             .product = 0.027}};
  const Rates half{.decode = {.row_block = 900,
                              .component = 0.18,
                              .gathered_component = 0.3,
                              .entry = 0.8,
                              .masked_entry = 0,
                              .product = 0.025},
                   .few_rows = {.row_block = 900,
                                .component = 0.07,
                                .gathered_component = 0.09,
                                .entry = 1.5,
                                .masked_entry = 0,
                                .product = 0.027},
                   .many_rows = {.row_block = 6000,
                                 .component = 0.3,
                                 .gathered_component = 0.32,
                                 .entry = 0.1,
                                 .masked_entry = 0.05,
                                 .product = 0.028}};
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
