#pragma once
// The arguments of a kernel as one trivially copyable value, which can be stored in a command and expanded
// into the call. (std::tuple is not trivially copyable.)

#include <cstddef>
#include <type_traits>

namespace tdds {

template <class... Types>
struct Parameters;

template <>
struct Parameters<> {
  template <class Function, class... Done>
  void call(Function function, const Done&... done) const {
    function(done...);
  }
  void addresses(void**) {}
};

template <class First, class... Rest>
struct Parameters<First, Rest...> {
  static_assert(std::is_trivially_copyable_v<First>, "kernel parameters must be trivially copyable");
  First first;
  Parameters<Rest...> rest;

  // function(done..., first, rest...)
  template <class Function, class... Done>
  void call(Function function, const Done&... done) const {
    rest.call(function, done..., first);
  }
  // Fills out[0 .. number of parameters - 1], in the form that cudaLaunchKernel takes.
  void addresses(void** out) {
    *out = &first;
    rest.addresses(out + 1);
  }
};

inline Parameters<> make_parameters(const Parameters<>*) {
  return {};
}

// Converts each argument to the kernel's parameter type. Otherwise an int, passed through the void** of
// cudaLaunchKernel, would be read as the size_t that the kernel declares.
template <class First, class... Rest, class Argument, class... Arguments>
Parameters<First, Rest...> make_parameters(const Parameters<First, Rest...>*, Argument argument,
                                           Arguments... arguments) {
  static_assert(sizeof...(Rest) == sizeof...(Arguments), "wrong number of arguments for the kernel");
  const First first = argument;
  return {first, make_parameters(static_cast<const Parameters<Rest...>*>(nullptr), arguments...)};
}

}  // namespace tdds
