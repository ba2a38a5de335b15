"""An aim of a benchmark: aim.h says it of those in C++."""


def print_aim(name, measured, target, less_is_better=False):
    ok = measured <= target if less_is_better else measured >= target
    print(f"aim {name} measured {measured:.4g} target {target:.4g} {'ok' if ok else 'short'}",
          flush=True)
