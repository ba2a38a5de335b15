#include "device_agent/measure/fault_handlers.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "device_agent/measure/kernel_host.h"

namespace hone {
namespace {

// The one static of this file: a signal handler has nothing else to find its page by.
WatchPage* fault_page = nullptr;

// Notes where the fault was; returning runs the instruction again, which then ends the process with
// the signal's default action (SA_RESETHAND).
void NoteFault(int, siginfo_t* info, void*) {
  fault_page->fault_address.store(reinterpret_cast<uint64_t>(info->si_addr));
}

void NoteForbiddenCall(int, siginfo_t* info, void*) {
  fault_page->forbidden_call.store(info->si_syscall);
  syscall(SYS_exit_group, kExitForbidden);
}

}  // namespace

void InstallFaultHandlers(WatchPage& page) {
  fault_page = &page;
  // The kernel may have used up the normal one. With tile registers a frame takes 11 KiB.
  static char handler_stack[32768];
  stack_t stack = {};
  stack.ss_sp = handler_stack;
  stack.ss_size = sizeof(handler_stack);
  sigaltstack(&stack, nullptr);
  struct sigaction action = {};
  action.sa_sigaction = NoteFault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESETHAND;
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigaction(signal, &action, nullptr);
  action.sa_sigaction = NoteForbiddenCall;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSYS, &action, nullptr);
}

}  // namespace hone
