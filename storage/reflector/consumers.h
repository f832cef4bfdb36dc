// Several consumers of one reflector.
#pragma once

#include <utility>
#include <vector>

#include "storage/reflector/events.h"

namespace strata::reflector {

// Each call goes to all of them in their order: who reads of one what another announces comes after
// it.
class Consumers final : public Consumer {
 public:
  explicit Consumers(std::vector<Consumer*> all) : all_(std::move(all)) {}

  void BeginList() override {
    for (Consumer* one : all_) one->BeginList();
  }
  void ListPage(const std::vector<records::Change>& page) override {
    for (Consumer* one : all_) one->ListPage(page);
  }
  void EndList(base::Revision revision) override {
    for (Consumer* one : all_) one->EndList(revision);
  }
  void AbortList() override {
    for (Consumer* one : all_) one->AbortList();
  }
  void Apply(const std::vector<Batch>& batches, base::Revision revision) override {
    for (Consumer* one : all_) one->Apply(batches, revision);
  }
  bool needs_list() override {
    bool any = false;
    for (Consumer* one : all_) any |= one->needs_list();
    return any;
  }

 private:
  const std::vector<Consumer*> all_;
};

}  // namespace strata::reflector
