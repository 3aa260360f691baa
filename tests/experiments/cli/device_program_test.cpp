// Tests of the program on an emulated CUDA device, with a stand-in for cuDNN that evaluates graphs
// naively, and one for NVML whose clock falls from reading to reading.

#include "tests/experiments/cli/program_for_test.hpp"

namespace maskerade {
namespace {

class DeviceProgram : public Program {
 protected:
  ProgramResult run_with_libraries(const std::string& arguments) const {
    return run(arguments, "MASKERADE_CUDNN='" MASKERADE_TEST_CUDNN
                          "' MASKERADE_NVML='" MASKERADE_TEST_NVML "'");
  }
};

constexpr const char* kYaml =
    "name: small\n"
    "workload: {source: {kind: gaussian}, query_heads: 2, kv_heads: 1, query_len: 70, key_len: "
    "70,\n"
    "           head_dim: 64, dtype: bfloat16}\n"
    "pipelines: {streaming: [{sink: 4}, {local: 8}]}\n"
    "devices: [cuda]\n"
    "measure: {budget: 1ms}\n";

TEST_F(DeviceProgram, InfoSaysWhatTheDeviceHas) {
  const ProgramResult info = run_with_libraries("info");
  EXPECT_EQ(info.exit_code, 0) << info.err;
  for (const char* text :
       {"devices     cpu; cuda: emulated device, sm_90", "cuda        runtime 1", ", driver 1",
        "cudnn       9.19.0, " MASKERADE_TEST_CUDNN,
        "nvml        driver 580.1.2, " MASKERADE_TEST_NVML,
        "roofs       not measured yet; \"maskerade calibrate\" or a run on cuda measures them"}) {
    EXPECT_NE(info.out.find(text), std::string::npos) << text << "\n" << info.out;
  }
  const ProgramResult bare = run("info", "MASKERADE_CUDNN=/not/there MASKERADE_NVML=/nor/this");
  for (const char* text :
       {"cudnn       cuDNN was not found: /not/there", "nvml        no NVML: /nor/this"}) {
    EXPECT_NE(bare.out.find(text), std::string::npos) << text << "\n" << bare.out;
  }
}

TEST_F(DeviceProgram, ARunMeasuresTheRoofsOnceAndKeepsThem) {
  write("small.yaml", kYaml);
  measures_peaks_ = true;
  const ProgramResult first = run_with_libraries("run small.yaml --json first.jsonl");
  EXPECT_EQ(first.exit_code, 0) << first.out << first.err;
  EXPECT_NE(run_with_libraries("info").out.find("roofs       copy "), std::string::npos);
  measures_peaks_ = false;
  EXPECT_EQ(run_with_libraries("run small.yaml --json again.jsonl").exit_code, 0);
  const auto measured = cell_of("first.jsonl", "streaming");
  const auto again = cell_of("again.jsonl", "streaming");
  EXPECT_EQ(measured.at("peak_flops_per_second"), again.at("peak_flops_per_second"));
  EXPECT_EQ(measured.at("peak_l2_bytes_per_second"), again.at("peak_l2_bytes_per_second"));
  for (const char* rate : {"percent_of_attainable", "percent_of_peak_flops", "percent_of_l2_roof",
                           "percent_of_bandwidth"}) {
    EXPECT_GT(again.at(rate).get<double>(), 0) << rate;
  }
}

TEST_F(DeviceProgram, TheTableAndTheRowsSayHowCellsWereTimed) {
  write("small.yaml", kYaml);
  const ProgramResult cold = run_with_libraries("run small.yaml --json cold.jsonl");
  EXPECT_NE(cold.out.find("cuda kernels cuDNN 9.19.0, cuda kernels sm90, cold cache"),
            std::string::npos)
      << cold.out;
  EXPECT_NE(cold.out.find("the device's clock fell from 1980 to 1880 MHz meanwhile"),
            std::string::npos)
      << cold.out;
  const ProgramResult warm = run_with_libraries(
      "run small.yaml --json warm.jsonl --set measure.cache=warm --set measure.graph=true");
  EXPECT_EQ(warm.exit_code, 0) << warm.err;
  const auto row = cell_of("warm.jsonl", "streaming");
  EXPECT_EQ(row.at("cache"), "warm");
  EXPECT_EQ(row.at("dense_kernel"), "dense cuDNN 9.19.0");
  EXPECT_TRUE(row.at("launch_ms").is_number());
  EXPECT_EQ(row.at("throttle_reasons_after"), "power cap");
  EXPECT_TRUE(cell_of("cold.jsonl", "streaming").at("launch_ms").is_null());
  const ProgramResult wrong = run_with_libraries("run small.yaml --set measure.cache=hot");
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_NE(wrong.err.find("measure.cache"), std::string::npos) << wrong.err;
}

TEST_F(DeviceProgram, StressComparesTheDeviceWithTheHost) {
  const ProgramResult right =
      run_with_libraries("stress --devices cuda --maskers sink,quest --cells 2");
  EXPECT_EQ(right.exit_code, 0) << right.out << right.err;
  EXPECT_TRUE(std::regex_search(right.out, std::regex("masker .* devices  masks\n"))) << right.out;
  // A masker that states less than it adds on the device.
  const ProgramResult wrong =
      run_with_libraries("stress --devices cuda --maskers understated --cells 1 --shrink-time 1ms");
  EXPECT_EQ(wrong.exit_code, 1) << wrong.out << wrong.err;
  EXPECT_NE(wrong.out.find("masker \"understated\" breaks \"devices\""), std::string::npos)
      << wrong.out;
}

}  // namespace
}  // namespace maskerade
