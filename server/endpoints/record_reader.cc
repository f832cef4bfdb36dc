#include "server/endpoints/record_reader.h"

#include "storage/records/record.h"

namespace strata::endpoints {

template <typename Record, typename Present>
base::StatusOr<std::optional<Record>> RecordReader::Read(const records::Id& id,
                                                         const Present& present) {
  STRATA_ASSIGN_OR_RETURN(
      const client::RangeResult found,
      source_.client.Range(
          {.key = source_.keys.KeyOf(id), .revision = revision_, .traceparent = traceparent_},
          deadline_));
  if (revision_ == 0) revision_ = found.revision;
  if (found.kvs.empty()) return std::optional<Record>();
  const client::KeyValue& stored = found.kvs.front();
  const records::Change change = records::Decode(id, stored.value, stored.mod_revision);
  Record record;
  if (change.state != records::Change::State::kPresent || !record.ParseFromString(change.object))
    return base::DataLossError(change.reason.empty() ? "it doesn't parse" : change.reason);
  STRATA_RETURN_IF_ERROR(present(stored.mod_revision, record));
  return record;
}

base::StatusOr<std::optional<image::v1::ImageStream>> RecordReader::Stream(
    const std::string& ns, const std::string& name) {
  return Read<image::v1::ImageStream>({records::Kind::kImageStream, ns, name},
                                      [this](base::Revision revision, auto& stream) {
                                        image::Present(source_.registry, revision, stream);
                                        return base::OkStatus();
                                      });
}

base::StatusOr<std::optional<image::v1::ImageStream>> RecordReader::StoredStream(
    const std::string& ns, const std::string& name) {
  return Read<image::v1::ImageStream>({records::Kind::kImageStream, ns, name},
                                      [](base::Revision revision, auto& stream) {
                                        image::PresentStored(revision, stream);
                                        return base::OkStatus();
                                      });
}

base::StatusOr<std::optional<image::v1::Image>> RecordReader::Image(const std::string& name) {
  return Read<image::v1::Image>(
      {records::Kind::kImage, "", name},
      [](base::Revision revision, auto& image) { return image::Present(revision, image); });
}

}  // namespace strata::endpoints
