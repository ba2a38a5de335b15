// Stands in for hone-agent where only its being there matters: registers one device, named by
// --device, and measures nothing. With --fail it ends at once, complaining.
#include <ctime>
#include <iostream>
#include <string>
#include <vector>

#include "base/stop_signals.h"
#include "base/target.h"
#include "rpc/agent_session.h"

int main(int argc, char** argv) {
  const hone::StopSignals stop(/*parent_pid=*/0);
  const std::vector<std::string> words(argv + 1, argv + argc);
  std::string tracker, device = "here";
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--fail") {
      std::cerr << "hone-agent: told to fail" << std::endl;
      return 1;
    }
    if (words[i] == "--tracker") tracker = words[i + 1];
    if (words[i] == "--device") device = words[i + 1];
  }
  auto session = hone::AgentSession::Start(
      {.trackers = {tracker}, .agent = device, .boot = static_cast<uint64_t>(time(nullptr))}, {});
  if (!session.ok()) {
    std::cerr << "hone-agent: " << session.status() << std::endl;
    return 1;
  }
  hone::pb::AgentState state;
  hone::pb::DeviceInfo* info = state.add_devices()->mutable_info();
  info->set_name(device);
  info->set_target(hone::Target().ToString());
  info->set_state(hone::pb::READY);
  (*session)->SetState(state);
  while (!stop.Wait(1000)) {
  }
  return 0;
}
