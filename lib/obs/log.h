// The log: one line an event, in klog's text form or as JSON (component-base's keys).
//
// A line is a constant message and fields; what comes from outside goes into fields, where it is
// quoted and cut, so no request can forge a line. Tokens, cookies and passwords are never fields.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <source_location>
#include <string>
#include <string_view>
#include <variant>

#include "lib/base/clock.h"
#include "lib/base/status.h"

namespace strata::obs {

class Metrics;

struct Field {
  template <typename T>
  Field(std::string_view k, const T& v) : key(k) {
    if constexpr (std::is_same_v<T, bool>) {
      value = v;
    } else if constexpr (std::is_integral_v<T>) {
      value = static_cast<int64_t>(v);
    } else if constexpr (std::is_floating_point_v<T>) {
      value = static_cast<double>(v);
    } else if constexpr (std::is_same_v<T, base::Status>) {
      value = base::Message(v);
    } else {
      value = std::string_view(v);
    }
  }

  std::string_view key;
  std::variant<std::string_view, int64_t, double, bool> value;
};
using Fields = std::initializer_list<Field>;

enum class LogFormat { kText, kJson };

// A constant message with the place that says it.
struct Event {
  template <typename T>
  Event(const T& m, std::source_location l =
                        std::source_location::current())  // NOLINT(google-explicit-constructor)
      : message(m), location(l) {}
  std::string_view message;
  std::source_location location;
};

// Thread-safe. Writing never blocks: lines wait in a queue (lib/obs/line_writer.h), and are lost
// when it is full; how many is said once stderr takes lines again.
class Logger {
 public:
  // Receives whole lines, without the line feed, one at a time. For tests.
  using Sink = std::function<void(std::string_view line)>;

  struct Options {
    LogFormat format = LogFormat::kText;
    int verbosity = 0;              // -v: V(n) lines appear for n <= verbosity
    size_t buffer_bytes = 8 << 20;  // of lines that aren't written yet; more are lost
  };
  // To stderr.
  Logger(const Options& options, Metrics& metrics);
  Logger(LogFormat format, int verbosity, const base::Clock& clock, Sink sink);
  ~Logger();  // writes what waits, however long stderr takes

  void Info(const Event& event, Fields fields = {}) const { Write('I', 0, event, fields); }
  void Warning(const Event& event, Fields fields = {}) const { Write('W', 0, event, fields); }
  void Error(const Event& event, Fields fields = {}) const { Write('E', 0, event, fields); }
  void Verbose(int level, const Event& event, Fields fields = {}) const {
    if (Shows(level)) Write('I', level, event, fields);
  }

  // Whether lines of this level appear: spares the work of putting their fields together.
  bool Shows(int level) const { return level <= verbosity_; }

 private:
  class Output;

  std::string Line(char severity, int level, const Event& event, Fields fields) const;
  void Write(char severity, int level, const Event& event, Fields fields) const;

  const LogFormat format_;
  const int verbosity_;
  const base::SystemClock system_clock_;
  const base::Clock& clock_;
  const Sink sink_;
  const std::unique_ptr<Output> output_;
};

// Swallows everything: for tests that don't look at the log.
Logger& NullLogger();

}  // namespace strata::obs
