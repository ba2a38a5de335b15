// The farm's page in a real browser: what it shows, that it follows, and that no name becomes part
// of it. The browser is spoken to in the DevTools protocol, over a pipe: JSON messages, a zero byte
// after each.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "rpc/child_process.h"
#include "tests/support/demo_farm.h"
#include "tracker/web_server.h"

namespace hone {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr int kPatienceMs = 60'000;

std::string FindBrowser() {
  for (const char* path :
       {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"}) {
    if (access(path, X_OK) == 0) return path;
  }
  return "";
}

// One page in a browser.
class Browser {
 public:
  Browser(const fs::path& folder, const std::string& url) {
    const int log = open((folder / "log").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    // It reads from descriptor 3 and answers on 4: both are our socket.
    auto process = ChildProcess::Start(
        {.program = "/bin/sh",
         .arguments = {"-c", absl::StrCat("exec ", FindBrowser(),
                                          " --headless --no-sandbox --disable-gpu --no-first-run "
                                          "--disable-dev-shm-usage --remote-debugging-pipe "
                                          "--user-data-dir=",
                                          (folder / "profile").string(), " 4>&3")},
         .output_fd = log,
         .own_group = true});
    close(log);
    EXPECT_TRUE(process.ok()) << process.status();
    if (!process.ok()) return;
    process_.emplace(*std::move(process));
    const Json target = Call("Target.createTarget", {{"url", "about:blank"}});
    session_ = Call("Target.attachToTarget",
                    {{"targetId", target.value("targetId", "")}, {"flatten", true}})
                   .value("sessionId", "");
    Call("Runtime.enable", Json::object());
    Call("Log.enable", Json::object());
    Call("Page.navigate", {{"url", url}});
  }
  ~Browser() {
    if (!process_) return;
    session_.clear();
    Call("Browser.close", Json::object());
    process_->WaitFor(kPatienceMs);
  }

  // The page's elements, once `text` is among them; as they are when the patience ends.
  std::string PageWith(const std::string& text) {
    std::string page;
    for (const absl::Time end = absl::Now() + absl::Milliseconds(kPatienceMs);
         absl::Now() < end && process_;) {
      const Json answer =
          Call("Runtime.evaluate", {{"expression", "document.documentElement.outerHTML"}});
      page = answer.value("/result/value"_json_pointer, "");
      if (absl::StrContains(page, text)) break;
      absl::SleepFor(absl::Milliseconds(50));
    }
    return page;
  }
  // Errors of the page so far.
  const std::vector<std::string>& errors() const { return errors_; }

 private:
  using Json = nlohmann::json;

  Json Call(const std::string& method, const Json& parameters) {
    Json message = {{"id", ++last_id_}, {"method", method}, {"params", parameters}};
    if (!session_.empty()) message["sessionId"] = session_;
    const std::string text = message.dump() + std::string(1, '\0');
    if (send(process_->socket(), text.data(), text.size(), MSG_NOSIGNAL) < 0) return Json::object();
    while (true) {
      const Json answer = Next();
      if (answer.is_null()) return Json::object();
      if (answer.value("id", 0) == last_id_) return answer.value("result", Json::object());
      Note(answer);
    }
  }
  // Null when it says nothing for long.
  Json Next() {
    while (true) {
      const size_t end = buffer_.find('\0');
      if (end != std::string::npos) {
        Json message = Json::parse(buffer_.substr(0, end), nullptr, false);
        buffer_.erase(0, end + 1);
        return message;
      }
      pollfd waiting = {.fd = process_->socket(), .events = POLLIN};
      if (poll(&waiting, 1, kPatienceMs) <= 0) return nullptr;
      char bytes[65536];
      const ssize_t size = recv(process_->socket(), bytes, sizeof(bytes), 0);
      if (size <= 0) return nullptr;
      buffer_.append(bytes, static_cast<size_t>(size));
    }
  }
  void Note(const Json& event) {
    const std::string method = event.value("method", "");
    const std::string level = event.value("/params/entry/level"_json_pointer, "");
    const bool error = method == "Runtime.exceptionThrown" ||
                       method == "Runtime.consoleAPICalled" ||
                       (method == "Log.entryAdded" && (level == "error" || level == "warning"));
    if (error) errors_.push_back(event.dump());
  }

  std::optional<ChildProcess> process_;
  std::string session_;
  std::string buffer_;
  int last_id_ = 0;
  std::vector<std::string> errors_;
};

class FarmPageTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (FindBrowser().empty()) {
      GTEST_SKIP() << "no chromium: deploy/install-deps.sh --web brings it";
    }
    folder_ = fs::temp_directory_path() / absl::StrCat("hone-page-", std::random_device()());
    fs::create_directories(folder_);
  }
  void TearDown() override {
    browser_.reset();
    std::error_code ignored;
    if (!folder_.empty()) fs::remove_all(folder_, ignored);
  }

  // Shows a farm; each update asks for it anew.
  void Show(std::function<pb::FarmSnapshot()> farm) {
    WebLimits limits;
    limits.update_interval = std::chrono::milliseconds(100);
    auto server = WebServer::Start(
        "127.0.0.1:0",
        {.snapshot = [farm = std::move(farm)](const pb::SnapshotRequest&) { return farm(); },
         .health = [] { return absl::OkStatus(); }},
        limits);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    browser_.emplace(folder_, absl::StrCat("http://", server_->address(), "/"));
  }

  std::unique_ptr<WebServer> server_;
  std::optional<Browser> browser_;
  fs::path folder_;
};

TEST_F(FarmPageTest, ShowsAllThatThereIsOfAFarm) {
  Show([] { return DemoFarm(0); });
  const std::string page = browser_->PageWith(">live<");
  for (const char* text : {"pi-3",
                           "temperature: 82.1 C",
                           "let it cool",
                           "quarantined",
                           "epoch 38",                                 // devices
                           "<code>hone farm undrain jetson-2</code>",  // advice
                           "412",
                           "arch=aarch64,board=jetson",
                           "quota: 2 devices",  // queue
                           "52 %",
                           "edsger",  // users
                           "resnet50.onnx",
                           "2.33\u00d7",
                           "7 of 20 kernels",
                           "out of memory",  // jobs
                           "rack-1",
                           "9 of 32 at a time",
                           "14 builds wait",
                           "tunerd-2",  // builders
                           "did not compile",
                           "97 %",  // kinds
                           "1x64x56x56 * 64x64x3x3 * 64 -&gt; 1x64x56x56",
                           "<path class=\"steps\""}) {  // curves
    EXPECT_THAT(page, HasSubstr(text));
  }
  EXPECT_THAT(browser_->errors(), IsEmpty());
}

TEST_F(FarmPageTest, FollowsTheFarmWithoutBeingLoadedAgain) {
  std::atomic<bool> later = false;
  Show([&later] {
    pb::FarmSnapshot snapshot = DemoFarm(0);
    if (!later) return snapshot;
    // A device goes, another comes, one is lost, and the tracker is in trouble.
    snapshot.mutable_devices()->DeleteSubrange(0, 1);
    snapshot.mutable_devices(0)->mutable_info()->set_state(pb::LOST);
    pb::DeviceEntry& late = *snapshot.add_devices();
    late.mutable_info()->set_name("came-later");
    late.mutable_info()->set_state(pb::READY);
    snapshot.mutable_tracker()->set_serving(false);
    snapshot.mutable_tracker()->set_trouble("the disk is full");
    return snapshot;
  });
  EXPECT_THAT(browser_->PageWith("data-key=\"epyc-1\""), Not(HasSubstr("came-later")));
  later = true;
  const std::string page = browser_->PageWith("came-later");
  EXPECT_THAT(page, HasSubstr("came-later"));
  EXPECT_THAT(page, Not(HasSubstr("data-key=\"epyc-1\"")));
  EXPECT_THAT(page, HasSubstr("class=\"news\""));
  EXPECT_THAT(page, HasSubstr("The tracker is not serving: the disk is full"));
  EXPECT_THAT(browser_->errors(), IsEmpty());
}

TEST_F(FarmPageTest, SaysThatTheTrackerIsGoneAndComesBack) {
  Show([] { return DemoFarm(0); });
  browser_->PageWith(">live<");
  const std::string address = server_->address();
  server_.reset();
  EXPECT_THAT(browser_->PageWith("does not answer"), HasSubstr("the tracker does not answer"));
  auto again = WebServer::Start(address, {.snapshot = [](const auto&) { return DemoFarm(9); },
                                          .health = [] { return absl::OkStatus(); }});
  ASSERT_TRUE(again.ok()) << again.status();
  server_ = *std::move(again);
  EXPECT_THAT(browser_->PageWith(">live<"), HasSubstr(">live<"));
}

TEST_F(FarmPageTest, WritesHostileNamesAsText) {
  Show([] {
    pb::FarmSnapshot snapshot = DemoFarm(0);
    const std::string hostile = "<img src=x onerror=\"document.title='owned'\"></script>";
    snapshot.mutable_devices(0)->mutable_info()->set_name(hostile);
    snapshot.mutable_devices(1)->set_why(hostile);
    snapshot.mutable_devices(2)->mutable_attempts(0)->set_workload(hostile);
    snapshot.mutable_devices(3)->set_next_step("`" + hostile + "`");
    snapshot.mutable_queue(0)->set_user(hostile);
    snapshot.mutable_queue(0)->set_selector(hostile);
    snapshot.mutable_users(0)->set_user(hostile);
    snapshot.mutable_curves(0)->set_workload(hostile);
    snapshot.mutable_jobs(0)->mutable_job()->mutable_spec()->set_model(hostile);
    snapshot.mutable_jobs(1)->mutable_job()->set_reason(hostile);
    snapshot.mutable_builders(0)->set_name(hostile);
    snapshot.mutable_builders(1)->mutable_version()->set_tool_version(hostile);
    snapshot.mutable_daemons(0)->set_name(hostile);
    (*snapshot.mutable_totals()->mutable_measurements())[hostile] = 7;
    return snapshot;
  });
  const std::string page = browser_->PageWith(">live<");
  EXPECT_THAT(page, HasSubstr("&lt;img src=x"));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, HasSubstr("<title>hone farm</title>"));
  EXPECT_THAT(browser_->errors(), IsEmpty());
}

TEST_F(FarmPageTest, SaysWhatToDoOnAnEmptyFarm) {
  Show([] {
    pb::FarmSnapshot snapshot;
    snapshot.mutable_tracker()->set_serving(true);
    return snapshot;
  });
  const std::string page = browser_->PageWith(">live<");
  EXPECT_THAT(page, HasSubstr("id=\"no-devices\">No device yet"));
  EXPECT_THAT(page, HasSubstr("id=\"no-queue\">Nothing waits."));
  EXPECT_THAT(browser_->errors(), IsEmpty());
}

}  // namespace
}  // namespace hone
