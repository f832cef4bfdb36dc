// What Boost's assertions do: they throw this, where a library's own would end the process
// (BOOST_ENABLE_ASSERT_HANDLER, which every room that compiles Boost's I/O sets). Whoever calls
// such code for one peer ends that peer's connection; nobody else catches it, and the process ends
// as it would have.
#pragma once

#include <stdexcept>

namespace strata::base {

class BoostAssertion final : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace strata::base

// The names and parameters are <boost/assert.hpp>'s.
namespace boost {

[[noreturn]] void assertion_failed(const char* expression, const char* function, const char* file,
                                   long line);
[[noreturn]] void assertion_failed_msg(const char* expression, const char* message,
                                       const char* function, const char* file, long line);

}  // namespace boost
