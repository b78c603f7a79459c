#include "kernels/cuda/nvml.h"

#include <dlfcn.h>

#include <string>

namespace tdds {
namespace {

// From NVML's interface, which is stable: nvml.h is not in every installation of the toolkit.
struct NvmlDevice;
constexpr int kSuccess = 0, kSmClock = 1, kMemoryClock = 2, kGpuTemperature = 0;

struct Reason {
  unsigned long long bits;
  const char* words;
};
// An idle GPU and clocks that a user or a display has set are left out: they do not come and go under load.
constexpr Reason kReasons[] = {{0x4, "the power limit"},
                               {0x8 | 0x80, "the power supply"},
                               {0x10, "another GPU of its group"},
                               {0x20 | 0x40, "heat"}};

class Library {
 public:
  explicit Library(const char* name) : handle_(dlopen(name, RTLD_NOW | RTLD_LOCAL)) {}
  ~Library() {
    if (handle_) dlclose(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  explicit operator bool() const { return handle_ != nullptr; }

  // Calls a function of the library; false where it is missing or fails.
  template <class... Arguments>
  bool call(const char* name, Arguments... arguments) const {
    const auto function = reinterpret_cast<int (*)(Arguments...)>(dlsym(handle_, name));
    return function != nullptr && function(arguments...) == kSuccess;
  }

 private:
  void* handle_;
};

}  // namespace

std::optional<DeviceClocks> read_clocks(const char* bus_id, const char* library) {
  const Library nvml(library);
  if (!nvml || !nvml.call("nvmlInit_v2")) return std::nullopt;
  NvmlDevice* gpu = nullptr;
  unsigned sm = 0, memory = 0, celsius = 0;
  unsigned long long reasons = 0;
  const bool known = nvml.call("nvmlDeviceGetHandleByPciBusId_v2", bus_id, &gpu) &&
                     nvml.call("nvmlDeviceGetClockInfo", gpu, kSmClock, &sm) &&
                     nvml.call("nvmlDeviceGetClockInfo", gpu, kMemoryClock, &memory) &&
                     nvml.call("nvmlDeviceGetTemperature", gpu, kGpuTemperature, &celsius) &&
                     // Its newer name, ...EventReasons, came with driver 535, and this one has stayed.
                     nvml.call("nvmlDeviceGetCurrentClocksThrottleReasons", gpu, &reasons);
  nvml.call("nvmlShutdown");
  if (!known) return std::nullopt;
  DeviceClocks clocks{static_cast<int>(sm), static_cast<int>(memory), static_cast<int>(celsius)};
  for (const Reason& reason : kReasons)
    if ((reasons & reason.bits) != 0)
      clocks.slowed_by += (clocks.slowed_by.empty() ? "" : ", ") + std::string(reason.words);
  return clocks;
}

}  // namespace tdds
