#pragma once
// A step at one batch size. The first run is eager, because a recording may not load or initialise anything;
// then the step is recorded and replayed.

#include <cstdint>
#include <functional>
#include <memory>

#include "engine/net.h"
#include "kernels/runtime/stream.h"

namespace tdds {

struct RecordedStep {
  Pass* pass;
  std::int32_t batch;
  bool warm = false;
  std::unique_ptr<Recording> recording = nullptr;

  void run(Stream& stream, const std::function<void()>& body, bool record = true) {
    if (!warm || !record || stream.device().debug_sync()) {
      body();
      warm = true;
      return;
    }
    if (!recording) recording = stream.record(body);
    stream.replay(*recording);
  }
};

}  // namespace tdds
