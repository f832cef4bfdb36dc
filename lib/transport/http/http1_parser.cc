#include "lib/transport/http/http1_parser.h"

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <optional>

#include "lib/base/ascii.h"
#include "lib/transport/http/header_names.h"

namespace strata::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using beast::string_view;

bool IsHost(std::string_view host) {
  return std::all_of(host.begin(), host.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-._~%!$&'()*+,;=:[]").find(static_cast<char>(c)) !=
               std::string_view::npos;
  });
}

// The path and query of a request target; nothing if it has another form than we serve (RFC 9112
// §3.2).
std::optional<std::string> OriginForm(std::string_view method, std::string_view target) {
  if (target.starts_with('/')) return std::string(target);
  if (target == "*" && method == "OPTIONS") return "*";
  // absolute-form: its host is ignored, as that of a client which takes us for a proxy.
  const size_t scheme = target.find("://");
  if (scheme == std::string_view::npos) return std::nullopt;
  const std::string lower = base::Lower(target.substr(0, scheme));
  if (lower != "http" && lower != "https") return std::nullopt;
  const size_t path = target.find_first_of("/?", scheme + 3);
  if (path == std::string_view::npos) return "/";
  if (target[path] == '?') return "/" + std::string(target.substr(path));
  return std::string(target.substr(path));
}

}  // namespace

// Sees one whole head of whole lines and nothing after it: Beast 1.81 asserts things of bodies, and
// of what comes in pieces, that a peer can make untrue (boostorg/beast#2861).
class Http1Parser::Grammar final : public beast::http::basic_parser<true> {
 public:
  explicit Grammar(Http1Parser& owner) : owner_(owner) {
    // The owner counts for itself: these would refuse in Beast's way, without saying what was too
    // large.
    header_limit(static_cast<std::uint32_t>(owner.limits_.max_header_bytes + 4096));
    body_limit(boost::none);
    eager(false);
  }

  int version() const { return version_; }

 private:
  void on_request_impl(beast::http::verb, string_view method, string_view target, int version,
                       error_code& ec) override {
    ec = {};
    owner_.request_.method.assign(method.data(), method.size());
    owner_.request_.target.assign(target.data(), target.size());
    version_ = version;
    owner_.request_.version = version == 10 ? Version::kHttp10 : Version::kHttp11;
  }
  void on_response_impl(int, string_view, int, error_code& ec) override {
    ec = beast::http::error::bad_method;
  }
  void on_field_impl(beast::http::field, string_view name, string_view value,
                     error_code& ec) override {
    ec = {};
    owner_.AddField({name.data(), name.size()}, {value.data(), value.size()});
  }
  void on_header_impl(error_code& ec) override { ec = {}; }
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code& ec) override {
    ec = {};
  }
  std::size_t on_body_impl(string_view, error_code& ec) override {
    ec = {};
    return 0;
  }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code& ec) override { ec = {}; }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view, error_code& ec) override {
    ec = {};
    return 0;
  }
  void on_finish_impl(error_code& ec) override { ec = {}; }

  Http1Parser& owner_;
  int version_ = 0;
};

Http1Parser::Http1Parser(const Limits& limits) : limits_(limits) {}

size_t Http1Parser::Parse(std::string_view bytes) {
  if (state_ == State::kHead) return ParseHead(bytes);
  if (state_ == State::kBody) return ParseBody(bytes);
  return 0;
}

// Looks at whole lines from line_start_ on; true when the head is all there. Beast would join
// folded lines.
bool Http1Parser::CheckLines(std::string_view bytes) {
  for (;;) {
    const size_t feed = bytes.find('\n', searched_);
    searched_ = std::min(feed, bytes.size());
    if (feed == std::string_view::npos) return false;
    const std::string_view line = bytes.substr(line_start_, feed - line_start_);
    const bool first = line_start_ == 0;
    line_start_ = searched_ = feed + 1;
    if (line.empty() || line.back() != '\r') {
      Refuse(400, "a line feed without a carriage return");
      return false;
    }
    if (line.find('\r') != line.size() - 1 || line.find('\0') != std::string_view::npos) {
      Refuse(400, "a control character in the header");
      return false;
    }
    if (first) continue;
    if (line.size() == 1) {
      head_length_ = feed + 1;
      return true;
    }
    if (line[0] == ' ' || line[0] == '\t') {
      Refuse(400, "a folded header");
      return false;
    }
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 || line[colon - 1] == ' ' ||
        line[colon - 1] == '\t') {
      Refuse(400, "a malformed header name");
      return false;
    }
  }
}

