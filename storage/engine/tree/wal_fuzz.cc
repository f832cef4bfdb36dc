// Whatever stands in a write-ahead log, or in a record of one: reading it ends and stays within it,
// what can be salvaged begins with what is replayed, and what is logged behind that is read again.
// The first byte says where the rest stands, and whether it gets checksums that are right: by
// chance they never are.
#include <fcntl.h>
#include <libdeflate.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "storage/engine/tree/redo.h"
#include "storage/engine/tree/wal.h"
#include "test/fuzz/input.h"

namespace {

using strata::engine::tree::Wal;
using Records = std::vector<std::string>;

constexpr size_t kRingStart = Wal::kRingStart;
// wal.h, the file's format.
constexpr size_t kCheckpointHead = 40, kRecordHead = 24, kSaltAt = 12;
// Behind so many bytes of the ring nothing is appended: each time the file would grow to there.
constexpr uint64_t kMostFilled = 64 << 10;

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

// One file for all inputs, in memory: a sync of a disk's file takes longer than all the rest.
class LogFile {
 public:
  LogFile() {
    unlink(path_.c_str());
    if (auto wal = Wal::Open(path_); !wal.ok() || !(*wal)->Keep({.from = {}, .pages = "p"}).ok())
      std::abort();
    file_ = open(path_.c_str(), O_RDWR);
    if (pread(file_, head_.data(), head_.size(), 0) != static_cast<ssize_t>(head_.size()))
      std::abort();
  }
  ~LogFile() {
    close(file_);
    unlink(path_.c_str());
  }

  // A new log, with a checkpoint that has records behind it, and `bytes` over it.
  void Begin(std::string_view bytes, size_t at) {
    Truncate(0);
    Write({head_.data(), head_.size()}, 0);
    Write(bytes, at);
  }
  void Truncate(size_t size) {
    if (ftruncate(file_, static_cast<off_t>(size)) != 0) std::abort();
  }
  const std::string& path() const { return path_; }
  uint32_t salt() const { return Number({head_.data(), head_.size()}, kSaltAt); }

 private:
  void Write(std::string_view bytes, size_t at) {
    if (pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(at)) < 0) std::abort();
  }

  const std::string path_ = "/dev/shm/strata-wal-fuzz-" + std::to_string(getpid());
  int file_ = -1;
  std::array<char, kRingStart> head_{};
};

strata::base::Status Replay(Wal& wal, Records& records) {
  return wal.Replay([&](std::string_view record) {
    records.emplace_back(record);
    return strata::base::OkStatus();
  });
}

// Whether both say the same of what can be read up to where something is damaged.
void CheckSalvage(const Wal::Remains& remains, const Wal& wal, const Records& replayed,
                  bool whole) {
  if (!remains.checkpoint || remains.checkpoint->pages != wal.opened().pages) std::abort();
  if (remains.unreadable.empty() != whole || remains.records.size() < replayed.size()) std::abort();
  if (whole && remains.records.size() != replayed.size()) std::abort();
  for (size_t i = 0; i < replayed.size(); ++i)
    if (remains.records[i] != replayed[i]) std::abort();
}

// A log that was read goes on.
void CheckAppend(LogFile& file, Wal& wal, Records records) {
  if (wal.opened().pages.empty() && !wal.Keep({.from = wal.end(), .pages = "p"}).ok()) std::abort();
  constexpr std::string_view kNew = "what is new";
  if (!wal.Fits(kNew.size()) || wal.end().position % Wal::kRingBytes > kMostFilled) return;
  if (!wal.Append(kNew).ok() || !wal.Seal().ok()) std::abort();
  records.emplace_back(kNew);
  // Not all that it has grown by is looked through for what may stand behind its end.
  file.Truncate(kRingStart + wal.end().position % Wal::kRingBytes + kMostFilled);
  const auto again = Wal::Open(file.path());
  Records read;
  if (!again.ok() || !Replay(**again, read).ok() || read != records) std::abort();
}

void CheckRedo(std::string_view bytes) {
  using strata::engine::tree::RedoOp;
  (void)strata::engine::tree::ForEachRedo(bytes, [&](const RedoOp& op) {
    if (op.key.size() + op.value.size() > bytes.size()) std::abort();
    return strata::base::OkStatus();
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static LogFile file;
  strata::fuzz::Input input(data, size);
  const uint8_t mode = input.Byte();
  std::string bytes(input.Rest());
  CheckRedo(bytes);
  const size_t at = std::array{size_t{0}, size_t{8 << 10}, kRingStart}[mode % 3];
  if ((mode & 0x40) != 0)
    bytes = at < kRingStart ? SealedCheckpoint(bytes) : SealedRecords(bytes, file.salt());
  file.Begin(bytes, at);

  const auto remains = Wal::Salvage(file.path());
  const auto wal = Wal::Open(file.path());
  if (!wal.ok()) return 0;
  Records records;
  const bool whole = Replay(**wal, records).ok();
  if (!remains.ok()) std::abort();
  CheckSalvage(*remains, **wal, records, whole);
  // Seldom: the file grows by a megabyte.
  if (whole && mode >= 0xe0) CheckAppend(file, **wal, std::move(records));
  return 0;
}
