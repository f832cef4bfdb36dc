#include "server/auth/token_file.h"

#include <fmt/format.h>

#include <vector>

#include "lib/base/ascii.h"
#include "server/auth/csv.h"

namespace strata::auth {
namespace {

std::vector<std::string> SplitGroups(std::string_view text) {
  std::vector<std::string> groups;
  while (!text.empty()) {
    const std::string_view group = base::Trim(base::TakeUntil(',', text));
    if (!group.empty()) groups.emplace_back(group);
  }
  return groups;
}

}  // namespace

base::StatusOr<std::shared_ptr<const TokenFile::Users>> TokenFile::Parse(const std::string& path,
                                                                         std::string_view text,
                                                                         const obs::Logger& log) {
  const auto rows = ParseCsv(text);
  if (!rows.ok()) return base::Annotate(rows.status(), path);
  auto users = std::make_shared<Users>();
  for (const CsvRow& row : *rows) {
    // tokenfile.go NewCSV.
    if (row.fields.size() < 3) {
      return base::InvalidArgumentError(
          fmt::format("token file '{}' must have at least 3 columns (token, user name, user uid), "
                      "found {} in line {}",
                      path, row.fields.size(), row.line));
    }
    if (row.fields[0].empty()) {
      log.Warning("A token of the token file is empty, and skipped",
                  {{"file", path}, {"line", row.line}});
      continue;
    }
    auto user = std::make_shared<UserInfo>();
    user->name = row.fields[1];
    user->uid = row.fields[2];
    if (row.fields.size() > 3) user->groups = SplitGroups(row.fields[3]);
    if (!users->insert_or_assign(DigestOf("", row.fields[0]), WithAuthenticatedGroup(user))
             .second) {
      log.Warning("A token stands twice in the token file; the last one counts",
                  {{"file", path}, {"line", row.line}});
    }
  }
  return std::shared_ptr<const Users>(std::move(users));
}

base::StatusOr<std::unique_ptr<TokenFile>> TokenFile::Open(const std::string& path,
                                                           files::FileWatcher& watcher,
                                                           const obs::Logger& log) {
  auto state = std::make_shared<State>();
  STRATA_RETURN_IF_ERROR(watcher.Watch(
      "token-auth-file", {path}, [state, path, &log](const std::vector<std::string>& contents) {
        auto users = Parse(path, contents[0], log);
        if (!users.ok()) return users.status();
        base::MutexLock lock(&state->mu);
        state->users = *std::move(users);
        return base::OkStatus();
      }));
  return std::unique_ptr<TokenFile>(new TokenFile(std::move(state)));
}

std::optional<Authentication> TokenFile::Authenticate(const http::Request& request, Later) const {
  Authentication result;
  BearerToken bearer = FindBearerToken(request.headers);
  if (!bearer.warning.empty()) result.warnings.push_back(std::move(bearer.warning));
  if (bearer.token.empty()) return result;
  std::shared_ptr<const Users> users;
  {
    base::MutexLock lock(&state_->mu);
    users = state_->users;
  }
  const auto found = users->find(DigestOf("", bearer.token));
  if (found == users->end()) {
    result.result = Authentication::Result::kError;
    result.error = "invalid bearer token";
  } else {
    result.result = Authentication::Result::kUser;
    result.user = found->second;
  }
  return result;
}

}  // namespace strata::auth
