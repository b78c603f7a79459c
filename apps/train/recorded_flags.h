#pragma once
// The flags of a run or sweep that goes on: what the command line leaves out is as it was begun.

#include "apps/cli/cli.h"

namespace tdds {

// Under which a checkpoint keeps flags_text() in its metadata.
inline constexpr const char* kKeptFlags = "flags";
std::string flags_text(FlagTexts flags);

// For EarlierFlags::find. With --resume those that the checkpoint in --save_path keeps; where an older
// version made it, those at the head of its last start in log.txt and of the checkpoint's identity. Flags of
// a single start (--threads, --stop_after_epoch, ...) are left out.
FlagTexts flags_of_run(const FlagTexts& flags);
void drop_flags_of_one_start(FlagTexts& flags);

// "as the run in runs/a was begun: --width 0.25 --epochs 10", or "" where nothing was taken.
std::string taken_note(const EarlierFlags& earlier, const std::string& from);

}  // namespace tdds
