#pragma once

#include <cstddef>
#include <cstdint>

#include "framework/select/cuda/select_jobs.hpp"

namespace maskerade::cuda {

// Takes the best candidates of one row of a SelectJob, exactly. A radix selection first finds the
// rank of the last one that is taken, byte by byte from the highest, and how many of that rank are
// taken. Then one pass over the candidates, by ascending key, takes all of better rank and the
// first of that rank.
//
// A Sink receives what is taken. take(half, bits, before) is called by every thread of a warp: bit
// j means that key 32 * half + j is taken, and `before` is how many keys were taken before these.
// finish(taken) is called at the end by every thread with the number of keys taken.
template <typename Lane, typename Ranks, typename Sink>
class SelectKernel {
 public:
  static constexpr int kThreads = 256;
  static constexpr int kSharedBytes = (256 + 2 * kThreads / 32 + 4) * 4;

  MASKERADE_DEVICE SelectKernel(Lane& lane,
                                const SelectJob& job,
                                const Ranks& ranks,
                                std::byte* shared)
      : lane_(lane),
        job_(job),
        row_(job.first + lane.block()),
        rank_(ranks.of_row(lane.block(), row_)),
        begin_(job.begin_of(row_)),
        end_(job.end_of(row_)) {
    histogram_ = reinterpret_cast<int*>(shared);
    totals_ = histogram_ + 256;
    chosen_ = totals_ + 2 * kWarps;
  }

  MASKERADE_DEVICE void run(Sink& sink) {
    const std::int64_t wanted = job_.counts[lane_.block()];
    if (wanted <= 0 || begin_ >= end_) {
      sink.finish(0);
      return;
    }
    find_last(wanted);
    take_all(sink);
  }

 private:
  static constexpr int kWarps = kThreads / 32;
  static constexpr int kHalvesAWarp = 4;  // of 32 keys each, between two waits for the block
  static constexpr int kHalves = kWarps * kHalvesAWarp;

  MASKERADE_DEVICE int warp() const { return lane_.thread() / 32; }
  MASKERADE_DEVICE int in_warp() const { return lane_.thread() % 32; }

  // 32 bits of a row, from key 32 * half on. Read as halves of words, because other warps may write
  // to the other half of a word at the same time.
  MASKERADE_DEVICE std::uint32_t half_of(const std::uint64_t* bits, std::int64_t half) const {
    if (bits == nullptr) return 0;
    return reinterpret_cast<const std::uint32_t*>(bits)[row_ * job_.words * 2 + half];
  }
  MASKERADE_DEVICE bool is_candidate(std::int64_t key) const {
    if (key < begin_ || key >= end_) return false;
    const std::uint32_t taken =
        half_of(job_.excluded, key / 32) | half_of(job_.also_excluded, key / 32);
    return (taken >> (key % 32) & 1U) == 0;
  }

  // Finds last_rank_, the rank of the last candidate that is taken, and of_last_rank_, how many of
  // that rank are taken.
  MASKERADE_DEVICE void find_last(std::int64_t wanted) {
    std::int64_t missing = wanted;
    std::uint32_t prefix = 0;
    for (int shift = 24; shift >= 0; shift -= 8) {
      histogram_[lane_.thread()] = 0;
      lane_.sync();
      for (std::int64_t key = begin_ + lane_.thread(); key < end_; key += kThreads) {
        if (!is_candidate(key)) continue;
        const std::uint32_t rank = rank_(key);
        const bool has_prefix = shift == 24 || rank >> (shift + 8) == prefix >> (shift + 8);
        if (has_prefix) lane_.atomic_add(&histogram_[rank >> shift & 0xFFU], 1);
      }
      lane_.sync();
      if (lane_.thread() == 0) choose(missing);
      lane_.sync();
      if (chosen_[0] < 0) {  // there are fewer candidates than wanted: all are taken
        last_rank_ = 0;
        of_last_rank_ = end_ - begin_;
        return;
      }
      prefix |= static_cast<std::uint32_t>(chosen_[0]) << shift;
      missing = chosen_[1];
      lane_.sync();
    }
    last_rank_ = prefix;
    of_last_rank_ = missing;
  }
  // From the histogram of a byte of the ranks: sets chosen_[0] to that byte of the last candidate
  // taken, and chosen_[1] to how many with that byte are taken. chosen_[0] is -1 when there are too
  // few.
  MASKERADE_DEVICE void choose(std::int64_t missing) const {
    int byte = 255;
    while (byte >= 0 && histogram_[byte] < missing) {
      missing -= histogram_[byte];
      --byte;
    }
    chosen_[0] = byte;
    chosen_[1] = static_cast<int>(byte < 0 ? 0 : missing);
  }

