#include "storage/tool/input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

#include "lib/base/file.h"
#include "storage/records/kinds.h"

namespace strata::tool {
namespace {

namespace fs = std::filesystem;

constexpr size_t kChunk = 256 << 10;
constexpr int kMaxDirectoryDepth = 64;

bool IsManifest(const fs::path& path) {
  fs::path name = path.filename();
  if (name.extension() == ".gz") name = name.stem();
  const fs::path extension = name.extension();
  return extension == ".yaml" || extension == ".yml" || extension == ".json";
}

// What a must-gather wrote: resources in directories by API group, and notes about the gathering
// beside them.
bool IsGathered(const fs::path& directory) {
  std::error_code ignored;
  return directory.filename() == "cluster-scoped-resources" ||
         fs::is_directory(directory / "cluster-scoped-resources", ignored);
}

base::Status FileError(std::string_view path, const std::error_code& error) {
  return base::NotFoundError(fmt::format("{}: {}", path, error.message()));
}

// `gathered`: below a must-gather's directory, but not yet below image.openshift.io.
base::Status Walk(const fs::path& directory, bool gathered, int depth,
                  std::vector<std::string>& files) {
  if (depth > kMaxDirectoryDepth) {
    return base::InvalidArgumentError(
        fmt::format("{}: more than {} directories deep", directory.string(), depth - 1));
  }
  std::error_code error;
  for (const auto& entry : base::ListFolder(directory, error)) {
    std::error_code ignored;  // of a dangling link: it is no file and no directory then
    const fs::path& path = entry.path();
    if (entry.is_directory(ignored)) {
      // Links to directories aren't followed: they can make circles.
      if (entry.is_symlink(ignored)) continue;
      const bool wanted = path.filename().native() == records::kGroup;
      STRATA_RETURN_IF_ERROR(
          Walk(path, (gathered || IsGathered(path)) && !wanted, depth + 1, files));
    } else if (!gathered && entry.is_regular_file(ignored) && IsManifest(path)) {
      files.push_back(path.string());
    }
  }
  if (error) return FileError(directory.string(), error);
  return base::OkStatus();
}

// Undoes gzip, also of several members one after the other, as `cat a.gz b.gz` makes them.
class Gunzip {
 public:
  Gunzip() { ok_ = inflateInit2(&stream_, 15 + 16) == Z_OK; }
  ~Gunzip() { inflateEnd(&stream_); }
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  template <typename Sink>  // base::Status(std::string_view)
  base::Status Feed(std::string_view packed, const Sink& sink) {
    if (!ok_) return base::InternalError("zlib doesn't start");
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
    stream_.avail_in = static_cast<uInt>(packed.size());
    while (stream_.avail_in > 0) {
      if (at_end_) {
        inflateReset(&stream_);
        at_end_ = false;
      }
      do {
        stream_.next_out = reinterpret_cast<Bytef*>(buffer_.data());
        stream_.avail_out = static_cast<uInt>(buffer_.size());
        const int result = inflate(&stream_, Z_NO_FLUSH);
        STRATA_RETURN_IF_ERROR(
            sink(std::string_view(buffer_.data(), buffer_.size() - stream_.avail_out)));
        if (result == Z_STREAM_END) {
          at_end_ = true;
          break;
        }
        if (result == Z_BUF_ERROR) break;  // wants more input
        if (result != Z_OK) return base::DataLossError("gzip: the stream is damaged");
      } while (stream_.avail_out == 0);
    }
    return base::OkStatus();
  }

  base::Status Finish() const {
    return at_end_ ? base::OkStatus() : base::DataLossError("gzip: the stream is cut short");
  }

 private:
  z_stream stream_{};
  bool ok_ = false;
  bool at_end_ = false;
  std::array<char, kChunk> buffer_{};
};

class FileDescriptor {
 public:
  explicit FileDescriptor(const std::string& path)
      : fd_(path == "-" ? STDIN_FILENO : open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~FileDescriptor() {
    if (fd_ > STDIN_FILENO) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

bool IsTar(std::string_view head) {
  return head.size() > 262 && head.substr(257, 5) == "ustar";
}

}  // namespace

base::StatusOr<std::vector<std::string>> ExpandInput(const std::string& argument) {
  if (argument == "-") return std::vector<std::string>{argument};
  std::error_code error;
  const fs::file_status status = fs::status(argument, error);
  if (error) return FileError(argument, error);
  if (!fs::is_directory(status)) return std::vector<std::string>{argument};

  fs::path directory = fs::path(argument);
  if (!directory.has_filename()) directory = directory.parent_path();  // "dir/"
  std::vector<std::string> files;
  STRATA_RETURN_IF_ERROR(Walk(directory, IsGathered(directory), 0, files));
  std::sort(files.begin(), files.end());
  return files;
}

base::Status ReadInput(const std::string& path, size_t limit, Spool& text) {
  const FileDescriptor file(path);
  if (file.get() < 0) return FileError(path, std::error_code(errno, std::generic_category()));

  const std::string name(InputName(path));
  std::string head;  // what a decision about the format waits for
  const auto sink = [&](std::string_view bytes) -> base::Status {
    if (text.size() + bytes.size() > limit) {
      return base::ResourceExhaustedError(fmt::format("more than {} bytes", limit));
    }
    if (head.size() < 512) {
      head.append(bytes.substr(0, 512 - head.size()));
      if (IsTar(head))
        return base::InvalidArgumentError("a tar archive: unpack it, and give the directory");
    }
    return text.Append(bytes);
  };

  std::unique_ptr<Gunzip> gunzip;
  std::string buffer(kChunk, '\0');
  size_t held = 0;
  bool decided = false;
  while (true) {
    const ssize_t got = read(file.get(), buffer.data() + held, buffer.size() - held);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(name, std::error_code(errno, std::generic_category()));
    held += static_cast<size_t>(got);
    if (!decided && held < 2 && got > 0) continue;  // a pipe may bring one byte
    const std::string_view bytes(buffer.data(), held);
    held = 0;
    if (!decided) {
      decided = true;
      if (bytes.starts_with("\x1f\x8b")) gunzip = std::make_unique<Gunzip>();
    }
    const base::Status status = gunzip ? gunzip->Feed(bytes, sink) : sink(bytes);
    if (!status.ok()) return base::Annotate(status, name);
    if (got == 0) break;
  }
  return gunzip ? base::Annotate(gunzip->Finish(), name) : base::OkStatus();
}

}  // namespace strata::tool