size_t Http1Parser::ParseHead(std::string_view bytes) {
  size_t skipped = 0;
  if (line_start_ == 0) {
    // RFC 9112 §2.2: empty lines before a request are ignored.
    while (bytes.substr(skipped).starts_with("\r\n")) skipped += 2;
    bytes.remove_prefix(skipped);
    if (bytes.empty() || bytes == "\r") return skipped;
    started_ = true;
  }
  if (!CheckLines(bytes)) {
    if (state_ != State::kRefused && bytes.size() > limits_.max_header_bytes) Refuse(431, {});
    return skipped;
  }
  if (head_length_ > limits_.max_header_bytes) {
    Refuse(431, {});
    return skipped;
  }
  Grammar grammar(*this);
  request_.headers.Reserve(12);
  error_code ec;
  const size_t used = grammar.put(boost::asio::const_buffer(bytes.data(), head_length_), ec);
  if (ec == beast::http::error::bad_version) {
    Refuse(505, "unsupported protocol version");
    return skipped;
  }
  if (ec || !grammar.is_header_done() || used != head_length_) {
    Refuse(400, ec ? std::string(ec.message()) : std::string());
    return skipped;
  }
  CheckHead(grammar);
  return skipped + used;
}

void Http1Parser::AddField(std::string_view name, std::string_view value) {
  header_bytes_ += name.size() + value.size() + kHeaderOverhead;
  if (header_bytes_ > limits_.max_header_bytes) return;
  std::string lower = base::Lower(name);
  if (lower == "host") {
    ++hosts_;
    request_.authority = value;
  } else if (lower == "content-length") {
    // A list of equal lengths is one of the ways to be read differently.
    lengths_ += value.find(',') == std::string_view::npos ? 1 : 2;
  } else if (lower == "transfer-encoding") {
    codings_ += base::EqualsIgnoringCase(value, "chunked") ? 1 : 2;
  } else if (lower == "upgrade") {
    has_upgrade_ = true;
  } else if (lower == "expect") {
    (base::EqualsIgnoringCase(value, "100-continue") ? expects_continue_ : unknown_expectation_) =
        true;
  }
  if (!IsOfOneHop(lower)) request_.headers.Add(std::move(lower), std::string(value));
}

void Http1Parser::CheckHead(const Grammar& grammar) {
  const int version = grammar.version();
  if (header_bytes_ > limits_.max_header_bytes) return Refuse(431, {});
  if (version == 11 && hosts_ == 0) return Refuse(400, "missing required Host header");
  if (hosts_ > 1) return Refuse(400, "too many Host headers");
  if (!IsHost(request_.authority)) return Refuse(400, "malformed Host header");
  if (lengths_ > 1) return Refuse(400, "more than one Content-Length");
  if (codings_ > 1) return Refuse(400, "unsupported transfer encoding");
  if (codings_ > 0 && (lengths_ > 0 || version == 10))
    return Refuse(400, "unexpected transfer encoding");
  if (request_.method == "CONNECT") return Refuse(405, {});
  if (unknown_expectation_) return Refuse(417, {});
  auto target = OriginForm(request_.method, request_.target);
  if (!target) return Refuse(400, "malformed request target");
  request_.target = std::move(*target);

  // An Upgrade that we ignore must not leave a connection that someone else takes for upgraded
  // (CVE-2018-1002105).
  keep_alive_ = grammar.keep_alive() && !has_upgrade_;
  expects_continue_ = expects_continue_ && version == 11;
  if (codings_ > 0) {
    chunked_.emplace(limits_.max_header_bytes - header_bytes_);
  } else if (lengths_ > 0) {
    remaining_ = grammar.content_length().value_or(0);
    body_too_large_ = remaining_ > limits_.max_body_bytes;
  }
  state_ = chunked_ || remaining_ > 0 ? State::kBody : State::kComplete;
}

size_t Http1Parser::ParseBody(std::string_view bytes) {
  if (!chunked_) {
    const std::string_view content = bytes.substr(0, std::min<uint64_t>(remaining_, bytes.size()));
    remaining_ -= content.size();
    AddBody(content);
    if (remaining_ == 0) state_ = State::kComplete;
    return content.size();
  }
  size_t used = 0;
  while (used < bytes.size() && state_ == State::kBody) {
    std::string_view content;
    used += chunked_->Next(bytes.substr(used), content);
    AddBody(content);
    if (chunked_->done()) {
      state_ = State::kComplete;
    } else if (chunked_->refusal() != 0) {
      Refuse(chunked_->refusal(), chunked_->refusal_detail());
    }
  }
  return used;
}

void Http1Parser::AddBody(std::string_view bytes) {
  body_bytes_ += bytes.size();
  if (body_bytes_ > limits_.max_body_bytes) body_too_large_ = true;
}

void Http1Parser::Refuse(int status, std::string_view detail) {
  state_ = State::kRefused;
  refusal_ = status;
  detail_ = detail;
}

}  // namespace strata::http