  // Gives the sink all candidates of better rank and the first of the last rank.
  MASKERADE_DEVICE void take_all(Sink& sink) {
    std::int64_t taken_before = 0;
    std::int64_t last_before = 0;  // candidates of the last rank so far, taken or not
    for (std::int64_t first = begin_ / 32; first * 32 < end_; first += kHalves) {
      std::uint32_t better[kHalvesAWarp];
      std::uint32_t same[kHalvesAWarp];
      int better_count = 0;
      int same_count = 0;
      MASKERADE_UNROLL
      for (int i = 0; i < kHalvesAWarp; ++i) {
        const std::int64_t key = (first + warp() * kHalvesAWarp + i) * 32 + in_warp();
        const bool is_open = is_candidate(key);
        const std::uint32_t rank = is_open ? rank_(key) : 0;
        better[i] = lane_.ballot(is_open && rank > last_rank_);
        same[i] = lane_.ballot(is_open && rank == last_rank_);
        better_count += popcount(better[i]);
        same_count += popcount(same[i]);
      }
      if (in_warp() == 0) {
        totals_[warp()] = better_count;
        totals_[kWarps + warp()] = same_count;
      }
      lane_.sync();
      std::int64_t better_so_far = 0;
      std::int64_t same_so_far = last_before;
      std::int64_t better_total = 0;
      std::int64_t same_total = 0;
      for (int w = 0; w < kWarps; ++w) {
        if (w < warp()) {
          better_so_far += totals_[w];
          same_so_far += totals_[kWarps + w];
        }
        better_total += totals_[w];
        same_total += totals_[kWarps + w];
      }
      // How many keys are taken before those of this warp: all of better rank, and of those of the
      // last rank the first of_last_rank_.
      std::int64_t before = taken_before + better_so_far + smaller(same_so_far, of_last_rank_) -
                            smaller(last_before, of_last_rank_);
      MASKERADE_UNROLL
      for (int i = 0; i < kHalvesAWarp; ++i) {
        const std::uint32_t taken = better[i] | lowest(same[i], of_last_rank_ - same_so_far);
        same_so_far += popcount(same[i]);
        if (taken != 0) sink.take(first + warp() * kHalvesAWarp + i, taken, before);
        before += popcount(taken);
      }
      taken_before += better_total + smaller(last_before + same_total, of_last_rank_) -
                      smaller(last_before, of_last_rank_);
      last_before += same_total;
      lane_.sync();
    }
    sink.finish(taken_before);
  }
  // The `count` lowest of the set bits.
  MASKERADE_DEVICE static std::uint32_t lowest(std::uint32_t bits, std::int64_t count) {
    if (count >= popcount(bits)) return bits;
    std::uint32_t kept = 0;
    for (; count > 0; --count) {
      kept |= bits & (~bits + 1);
      bits &= bits - 1;
    }
    return kept;
  }

  Lane& lane_;
  const SelectJob& job_;
  std::int64_t row_;
  typename Ranks::OfRow rank_;
  std::int64_t begin_;
  std::int64_t end_;
  int* histogram_;  // [256] how many candidates have each value of the present byte of their rank
  int* totals_;     // [2][kWarps] how many candidates of a warp have a better and the last rank
  int* chosen_;     // [2] see choose()
  std::uint32_t last_rank_ = 0;
  std::int64_t of_last_rank_ = 0;
};

// Sets the bits of the keys that are taken in the job's bits.
template <typename Lane>
struct BitSink {
  Lane& lane;
  const SelectJob& job;

  MASKERADE_DEVICE void take(std::int64_t half, std::uint32_t bits, std::int64_t) {
    if (lane.thread() % 32 != 0) return;
    const std::int64_t row = job.first + lane.block();
    reinterpret_cast<std::uint32_t*>(job.bits)[row * job.words * 2 + half] |= bits;
  }
  MASKERADE_DEVICE void finish(std::int64_t) {}
};

// The kernel of add_top().
template <typename Lane>
class TopKernel {
 public:
  using Kernel = SelectKernel<Lane, ScoreRanks, BitSink<Lane>>;
  static constexpr int kThreads = Kernel::kThreads;
  static constexpr int kSharedBytes = Kernel::kSharedBytes;

  MASKERADE_DEVICE TopKernel(Lane& lane,
                             const SelectJob& job,
                             const ScoreRanks& ranks,
                             std::byte* shared)
      : sink_{lane, job}, kernel_(lane, job, ranks, shared) {}
  MASKERADE_DEVICE void run() { kernel_.run(sink_); }

