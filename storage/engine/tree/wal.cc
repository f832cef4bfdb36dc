#include "storage/engine/tree/wal.h"

#include <endian.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <libdeflate.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <random>
#include <utility>

#include "storage/engine/tree/disk.h"

namespace strata::engine::tree {
namespace {

constexpr std::string_view kMagic = "SWAL";
constexpr uint32_t kFormat = 1;
constexpr size_t kHeadBytes = 40;  // of a checkpoint, before its pages
constexpr size_t kClosedHeadBytes = 8;
constexpr size_t kRecordBytes = 24;  // of a record, before its bytes
constexpr size_t kCopyBytes = size_t{4} << 10;
constexpr size_t kPlaceBytes = 2 * kCopyBytes;
// The ring grows by so much at once: an append to blocks that exist costs the disk half of one that
// also has to note new blocks.
constexpr uint64_t kFillBytes = uint64_t{1} << 20;

// Of a position and of a generation: what is counted on from there doesn't overflow.
constexpr uint64_t kMaxCount = uint64_t{1} << 62;

static_assert(kHeadBytes + kClosedHeadBytes + Wal::kMaxPagesBytes <= kCopyBytes);
static_assert(2 * kPlaceBytes <= Wal::kRingStart);

template <typename Number>
Number Little(Number number) {
  if constexpr (sizeof(Number) == 4) return htole32(number);
  return htole64(number);
}

template <typename Number>
void AppendNumber(std::string& out, Number number) {
  const Number little = Little(number);
  out.append(reinterpret_cast<const char*>(&little), sizeof(little));
}

// The bytes are there.
template <typename Number>
Number Read(std::string_view bytes, size_t at) {
  Number number;
  std::memcpy(&number, bytes.data() + at, sizeof(number));
  return Little(number);
}

uint32_t Crc(uint32_t begin, std::string_view bytes) {
  return libdeflate_crc32(begin, bytes.data(), bytes.size());
}

uint64_t WholeBytes(size_t record) {
  return (kRecordBytes + record + 7) / 8 * 8;
}

// Where a record of so many bytes goes that comes next at `position`: there, or at the ring's next
// beginning.
uint64_t PlaceFor(uint64_t position, size_t record) {
  const uint64_t at = position % Wal::kRingBytes;
  const bool fits = at + WholeBytes(record) <= Wal::kRingBytes;
  return fits ? position : position - at + Wal::kRingBytes;
}

bool WriteAll(int file, std::string_view bytes, off_t at) {
  while (!bytes.empty()) {
    const ssize_t written = pwrite(file, bytes.data(), bytes.size(), at);
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
    at += written;
  }
  return true;
}

// Shorter than `size` at the file's end, and no memory is taken for what isn't there.
bool ReadAll(int file, std::string& bytes, size_t size, off_t at) {
  struct stat status {};
  if (fstat(file, &status) != 0) return false;
  size = std::min(size, static_cast<size_t>(std::max<off_t>(0, status.st_size - at)));
  bytes.resize(size);
  size_t have = 0;
  while (have < size) {
    const ssize_t got =
        pread(file, bytes.data() + have, size - have, at + static_cast<off_t>(have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  bytes.resize(have);
  return true;
}

struct Copy {
  uint32_t format = 0;
  uint32_t salt = 0;
  uint64_t generation = 0;
  Wal::Checkpoint checkpoint;
};

std::string Encode(const Copy& copy) {
  std::string rest(kMagic);
  AppendNumber(rest, copy.format);
  AppendNumber(rest, copy.salt);
  AppendNumber(rest, copy.generation);
  AppendNumber(rest, copy.checkpoint.from.position);
  AppendNumber(rest, copy.checkpoint.from.chain);
  AppendNumber(rest, static_cast<uint32_t>(copy.checkpoint.pages.size()));
  rest += copy.checkpoint.pages;
  const uint32_t crc = Crc(0, rest);
  const std::string& closed = copy.checkpoint.closed;
  std::string bytes;
  AppendNumber(bytes, crc);
  bytes += rest;
  if (!closed.empty()) {
    AppendNumber(bytes, Crc(crc, closed));
    AppendNumber(bytes, static_cast<uint32_t>(closed.size()));
    bytes += closed;
  }
  bytes.resize(kCopyBytes);
  return bytes;
}

// What stands behind the pages of a copy with this crc.
std::string DecodeClosed(uint32_t crc, std::string_view bytes) {
  if (bytes.size() < kClosedHeadBytes) return "";
  const auto size = Read<uint32_t>(bytes, 4);
  const std::string_view closed = bytes.substr(kClosedHeadBytes, size);
  if (size == 0 || closed.size() != size || Crc(crc, closed) != Read<uint32_t>(bytes, 0)) return "";
  return std::string(closed);
}

std::optional<Copy> Decode(std::string_view bytes) {
  bytes = bytes.substr(0, kCopyBytes);
  if (bytes.size() < kHeadBytes || bytes.substr(4, kMagic.size()) != kMagic) return std::nullopt;
  const auto pages = Read<uint32_t>(bytes, 36);
  if (pages > bytes.size() - kHeadBytes) return std::nullopt;
  if (Read<uint64_t>(bytes, 16) > kMaxCount || Read<uint64_t>(bytes, 24) > kMaxCount)
    return std::nullopt;
  const uint32_t crc = Crc(0, bytes.substr(4, kHeadBytes - 4 + pages));
  if (crc != Read<uint32_t>(bytes, 0)) return std::nullopt;
  return Copy{.format = Read<uint32_t>(bytes, 8),
              .salt = Read<uint32_t>(bytes, 12),
              .generation = Read<uint64_t>(bytes, 16),
              .checkpoint = {.from = {.position = Read<uint64_t>(bytes, 24),
                                      .chain = Read<uint32_t>(bytes, 32)},
                             .pages = std::string(bytes.substr(kHeadBytes, pages)),
                             .closed = DecodeClosed(crc, bytes.substr(kHeadBytes + pages))}};
}

}  // namespace

base::Status Wal::Failed(std::string_view what) const {
  const int code = errno;
  const auto message = fmt::format("{} {}: {}", what, path_, std::strerror(code));
  return IsDiskFull(code) ? base::ResourceExhaustedError(message) : base::InternalError(message);
}

base::StatusOr<std::unique_ptr<Wal>> Wal::Open(const std::string& path) {
  const int file = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (file < 0 && errno == ENOENT) return Make(path);
  std::unique_ptr<Wal> wal(new Wal(path, file, open(path.c_str(), O_RDWR | O_CLOEXEC)));
  if (file < 0 || wal->head_ < 0) return wal->Failed("opening");
  STRATA_RETURN_IF_ERROR(wal->Load());
  return wal;
}

// Under another name until it is one, so that a log that says nothing is damage.
base::StatusOr<std::unique_ptr<Wal>> Wal::Make(const std::string& path) {
  const std::string unfinished = path + ".new";
  const int file = open(unfinished.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  std::unique_ptr<Wal> wal(new Wal(path, file, open(unfinished.c_str(), O_RDWR | O_CLOEXEC)));
  if (file < 0 || wal->head_ < 0) return wal->Failed("making");
  wal->salt_ = std::random_device{}();
  // Both places, so that no later checkpoint needs room.
  STRATA_RETURN_IF_ERROR(wal->Keep({}));
  STRATA_RETURN_IF_ERROR(wal->Keep({}));
  if (rename(unfinished.c_str(), path.c_str()) != 0) return wal->Failed("making");
  return wal;
}

Wal::~Wal() {
  for (const int file : {file_, head_})
    if (file >= 0) close(file);
}

base::Status Wal::ReadCheckpoint() {
  std::string head;
  if (!ReadAll(file_, head, 2 * kPlaceBytes, 0)) return Failed("reading");
  std::optional<Copy> newest;
  for (size_t at = 0; at < head.size(); at += kCopyBytes) {
    auto copy = Decode(std::string_view(head).substr(at));
    if (copy && (!newest || copy->generation > newest->generation)) newest = std::move(copy);
  }
  if (!newest) {
    return base::DataLossError(fmt::format(
        "{} is no write-ahead log, or is damaged: `strata-storage recover` tells what can be had, "
        "or restore from a snapshot",
        path_));
  }
  if (newest->format != kFormat) {
    return base::FailedPreconditionError(
        fmt::format("{} has format {}, and this program knows format {}: use the version of Strata "
                    "that wrote it",
                    path_, newest->format, kFormat));
  }
  salt_ = newest->salt;
  generation_ = newest->generation;
  opened_ = std::move(newest->checkpoint);
  end_ = before_last_ = opened_.from;
  kept_ = end_.position;
  return base::OkStatus();
}

base::Status Wal::Load() {
  STRATA_RETURN_IF_ERROR(ReadCheckpoint());
  struct stat status {};
  if (fstat(file_, &status) != 0) return Failed("reading");
  filled_ =
      std::min(kRingBytes, static_cast<uint64_t>(std::max<off_t>(0, status.st_size - kRingStart)));
  // It may be in the system's memory alone, if its sync failed: the one before must not be
  // overwritten until it is on the disk.
  return PutCheckpoint(opened_, generation_);
}

base::StatusOr<std::optional<Wal::Record>> Wal::ReadAt(uint64_t position) const {
  const auto place = static_cast<off_t>(position % kRingBytes);
  std::string head;
  if (!ReadAll(file_, head, kRecordBytes, kRingStart + place)) return Failed("reading");
  if (head.size() < kRecordBytes || Read<uint64_t>(head, 16) != position) return std::nullopt;
  const auto size = Read<uint32_t>(head, 8);
  if (size > kMaxRecordBytes || PlaceFor(position, size) != position) return std::nullopt;
  Record record{.crc = Read<uint32_t>(head, 0),
                .chain = Read<uint32_t>(head, 4),
                .kind = static_cast<Kind>(Read<uint32_t>(head, 12)),
                .bytes = {}};
  if (!ReadAll(file_, record.bytes, size, kRingStart + place + static_cast<off_t>(kRecordBytes)))
    return Failed("reading");
  const uint32_t crc = Crc(Crc(salt_, std::string_view(head).substr(4)), record.bytes);
  if (record.bytes.size() < size || crc != record.crc) return std::nullopt;
  return record;
}

// Whether it is what was logged next.
bool Wal::Follows(const std::optional<Record>& record) const {
  return record && record->chain == end_.chain && record->kind == Kind::kChanges;
}

base::StatusOr<bool> Wal::Next(Record& record) {
  const uint64_t around = end_.position - end_.position % kRingBytes + kRingBytes;
  uint64_t position = end_.position;
  STRATA_ASSIGN_OR_RETURN(auto found, ReadAt(position));
  if (!Follows(found)) {
    position = around;
    STRATA_ASSIGN_OR_RETURN(found, ReadAt(position));
  }
  if (!Follows(found)) return false;
  record = *std::move(found);
  before_last_ = end_;
  end_ = {.position = position + WholeBytes(record.bytes.size()), .chain = record.crc};
  return true;
}

base::Status Wal::Replay(absl::FunctionRef<base::Status(std::string_view)> apply) {
  if (opened_.pages.empty()) return base::OkStatus();
  for (Record record;;) {
    STRATA_ASSIGN_OR_RETURN(const bool whole, Next(record));
    if (!whole) break;
    STRATA_RETURN_IF_ERROR(apply(record.bytes));
  }
  STRATA_ASSIGN_OR_RETURN(const auto behind, FindBehind(end_.position));
  if (!behind) return base::OkStatus();
  return base::DataLossError(fmt::format(
      "{} is damaged: the record at {} is unreadable, and what was written after it stands at {}: "
      "`strata-storage recover` tells what can be had, or restore from a snapshot",
      path_, end_.position, *behind));
}

base::StatusOr<Wal::Remains> Wal::Salvage(const std::string& path) {
  Wal wal(path, open(path.c_str(), O_RDONLY | O_CLOEXEC), -1);
  if (wal.file_ < 0) return wal.Failed("opening");
  Remains remains;
  const base::Status read = wal.ReadCheckpoint();
  if (absl::IsDataLoss(read)) return remains;
  STRATA_RETURN_IF_ERROR(read);
  remains.checkpoint = wal.opened_;
  if (wal.opened_.pages.empty()) return remains;
  for (Record record;;) {
    STRATA_ASSIGN_OR_RETURN(const bool whole, wal.Next(record));
    if (whole) {
      remains.records.push_back(std::move(record.bytes));
      continue;
    }
    STRATA_ASSIGN_OR_RETURN(const auto behind, wal.FindBehind(wal.end_.position));
    if (!behind) return remains;
    remains.unreadable.push_back(wal.end_.position);
    STRATA_ASSIGN_OR_RETURN(const auto later, wal.ReadAt(*behind));
    if (!later || later->kind == Kind::kSeal) return remains;
    wal.end_ = {.position = *behind, .chain = later->chain};
  }
}

// The damaged one stands at `position` or at the ring's next beginning, and the one behind it
// begins at the latest where the longest would have ended, or at the ring's beginning.
base::StatusOr<std::optional<uint64_t>> Wal::FindBehind(uint64_t position) const {
  const uint64_t around = position - position % kRingBytes + kRingBytes;
  for (const uint64_t start : {position, around}) {
    const uint64_t ring_end = start - start % kRingBytes + kRingBytes;
    const uint64_t last = std::min(start + WholeBytes(kMaxRecordBytes), ring_end - 8);
    std::string bytes;
    const auto from = static_cast<off_t>(start % kRingBytes);
    if (!ReadAll(file_, bytes, last - start + kRecordBytes, kRingStart + from))
      return Failed("reading");
    for (uint64_t at = start == position ? 8 : 0; at + kRecordBytes <= bytes.size(); at += 8) {
      if (Read<uint64_t>(bytes, at + 16) != start + at) continue;
      STRATA_ASSIGN_OR_RETURN(const auto record, ReadAt(start + at));
      // The seal of what was read before stands where the log ends.
      const bool own_seal = record && record->kind == Kind::kSeal && record->chain == end_.chain;
      if (record && !own_seal) return start + at;
    }
  }
  return std::nullopt;
}

bool Wal::Fits(size_t bytes) const {
  const uint64_t place = PlaceFor(end_.position, bytes);
  return place + WholeBytes(bytes) - kept_.load(std::memory_order_acquire) <= kRingBytes;
}

base::Status Wal::Fill(uint64_t bytes) {
  if (bytes <= filled_) return base::OkStatus();
  const uint64_t wanted = std::min(kRingBytes, (bytes / kFillBytes + 1) * kFillBytes);
  const std::string zeros(kFillBytes, '\0');
  while (filled_ < wanted) {
    const auto part = std::string_view(zeros).substr(0, wanted - filled_);
    if (!WriteAll(file_, part, kRingStart + static_cast<off_t>(filled_))) return Failed("growing");
    filled_ += part.size();
  }
  return base::OkStatus();
}

// Whatever the reason is that it fails, what was written may be there or not.
base::Status Wal::Sync(int file) const {
  if (fdatasync(file) == 0) return base::OkStatus();
  return base::InternalError(fmt::format("syncing {}: {}", path_, std::strerror(errno)));
}

std::string Wal::Framed(Kind kind, uint64_t position, std::string_view record,
                        uint32_t& crc) const {
  std::string bytes;
  bytes.reserve(WholeBytes(record.size()));
  AppendNumber(bytes, uint32_t{0});  // the crc's place
  AppendNumber(bytes, end_.chain);
  AppendNumber(bytes, static_cast<uint32_t>(record.size()));
  AppendNumber(bytes, static_cast<uint32_t>(kind));
  AppendNumber(bytes, position);
  bytes += record;
  crc = Crc(salt_, std::string_view(bytes).substr(sizeof(crc)));
  const uint32_t little = Little(crc);
  std::memcpy(bytes.data(), &little, sizeof(little));
  bytes.resize(WholeBytes(record.size()));
  return bytes;
}

base::Status Wal::Append(std::string_view record) {
  const uint64_t position = PlaceFor(end_.position, record.size());
  const uint64_t place = position % kRingBytes;
  // With its seal, which mustn't lack room when the record has it.
  STRATA_RETURN_IF_ERROR(Fill(place + WholeBytes(record.size()) + kRecordBytes));
  uint32_t crc = 0;
  const std::string bytes = Framed(Kind::kChanges, position, record, crc);
  if (!WriteAll(file_, bytes, kRingStart + static_cast<off_t>(place))) return Failed("writing");
  STRATA_RETURN_IF_ERROR(Sync(file_));
  before_last_ = end_;
  end_ = {.position = position + bytes.size(), .chain = crc};
  return base::OkStatus();
}

base::Status Wal::Seal() {
  if (!Fits(0)) return base::OkStatus();
  const uint64_t position = PlaceFor(end_.position, 0);
  uint32_t crc = 0;
  const std::string seal = Framed(Kind::kSeal, position, {}, crc);
  const auto place = static_cast<off_t>(position % kRingBytes);
  return WriteAll(file_, seal, kRingStart + place) ? base::OkStatus() : Failed("writing");
}

base::Status Wal::TakeBack() {
  const size_t last = end_.position - before_last_.position;
  // The record, and what may lie unused before it.
  const uint64_t at = before_last_.position % kRingBytes;
  const uint64_t place = at + last > kRingBytes ? 0 : at;
  if (!WriteAll(file_, std::string(kRecordBytes, '\0'), kRingStart + static_cast<off_t>(place)))
    return base::InternalError(base::Message(Failed("writing")));
  end_ = before_last_;
  // It has overwritten the seal of the one before.
  if (base::Status sealed = Seal(); !sealed.ok()) return base::InternalError(base::Message(sealed));
  return Sync(file_);
}

base::Status Wal::PutCheckpoint(const Checkpoint& checkpoint, uint64_t generation) {
  const std::string copy = Encode(
      {.format = kFormat, .salt = salt_, .generation = generation, .checkpoint = checkpoint});
  const auto place = static_cast<off_t>(generation % 2 * kPlaceBytes);
  if (!WriteAll(head_, copy + copy, place)) return Failed("writing");
  return Sync(head_);
}

base::Status Wal::Keep(const Checkpoint& checkpoint) {
  STRATA_RETURN_IF_ERROR(PutCheckpoint(checkpoint, generation_ + 1));
  ++generation_;
  kept_.store(checkpoint.from.position, std::memory_order_release);
  return base::OkStatus();
}

}  // namespace strata::engine::tree
