// Carries what the reflector hears of the backend into the layers index.
#pragma once

#include <vector>

#include "lib/obs/log.h"
#include "server/layers/index.h"
#include "storage/reflector/events.h"

namespace strata::endpoints {

// On the reflector's threads, as its consumer.
class IndexFeed final : public reflector::Consumer {
 public:
  explicit IndexFeed(layers::Index& index) : index_(index) {}

  void BeginList() override { index_.BeginList(); }
  void ListPage(const std::vector<records::Change>& page) override;
  void EndList(base::Revision revision) override;
  void AbortList() override;
  void Apply(const std::vector<reflector::Batch>& batches, base::Revision revision) override;

 private:
  layers::Index& index_;
};

// For layers::Index: an unreadable record in the log, once each time that it is found.
layers::Index::Report ReportTo(const obs::Logger& log);

}  // namespace strata::endpoints
