#include "apps/cli/kernel_report.h"

#include <cxxabi.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "kernels/runtime/check.h"

namespace tdds {
namespace {

constexpr const char* kDefaultTarget = "sm_90";
constexpr std::string_view kAnonymous = "12_GLOBAL__N_1";  // of g++'s mangled names

// "<float, 4>" of tdds::...::moments_kernel<float, 4>(float const*, ...); "" where the kernel is no template.
std::string template_arguments(const std::string& symbol) {
  int status = 0;
  const std::unique_ptr<char, decltype(&std::free)> demangled(
      abi::__cxa_demangle(symbol.c_str(), nullptr, nullptr, &status), std::free);
  std::string text = demangled ? demangled.get() : "";
  for (const std::string_view hidden : {"(anonymous namespace)::", "tdds::simt_counted::", "tdds::"})
    for (std::size_t at; (at = text.find(hidden)) != std::string::npos;) text.erase(at, hidden.size());
  const std::size_t begin = text.find('<');
  if (begin == std::string::npos || begin > text.find('(')) return "";
  std::size_t end = begin;
  for (int depth = 0; end < text.size(); ++end)
    if ((depth += text[end] == '<' ? 1 : text[end] == '>' ? -1 : 0) == 0) break;
  return text.substr(begin, end + 1 - begin);
}

std::string label(const KernelCounters& row) {
  return row.name + template_arguments(row.symbol);
}

// a / b; 0 for 0 / 0.
double ratio(double a, std::int64_t b) {
  return b == 0 ? 0 : a / static_cast<double>(b);
}

double used_share(const GlobalRequests& of) {
  return ratio(static_cast<double>(of.bytes), 32 * of.sectors);
}

std::string global_cells(const GlobalRequests& of, std::int64_t launches) {
  if (of.requests == 0) return fmt::format("{:>9} {:>7} {:>5}", "-", "-", "-");
  return fmt::format("{:9.3f} {:7.2f} {:5.0f}", 1e-6 * ratio(of.bytes, launches),
                     ratio(of.sectors, of.requests), 100 * used_share(of));
}

std::string shared_cells(const KernelCounters& row) {
  const std::string bytes = row.shared_bytes ? fmt::format("{}", row.shared_bytes) : "-";
  return row.shared.requests == 0
             ? fmt::format("{:>6} {:>9}", bytes, "-")
             : fmt::format("{:>6} {:9.2f}", bytes, ratio(row.shared.conflicts, row.shared.requests));
}

std::string resource_cells(const KernelCounters& row, const ReportTarget& target) {
  const KernelResources* kernel = resources_of(row, target);
  return kernel ? fmt::format(" {:4} {:5.0f}", kernel->registers, 100 * occupancy(row, *kernel))
                : fmt::format(" {:>4} {:>5}", "?", "?");
}

nlohmann::ordered_json to_json(const GlobalRequests& of) {
  return {{"requests", of.requests}, {"lanes", of.lanes}, {"sectors", of.sectors}, {"bytes", of.bytes}};
}

}  // namespace

ReportTarget report_target(const std::string& name) {
  const std::string text = name.empty() ? kDefaultTarget : name;
  ReportTarget target;
  const char* end = text.data() + text.size();
  const bool has_prefix = text.starts_with("sm_");
  check_usage(has_prefix && std::from_chars(text.data() + 3, end, target.sm).ptr == end && target.sm > 0,
              "the kernel report is for an architecture such as {}, not '{}' (--target)", kDefaultTarget,
              text);
  std::error_code unknown;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", unknown);
  const std::filesystem::path folder = program.parent_path().parent_path() / "kernels" / "cuda";
  target.kernels = read_ptxas_reports(folder);
  const bool none = target.kernels.empty();
  std::erase_if(target.kernels, [&](const KernelResources& kernel) { return kernel.sm != target.sm; });
  if (none)
    target.why_absent = fmt::format(
        "there are no reports of ptxas in {}; build the target tdds_ptxas_reports, which needs nvcc",
        folder.string());
  else if (target.kernels.empty())
    target.why_absent = fmt::format("the reports of ptxas in {} are not for {}", folder.string(), text);
  return target;
}

const KernelResources* resources_of(const KernelCounters& row, const ReportTarget& target) {
  // The names that g++ and nvcc give to a kernel differ only in its namespaces, which come first.
  const std::size_t at = row.symbol.find(kAnonymous);
  if (at == std::string::npos) return nullptr;
  const std::string_view own = std::string_view(row.symbol).substr(at + kAnonymous.size());
  const auto found =
      std::find_if(target.kernels.begin(), target.kernels.end(),
                   [&](const KernelResources& kernel) { return kernel.symbol.ends_with(own); });
  return found == target.kernels.end() ? nullptr : &*found;
}

double occupancy(const KernelCounters& row, const KernelResources& kernel) {
  const int threads = static_cast<int>(row.threads);
  return static_cast<double>(resident_blocks(kernel, threads, row.shared_bytes) * threads) /
         resident_threads(kernel.sm);
}

std::string kernel_table(const KernelCounts& counts, const ReportTarget& target) {
  const bool resources = !target.kernels.empty();
  std::size_t width = 6;
  for (const KernelCounters& row : counts) width = std::max(width, label(row).size());
  std::string table = fmt::format(
      "{:{}} {:>8} {:>8} {:>7} {:>9} {:>7} {:>5} {:>9} {:>7} {:>5} {:>6} {:>9} {:>5} {:>8} {:>5} {:>7} "
      "{:>9}{} file\n",
      "kernel", width, "launches", "blocks", "threads", "read MB", "sectors", "used%", "write MB", "sectors",
      "used%", "shared", "conflicts", "lanes", "barriers", "waits", "atomics", "mma",
      resources ? fmt::format(" {:>4} {:>5}", "regs", "occ%") : "");
  for (const KernelCounters& row : counts) {
    const std::int64_t requests = row.loads.requests + row.stores.requests + row.shared.requests;
    const std::int64_t lanes = row.loads.lanes + row.stores.lanes + row.shared.lanes;
    table += fmt::format(
        "{:{}} {:8} {:8.0f} {:7} {} {} {} {:5.1f} {:8.1f} {:5.1f} {:7.0f} {:9.0f}{} {}\n", label(row), width,
        row.launches, ratio(row.blocks, row.launches), row.threads, global_cells(row.loads, row.launches),
        global_cells(row.stores, row.launches), shared_cells(row), ratio(lanes, requests),
        ratio(row.barriers, row.blocks), ratio(row.warp_waits, row.blocks), ratio(row.atomics, row.launches),
        ratio(row.mma, row.launches), resources ? resource_cells(row, target) : "", row.file);
  }
  table += resources ? fmt::format("regs and occ%: by ptxas for sm_{}\n", target.sm)
                     : fmt::format("registers and occupancy are not shown: {}\n", target.why_absent);
  return table;
}

nlohmann::ordered_json to_json(const KernelCounts& counts, const ReportTarget& target) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const KernelCounters& row : counts) {
    nlohmann::ordered_json one = {{"kernel", label(row)},
                                  {"file", row.file},
                                  {"launches", row.launches},
                                  {"blocks", row.blocks},
                                  {"threads", row.threads},
                                  {"loads", to_json(row.loads)},
                                  {"stores", to_json(row.stores)},
                                  {"shared",
                                   {{"bytes", row.shared_bytes},
                                    {"requests", row.shared.requests},
                                    {"lanes", row.shared.lanes},
                                    {"conflicts", row.shared.conflicts}}},
                                  {"barriers", row.barriers},
                                  {"warp_waits", row.warp_waits},
                                  {"atomics", row.atomics},
                                  {"mma", row.mma}};
    if (const KernelResources* kernel = resources_of(row, target)) {
      one["registers"] = kernel->registers;
      one["occupancy"] = occupancy(row, *kernel);
    }
    rows.push_back(std::move(one));
  }
  return rows;
}

}  // namespace tdds
