#pragma once
// Errors. Library code throws exceptions; the programs print them as one sentence and choose the exit code.

#include <fmt/format.h>

#include <cstddef>
#include <stdexcept>
#include <string>
#include <utility>

namespace tdds {

// A run that cannot continue: bad data, a full disk, a missing device. Exit code 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// An invalid request: an unknown name, a value out of range. Exit code 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

// Not enough memory. `available` is all that this process could have, including what it has already; 0 where
// the device does not know.
class OutOfMemory : public Error {
 public:
  OutOfMemory(const std::string& sentence, std::size_t available) : Error(sentence), available_(available) {}
  std::size_t available() const { return available_; }

 private:
  std::size_t available_;
};

// Throws Error with the formatted sentence unless `ok`. A sentence says what failed, where, and how to fix
// it.
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
