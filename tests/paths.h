// Paths of the files that tests use: sources, goldens, programs and libraries.
#pragma once

#include <string>

namespace tdds {

std::string source_path(const std::string& path);   // in the repository
std::string golden_path(const std::string& path);   // under tests/golden
std::string program_path(const std::string& name);  // of a program of this build: "tdds-score"
// The path of a library of this build that tests preload: "no_locks".
std::string preload_path(const std::string& name);

}  // namespace tdds
