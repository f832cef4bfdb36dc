// A plain HTTP/1.1 server that answers what a test tells it to, the wrong things too.
#pragma once

#include <absl/base/thread_annotations.h>
#include <absl/synchronization/mutex.h>

#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace strata::testing_support {

class HttpPeer {
 public:
  struct Request {
    std::string head;  // request line and headers
    std::string body;
  };
  // What is written for a request: a whole response, or some of it. Then, without `keep`, the
  // connection is closed.
  struct Answer {
    std::string bytes;
    bool keep = true;
    int delay_ms = 0;  // before the bytes
  };
  using Handler = std::function<Answer(const Request& request)>;

  explicit HttpPeer(Handler handler);
  ~HttpPeer();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<Request> requests() const ABSL_LOCKS_EXCLUDED(mu_);
  int connections() const ABSL_LOCKS_EXCLUDED(mu_);

  // A response with Content-Length.
  static std::string Response(int status, std::string_view body,
                              std::string_view more_headers = "");

 private:
  void Accept();
  void Serve(int fd);

  const Handler handler_;
  int listener_ = -1;
  int port_ = 0;
  mutable absl::Mutex mu_;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
  int accepted_ ABSL_GUARDED_BY(mu_) = 0;
  std::vector<Request> requests_ ABSL_GUARDED_BY(mu_);
  std::vector<int> open_ ABSL_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mu_);
  std::thread acceptor_;
};

}  // namespace strata::testing_support
