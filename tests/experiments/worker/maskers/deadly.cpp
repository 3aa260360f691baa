#include <sched.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "framework/sdk/masker.hpp"

namespace {

namespace sdk = maskerade::sdk;

// What a library may do while it is loaded.
[[gnu::constructor]] void end_at_loading() {
  const char* const how = std::getenv("DEADLY_AT_LOADING");
  if (how == nullptr) return;
  if (*how == 'c') std::abort();
  _exit(0);
}

// Does to the process that calls it what its parameter says, or what the first word of a file says.
class Deadly final : public sdk::RowMasker {
 public:
  static sdk::Description describe() {
    return {.id = "deadly",
            .summary = "ends or disturbs the process that calls it",
            .depends_on = sdk::kShape | sdk::kQuery,
            .parameters = {sdk::choice("how",
                                       {"nothing", "crash", "abort", "hang", "allocate", "exit",
                                        "exit_at_once", "write", "move"},
                                       "what it does")}};
  }
  explicit Deadly(const sdk::Arguments& arguments) : how_(arguments.choice("how")) {
    // What a user has mended.
    if (const char* file = std::getenv("DEADLY_IS_MENDED"); file != nullptr) how_ = "nothing";
  }

  void select_row(const sdk::Row& row) const override {
    if (how_ == "crash") *static_cast<volatile int*>(nullptr) = 1;
    if (how_ == "abort") std::abort();
    if (how_ == "hang") {
      for (;;) usleep(1000);
    }
    if (how_ == "allocate") {
      for (std::vector<std::vector<char>> all;;) all.emplace_back(std::size_t{1} << 24, 'x');
    }
    if (how_ == "exit") std::exit(0);
    if (how_ == "exit_at_once") _exit(0);
    if (how_ == "write") const_cast<float&>(*static_cast<const float*>(row.call().q.data)) += 1.0F;
    if (how_ == "move") {
      cpu_set_t one;
      CPU_ZERO(&one);
      CPU_SET(sched_getcpu(), &one);
      sched_setaffinity(0, sizeof(one), &one);
    }
    row.add_key(0);
  }

 private:
  std::string how_;
};

}  // namespace

MASKERADE_EXPORT_MASKER(Deadly)
