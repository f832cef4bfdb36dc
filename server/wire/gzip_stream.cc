#include "server/wire/gzip_stream.h"

#include <zlib.h>

#include <array>
#include <new>

namespace strata::wire {
namespace {

constexpr int kLevel = 1;
constexpr int kGzipWindow = 15 + 16;  // the largest; 16: with gzip's head
constexpr int kMemory = 8;            // zlib's default

}  // namespace

struct GzipStream::State {
  z_stream stream{};
};

GzipStream::GzipStream() : state_(std::make_unique<State>()) {
  if (deflateInit2(&state_->stream, kLevel, Z_DEFLATED, kGzipWindow, kMemory, Z_DEFAULT_STRATEGY) !=
      Z_OK)
    throw std::bad_alloc();
}

GzipStream::~GzipStream() {
  deflateEnd(&state_->stream);
}

std::string GzipStream::Write(std::string_view bytes) {
  return Deflate(bytes, Z_NO_FLUSH);
}

std::string GzipStream::Finish() {
  return Deflate({}, Z_FINISH);
}

std::string GzipStream::Deflate(std::string_view bytes, int flush) {
  z_stream& stream = state_->stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  std::array<char, 16 << 10> piece;
  do {
    stream.next_out = reinterpret_cast<Bytef*>(piece.data());
    stream.avail_out = piece.size();
    deflate(&stream, flush);  // can't fail: it has room, and is used as it was set up
    out.append(piece.data(), piece.size() - stream.avail_out);
  } while (stream.avail_out == 0);
  return out;
}

}  // namespace strata::wire
