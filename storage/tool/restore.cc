#include "storage/tool/restore.h"

#include <absl/strings/numbers.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <google/protobuf/io/coded_stream.h>
#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <span>
#include <string_view>

#include "lib/base/owned.h"
#include "proto/etcd/kv.pb.h"
#include "storage/engine/data_dir.h"
#include "storage/engine/import.h"
#include "storage/engine/store.h"
#include "storage/tool/aside.h"
#include "storage/tool/bolt.h"

namespace strata::tool {
namespace {

constexpr int64_t kDigestBytes = 32;
constexpr size_t kPiece = 1 << 20;

base::Status Failed(const std::string& path) {
  return base::UnavailableError(fmt::format("{}: {}", path, std::strerror(errno)));
}

base::Status WrongChecksum(const std::string& path) {
  return base::DataLossError(fmt::format(
      "{}: its checksum is not that of its content: it was cut or changed; take another", path));
}

class File {
 public:
  File(const std::string& path, int flags) : path_(path), file_(open(path.c_str(), flags, 0600)) {}
  ~File() {
    if (file_ >= 0) close(file_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  base::Status status() const { return file_ >= 0 ? base::OkStatus() : Failed(path_); }
  int get() const { return file_; }

 private:
  const std::string path_;
  const int file_;
};

base::Status ReadAll(const File& from, std::span<char> bytes, const std::string& name) {
  while (!bytes.empty()) {
    const ssize_t got = read(from.get(), bytes.data(), bytes.size());
    if (got < 0) return Failed(name);
    if (got == 0) return base::DataLossError(fmt::format("{}: it was cut while it was read", name));
    bytes = bytes.subspan(static_cast<size_t>(got));
  }
  return base::OkStatus();
}

base::Status WriteAll(const File& to, std::string_view bytes, const std::string& target) {
  while (!bytes.empty()) {
    const ssize_t put = write(to.get(), bytes.data(), bytes.size());
    if (put < 0) return Failed(target);
    bytes.remove_prefix(static_cast<size_t>(put));
  }
  return base::OkStatus();
}

// Copies `size` bytes and checks that the digest behind them is theirs.
base::Status CopyChecked(const File& from, int64_t size, const std::string& name, const File& to,
                         const std::string& target) {
  const base::Owned<EVP_MD_CTX, EVP_MD_CTX_free> digest(EVP_MD_CTX_new());
  EVP_DigestInit_ex2(digest.get(), EVP_sha256(), nullptr);
  std::string piece(kPiece, '\0');
  for (int64_t done = 0; done < size;) {
    const auto most = std::min<int64_t>(size - done, kPiece);
    const std::span<char> wanted(piece.data(), static_cast<size_t>(most));
    STRATA_RETURN_IF_ERROR(ReadAll(from, wanted, name));
    EVP_DigestUpdate(digest.get(), wanted.data(), wanted.size());
    STRATA_RETURN_IF_ERROR(WriteAll(to, {wanted.data(), wanted.size()}, target));
    done += most;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> own{};
  std::array<char, kDigestBytes> said{};
  EVP_DigestFinal_ex(digest.get(), own.data(), nullptr);
  STRATA_RETURN_IF_ERROR(ReadAll(from, said, name));
  if (std::memcmp(own.data(), said.data(), said.size()) != 0) return WrongChecksum(name);
  return fsync(to.get()) == 0 ? base::OkStatus() : Failed(target);
}

// Bytes of a file, read-only.
class Mapping {
 public:
  Mapping(const File& file, int64_t size)
      : size_(static_cast<size_t>(size)),
        bytes_(mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0)) {}
  ~Mapping() {
    if (bytes_ != MAP_FAILED) munmap(bytes_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  bool ok() const { return bytes_ != MAP_FAILED; }
  std::string_view bytes() const { return {static_cast<const char*>(bytes_), size_}; }

 private:
  const size_t size_;
  void* const bytes_;
};

int64_t BigEndian(std::string_view bytes) {
  uint64_t number = 0;
  for (const char c : bytes.substr(0, 8)) number = number << 8 | static_cast<unsigned char>(c);
  return static_cast<int64_t>(number);
}

// etcd's keys of its history: revision, '_', number within it, and 't' if it is a deletion
// (server/storage/mvcc/revision.go).
constexpr size_t kRevisionBytes = 17;
using engine::kMostRevision;

// What protobuf takes; no etcd takes writes of that size.
bool IsReadable(std::string_view value) {
  return value.size() <= static_cast<size_t>(std::numeric_limits<int>::max());
}

base::Status ImportChange(std::string_view key, std::string_view value, engine::Import& import) {
  const bool deleted = key.size() == kRevisionBytes + 1 && key.back() == 't';
  if ((key.size() != kRevisionBytes && !deleted) || BigEndian(key) < 1 ||
      BigEndian(key) > kMostRevision)
    return base::DataLossError("a revision of another form");
  mvccpb::KeyValue kv;
  if (!IsReadable(value) || !kv.ParseFromArray(value.data(), static_cast<int>(value.size())))
    return base::DataLossError(fmt::format("revision {} can't be read", BigEndian(key)));
  engine::KeyValue change;
  change.key = kv.key();
  change.mod_revision = BigEndian(key);
  if (deleted) return import.Add(change);
  change.value = std::move(*kv.mutable_value());
  if (kv.create_revision() > kMostRevision || kv.version() > kMostRevision)
    return base::DataLossError(fmt::format("revision {} is of another form", BigEndian(key)));
  change.create_revision = kv.create_revision();
  change.version = kv.version();
  change.lease = kv.lease();
  return import.Add(change);
}

// leasepb.Lease: ID = 1, TTL = 2.
base::Status ImportLease(std::string_view key, std::string_view value, engine::Import& import) {
  int64_t ttl = 0;
  if (!IsReadable(value)) return base::DataLossError("a lease of another form");
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(value.data()),
                                            static_cast<int>(value.size()));
  while (const uint32_t tag = in.ReadTag()) {
    uint64_t number = 0;
    if ((tag & 7) != 0 || !in.ReadVarint64(&number)) break;
    if (tag >> 3 == 2) ttl = static_cast<int64_t>(number);
  }
  if (key.size() != 8 || ttl <= 0) return base::DataLossError("a lease of another form");
  return import.AddLease(BigEndian(key), ttl);
}

base::StatusOr<base::Revision> ImportEtcd(const File& from, int64_t size, const std::string& file,
                                          const std::string& directory) {
  const Mapping mapping(from, size + kDigestBytes);
  if (!mapping.ok()) return Failed(file);
  const std::string_view bytes = mapping.bytes().substr(0, static_cast<size_t>(size));
  std::array<unsigned char, EVP_MAX_MD_SIZE> own{};
  EVP_Digest(bytes.data(), bytes.size(), own.data(), nullptr, EVP_sha256(), nullptr);
  if (std::memcmp(own.data(), mapping.bytes().data() + size, kDigestBytes) != 0)
    return WrongChecksum(file);

  const auto named = [&](const base::Status& status) { return base::Annotate(status, file); };
  auto bolt = Bolt::Open(bytes);
  if (!bolt.ok()) return named(bolt.status());
  STRATA_ASSIGN_OR_RETURN(auto import, engine::Import::Create(directory));
  STRATA_RETURN_IF_ERROR(
      named(bolt->ForEach("key", [&](std::string_view key, std::string_view value) {
        return ImportChange(key, value, *import);
      })));
  const base::Status leases =
      bolt->ForEach("lease", [&](std::string_view key, std::string_view value) {
        return ImportLease(key, value, *import);
      });
  if (!leases.ok() && !absl::IsNotFound(leases)) return named(leases);
  base::Revision compacted = 0;
  STRATA_RETURN_IF_ERROR(
      named(bolt->ForEach("meta", [&](std::string_view key, std::string_view value) {
        // A compaction that was begun refuses older reads, whether it came to its end or not.
        if ((key == "scheduledCompactRev" || key == "finishedCompactRev") && value.size() >= 8)
          compacted = std::clamp(BigEndian(value), compacted, kMostRevision);
        return base::OkStatus();
      })));
  return import->Finish(compacted);
}

// What `look` gives, in a process of its own: LMDB believes what its pages say, and those of a
// hostile file can end the process that reads them, as can a mapped file that is cut meanwhile or
// whose disk fails. That is `damaged`.
base::StatusOr<base::Revision> Apart(const std::function<base::StatusOr<base::Revision>()>& look,
                                     const std::string& damaged) {
  std::array<int, 2> ends{};
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return Failed("pipe");
  const pid_t child = fork();
  if (child == 0) {
    const auto found = look();
    const std::string said = found.ok()
                                 ? fmt::format("+{}", *found)
                                 : fmt::format("{} {}", static_cast<int>(found.status().code()),
                                               base::Message(found.status()));
    _exit(write(ends[1], said.data(), said.size()) < 0 ? 1 : 0);
  }
  const int error = errno;
  close(ends[1]);
  std::string said;
  std::array<char, 1024> piece{};
  for (ssize_t got = 0; (got = read(ends[0], piece.data(), piece.size())) > 0;)
    said.append(piece.data(), static_cast<size_t>(got));
  close(ends[0]);
  if (child < 0) return base::UnavailableError(fmt::format("fork: {}", std::strerror(error)));
  while (waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
  base::Revision revision = 0;
  if (said.starts_with('+') && absl::SimpleAtoi(said.substr(1), &revision)) return revision;
  const size_t space = said.find(' ');
  int code = 0;
  if (space == std::string::npos || !absl::SimpleAtoi(said.substr(0, space), &code))
    return base::DataLossError(damaged);
  return base::Error(static_cast<base::StatusCode>(code), said.substr(space + 1));
}

base::StatusOr<Restored> Fill(const std::string& file, const std::string& directory,
                              const RestoreOptions& options, const base::Clock& clock) {
  const File from(file, O_RDONLY | O_CLOEXEC);
  STRATA_RETURN_IF_ERROR(from.status());
  struct stat status {};
  if (fstat(from.get(), &status) != 0) return Failed(file);
  const int64_t size = static_cast<int64_t>(status.st_size) - kDigestBytes;
  // Whole pages, and a digest behind them.
  if (size <= 0 || size % 512 != 0) {
    return base::DataLossError(
        fmt::format("{}: no snapshot, or one that was cut: there is no checksum at its end", file));
  }
  std::array<char, 64> head{};
  if (pread(from.get(), head.data(), head.size(), 0) < 0) return Failed(file);
  if (IsBolt({head.data(), head.size()})) {
    STRATA_RETURN_IF_ERROR(Apart([&] { return ImportEtcd(from, size, file, directory); },
                                 fmt::format("{}: its pages can't be read", file))
                               .status());
    STRATA_ASSIGN_OR_RETURN(const auto at, engine::Refound(directory, options.bump_revision));
    STRATA_RETURN_IF_ERROR(OpenAndVerify(directory, clock));
    return Restored{at, size};
  }
  const std::string target = directory + "/" + engine::kStoreFile;
  const File to(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
  STRATA_RETURN_IF_ERROR(to.status());
  STRATA_RETURN_IF_ERROR(CopyChecked(from, size, file, to, target));

  const auto revision = Apart(
      [&]() -> base::StatusOr<base::Revision> {
        STRATA_RETURN_IF_ERROR(OpenAndVerify(directory, clock));
        STRATA_ASSIGN_OR_RETURN(const auto at, engine::Refound(directory, options.bump_revision));
        // What was written has put the other of LMDB's two head pages in force.
        STRATA_RETURN_IF_ERROR(OpenAndVerify(directory, clock));
        return at;
      },
      "its pages are damaged");
  // What isn't the snapshot's fault is the disk's.
  if (absl::IsInternal(revision.status()) || absl::IsResourceExhausted(revision.status()))
    return base::Annotate(revision.status(), directory);
  if (!revision.ok()) {
    return base::Error(
        revision.status().code(),
        fmt::format("{}: no snapshot of this store: {}", file, base::Message(revision.status())));
  }
  return Restored{*revision, size};
}

}  // namespace

base::StatusOr<Restored> Restore(const std::string& file, const std::string& directory,
                                 const RestoreOptions& options, const base::Clock& clock) {
  Restored restored;
  STRATA_RETURN_IF_ERROR(MakeAside(directory, [&](const std::string& aside) -> base::Status {
    STRATA_ASSIGN_OR_RETURN(restored, Fill(file, aside, options, clock));
    return base::OkStatus();
  }));
  return restored;
}

}  // namespace strata::tool
