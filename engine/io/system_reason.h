#pragma once
// Why a system call failed, as the end of a sentence.

#include <string>
#include <string_view>

namespace tdds {

// The cause of the error number and how to fix it: "the name is too long; choose a shorter one". `fix` is
// added to causes without a fix of their own, and may be empty.
std::string system_reason(int error, std::string_view fix = {});

}  // namespace tdds
