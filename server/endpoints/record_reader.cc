#include "server/endpoints/record_reader.h"

#include "storage/records/record.h"

namespace strata::endpoints {

template <typename Record>
base::StatusOr<std::optional<Record>> RecordReader::Read(const records::Id& id,
                                                         base::Revision& modified) {
  STRATA_ASSIGN_OR_RETURN(
      const client::RangeResult found,
      source_.client.Range(
          {.key = source_.keys.KeyOf(id), .revision = revision_, .traceparent = traceparent_},
          deadline_));
  if (revision_ == 0) revision_ = found.revision;
  if (found.kvs.empty()) return std::optional<Record>();
  const client::KeyValue& stored = found.kvs.front();
  modified = stored.mod_revision;
  const records::Change change = records::Decode(id, stored.value, stored.mod_revision);
  Record record;
  if (change.state == records::Change::State::kPresent && record.ParseFromString(change.object))
    return record;
  return base::DataLossError(change.reason.empty() ? "it doesn't parse" : change.reason);
}

base::StatusOr<std::optional<image::v1::ImageStream>> RecordReader::Stream(
    const std::string& ns, const std::string& name) {
  base::Revision modified = 0;
  STRATA_ASSIGN_OR_RETURN(
      std::optional<image::v1::ImageStream> stream,
      Read<image::v1::ImageStream>({records::Kind::kImageStream, ns, name}, modified));
  if (stream) image::Present(source_.registry, modified, *stream);
  return stream;
}

base::StatusOr<std::optional<image::v1::ImageStream>> RecordReader::StoredStream(
    const std::string& ns, const std::string& name) {
  base::Revision modified = 0;
  STRATA_ASSIGN_OR_RETURN(
      std::optional<image::v1::ImageStream> stream,
      Read<image::v1::ImageStream>({records::Kind::kImageStream, ns, name}, modified));
  if (stream) image::PresentStored(modified, *stream);
  return stream;
}

base::StatusOr<std::optional<image::v1::Image>> RecordReader::Image(const std::string& name) {
  base::Revision modified = 0;
  STRATA_ASSIGN_OR_RETURN(std::optional<image::v1::Image> image,
                          Read<image::v1::Image>({records::Kind::kImage, "", name}, modified));
  if (image) STRATA_RETURN_IF_ERROR(image::Present(modified, *image));
  return image;
}

}  // namespace strata::endpoints
