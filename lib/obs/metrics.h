// Metrics under Prometheus names. A module registers what it counts once, at construction, and
// keeps the handles: no look-up by label happens per request.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace strata::obs {

using Labels = std::map<std::string, std::string>;

// Handles stay valid as long as the Metrics that made them. All thread-safe.
class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(&counter) {}
  void Increment(double by = 1) const;
  double value() const;

 private:
  prometheus::Counter* counter_;
};

class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(&gauge) {}
  void Set(double value) const;
  void Add(double by) const;
  double value() const;

 private:
  prometheus::Gauge* gauge_;
};

class Histogram {
 public:
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(&histogram) {}
  void Observe(double value) const;
  // As if each of `times` had been observed.
  void Observe(double value, size_t times) const;

 private:
  prometheus::Histogram* histogram_;
};

class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // The same name and labels give the same metric again; names are constants, never made from a
  // request.
  Counter AddCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge AddGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram AddHistogram(const std::string& name, const std::string& help,
                         const std::vector<double>& buckets, const Labels& labels = {});

  // Read when scraped, on the scraping thread. What `read` refers to must outlive this.
  void AddGaugeFunction(const std::string& name, const std::string& help, const Labels& labels,
                        std::function<double()> read);
  // The same, for a value that only grows.
  void AddCounterFunction(const std::string& name, const std::string& help, const Labels& labels,
                          std::function<double()> read);

  // The text exposition format, version 0.0.4.
  std::string Text() const;

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace strata::obs
