#include "kernels/planning/ptxas_report.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>

#include "kernels/numerics/round_up.h"

namespace tdds {
namespace {

// The number at the beginning of a text; -1 if there is none.
int number(std::string_view text) {
  int value = -1;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The number behind `words` in a line, or before them; -1 if there is none.
int number_after(std::string_view line, std::string_view words) {
  const std::size_t at = line.find(words);
  return at == std::string_view::npos ? -1 : number(line.substr(at + words.size()));
}
int number_before(std::string_view line, std::string_view words) {
  const std::size_t end = line.find(words);
  if (end == std::string_view::npos) return -1;
  const std::size_t before = line.substr(0, end).find_last_not_of("0123456789");
  return number(line.substr(before == std::string_view::npos ? 0 : before + 1));
}

bool is_small(int sm) {
  return sm == 86 || sm == 89 || sm == 120;
}

}  // namespace

std::vector<KernelResources> parse_ptxas_report(const std::string& report) {
  constexpr std::string_view kEntry = "Compiling entry function '";
  std::vector<KernelResources> all;
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);) {
    if (const std::size_t at = line.find(kEntry); at != std::string::npos) {
      const std::size_t begin = at + kEntry.size();
      all.push_back({line.substr(begin, line.find('\'', begin) - begin), number_after(line, "for 'sm_")});
      continue;
    }
    if (all.empty() || all.back().registers >= 0) continue;  // of a device function, which has no entry
    KernelResources& last = all.back();
    if (last.stack < 0 && line.find(" bytes stack frame") != std::string::npos) {
      last.stack = number_before(line, " bytes stack frame");
      last.spill_stores = number_before(line, " bytes spill stores");
      last.spill_loads = number_before(line, " bytes spill loads");
    } else if (line.find("Used ") != std::string::npos) {
      last.registers = number_after(line, "Used ");
      last.shared_bytes = std::max(0, number_before(line, " bytes smem"));
    }
  }
  return all;
}

std::vector<KernelResources> read_ptxas_reports(const std::filesystem::path& folder) {
  std::vector<KernelResources> all;
  std::error_code absent;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, absent)) {
    const std::string path = entry.path().string();
    if (!path.ends_with(".cu.o.ptxas") || path.ends_with("/sort.cu.o.ptxas")) continue;  // sort.cu is CUB's
    std::stringstream text;
    text << std::ifstream(entry.path()).rdbuf();
    const std::vector<KernelResources> kernels = parse_ptxas_report(text.str());
    all.insert(all.end(), kernels.begin(), kernels.end());
  }
  return all;
}

int resident_threads(int sm) {
  return is_small(sm) ? 1536 : 2048;
}

int resident_blocks(const KernelResources& kernel, int threads, std::size_t shared_bytes) {
  const int blocks = kernel.sm == 86 ? 16 : is_small(kernel.sm) ? 24 : 32;
  const std::size_t all_shared = (is_small(kernel.sm) ? 100 : kernel.sm == 80 ? 164 : 228) << 10;
  constexpr int kRegisters = 64 << 10, kRegisterUnit = 8, kReservedShared = 1 << 10;
  const int registers = round_up(kernel.registers, kRegisterUnit);
  return std::min({blocks, resident_threads(kernel.sm) / threads, kRegisters / (registers * threads),
                   static_cast<int>(all_shared / (static_cast<std::size_t>(kernel.shared_bytes) +
                                                  shared_bytes + kReservedShared))});
}

}  // namespace tdds
