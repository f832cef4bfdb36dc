#include "lib/transport/http/session_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  strata::http::FuzzSession(data, size, strata::http::MakeHttp1Session);
  return 0;
}
