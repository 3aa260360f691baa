#include "framework/base/process_limits.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>

#include "framework/base/error.hpp"
#include "framework/base/parallel.hpp"

namespace maskerade {
namespace {

namespace fs = std::filesystem;

// A folder with the files that the system has of control groups.
class Groups : public testing::Test {
 protected:
  Groups() {
    std::string name = (fs::path(testing::TempDir()) / "groups_XXXXXX").string();
    root_ = mkdtemp(name.data());
  }
  ~Groups() override { fs::remove_all(root_); }

  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
  }
  // Version 2: one hierarchy at /sys/fs/cgroup of which the process sees `mounted`.
  void mount_v2(const std::string& mounted, const std::string& group) const {
    write("proc/self/mountinfo",
          "20 1 0:19 / /proc rw,nosuid - proc proc rw\n"
          "31 20 0:27 " +
              mounted + " /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
    write("proc/self/cgroup", "0::" + group + "\n");
  }
  // Version 1: a hierarchy for memory and one for cpu and cpuacct.
  void mount_v1(const std::string& mounted, const std::string& group) const {
    write("proc/self/mountinfo",
          "31 20 0:27 " + mounted +
              " /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
              "32 20 0:28 " +
              mounted +
              " /sys/fs/cgroup/cpu\\040time rw - cgroup cgroup "
              "rw,cpu,cpuacct\n"
              "33 20 0:29 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n");
    write("proc/self/cgroup",
          "9:memory:" + group + "\n4:cpu,cpuacct:" + group + "\n1:name=systemd:/somewhere\n");
  }

  fs::path root_;
};

TEST_F(Groups, ThatAreNotThereSetNoLimit) {
  const ControlGroupLimits limits = control_group_limits(root_);
  EXPECT_EQ(limits.memory_bytes, std::nullopt);
  EXPECT_EQ(limits.processors, std::nullopt);
  const ProcessLimits process = process_limits(root_);
  EXPECT_GE(process.processors, 1);
  EXPECT_GT(process.memory_bytes, 0U);
  EXPECT_FALSE(process.memory_is_of_control_group);
}

TEST_F(Groups, OfVersion2LimitMemoryAndProcessors) {
  mount_v2("/", "/user/job");
  write("sys/fs/cgroup/user/job/memory.max", "209715200\n");
  write("sys/fs/cgroup/user/job/cpu.max", "150000 100000\n");
  EXPECT_EQ(control_group_limits(root_).memory_bytes, 209715200U);
  EXPECT_EQ(control_group_limits(root_).processors, 2) << "one and a half, rounded up";
  const ProcessLimits process = process_limits(root_);
  EXPECT_EQ(process.memory_bytes, 209715200U);
  EXPECT_TRUE(process.memory_is_of_control_group);
  EXPECT_LE(process.processors, 2);
}

TEST_F(Groups, AreLimitedByThoseAroundThem) {
  mount_v2("/", "/user/job");
  write("sys/fs/cgroup/user/job/memory.max", "max\n");
  write("sys/fs/cgroup/user/job/cpu.max", "max 100000\n");
  write("sys/fs/cgroup/user/memory.max", "1000000\n");
  write("sys/fs/cgroup/memory.max", "3000000\n");
  write("sys/fs/cgroup/cpu.max", "50000 100000\n");
  EXPECT_EQ(control_group_limits(root_).memory_bytes, 1000000U);
  EXPECT_EQ(control_group_limits(root_).processors, 1);
  EXPECT_EQ(process_limits(root_).processors, 1);
}

TEST_F(Groups, OfAContainerAreMountedAtTheirOwnFolder) {
  mount_v2("/docker/abc", "/docker/abc");
  write("sys/fs/cgroup/memory.max", "5000000\n");
  EXPECT_EQ(control_group_limits(root_).memory_bytes, 5000000U);
  mount_v2("/", "/../outside");
  EXPECT_EQ(control_group_limits(root_).memory_bytes, 5000000U) << "outside of what is mounted";
  mount_v2("/", "/");
  EXPECT_EQ(control_group_limits(root_).memory_bytes, 5000000U) << "a namespace of its own";
}

TEST_F(Groups, OfVersion1LimitMemoryAndProcessors) {
  mount_v1("/docker/abc", "/docker/abc/inner");
  write("sys/fs/cgroup/memory/memory.limit_in_bytes", "7000000\n");
  write("sys/fs/cgroup/memory/inner/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/cpu time/inner/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu time/inner/cpu.cfs_period_us", "100000\n");
  write("sys/fs/cgroup/cpu time/cpu.cfs_quota_us", "300000\n");
  write("sys/fs/cgroup/cpu time/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(control_group_limits(root_).memory_bytes, 7000000U);
  EXPECT_EQ(control_group_limits(root_).processors, 3);
}

TEST_F(Groups, BeyondTheMachineLeaveItsOwnLimits) {
  mount_v2("/", "/");
  write("sys/fs/cgroup/memory.max", "9223372036854771712\n");
  write("sys/fs/cgroup/cpu.max", "900000000000 100000\n");
  const ProcessLimits own = process_limits(root_ / "nowhere");
  const ProcessLimits process = process_limits(root_);
  EXPECT_EQ(process.memory_bytes, own.memory_bytes);
  EXPECT_FALSE(process.memory_is_of_control_group);
  EXPECT_EQ(process.processors, own.processors);
}

TEST_F(Groups, WhoseFilesCannotBeUnderstoodSetNoLimit) {
  for (const std::string text : {"", "\n", "much", "-5", "12 34 56", "99999999999999999999999"}) {
    mount_v2("/", "/job");
    write("sys/fs/cgroup/job/memory.max", text == "12 34 56" ? "x" : text);
    write("sys/fs/cgroup/job/cpu.max", text);
    EXPECT_EQ(control_group_limits(root_).memory_bytes, std::nullopt) << text;
    EXPECT_EQ(control_group_limits(root_).processors, std::nullopt) << text;
  }
  write("proc/self/mountinfo", "31 20 - \n- cgroup2\n\n");
  write("proc/self/cgroup", "0\n:\n::\n0:::\n");
  EXPECT_EQ(control_group_limits(root_).processors, std::nullopt);
}

TEST(ThreadCounts, AreLimitedByTheProcessors) {
  EXPECT_EQ(Threads::most(), 8 * process_limits().processors);
  Threads::check_count(Threads::most(), "--threads");
  try {
    Threads::check_count(Threads::most() + 1, "--threads");
    ADD_FAILURE() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.what(), "--threads is " + std::to_string(Threads::most() + 1) + "; with " +
                                std::to_string(process_limits().processors) +
                                " processors for this process, give at most " +
                                std::to_string(Threads::most()) + " threads");
  }
}

}  // namespace
}  // namespace maskerade
