#pragma once
// The text of --help and --help-all.

#include "apps/cli/cli.h"

namespace tdds {

// `text` in lines of at most `width` columns, each indented by `indent`; a longer word has its own line.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width);

// The purpose, then each flag by group with its type, default in brackets and description, then the examples.
// With `all`, every flag and full descriptions; otherwise no advanced flags, and only the first sentence of
// each description.
std::string help_text(const ProgramInfo& info, const FlagTable& flags, bool all);

}  // namespace tdds
