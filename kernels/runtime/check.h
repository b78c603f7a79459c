#pragma once
// Errors. Library code throws; the programs turn an exception into one sentence and an exit code.

#include <fmt/format.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace tdds {

// A run that cannot go on: bad data, a full disk, an absent device. Exit code 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// A request that makes no sense as asked: an unknown name, a value out of range. Exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

// There is not as much memory as asked for. `available` is all that this process could have, what it has
// already included; 0 where the device cannot tell.
class OutOfMemory : public Error {
 public:
  OutOfMemory(const std::string& sentence, std::size_t available) : Error(sentence), available_(available) {}
  std::size_t available() const { return available_; }

 private:
  std::size_t available_;
};

// Throws Error with the formatted sentence unless `ok`. A sentence names what, where and the mend.
template <class... Args>
void check(bool ok, fmt::format_string<Args...> sentence, Args&&... args) {
  if (!ok) [[unlikely]]
    throw Error(fmt::format(sentence, std::forward<Args>(args)...));
}

template <class... Args>
void check_usage(bool ok, fmt::format_string<Args...> sentence, Args&&... args) {
  if (!ok) [[unlikely]]
    throw UsageError(fmt::format(sentence, std::forward<Args>(args)...));
}

}  // namespace tdds
