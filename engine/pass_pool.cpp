#include "engine/pass_pool.h"

namespace tdds {

Pass& PassPool::add(const PassSpec& spec) {
  for (auto& [known, pass] : passes_)
    if (known == spec) return *pass;
  check(!placed_, "PassPool::add: the passes were placed already");
  passes_.emplace_back(spec, net_.make_pass(device_, spec));
  return *passes_.back().second;
}

std::size_t PassPool::bytes_of(const PassSpec& spec) const {
  Arena saved(""), scratch(""), tickets("");
  net_.make_pass(device_, spec)->bind(saved, scratch, tickets);
  return saved.bytes() + scratch.bytes() + tickets.bytes();
}

void PassPool::place() {
  check(!placed_, "PassPool::place: called twice");
  for (auto& [spec, pass] : passes_) pass->bind(saved_, scratch_, tickets_);
  saved_.place(device_);
  scratch_.place(device_);
  tickets_.place(device_);
  for (auto& [spec, pass] : passes_) pass->bind(saved_, scratch_, tickets_);
  placed_ = true;
}

}  // namespace tdds
