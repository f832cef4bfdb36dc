#include "storage/tool/restore.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string_view>
#include <system_error>

#include "obs/log.h"
#include "obs/metrics.h"
#include "storage/engine/snapshot.h"
#include "storage/engine/store.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kDigestBytes = 32;
constexpr size_t kPiece = 1 << 20;

base::Status Failed(const std::string& path) {
  return base::UnavailableError(fmt::format("{}: {}", path, std::strerror(errno)));
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

// Copies `size` bytes and checks that the digest behind them is theirs.
base::Status CopyChecked(const File& from, int64_t size, const std::string& name, const File& to,
                         const std::string& target) {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> digest(EVP_MD_CTX_new(),
                                                                       EVP_MD_CTX_free);
  EVP_DigestInit_ex2(digest.get(), EVP_sha256(), nullptr);
  std::string piece(kPiece, '\0');
  for (int64_t done = 0; done < size;) {
    const auto most = std::min<int64_t>(size - done, kPiece);
    const ssize_t got = read(from.get(), piece.data(), static_cast<size_t>(most));
    if (got <= 0) return Failed(name);
    EVP_DigestUpdate(digest.get(), piece.data(), static_cast<size_t>(got));
    if (write(to.get(), piece.data(), static_cast<size_t>(got)) != got) return Failed(target);
    done += got;
  }
  std::array<unsigned char, EVP_MAX_MD_SIZE> own{}, said{};
  EVP_DigestFinal_ex(digest.get(), own.data(), nullptr);
  if (read(from.get(), said.data(), kDigestBytes) != kDigestBytes) return Failed(name);
  if (own != said) {
    return base::DataLossError(fmt::format(
        "{}: its checksum is not that of its content: it was cut or changed; take another", name));
  }
  return fsync(to.get()) == 0 ? base::OkStatus() : Failed(target);
}

base::StatusOr<Restored> Fill(const std::string& file, const std::string& directory,
                              const base::Clock& clock) {
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
  const std::string target = directory + "/" + engine::kStoreFile;
  const File to(target, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);
  STRATA_RETURN_IF_ERROR(to.status());
  STRATA_RETURN_IF_ERROR(CopyChecked(from, size, file, to, target));

  obs::Metrics metrics;
  const auto store = engine::Store::Open(directory, {}, clock, obs::NullLogger(), metrics);
  if (!store.ok()) {
    return base::Error(store.status().code(), fmt::format("{}: no snapshot of this store: {}", file,
                                                          base::Message(store.status())));
  }
  return Restored{(*store)->revision(), size};
}

}  // namespace

base::StatusOr<Restored> Restore(const std::string& file, const std::string& directory,
                                 const base::Clock& clock) {
  std::error_code error;
  const bool existed = fs::exists(directory, error);
  if (existed && !fs::is_empty(directory, error)) {
    return base::FailedPreconditionError(fmt::format(
        "{}: something is in it; restore into a directory that isn't there", directory));
  }
  if (!existed && mkdir(directory.c_str(), 0700) != 0) return Failed(directory);
  auto restored = Fill(file, directory, clock);
  if (!restored.ok()) {
    for (const auto& entry : fs::directory_iterator(directory, error))
      fs::remove(entry.path(), error);
    if (!existed) fs::remove(directory, error);
  }
  return restored;
}

}  // namespace strata::tool
