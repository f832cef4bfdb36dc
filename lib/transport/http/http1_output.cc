#include "lib/transport/http/http1_output.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace strata::http {
namespace {

// Of a body that flows: what is asked for at a time, and the longest line before it.
constexpr size_t kPieceBytes = 16 << 10;
constexpr size_t kMaxChunkHead = sizeof("4000\r\n") - 1;

// "audit-id" as Go writes it: "Audit-Id".
void AppendCanonical(std::string& out, std::string_view name) {
  bool first = true;
  for (const char c : name) {
    out.push_back(first && c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c);
    first = c == '-';
  }
}

}  // namespace

void Http1Output::Begin(StreamId stream, Response response, Version version, bool is_head,
                        Then then, base::MonotonicTime now) {
  stream_ = stream;
  begun_ = now;
  body_sent_ = 0;
  waits_ = false;
  WriteHead(response, version, is_head, then, now);
  if (is_head || !HasContent(response.status)) {
    body_ = nullptr;
    return;
  }
  body_ = std::move(response.body);
  flow_ = std::move(response.flow);
  chunked_ = version == Version::kHttp11;
}

size_t Http1Output::Produce(std::span<char> buffer) {
  size_t filled = 0;
  const auto copy = [&](const std::string& from, size_t& position) {
    const size_t n = std::min(buffer.size() - filled, from.size() - position);
    std::copy_n(from.data() + position, n, buffer.data() + filled);
    position += n;
    filled += n;
  };
  while (filled < buffer.size()) {
    if (framed_sent_ < framed_.size()) {
      copy(framed_, framed_sent_);
    } else if (bytes_left() > 0) {
      copy(*body_, body_sent_);
    } else if (flow_ != nullptr && !waits_) {
      NextPiece();
    } else {
      break;
    }
  }
  if (!pending()) Forget();
  return filled;
}

// A connection that is kept may be idle for long. A head's memory serves the next one.
void Http1Output::Forget() {
  body_ = nullptr;
  if (framed_.capacity() < kPieceBytes) return;
  std::string().swap(framed_);
  framed_sent_ = 0;
}

void Http1Output::NextPiece() {
  framed_.resize(kMaxChunkHead + kPieceBytes);
  const Body::Piece piece = flow_->Next(std::span(framed_).subspan(kMaxChunkHead, kPieceBytes));
  framed_.resize(kMaxChunkHead + piece.bytes);
  body_sent_ += piece.bytes;
  framed_sent_ = kMaxChunkHead;
  if (chunked_ && piece.bytes > 0) {
    const std::string size = fmt::format("{:x}\r\n", piece.bytes);
    framed_sent_ -= size.size();
    size.copy(framed_.data() + framed_sent_, size.size());
    framed_ += "\r\n";
  }
  if (piece.rest == Body::Rest::kNone) {
    if (chunked_) framed_ += "0\r\n\r\n";
    flow_ = nullptr;
  } else if (piece.rest == Body::Rest::kBroken) {
    // Without a last chunk the client doesn't take what it has for the whole.
    flow_ = nullptr;
    broken_ = true;
  } else {
    waits_ = piece.bytes == 0;
  }
}

void Http1Output::Drop() {
  framed_.clear();
  framed_sent_ = 0;
  body_ = nullptr;
  flow_ = nullptr;
}

void Http1Output::WriteHead(const Response& response, Version version, bool is_head, Then then,
                            base::MonotonicTime now) {
  framed_.clear();
  framed_sent_ = 0;
  framed_ += version == Version::kHttp10 ? "HTTP/1.0 " : "HTTP/1.1 ";
  fmt::format_to(std::back_inserter(framed_), "{} {}\r\n", response.status,
                 ReasonPhrase(response.status));
  for (const Header& header : response.headers) {
    AppendCanonical(framed_, header.name);
    framed_ += ": ";
    const size_t start = framed_.size();
    framed_ += header.value;
    std::replace_if(framed_.begin() + static_cast<std::ptrdiff_t>(start), framed_.end(), IsControl,
                    ' ');
    framed_ += "\r\n";
  }
  framed_ += "Date: ";
  framed_ += date_.At(now);
  if (response.flow != nullptr) {
    if (HasContent(response.status) && !is_head && version == Version::kHttp11)
      framed_ += "\r\nTransfer-Encoding: chunked";
  } else if (HasContent(response.status)) {
    fmt::format_to(std::back_inserter(framed_), "\r\nContent-Length: {}",
                   response.body == nullptr ? 0 : response.body->size());
  }
  if (then == Then::kCloses) {
    framed_ += "\r\nConnection: close";
  } else if (version == Version::kHttp10) {
    framed_ += "\r\nConnection: keep-alive";
  }
  framed_ += "\r\n\r\n";
}

}  // namespace strata::http
