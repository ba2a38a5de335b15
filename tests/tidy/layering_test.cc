// The architecture, executable: which folder may include which, and where each third-party library
// may be seen. The two tables below are the ones ARCHITECTURE.md draws; a change to one is a change
// to both.

#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "tests/tidy/source_tree.h"

namespace hone {
namespace {

using Folders = std::vector<std::string>;

// Folder (or file) -> the folders it may include besides itself. A folder's row also holds for
// folders below it that have no row of their own, and naming a folder allows those below it.
const std::map<std::string, Folders>& AllowedFolders() {
  static const auto* const kAllowed = new std::map<std::string, Folders>{
      {"base", {}},
      {"proto", {}},
      {"runtime", {}},
      {"rpc", {"base", "proto"}},
      {"db", {"base", "proto"}},
      {"compiler/ir", {"base"}},
      {"compiler/operators", {"base", "compiler/ir"}},
      {"compiler/graph", {"base", "compiler/ir", "compiler/operators"}},
      {"compiler/import", {"base", "compiler/ir", "compiler/graph"}},
      {"compiler/schedule", {"base", "compiler/ir"}},
      {"compiler/lower", {"base", "compiler/ir", "compiler/schedule"}},
      {"compiler/codegen", {"base", "proto", "runtime/kernel.h", "compiler/ir"}},
      // The front door and the package builder see the whole compiler, and the runtime's formats;
      // the build worker speaks frames.
      {"compiler", {"base", "proto", "runtime", "rpc/child_process.h", "rpc/frame.h"}},
      {"compiler/package", {"base", "proto", "runtime", "compiler"}},
      {"tracker", {"base", "proto", "rpc", "db"}},
      {"device_agent", {"base", "proto", "rpc", "runtime"}},
      // The tuner makes the same inputs as the agent; `hone compile` is for this machine.
      {"tuner", {"base", "proto", "rpc", "db", "compiler", "runtime/fill.h"}},
      {"cli",
       {"base", "proto", "rpc", "db", "runtime", "compiler", "tuner",
        "device_agent/machine_probe.h"}},
      // The developer's tool compiles and times one kernel without a farm.
      {"cli/opt_main.cc",
       {"base", "proto", "runtime", "compiler", "device_agent", "cli/exit_code.h"}},
  };
  return *kAllowed;
}

// How a third-party header begins -> the folders, or files (without extension), that may include
// it.
const std::map<std::string, Folders>& ThirdPartyHomes() {
  static const auto* const kHomes = new std::map<std::string, Folders>{
      {"absl/", {"base", "rpc", "db", "compiler", "tracker", "device_agent", "tuner", "cli"}},
      {"google/protobuf/", {"rpc", "db", "compiler/import", "tracker", "device_agent", "tuner"}},
      {"llvm/", {"compiler/codegen"}},
      {"llvm-c/", {"compiler/codegen"}},
      {"lld/", {"compiler/codegen"}},
      {"onnx/", {"compiler/import"}},
      {"sqlite3.h", {"db"}},
      {"libpq", {"db"}},
      {"xgboost/", {"tuner/cost_model"}},
      {"grpc", {"rpc", "tracker", "tuner/service"}},
      {"boost/", {"device_agent", "tracker/web_server", "tracker/web_tls"}},
      {"seccomp.h", {"device_agent"}},
      {"openssl/", {"base/digest", "base/signature", "rpc", "tracker/web_tls"}},
      {"CLI/",
       {"cli/command_line", "tracker/tracker_main", "device_agent/agent_main",
        "tuner/service/tunerd_main"}},
      {"stb/", {"cli", "runtime"}},
      {"stb_", {"cli", "runtime"}},
      {"spdlog/", {"rpc/log_sink"}},
      {"nlohmann/", {"tuner/cost_model", "tuner/transfer/foreign_log", "tracker"}},
      {"cuda", {"runtime"}},
      {"CL/", {"runtime"}},
  };
  return *kHomes;
}

bool IsUnder(const std::string& path, const std::string& folder) {
  return path == folder || absl::StartsWith(path, folder + "/");
}

// The row of a file or folder: its own, or that of the innermost folder around it.
std::optional<std::string> RowFor(std::string path) {
  while (!path.empty()) {
    if (AllowedFolders().contains(path)) return path;
    size_t slash = path.rfind('/');
    path = slash == std::string::npos ? "" : path.substr(0, slash);
  }
  return std::nullopt;
}

bool IsOurs(const std::string& include) {
  const std::string top = include.substr(0, include.find('/'));
  for (const auto& [folder, allowed] : AllowedFolders()) {
    if (include.find('/') != std::string::npos && folder.substr(0, folder.find('/')) == top) {
      return true;
    }
  }
  return top == "tests" || top == "bench";
}

// C, C++ and Linux headers: no dot or only ".h", and none of the third-party beginnings.
bool IsSystem(const std::string& include) {
  static const auto* const kSystemFolders =
      new std::set<std::string>{"arpa", "asm", "linux", "net", "netinet", "sys", "bits"};
  size_t slash = include.find('/');
  return slash == std::string::npos || kSystemFolders->contains(include.substr(0, slash));
}

std::string ThirdPartyPrefix(const std::string& include) {
  for (const auto& [prefix, homes] : ThirdPartyHomes()) {
    if (absl::StartsWith(include, prefix)) return prefix;
  }
  return "";
}

TEST(LayeringTest, FoldersIncludeOnlyWhatStandsBelowThem) {
  for (const SourceFile& file : ReadSourceTree()) {
    if (file.IsTest()) continue;
    std::optional<std::string> row = RowFor(file.path);
    ASSERT_TRUE(row.has_value()) << file.path << ": its folder has no row in AllowedFolders()";
    for (const std::string& include : file.Includes()) {
      if (!IsOurs(include)) continue;
      bool allowed = RowFor(include.substr(0, include.rfind('/'))) == row;
      // The top of a row that has rows below it ("compiler") sees all of them.
      allowed |= IsUnder(include, *row);
      for (const std::string& folder : AllowedFolders().at(*row)) {
        allowed |= IsUnder(include, folder);
      }
      EXPECT_TRUE(allowed) << file.path << " includes " << include << ", but " << *row
                           << " may not: see ARCHITECTURE.md, \"Who may include whom\"";
    }
  }
}

TEST(LayeringTest, NothingIncludesTests) {
  for (const SourceFile& file : ReadSourceTree()) {
    if (file.IsTest()) continue;
    for (const std::string& include : file.Includes()) {
      EXPECT_FALSE(absl::StartsWith(include, "tests/") || absl::StartsWith(include, "bench/"))
          << file.path << " includes " << include;
    }
  }
}

TEST(LayeringTest, EachThirdPartyLibraryIsSeenInItsFolderOnly) {
  for (const SourceFile& file : ReadSourceTree()) {
    if (file.IsTest()) continue;
    const std::string stem = file.path.substr(0, file.path.rfind('.'));
    for (const std::string& include : file.Includes()) {
      if (IsOurs(include)) continue;
      const std::string prefix = ThirdPartyPrefix(include);
      if (prefix.empty()) {
        EXPECT_TRUE(IsSystem(include))
            << file.path << " includes " << include << ", which ThirdPartyHomes() does not know";
        continue;
      }
      bool allowed = false;
      for (const std::string& home : ThirdPartyHomes().at(prefix)) {
        allowed |= IsUnder(file.folder, home) || stem == home;
      }
      EXPECT_TRUE(allowed) << file.path << " includes " << include
                           << ", whose home is elsewhere: see ARCHITECTURE.md";
    }
  }
}

}  // namespace
}  // namespace hone
