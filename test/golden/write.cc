// strata-golden-write HOST:PORT: changes records as somebody asks for it, line by line. Each line
// of stdin is answered by one of stdout, the revision that it made:
//
//   put OBJECT       an Image or ImageStream, JSON, as an answer shows it; stored as
//                    openshift-apiserver stores it
//   delete OBJECT    of which only kind, namespace and name count
//   compact          what there was until now is history nobody can read; as kube-apiserver's
//                    compactor does it, by writes of its own
#include <fmt/format.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>

#include "lib/base/revision.h"
#include "lib/base/status.h"
#include "lib/codec/decode_json.h"
#include "lib/codec/encode_protobuf.h"
#include "proto/etcd/rpc.grpc.pb.h"
#include "proto/image/image_v1.pb.h"
#include "storage/records/keys.h"
#include "storage/records/record.h"

namespace strata {
namespace {

namespace image_v1 = ::github::com::openshift::api::image::v1;

constexpr std::chrono::seconds kTimeout{30};
constexpr char kFiller[] = "/filler";
constexpr char kCompactorsKey[] = "compact_rev_key";

struct Record {
  std::string key;
  std::string value;
};

// Go's encoder ends it with a newline, which JSON inside JSON loses.
void EndMetadata(image_v1::Image& image) {
  if (image.has_docker_image_metadata())
    image.mutable_docker_image_metadata()->mutable_raw()->push_back('\n');
}
void EndMetadata(image_v1::ImageStream&) {}

template <typename Message>
base::StatusOr<Record> ToRecord(records::Kind kind, std::string_view json) {
  Message message;
  STRATA_RETURN_IF_ERROR(codec::DecodeJson(json, message).status());
  message.mutable_metadata()->clear_resource_version();
  EndMetadata(message);
  const auto& metadata = message.metadata();
  return Record{records::Keys("openshift.io").KeyOf({kind, metadata.namespace_(), metadata.name()}),
                records::Encode(kind, codec::EncodeProtobuf(message))};
}

base::StatusOr<Record> ParseObject(std::string_view json) {
  STRATA_ASSIGN_OR_RETURN(const codec::DecodedType type, codec::DecodeType(json));
  const auto kind = records::KindNamed(type.kind);
  if (!kind) return base::InvalidArgumentError("no record is a " + type.kind);
  return *kind == records::Kind::kImage ? ToRecord<image_v1::Image>(*kind, json)
                                        : ToRecord<image_v1::ImageStream>(*kind, json);
}

class Writer {
 public:
  explicit Writer(const std::string& target)
      : stub_(etcdserverpb::KV::NewStub(
            grpc::CreateChannel(target, grpc::InsecureChannelCredentials()))) {}

  base::StatusOr<base::Revision> Do(std::string_view line) {
    const size_t space = line.find(' ');
    const std::string_view verb = line.substr(0, space);
    if (verb == "compact") return Compact();
    if (space == line.npos) return base::InvalidArgumentError("a line isn't VERB OBJECT");
    STRATA_ASSIGN_OR_RETURN(const Record record, ParseObject(line.substr(space + 1)));
    if (verb == "put") return Put(record);
    if (verb == "delete") return Delete(record.key);
    return base::InvalidArgumentError(fmt::format("{} is no verb", verb));
  }

 private:
  base::StatusOr<base::Revision> Put(const Record& record) {
    etcdserverpb::PutRequest request;
    request.set_key(record.key);
    request.set_value(record.value);
    return Call<etcdserverpb::PutResponse>(request, &etcdserverpb::KV::Stub::Put);
  }

  base::StatusOr<base::Revision> Delete(const std::string& key) {
    etcdserverpb::DeleteRangeRequest request;
    request.set_key(key);
    return Call<etcdserverpb::DeleteRangeResponse>(request, &etcdserverpb::KV::Stub::DeleteRange);
  }

  base::StatusOr<base::Revision> Compact() {
    STRATA_RETURN_IF_ERROR(Put({.key = kFiller, .value = "x"}).status());
    STRATA_ASSIGN_OR_RETURN(const base::Revision revision, Put({.key = kFiller, .value = "x"}));
    STRATA_RETURN_IF_ERROR(
        Put({.key = kCompactorsKey, .value = std::to_string(revision)}).status());
    etcdserverpb::CompactionRequest request;
    request.set_revision(revision);
    request.set_physical(true);
    return Call<etcdserverpb::CompactionResponse>(request, &etcdserverpb::KV::Stub::Compact);
  }

  template <typename Response, typename Request, typename Method>
  base::StatusOr<base::Revision> Call(const Request& request, Method method) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kTimeout);
    Response response;
    if (const auto status = (stub_.get()->*method)(&context, request, &response); !status.ok())
      return base::UnavailableError(status.error_message());
    return response.header().revision();
  }

  const std::unique_ptr<etcdserverpb::KV::Stub> stub_;
};

int Run(const std::string& target) {
  Writer writer(target);
  for (std::string line; std::getline(std::cin, line);) {
    const base::StatusOr<base::Revision> revision = writer.Do(line);
    if (!revision.ok()) {
      fmt::print(stderr, "strata-golden-write: {}\n", base::Message(revision.status()));
      return 1;
    }
    fmt::print("{}\n", *revision);
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace
}  // namespace strata

int main(int argc, char** argv) {
  if (argc == 2) return strata::Run(argv[1]);
  std::fputs("usage: strata-golden-write HOST:PORT <LINES\n", stderr);
  return 2;
}
