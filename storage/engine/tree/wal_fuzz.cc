// Whatever stands in a write-ahead log, or in a record of one, reading it ends, and stays within
// it. The input is tried as it is, and with checksums that are right: by chance they never are.
#include <fcntl.h>
#include <libdeflate.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "storage/engine/tree/redo.h"
#include "storage/engine/tree/wal.h"

namespace {

constexpr size_t kRingStart = strata::engine::tree::Wal::kRingStart;
// wal.h, the file's format.
constexpr size_t kCheckpointHead = 40, kRecordHead = 24, kSaltAt = 12;

uint32_t Number(std::string_view bytes, size_t at) {
  uint32_t number = 0;
  std::memcpy(&number, bytes.data() + at, sizeof number);
  return number;
}

template <typename T>
void Put(std::string& bytes, size_t at, T number) {
  std::memcpy(bytes.data() + at, &number, sizeof number);
}

uint32_t Crc(uint32_t begin, std::string_view bytes) {
  return libdeflate_crc32(begin, bytes.data(), bytes.size());
}

std::string SealedCheckpoint(std::string bytes) {
  if (bytes.size() < kCheckpointHead) return bytes;
  const size_t pages = Number(bytes, kCheckpointHead - 4) % (bytes.size() - kCheckpointHead + 1);
  Put(bytes, kCheckpointHead - 4, static_cast<uint32_t>(pages));
  Put(bytes, 4, Number("SWAL", 0));
  Put(bytes, 8, uint32_t{1});
  Put(bytes, 0, Crc(0, std::string_view(bytes).substr(4, kCheckpointHead - 4 + pages)));
  return bytes;
}

// As a chain of records from the ring's beginning on; a size that the input says and that goes
// beyond it ends them.
std::string SealedRecords(std::string bytes, uint32_t salt) {
  uint32_t chain = 0;
  for (size_t at = 0; at + kRecordHead <= bytes.size();) {
    const size_t size = Number(bytes, at + 8);
    if (size > bytes.size() - at - kRecordHead) break;
    Put(bytes, at + 4, chain);
    Put(bytes, at + 16, static_cast<uint64_t>(at));
    chain = Crc(salt, std::string_view(bytes).substr(at + 4, kRecordHead - 4 + size));
    Put(bytes, at, chain);
    at += (kRecordHead + size + 7) / 8 * 8;
  }
  return bytes;
}

void Write(int file, std::string_view bytes, size_t at) {
  if (pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(at)) < 0) std::abort();
}

// `written` over the log of `path` at `at`.
void ReadLog(const std::string& path, std::string_view written, size_t at) {
  const int file = open(path.c_str(), O_WRONLY);
  Write(file, written, at);
  close(file);
  const auto wal = strata::engine::tree::Wal::Open(path);
  if (!wal.ok()) return;
  size_t read = 0;
  (void)(*wal)->Replay([&](std::string_view record) {
    read += record.size();
    return strata::base::OkStatus();
  });
  if (read > std::max(written.size(), strata::engine::tree::Wal::kMaxPagesBytes)) std::abort();
}

// A new log, with a checkpoint that has records behind it; its salt.
uint32_t Make(const std::string& path) {
  unlink(path.c_str());
  if (auto wal = strata::engine::tree::Wal::Open(path);
      !wal.ok() || !(*wal)->Keep({.from = {}, .pages = "pages"}).ok())
    std::abort();
  std::string head(kSaltAt + sizeof(uint32_t), '\0');
  const int file = open(path.c_str(), O_RDONLY);
  if (pread(file, head.data(), head.size(), 0) != static_cast<ssize_t>(head.size())) std::abort();
  close(file);
  return Number(head, kSaltAt);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto status =
      strata::engine::tree::ForEachRedo(bytes, [&](const strata::engine::tree::RedoOp& op) {
        if (op.key.size() + op.value.size() > bytes.size()) std::abort();
        return strata::base::OkStatus();
      });
  (void)status;
  // In memory: a sync of a disk's file takes longer than all the rest.
  static const std::string path = "/dev/shm/strata-wal-fuzz-" + std::to_string(getpid());
  for (const size_t at : {size_t{0}, size_t{8 << 10}, kRingStart}) {
    Make(path);
    ReadLog(path, bytes, at);
    const uint32_t salt = Make(path);
    ReadLog(path, at < kRingStart ? SealedCheckpoint(bytes) : SealedRecords(bytes, salt), at);
  }
  unlink(path.c_str());
  return 0;
}
