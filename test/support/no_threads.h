// While it lives the system denies every thread: each would get a stack for which there is no room.
#pragma once

#include <pthread.h>

#include <cstdlib>

namespace strata::testing_support {

class NoThreads {
 public:
  NoThreads() {
    if (pthread_getattr_default_np(&before_) != 0) std::abort();
    pthread_attr_t huge;
    pthread_getattr_default_np(&huge);
    if (pthread_attr_setstacksize(&huge, size_t{1} << 46) != 0 ||
        pthread_setattr_default_np(&huge) != 0)
      std::abort();
    pthread_attr_destroy(&huge);
  }
  NoThreads(const NoThreads&) = delete;
  NoThreads& operator=(const NoThreads&) = delete;
  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_;
};

}  // namespace strata::testing_support
