// An address that neither takes connections nor refuses them, as where packets get lost.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace strata::testing_support {

class DeafAddress {
 public:
  DeafAddress(const char* host, uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    inet_pton(AF_INET, host, &address.sin_addr);
    const auto* const name = reinterpret_cast<const sockaddr*>(&address);
    // One connection fills the queue; what asks for another is dropped.
    if (bind(listener_, name, sizeof address) != 0 || listen(listener_, 0) != 0 ||
        connect(first_, name, sizeof address) != 0) {
      std::abort();
    }
  }
  DeafAddress(const DeafAddress&) = delete;
  DeafAddress& operator=(const DeafAddress&) = delete;
  ~DeafAddress() {
    close(first_);
    close(listener_);
  }

 private:
  const int listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int first_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
};

}  // namespace strata::testing_support
