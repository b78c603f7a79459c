// Only this file contains the build's folders, so a compiler cache works across checkouts.
#include "tests/paths.h"

namespace tdds {

std::string source_path(const std::string& path) {
  return TDDS_SOURCE_DIR "/" + path;
}
std::string golden_path(const std::string& path) {
  return source_path("tests/golden/" + path);
}
std::string program_path(const std::string& name) {
  return TDDS_BUILD_DIR "/apps/" + name;
}
std::string preload_path(const std::string& name) {
  return TDDS_BUILD_DIR "/tests/libtdds_" + name + ".so";
}

}  // namespace tdds
