// A made-up farm for those who look at the page: twelve devices in every state there is, three
// users, a queue, and curves that move with the time given. Used by the page's tests and by
// farm_page_demo, a program that serves it.
#pragma once

#include "proto/snapshot.pb.h"

namespace hone {

// As it is `seconds` after it was started.
pb::FarmSnapshot DemoFarm(int seconds);

}  // namespace hone
