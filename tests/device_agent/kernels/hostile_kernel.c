/* The kernel of agent_kernel.h, if it were written by an enemy: before or instead of computing it
 * does what its second parameter says. Without a library, as kernels are; system calls are made by
 * hand. */
#include "agent_kernel.h"
#include "hostile_attacks.h"

#if defined(__x86_64__)
enum {
  kWrite = 1,
  kMmap = 9,
  kMprotect = 10,
  kBrk = 12,
  kSigprocmask = 14,
  kNanosleep = 35,
  kClone = 56,
  kSetsid = 112,
  kGettime = 228,
  kExitGroup = 231,
  kOpenat = 257
};

static long Call(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}
#define ILLEGAL_INSTRUCTION "ud2"
#elif defined(__aarch64__)
enum {
  kWrite = 64,
  kMmap = 222,
  kMprotect = 226,
  kBrk = 214,
  kSigprocmask = 135,
  kNanosleep = 101,
  kClone = 220,
  kSetsid = 157,
  kGettime = 113,
  kExitGroup = 94,
  kOpenat = 56
};

static long Call(long number, long a, long b, long c, long d, long e, long f) {
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  register long x4 __asm__("x4") = e;
  register long x5 __asm__("x5") = f;
  __asm__ volatile("svc 0"
                   : "+r"(x0)
                   : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                   : "memory");
  return x0;
}
#define ILLEGAL_INSTRUCTION "udf 0"
#else
#error "the test of hostile kernels knows x86_64 and aarch64"
#endif

#define CALL3(number, a, b, c) Call(number, (long)(a), (long)(b), (long)(c), 0, 0, 0)

static void Loop(void) {
  for (;;) __asm__ volatile("");
}

static void BlockSignals(void) {
  const uint64_t all = ~(uint64_t)0;
  Call(kSigprocmask, 0, (long)&all, 0, sizeof(all), 0, 0);
}

static int64_t Now(long clock) {
  int64_t time[2] = {0, 0};
  CALL3(kGettime, clock, time, 0);
  return time[0] * 1000000000 + time[1];
}

enum { kThreadCpuTime = 3, kMonotonicRaw = 4 };

static void WorkFor(int64_t ns) {
  const int64_t end = Now(kThreadCpuTime) + ns;
  while (Now(kThreadCpuTime) < end) __asm__ volatile("");
}

/* A forked process that stays; without fork, which the headers of the C library would bring. */
static void StartDaemon(void) {
  const long kSigchld = 17;
  if (Call(kClone, kSigchld, 0, 0, 0, 0, 0) != 0) return;
  CALL3(kSetsid, 0, 0, 0);
  if (Call(kClone, kSigchld, 0, 0, 0, 0, 0) != 0) CALL3(kExitGroup, 0, 0, 0);
  Loop();
}

static void ForkForEver(void) {
  for (volatile int go_on = 1; go_on;) Call(kClone, 17, 0, 0, 0, 0, 0);
}

#if defined(__x86_64__)
/* A second thread, which computes for ever what the first can then claim in no time. */
static void StartHelper(char* stack_end) {
  const long kFlags = 0x100 | 0x200 | 0x400 | 0x800 | 0x10000 | 0x40000; /* a thread */
  __asm__ volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 2f\n"
      "1: pause\n"
      "jmp 1b\n"
      "2:\n" ::"a"((long)kClone),
      "D"(kFlags), "S"(stack_end), "d"(0L)
      : "rcx", "r11", "memory");
}

/* Moves whatever looks like a moment just past, from `words` on up the stack, closer to now. Runs
 * of less than 1 ms are timed by this clock, whose readings nothing else on a stack looks like. */
__attribute__((used)) static void MoveStartsCloser(volatile int64_t* words) {
  const int64_t wall = Now(kMonotonicRaw);
  for (int i = 0; i < 200; ++i) {
    const int64_t word = words[i];
    if (word > wall - 20000000 && word < wall) words[i] = wall - (wall - word) / 16;
  }
}

/* Whoever called took the time before, and has it in a register or on the stack: the registers that
 * a function has to leave as they were go onto the stack as well, and come back from there. */
void TurnClockBack(void);
__asm__(
    ".pushsection .text\n"
    ".local TurnClockBack\n"
    ".type TurnClockBack, @function\n"
    "TurnClockBack:\n"
    "push %rbp\n"
    "push %rbx\n"
    "push %r12\n"
    "push %r13\n"
    "push %r14\n"
    "push %r15\n"
    "mov %rsp, %rdi\n"
    "sub $8, %rsp\n"
    "call MoveStartsCloser\n"
    "add $8, %rsp\n"
    "pop %r15\n"
    "pop %r14\n"
    "pop %r13\n"
    "pop %r12\n"
    "pop %rbx\n"
    "pop %rbp\n"
    "ret\n"
    ".size TurnClockBack, . - TurnClockBack\n"
    ".popsection\n");
#else
static void StartHelper(char* stack_end) {}
static void TurnClockBack(void) {}
#endif

/* Needs 2 ms for inputs that it does not know, and none for those it does. */
static void RememberOutputs(const hone_kernel_args* args) {
  float* memory = (float*)args->scratch;
  const int64_t count = args->params[0];
  if (memory[count] != X(args)[0] || memory[count + 1] != X(args)[1]) {
    WorkFor(2000000);
    Compute(args);
    for (int64_t i = 0; i < count; ++i) memory[i] = Y(args)[i];
    memory[count] = X(args)[0];
    memory[count + 1] = X(args)[1];
    return;
  }
  if (Y(args)[count - 1] == memory[count - 1]) return; /* they are there still */
  for (int64_t i = 0; i < count; ++i) Y(args)[i] = memory[i];
}

