#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attention/backend/attention_output.hpp"
#include "attention/backend/attention_weights.hpp"
#include "framework/base/error.hpp"
#include "framework/mask/mask.hpp"
#include "framework/pipeline/attention_inputs.hpp"
#include "framework/pipeline/pipeline.hpp"

namespace maskerade {

// A kernel or a backend cannot do what was asked of it, though nothing is wrong with the request:
// the text says why. A cell that meets it is `unavailable`.
class UnavailableError : public Error {
 public:
  using Error::Error;
};

// The stages of a cell, as a clock tells them apart.
enum class Stage {
  kPrepare,  // a pipeline is prepared, or appended to
  kSelect,
  kPlan,
  kAttend,
};

// How a stage is timed. The CPU times every stage on the wall and ignores all of this.
struct Timing {
  // Whether the device's second-level cache holds what the stage used last. Otherwise it holds
  // nothing of the problem.
  bool is_warm = false;
  // Whether attending is recorded once and replayed as a whole.
  bool uses_graph = false;
  // Whether the stage waits for work on the host, so that only the wall clock sees all of it.
  bool waits_for_host = false;
};

struct StageTime {
  double ms = 0;
  // With a graph: what the same kernels take more when they are launched one by one.
  std::optional<double> launch_ms;
};

// A mask where its backend keeps it. Does not outlive its backend.
class SelectedMask {
 public:
  virtual ~SelectedMask() = default;
  // The mask in host memory; it lives as long as this object. Waits. Throws Error when a masker
  // added more on a device than it had stated.
  virtual const Mask& on_host() const = 0;
  // Whether what kernels read is still what on_host() gave. Waits.
  virtual bool is_intact() const = 0;
  // What each masker did; empty for a mask that was not selected. Waits, and throws as on_host().
  virtual std::vector<MaskerReport> maskers() const = 0;
};

// A pipeline that is prepared on a backend's inputs. Does not outlive its backend.
class PreparedSelection {
 public:
  virtual ~PreparedSelection() = default;
  // On a device, where the maskers run: "cuda", "cpu, uploaded", "cuda; cpu, uploaded: NAME". ""
  // on the CPU.
  virtual std::string device() const = 0;
  // Whether selecting waits for maskers on the host (Timing::waits_for_host).
  virtual bool waits_for_host() const = 0;
  // Selects for the backend's inputs. Throws PluginError with the masker's own text when one fails.
  virtual std::unique_ptr<SelectedMask> select() = 0;
  // Takes the keys that `inputs` view more, or forgets those that they view less (see
  // PreparedPipeline::append and truncate). The backend shows the longer of the two sequences.
  virtual void append(const AttentionInputs& inputs) = 0;
  virtual void truncate(const AttentionInputs& inputs) = 0;
};

// How many of a plan's row blocks each kernel has planned; a plan of one kernel alone may say 1.
struct KernelShare {
  std::string kernel;
  std::int64_t row_blocks = 0;
};
// The kernels by their share: "tiles", "tiles 82%, dense 18%"; "" without any. Entries of one name
// count together; kernels of the same share stand in the order of their first entries.
std::string kernel_mix(const std::vector<KernelShare>& shares);

// A mask made ready for a kernel: what to read, in which order. Opaque to all but the kernel that
// made it. Outlives neither its mask nor its backend, and is good for the inputs that the backend
// showed when it was made.
class Plan {
 public:
  virtual ~Plan() = default;
  virtual std::vector<KernelShare> kernel_shares() const = 0;
  // The type that attending multiplies in: float16 or bfloat16 where a matrix unit takes the stored
  // numbers and the weights rounded to them.
  virtual DType arithmetic() const = 0;
  // Bytes of K and V that attending reads, after the union over the rows that are read together.
  // Waits.
  virtual std::int64_t kv_bytes_touched() const = 0;
  virtual std::int64_t size_bytes() const = 0;

  std::string kernel_mix() const { return maskerade::kernel_mix(kernel_shares()); }
};

// One device, holding one sequence: what pipelines are prepared, masks selected and attention
// computed on. Kernels (attention/backend/kernel.hpp) plan and attend for it. [one thread]
class Backend {
 public:
  virtual ~Backend() = default;

  // Its name in the table of backends: "cpu", "cuda".
  virtual std::string_view name() const noexcept = 0;
  // The PCI address of its device, by which its clocks can be read; "" for the CPU.
  virtual std::string pci_bus_id() const = 0;
  // What it shows now. The tensors stay where the caller has them, and outlive the backend.
  virtual const AttentionInputs& inputs() const noexcept = 0;
  // Goes to other inputs of the same sequence: more keys or fewer, in the same memory, and whatever
  // queries. A device copies the queries, and the keys and values that it did not show before. What
  // lies in a device's memory must be written there by now: the backend has a stream of its own.
  // Throws ShapeError when they are not of the same sequence.
  virtual void show(const AttentionInputs& inputs) = 0;

  // Prepares a loaded pipeline on the inputs: builds the indexes of its maskers. Throws as
  // LoadedPipeline::prepare.
  virtual std::unique_ptr<PreparedSelection> prepare(const LoadedPipeline& loaded) = 0;
  // A mask of the host's, where kernels can read it. Throws ShapeError when it does not fit the
  // inputs.
  virtual std::unique_ptr<SelectedMask> take(Mask mask) = 0;

  // Whether attending writes to the output that it is given, so that fetch() has nothing to do.
  virtual bool attends_on_host() const noexcept = 0;
  // Brings what was attended to last with this plan to `output`, the one given to Kernel::attend.
  // Waits. Throws Error when the plan overflowed on the device.
  virtual void fetch(const Plan& plan, AttentionOutput& output) = 0;
  // The weights of every row over the keys that it attends to. Waits.
  virtual AttentionWeights weigh(const SelectedMask& mask) = 0;

  // Runs a stage and gives its time: on the wall, or between events of the device. On a device the
  // stage may run more often, once before the timed run (a warm cache) and twice for a graph; what
  // attending writes to is overwritten first, so that a kernel that leaves some of it out shows.
  virtual StageTime time(Stage stage, const Timing& timing, const std::function<void()>& work) = 0;
};

// Throws ShapeError unless the mask's lengths and extent fit the shape.
void check_fit(const Mask& mask, const AttentionShape& shape);

}  // namespace maskerade
