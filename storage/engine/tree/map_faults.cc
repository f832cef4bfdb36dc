#include "storage/engine/tree/map_faults.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <mutex>

namespace strata::engine::tree {
namespace {

// A handler of signals can reach nothing but what the process has: a fixed table, without locks. A
// process has one store, for moments two, or a replica's few files; tests have some.
constexpr size_t kSlots = 64;
std::array<MapFaults::Slot, kSlots> slots;
struct sigaction before;

// Of calls, mmap alone: it is one of the system's, and touches no memory of the library's.
void Handle(int signal, siginfo_t* info, void* context) {
  const int error = errno;
  const auto at = reinterpret_cast<uintptr_t>(info->si_addr);
  for (MapFaults::Slot& slot : slots) {
    const uintptr_t begin = slot.begin.load(std::memory_order_acquire);
    if (begin == 0 || at < begin || at >= slot.end.load(std::memory_order_acquire)) continue;
    const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
    void* const place = static_cast<char*>(info->si_addr) - at % page;
    if (mmap(place, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == place) {
      slot.count.fetch_add(1, std::memory_order_acq_rel);
      errno = error;
      return;
    }
  }
  // Not ours: as if there were no handler. Returning runs into it again.
  if ((before.sa_flags & SA_SIGINFO) != 0 && before.sa_sigaction != nullptr)
    return before.sa_sigaction(signal, info, context);
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN)
    return before.sa_handler(signal);
  struct sigaction end {};
  end.sa_handler = SIG_DFL;
  sigaction(signal, &end, nullptr);
}

void Install() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction ours {};
    ours.sa_sigaction = &Handle;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&ours.sa_mask);
    sigaction(SIGBUS, &ours, &before);
  });
}

// Null if all are taken: then nothing is watched.
MapFaults::Slot* TakeSlot() {
  for (MapFaults::Slot& slot : slots) {
    if (slot.taken.exchange(true, std::memory_order_acq_rel)) continue;
    slot.count = 0;
    return &slot;
  }
  return nullptr;
}

}  // namespace

MapFaults::MapFaults() : slot_(TakeSlot()) {
  Install();
}

MapFaults::~MapFaults() {
  Watch(nullptr, 0);
  if (slot_ != nullptr) slot_->taken.store(false, std::memory_order_release);
}

void MapFaults::Watch(void* begin, size_t bytes) {
  if (slot_ == nullptr) return;
  slot_->begin.store(0, std::memory_order_release);
  if (begin == nullptr) return;
  slot_->end.store(reinterpret_cast<uintptr_t>(begin) + bytes, std::memory_order_release);
  slot_->begin.store(reinterpret_cast<uintptr_t>(begin), std::memory_order_release);
}

uint64_t MapFaults::count() const {
  return slot_ == nullptr ? 0 : slot_->count.load(std::memory_order_acquire);
}

base::Status MapFaults::Tell() {
  return base::DataLossError(
      "the store is damaged: the disk can't give a part of it, or its file was cut; look after the "
      "disk, and restore it from a snapshot");
}

}  // namespace strata::engine::tree
