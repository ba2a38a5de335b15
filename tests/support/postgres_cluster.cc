#include "tests/support/postgres_cluster.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "db/postgres_session.h"

namespace hone {
namespace {

namespace fs = std::filesystem;

constexpr uintmax_t kClusterBytes = uintmax_t{1} << 30;

// The server refuses to run as root.
const passwd* ServerUser() {
  const passwd* const user = getpwnam("postgres");
  return user != nullptr ? user : getpwnam("nobody");
}

// Starts a program as a user who is not root; it ends with this one.
pid_t Start(const std::vector<std::string>& command, const std::string& log) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const passwd* const user = geteuid() == 0 ? ServerUser() : nullptr;
  const pid_t child = fork();
  if (child != 0) return child;
  const int file = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
  if (user != nullptr && (setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0)) _exit(126);
  prctl(PR_SET_PDEATHSIG, SIGQUIT);
  execv(arguments[0], arguments.data());
  _exit(127);
}

// Where Debian puts them, the newest first.
std::string FindPrograms() {
  std::string found;
  std::error_code error;
  for (const auto& version : fs::directory_iterator("/usr/lib/postgresql", error)) {
    const std::string folder = version.path() / "bin";
    if (fs::exists(fs::path(folder) / "initdb", error)) found = std::max(found, folder);
  }
  return found;
}

}  // namespace

StatusOr<PostgresCluster*> PostgresCluster::OfThisProgram() {
  static const auto cluster = std::unique_ptr<PostgresCluster>(new PostgresCluster);
  static const Status status = cluster->Init();
  if (!status.ok()) return status;
  return cluster.get();
}

Status PostgresCluster::Init() {
  programs_ = FindPrograms();
  if (programs_.empty()) {
    return absl::NotFoundError("no PostgreSQL: deploy/install-deps.sh --postgres brings it");
  }
  if (geteuid() == 0 && ServerUser() == nullptr) {
    return absl::NotFoundError("no user who is not root, for PostgreSQL to run as");
  }
  // In memory where that can be: making databases is slow on a disk, which is not what is tested.
  std::error_code error;
  const fs::path memory = "/dev/shm";
  const bool fits = fs::space(memory, error).available > kClusterBytes && !error;
  std::string folder = (fits ? memory : fs::temp_directory_path()) / "hone-pg-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return absl::InternalError("no folder for PostgreSQL");
  folder_ = folder;
  if (geteuid() == 0 && chown(folder_.c_str(), ServerUser()->pw_uid, ServerUser()->pw_gid) != 0) {
    return absl::InternalError("the folder cannot be given to PostgreSQL's user");
  }
  const pid_t init = Start(
      {absl::StrCat(programs_, "/initdb"), "-D", absl::StrCat(folder_, "/data"), "--username=hone",
       "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"},
      absl::StrCat(folder_, "/log"));
  int result = 0;
  if (waitpid(init, &result, 0) != init || result != 0) {
    return absl::InternalError(absl::StrCat("initdb failed; see ", folder_, "/log"));
  }
  Restart();
  return absl::OkStatus();
}

PostgresCluster::~PostgresCluster() {
  if (folder_.empty()) return;
  Crash();
  std::error_code error;
  fs::remove_all(folder_, error);
}

void PostgresCluster::Restart() {
  server_ = Start(
      {absl::StrCat(programs_, "/postgres"), "-D", absl::StrCat(folder_, "/data"), "-c",
       "listen_addresses=", "-c", absl::StrCat("unix_socket_directories=", folder_), "-c",
       "fsync=on", "-c", "max_connections=40", "-c", "shared_buffers=16MB", "-c", "autovacuum=off"},
      absl::StrCat(folder_, "/log"));
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!PostgresSession::Connect({.url = AddressOf("postgres")}).ok()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "PostgreSQL does not start";
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

void PostgresCluster::Crash() {
  if (server_ == 0) return;
  kill(server_, SIGQUIT);  // ends its children, and writes nothing more
  waitpid(server_, nullptr, 0);
  server_ = 0;
}

std::string PostgresCluster::AddressOf(const std::string& database) const {
  return absl::StrCat("postgresql:///", database, "?user=hone&host=", folder_);
}

std::string PostgresCluster::NewDatabase() {
  const std::string name = absl::StrCat("farm", ++databases_);
  Run(AddressOf("postgres"), absl::StrCat("CREATE DATABASE ", name, " STRATEGY file_copy"));
  return AddressOf(name);
}

std::string PostgresCluster::Run(const std::string& url, const std::string& sql) {
  const auto session = PostgresSession::Connect({.url = url});
  EXPECT_TRUE(session.ok()) << session.status();
  if (!session.ok()) return "";
  const auto rows = (*session)->Run(sql);
  EXPECT_TRUE(rows.ok()) << rows.status();
  return rows.ok() && rows->count() > 0 ? rows->Bytes(0, 0) : "";
}

}  // namespace hone
