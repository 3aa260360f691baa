#pragma once

#include <cstdint>

#include "framework/base/parallel.hpp"
#include "framework/mask/mask.hpp"
#include "framework/pipeline/head_routes.hpp"
#include "framework/pipeline/host_call.hpp"
#include "framework/pipeline/masker_instance.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// How many query heads make a unit of a masker of that grain.
std::int64_t heads_together(const maskerade_grain& grain, const AttentionShape& shape);

// The extent of the mask after one masker.
MaskExtent extent_after(MaskExtent previous, const MaskerType& type, const AttentionShape& shape);

// The mask after one masker, from the mask before it. Where the mask has several heads, those
// outside of `heads` are empty. The rows are cut between units into chunks of at least chunk_rows.
// Adds the keys scored and bytes read to the report.
Mask run_masker(const MaskerInstance& instance,
                const MaskerContext& context,
                const Mask& previous,
                const HeadSet& heads,
                std::int64_t chunk_rows,
                const Threads& threads,
                MaskerReport& report);

}  // namespace maskerade
