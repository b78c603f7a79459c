#pragma once

#include <string>
#include <vector>

namespace tdds {

// "there is no flag --batch_sise: did you mean --batch_size? --help-all lists all flags". known: the names of
// the flags that there are, without dashes, as `name`.
std::string no_such_flag(const std::string& name, const std::vector<std::string>& known);

}  // namespace tdds
