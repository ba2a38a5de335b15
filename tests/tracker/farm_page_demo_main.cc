// Serves the page of a made-up farm, for those who work on the page:
//   farm_page_demo 127.0.0.1:9188
#include <unistd.h>

#include <chrono>
#include <iostream>

#include "tests/support/demo_farm.h"
#include "tracker/web_server.h"

int main(int argc, char** argv) {
  const auto began = std::chrono::steady_clock::now();
  const auto seconds = [began] {
    return static_cast<int>(
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - began)
            .count());
  };
  const auto server = hone::WebServer::Start(
      argc > 1 ? argv[1] : "127.0.0.1:9188",
      {.snapshot = [&](const hone::pb::SnapshotRequest&) { return hone::DemoFarm(seconds()); },
       .health = [] { return absl::OkStatus(); }});
  if (!server.ok()) {
    std::cerr << server.status().message() << std::endl;
    return 1;
  }
  std::cout << "the page is at http://" << (*server)->address() << "/" << std::endl;
  pause();
}
