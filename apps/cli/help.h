#pragma once
// The text behind --help.

#include "apps/cli/cli.h"

namespace tdds {

// `text` in lines of at most `width` columns, each indented by `indent`; a longer word stands alone.
std::string wrapped(const std::string& text, std::size_t indent, std::size_t width);

// Purpose, then each flag with its type, its default in brackets and its sentence, by group, then examples.
std::string help_text(const CLI::App& app, const ProgramInfo& info);

}  // namespace tdds
