#pragma once
// What ptxas reports (-Xptxas -v) about each kernel, and how many blocks of it a multiprocessor holds. The
// build keeps these reports beside the objects of the CUDA kernels (cmake/keep_ptxas_report.sh).

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace tdds {

struct KernelResources {
  std::string symbol;  // mangled
  int sm = 0;          // the architecture: 90 for sm_90
  // -1: the report does not say.
  int stack = -1, spill_stores = -1, spill_loads = -1, registers = -1;
  int shared_bytes = 0;  // besides those that a launch adds

  bool in_registers() const { return stack == 0 && spill_stores == 0 && spill_loads == 0; }
};

std::vector<KernelResources> parse_ptxas_report(const std::string& report);
// Of all kernels/gpu/*.cu whose reports are below `folder`; empty if there are none.
std::vector<KernelResources> read_ptxas_reports(const std::filesystem::path& folder);

// The most threads on a multiprocessor.
int resident_threads(int sm);
// The blocks that a multiprocessor holds at a time, by their threads, registers, and shared memory, to which
// a launch adds `shared_bytes` (CUDA C++ Programming Guide, compute capabilities).
int resident_blocks(const KernelResources& kernel, int threads, std::size_t shared_bytes);

}  // namespace tdds
