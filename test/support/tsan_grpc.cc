// Tells ThreadSanitizer that gRPC orders what it is given before what it calls back for it.
//
// Debian's gRPC isn't built for it, and hands most things from thread to thread by its own locks
// and atomics. Loaded before gRPC by all programs of the tsan preset (cmake/Compiler.cmake), this
// is where its calls of absl's mutexes and of its own C interface arrive. All of gRPC counts as one
// lock there, held between any two of these calls: what a call does before it goes back into gRPC
// is never seen to race with what another one does that was called back after that. Calls that
// overlap are looked at as ever, and so is all that our own threads do.
#include <absl/synchronization/mutex.h>
#include <dlfcn.h>
#include <grpc/grpc.h>
#include <grpc/support/alloc.h>
#include <grpc/support/time.h>
#include <link.h>

#include <algorithm>
#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

extern "C" {

void __tsan_acquire(void* address);
void __tsan_release(void* address);

}  // extern "C"

namespace {

using absl::CondVar;
using absl::Duration;
using absl::Mutex;

char grpc;

// The code of gRPC's libraries.
class Code {
 public:
  Code() { dl_iterate_phdr(&Code::Add, this); }
  bool Has(const void* address) const {
    const auto at = reinterpret_cast<uintptr_t>(address);
    return std::any_of(parts_.begin(), parts_.end(),
                       [&](const auto& part) { return at >= part.first && at < part.second; });
  }

 private:
  static int Add(dl_phdr_info* library, size_t, void* self) {
    const std::string_view name = library->dlpi_name;
    if (name.find("/libgrpc") == name.npos && name.find("/libgpr.") == name.npos) return 0;
    for (int i = 0; i < library->dlpi_phnum; ++i) {
      const auto& part = library->dlpi_phdr[i];
      if (part.p_type != PT_LOAD || (part.p_flags & PF_X) == 0) continue;
      const uintptr_t begin = library->dlpi_addr + part.p_vaddr;
      static_cast<Code*>(self)->parts_.emplace_back(begin, begin + part.p_memsz);
    }
    return 0;
  }

  std::vector<std::pair<uintptr_t, uintptr_t>> parts_;
};
const Code code;

template <bool kBefore, bool kAfter>
class Ordered {
 public:
  explicit Ordered(bool counts) : counts_(counts) {
    if (kBefore && counts_) __tsan_release(&grpc);
  }
  ~Ordered() {
    if (kAfter && counts_) __tsan_acquire(&grpc);
  }

 private:
  const bool counts_;
};

}  // namespace

extern "C" {

// NAME with its parameters, and the names by which they are passed on.
#define STRATA_ORDER(RESULT, NAME, BEFORE, AFTER, COUNTS, PARAMETERS, ...)                     \
  RESULT NAME PARAMETERS {                                                                     \
    static auto* const next = reinterpret_cast<RESULT(*) PARAMETERS>(dlsym(RTLD_NEXT, #NAME)); \
    const Ordered<BEFORE, AFTER> ordered(COUNTS);                                              \
    return next(__VA_ARGS__);                                                                  \
  }
// A mangled method of absl's: gRPC's calls of it count.
#define STRATA_LOCK(RESULT, NAME, BEFORE, AFTER, PARAMETERS, ...)                              \
  STRATA_ORDER(RESULT, NAME, BEFORE, AFTER, code.Has(__builtin_return_address(0)), PARAMETERS, \
               __VA_ARGS__)
#define STRATA_CALL(RESULT, NAME, PARAMETERS, ...) \
  STRATA_ORDER(RESULT, NAME, true, true, true, PARAMETERS, __VA_ARGS__)

STRATA_LOCK(void, _ZN4absl7debian35Mutex4LockEv, false, true, (Mutex * self), self)
STRATA_LOCK(bool, _ZN4absl7debian35Mutex7TryLockEv, false, true, (Mutex * self), self)
STRATA_LOCK(void, _ZN4absl7debian35Mutex6UnlockEv, true, false, (Mutex * self), self)
STRATA_LOCK(void, _ZN4absl7debian37CondVar4WaitEPNS0_5MutexE, true, true,
            (CondVar * self, Mutex* mutex), self, mutex)
STRATA_LOCK(bool, _ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE, true, true,
            (CondVar * self, Mutex* mutex, Duration timeout), self, mutex, timeout)

STRATA_CALL(grpc_call_error, grpc_call_start_batch,
            (grpc_call * call, const grpc_op* ops, size_t count, void* tag, void* reserved), call,
            ops, count, tag, reserved)
STRATA_CALL(void, grpc_call_ref, (grpc_call * call), call)
STRATA_CALL(void, grpc_call_unref, (grpc_call * call), call)
STRATA_CALL(int, grpc_byte_buffer_reader_init,
            (grpc_byte_buffer_reader * reader, grpc_byte_buffer* buffer), reader, buffer)
STRATA_CALL(void, grpc_byte_buffer_destroy, (grpc_byte_buffer * buffer), buffer)
STRATA_CALL(grpc_event, grpc_completion_queue_next,
            (grpc_completion_queue * queue, gpr_timespec deadline, void* reserved), queue, deadline,
            reserved)
STRATA_CALL(grpc_event, grpc_completion_queue_pluck,
            (grpc_completion_queue * queue, void* tag, gpr_timespec deadline, void* reserved),
            queue, tag, deadline, reserved)
STRATA_CALL(void*, gpr_malloc, (size_t size), size)
STRATA_CALL(void*, gpr_zalloc, (size_t size), size)
STRATA_CALL(void, gpr_free, (void* memory), memory)
STRATA_CALL(gpr_timespec, gpr_now, (gpr_clock_type clock), clock)

}  // extern "C"
