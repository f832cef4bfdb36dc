// Owners of what a C library makes and takes back.
#pragma once

#include <memory>

namespace strata::base {

template <auto kFree>
struct FreedBy {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

// Owned<X509, X509_free>: as large as a pointer.
template <typename T, auto kFree>
using Owned = std::unique_ptr<T, FreedBy<kFree>>;

}  // namespace strata::base
