#include "lib/transport/net/guarded_protocol.h"

#include <exception>
#include <utility>

namespace strata::net {
namespace {

using base::MonotonicTime;

class GuardedProtocol final : public Protocol {
 public:
  GuardedProtocol(const ProtocolFactory& factory, ConnectionInfo info, Channel& channel,
                  MonotonicTime now, const obs::Logger& logger, Counts& counts)
      : peer_address_(info.peer_address), logger_(logger), counts_(counts) {
    Guard([&] { inner_ = factory(std::move(info), channel, now); });
  }

  void Receive(std::string_view bytes, MonotonicTime now) override {
    Call([&] { inner_->Receive(bytes, now); });
  }
  void ReceiveEnd(MonotonicTime now) override {
    Call([&] { inner_->ReceiveEnd(now); });
  }
  size_t Produce(std::span<char> buffer, MonotonicTime now) override {
    size_t length = 0;
    Call([&] { length = inner_->Produce(buffer, now); });
    return length;
  }
  bool wants_input() const override { return inner_ != nullptr && inner_->wants_input(); }
  bool wants_turn() const override { return inner_ != nullptr && inner_->wants_turn(); }
  bool finished() const override { return inner_ == nullptr || inner_->finished(); }
  void StartDrain(MonotonicTime now) override {
    Call([&] { inner_->StartDrain(now); });
  }
  MonotonicTime next_deadline() const override {
    return inner_ == nullptr ? MonotonicTime::max() : inner_->next_deadline();
  }
  void OnDeadline(MonotonicTime now) override {
    Call([&] { inner_->OnDeadline(now); });
  }
  std::optional<MonotonicTime> idle_since() const override {
    return inner_ == nullptr ? MonotonicTime::min() : inner_->idle_since();
  }
  std::optional<MonotonicTime> stalled_since() const override {
    return inner_ == nullptr ? MonotonicTime::min() : inner_->stalled_since();
  }

 private:
  template <typename Function>
  void Call(const Function& function) {
    if (inner_ != nullptr) Guard(function);
  }

  template <typename Function>
  void Guard(const Function& function) {
    try {
      function();
    } catch (const std::exception& fault) {
      inner_.reset();
      counts_.faults.fetch_add(1, std::memory_order_relaxed);
      logger_.Warning("Ended a connection: what it sent broke an assumption of the server's code",
                      {{"peer", peer_address_}, {"err", fault.what()}});
    }
  }

  const std::string peer_address_;
  const obs::Logger& logger_;
  Counts& counts_;
  std::unique_ptr<Protocol> inner_;  // null after a fault
};

}  // namespace

ProtocolFactory Guarded(ProtocolFactory factory, const obs::Logger& logger, Counts& counts) {
  return [factory = std::move(factory), &logger, &counts](ConnectionInfo info, Channel& channel,
                                                          MonotonicTime now) {
    return std::make_unique<GuardedProtocol>(factory, std::move(info), channel, now, logger,
                                             counts);
  };
}

}  // namespace strata::net
