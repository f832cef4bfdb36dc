#include "storage/tool/output.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "storage/engine/tree/disk.h"

namespace strata::tool {
namespace {

base::Status Failed(const std::string& path) {
  return base::ResourceExhaustedError(fmt::format("{}: {}", path, std::strerror(errno)));
}

}  // namespace

class Output::Gzip {
 public:
  Gzip()
      : ok_(deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8,
                         Z_DEFAULT_STRATEGY) == Z_OK) {}
  ~Gzip() { deflateEnd(&stream_); }
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  template <typename Sink>  // base::Status(std::string_view)
  base::Status Feed(std::string_view bytes, int flush, const Sink& sink) {
    if (!ok_) return base::InternalError("zlib doesn't start");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = static_cast<uInt>(bytes.size());
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
      stream_.avail_out = static_cast<uInt>(buffer_.size());
      deflate(&stream_, flush);
      STRATA_RETURN_IF_ERROR(
          sink(std::string_view(buffer_.data(), buffer_.size() - stream_.avail_out)));
    } while (stream_.avail_out == 0);
    return base::OkStatus();
  }

 private:
  z_stream stream_{};
  const bool ok_;
  std::string buffer_ = std::string(64 << 10, '\0');
};

Output::Output(std::FILE* file, bool gzip)
    : file_(file), gzip_(gzip ? std::make_unique<Gzip>() : nullptr) {}

Output::~Output() = default;

base::Status Output::Write(std::string_view bytes) {
  if (gzip_ == nullptr) return WriteRaw(bytes);
  return gzip_->Feed(bytes, Z_NO_FLUSH,
                     [this](std::string_view packed) { return WriteRaw(packed); });
}

base::Status Output::Finish() {
  if (gzip_ != nullptr) {
    STRATA_RETURN_IF_ERROR(
        gzip_->Feed({}, Z_FINISH, [this](std::string_view packed) { return WriteRaw(packed); }));
  }
  if (std::fflush(file_) != 0)
    return base::ResourceExhaustedError(fmt::format("output: {}", std::strerror(errno)));
  return base::OkStatus();
}

base::Status Output::WriteRaw(std::string_view bytes) {
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_) == bytes.size()) return base::OkStatus();
  return base::ResourceExhaustedError(fmt::format("output: {}", std::strerror(errno)));
}

base::StatusOr<std::unique_ptr<OutputFile>> OutputFile::Make(const std::string& path) {
  struct stat status {};
  const bool regular = lstat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode);
  std::string beside = regular ? path + ".new" : "";
  if (regular) unlink(beside.c_str());  // of a dump that was cut off
  const int file = regular ? open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                           : open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) return Failed(path);
  std::FILE* const stream = fdopen(file, "wb");
  if (stream == nullptr) {
    close(file);
    return base::ResourceExhaustedError("there is no memory");
  }
  return std::unique_ptr<OutputFile>(new OutputFile(path, std::move(beside), stream));
}

OutputFile::OutputFile(std::string path, std::string beside, std::FILE* stream)
    : path_(std::move(path)), beside_(std::move(beside)), stream_(stream) {}

OutputFile::~OutputFile() {
  if (stream_ != nullptr) std::fclose(stream_);
  if (!beside_.empty()) unlink(beside_.c_str());
}

base::Status OutputFile::Keep() {
  if (std::fflush(stream_) != 0) return Failed(path_);
  if (!beside_.empty() && fsync(fileno(stream_)) != 0) return Failed(path_);
  if (std::fclose(std::exchange(stream_, nullptr)) != 0) return Failed(path_);
  if (beside_.empty()) return base::OkStatus();
  if (rename(beside_.c_str(), path_.c_str()) != 0) return Failed(path_);
  beside_.clear();
  const std::string directory = std::filesystem::path(path_).parent_path();
  return engine::tree::SyncDirectory(directory.empty() ? "." : directory);
}

}  // namespace strata::tool
