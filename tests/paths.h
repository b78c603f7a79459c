// Where the tests find what lies outside their own sources.
#pragma once

#include <string>

namespace tdds {

std::string source_path(const std::string& path);   // of the repository
std::string golden_path(const std::string& path);   // under tests/golden
std::string program_path(const std::string& name);  // of a program of this build: "tdds-score"
// Of a library of this build that tests preload: "no_locks".
std::string preload_path(const std::string& name);

}  // namespace tdds