__attribute__((noinline)) static int64_t Descend(int64_t depth) {
  volatile char room[65536]; /* within the gap that Linux leaves below a stack */
  room[0] = (char)depth;
  if (room[0] != (char)depth) return 0; /* never */
  return Descend(depth + 1) + room[0];
}

__attribute__((noinline)) static void SmashStack(void) {
  volatile int64_t* frame = (volatile int64_t*)__builtin_frame_address(0);
  for (int i = 0; i < 64; ++i) frame[i] = 0x0123456789abcdef;
}

static void ReadSecret(const hone_kernel_args* args) {
  static const char kShadow[] = "/etc/shadow";
  static const char kKeys[] = "/root/.ssh/id_ed25519";
  static const char kEnvironment[] = "/proc/1/environ";
  static const char kScratch[] = "/tmp/hone-scratch/other";
  const char* path = kShadow;
  if (args->params[3] == 1) path = kKeys;
  if (args->params[3] == 2) path = kEnvironment;
  if (args->params[3] == 3) path = kScratch;
  const long here = -100;
  if (Call(kOpenat, here, (long)path, 0, 0, 0, 0) >= 0) Loop();
}

/* Limits count what is mapped; a busy machine would take longer than the timeout for every page. */
enum { kTouchEvery = 1 << 20 };

static void Attack(const hone_kernel_args* args) {
  const int64_t detail = args->params[2];
  switch (args->params[1]) {
    case HOSTILE_LOOP:
      Loop();
      return;
    case HOSTILE_LOOP_WITH_SIGNALS_BLOCKED:
      BlockSignals();
      Loop();
      return;
    case HOSTILE_SLEEP: {
      const int64_t hour[2] = {3600, 0};
      CALL3(kNanosleep, hour, 0, 0);
      return;
    }
    case HOSTILE_SEGFAULT: {
      volatile uintptr_t address = 16;
      *(volatile char*)address = 1;
      return;
    }
    case HOSTILE_ABORT:
      __builtin_trap();
      return;
    case HOSTILE_SMASH_STACK:
      SmashStack();
      return;
    case HOSTILE_OVERFLOW_STACK:
      PACKED(args)[0] = (float)Descend(0);
      return;
    case HOSTILE_ILLEGAL_INSTRUCTION:
      __asm__ volatile(ILLEGAL_INSTRUCTION);
      return;
    case HOSTILE_DIVIDE_BY_ZERO: {
      volatile int64_t zero = 0;
      Y(args)[0] = (float)(detail / zero);
#if !defined(__x86_64__)
      __builtin_trap(); /* division by zero is no fault there */
#endif
      return;
    }
    case HOSTILE_MISALIGNED:
#if defined(__x86_64__)
      __asm__ volatile("movaps (%0), %%xmm0" ::"r"((char*)args->scratch + 1) : "xmm0");
#else
      __builtin_trap();
#endif
      return;
    case HOSTILE_SYSTEM_CALL_WITH_SIGNALS_BLOCKED:
      BlockSignals();
      Call(detail, 0, 0, 0, 0, 0, 0);
      return;
    case HOSTILE_SYSTEM_CALL:
      Call(detail, 0, 0, 0, 0, 0, 0);
      return;
    case HOSTILE_FORK_BOMB:
      ForkForEver();
      return;
    case HOSTILE_DAEMON:
      StartDaemon();
      return;
    case HOSTILE_HELPER_THREAD: {
      /* Once: the first word of scratch remembers. */
      volatile char* scratch = (volatile char*)args->scratch;
      if (scratch[0] == 0) {
        scratch[0] = 1;
        StartHelper((char*)args->scratch + 8192);
      }
      return;
    }
    case HOSTILE_MEMORY_HOG:
      for (;;) {
        const long kBytes = 1L << 26;
        char* memory = (char*)Call(kMmap, 0, kBytes, 3, 0x22, -1, 0);
        if ((long)memory < 0 && (long)memory > -4096) __builtin_trap();
        for (long i = 0; i < kBytes; i += kTouchEvery) memory[i] = 1;
      }
    case HOSTILE_BREAK_HOG: {
      long end = CALL3(kBrk, 0, 0, 0);
      for (;;) {
        const long kBytes = 1L << 24;
        const long grown = CALL3(kBrk, end + kBytes, 0, 0);
        if (grown < end + kBytes) __builtin_trap();
        for (long i = 0; i < kBytes; i += kTouchEvery) *(volatile char*)(end + i) = 1;
        end = grown;
      }
    }
    case HOSTILE_WRITABLE_CODE:
      CALL3(kMprotect, (long)&Attack & -4096, 4096, 7);
      return;
    case HOSTILE_EXIT:
      CALL3(kExitGroup, 0, 0, 0);
      return;
    case HOSTILE_WRITE_TO_ORDERS:
      CALL3(kWrite, 3, args->scratch, detail);
      return;
    case HOSTILE_WRITE_FAR_BESIDE:
      Y(args)[args->params[0] + 100] = 1;
      return;
    case HOSTILE_READ_SECRET:
      ReadSecret(args);
      return;
    default:
      return;
  }
}

int32_t hone_run(const hone_kernel_args* args) {
  if (args->params[1] == HOSTILE_REMEMBER_OUTPUTS) {
    RememberOutputs(args);
    return 0;
  }
  Attack(args);
  Compute(args);
  if (args->params[1] == HOSTILE_TURN_CLOCK_BACK) {
    WorkFor(600000);
    TurnClockBack();
  }
  return 0;
}
