#pragma once
// The text of --help and --help-all.

#include "apps/cli/cli.h"

namespace tdds {

// `text` in lines of at most `width` columns, each indented by `indent`; a longer word has its own line.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width);

// Purpose, then by group each flag with its type, its default in brackets and its description, then examples.
// `all` shows every flag and whole descriptions; else advanced flags are left out, and a description is its
// first sentence.
std::string help_text(const ProgramInfo& info, const FlagTable& flags, bool all);

}  // namespace tdds
