#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/experiments/config/read_experiment_for_test.hpp"

namespace maskerade {
namespace {

struct BadExperiment {
  std::string text;
  std::string message;
};

void expect_errors(const std::vector<BadExperiment>& cases) {
  const ExperimentFolder folder;
  folder.write("data/one.safetensors", "");
  folder.write("table.bin", "x");
  for (const BadExperiment& bad : cases) EXPECT_EQ(folder.error(bad.text), bad.message) << bad.text;
}

constexpr const char* kSizes = "query_heads: 4, query_len: 8, key_len: 16, head_dim: 32}\n";

// An experiment whose workload, on line 2, is `text`.
std::string workload(const std::string& text) {
  return "name: t\nworkload: " + text + "pipelines: {p: [plain]}\n";
}

// An experiment that goes on, from line 3, with `text`.
std::string pipelines(const std::string& text) {
  return std::string("name: t\nworkload: {source: {kind: gaussian}, ") + kSizes + text;
}

// A complete experiment that goes on, from line 4, with the section `text`.
std::string section(const std::string& text) {
  return pipelines("pipelines: {p: [plain]}\n" + text);
}

TEST(ExperimentErrors, MissingSectionsShowAnExample) {
  expect_errors({
      {"",
       "x.yaml: the file is empty; an experiment begins, for example:\n"
       "  name: my-first-experiment\n"
       "  workload: {source: {kind: gaussian, seed: 1}, query_heads: 8, query_len: 1024,\n"
       "             key_len: 1024, head_dim: 64, causal: true}\n"
       "  pipelines:\n"
       "    streaming: [{sink: 4}, {local: 64}]"},
      {"seeds: {mask: 1}\n",
       "x.yaml: there is no \"name\"; add one, for example:\n"
       "  name: my-first-experiment"},
      {"name: t\n",
       "x.yaml: there is no \"workload\"; add one, for example:\n"
       "  workload: {source: {kind: gaussian, seed: 1}, query_heads: 8, query_len: 1024,\n"
       "             key_len: 1024, head_dim: 64, causal: true}"},
      {pipelines(""),
       "x.yaml: there is no \"pipelines\"; add one, for example:\n"
       "  pipelines:\n"
       "    streaming: [{sink: 4}, {local: 64}]"},
      {pipelines("pipelines: {}\n"),
       "x.yaml:3:12: pipelines is an empty mapping; it must be a mapping of names, for example:\n"
       "  pipelines:\n"
       "    streaming: [{sink: 4}, {local: 64}]"},
      {"name: t\nworkloads:\n",
       "x.yaml:2:1: workloads is empty; it must be a mapping of names, for example:\n"
       "  workloads:\n"
       "    prefill: {source: {kind: gaussian, seed: 1}, query_heads: 8, query_len: 1024,\n"
       "              key_len: 1024, head_dim: 64, causal: true}"},
  });
}

TEST(ExperimentErrors, TheFileAsAWhole) {
  expect_errors({
      {"- 1\n",
       "x.yaml:1:1: the experiment file is a list; it must be a mapping of: name, seeds, workload, "
       "workloads, let, pipelines, overrides, match, devices, kernels, check, measure, isolate"},
      {"name: t\nworkloadz: {}\n",
       "x.yaml:2:1: unknown key \"workloadz\" in the experiment file; did you mean \"workload\"?"},
      {"name: t\nnotes: x\n",
       "x.yaml:2:1: unknown key \"notes\" in the experiment file; known: name, seeds, workload, "
       "workloads, let, pipelines, overrides, match, devices, kernels, check, measure, isolate"},
      {"name: [t]\n", "x.yaml:1:7: name is a list; it must be a text"},
      {"name:\n", "x.yaml:1:1: name is empty; it must be a text"},
      {"name: t\nname: u\n", "x.yaml:2:1: duplicate key \"name\"; it is already on line 1"},
      {section("workloads: {}\n"),
       "x.yaml:2:1: both \"workload\" and \"workloads\" are given; keep one of them"},
  });
}

TEST(ExperimentErrors, NumbersAreStrict) {
  const auto sized = [](const std::string& key_len) {
    return workload(
        "{source: {kind: gaussian}, query_heads: 4, query_len: 8, head_dim: 32,\n"
        "  key_len: " +
        key_len + "}\n");
  };
  const std::string rule =
      "; it must be a whole number between 1 and 2147483647, in digits without leading zeros";
  expect_errors({
      {sized("012"), "x.yaml:3:12: key_len is 012" + rule},
      {sized("1e3"), "x.yaml:3:12: key_len is 1e3" + rule},
      {sized("0x10"), "x.yaml:3:12: key_len is 0x10" + rule},
      {sized("1_000"), "x.yaml:3:12: key_len is 1_000" + rule},
      {sized("-5"), "x.yaml:3:12: key_len is -5" + rule},
      {sized("+5"), "x.yaml:3:12: key_len is +5" + rule},
      {sized("0"), "x.yaml:3:12: key_len is 0" + rule},
      {sized("16.0"), "x.yaml:3:12: key_len is 16.0" + rule},
      {sized("2147483648"), "x.yaml:3:12: key_len is 2147483648" + rule},
      {sized("99999999999999999999"), "x.yaml:3:12: key_len is 99999999999999999999" + rule},
      {sized("2%"), "x.yaml:3:12: key_len is 2%" + rule},
      {sized("[16]"), "x.yaml:3:12: key_len is a list" + rule},
      {sized("'16'"),
       "x.yaml:3:12: key_len is \"16\" in quotes; a number is written without quotes: 16"},
  });
}

TEST(ExperimentErrors, Workloads) {
  const std::string scale =
      "; it must be a number above 0 in the range of float32, such as 0.125 or 1e-5";
  expect_errors({
      {workload("{" + std::string(kSizes)),
       "x.yaml:2:1: workload \"workload\" has no source; add source: {kind: gaussian, seed: 1}"},
      {workload("{source: gaussian, " + std::string(kSizes)),
       "x.yaml:2:20: source is gaussian; it must be a mapping: source: {kind: gaussian, seed: 1}"},
      {workload("{source: {seed: 1}, " + std::string(kSizes)),
       "x.yaml:2:20: source has no kind; write source: {kind: gaussian, seed: 1}"},
      {workload("{source: {kind: gausian}, " + std::string(kSizes)),
       "x.yaml:2:27: unknown kind \"gausian\"; did you mean \"gaussian\"?"},
      {workload("{source: {kind: gaussian, sed: 1}, " + std::string(kSizes)),
       "x.yaml:2:37: unknown key \"sed\" in a gaussian source; did you mean \"seed\"?"},
      {workload("{source: {kind: gaussian, seed: -1}, " + std::string(kSizes)),
       "x.yaml:2:43: seed is -1; it must be a whole number between 0 and 18446744073709551615, in "
       "digits without leading zeros"},
      {workload("{source: {kind: gaussian}, query_heads: 4, key_len: 16}\n"),
       "x.yaml:2:1: workload \"workload\" has no query_len, head_dim; a gaussian source takes its "
       "sizes from the experiment file"},
      {workload("{source: {kind: gaussian}, keylen: 3, " + std::string(kSizes)),
       "x.yaml:2:38: unknown key \"keylen\" in workload \"workload\"; did you mean \"key_len\"?"},
      {workload("{source: {kind: gaussian}, kv_heads: 3, " + std::string(kSizes)),
       "x.yaml:2:48: workload \"workload\": query_heads is 4, which is not a multiple of kv_heads, "
       "3"},
      {workload("{source: {kind: gaussian}, causal: true, query_heads: 4, query_len: 32, key_len: "
                "16, head_dim: 32}\n"),
       "x.yaml:2:79: workload \"workload\" is causal with query_len 32 above key_len 16; a causal "
       "workload needs query_len <= key_len, or causal: false"},
      {workload("{source: {kind: gaussian}, queries: 4, query_heads: 4, query_len: 32, key_len: "
                "16, head_dim: 32}\n"),
       "x.yaml:2:47: workload \"workload\" samples queries with query_len 32 above key_len 16; "
       "sampled queries need positions among the keys"},
      {workload("{source: {kind: gaussian}, queries: 9, " + std::string(kSizes)),
       "x.yaml:2:47: workload \"workload\" samples 9 queries, above query_len 8; sample fewer, or "
       "leave queries out for all"},
      {workload("{source: {kind: structured}, batch: 65536, query_heads: 65536, query_len: 65536, "
                "key_len: 65536, head_dim: 65536}\n"),
       "x.yaml:2:1: workload \"workload\": the shape (65536, 65536, 65536, 65536, 65536, 65536) is "
       "too large: q, k and the mask must each have fewer than 2^60 elements"},
      {workload("{source: {kind: gaussian}, causal: yes, " + std::string(kSizes)),
       "x.yaml:2:46: causal is yes; it must be true or false"},
      {workload("{source: {kind: gaussian}, dtype: float64, " + std::string(kSizes)),
       "x.yaml:2:45: unknown dtype \"float64\"; did you mean \"float32\"?"},
      {workload("{source: {kind: gaussian}, scale: 0, " + std::string(kSizes)),
       "x.yaml:2:45: scale is 0" + scale},
      {workload("{source: {kind: gaussian}, scale: 1e39, " + std::string(kSizes)),
       "x.yaml:2:45: scale is 1e39" + scale},
      {workload("{source: {kind: gaussian}, scale: 1e-60, " + std::string(kSizes)),
       "x.yaml:2:45: scale is 1e-60" + scale},
      {workload("3\n"),
       "x.yaml:2:11: workload \"workload\" is 3; it must be a mapping of: source, batch, "
       "query_heads, kv_heads, query_len, key_len, head_dim, dtype, causal, scale, queries, "
       "query_seed, decode"},
      {"name: t\nworkloads: {sweep: [1]}\npipelines: {p: [plain]}\n",
       "x.yaml:2:13: \"sweep\" cannot be the name of a workload; write the sweep inside a "
       "workload"},
      {workload("{source: {kind: gaussian}, batch: {sweep: []}, " + std::string(kSizes)),
       "x.yaml:2:53: sweep is an empty list; give it at least one value"},
  });
}

TEST(ExperimentErrors, DecodeTraces) {
  const auto trace = [](const std::string& text) {
    return workload("{source: {kind: gaussian}, query_heads: 4, key_len: 16, head_dim: 32,\n  " +
                    text + "}\n");
  };
  expect_errors({
      {trace("decode: {steps: 8}, query_len: 1, causal: true"), "accepted"},
      {trace("decode: 8"), "x.yaml:3:11: decode is 8; it must be a mapping of: steps"},
      {trace("decode: {}"), "x.yaml:3:11: decode has no steps; write decode: {steps: 64}"},
      {trace("decode: {step: 8}"),
       "x.yaml:3:12: unknown key \"step\" in decode; did you mean \"steps\"?"},
      {trace("decode: {steps: 0}"),
       "x.yaml:3:19: decode.steps is 0; it must be a whole number between 1 and 2147483647, in "
       "digits without leading zeros"},
      {trace("decode: {steps: 8}, query_len: 8"),
       "x.yaml:3:34: workload \"workload\" has query_len 8; a decode trace has one query a step: "
       "leave query_len out, or write 1"},
      {trace("decode: {steps: 8}, queries: 4"),
       "x.yaml:3:32: workload \"workload\" samples queries; a decode trace has one query a step: "
       "leave queries out"},
      {trace("decode: {steps: 8}, causal: false"),
       "x.yaml:3:31: workload \"workload\" is not causal; a decode trace is: write causal: true, "
       "or leave it out"},
      {trace("decode: {steps: 2147483640}"),
       "x.yaml:2:1: workload \"workload\": key_len is 2147483656; it must be between 1 and "
       "2147483647"},
  });
}

TEST(ExperimentErrors, DataFiles) {
  expect_errors({
      {workload("{source: {kind: safetensors}}\n"),
       "x.yaml:2:20: a safetensors source needs a file: {kind: safetensors, file: "
       "data/*.safetensors}"},
      {workload("{source: {kind: safetensors, fil: a}}\n"),
       "x.yaml:2:40: unknown key \"fil\" in a safetensors source; did you mean \"file\"?"},
      {workload("{source: {kind: safetensors, file: data/on.safetensors}}\n"),
       "x.yaml:2:46: there is no file data/on.safetensors; did you mean \"one.safetensors\"?"},
      {workload("{source: {kind: safetensors, file: data/*.npy}}\n"),
       "x.yaml:2:46: no file matches *.npy in data"},
      {workload("{source: {kind: safetensors, file: d*/one.safetensors}}\n"),
       "x.yaml:2:46: file is d*/one.safetensors; a pattern (* or ?) may stand in its last part "
       "only"},
      {workload("{source: {kind: safetensors, file: dota/*.safetensors}}\n"),
       "x.yaml:2:46: there is no folder dota"},
      {workload("{source: {kind: safetensors, file: data/}}\n"),
       "x.yaml:2:46: data/ is a folder; name a file"},
      {workload("{source: {kind: safetensors, file: /dev/zero}}\n"),
       "x.yaml:2:46: /dev/zero is no regular file; name a file"},
      {workload("{source: {kind: safetensors, file: data/*.safetensors, query: 1, key: []}}\n"),
       "x.yaml:2:81: key is a list; it must be a text"},
  });
}

TEST(ExperimentErrors, Pipelines) {
  expect_errors({
      {pipelines("pipelines: {p: 3}\n"),
       "x.yaml:3:16: pipeline \"p\" is 3; it must be a list of maskers, or a mapping "
       "that holds one: [{sink: 4}, {local: 64}] or {maskers: [{sink: 4}], only: decode}"},
      {pipelines("pipelines: {p: {only: decode}}\n"),
       "x.yaml:3:16: pipeline \"p\" has no maskers; add maskers: [{sink: 4}], or name a preset"},
      {pipelines("pipelines: {p: {maskers: plain}}\n"),
       "x.yaml:3:26: maskers of pipeline \"p\" is plain; it must be a list: [{sink: 4}]"},
      {pipelines("pipelines: {p: {maskers: [plain], onl: decode}}\n"),
       "x.yaml:3:35: unknown key \"onl\" in pipeline \"p\"; did you mean \"only\"?"},
      {pipelines("pipelines: {p: {maskers: [plain], only: both}}\n"),
       "x.yaml:3:41: unknown workload kind \"both\"; known: prefill, decode"},
      {pipelines("pipelines: {p: [plan]}\n"),
       "x.yaml:3:17: unknown masker \"plan\"; did you mean \"plain\"?"},
      {pipelines("let: {base: [plain]}\npipelines: {p: [bass]}\n"),
       "x.yaml:4:17: unknown masker \"bass\"; did you mean \"base\"?"},
      {pipelines("pipelines: {p: [{quantum_topk: 3}]}\n"),
       "x.yaml:3:18: unknown masker \"quantum_topk\"; known: plain, random, top, window_all"},
      {pipelines("pipelines: {p: [{top: 3, plain: 4}]}\n"),
       "x.yaml:3:17: an item of a pipeline is a mapping of 2 keys; it must be a masker's name, or "
       "one masker with its value: {sink: 4}"},
      {pipelines("pipelines:\n  p:\n    - window_all\n    -\n"),
       "x.yaml:5:5: an item of a pipeline is empty; it must be a masker's name, or one masker with "
       "its value: {sink: 4}"},
      {pipelines("pipelines: {p: [{window_all: }]}\n"),
       "x.yaml:3:18: \"window_all\" has no value; write window_all alone for its defaults, or "
       "{window_all: VALUE}"},
      {pipelines("pipelines: {sweep: [[plain]]}\n"),
       "x.yaml:3:13: \"sweep\" cannot be the name of a pipeline; write the sweep inside a "
       "pipeline"},
  });
}

TEST(ExperimentErrors, Parameters) {
  expect_errors({
      {pipelines("pipelines: {p: [{window_all: {windw: 3}}]}\n"),
       "x.yaml:3:31: \"window_all\" has no parameter \"windw\"; did you mean \"window\"?"},
      {pipelines("pipelines: {p: [{plain: 3}]}\n"), "x.yaml:3:25: \"plain\" takes no parameters"},
      {pipelines("pipelines: {p: [top]}\n"),
       "x.yaml:3:17: \"top\" needs \"budget\" (tokens): for "
       "tests"},
      {pipelines("pipelines: {p: [{top: {share: 3%}}]}\n"),
       "x.yaml:3:18: \"top\" needs \"budget\" (tokens): for tests"},
      {pipelines("pipelines: {p: [{top: 0.05}]}\n"),
       "x.yaml:3:23: \"budget\" is 0.05, a bare number: write 5% for that share of key_len, or a "
       "whole number of tokens"},
      {pipelines("pipelines: {p: [{top: {budget: [1, 2]}}]}\n"),
       "x.yaml:3:32: \"budget\" takes one value, not a list"},
      {pipelines("pipelines: {p: [{top: {budget: 0}}]}\n"),
       "x.yaml:3:32: \"budget\" is 0; it must be in [1, 1000000000]"},
      {pipelines("pipelines: {p: [{top: 99999999999999999999999}]}\n"),
       "x.yaml:3:23: \"budget\" is 99999999999999999999999; it must be in [1, 1000000000]"},
      {pipelines("pipelines: {p: [{top: 1.5}]}\n"),
       "x.yaml:3:23: \"budget\" is \"1.5\"; it takes a whole number of tokens (128) or a "
       "percentage of key_len with at most six decimals (2%, 12.5%)"},
      {pipelines("pipelines: {p: [{top: '64'}]}\n"),
       "x.yaml:3:23: top.budget is \"64\" in quotes; a number is written without quotes: 64"},
      {pipelines("pipelines: {p: [{top: {budget: }}]}\n"),
       "x.yaml:3:24: top.budget is empty; it must be a single value"},
      {pipelines("pipelines: {p: [{top: {budget: {a: 1}}}]}\n"),
       "x.yaml:3:32: top.budget is a mapping; it must be a single value, or for tokens {share: 5%, "
       "of: visible}"},
      {pipelines("pipelines: {p: [{window_all: {share: 5%, of: visble}}]}\n"),
       "x.yaml:3:46: unknown population of keys \"visble\"; did you mean \"visible\"?"},
      {pipelines("pipelines: {p: [{window_all: {share: 0.05, of: visible}}]}\n"),
       "x.yaml:3:38: window_all.window share is 0.05; it must be a percentage, such as 5%"},
      {pipelines("pipelines: {p: [{window_all: {reduce: mean}}]}\n"),
       "x.yaml:3:39: \"reduce\" is \"mean\"; it must be sum | max"},
      {pipelines("pipelines: {p: [{random: tables.bin}]}\n"),
       "x.yaml:3:26: \"table\" is \"tables.bin\", which is not a file that can be read"},
      {pipelines("pipelines: {p: [plain, {window_all: {parts: {sweep: [4, 999]}}}]}\n"),
       "x.yaml:3:57: \"parts\" is 999; it must be in [1, 100]"},
  });
}

TEST(ExperimentErrors, Lets) {
  const std::string use = "pipelines: {p: [a]}\n";
  expect_errors({
      {pipelines("let: [a]\n" + use),
       "x.yaml:3:6: let is a list; it must be a mapping of named lists: {base: [{sink: 4}, {local: "
       "64}]}"},
      {pipelines("let: {a: plain}\n" + use),
       "x.yaml:3:10: let \"a\" is plain; it must be a list of maskers: [{sink: 4}]"},
      {pipelines("let: {plain: [top]}\n" + use),
       "x.yaml:3:7: let \"plain\" has the name of a masker; choose another name"},
      {pipelines("let: {a: [b], b: [plain, a]}\n" + use),
       "x.yaml:3:26: let \"a\" contains itself: a -> b -> a"},
      {pipelines("let: {a: [a]}\n" + use), "x.yaml:3:11: let \"a\" contains itself: a -> a"},
      {pipelines("let: {a: [plain], unused: [plai]}\n" + use),
       "x.yaml:3:28: unknown masker \"plai\"; did you mean \"plain\"?"},
      {pipelines("let: {a: [plain]}\npipelines: {p: [{a: 3}]}\n"),
       "x.yaml:4:18: \"a\" is a let and takes no value; write its name alone"},
      {pipelines("let: {a: [plain, plain]}\npipelines: {p: [{window_all: 0.5}, a]}\n"),
       "x.yaml:4:30: \"window\" is 0.5, a bare number: write 50% for that share of key_len, or a "
       "whole number of tokens"},
  });
  std::string bomb = "let: {a0: [plain, plain]";
  for (int i = 1; i < 40; ++i) {
    const std::string before = "a" + std::to_string(i - 1);
    bomb += ", a" + std::to_string(i) + ": [" + before + ", " + before + "]";
  }
  const ExperimentFolder folder;
  EXPECT_NE(folder.error(pipelines(bomb + "}\npipelines: {p: [a39]}\n"))
                .find("the lets expand to more than 10000 items; shorten them"),
            std::string::npos);
}

TEST(ExperimentErrors, DevicesKernelsAndSeeds) {
  expect_errors({
      {section("devices: cuda\n"), "x.yaml:4:10: devices is cuda; it must be a list of: cpu, cuda"},
      {section("devices: []\n"),
       "x.yaml:4:10: devices is an empty list; it must be a list of: cpu, cuda"},
      {section("devices: [cpu, gpu]\n"),
       "x.yaml:4:16: unknown device \"gpu\"; did you mean \"cpu\"?"},
      {section("devices: [tpu_v5_lite]\n"),
       "x.yaml:4:11: unknown device \"tpu_v5_lite\"; known: cpu, cuda"},
      {section("devices: [cpu, cpu]\n"), "x.yaml:4:16: devices lists cpu twice"},
      {section("kernels: [tile]\n"),
       "x.yaml:4:11: unknown kernel \"tile\"; did you mean \"tiles\"?"},
      {section("kernels: [gather]\n"),
       "x.yaml:4:11: unknown kernel \"gather\"; known: auto, dense, tiles, rows, cudnn"},
      {section("kernels: {sweep: [auto]}\n"),
       "x.yaml:4:10: kernels is a mapping; it must be a list of: auto, dense, tiles, rows, cudnn"},
      {section("seeds: 3\n"), "x.yaml:4:8: seeds is 3; it must be a mapping of: mask"},
      {section("seeds: {msk: 3}\n"),
       "x.yaml:4:9: unknown key \"msk\" in seeds; did you mean \"mask\"?"},
      {section("seeds: {mask: []}\n"),
       "x.yaml:4:15: seeds.mask is an empty list; it must be a whole number or a list of them"},
      {section("seeds: {mask: [1, 1]}\n"), "x.yaml:4:19: seeds.mask lists 1 twice"},
      {section("seeds: {mask: 1.5}\n"),
       "x.yaml:4:15: seeds.mask is 1.5; it must be a whole number between 0 and "
       "18446744073709551615, in digits without leading zeros"},
  });
}

TEST(ExperimentErrors, CheckAndMeasure) {
  const std::string share = "; it must be a share between 0 and 1, written 2% or 0.02";
  const std::string time = "; it must be a time above 0 with its unit, written 2s or 500ms";
  const std::string rows =
      "; it must be a whole number between 0 and 9223372036854775807, in digits without leading "
      "zeros, or all";
  expect_errors({
      {section("check: {oracle_rows: -1}\n"), "x.yaml:4:22: check.oracle_rows is -1" + rows},
      {section("check: {oracle_rows: every}\n"), "x.yaml:4:22: check.oracle_rows is every" + rows},
      {section("check: {coverage_seeds: -1}\n"),
       "x.yaml:4:25: check.coverage_seeds is -1; it must be a whole number between 0 and 1000000, "
       "in digits without leading zeros"},
      {section("check: {coverage_rows: 0}\n"),
       "x.yaml:4:24: check.coverage_rows is 0; it must be a whole number between 1 and 1000000, in "
       "digits without leading zeros"},
      {section("check: {oracle_row: 1}\n"),
       "x.yaml:4:9: unknown key \"oracle_row\" in check; did you mean \"oracle_rows\"?"},
      {section("check: {tolerance: nan}\n"),
       "x.yaml:4:20: check.tolerance is nan; it must be a number above 0, such as 0.125 or 1e-5"},
      {section("check: {tolerance: 2%}\n"),
       "x.yaml:4:20: check.tolerance is 2%; it must be a number above 0, such as 0.125 or 1e-5"},
      {section("check: 3\n"),
       "x.yaml:4:8: check is 3; it must be a mapping of: oracle_rows, "
       "tolerance, coverage_seeds, coverage_rows"},
      {section("measure: {target: 2}\n"), "x.yaml:4:19: measure.target is 2" + share},
      {section("measure: {target: 100%}\n"), "x.yaml:4:19: measure.target is 100%" + share},
      {section("measure: {target: '0.02'}\n"),
       "x.yaml:4:19: measure.target is \"0.02\" in quotes; a number is written without quotes: "
       "0.02"},
      {section("measure: {budget: 2}\n"), "x.yaml:4:19: measure.budget is 2" + time},
      {section("measure: {budget: 2 s}\n"), "x.yaml:4:19: measure.budget is 2 s" + time},
      {section("measure: {budget: 0ms}\n"), "x.yaml:4:19: measure.budget is 0ms" + time},
      {section("measure: {budget: 1h}\n"), "x.yaml:4:19: measure.budget is 1h" + time},
  });
}

TEST(ExperimentErrors, GridsThatNobodyCanRun) {
  const auto sweep = [](int count, const std::string& unit) {
    std::string text = "{sweep: [1" + unit;
    for (int i = 2; i <= count; ++i) text += ", " + std::to_string(i) + unit;
    return text + "]}";
  };
  expect_errors({{section("check: {oracle_rows: " + sweep(317, "") +
                          "}\nmeasure: {budget: " + sweep(316, "ms") + "}\n"),
                  "x.yaml:4:1: check and measure multiply to 100172 variants; the limit is 100000, "
                  "so sweep fewer values"}});
  const ExperimentFolder folder;
  const Experiment experiment =
      folder.read(pipelines("pipelines: {p: [{window_all: " + sweep(1001, "") +
                            "}]}\nmeasure: {budget: " + sweep(1000, "ms") + "}\n"));
  try {
    make_grid(experiment);
    ADD_FAILURE() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_TRUE(std::string(error.what())
                    .ends_with("x.yaml: the experiment has more than 1000000 cells; sweep less, or "
                               "split it into several files"))
        << error.what();
  }
}

// A sweep of whole numbers from 1 on, or with a unit.
std::string sweep_to(int count) {
  std::string text = "{sweep: [1";
  for (int i = 2; i <= count; ++i) text += ", " + std::to_string(i);
  return text + "]}";
}

TEST(ExperimentErrors, TooManyCellsAreCountedBeforeTheyAreMade) {
  const ExperimentFolder folder;
  const auto experiment = [](const std::string& key_len, const std::string& budget,
                             const std::string& only) {
    return "name: many\nworkloads:\n  w: {source: {kind: gaussian, seed: 1}, query_heads: 1, "
           "query_len: 1, key_len: " +
           key_len + ", head_dim: 8}\npipelines:\n  p: {maskers: [{window_all: " + budget + "}]" +
           only + "}\n";
  };
  const std::string many = sweep_to(30'000);
  EXPECT_EQ(folder.error(experiment(many, many, "")),
            "x.yaml: the experiment has more than 1000000 cells; sweep less, or split it into "
            "several files");
  EXPECT_EQ(folder.error(experiment(many, many, ", only: prefill")),
            "x.yaml: the experiment has 30000 workloads and 30000 pipelines, more than 10000000 "
            "pairs, of which few have a cell; split it into several files");
  // With too many checks for each: the pairs are few.
  Experiment checks = folder.read(experiment(sweep_to(2), sweep_to(2), ""));
  checks.checks.resize(std::size_t{1} << 20);
  EXPECT_THROW(make_grid(checks), ConfigError);
  checks.pipelines.clear();
  EXPECT_THROW(make_grid(checks), ConfigError) << "the dense references alone";
  // Seeds count for pipelines that draw.
  Experiment seeds = folder.read(experiment(sweep_to(1000), sweep_to(1000), ""));
  EXPECT_EQ(make_grid(seeds).size(), 1'000'000U);
}

TEST(ExperimentErrors, TextsThatAreNotUtf8) {
  const ExperimentFolder folder;
  const std::string begin =
      "name: x\nworkload: {source: {kind: gaussian, seed: 1}, query_heads: 1, "
      "query_len: 1, key_len: 4, head_dim: 8}\n";
  EXPECT_EQ(folder.error(begin + "pipelines:\n  Größe caf\xe9: [plain]\n"),
            "x.yaml:4:12: the byte \\xe9 here is not part of UTF-8 text; save the text as UTF-8 "
            "(from Latin-1: iconv -f latin1 -t utf8)");
  EXPECT_EQ(folder.error("# \xff\n" + begin + "pipelines: {p: [plain]}\n"),
            "x.yaml:1:3: the byte \\xff here is not part of UTF-8 text; save the text as UTF-8 "
            "(from Latin-1: iconv -f latin1 -t utf8)");
  EXPECT_EQ(folder.error(begin + "pipelines: {Größe: [plain]}\n"), "accepted");
  EXPECT_EQ(folder.error(begin + "pipelines: {p: [plain]}\n", {{"name", "caf\xe9"}}),
            "--set name:1:4: the byte \\xe9 here is not part of UTF-8 text; save the text as UTF-8 "
            "(from Latin-1: iconv -f latin1 -t utf8)");
  EXPECT_EQ(folder.error(begin + "pipelines: {p: [plain]}\n", {{"pipelines.caf\xe9", "[plain]"}}),
            "--set: the key pipelines.caf\\xe9 is not UTF-8 text; write it as UTF-8");
}

TEST(ExperimentErrors, SettingsNameTheirKey) {
  const ExperimentFolder folder;
  const auto error = [&](const std::string& key, const std::string& value) {
    return folder.error(section(""), {{key, value}});
  };
  EXPECT_EQ(error("workload.key_len", "012"),
            "--set workload.key_len: key_len is 012; it must be a whole number between 1 and "
            "2147483647, in digits without leading zeros");
  EXPECT_EQ(error("kernals", "[auto]"),
            "--set kernals: unknown key \"kernals\" in the experiment file; did you mean "
            "\"kernels\"?");
  EXPECT_EQ(error("measure.bugdet", "2s"),
            "--set measure.bugdet: unknown key \"bugdet\" in measure; did you mean \"budget\"?");
  EXPECT_EQ(error("measure.budget", ""),
            "--set measure.budget: measure.budget is empty; it must be a time above 0 with its "
            "unit, written 2s or 500ms");
  EXPECT_EQ(error("pipelines.p", "[plan]"),
            "--set pipelines.p:1:2: unknown masker \"plan\"; did you mean \"plain\"?");
}

}  // namespace
}  // namespace maskerade
