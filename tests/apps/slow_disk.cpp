// Loaded before the C library (LD_PRELOAD): a disk that takes a while to sync each file.

#include <unistd.h>

extern "C" int fsync(int) {
  usleep(100000);
  return 0;
}
