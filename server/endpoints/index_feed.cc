#include "server/endpoints/index_feed.h"

#include <malloc.h>

#include <string>

namespace strata::endpoints {
namespace {

layers::Change View(const records::Change& change) {
  using From = records::Change::State;
  using To = layers::Change::State;
  return {change.id.kind == records::Kind::kImage ? layers::Change::Kind::kImage
                                                  : layers::Change::Kind::kImageStream,
          change.state == From::kPresent      ? To::kPresent
          : change.state == From::kUnreadable ? To::kUnreadable
                                              : To::kDeleted,
          change.id.ns,
          change.id.name,
          change.revision,
          change.object,
          change.reason};
}

std::vector<layers::Change> Views(const std::vector<records::Change>& changes) {
  std::vector<layers::Change> views;
  views.reserve(changes.size());
  for (const records::Change& change : changes) views.push_back(View(change));
  return views;
}

}  // namespace

void IndexFeed::ListPage(const std::vector<records::Change>& page) {
  index_.AddToList(Views(page));
}

void IndexFeed::EndList(base::Revision revision) {
  index_.EndList(revision);
  malloc_trim(0);  // pages, and what was replaced, left holes in every thread's arena
}

void IndexFeed::AbortList() {
  index_.AbortList();
  malloc_trim(0);
}

void IndexFeed::Apply(const std::vector<reflector::Batch>& batches, base::Revision revision) {
  for (const reflector::Batch& batch : batches) index_.Apply(Views(batch.changes));
  if (batches.empty() || batches.back().revision != revision) index_.Advance(revision);
}

layers::Index::Report ReportTo(const obs::Logger& log) {
  return [&log](const layers::Change& change, std::string_view reason) {
    log.Warning("A record can't be read; only what needs it is affected",
                {{"kind", change.kind == layers::Change::Kind::kImage ? "Image" : "ImageStream"},
                 {"namespace", change.ns},
                 {"name", change.name},
                 {"revision", change.revision},
                 {"reason", reason}});
  };
}

}  // namespace strata::endpoints
