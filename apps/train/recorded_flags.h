#pragma once
// The recorded flags of a continued run or sweep. A flag that the command line leaves out keeps its recorded
// value.

#include "apps/cli/cli.h"

namespace tdds {

// The key of flags_text() in a checkpoint's metadata.
inline constexpr const char* kKeptFlags = "flags";
std::string flags_text(FlagTexts flags);

// For EarlierFlags::find. With --resume, the flags that the checkpoint in --save_path keeps; if an older
// version made it, those of the last start in log.txt and of the checkpoint's identity. Flags of a single
// start (--threads, --stop_after_epoch, ...) are left out.
FlagTexts flags_of_run(const FlagTexts& flags);
void drop_flags_of_one_start(FlagTexts& flags);

// "flags taken from the run in runs/a: --width 0.25 --epochs 10", or "" if nothing was taken.
std::string taken_note(const EarlierFlags& earlier, const std::string& from);

}  // namespace tdds
