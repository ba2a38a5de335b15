// The files of hone's own source tree as the tidy tests see them. Reads files only; what they ought
// to be is for the tests to say.
#pragma once

#include <string>
#include <vector>

namespace hone {

struct SourceFile {
  std::string path;    // from the top of the tree: "compiler/ir/expr.h"
  std::string folder;  // "compiler/ir"
  std::string name;    // "expr.h"
  std::string text;

  bool IsHeader() const;
  bool IsTest() const;  // under tests/ or bench/: may include anything
  // What its #include lines name, without quotes or brackets.
  std::vector<std::string> Includes() const;
};

// Every .h, .cc and .c of the tree, sorted by path.
std::vector<SourceFile> ReadSourceTree();

// The top of the tree ($HONE_SOURCE_DIR).
std::string SourceDir();

// The text of a file, or "" if there is none.
std::string ReadTextFile(const std::string& path);

}  // namespace hone
