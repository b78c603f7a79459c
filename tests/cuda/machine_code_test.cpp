// Reads the machine code of the convolutions (kernels/gpu/conv3x3.cu) with cuobjdump, for the architectures
// of this build and for sm_86, sm_89 and sm_120: each variant has a warp's matrix products and the loads of
// their operands, all of one tap, and copies to shared memory that do not pass through registers.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/cuda/conv3x3_variants.h"

namespace tdds {
namespace {

using test::conv3x3_variant;
using test::Conv3x3Variant;

struct Instructions {
  int products = 0, loads = 0, copies = 0;
};
struct Code {
  std::string architecture;  // "sm_90"
  Conv3x3Variant variant;
  Instructions has = {};
};

// What a warp needs for 64 terms of one tap. A product is of 16 x 8 outputs and 16 terms; a load brings one
// operand A or two operands B.
Instructions needed_by(Conv3x3Tile tile) {
  const Conv3x3Layout layout = layout_of(tile);
  const int down = layout.pixels / layout.warps_down / 16, across = layout.columns / layout.warps_across / 8;
  const int steps = 64 / 16 / layout.split;
  return {.products = steps * down * across, .loads = steps * (down + across / 2), .copies = 1};
}

// The text of `cuobjdump -sass`: lines "arch = sm_90", "Function : <symbol>" and one for each instruction.
std::vector<Code> parse(const std::string& disassembly) {
  std::vector<Code> all;
  std::string architecture;
  bool counts = false;  // the function is a convolution
  std::istringstream lines(disassembly);
  for (std::string line; std::getline(lines, line);) {
    const auto has = [&](const char* word) { return line.find(word) != std::string::npos; };
    if (has("arch = ")) architecture = line.substr(line.find("sm_"));
    if (has("Function : ")) {
      const auto variant = conv3x3_variant(line);
      if (variant) all.push_back({architecture, *variant});
      counts = variant.has_value();
    }
    if (!counts) continue;
    all.back().has.products += has(" HMMA.16816.F32") ? 1 : 0;  // with sums in fp32
    all.back().has.loads += has(" LDSM.") && has(".4 ") ? 1 : 0;
    all.back().has.copies += has(" LDGSTS.") && has(".128 ") ? 1 : 0;
  }
  return all;
}

// What is wrong with a variant; empty where nothing is.
std::string fault(const Code& code) {
  const Instructions need = needed_by(code.variant.tile);
  std::string text;
  const auto compare = [&](const char* name, int has, int needs) {
    if (has < needs) text += fmt::format("{} of {} {}; ", has, needs, name);
  };
  compare("HMMA", code.has.products, need.products);
  compare("LDSM", code.has.loads, need.loads);
  compare("LDGSTS", code.has.copies, need.copies);
  return text;
}

std::string disassembled(const std::string& object) {
  const std::string command = std::string("'") + TDDS_CUOBJDUMP + "' -sass '" + object + "' 2>&1";
  FILE* output = popen(command.c_str(), "r");
  if (!output) return "";
  std::string text;
  std::array<char, 1 << 16> part;
  while (const std::size_t read = std::fread(part.data(), 1, part.size(), output))
    text.append(part.data(), read);
  EXPECT_EQ(pclose(output), 0) << command << ": " << text.substr(0, 300);
  return text;
}

TEST(MachineCodeTest, ConvolutionsAreMatrixProductsOnEveryArchitecture) {
  if (std::string(TDDS_CUOBJDUMP).empty())
    GTEST_SKIP() << "there is no cuobjdump: run scripts/disassembler_from_pypi.sh, and configure again";
  std::map<std::string, std::set<Conv3x3Variant>> seen;
  int objects = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(TDDS_CUDA_OBJECT_DIR)) {
    if (entry.path().filename() != "conv3x3.cu.o") continue;
    ++objects;
    for (const Code& code : parse(disassembled(entry.path().string()))) {
      EXPECT_EQ(fault(code), "") << to_string(code.variant.tile) << ", direction "
                                 << static_cast<int>(code.variant.direction) << ", "
                                 << to_string(code.variant.dtype) << " on " << code.architecture;
      seen[code.architecture].insert(code.variant);
    }
  }
  for (const char* architecture : {"sm_86", "sm_89", "sm_120"})
    EXPECT_TRUE(seen.contains(architecture)) << architecture;
  EXPECT_EQ(objects, 2) << "one of this build, and one for other GPUs";
  for (const auto& [architecture, variants] : seen)
    EXPECT_EQ(variants.size(), kConv3x3Tiles.size() * 2 * 2)
        << architecture << ": each tile, in two directions and two types";
}

TEST(MachineCodeTest, ReportsEachFault) {
  // Of the tile 128x64, with as many of each instruction.
  const auto fault_of = [](int products, int loads, int copies, const std::string& product) {
    std::string text =
        "arch = sm_90\n\t\tFunction : _Z14conv3x3_kernelINS_6half_tELNS_11Conv3x3TileE2E"
        "LNS_16Conv3x3DirectionE1EEEv\n";
    for (int i = 0; i < products; ++i) text += "        /*0010*/  " + product + " R4, R8, R12, R4 ;\n";
    for (int i = 0; i < loads; ++i) text += "        /*0020*/  LDSM.16.M88.4 R4, [R2] ;\n";
    for (int i = 0; i < copies; ++i) text += "        /*0030*/  LDGSTS.E.BYPASS.128 [R2], [R4.64] ;\n";
    const std::vector<Code> all =
        parse("\t\tFunction : _Z3sgdv\n  /*0*/ HMMA.16816.F32 R4, R8, R12, R4 ;\n" + text);
    return all.size() == 1 ? fault(all[0]) : fmt::format("{} variants", all.size());
  };
  EXPECT_EQ(fault_of(32, 12, 1, "HMMA.16816.F32"), "");
  EXPECT_EQ(fault_of(32, 12, 1, "HMMA.16816.F32.BF16"), "");
  EXPECT_EQ(fault_of(31, 12, 1, "HMMA.16816.F32"), "31 of 32 HMMA; ");
  EXPECT_EQ(fault_of(32, 12, 1, "HMMA.1688.F32"), "0 of 32 HMMA; ");
  EXPECT_EQ(fault_of(32, 12, 1, "FFMA"), "0 of 32 HMMA; ");
  EXPECT_EQ(fault_of(32, 11, 0, "HMMA.16816.F32"), "11 of 12 LDSM; 0 of 1 LDGSTS; ");
}

}  // namespace
}  // namespace tdds
