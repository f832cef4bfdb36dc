// Whatever stands in a write-ahead log, or in a record of one, reading it ends, and stays within
// it.
#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "storage/engine/redo.h"
#include "storage/engine/wal.h"

namespace {

constexpr off_t kRingStart = strata::engine::Wal::kRingStart;

void ReadLog(const std::string& path, std::string_view bytes, off_t at) {
  unlink(path.c_str());
  if (auto wal = strata::engine::Wal::Open(path);
      !wal.ok() || !(*wal)->Keep({.from = {}, .pages = "pages"}).ok())
    std::abort();
  const int file = open(path.c_str(), O_WRONLY);
  if (pwrite(file, bytes.data(), bytes.size(), at) < 0) std::abort();
  close(file);
  const auto wal = strata::engine::Wal::Open(path);
  if (!wal.ok()) return;
  (void)(*wal)->Replay([](std::string_view) { return strata::base::OkStatus(); });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto status = strata::engine::ForEachRedo(bytes, [&](const strata::engine::RedoOp& op) {
    if (op.key.size() + op.value.size() > bytes.size()) std::abort();
    return strata::base::OkStatus();
  });
  (void)status;
  static const std::string path = "/dev/shm/strata-wal-fuzz-" + std::to_string(getpid());
  for (const off_t at : {off_t{0}, off_t{8 << 10}, kRingStart}) ReadLog(path, bytes, at);
  unlink(path.c_str());
  return 0;
}
