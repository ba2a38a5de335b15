// The page that shows a farm as it is, made from farm_page.html.in, .css and .js when hone is
// built: one document that needs nothing else. Served by WebServer.
#pragma once

namespace hone {

extern const char kFarmPage[];
// What stands between its tags, for the policy that lets nothing else run.
extern const char kFarmPageStyle[];
extern const char kFarmPageScript[];

}  // namespace hone
