#include "server/endpoints/record_reader.h"

namespace strata::endpoints {

template <typename Record, typename Present>
base::StatusOr<std::optional<Record>> RecordReader::Read(const records::Id& id,
                                                         const Present& present) {
  STRATA_ASSIGN_OR_RETURN(const auto found, source_.history.Find(id, revision_, deadline_));
  if (!found) {
    absent_.push_back(id);
    return std::optional<Record>();
  }
  Record record;
  if (found->state != records::Change::State::kPresent || !record.ParseFromString(found->object))
    return base::DataLossError(found->reason.empty() ? "it doesn't parse" : found->reason);
  STRATA_RETURN_IF_ERROR(present(found->revision, record));
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
