#include "kernels/simt/launch_counters.h"

#include <dlfcn.h>
#include <elf.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

namespace tdds::simt {
namespace {

template <class T>
std::vector<T> read(std::ifstream& file, std::uint64_t offset, std::uint64_t count) {
  std::vector<T> values(count);
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(count * sizeof(T)));
  return values;
}

// The mangled name of a function of this program, from the symbol table of its file; "" if that was stripped.
// (dladdr() knows only exported functions.)
std::string symbol_of(const void* function) {
  Dl_info object{};
  if (!dladdr(function, &object)) return "";
  std::ifstream file(object.dli_fname, std::ios::binary);
  const Elf64_Ehdr header = read<Elf64_Ehdr>(file, 0, 1).front();
  if (!file) return "";
  const auto base = header.e_type == ET_EXEC ? 0 : reinterpret_cast<std::uintptr_t>(object.dli_fbase);
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(function) - base;
  const auto sections = read<Elf64_Shdr>(file, header.e_shoff, header.e_shnum);
  for (const Elf64_Shdr& section : sections) {
    if (section.sh_type != SHT_SYMTAB || section.sh_link >= sections.size()) continue;
    const auto symbols = read<Elf64_Sym>(file, section.sh_offset, section.sh_size / sizeof(Elf64_Sym));
    const auto found = std::find_if(symbols.begin(), symbols.end(), [&](const Elf64_Sym& symbol) {
      return symbol.st_value == address && ELF64_ST_TYPE(symbol.st_info) == STT_FUNC;
    });
    const Elf64_Shdr& names = sections[section.sh_link];
    if (found == symbols.end() || found->st_name >= names.sh_size) continue;
    const auto name = read<char>(file, names.sh_offset + found->st_name, names.sh_size - found->st_name);
    if (file) return {name.begin(), std::find(name.begin(), name.end(), '\0')};
  }
  return "";
}

}  // namespace

KernelCounters* counters_of(Device& device, const LaunchName& name, const void* function) {
  KernelCounts* rows = device.kernel_counts();
  if (!rows) return nullptr;
  const auto same = [&](const KernelCounters& row) {
    return row.function == function && row.name == name.text;
  };
  const auto found = std::find_if(rows->begin(), rows->end(), same);
  if (found != rows->end()) return &*found;
  KernelCounters& row = rows->emplace_back();
  row.name = name.text;
  row.file = name.site.file_name();
  row.function = function;
  row.symbol = symbol_of(function);
  return &row;
}

}  // namespace tdds::simt
