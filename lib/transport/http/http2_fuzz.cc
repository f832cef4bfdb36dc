// A client's bytes as they are, and as frames behind the preface and the client's SETTINGS.
#include <string>

#include "lib/transport/http/session_fuzz.h"
#include "test/fuzz/http2_frames.h"
#include "test/support/http2_bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace strata;
  http::FuzzSession(data, size, http::MakeHttp2Session);
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  std::string framed(input.substr(0, 1));
  framed.append(testing_support::kPreface);
  framed += testing_support::Frame(testing_support::kSettings, 0, 0, "");
  framed += fuzz::Http2Frames(input.substr(1));
  http::FuzzSession(reinterpret_cast<const uint8_t*>(framed.data()), framed.size(),
                    http::MakeHttp2Session);
  return 0;
}
