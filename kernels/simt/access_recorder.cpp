#include "kernels/simt/access_recorder.h"

#include <algorithm>
#include <bit>

#include "kernels/runtime/check.h"
#include "kernels/simt/fiber.h"

namespace tdds::simt {
namespace {

constexpr std::size_t kWidestAccess = 16, kSectorBytes = 32, kBanks = 32, kWordBytes = 4;
constexpr std::size_t kMostKept = std::size_t{1} << 20;  // 280 MB

// The addresses of lanes first .. last - 1 that take part in a request.
template <class Request>
std::size_t addresses_of(const Request& request, std::uint32_t first, std::uint32_t last,
                         std::array<std::uintptr_t, kWarpSize>& out) {
  std::size_t count = 0;
  for (std::uint32_t lane = first; lane < last; ++lane)
    if (request.lanes >> lane & 1) out[count++] = request.addresses[lane];
  return count;
}

// Adds what accesses of `width` bytes at `count` addresses touch. Sorts the addresses.
void add_touched(std::uintptr_t* addresses, std::size_t count, std::uintptr_t width, GlobalRequests& total) {
  std::sort(addresses, addresses + count);
  std::uintptr_t next_byte = 0, next_sector = 0;  // the first that is not yet counted
  for (std::size_t i = 0; i < count; ++i) {
    const std::uintptr_t end = addresses[i] + width, end_sector = (end - 1) / kSectorBytes + 1;
    total.bytes += static_cast<std::int64_t>(end - std::max(addresses[i], std::min(next_byte, end)));
    total.sectors += static_cast<std::int64_t>(
        end_sector - std::max(addresses[i] / kSectorBytes, std::min(next_sector, end_sector)));
    next_byte = end;
    next_sector = end_sector;
  }
}

// The passes in which the banks serve accesses of `width` bytes at `count` addresses: the most words of a
// bank.
std::int64_t passes_of(const std::uintptr_t* addresses, std::size_t count, std::uintptr_t width) {
  std::array<std::uintptr_t, kWarpSize * 2> words;
  std::size_t used = 0;
  for (std::size_t i = 0; i < count; ++i)
    for (std::uintptr_t word = addresses[i] / kWordBytes; word * kWordBytes < addresses[i] + width; ++word)
      words[used++] = word;
  std::sort(words.begin(), words.begin() + used);
  const auto end = std::unique(words.begin(), words.begin() + used);
  std::array<std::int64_t, kBanks> of_bank{};
  for (auto word = words.begin(); word != end; ++word) ++of_bank[*word % kBanks];
  return *std::max_element(of_bank.begin(), of_bank.end());
}

}  // namespace

void AccessRecorder::begin(const Kernel& kernel, const void* parameters, std::size_t bytes) {
  counters_ = kernel.counters;
  parameters_ = static_cast<const std::byte*>(parameters);
  parameters_end_ = parameters_ + bytes;
  indices_.clear();
  places_.clear();
  const std::uint32_t threads = kernel.block.x * kernel.block.y * kernel.block.z;
  warps_.assign(threads / kWarpSize, {});
  kept_ = 0;
  counters_->threads = std::max(counters_->threads, threads);
  counters_->shared_bytes = std::max(counters_->shared_bytes, kernel.shared_bytes);
  ++counters_->launches;
}

std::uint32_t AccessRecorder::index_of(const void* code, const Place& place) {
  // User code lies below 2^47, and a width has 5 bits.
  const std::uint64_t key = reinterpret_cast<std::uintptr_t>(code) << 8 | place.bytes << 2 |
                            (place.kind == AccessKind::kStore ? 2 : 0) | (place.shared ? 1 : 0);
  const auto [at, is_new] = indices_.try_emplace(key, static_cast<std::uint32_t>(places_.size()));
  if (is_new) {
    places_.push_back(place);
    for (auto& warp : warps_) warp.emplace_back();
  }
  return at->second;
}

void AccessRecorder::access(const void* code, const void* address, std::size_t bytes, AccessKind kind) {
  const ThreadContext& thread = *current_thread;
  const auto* at = static_cast<const std::byte*>(address);
  if (thread.fiber->holds(at) || (at >= parameters_ && at < parameters_end_)) return;
  const bool shared = at >= thread.shared && at < thread.shared + thread.shared_bytes;
  // The first byte of shared memory is in bank 0.
  const std::uintptr_t origin = shared ? reinterpret_cast<std::uintptr_t>(thread.shared) : 0;
  const std::uint32_t lane = thread.rank % kWarpSize;
  for (std::size_t part = 0; part < bytes && kept_ <= kMostKept; part += kWidestAccess) {
    const auto width = static_cast<std::uint32_t>(std::min(bytes - part, kWidestAccess));
    const std::uint32_t place = index_of(code, {width, kind, shared});
    WarpRequests& mine = warps_[thread.rank / kWarpSize][place];
    const std::uint32_t nth = mine.of_lane[lane]++;
    if (nth == mine.requests.size()) {
      mine.requests.emplace_back();
      ++kept_;
    }
    mine.requests[nth].lanes |= 1u << lane;
    mine.requests[nth].addresses[lane] = reinterpret_cast<std::uintptr_t>(at + part) - origin;
  }
}

void AccessRecorder::count(const Place& place, const Request& request) {
  std::array<std::uintptr_t, kWarpSize> addresses;
  if (!place.shared) {
    GlobalRequests& total = place.kind == AccessKind::kLoad ? counters_->loads : counters_->stores;
    ++total.requests;
    total.lanes += std::popcount(request.lanes);
    add_touched(addresses.data(), addresses_of(request, 0, kWarpSize, addresses), place.bytes, total);
    return;
  }
  SharedRequests& total = counters_->shared;
  ++total.requests;
  total.lanes += std::popcount(request.lanes);
  const std::uint32_t together = place.bytes <= kWordBytes       ? kWarpSize
                                 : place.bytes <= 2 * kWordBytes ? kWarpSize / 2
                                                                 : kWarpSize / 4;
  for (std::uint32_t first = 0; first < kWarpSize; first += together)
    if (const std::size_t count = addresses_of(request, first, first + together, addresses))
      total.conflicts += passes_of(addresses.data(), count, place.bytes) - 1;
}

void AccessRecorder::end_warp(std::uint32_t warp) {
  // Hooks cannot throw.
  check(kept_ <= kMostKept,
        "kernel {}: a block makes more than {} requests between two barriers; the counters keep no more",
        counters_->name, kMostKept);
  for (std::size_t i = 0; i < places_.size(); ++i) {
    WarpRequests& from = warps_[warp][i];
    for (const Request& request : from.requests) count(places_[i], request);
    kept_ -= from.requests.size();
    from.requests.clear();
    from.of_lane.fill(0);
  }
}

void AccessRecorder::met(Group group, std::uint32_t warp, Meeting meeting) {
  if (group == Group::kWarp) {
    counters_->mma += meeting == Meeting::kMma;
    counters_->warp_waits += meeting == Meeting::kBarrier || meeting == Meeting::kReduction;
    return end_warp(warp);
  }
  counters_->barriers += meeting == Meeting::kReduction ? 2 : 1;
  for (std::uint32_t each = 0; each < warps_.size(); ++each) end_warp(each);
}

void AccessRecorder::end_block() {
  ++counters_->blocks;
  for (std::uint32_t each = 0; each < warps_.size(); ++each) end_warp(each);
}

}  // namespace tdds::simt
