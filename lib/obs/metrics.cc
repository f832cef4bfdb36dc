#include "lib/obs/metrics.h"

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>
#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace strata::obs {

void Counter::Increment(double by) const {
  counter_->Increment(by);
}
double Counter::value() const {
  return counter_->Value();
}
void Gauge::Set(double value) const {
  gauge_->Set(value);
}
void Gauge::Add(double by) const {
  gauge_->Increment(by);
}
double Gauge::value() const {
  return gauge_->Value();
}
void Histogram::Observe(double value) const {
  histogram_->Observe(value);
}
void Histogram::Observe(double value, size_t times) const {
  for (size_t i = 0; i < times; ++i) histogram_->Observe(value);
}

struct Metrics::State {
  struct Function {
    std::string name, help;
    prometheus::MetricType type;
    Labels labels;
    std::function<double()> read;
  };

  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  mutable absl::Mutex mu;
  std::vector<Function> functions ABSL_GUARDED_BY(mu);

  void Add(Function function) ABSL_LOCKS_EXCLUDED(mu) {
    absl::MutexLock lock(&mu);
    functions.push_back(std::move(function));
  }

  // One family a name, as the text format wants it.
  std::vector<prometheus::MetricFamily> CollectFunctions() const ABSL_LOCKS_EXCLUDED(mu) {
    std::map<std::string, prometheus::MetricFamily> families;
    absl::MutexLock lock(&mu);
    for (const Function& function : functions) {
      auto& family = families[function.name];
      family.name = function.name;
      family.help = function.help;
      family.type = function.type;
      prometheus::ClientMetric metric;
      for (const auto& [name, value] : function.labels) metric.label.push_back({name, value});
      metric.gauge.value = metric.counter.value = function.read();
      family.metric.push_back(std::move(metric));
    }
    std::vector<prometheus::MetricFamily> out;
    for (auto& [name, family] : families) out.push_back(std::move(family));
    return out;
  }
};

Metrics::Metrics() : state_(std::make_unique<State>()) {}
Metrics::~Metrics() = default;

Counter Metrics::AddCounter(const std::string& name, const std::string& help,
                            const Labels& labels) {
  return Counter(
      prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry).Add(labels));
}

Gauge Metrics::AddGauge(const std::string& name, const std::string& help, const Labels& labels) {
  return Gauge(
      prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry).Add(labels));
}

Histogram Metrics::AddHistogram(const std::string& name, const std::string& help,
                                const std::vector<double>& buckets, const Labels& labels) {
  return Histogram(prometheus::BuildHistogram()
                       .Name(name)
                       .Help(help)
                       .Register(state_->registry)
                       .Add(labels, buckets));
}

void Metrics::AddGaugeFunction(const std::string& name, const std::string& help,
                               const Labels& labels, std::function<double()> read) {
  state_->Add({name, help, prometheus::MetricType::Gauge, labels, std::move(read)});
}

void Metrics::AddCounterFunction(const std::string& name, const std::string& help,
                                 const Labels& labels, std::function<double()> read) {
  state_->Add({name, help, prometheus::MetricType::Counter, labels, std::move(read)});
}

std::string Metrics::Text() const {
  auto families = state_->registry.Collect();
  for (auto& family : state_->CollectFunctions()) families.push_back(std::move(family));
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace strata::obs
