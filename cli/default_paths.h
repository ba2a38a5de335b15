// Where `hone` keeps its things unless told otherwise. Every command that has --db uses it, so that
// tune, compile and records mean the same database.
#pragma once

#include <functional>
#include <string>

namespace hone {

// Reads an environment variable; null when it is not set. std::getenv in programs.
using Environment = std::function<const char*(const char*)>;

// $HONE_DB, else $XDG_DATA_HOME/hone/records.db, else ~/.local/share/hone/records.db.
std::string DefaultDatabasePath(const Environment& environment);

// $HONE_TRACKER, or "": start a tracker and an agent of one's own.
std::string DefaultTracker(const Environment& environment);

// The folder of certificates for a tracker: `asked` (--tls-dir), else $HONE_TLS_DIR, else, for a
// tracker that is not on this machine, where `hone join` puts them: $XDG_CONFIG_HOME/hone/tls or
// ~/.config/hone/tls. "": plain text.
std::string TlsDirFor(const std::string& tracker, const std::string& asked,
                      const Environment& environment);
// Where `hone join` puts them.
std::string DefaultTlsDir(const Environment& environment);

}  // namespace hone
