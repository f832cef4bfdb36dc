#include "lib/codec/plan.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

namespace strata::codec {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

FieldPlan MakeField(const FieldDescriptor* field) {
  FieldPlan plan;
  plan.field = field;
  plan.name = field->json_name();
  plan.key = "\"" + plan.name + "\":";
  plan.always = field->options().GetExtension(json::always);
  plan.pointer = field->options().GetExtension(json::pointer);
  plan.omit_zero = field->options().GetExtension(json::omit_zero);
  plan.empty_object = field->options().GetExtension(json::empty_object);
  if (field->message_type() != nullptr)
    plan.form = field->message_type()->options().GetExtension(json::form);
  return plan;
}

std::unique_ptr<const Plan> MakePlan(const Descriptor* type) {
  auto plan = std::make_unique<Plan>();
  plan->form = type->options().GetExtension(json::form);
  plan->protobuf.reserve(static_cast<size_t>(type->field_count()));
  for (int i = 0; i < type->field_count(); ++i) plan->protobuf.push_back(MakeField(type->field(i)));
  std::sort(
      plan->protobuf.begin(), plan->protobuf.end(),
      [](const FieldPlan& a, const FieldPlan& b) { return a.field->number() < b.field->number(); });

  std::vector<const FieldDescriptor*> order;
  for (int i = 0; i < type->options().ExtensionSize(json::order); ++i) {
    order.push_back(type->FindFieldByNumber(type->options().GetExtension(json::order, i)));
  }
  if (order.empty()) {
    for (const FieldPlan& field : plan->protobuf) order.push_back(field.field);
  }
  for (const FieldDescriptor* field : order) {
    if (!field->options().GetExtension(json::inline_)) {
      plan->json.push_back(MakeField(field));
      continue;
    }
    for (int i = 0; i < field->message_type()->field_count(); ++i) {
      plan->json.push_back(MakeField(field->message_type()->field(i)));
      plan->json.back().inside = field;
    }
  }
  for (const FieldPlan& field : plan->json) plan->by_name[field.name] = &field;
  return plan;
}

// Derived from the generated descriptors, which are process-wide themselves; only ever added to.
struct Cache {
  absl::Mutex mu;
  std::unordered_map<const Descriptor*, std::unique_ptr<const Plan>> plans ABSL_GUARDED_BY(mu);
};

Cache& PlanCache() {
  static Cache* const cache = new Cache;
  return *cache;
}

}  // namespace

const Plan& PlanOf(const Descriptor* type) {
  Cache& cache = PlanCache();
  {
    absl::ReaderMutexLock lock(&cache.mu);
    const auto found = cache.plans.find(type);
    if (found != cache.plans.end()) return *found->second;
  }
  absl::MutexLock lock(&cache.mu);
  auto& plan = cache.plans[type];
  if (plan == nullptr) plan = MakePlan(type);
  return *plan;
}

std::vector<const google::protobuf::Message*> SortedEntries(
    const google::protobuf::Message& message, const FieldDescriptor* map) {
  std::vector<std::pair<std::string, const google::protobuf::Message*>> entries;
  const auto* reflection = message.GetReflection();
  const FieldDescriptor* key = map->message_type()->map_key();
  for (int i = 0; i < reflection->FieldSize(message, map); ++i) {
    const google::protobuf::Message& entry = reflection->GetRepeatedMessage(message, map, i);
    entries.emplace_back(entry.GetReflection()->GetString(entry, key), &entry);
  }
  std::sort(entries.begin(), entries.end());
  std::vector<const google::protobuf::Message*> sorted;
  sorted.reserve(entries.size());
  for (const auto& [name, entry] : entries) sorted.push_back(entry);
  return sorted;
}

int64_t SecondsOf(const google::protobuf::Message& time) {
  return time.GetReflection()->GetInt64(time, time.GetDescriptor()->FindFieldByNumber(1));
}

bool IsZeroTime(const google::protobuf::Message& time) {
  constexpr int64_t kYearOne = -62'135'596'800;
  const auto* reflection = time.GetReflection();
  const FieldDescriptor* nanos = time.GetDescriptor()->FindFieldByNumber(2);
  if (!reflection->HasField(time, time.GetDescriptor()->FindFieldByNumber(1)))
    return !reflection->HasField(time, nanos);
  return SecondsOf(time) == kYearOne;
}

}  // namespace strata::codec
