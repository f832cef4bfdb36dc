// Whatever a server sends, in whatever parts, a call ends with an answer or a reason once the
// connection does. The first byte says how the rest is cut, and whether it is frames.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "storage/client/unary_session.h"
#include "test/fuzz/http2_frames.h"
#include "test/fuzz/input.h"

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
  strata::fuzz::Input input(data, size);
  const strata::fuzz::ServerBytes sent = strata::fuzz::ServerBytesOf(input);
  Call(sent.bytes, sent.part);
  return 0;
}
