#include "attention/cuda/cuda_attention.hpp"
#include "attention/cuda/device_roofs.hpp"
#include "framework/base/error.hpp"

namespace maskerade {

struct CudaPipeline::State {};
struct CudaMask::State {};
struct CudaPlan::State {};
struct CudaAttention::State {};

namespace {

[[noreturn]] void refuse() { throw Error(cuda_device().reason); }

}  // namespace

CudaMask::CudaMask(std::unique_ptr<State> state) : state_(std::move(state)) {}
CudaMask::CudaMask(CudaMask&&) noexcept = default;
CudaMask& CudaMask::operator=(CudaMask&&) noexcept = default;
CudaMask::~CudaMask() = default;
Mask CudaMask::download() const { refuse(); }
std::vector<MaskerReport> CudaMask::maskers() const { refuse(); }

CudaPipeline::CudaPipeline(std::unique_ptr<State> state) : state_(std::move(state)) {}
CudaPipeline::CudaPipeline(CudaPipeline&&) noexcept = default;
CudaPipeline& CudaPipeline::operator=(CudaPipeline&&) noexcept = default;
CudaPipeline::~CudaPipeline() = default;
std::string CudaPipeline::selection_device() const { refuse(); }
bool CudaPipeline::is_all_on_device() const noexcept { return false; }

CudaPlan::CudaPlan(std::unique_ptr<State> state) : state_(std::move(state)) {}
CudaPlan::CudaPlan(CudaPlan&&) noexcept = default;
CudaPlan& CudaPlan::operator=(CudaPlan&&) noexcept = default;
CudaPlan::~CudaPlan() = default;
std::string CudaPlan::kernel_name() const { refuse(); }
std::int64_t CudaPlan::kv_bytes_touched() const { refuse(); }
std::int64_t CudaPlan::size_bytes() const noexcept { return 0; }

CudaAttention::CudaAttention(const AttentionInputs&, CudaFamily) { refuse(); }
CudaAttention::~CudaAttention() = default;
CudaPipeline CudaAttention::take(PreparedPipeline) { refuse(); }
CudaMask CudaAttention::select(const CudaPipeline&, const Threads&) { refuse(); }
void CudaAttention::synchronize() { refuse(); }
CudaMask CudaAttention::upload(const Mask&) { refuse(); }
CudaPlan CudaAttention::plan(const CudaMask&, std::optional<Kernel>) { refuse(); }
CudaPlan CudaAttention::plan_cudnn() { refuse(); }
void CudaAttention::attend(const CudaPlan&) { refuse(); }
void CudaAttention::poison() { refuse(); }
void CudaAttention::download(const CudaPlan&, AttentionOutput&) { refuse(); }
CudaOracle CudaAttention::attend_oracle(const CudaMask&) { refuse(); }
double CudaAttention::time_ms(const std::function<void()>&, CudaCache, CudaLaunch) { refuse(); }

DeviceRoofs measure_device_roofs() { refuse(); }

}  // namespace maskerade
