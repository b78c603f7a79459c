// Checks rules that no compiler checks: kernels must run in the simt executor, and CUDA code must work on a
// GPU that it has never run on.

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "tests/style/source_files.h"

namespace tdds::test {
namespace {

using Words = std::set<std::string>;

const Words kKernelWords = {"__global__", "__device__", "__launch_bounds__"};
const Words kNativeIds = {"threadIdx", "blockIdx", "blockDim", "gridDim", "warpSize"};
// Blocks wait for each other's results in one way only.
const Words kOfTickets = {"fence_memory", "atomic_add"};
const Words kCompilers = {"__CUDACC__", "__CUDA_ARCH__", "__NVCC__"};
const Words kSynchronous = {
    "cudaMemcpy",           "cudaMemcpy2D",        "cudaMemcpy3D",     "cudaMemcpyPeer", "cudaMemcpyToSymbol",
    "cudaMemcpyFromSymbol", "cudaMemset",          "cudaMemset2D",     "cudaMemset3D",   "cudaMemcpyDefault",
    "cudaStreamLegacy",     "cudaStreamPerThread", "cudaStreamDefault"};
const Words kUnstable = {
    "clockRate",         "memoryClockRate",          "cudaMemPrefetchAsync",        "cudaMemAdvise",
    "cudaGraphGetEdges", "cudaGraphAddDependencies", "cudaGraphRemoveDependencies", "cudaThreadSynchronize"};
const Words kNotNeeded = {"cudaMallocAsync", "cudaMallocManaged", "cudaDeviceReset", "cudaDeviceSetLimit"};

// Why a file may not contain a word; "" if it may.
std::string objection(const SourceFile& file, bool kernel_code, const std::string& word) {
  const bool device_vocabulary = file.path == "kernels/gpu/gpu_device.h";
  const bool chooses_compiler = file.path == "kernels/gpu/gpu.h" || file.path == "kernels/gpu/tensor_core.h";
  const bool vocabulary = device_vocabulary || chooses_compiler || file.path == "kernels/simt/gpu_host.h";
  if (kernel_code) {
    if (kNativeIds.contains(word) || (word.starts_with("__") && !kKernelWords.contains(word)))
      return "not provided by gpu.h";
    if (word.starts_with("cuda") && word.size() > 4 && std::isupper(static_cast<unsigned char>(word[4])))
      return "the host code of kernels calls only launch()";
    if (kOfTickets.contains(word)) return "use last_of_group()";
  }
  if (word == "__global__" && !file.has_extension(".cu") && !vocabulary && !file.under("tests"))
    return "kernels are declared only in their .cu file";
  if (kCompilers.contains(word) && !chooses_compiler && !(word == "__CUDA_ARCH__" && device_vocabulary))
    return "only gpu.h and tensor_core.h may depend on the compiler";
  if (word == "__shared__" && !device_vocabulary) return "use shared<T>()";
  if (word.starts_with("__threadfence") && !device_vocabulary) return "use last_of_group()";
  if (word.starts_with("atomicAdd") && !device_vocabulary) return "use last_of_group()";
  if (word == "<<<") return "use launch()";
  if (word == "asm" && file.path != "kernels/gpu/tensor_core_device.h")
    return "PTX does not run on simt; use tensor_core.h";
  if (kSynchronous.contains(word)) return "synchronous, or not on a Stream; use Stream";
  if (kUnstable.contains(word)) return "differs between toolkits";
  if (kNotNeeded.contains(word)) return "not needed here";
  return "";
}

// The lines of kernels whose first statement is not wait_for_previous().
std::vector<int> kernels_that_do_not_wait(const std::string& code) {
  std::vector<int> lines;
  for (std::size_t at = code.find("__global__"); at != std::string::npos;
       at = code.find("__global__", at + 1)) {
    const std::size_t end = code.find_first_of("{;", at);
    if (end == std::string::npos || code[end] == ';') continue;  // a declaration
    const std::size_t first = code.find_first_not_of(" \n", end + 1);
    if (first == std::string::npos || !code.substr(first).starts_with("wait_for_previous();"))
      lines.push_back(1 + static_cast<int>(std::count(code.begin(), code.begin() + at, '\n')));
  }
  return lines;
}

std::string objection_to_include(const SourceFile& file, const std::string& path) {
  static const std::regex kVendor(
      "^(cu(da|dnn|blas|fft|rand|solver|sparse)\\w*\\.|cub/|thrust/|nv\\w*/|nvml)");
  if (path == "cuda.h") return "libcuda is missing on machines without a driver";
  const bool may = file.under("kernels/cuda") || file.under("kernels/gpu");
  if (!may && std::regex_search(path, kVendor)) return "only kernels/cuda and kernels/gpu may include it";
  return "";
}

std::vector<std::string> violations(const SourceFile& file) {
  std::vector<std::string> found;
  const auto add = [&](int line, const std::string& what, const std::string& why) {
    if (!why.empty()) found.push_back(file.path + ":" + std::to_string(line) + ": " + what + ": " + why);
  };
  const bool vocabulary = file.path.ends_with("/gpu.h") || file.path.ends_with("/gpu_device.h") ||
                          file.path.ends_with("/tensor_core.h");
  const bool kernel_code =
      file.has_extension(".cu") || (file.under("kernels/gpu") && !vocabulary &&
                                    file.text.find("#include \"kernels/gpu/gpu.h\"") != std::string::npos);
  const std::string code = without_comments(file.text);
  for (const Word& word : words_of(code)) add(word.line, word.text, objection(file, kernel_code, word.text));
  if (kernel_code)
    for (int line : kernels_that_do_not_wait(code))
      add(line, "__global__", "wait_for_previous() must be the first statement of a kernel");
  for (const Include& include : includes_of(file.text))
    add(include.line, "includes " + include.path, objection_to_include(file, include.path));
  if (file.has_extension(".cu"))
    for (const char* line : {"// Parallel over", "// Held in", "// Bytes per row", "// Deterministic"})
      if (file.text.find(line) == std::string::npos)
        add(1, "header comment", std::string("is missing ") + line);
  return found;
}

TEST(CudaSourcesTest, KeepTheRules) {
  int kernels = 0;
  for (const SourceFile& file : read_sources({"kernels", "engine", "nets", "tdds", "apps", "bench"})) {
    kernels += file.has_extension(".cu");
    const std::vector<std::string> found = violations(file);
    EXPECT_TRUE(found.empty()) << joined(found);
  }
  EXPECT_GE(kernels, 1);
}

// The number of violations in a kernel source with this code.
std::size_t in_kernel(const std::string& code) {
  const std::string opening = "// Parallel over: // Held in: // Bytes per row: // Deterministic:\n";
  return violations({"kernels/gpu/a.cu", opening + code}).size();
}
std::size_t in_host(const std::string& code, const std::string& path = "engine/a.cpp") {
  return violations({path, code}).size();
}

TEST(CudaSourcesTest, ReportsEachViolation) {
  EXPECT_EQ(in_kernel("__global__ void __launch_bounds__(32) k(int* x) { wait_for_previous(); *x = 1; }"),
            0u);
  EXPECT_EQ(in_kernel("template <class T>\n__global__ void k(T* x) {\n  // first\n  wait_for_previous();\n}"),
            0u);
  EXPECT_EQ(in_kernel("__global__ void k(int* x);"), 0u);
  EXPECT_EQ(in_kernel("__global__ void k(int* x) { *x = 1; wait_for_previous(); }"), 1u);
  EXPECT_EQ(in_kernel("__global__ void k(int* x) { if (*x) wait_for_previous(); }"), 1u);
  EXPECT_EQ(in_kernel("__global__ void a() { wait_for_previous(); }\n__global__ void b() {}"), 1u);
  EXPECT_EQ(in_kernel("__global__ void k(int* __restrict__ x) { wait_for_previous(); }"), 1u);
  EXPECT_EQ(
      in_kernel("// __syncthreads() <<<\nconst char* s = \"__syncthreads\"; /* __ldg */ char c = '\"';"), 0u);
  EXPECT_EQ(in_kernel("__syncthreads();"), 1u);
  EXPECT_EQ(in_kernel("x = __shfl_xor_sync(m, x, 1) + __expf(x);"), 2u);
  EXPECT_EQ(in_kernel("extern __shared__ float s[];"), 1u);
  EXPECT_EQ(in_kernel("int i = threadIdx.x;"), 1u);
  EXPECT_EQ(in_kernel("k<<<1, 32>>>();"), 1u);
  EXPECT_EQ(in_kernel("if (last_of_group(ticket, 3)) merge();"), 0u);
  EXPECT_EQ(in_kernel("fence_memory();\natomic_add(ticket, 1u);"), 2u);
  EXPECT_EQ(in_kernel("__threadfence();"), 1u);
  EXPECT_EQ(in_host("#include \"kernels/gpu/gpu.h\"\nfence_memory();", "kernels/gpu/a.h"), 1u);
  EXPECT_EQ(in_host("__threadfence_system(); atomicAdd(p, 1);", "kernels/gpu/gpu.h"), 2u);
  EXPECT_EQ(in_kernel("asm volatile(\"bar.sync 0;\");"), 1u);
  EXPECT_EQ(in_kernel("cudaStreamSynchronize(s);"), 1u);
  EXPECT_EQ(violations({"kernels/gpu/a.cu", ""}).size(), 4u);
  EXPECT_EQ(in_host("#ifdef __CUDACC__\n#endif", "kernels/numerics/philox.h"), 1u);
  EXPECT_EQ(in_host("__global__ void k();", "kernels/gpu/a.h"), 1u);
  EXPECT_EQ(in_host("#include \"kernels/gpu/gpu.h\"\n__syncthreads();", "kernels/gpu/a.h"), 1u);
  EXPECT_EQ(in_host("cudaMemcpy(a, b, n, kind); cudaMemcpyAsync(a, b, n, kind, s);"), 1u);
  EXPECT_EQ(in_host("cudaMemset (a, 0, n);"), 1u);
  EXPECT_EQ(in_host("int khz = properties.clockRate;"), 1u);
  EXPECT_EQ(in_host("cudaMallocManaged(&p, n);"), 1u);
  EXPECT_EQ(in_host("#include <cuda_runtime.h>\n#include <cudnn.h>\n#include <cub/cub.cuh>\n"), 3u);
  EXPECT_EQ(in_host("#include <cuda_runtime.h>\n#include <cudnn.h>\n", "kernels/cuda/a.cpp"), 0u);
  EXPECT_EQ(in_host("#include <cuda.h>\n", "kernels/cuda/a.cpp"), 1u);
}

}  // namespace
}  // namespace tdds::test
