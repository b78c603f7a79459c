#pragma once
// Why a system call failed, as the end of a sentence.

#include <string>
#include <string_view>

namespace tdds {

// The cause that the error number tells and how to fix it: "the name is too long; choose a shorter one".
// `fix` is for causes that have none of their own, and may be empty.
std::string system_reason(int error, std::string_view fix = {});

}  // namespace tdds
