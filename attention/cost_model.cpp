#include "attention/cost_model.hpp"

namespace maskerade {

CostModel CostModel::defaults() {
  CostModel model;
  model.origin = "default";
  const KernelRates many{.row_block = 400,
                         .component = 0.2,
                         .gathered_component = 0.7,
                         .entry = 0.4,
                         .masked_entry = 0.1,
                         .product = 0.024};
  const KernelRates few{.row_block = 400,
                        .component = 0.7,
                        .gathered_component = 0.9,
                        .entry = 1.0,
                        .masked_entry = 0.2,
                        .product = 0.05};
  for (Rates& rates : model.rates) rates = {few, many};
  return model;
}

double CostModel::block_ns(DType dtype, std::int64_t head_dim, const BlockWork& work) const {
  const KernelRates& rate = work.rows <= kFewRows ? of(dtype).few_rows : of(dtype).many_rows;
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
