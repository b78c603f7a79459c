// A stand-in for NVML with one GPU, whose state the test sets by
// FAKE_NVML="SM-MHZ MEMORY-MHZ CELSIUS REASONS".

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

struct State {
  unsigned sm = 0, memory = 0, celsius = 0;
  unsigned long long reasons = 0;
  bool open = false;
} state;
int gpu = 0;  // its address is the handle

constexpr int kSuccess = 0, kUninitialized = 1, kInvalid = 2, kNotFound = 6;

int take(const void* device, bool known, unsigned value, unsigned* to) {
  if (!state.open) return kUninitialized;
  if (device != &gpu || !known) return kInvalid;
  *to = value;
  return kSuccess;
}

}  // namespace

extern "C" {

int nvmlInit_v2() {
  const char* text = std::getenv("FAKE_NVML");
  state.open = text != nullptr && std::sscanf(text, "%u %u %u %llx", &state.sm, &state.memory, &state.celsius,
                                              &state.reasons) == 4;
  return state.open ? kSuccess : kUninitialized;
}
int nvmlShutdown() {
  state.open = false;
  return kSuccess;
}
int nvmlDeviceGetHandleByPciBusId_v2(const char* bus_id, void** device) {
  *device = &gpu;
  return std::strcmp(bus_id, "0000:3b:00.0") == 0 ? kSuccess : kNotFound;
}
int nvmlDeviceGetClockInfo(void* device, int type, unsigned* mhz) {
  return take(device, type == 1 || type == 2, type == 1 ? state.sm : state.memory, mhz);
}
int nvmlDeviceGetTemperature(void* device, int sensor, unsigned* celsius) {
  return take(device, sensor == 0, state.celsius, celsius);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void* device, unsigned long long* reasons) {
  if (device != &gpu || !state.open) return kInvalid;
  *reasons = state.reasons;
  return kSuccess;
}

}  // extern "C"
