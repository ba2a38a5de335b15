// Golden files: input and expectation in one small text file. A file is a comment, then sections:
//
//   # what this shows
//   --- workload
//   ...
//   --- after vectorize_loops
//   ...
//
// With HONE_UPDATE_GOLDEN=1 in the environment tests write what they got instead of comparing; read
// the diff before you commit it.
#pragma once

#include <string>
#include <vector>

namespace hone {

struct GoldenFile {
  struct Section {
    std::string title;
    std::string text;
  };

  std::string path;
  std::string comment;
  std::vector<Section> sections;

  // The text of the section, or "" if there is none.
  std::string Text(const std::string& title) const;
};

// The files of tests/golden/<folder>, by name; at least one, or the test fails.
std::vector<GoldenFile> GoldenFiles(const std::string& folder);

// Compares section `index` with what came out (as a test expectation), or notes it for the update.
void ExpectGolden(GoldenFile& file, size_t index, const std::string& actual);
// Writes the file back when updating; call after the last expectation.
void FinishGolden(const GoldenFile& file);

}  // namespace hone
