#pragma once

#include <cstdint>

#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"
#include "framework/pipeline/head_routes.hpp"
#include "framework/pipeline/host_call.hpp"
#include "framework/pipeline/masker_instance.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// How many query heads make a unit of a masker.
std::int64_t heads_together(const maskerade_grain& grain, const AttentionShape& shape);

// The extent of the mask after one masker.
MaskExtent extent_after(MaskExtent previous, const MaskerType& type, const AttentionShape& shape);

// The mask after one masker, from the mask before it. A mask of several heads holds those of
// `heads`; the others are empty. The rows are cut into
// chunks of about chunk_rows, between units. Adds what was scored and read to the report.
Mask run_masker(const MaskerInstance& instance,
                const MaskerContext& context,
                const Mask& previous,
                const HeadSet& heads,
                std::int64_t chunk_rows,
                const Threads& threads,
                MaskerReport& report);

}  // namespace maskerade
