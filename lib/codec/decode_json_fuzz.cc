// Any bytes: DecodeJson must return, and what it accepts must survive a round through protobuf and
// JSON.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "lib/codec/decode_json.h"
#include "lib/codec/encode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "proto/image/image_v1.pb.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using github::com::openshift::api::image::v1::Image;
  Image message;
  if (!strata::codec::DecodeJson({reinterpret_cast<const char*>(data), size}, message).ok())
    return 0;
  const std::string json = strata::codec::EncodeJson(message);
  Image copy;
  if (!copy.ParseFromString(strata::codec::EncodeProtobuf(message))) std::abort();
  if (strata::codec::EncodeJson(copy) != json) std::abort();
  return 0;
}
