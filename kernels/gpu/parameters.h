#pragma once
// The arguments of a kernel as one plain value: convertible from what the caller passes, copied into a
// command, spread into the call. (std::tuple is not trivially copyable.)

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
  static_assert(std::is_trivially_copyable_v<First>, "a kernel's parameter is copied byte by byte");
  First first;
  Parameters<Rest...> rest;

  // function(done..., first, rest...)
  template <class Function, class... Done>
  void call(Function function, const Done&... done) const {
    rest.call(function, done..., first);
  }
  // Fills out[0 .. number of parameters - 1], as cudaLaunchKernel wants them.
  void addresses(void** out) {
    *out = &first;
    rest.addresses(out + 1);
  }
};

inline Parameters<> make_parameters(const Parameters<>*) {
  return {};
}

// Each argument is converted to the kernel's own parameter type: through cudaLaunchKernel's void** an int
// would otherwise be read as the size_t that the kernel declares.
template <class First, class... Rest, class Argument, class... Arguments>
Parameters<First, Rest...> make_parameters(const Parameters<First, Rest...>*, Argument argument,
                                           Arguments... arguments) {
  static_assert(sizeof...(Rest) == sizeof...(Arguments), "the kernel takes another number of arguments");
  const First first = argument;
  return {first, make_parameters(static_cast<const Parameters<Rest...>*>(nullptr), arguments...)};
}

}  // namespace tdds
