// Whatever a server sends, in whatever parts, as it is and as frames, a call ends with an answer or
// a reason once the connection does.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "storage/client/unary_session.h"
#include "test/fuzz/http2_frames.h"

namespace {

void Call(std::string_view bytes, size_t part) {
  using namespace strata;
  client::UnarySession session("http", "etcd:2379");
  session.Start({.path = "/etcdserverpb.KV/Range", .message = "question"},
                std::chrono::milliseconds(5000));
  session.Produce();
  for (size_t at = 0; at < bytes.size() && !session.done(); at += part) {
    session.Receive(bytes.substr(at, part));
    session.Produce();
  }
  if (!session.done()) session.ReceiveEnd();
  if (!session.done()) std::abort();
  const auto answer = session.TakeAnswer();
  if (!answer.ok() && answer.status().code() == base::StatusCode::kOk) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  for (const size_t part : {size_t{1}, size_t{13}, size + 1}) Call(bytes, part);
  const std::string framed =
      std::string("\0\0\0\4\0\0\0\0\0", 9) + strata::fuzz::Http2Frames(bytes);
  Call(framed, framed.size());
  return 0;
}
