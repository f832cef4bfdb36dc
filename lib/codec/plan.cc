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

const google::protobuf::Reflection* ReflectionOf(const Descriptor* type) {
  return google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->GetReflection();
}

FieldPlan MakeField(const FieldDescriptor* field) {
  FieldPlan plan;
  plan.field = field;
  plan.reflection = ReflectionOf(field->containing_type());
  plan.name = field->json_name();
  plan.key = "\"" + plan.name + "\":";
  plan.always = field->options().GetExtension(json::always);
  plan.pointer = field->options().GetExtension(json::pointer);
  plan.omit_zero = field->options().GetExtension(json::omit_zero);
  plan.empty_object = field->options().GetExtension(json::empty_object);
  return plan;
}

std::unique_ptr<Plan> MakePlan(const Descriptor* type) {
  auto plan = std::make_unique<Plan>();
  plan->form = type->options().GetExtension(json::form);
  plan->reflection = ReflectionOf(type);
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
  // With the plans of the types inside, which may hold this one.
  const Plan* Make(const Descriptor* type) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) {
    const auto [place, is_new] = plans.try_emplace(type);
    if (!is_new) return place->second.get();
    Plan* const plan = (place->second = MakePlan(type)).get();
    for (auto* fields : {&plan->json, &plan->protobuf}) {
      for (FieldPlan& field : *fields) {
        if (field.field->message_type() != nullptr) field.inner = Make(field.field->message_type());
      }
    }
    return plan;
  }

  absl::Mutex mu;
  std::unordered_map<const Descriptor*, std::unique_ptr<Plan>> plans ABSL_GUARDED_BY(mu);
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
  return *cache.Make(type);
}

std::vector<const google::protobuf::Message*> SortedEntries(
    const google::protobuf::Message& message, const FieldPlan& map) {
  std::vector<std::pair<std::string_view, const google::protobuf::Message*>> entries;
  const FieldDescriptor* key = map.field->message_type()->map_key();
  const int size = map.reflection->FieldSize(message, map.field);
  entries.reserve(static_cast<size_t>(size));
  std::string scratch;  // unused: maps' keys are strings that are there
  for (int i = 0; i < size; ++i) {
    const google::protobuf::Message& entry =
        map.reflection->GetRepeatedMessage(message, map.field, i);
    entries.emplace_back(map.inner->reflection->GetStringReference(entry, key, &scratch), &entry);
  }
  std::sort(entries.begin(), entries.end());
  std::vector<const google::protobuf::Message*> sorted;
  sorted.reserve(entries.size());
  for (const auto& [name, entry] : entries) sorted.push_back(entry);
  return sorted;
}

}  // namespace strata::codec
