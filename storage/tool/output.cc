#include "storage/tool/output.h"

#include <fmt/format.h>
#include <zlib.h>

#include <cerrno>
#include <cstring>

namespace strata::tool {

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

}  // namespace strata::tool
