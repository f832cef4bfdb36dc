// Whatever a server sends, in whatever parts, a request is over once the connection is, and a
// session that is broken says why. The first byte says how the rest is cut, and whether it is
// frames.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/transport/http/http2_client_session.h"
#include "test/fuzz/http2_frames.h"
#include "test/fuzz/input.h"

namespace {

using strata::http::Http2ClientSession;

struct Receiver final : Http2ClientSession::Receiver {
  void OnField(std::string_view, std::string_view) override {}
  void OnBody(std::string_view) override {
    if (++parts == 3) session->Abandon();
  }
  Http2ClientSession* session = nullptr;
  size_t parts = 0;
};

void Ask(std::string_view bytes, size_t part) {
  Receiver receiver;
  Http2ClientSession session("http", "server:80", receiver);
  receiver.session = &session;
  session.Start("POST", "/path", {}, "question");
  session.Produce();
  for (size_t at = 0; at < bytes.size() && session.broken().empty(); at += part) {
    session.Receive(bytes.substr(at, part));
    session.Produce();
    if (session.done() && session.reusable()) session.Start("POST", "/path", {}, "question");
  }
  session.ReceiveEnd();
  if (!session.done() || session.reusable() || session.broken().empty()) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::fuzz::Input input(data, size);
  const strata::fuzz::ServerBytes sent = strata::fuzz::ServerBytesOf(input);
  Ask(sent.bytes, sent.part);
  return 0;
}
