#include "engine/io/system_reason.h"

#include <cerrno>
#include <cstring>

namespace tdds {

std::string system_reason(int error, std::string_view fix) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return "the disk is full; make room and run again";
    case EFBIG:
      return "the file-size limit is reached; raise it (ulimit -f) and run again";
    case ENAMETOOLONG:
      return "the name is too long; choose a shorter one";
    default:
      return std::strerror(error) + (fix.empty() ? "" : "; " + std::string(fix));
  }
}

}  // namespace tdds