 private:
  BitSink<Lane> sink_;
  Kernel kernel_;
};

// Appends the keys that are taken to a row's list of sampled entries and sets their sampled bits;
// where the row's probability is 1, sets their bits instead.
template <typename Lane>
struct DrawSink {
  Lane& lane;
  const DrawJob& job;
  std::int64_t row;
  float probability;
  std::int64_t listed;  // entries that the row's list had before

  MASKERADE_DEVICE bool is_sure() const { return probability >= 1.0F; }
  MASKERADE_DEVICE void take(std::int64_t half, std::uint32_t bits, std::int64_t before) {
    const int thread = lane.thread() % 32;
    std::uint64_t* const target = is_sure() ? job.rows.bits : job.rows.sampled_bits;
    if (thread == 0 && target != nullptr) {
      reinterpret_cast<std::uint32_t*>(target)[row * job.rows.words * 2 + half] |= bits;
    }
    if (is_sure() || (bits >> thread & 1U) == 0) return;
    const std::int64_t at = listed + before + popcount(bits & low_bits(thread));
    if (at >= job.rows.sampled_capacity) {
      lane.atomic_or(job.rows.faults, MASKERADE_CUDA_OVERFLOW);
      return;
    }
    const std::int64_t entry = row * job.rows.sampled_capacity + at;
    job.rows.sampled_keys[entry] = static_cast<std::int32_t>(half * 32 + thread);
    job.rows.sampled_probabilities[entry] = probability;
  }
  MASKERADE_DEVICE void finish(std::int64_t taken) {
    if (lane.thread() != 0 || taken == 0) return;
    if (!(probability > 0.0F && probability <= 1.0F)) {
      lane.atomic_or(job.rows.faults, MASKERADE_CUDA_NO_PROBABILITY);
    }
    if (is_sure() || job.rows.sampled_counts == nullptr) return;
    job.rows.sampled_counts[row] =
        static_cast<std::int32_t>(smaller(listed + taken, job.rows.sampled_capacity));
  }
};

// The kernel of add_draw().
template <typename Lane>
class DrawKernel {
 public:
  using Kernel = SelectKernel<Lane, DrawRanks, DrawSink<Lane>>;
  static constexpr int kThreads = Kernel::kThreads;
  static constexpr int kSharedBytes = Kernel::kSharedBytes;

  MASKERADE_DEVICE DrawKernel(Lane& lane, const DrawJob& job, std::byte* shared)
      : sink_{lane, job, job.select.first + lane.block(), 0, 0},
        kernel_(lane, job.select, job.ranks, shared) {
    sink_.probability = job.probabilities[sink_.row];
    if (job.rows.sampled_counts != nullptr) sink_.listed = job.rows.sampled_counts[sink_.row];
  }
  MASKERADE_DEVICE void run() { kernel_.run(sink_); }

 private:
  DrawSink<Lane> sink_;
  Kernel kernel_;
};

// The kernel of count_candidates(): counts those of one row.
template <typename Lane>
class CountKernel {
 public:
  static constexpr int kThreads = 256;
  static constexpr int kSharedBytes = 16;

  MASKERADE_DEVICE CountKernel(Lane& lane, const CountJob& job, std::byte* shared)
      : lane_(lane), job_(job), total_(reinterpret_cast<int*>(shared)) {}

  MASKERADE_DEVICE void run() {
    const SelectJob& select = job_.select;
    const std::int64_t row = select.first + lane_.block();
    const std::int64_t begin = select.begin_of(row);
    const std::int64_t end = select.end_of(row);
    if (lane_.thread() == 0) *total_ = 0;
    lane_.sync();
    int count = 0;
    for (std::int64_t word = begin / 64 + lane_.thread(); word * 64 < end; word += kThreads) {
      std::uint64_t open = low_bits(end - word * 64) & ~low_bits(begin - word * 64);
      if (select.excluded != nullptr) open &= ~select.excluded[row * select.words + word];
      if (select.also_excluded != nullptr) open &= ~select.also_excluded[row * select.words + word];
      count += popcount(open);
    }
    if (count != 0) lane_.atomic_add(total_, count);
    lane_.sync();
    if (lane_.thread() != 0) return;
    job_.counts[row] =
        job_.is_complement ? larger<std::int64_t>(end - begin, 0) - *total_ : *total_;
  }

 private:
  Lane& lane_;
  const CountJob& job_;
  int* total_;
};

}  // namespace maskerade::cuda
