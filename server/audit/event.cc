#include "server/audit/event.h"

#include <arpa/inet.h>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "lib/base/ascii.h"
#include "lib/base/memo.h"
#include "lib/codec/json_writer.h"
#include "server/api/query.h"

namespace strata::audit {
namespace {

// Bytes as they stand in the log, of what others chose: a text, and all elements of a list. A
// request costs no more than that each time that it is named. Upstream cuts nothing but user
// agents.
constexpr size_t kMaxText = 4 << 10;
constexpr size_t kMaxList = 8 << 10;
// k8s.io/apiserver pkg/audit/request.go maxUserAgentLength, userAgentTruncateSuffix.
constexpr size_t kMaxUserAgent = 1024;
constexpr std::string_view kCut = "...TRUNCATED";
// Descriptions, of each thread, and bytes of one, and of what it was asked by: a target has more
// than its description where a token stands in it.
constexpr size_t kRemembered = 512;
constexpr size_t kMaxRemembered = 2048;

// How much of `json`, the inside of a JSON string, are whole characters within kMaxText.
size_t WholeCharacters(std::string_view json) {
  size_t at = 0;
  while (at < json.size()) {
    size_t end = at + 1;
    if (json[at] == '\\') {
      end += json[end] == 'u' ? 5 : 1;
    } else {
      while (end < json.size() && (json[end] & 0xC0) == 0x80) ++end;
    }
    if (end > kMaxText) break;
    at = end;
  }
  return at;
}

// Cut with a mark where it is too long. No byte takes less than one in JSON, so the rest needn't be
// looked at; a character that this cut in two goes as well.
void AppendText(std::string_view text, std::string& line) {
  const size_t start = line.size() + 1;  // behind the quote
  codec::AppendJsonString(text.substr(0, kMaxText + 1), line);
  if (line.size() - start - 1 <= kMaxText) return;
  line.resize(start + WholeCharacters(std::string_view(line).substr(start)));
  line += kCut;
  line += '"';
}

template <codec::JsonName kName>
void Add(std::string_view value, codec::JsonWriter& json) {
  if (value.empty()) return;
  json.Name<kName>();
  AppendText(value, json.Value());
}

// Behind its bracket.
template <typename List>
void WriteList(const List& values, codec::JsonWriter& json) {
  const size_t start = json.size();
  for (const auto& value : values) {
    if (json.size() - start >= kMaxList) {
      AppendText(kCut, json.Value());
      break;
    }
    AppendText(value, json.Value());
  }
  json.CloseList();
}

template <codec::JsonName kName>
void AddUser(const auth::UserInfo* user, codec::JsonWriter& json) {
  json.OpenObject<kName>();
  if (user != nullptr) {
    Add<"username">(user->name, json);
    Add<"uid">(user->uid, json);
    if (!user->groups.empty()) {
      json.OpenList<"groups">();
      WriteList(user->groups, json);
    }
    if (!user->extra.empty()) {
      json.OpenObject<"extra">();
      const size_t start = json.size();
      for (const auto& [key, values] : user->extra) {
        const bool enough = json.size() - start >= kMaxList;
        json.NameBy(
            [&](std::string& line) { AppendText(enough ? kCut : std::string_view(key), line); });
        json.OpenList();
        if (enough) {
          json.CloseList();
          break;
        }
        WriteList(values, json);
      }
      json.CloseObject();
    }
  }
  json.CloseObject();
}

bool IsIp(std::string_view text) {
  unsigned char address[sizeof(in6_addr)];
  char copy[INET6_ADDRSTRLEN];
  if (text.size() >= sizeof copy) return false;
  *std::copy(text.begin(), text.end(), copy) = '\0';
  return inet_pton(AF_INET, copy, address) == 1 || inet_pton(AF_INET6, copy, address) == 1;
}

// k8s.io/apimachinery pkg/util/net SourceIPs: whom proxies name, then who is connected.
std::vector<std::string_view> SourceIps(const http::Request& request) {
  std::vector<std::string_view> ips;
  if (const std::string* forwarded = request.headers.Find("x-forwarded-for")) {
    std::string_view rest = *forwarded;
    while (!rest.empty()) {
      const std::string_view ip = base::Trim(base::TakeUntil(',', rest));
      if (IsIp(ip)) ips.push_back(ip);
    }
  }
  const auto add = [&](std::string_view ip) {
    if (IsIp(ip) && std::find(ips.begin(), ips.end(), ip) == ips.end()) ips.push_back(ip);
  };
  if (const std::string* real = request.headers.Find("x-real-ip")) add(*real);
  if (request.peer != nullptr) {
    std::string_view address = request.peer->host();
    if (address.starts_with('[')) address = address.substr(1, address.size() - 2);
    if (IsIp(address) && (ips.empty() || ips.back() != address)) ips.push_back(address);
  }
  return ips;
}

void AddObject(const api::RequestInfo& info, codec::JsonWriter& json) {
  if (!info.is_resource) return;
  json.OpenObject<"objectRef">();
  Add<"resource">(info.resource, json);
  Add<"namespace">(info.ns, json);
  Add<"name">(info.name, json);
  Add<"apiGroup">(info.api_group, json);
  Add<"apiVersion">(info.api_version, json);
  Add<"subresource">(info.subresource, json);
  json.CloseObject();
}

void AddStatus(const Event& event, codec::JsonWriter& json) {
  if (event.code == 0) return;
  json.OpenObject<"responseStatus">();
  json.OpenObject<"metadata">();
  json.CloseObject();
  if (event.failure != nullptr && event.failure->form == api::Error::Form::kStatus) {
    json.PlainString<"status">("Failure");
    Add<"message">(event.failure->message, json);
    Add<"reason">(event.failure->reason, json);
    if (event.failure->details) {
      json.OpenObject<"details">();
      Add<"name">(event.failure->details->name, json);
      Add<"group">(event.failure->details->group, json);
      Add<"kind">(event.failure->details->kind, json);
      json.CloseObject();
    }
  }
  json.Name<"code">();
  json.Number(event.code);
  json.CloseObject();
}

constexpr std::string_view kTime = "2006-01-02T15:04:05.000000Z";
constexpr size_t kFraction = 20;  // where it starts

// Until the next call.
std::string_view TextOf(base::WallTime time) {
  const auto micros =
      std::chrono::duration_cast<std::chrono::microseconds>(time.time_since_epoch()).count();
  // A date is worked out once a second.
  thread_local int64_t formatted = -1;
  thread_local char text[kTime.size()];
  const int64_t second = micros / 1'000'000;
  if (second != std::exchange(formatted, second)) {
    fmt::format_to_n(text, sizeof text, "{:%Y-%m-%dT%H:%M:%S}.000000Z",
                     fmt::gmtime(static_cast<std::time_t>(second)));
  }
  auto fraction = static_cast<uint32_t>(micros % 1'000'000);
  for (size_t at = kFraction + 6; at-- > kFraction; fraction /= 10)
    text[at] = static_cast<char>('0' + fraction % 10);
  return {text, sizeof text};
}

}  // namespace

std::string Describe(const http::Request& request, const api::RequestInfo& info,
                     const auth::UserInfo* user, const auth::UserInfo* impersonated) {
  std::string text;
  text.reserve(1000);  // enough for most
  codec::JsonWriter json(text);
  Add<"requestURI">(api::WithoutToken(request.target), json);
  Add<"verb">(info.verb, json);
  AddUser<"user">(user, json);
  if (impersonated != nullptr) AddUser<"impersonatedUser">(impersonated, json);
  if (const std::vector<std::string_view> ips = SourceIps(request); !ips.empty()) {
    json.OpenList<"sourceIPs">();
    WriteList(ips, json);
  }
  const std::string* agent = request.headers.Find("user-agent");
  if (agent != nullptr && agent->size() > kMaxUserAgent) {
    Add<"userAgent">(agent->substr(0, kMaxUserAgent).append(kCut), json);
  } else if (agent != nullptr) {
    Add<"userAgent">(*agent, json);
  }
  AddObject(info, json);
  return text;
}

std::shared_ptr<const std::string> RecallDescription(
    const http::Request& request, const std::shared_ptr<const api::RequestInfo>& info,
    const std::shared_ptr<const auth::UserInfo>& user) {
  // What a description is made of.
  struct Question {
    std::shared_ptr<const api::RequestInfo> info;
    std::shared_ptr<const auth::UserInfo> user;
    std::string target, agent, forwarded, real, peer;
  };
  thread_local base::Memo<Question, std::string, kRemembered> memo;
  const auto header = [&](std::string_view name) {
    const std::string* value = request.headers.Find(name);
    return value == nullptr ? std::string_view() : std::string_view(*value);
  };
  const std::string_view agent = header("user-agent"), forwarded = header("x-forwarded-for"),
                         real = header("x-real-ip");
  const std::string_view peer =
      request.peer == nullptr ? std::string_view() : std::string_view(request.peer->address);
  const size_t hash = std::hash<const void*>()(info.get()) / alignof(std::max_align_t) * 31 +
                      std::hash<std::string_view>()(user->name);
  auto known = memo.Find(hash, [&](const Question& one) {
    return one.info == info && one.agent == agent && one.forwarded == forwarded &&
           one.real == real && one.peer == peer && one.target == request.target &&
           (one.user == user || *one.user == *user);
  });
  if (known != nullptr) return known;
  auto made = std::make_shared<const std::string>(Describe(request, *info, user.get(), nullptr));
  // One that is traced is no other request's.
  if (made->size() <= kMaxRemembered &&
      request.target.size() + agent.size() + forwarded.size() + real.size() <= kMaxRemembered &&
      info->traceparent.empty()) {
    memo.Keep(hash,
              {info, user, request.target, std::string(agent), std::string(forwarded),
               std::string(real), std::string(peer)},
              made);
  }
  return made;
}

void AppendLine(const Event& event, std::string& out) {
  codec::JsonWriter json(out);
  json.Value() += R"({"kind":"Event","apiVersion":"audit.k8s.io/v1")";
  json.PlainString<"level">(NameOf(event.level));
  Add<"auditID">(event.audit_id, json);
  json.PlainString<"stage">(NameOf(event.stage));
  json.Members(event.description);
  AddStatus(event, json);
  json.PlainString<"requestReceivedTimestamp">(TextOf(event.received));
  json.PlainString<"stageTimestamp">(TextOf(event.now));
  if (!event.decision.empty()) {
    json.OpenObject<"annotations">();
    json.PlainString<"authorization.k8s.io/decision">(event.decision);
    json.Name<"authorization.k8s.io/reason">();
    AppendText(event.reason, json.Value());
    json.CloseObject();
  }
  out += "}\n";
}

}  // namespace strata::audit
